r"""Builds run_qa.py's files, in SQuAD's layout, from the JSON files of the BioASQ challenge (task B, phase B).

    python -m data_prep.bioasq --input_file=BioASQ-training4b.json --output_file=BioASQ-train-factoid-4b.json \\
        --question_type=factoid --split=train
    python -m data_prep.bioasq --input_file=4B1_golden.json --output_file=BioASQ-test-factoid-4b-1.json \\
        --question_type=factoid --split=test

A paragraph is a question with one context: a snippet or, with `--context=abstract`, the title and the abstract that
the snippet is from, as in the files released with BioBERT. An id is the question's id, `_` and a number from 000.

For training, the exact answers are looked for in the contexts. What has no answer is left out: BioBERT (Lee et al.,
2020) drops the same, about 30 % of the factoid questions. A file for testing keeps every question.
"""

import dataclasses
import functools
import json
import re
import unicodedata

from absl import flags, logging

from common.errors import InputError, name_some, run
from common.files import atomic_write, check_output_file
from common.inputs import expand_patterns
from common.progress import progress
from data_prep.formats.pubmed_xml import Options, read_files
from data_prep.tasks.bioasq_questions import exact_answers, read_questions, yes_or_no

FLAGS = flags.FLAGS

MAX_NUMBER = 1000  # ids have three digits, from 000
VERSION = "BioASQ"


@dataclasses.dataclass
class Report:
    """What became of the questions of one type; lists hold ids of questions."""

    questions: int = 0
    used: int = 0
    without_context: list = dataclasses.field(default_factory=list)
    without_exact_answer: list = dataclasses.field(default_factory=list)
    unanswerable: list = dataclasses.field(default_factory=list)
    contexts: int = 0
    contexts_used: int = 0
    examples: int = 0


def read_abstracts(paths, pmids):
    """Reads the title and abstract, as one string, of the articles in `pmids` that have an abstract: pmid -> text."""
    with progress("PubMed", unit="record") as bar:
        return {
            pmid: " ".join(document.paragraphs)
            for document in read_files(paths, Options(), bar)
            if (pmid := document.id.removeprefix("pubmed:")) in pmids and not document.left_out
        }


# Answers in contexts


@functools.cache
def _fold(char):
    """A character without its case, always one character: İ and ß would become two."""
    return next(c for c in (char.casefold(), char.lower(), char) if len(c) == 1)


def _is_word(char):
    return unicodedata.category(char)[0] in "LNM"


def _splits_word(text, left):
    """Whether the border between characters `left` and `left + 1` is inside a word or a number such as 1.5."""
    if left < 0 or left + 1 >= len(text):
        return False
    if _is_word(text[left]) and _is_word(text[left + 1]):
        return True
    return any(re.fullmatch(r"[0-9]\.[0-9]", text[start : start + 3]) for start in (left - 1, left) if start >= 0)


def find_answer(context, answer):
    """The first place of an answer in a context, as whole words: not `p53` in `p53R2` nor in `p53s`.

    Case counts if the answer occurs so, else not. Characters are compared one by one, so that what was found is as
    long as the answer even where lower-casing a string would change its length.

    Returns:
      The index of its first character, or None.
    """
    for fold in (str, lambda text: "".join(map(_fold, text))):
        text, wanted = fold(context), fold(answer)
        start = text.find(wanted)
        while start >= 0:
            if not _splits_word(context, start - 1) and not _splits_word(context, start + len(wanted) - 1):
                return start
            start = text.find(wanted, start + 1)
    return None


def find_answers(context, answers):
    """Finds each answer by the first of its synonyms that occurs.

    Args:
      context: a string.
      answers: lists of synonyms.

    Returns:
      A list of `{"text", "answer_start"}`, without repetitions, the text as it stands in the context.
    """
    found = []
    for synonyms in answers:
        for synonym in synonyms:
            start = find_answer(context, synonym)
            if start is not None:
                place = {"text": context[start : start + len(synonym)], "answer_start": start}
                if place not in found:
                    found.append(place)
                break
    return found


# SQuAD's layout


def make_contexts(question, abstracts):
    """The different contexts of a question, in the order of its snippets.

    Args:
      question: a Question.
      abstracts: pmid -> text of the articles to use in place of their snippets.
    """
    texts = [abstracts.get(snippet.pmid, snippet.text) for snippet in question.snippets]
    return list(dict.fromkeys(text for text in texts if text.strip()))


def label_contexts(question, contexts, report):
    """What the entries of a training file say about the answer: for each context a list, empty if it has none.

    run_qa.py takes one answer an entry, so several items of a list question in one context are several entries. Yes/no
    questions have the form of the authors' seventh BioASQ. Questions without any answer are added to `report`.
    """
    if question.type == "yesno":
        answer = yes_or_no(question)
        if answer is None:
            report.without_exact_answer.append(question.id)
            return []
        return [[{"answers": answer, "is_impossible": answer == "no"}] for _ in contexts]
    answers = exact_answers(question)
    if not answers:
        report.without_exact_answer.append(question.id)
        return []
    labels = [[{"answers": [place]} for place in find_answers(context, answers)] for context in contexts]
    if not any(labels):
        report.unanswerable.append(question.id)
    return labels


