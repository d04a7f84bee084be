r"""Merges the n-best answers to the snippets of each question into one answer, in BioASQ's form.

  python biocodes/transform_nbset2bioasqform.py --nbest_path=output/nbest_predictions.json --output_path=output
  python biocodes/bioasq_eval.py --golden_path=4B1_golden.json \\
      --prediction_path=output/BioASQform_BioASQ-answer.json

The input is `{"<question>_<snippet>": [{"text": ..., "probability": ...}, ...], ...}` with ids of 24 + 1 + 3
characters. The output, in the order of the questions in it, is `BioASQform_BioASQ-answer.json` for the evaluator
and `WithProb_BioASQform_BioASQ-answer.json` with up to 20 answers `[text, probability]` a question. If
`--output_path` is no directory, it is the name of the former, and the latter gets `_WithProb` at its end.

Answers of all snippets of a question that differ in case only are merged: their probabilities are added up, and
the text is that of the most probable. Empty texts and those of more than 100 characters are left out. A probability
that is none (NaN, infinite, less than 0, more than 1) would take a wrong place among the others and is refused. Then:

  * `--question_type=factoid`: the five best. The files are those of the original's script, byte for byte. It
    sorted by pandas' quicksort, whose order among equal probabilities is not defined beyond 16 answers; here
    equals keep the order of the input, as with it up to 16.
  * `--question_type=list`: those whose sum, divided by the frequency of the text, is over `--threshold`, and the
    best one in any case; best first. As in the authors' code for the seventh BioASQ (dmis-lab/bioasq-biobert,
    transform_n2b_list.py), the frequency is how often the first snippet that has the text has it among its
    answers: so a text that several snippets have gains, one that a snippet has in several places does not. What
    that code does to texts beyond this (brackets, "a and b", numbers in the question) is not done.
  * `--question_type=yesno`: every snippet has the two answers `yes` and `no`. Their probabilities are averaged over
    the snippets; the answer is yes if it is at least as probable as no.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Snippet = list[tuple[str, float]]

ID_LENGTH = 28  # 24 characters of the question, underscore, 3 of the snippet
SNIPPET_SUFFIX = 4
MAX_TEXT = 100  # characters
MAX_FACTOID_ANSWERS = 5  # by the rules of the challenge
MAX_WITH_PROBABILITY = 20
MAX_PROBABILITY = 1.001  # some are written with few digits
IDEAL_ANSWER = "Dummy"  # the form wants one
EXPECTED = "nbest_predictions.json of run_qa.py"
SOURCE = "n-best answers"
LISTED_IDS = 5  # how many ids a warning names


class DataError(Exception):
    """Input that does not fit; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


def _one_line(text):
    """The text with what would break its line or cannot be printed, as ids may hold it, in Python's notation."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


@dataclasses.dataclass
class Answer:
    """An answer merged over snippets; `frequency`: its occurrences in the first snippet that has it."""

    text: str
    probability: float
    frequency: int


# Files


def read_json(path: str) -> Any:
    """Returns what a UTF-8 JSON file holds.

    Raises:
      DataError: it is not UTF-8 or malformed (with the line), is nested too deeply, has a number of more digits than
        Python reads, or half of a character, which no output could hold.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        document = json.loads(content.decode("utf-8-sig"))
        if b"\\ud" in content or b"\\uD" in content:  # the halves of a character, or one alone
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: invalid UTF-8; expected UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: malformed JSON: {error.msg}; expected {EXPECTED}") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply; expected {EXPECTED}") from None
    except UnicodeEncodeError:
        raise DataError(f"{path}: half of a character (a lone surrogate) in a text; expected {EXPECTED}") from None
    except ValueError:
        limit = sys.get_int_max_str_digits()
        raise DataError(f"{path}: a number of more than {limit} digits; expected {EXPECTED}") from None
    return document


def _is_answer(entry):
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        return False
    probability: Any = entry.get("probability")
    return type(probability) in (int, float) and 0 <= probability <= MAX_PROBABILITY  # NaN is not


