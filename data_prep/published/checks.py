"""Whether data that a user prepared or got as a registered person are of the shape that the programs read."""

import os

from common.errors import InputError
from data_prep.tasks import bioasq_questions, ner, relations

GOLDEN_FILES = tuple(f"{edition}B{batch}_golden.json" for edition in (4, 5, 6) for batch in range(1, 6))


def check_ner(directory):
    """Reads the files of an NER data set; the labels of test.tsv must be among those of the others."""
    known = set()
    for name in ("train.tsv", "devel.tsv"):
        path = os.path.join(directory, name)
        labels = {label for sentence in ner.read_sentences(path) for label in sentence.labels}
        known |= labels
    ner.read_sentences(os.path.join(directory, "test.tsv"), sorted(known))


def check_relations(directory):
    """Reads the files of a relation data set; the labels of test.tsv must be among those of train.tsv."""
    examples = relations.read_examples(os.path.join(directory, "train.tsv"))
    if not examples:
        raise InputError(f"{os.path.join(directory, 'train.tsv')}: empty; expected sentence, tab, label a line")
    relations.read_test_examples(os.path.join(directory, "test.tsv"), relations.labels_of(examples))


def check_golden(directory):
    """Reads the golden files of BioASQ; each must have an answer to a factoid question."""
    for name in GOLDEN_FILES:
        path = os.path.join(directory, name)
        questions, _ = bioasq_questions.read_questions([path])
        # Not all of them: 4B5_golden.json has a factoid question without an answer.
        if not any(question.type == "factoid" and bioasq_questions.exact_answers(question) for question in questions):
            raise InputError(f"{path}: no factoid question with an exact_answer; expected the golden file of a batch")
