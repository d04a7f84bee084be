"""The printed figures of the paper: Lee et al., BioBERT, Bioinformatics 36(4), 2020, doi 10.1093/bioinformatics/btz682.

`paper_results.tsv` has Tables 6, 7 and 8, a row a data set and model; `paper_datasets.tsv` has Tables 1, 3, 4 and 5, a
row a count. Data sets and models have the names of their flag files in `configs/`. Scores are in percent, as printed.
"""

import dataclasses
import functools
import pathlib

from common.inputs import read_lines

# The three scores of a task in the order of their columns; the paper compares models by the last.
METRICS = {
    "ner": ("precision", "recall", "F1"),
    "re": ("precision", "recall", "F1"),
    "qa": ("strict accuracy", "lenient accuracy", "MRR"),
}
SIZE_TABLES = {"ner": 3, "re": 4, "qa": 5}
RESULT_TABLES = {"ner": 6, "re": 7, "qa": 8}
# The models of Tables 6 to 8 by name, as the paper heads their columns; beside them, the best earlier system.
MODELS = {
    "bert_base_cased": "BERT (Wiki + Books)",
    "biobert_v1.0_pubmed": "BioBERT v1.0 (+ PubMed)",
    "biobert_v1.0_pmc": "BioBERT v1.0 (+ PMC)",
    "biobert_v1.0_pubmed_pmc": "BioBERT v1.0 (+ PubMed + PMC)",
    "biobert_v1.1": "BioBERT v1.1 (+ PubMed)",
}
STATE_OF_THE_ART = "state_of_the_art"

# The text of the paper: a model of each task, and by how many points its micro average of F1 or MRR over the data sets
# exceeds that of the best earlier systems.
MICRO_AVERAGE_GAINS = {
    "ner": ("biobert_v1.1", 0.62),
    "re": ("biobert_v1.0_pubmed", 2.80),
    "qa": ("biobert_v1.1", 12.24),
}
# Of question answering, it also has the micro averages themselves, of BioBERT v1.1.
QA_MICRO_AVERAGES = (38.77, 53.81, 44.77)

# Section 4.2: steps of pre-training on PubMed of the models that had nothing else but BERT's own.
PUBMED_STEPS = {"bert_base_cased": 0, "biobert_v1.0_pubmed": 200_000, "biobert_v1.1": 1_000_000}


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A row of Table 1, 3, 4 or 5: `type` as printed there, `counts` by what is counted, for instance annotations."""

    name: str
    table: int
    title: str
    type: str
    counts: dict


def _rows(name):
    """The rows of a file beside this one, without its header: lists of columns."""
    path = pathlib.Path(__file__).with_name(name)
    return [line.split("\t") for number, line in read_lines(path) if number > 1]


@functools.cache
def sizes():
    """Tables 1 (corpora), 3 (NER), 4 (RE) and 5 (QA): dict of `DataSet` by name, in their order."""
    data_sets = {}
    for table, name, title, type_, unit, count in _rows("paper_datasets.tsv"):
        data_set = data_sets.setdefault(name, DataSet(name, int(table), title, type_, {}))
        data_set.counts[unit] = int(count)
    return data_sets


def titles():
    """The paper's names of corpora and data sets, by name; where it tells two apart by their type, with that."""
    return {name: data_set.title for name, data_set in sizes().items()}


def data_sets(task):
    """The names of the data sets of a task (`ner`, `re` or `qa`), in the order of its tables."""
    return [name for name, data_set in sizes().items() if data_set.table == SIZE_TABLES[task]]


@functools.cache
def results():
    """Tables 6 (NER), 7 (RE) and 8 (QA): dict from (data set, model) to three scores, those of `METRICS`.

    Models are those of `MODELS` and `STATE_OF_THE_ART`.
    """
    return {
        (data_set, model): tuple(float(score) for score in scores)
        for data_set, model, *scores in _rows("paper_results.tsv")
    }


def headline(data_set, model):
    """The score by which the paper compares models: F1 of entities or relations, MRR of answers."""
    return results()[data_set, model][-1]


def figure_2c():
    """Figure 2(c), computed from Tables 6 to 8: points gained by BioBERT v1.0 (+ PubMed + PMC) over BERT, by data set.

    Returns:
      Dict of 15 differences in F1 or MRR, to two decimals as the scores.
    """
    return {
        name: round(headline(name, "biobert_v1.0_pubmed_pmc") - headline(name, "bert_base_cased"), 2)
        for task in METRICS
        for name in data_sets(task)
    }


def points_over_steps(data_set):
    """The points of Figure 2(b) that have printed scores: at 0, 200K and 1M steps on PubMed.

    The figure follows the checkpoints of one run; here, 200K steps are BioBERT v1.0 (+ PubMed), a run of its own.

    Returns:
      List of (steps, F1 or MRR).
    """
    return [(steps, headline(data_set, model)) for model, steps in PUBMED_STEPS.items()]


def points_over_words(data_set):
    """The ends of Figure 2(a), which have printed scores: no PubMed, and 200K steps on all of it.

    Returns:
      List of (words of PubMed, F1 or MRR).
    """
    words = sizes()["pubmed"].counts["words"]
    return [(0, headline(data_set, "bert_base_cased")), (words, headline(data_set, "biobert_v1.0_pubmed"))]
