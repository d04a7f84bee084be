"""Scores exact answers to BioASQ questions as BioASQ's own evaluator does (Java, phase B, option `-e 5`).

  python biocodes/bioasq_eval.py --golden_path=4B1_golden.json --prediction_path=BioASQform_BioASQ-answer.json

Prints a table of the measures and, as last line, the line of ten numbers that the evaluator prints. They are meant
to be its numbers to the last digit, so its rules are kept even where they surprise
(https://github.com/BioASQ/Evaluation-Measures; in brackets the class that holds the rule):

  * Questions that the submission lacks do not count at all, so a system that leaves out what it does not know
    gains by it; questions with an empty or no exact answer count as wrong (EvaluatorTask1b.EvaluatePhaseB).
  * Texts are compared whole, in lower case; white space and punctuation count (Task1bData, ExactAnswer).
  * In the golden file each inner list holds synonyms, any of which is right. In the submission only the first
    text of an inner list is read; an empty inner list is passed over and takes no rank (Task1bData; editions
    before the fifth, `-e 3`, read all of them, and `-e 8` differs in phase A only).
  * Golden files of other years, which that version of the evaluator does not read, have `["a", "synonym"]` or `"a"`
    for `[["a", "synonym"]]` of a factoid question, and a text for a list question's item without synonyms: they
    score alike. A submission has inner lists.
  * Factoid: strict is the first answer, lenient any; the reciprocal rank is that of the first right answer. All
    submitted answers are read, also beyond the five that BioASQ allows (QuestionAnswerEvaluator).
  * List: a submitted answer takes the first golden entry that has it, and the entry is used up, so that a
    duplicate or a second synonym is wrong. Recall has a flaw: an entry still left over is forgiven if it holds a
    submitted text, even one that another entry was used up by (QuestionAnswerEvaluator, ExactAnswer). The F1 is
    the mean of the questions' F1.
  * Yes/no: an answer that contains `yes` is yes, else one that contains `no` is no ("unknown" too), else it is
    `none`, which is wrong for both labels (Task1bData). A golden answer other than yes counts as no in the F1 of
    the labels; the macro F1 is the mean of the two.
  * A measure over no questions, or whose denominator is 0, is 0.
  * The type is the golden file's; that of the submission is not read.

Where else the evaluator would stop with an exception, or take an answer of another type for a wrong one, this
program stops with a message.
"""

import argparse
import contextlib
import dataclasses
import json
import reprlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TYPES = ("yesno", "factoid", "list", "summary")
MAX_FACTOID_ANSWERS = 5  # by the rules of the challenge
EXPECTED = "a golden file of BioASQ or answers in its form"
LISTED_IDS = 5  # how many ids a warning names


class DataError(Exception):
    """Input that does not fit; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


def _one_line(text):
    """The text with what would break its line or cannot be printed, as ids may hold it, in Python's notation."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


@dataclasses.dataclass(frozen=True)
class Measures:
    """The evaluator's ten measures, each in [0, 1], in the order in which it prints them; then what they are over.

    `*_questions` are the numbers of questions counted; `warnings` are one line each.
    """

    yesno_accuracy: float
    factoid_strict_accuracy: float
    factoid_lenient_accuracy: float
    factoid_mrr: float
    list_precision: float
    list_recall: float
    list_f1: float
    yesno_macro_f1: float
    yesno_f1_yes: float
    yesno_f1_no: float
    yesno_questions: int
    factoid_questions: int
    list_questions: int
    warnings: tuple[str, ...] = ()


# Name in the table, field of Measures; in the evaluator's order.
MEASURES = (
    ("yes/no accuracy", "yesno_accuracy"),
    ("factoid strict accuracy", "factoid_strict_accuracy"),
    ("factoid lenient accuracy", "factoid_lenient_accuracy"),
    ("factoid MRR", "factoid_mrr"),
    ("list precision", "list_precision"),
    ("list recall", "list_recall"),
    ("list F1", "list_f1"),
    ("yes/no macro F1", "yesno_macro_f1"),
    ("yes/no F1 of yes", "yesno_f1_yes"),
    ("yes/no F1 of no", "yesno_f1_no"),
)


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