def read_nbest(path: str) -> dict[str, list[Snippet]]:
    """Reads n-best answers and groups the snippets by question.

    Returns:
      A dict from question id to a list of snippets, each a list of `(text, probability)`, in the file's order.

    Raises:
      DataError: malformed JSON, another layout, an id that is not of 28 characters, a probability that is none.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not document:
        raise DataError(f"{path}: no answers; expected an object of ids and their n-best answers")
    questions: dict[str, list[Snippet]] = {}
    for identifier, entries in document.items():
        if len(identifier) != ID_LENGTH:
            raise DataError(
                f"{path}, id {identifier!r}: {len(identifier)} characters; expected {ID_LENGTH}: 24 of the question, "
                "an underscore, 3 of the snippet"
            )
        if not isinstance(entries, list):
            raise DataError(f"{path}, id {identifier}: {reprlib.repr(entries)}; expected a list of answers")
        wrong = [entry for entry in entries if not _is_answer(entry)]
        if wrong:
            raise DataError(
                f"{path}, id {identifier}: {reprlib.repr(wrong[0])}; expected an answer with `text` and `probability`, "
                "from 0 to 1"
            )
        snippet = [(entry["text"], entry["probability"]) for entry in entries]
        questions.setdefault(identifier[:-SNIPPET_SUFFIX], []).append(snippet)
    return questions


def check_outputs(outputs: Iterable[str], inputs: Sequence[str]) -> None:
    """Raises DataError for an output that is a directory, or one of the inputs, by whatever name."""
    for path in filter(os.path.exists, outputs):
        if os.path.isdir(path):
            raise DataError(f"{path}: Is a directory")
        if any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
            raise DataError(f"{path}: is an input file as well; expected another output file")


def write_json(documents: dict[str, Any]) -> None:
    """Writes files of JSON whole or not at all; `documents`: path -> what it is to hold."""
    temporary = {path: f"{path}.tmp{os.getpid()}" for path in documents}
    try:
        for path, document in documents.items():
            with open(temporary[path], "w", encoding="utf-8", newline="\n") as file:
                json.dump(document, file, indent=2)
        for path in reversed(documents):  # if a second file cannot take its place, the first is as it was
            os.replace(temporary[path], path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    finally:
        for name in temporary.values():
            if os.path.exists(name):
                os.unlink(name)


# Answers


def merge(snippets: Sequence[Snippet]) -> list[Answer]:
    """Merges the answers of a question's snippets.

    Args:
      snippets: lists of `(text, probability)`.

    Returns:
      A list of Answer, by falling sum of probabilities.
    """
    entries = [
        (text, probability, index)
        for index, snippet in enumerate(snippets)
        for text, probability in snippet
        if 0 < len(text) <= MAX_TEXT
    ]
    merged: dict[str, Answer] = {}
    # The order decides which text is kept and the last digits of the sums; sorting is stable.
    for text, probability, _ in sorted(entries, key=lambda entry: -entry[1]):
        if text.lower() in merged:
            merged[text.lower()].probability += probability
        else:
            merged[text.lower()] = Answer(text, probability, 0)
    first_snippets: dict[str, int] = {}
    for text, _, index in entries:
        if first_snippets.setdefault(text.lower(), index) == index:
            merged[text.lower()].frequency += 1
    return sorted(merged.values(), key=lambda answer: -answer.probability)


def average_yesno(identifier: str, snippets: Sequence[Snippet], source: str = SOURCE) -> list[Answer]:
    """Averages the probabilities of yes and no over the snippets of a question; `source` is where messages place it.

    Returns:
      A list of two Answer, the more probable first, `yes` if they are equal.

    Raises:
      DataError: a snippet has other answers than one `yes` and one `no`.
    """
    for snippet in snippets:
        texts = [text for text, _ in snippet]
        if sorted(texts) != ["no", "yes"]:
            raise DataError(
                f"{source}, question {identifier}: answers {reprlib.repr(texts)}; expected one yes and one no"
            )
    answers = sorted(merge(snippets), key=lambda answer: (-answer.probability, answer.text == "no"))
    return [dataclasses.replace(answer, probability=answer.probability / len(snippets)) for answer in answers]


def choose(answers: Sequence[Answer], question_type: str, threshold: float) -> str | list[list[str]]:
    """The `exact_answer` of a question.

    Args:
      answers: list of Answer, best first.
      question_type: "factoid", "list" or "yesno".
      threshold: for a list, the quotient of probability and frequency that an answer has to exceed.

    Returns:
      "yes" or "no", or a list of lists of one text.
    """
    if question_type == "yesno":
        return answers[0].text
    if question_type == "factoid":
        chosen = answers[:MAX_FACTOID_ANSWERS]
    else:
        chosen = [answer for answer in answers if answer.probability / answer.frequency > threshold] or answers[:1]
    return [[answer.text] for answer in chosen]


def transform(
    questions: Mapping[str, Sequence[Snippet]],
    question_type: str = "factoid",
    threshold: float = 0.42,
    source: str = SOURCE,
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Makes the two documents.

    Args:
      questions: from `read_nbest`.
      question_type: "factoid", "list" or "yesno", of all questions.
      threshold: see `choose`.
      source: where messages place the questions.

    Returns:
      `(answers, answers with probabilities, ids of the questions without any answer)`.

    Raises:
      DataError: see `average_yesno`.
    """
    plain, with_probabilities, empty = [], [], []
    for identifier, snippets in questions.items():
        answers = average_yesno(identifier, snippets, source) if question_type == "yesno" else merge(snippets)
        head = {"type": question_type, "id": identifier, "ideal_answer": IDEAL_ANSWER}
        pairs = [[answer.text, answer.probability] for answer in answers[:MAX_WITH_PROBABILITY]]
        plain.append({**head, "exact_answer": choose(answers, question_type, threshold)})
        with_probabilities.append({**head, "exact_answer": pairs})
        if not answers:
            empty.append(identifier)
    return {"questions": plain}, {"questions": with_probabilities}, empty


