"""The three scores of a fine-tuning run, read from the files that it wrote, in percent."""

import os
import re

from biocodes import bioasq_eval
from common.errors import InputError
from reproduction.data_sets import BATCHES, DATA_SETS, bioasq_files, edition_of, locate


def read(experiment, data_dir):
    """The scores of an `Experiment` whose commands have ended, or None of a stage before.

    Returns:
      Precision, recall and F1 of entities or relations (means over the folds of a cross-validation); strict accuracy,
      lenient accuracy and MRR over the questions of all test sets.

    Raises:
      InputError: it has not written its results, or they do not fit the data set.
    """
    task = DATA_SETS[experiment.data_set].task
    try:
        if task == "ner":
            return _entity_scores(experiment.directory)
        if task == "re":
            return _relation_scores(experiment.directory)
        return None if experiment.data_set == "squad" else _answer_scores(experiment, data_dir)
    except FileNotFoundError as error:
        raise InputError(f"{experiment}: ended without {error.filename}; the same command tries again") from None
    except bioasq_eval.DataError as error:
        raise InputError(f"{experiment}: {error}") from None


def _entity_scores(directory):
    """Of the report of `conlleval`, whose first line with scores is on all types of entities."""
    with open(os.path.join(directory, "predict_entity_results.txt"), encoding="utf-8") as file:
        found = re.search(r"precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", file.read())
    return tuple(map(float, found.groups()))


def _relation_scores(directory):
    folds = os.path.join(directory, "cross_validation_results.txt")
    if os.path.exists(folds):
        with open(folds, encoding="utf-8") as file:
            rows = {line[:18].strip(): line[18:] for line in file}
        names = re.findall(r"\S+(?: \S+)*", rows[""])
        values = dict(zip(names, rows["mean"].replace("%", "").split(), strict=True))
    else:
        with open(os.path.join(directory, "predict_scores.txt"), encoding="utf-8") as file:
            values = dict(re.findall(r"^(\w[\w ]*?) +: +([\d.]+)%$", file.read(), re.MULTILINE))
    return tuple(float(values[name]) for name in ("precision", "recall", "f1 score"))


def _answer_scores(experiment, data_dir):
    """Means over the questions of the five test sets."""
    data = locate(DATA_SETS[experiment.data_set], data_dir)
    files = bioasq_files(edition_of(experiment.data_set))
    sums, count = [0.0, 0.0, 0.0], 0
    for batch in BATCHES:
        answers = os.path.join(experiment.directory, f"batch{batch}", "BioASQform_BioASQ-answer.json")
        golden = os.path.join(data, files[f"golden{batch}"])
        measures = bioasq_eval.evaluate(bioasq_eval.read_questions(golden), bioasq_eval.read_questions(answers))
        scores = (measures.factoid_strict_accuracy, measures.factoid_lenient_accuracy, measures.factoid_mrr)
        sums = [total + score * measures.factoid_questions for total, score in zip(sums, scores, strict=True)]
        count += measures.factoid_questions
    if not count:
        raise InputError(f"{experiment}: no factoid question in the golden files of {data}")
    return tuple(100 * total / count for total in sums)