def read_questions(path: str) -> dict[str, dict[str, Any]]:
    """Reads a golden file or a submission: `{"questions": [{"id": ..., "type": ..., "exact_answer": ...}, ...]}`.

    Returns:
      A dict from id to question (a dict), in the order of the file.

    Raises:
      DataError: malformed JSON or another layout, no questions, a question without id, an id twice.
    """
    document = read_json(path)
    listed = document.get("questions") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise DataError(f'{path}: no questions; expected {{"questions": [...]}}')
    questions = {}
    for number, question in enumerate(listed, 1):
        identifier = question.get("id") if isinstance(question, dict) else None
        if not isinstance(identifier, str):
            raise DataError(f"{path}: question number {number} has no id; expected an object with a string `id`")
        if identifier in questions:
            raise DataError(f"{path}: question {identifier} twice; expected each id once")
        questions[identifier] = question
    return questions


# Answers


def _refuse(source, identifier, found, expected):
    raise DataError(f"{source}, question {identifier}: {found}; expected {expected}")


def _type(source, identifier, question):
    name = question.get("type")
    if name not in TYPES:
        found = "no type" if name is None else f"type {reprlib.repr(name)}"
        _refuse(source, identifier, found, " or ".join(TYPES))
    return name


def _unnested(value) -> Iterator[Any]:
    """Yields what is in lists in lists, in order. Without recursion: it may be nested as deeply as JSON is read."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        else:
            yield value


def _golden_texts(source, identifier, name, answer):
    """The entries of a golden exact answer, lists of synonyms in lower case, without the empty ones.

    A list question has an entry for each item that is not null, a factoid question one, of all its texts: the rule
    of `exact_answers` in data_prep/tasks/bioasq_questions.py, but for white space, which counts here.
    """
    items = answer if name == "list" and isinstance(answer, list) else [answer]
    entries = [list(_unnested(item)) for item in items if item is not None]
    if not all(isinstance(text, str) for entry in entries for text in entry):
        found = f"exact_answer is {reprlib.repr(answer)}"
        _refuse(source, identifier, found, "a list of lists of strings, a list of strings or a string")
    return [[text.lower() for text in entry] for entry in entries if entry]


def _submitted_texts(source, identifier, answer):
    """The inner lists of a submitted exact answer to a factoid or list question, likewise."""
    if answer is None:
        return []
    if not (
        isinstance(answer, list)
        and all(isinstance(inner, list) and all(isinstance(text, str) for text in inner) for inner in answer)
    ):
        _refuse(source, identifier, f"exact_answer is {reprlib.repr(answer)}", "a list of lists of strings")
    return [[text.lower() for text in inner] for inner in answer if inner]


def _label(source, identifier, answer):
    """What the evaluator takes a yes/no answer for: yes, no or none; None without an answer."""
    if answer is None:
        return None
    if not isinstance(answer, str):
        _refuse(source, identifier, f"exact_answer is {reprlib.repr(answer)}", '"yes" or "no"')
    return next((label for label in ("yes", "no") if label in answer.lower()), "none")


# Scores of a question


def factoid_scores(golden: Sequence[Sequence[str]], answers: Sequence[str]) -> tuple[float, float, float]:
    """Scores the answers to a factoid question.

    Args:
      golden: list of lists of synonyms.
      answers: list of texts, best first.

    Returns:
      `(strict, lenient, reciprocal rank)`.
    """
    right = {text for synonyms in golden for text in synonyms}
    rank = next((rank for rank, text in enumerate(answers, 1) if text in right), None)
    return float(rank == 1), float(rank is not None), 1 / rank if rank else 0.0


def _use_up(entries, texts):
    """Removes the first entry that shares a text with `texts`; returns whether there was one."""
    for index, entry in enumerate(entries):
        if not set(entry).isdisjoint(texts):
            del entries[index]
            return True
    return False


def list_scores(golden: Sequence[Sequence[str]], answers: Sequence[str]) -> tuple[float, float, float]:
    """Scores the answers to a list question.

    Args:
      golden: list of lists of synonyms.
      answers: list of texts.

    Returns:
      `(precision, recall, F1)`.
    """
    if not answers:
        return 0.0, 0.0, 0.0
    left = list(golden)
    found = [_use_up(left, [text]) for text in answers].count(True)
    # The flaw of the docstring: all answers are at hand again here, also those that have been counted.
    again = [[text] for text in answers]
    missed = [_use_up(again, synonyms) for synonyms in left].count(False)
    precision = found / len(answers)
    recall = found / (found + missed) if found + missed else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
    return precision, recall, f1


# Measures


def _mean(values):
    total = 0.0
    for value in values:
        total += value  # not sum(): since Python 3.12 it corrects rounding, which Java does not
    return total / len(values) if values else 0.0


def _means(rows) -> tuple[float, float, float]:
    """The means of the three columns of `rows`."""
    first, second, third = (_mean([row[column] for row in rows]) for column in range(3))
    return first, second, third


def _yesno_measures(pairs):
    """Accuracy and F1 of yes and of no, of pairs `(golden label, submitted label)`."""
    wrong = sum(golden != label for golden, label in pairs)
    accuracy = (len(pairs) - wrong) / len(pairs) if pairs else 0.0
    f1 = []
    for is_yes in (True, False):
        right = sum(golden == label and (golden == "yes") == is_yes for golden, label in pairs)
        # Each wrong answer is a false positive of one label and a false negative of the other.
        f1.append(2 * right / (2 * right + wrong) if right else 0.0)
    return accuracy, *f1


def _warning(text, identifiers):
    listed = ", ".join(identifiers[:LISTED_IDS]) + (", ..." if len(identifiers) > LISTED_IDS else "")
    return _one_line(f"{text}: {len(identifiers)} ({listed})")


def _find_warnings(golden, predictions, types, missing):
    """Lists what a user should know of two files that fit each other.

    Args:
      golden: dict from id to golden question.
      predictions: dict from id to submitted question.
      types: dict from id to type, of the questions in both.
      missing: ids that the submission lacks.

    Returns:
      A tuple of strings.
    """
    submitted = {identifier: predictions[identifier].get("exact_answer") or () for identifier in types}
    found = {
        "golden questions that the submission lacks, which do not count": missing,
        "questions of the submission that are not in the golden file, which do not count": [
            identifier for identifier in predictions if identifier not in golden
        ],
        "questions of the submission without an exact answer, which count as wrong": [
            identifier for identifier, name in types.items() if name != "summary" and not any(submitted[identifier])
        ],
        "golden questions whose exact answer is blank": [
            identifier
            for identifier, name in types.items()
            if name in ("factoid", "list")
            and not any(text and text.strip() for text in _unnested(golden[identifier]["exact_answer"]))
        ],
        f"factoid questions with more than {MAX_FACTOID_ANSWERS} answers, all of which are read": [
            identifier
            for identifier, name in types.items()
            if name == "factoid" and len(submitted[identifier]) > MAX_FACTOID_ANSWERS
        ],
    }
    return tuple(_warning(text, identifiers) for text, identifiers in found.items() if identifiers)


def _score_questions(golden, predictions, types, sources):
    """Scores of the questions by type; yes/no: `(golden label, submitted label)`; `types`: id -> type."""
    golden_file, submission = sources
    scores: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TYPES}
    for identifier, name in types.items():
        key, answer = golden[identifier].get("exact_answer"), predictions[identifier].get("exact_answer")
        if name == "summary":
            continue
        if key is None:
            _refuse(golden_file, identifier, "no exact_answer", f"one for a {name} question")
        if name == "yesno":
            score: tuple[Any, ...] = _label(golden_file, identifier, key), _label(submission, identifier, answer)
        else:
            synonyms = _golden_texts(golden_file, identifier, name, key)
            answers = [texts[0] for texts in _submitted_texts(submission, identifier, answer)]
            score = (factoid_scores if name == "factoid" else list_scores)(synonyms, answers)
        scores[name].append(score)
    return scores


def evaluate(
    golden: Mapping[str, dict[str, Any]],
    predictions: Mapping[str, dict[str, Any]],
    sources: tuple[str, str] = ("golden file", "submission"),
) -> Measures:
    """Scores a submission.

    Args:
      golden: dict from id to question, from `read_questions`, with `type` and `exact_answer`.
      predictions: the same of the submission, with `exact_answer`.
      sources: what messages call the two.

    Returns:
      Measures.

    Raises:
      DataError: no question of the submission is in the golden file; a golden question without type or exact
        answer; an exact answer that does not fit the question's type.
    """
    all_types = {identifier: _type(sources[0], identifier, question) for identifier, question in golden.items()}
    types = {identifier: name for identifier, name in all_types.items() if identifier in predictions}
    if not types:
        raise DataError("no question of the submission is in the golden file; is it that of another batch?")
    scores = _score_questions(golden, predictions, types, sources)
    accuracy, f1_yes, f1_no = _yesno_measures(scores["yesno"])
    means = (*_means(scores["factoid"]), *_means(scores["list"]))
    counts = len(scores["yesno"]), len(scores["factoid"]), len(scores["list"])
    missing = [
        identifier
        for identifier, name in all_types.items()
        if identifier not in predictions and scores[name]  # of a type that the submission answers
    ]
    warnings = _find_warnings(golden, predictions, types, missing)
    return Measures(accuracy, *means, (f1_yes + f1_no) / 2, f1_yes, f1_no, *counts, warnings)


def format_report(measures: Measures) -> str:
    """The table, of the types that there are questions of, and the evaluator's line; each line ends with a newline."""
    lines = [f"{'measure':<25}{'value':<22}{'percent':>8}{'questions':>11}"]
    values = []
    for title, field in MEASURES:
        value = getattr(measures, field)
        questions = getattr(measures, f"{field.split('_')[0]}_questions")
        if questions:
            lines.append(f"{title:<25}{value!r:<22}{100 * value:8.2f}{questions:11}")
        values.append(repr(value))
    return "".join(line + "\n" for line in [*lines, " ".join(values)])