def output_paths(output_path: str) -> tuple[str, str]:
    """The two files' names, for a directory or the name of the first; raises DataError if it is empty."""
    if not output_path:
        raise DataError("--output_path is empty; expected a directory or a file name")
    if os.path.isdir(output_path):
        name = "BioASQform_BioASQ-answer.json"
        return os.path.join(output_path, name), os.path.join(output_path, f"WithProb_{name}")
    return output_path, f"{output_path}_WithProb"


# Command line


def warn(text: str) -> None:
    """Writes a line to standard error, if it can be written: the work does not depend on it."""
    if sys.stderr is None:  # closed; print would take standard output instead
        return
    try:
        print(f"warning: {_one_line(text)}", file=sys.stderr)
    except OSError:
        with contextlib.suppress(OSError):
            sys.stderr.close()  # or Python tries again when it ends, and its exit status tells


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="N-best answers to snippets into BioASQ's form.")
    parser.add_argument("--nbest_path", required=True, help="nbest_predictions.json that run_qa.py wrote")
    parser.add_argument("--output_path", required=True, help="directory or file for the answers")
    parser.add_argument("--question_type", choices=("factoid", "list", "yesno"), default="factoid")
    parser.add_argument(
        "--threshold", type=float, default=0.42, help="list: probability over frequency that an answer has to exceed"
    )
    return parser.parse_args()


def main() -> None:
    """Reads the command line, writes the two files."""
    arguments = parse_arguments()
    try:
        if not math.isfinite(arguments.threshold):
            raise DataError(f"--threshold={arguments.threshold}: expected a finite number")
        paths = output_paths(arguments.output_path)
        check_outputs(paths, [arguments.nbest_path])
        questions = read_nbest(arguments.nbest_path)
        *documents, empty = transform(questions, arguments.question_type, arguments.threshold, arguments.nbest_path)
        write_json(dict(zip(paths, documents, strict=True)))
    except DataError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")
    if empty:
        listed = ", ".join(empty[:LISTED_IDS]) + (", ..." if len(empty) > LISTED_IDS else "")
        warn(f"questions without a usable answer: {len(empty)} ({listed})")


if __name__ == "__main__":
    main()
