"""Table 9: entities of two models and their marks, answers, which samples are taken, from hand-written results."""

import json
import pathlib

import pytest

from common.errors import InputError
from reproduction import samples
from reproduction.data_sets import DATA_SETS, Gap, Model
from reproduction.experiments import Experiment, Result
from reproduction.programs import Setting
from reproduction.report import Span


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("O O", set()),
        ("B-x I-x O", {(0, 2, "x")}),
        ("B-x B-x I-x", {(0, 1, "x"), (1, 3, "x")}),
        ("O I-x I-x", {(1, 3, "x")}),
        ("B-x I-y", {(0, 1, "x"), (1, 2, "y")}),
        ("B I O B", {(0, 2, ""), (3, 4, "")}),
    ],
)
def test_entities_are_those_of_conlleval(labels, expected):
    assert samples.entities(labels.split()) == expected


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [
        ([(0, 2)], [(0, 2)], {(0, 2): "same"}),
        ([(0, 2)], [], {(0, 2): "missed"}),
        ([], [(3, 4)], {(3, 4): "spurious"}),
        ([(0, 2)], [(1, 2)], {(1, 2): "differs"}),
        # Both parts of one, and one over two.
        ([(0, 3)], [(0, 1), (2, 3)], {(0, 1): "differs", (2, 3): "differs"}),
        ([(0, 1), (2, 3)], [(0, 3)], {(0, 3): "differs"}),
        # Beside it, not over it.
        ([(0, 2)], [(2, 3)], {(0, 2): "missed", (2, 3): "spurious"}),
    ],
)
def test_what_each_entity_is(gold, found, expected):
    gold, found = ({(*span, "x") for span in spans} for spans in (gold, found))
    assert samples.compare(gold, found) == {(*span, "x"): kind for span, kind in expected.items()}


def test_entities_of_another_type_differ():
    assert samples.compare({(0, 1, "x")}, {(0, 1, "y")}) == {(0, 1, "y"): "differs"}


def test_marks_are_around_the_words_of_an_entity():
    spans = samples.mark("a b c d".split(), {(1, 3, "x"): "missed", (3, 4, "x"): "same"})
    assert "".join(span.text for span in spans) == "a b c d "
    assert [span for span in spans if span.kind] == [Span("b c", "missed"), Span("d", "same")]


# The report on two models: four sentences, and questions of five batches

GOLD = ["no O|gout B", "lung B|cancer I|cells O", "flu B", "all O|well O"]
FIRST = ["no O|gout O", "lung O|cancer B|cells O", "flu B", "all O|well B"]
SECOND = ["no O|gout B", "lung B|cancer I|cells O", "flu O", "all O|well O"]


def conll(predicted):
    """NER_result_conll.txt."""
    lines = []
    for gold, found in zip(GOLD, predicted, strict=True):
        for true, other in zip(gold.split("|"), found.split("|"), strict=True):
            lines.append(f"{true}-MISC {other.split()[1]}-MISC".replace("O-MISC", "O"))
        lines.append("")
    return "\n".join(lines) + "\n"


def questions(answers, gold=False):
    synonyms = [["x"], ["X-ray"]] if gold else [["y"]]
    entries = [{"id": i, "type": "factoid", "body": f"Which {i}?", "exact_answer": a or synonyms} for i, a in answers]
    return json.dumps({"questions": entries})


@pytest.fixture
def runs(tmp_path):
    """A setting of two models that have been run, its plans and the results."""
    told = Setting(
        [Model("bert_base_cased", ""), Model("mine", "")],
        ["ncbi_disease", "bioasq_6b"],
        [Gap("bc2gm: no directory", "python -m data_prep.download ner")],
        f"{tmp_path}/data",
        f"{tmp_path}/out",
        [7],
        [],
    )
    plans = []
    for name in told.names:
        for model, predicted, answers in [("bert_base_cased", FIRST, "xyy"), ("mine", SECOND, "xxx")]:
            directory = tmp_path / "out/runs" / name / model / "seed7"
            directory.mkdir(parents=True)
            plans.append(Experiment(name, model, 7, str(directory), [["run.py"]]))
            (directory / "NER_result_conll.txt").write_text(conll(predicted))
            for batch in range(1, 6):
                (directory / f"batch{batch}").mkdir()
                entries = [(f"{batch}{i}", [[answer]]) for i, answer in enumerate(answers)]
                path = directory / f"batch{batch}/BioASQform_BioASQ-answer.json"
                path.write_text(questions(entries if batch == 1 else [(f"{batch}", [])]))
    golden = tmp_path / "data/QA/BioASQ"
    golden.mkdir(parents=True)
    for batch in range(1, 6):
        entries = [(f"{batch}{i}", None) for i in range(3)] if batch == 1 else [(f"{batch}", None)]
        (golden / f"6B{batch}_golden.json").write_text(questions(entries, gold=True))
    result = Result(["python run.py"], True, [1.0, 2.0, 3.0], 1.0, "2 cores", "Python")
    return told, plans, {plan.key: result for plan in plans}