def make_paragraphs(questions, split, abstracts, report):
    """Yields a paragraph for each question and context that is used.

    Args:
      questions: list of Question, all of one type.
      split: "train", where contexts and questions without an answer are left out, or "test".
      abstracts: as in `make_contexts`.
      report: Report to fill.

    Raises:
      InputError: more entries of a question than there are three-digit numbers.
    """
    for question in questions:
        report.questions += 1
        contexts = make_contexts(question, abstracts)
        report.contexts += len(contexts)
        if not contexts:
            report.without_context.append(question.id)
            if split == "train":
                continue
            contexts = [""]  # so that it is answered, with nothing, and counts
        labels = label_contexts(question, contexts, report) if split == "train" else [[{}] for _ in contexts]
        number = 0
        for context, entries in zip(contexts, labels, strict=False):
            qas = [
                {"id": f"{question.id}_{number + i:03d}", "question": question.body, **entry}
                for i, entry in enumerate(entries)
            ]
            number += len(qas)
            if qas:
                report.contexts_used += 1
                yield {"context": context, "qas": qas}
        if number > MAX_NUMBER:
            raise InputError(
                f"question {question.id}: {number} contexts or answers in them; expected {MAX_NUMBER} at most"
            )
        report.used += number > 0
        report.examples += number


def warn(what, ids):
    """Warns of questions, of which it names the first."""
    if ids:
        logging.warning("questions %s: %s", what, name_some(ids))


def format_report(report, question_type, split):
    """The report in lines, for people."""

    def share(ids):
        return f"{len(ids)} ({len(ids) / report.questions:.1%})"

    lines = [f"{question_type} questions: {report.questions}, used: {report.used}"]
    action = "dropped" if split == "train" else "with an empty context,"
    lines.append(f"  {action} without any snippet: {share(report.without_context)}")
    if split == "train":
        lines.append(f"  dropped without usable exact answer: {share(report.without_exact_answer)}")
        lines.append(
            f"  dropped as unanswerable, the answer being in none of their contexts: {share(report.unanswerable)}"
        )
    lines.append(f"contexts: {report.contexts}, used: {report.contexts_used}")
    lines.append(f"examples: {report.examples}")
    return "\n".join(lines)


def define_flags():
    flags.DEFINE_string("input_file", None, "BioASQ's JSON files: paths or globs, comma-separated.")
    flags.DEFINE_string("output_file", None, "JSON file to write, in SQuAD's layout.")
    flags.DEFINE_enum("question_type", None, ["factoid", "list", "yesno"], "Questions to take.")
    flags.DEFINE_enum("split", None, ["train", "test"], "train: with answers, where there are; test: all questions.")
    flags.DEFINE_enum("context", "snippet", ["snippet", "abstract"], "abstract: title and abstract of the snippets.")
    flags.DEFINE_string("abstracts_file", None, "PubMed XML files for --context=abstract: paths or globs.")
    flags.mark_flags_as_required(["input_file", "output_file", "question_type", "split"])


def load_abstracts(context, patterns, questions):
    """The articles that take the place of snippets: none, or those that the flags name. Says how many are missing."""
    if (context == "abstract") != bool(patterns):
        raise InputError(f"--context={context}, --abstracts_file={patterns or ''}: expected a file with abstract only")
    if context == "snippet":
        return {}
    pmids = {snippet.pmid for question in questions for snippet in question.snippets}
    abstracts = read_abstracts(expand_patterns(patterns), pmids)
    print(f"abstracts: {len(abstracts)} of {len(pmids)} articles; snippets in place of the others")
    return abstracts


def main(_):
    input_files = expand_patterns(FLAGS.input_file)
    check_output_file(FLAGS.output_file, input_files)
    questions, repeated = read_questions(input_files)
    warn("given again with the same content, used once", repeated)
    selected = [question for question in questions if question.type == FLAGS.question_type]
    if not selected:
        types = ", ".join(sorted({question.type for question in questions})) or "no question"
        raise InputError(f"{FLAGS.input_file}: no {FLAGS.question_type} question; found: {types}")
    abstracts = load_abstracts(FLAGS.context, FLAGS.abstracts_file, selected)
    report = Report()
    paragraphs = list(make_paragraphs(selected, FLAGS.split, abstracts, report))
    action = "left out" if FLAGS.split == "train" else "written with an empty context"
    warn(f"without any snippet, {action}", report.without_context)
    warn("with a missing, blank or unusable exact answer, left out", report.without_exact_answer)
    print(format_report(report, FLAGS.question_type, FLAGS.split))
    if not paragraphs:
        raise InputError(f"{FLAGS.input_file}: no example to write; expected questions with snippets and exact answers")
    with atomic_write(FLAGS.output_file) as output:
        data = [{"title": VERSION, "paragraphs": paragraphs}]
        json.dump({"version": VERSION, "data": data}, output, indent=1)
        output.write("\n")


if __name__ == "__main__":
    define_flags()
    run(main)
