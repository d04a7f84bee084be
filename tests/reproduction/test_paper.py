"""The printed figures that reports stand beside: those of the paper's tables, number by number."""

import csv

import pytest

from reproduction import paper

# Our names of the data sets and models, by those of ../shared/paper.
DATA_SETS = {
    "NCBI-disease": "ncbi_disease",
    "i2b2-2010": "i2b2_2010",
    "BC5CDR-disease": "bc5cdr_disease",
    "BC5CDR-chem": "bc5cdr_chem",
    "BC4CHEMD": "bc4chemd",
    "BC2GM": "bc2gm",
    "JNLPBA": "jnlpba",
    "linnaeus": "linnaeus",
    "s800": "s800",
    "GAD": "gad",
    "EU-ADR": "euadr",
    "CHEMPROT": "chemprot",
    "BioASQ-4b": "bioasq_4b",
    "BioASQ-5b": "bioasq_5b",
    "BioASQ-6b": "bioasq_6b",
}
CORPORA = {
    "English Wikipedia": "wikipedia",
    "BooksCorpus": "books",
    "PubMed Abstracts": "pubmed",
    "PMC Full-text articles": "pmc",
}
MODELS = {
    "sota": "state_of_the_art",
    "bert": "bert_base_cased",
    "biobert_v1.0_pubmed": "biobert_v1.0_pubmed",
    "biobert_v1.0_pmc": "biobert_v1.0_pmc",
    "biobert_v1.0_pubmed_pmc": "biobert_v1.0_pubmed_pmc",
    "biobert_v1.1_pubmed": "biobert_v1.1",
}
METRICS = {"f1": "F1", "mrr": "MRR", "strict_accuracy": "strict accuracy", "lenient_accuracy": "lenient accuracy"}


def read_tsv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_results_are_those_of_tables_6_to_8(shared):
    rows = read_tsv(shared / "paper/results.tsv")
    expected = {}
    for row in rows:
        column = paper.METRICS[row["task"]].index(METRICS.get(row["metric"], row["metric"]))
        for theirs, ours in MODELS.items():
            expected[DATA_SETS[row["dataset"]], ours, column] = float(row[theirs])
        assert int(row["table"]) == paper.RESULT_TABLES[row["task"]]
    assert len(expected) == 15 * 6 * 3
    results = paper.results()
    assert {(*key, column): score for key, scores in results.items() for column, score in enumerate(scores)} == expected
    for task in paper.METRICS:
        printed = [DATA_SETS[row["dataset"]] for row in rows if row["task"] == task]
        assert paper.data_sets(task) == list(dict.fromkeys(printed))


def test_sizes_are_those_of_tables_1_and_3_to_5(shared):
    names = DATA_SETS | CORPORA
    expected = {}
    for row in read_tsv(shared / "paper/datasets.tsv"):
        count = row["count"]
        count = round(float(count[:-1]) * 1e9) if count.endswith("B") else int(count)
        unit = row["kind"].replace("train questions", "training questions")
        expected[int(row["table"]), names[row["dataset"]], unit] = count
    sizes = paper.sizes()
    ours = {(size.table, name, unit): count for name, size in sizes.items() for unit, count in size.counts.items()}
    assert ours == expected
    assert all(size.name == name for name, size in sizes.items())


@pytest.mark.parametrize(
    ("data_set", "model", "scores"),
    [
        ("ncbi_disease", "biobert_v1.1", (88.22, 91.25, 89.71)),
        ("ncbi_disease", "bert_base_cased", (84.12, 87.19, 85.63)),
        ("linnaeus", "state_of_the_art", (92.80, 94.29, 93.54)),
        ("euadr", "biobert_v1.0_pmc", (81.05, 93.90, 86.51)),
        ("bioasq_5b", "biobert_v1.1", (46.00, 60.00, 51.64)),
    ],
)
def test_scores(data_set, model, scores):
    assert paper.results()[data_set, model] == scores
    assert paper.headline(data_set, model) == scores[2]


def test_sizes_and_titles():
    assert paper.sizes()["ncbi_disease"].counts == {"annotations": 6881}
    assert paper.sizes()["bioasq_4b"].counts == {"training questions": 327, "test questions": 161}
    assert paper.sizes()["pmc"].counts == {"words": 13_500_000_000}
    assert (paper.sizes()["bc2gm"].type, paper.sizes()["chemprot"].type) == ("Gene/protein", "Protein–chemical")
    titles = paper.titles()
    assert (titles["ncbi_disease"], titles["i2b2_2010"], titles["s800"]) == (
        "NCBI Disease",
        "2010 i2b2/VA",
        "Species-800",
    )
    assert len(set(titles.values())) == len(titles) == 15 + 4


def test_names_are_those_of_the_flag_files(repository):
    for task in paper.METRICS:
        files = {path.stem for path in (repository / "configs" / task).iterdir()}
        assert set(paper.data_sets(task)) == {name for name in files if not name.endswith("base")} - {"squad"}
    assert set(paper.MODELS) < {path.stem for path in (repository / "configs/model").iterdir()}


def test_figure_2c_is_the_gain_of_pubmed_and_pmc_over_bert():
    gains = paper.figure_2c()
    assert list(gains) == list(DATA_SETS.values())
    assert (gains["ncbi_disease"], gains["euadr"], gains["bioasq_6b"]) == (3.73, 0.21, 6.60)
    assert min(gains.values()) == 0.21  # BioBERT is better on all 15


def test_points_of_figures_2a_and_2b():
    assert paper.points_over_steps("ncbi_disease") == [(0, 85.63), (200_000, 87.38), (1_000_000, 89.71)]
    assert paper.points_over_words("jnlpba") == [(0, 74.94), (4_500_000_000, 76.65)]


def test_micro_averages_of_question_answering_agree_with_the_tables():
    """The text's figures are the scores of table 8, weighted by the test questions of table 5."""
    questions = {name: paper.sizes()[name].counts["test questions"] for name in paper.data_sets("qa")}

    def average(model, column):
        weighted = (count * paper.results()[name, model][column] for name, count in questions.items())
        return sum(weighted) / sum(questions.values())

    model, gain = paper.MICRO_AVERAGE_GAINS["qa"]
    for column, printed in enumerate(paper.QA_MICRO_AVERAGES):
        assert average(model, column) == pytest.approx(printed, abs=0.01)
    assert average(model, 2) - average("state_of_the_art", 2) == pytest.approx(gain, abs=0.01)
    assert (paper.MICRO_AVERAGE_GAINS["ner"], gain) == (("biobert_v1.1", 0.62), 12.24)