# Command line


def write_output(text: str) -> None:
    """Writes a text to standard output, all of it; where its reader has left (`| head`), ends the program quietly.

    Raises:
      DataError: it is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise DataError("standard output: closed; expected it open")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # A character that the terminal's encoding lacks is escaped.
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries again when it ends, and reports that
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        raise DataError(f"standard output: {error.strerror}; expected one that can be written") from None


def warn(text: str) -> None:
    """Writes a line to standard error, if it can be written: the work does not depend on it."""
    if sys.stderr is None:  # closed; print would take standard output instead
        return
    try:
        print(f"warning: {text}", file=sys.stderr)
    except OSError:
        with contextlib.suppress(OSError):
            sys.stderr.close()  # or Python tries again when it ends, and its exit status tells


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="BioASQ's measures of exact answers (phase B).")
    parser.add_argument("--golden_path", required=True, help="golden file of BioASQ, such as 4B1_golden.json")
    parser.add_argument("--prediction_path", required=True, help="answers in BioASQ's form")
    return parser.parse_args()


def main() -> None:
    """Reads the command line and the files, prints the report."""
    arguments = parse_arguments()
    sources = f"{arguments.golden_path}: golden file", f"{arguments.prediction_path}: submission"
    try:
        golden, predictions = read_questions(arguments.golden_path), read_questions(arguments.prediction_path)
        measures = evaluate(golden, predictions, sources)
        for warning in measures.warnings:
            warn(warning)
        write_output(format_report(measures))
    except DataError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