def test_samples_that_one_model_has_right(runs):
    told, plans, _ = runs
    section = samples.section("ncbi_disease", plans[:2], told.data_dir, 1)
    text, second, first = section.items
    assert section.title == "NCBI Disease"
    assert text.content == "Of 4 sentences of the test set, both models have 0 right, and neither has 0 (seed 7)."
    assert second.caption == "Right only with mine: 3, the first 1"
    assert first.caption == "Right only with BERT (Wiki + Books): 1"

    def plain(rows):
        return [[*row[:2], [span for span in row[2] if span.text.strip()]] for row in rows]

    assert plain(second.rows) == [
        ["1", "annotated", [Span("no "), Span("gout", "same")]],
        ["1", "BERT (Wiki + Books)", [Span("no "), Span("gout", "missed")]],
        ["1", "mine", [Span("no "), Span("gout", "same")]],
    ]
    assert plain(first.rows) == [
        ["1", "annotated", [Span("flu", "same")]],
        ["1", "BERT (Wiki + Books)", [Span("flu", "same")]],
        ["1", "mine", [Span("flu", "missed")]],
    ]
    _, second, _ = samples.section("ncbi_disease", plans[:2], told.data_dir, 3).items
    assert second.caption == "Right only with mine: 3"
    bert = [row[2] for row in plain(second.rows) if row[1].startswith("BERT")]
    assert bert[1:] == [
        [Span("lung "), Span("cancer", "differs"), Span("cells")],
        [Span("all "), Span("well", "spurious")],
    ]


def test_answers_of_which_one_is_right(runs):
    told, plans, _ = runs
    text, second, first = samples.section("bioasq_6b", plans[2:], told.data_dir, 5).items
    assert text.content == "Of 7 questions of the test set, both models have 1 right, and neither has 4 (seed 7)."
    assert second.caption == "Right only with mine: 2"
    assert first.caption == "Right only with BERT (Wiki + Books): 0"
    assert first.rows == []
    assert second.rows[:4] == [
        ["1", "question", "Which 11?"],
        ["1", "right answers", "x / X-ray"],
        ["1", "BERT (Wiki + Books)", [Span("y", "differs")]],
        ["1", "mine", [Span("x", "same")]],
    ]


def test_the_report_has_the_data_sets_that_both_models_were_run_on(runs):
    told, plans, results = runs
    del results["bioasq_6b", "mine", 7]
    samples.write_report(told, plans, results, 3)
    html = pathlib.Path(told.output_dir, "table9.html").read_text()
    assert "NCBI Disease</h2>" in html
    assert "BioASQ 6b</h2>" not in html
    assert '<mark class="differs"><b>≠</b>&nbsp;cancer</mark>' in html
    assert "found with other bounds" in html
    markdown = pathlib.Path(told.output_dir, "table9.md").read_text()
    assert "lung <b>\\[≠ cancer\\]</b> cells" in markdown
    assert "bc2gm: no directory" in markdown.replace("\\", "")


def test_predictions_of_other_sentences_cannot_be_compared(runs):
    told, plans, _ = runs
    path = pathlib.Path(plans[1].directory, "NER_result_conll.txt")
    path.write_text(path.read_text().replace("flu", "cold"))
    with pytest.raises(InputError, match="ncbi_disease: the two models labelled other sentences"):
        samples.section("ncbi_disease", plans[:2], told.data_dir, 1)


def test_data_sets_are_those_of_the_paper_s_table():
    assert {DATA_SETS[name].task for name in samples.DATA_SETS} == {"ner", "qa"}
    assert set(samples.DATA_SETS) <= set(samples.NAMES) <= set(DATA_SETS)
