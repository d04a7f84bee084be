"""biocodes/linking_eval.py: identifiers by document and by mention."""

import gzip

import pytest

from biocodes import linking_eval
from tests.helpers.programs import run_here

GOLD = """\
1|t|Lung cancer and ovarian cancer.
1|a|Cancer by zinc.
1\t0\t11\tLung cancer\tDisease\tD1
1\t16\t30\tovarian cancer\tDisease\tD2|D3
1\t32\t38\tCancer\tDisease\t-1
1\t42\t46\tzinc\tChemical\tMESH:C1
1\tCID\tC1\tD1

2|t|Cancer.
2|a|
2\t0\t6\tCancer\tDisease\tD1
"""
PREDICTED = """\
1|t|Lung cancer and ovarian cancer.
1|a|Cancer by zinc.
1\t0\t11\tLung cancer\tDisease\tMESH:D1
1\t16\t30\tovarian cancer\tDisease\tD3
1\t32\t38\tCancer\tDisease\tD9
1\t42\t46\tzinc\tChemical\tC1
"""


@pytest.fixture
def evaluate(tmp_path):
    def run(gold=GOLD, predicted=PREDICTED, *options):
        paths = {"gold_file": gold, "predicted_file": predicted}
        for name, text in paths.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        files = [f"--{name}={tmp_path / name}" for name in paths]
        return run_here("biocodes/linking_eval.py", *files, *options)

    return run


def test_scores(evaluate):
    """Right: D1, D2, D3, C1 of document 1, D1 of 2. Predicted: D1, D3, D9, C1; three are right."""
    result = evaluate()
    assert result.stdout == (
        "by document: precision 75.00%, recall 60.00%, F1 66.67%\n"
        "by mention: accuracy 50.00% of 4 mentions, 3 of which were found\n"
        "1 documents were not predicted\n"
    )


def test_scores_of_a_type(evaluate):
    assert evaluate(GOLD, PREDICTED, "--type=Chemical").stdout.startswith(
        "by document: precision 100.00%, recall 100.00%, F1 100.00%\nby mention: accuracy 100.00% of 1 mentions"
    )


def test_nothing_predicted(evaluate):
    assert "precision 0.00%, recall 0.00%, F1 0.00%" in evaluate(GOLD, "1|t|Lung cancer\n").stdout


@pytest.mark.parametrize(
    ("gold", "predicted", "options", "message"),
    [
        ("", PREDICTED, [], "gold_file: no document; expected PubTator"),
        (GOLD, GOLD.replace("2|", "3|").replace("2\t0", "3\t0"), [], "predicted_file: document 3, which"),
        (GOLD, PREDICTED + "7\t0\t4\tzinc\tChemical\tC1\n", [], "line 7: '7', which no title has"),
        (GOLD, PREDICTED + "1\t0\n", [], "line 7: 2 columns; expected id, start, end, text, type, concept"),
        (GOLD, PREDICTED, ["--type=Gene"], "gold_file: no mention of type Gene with an identifier"),
    ],
)
def test_files_that_do_not_fit(evaluate, gold, predicted, options, message):
    result = evaluate(gold, predicted, *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_invalid_utf8(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1|t|\xff\n")
    with pytest.raises(linking_eval.DataError, match=r"a, line 1: invalid UTF-8; expected UTF-8 text"):
        linking_eval.read_mentions(str(path))


@pytest.mark.parametrize("name", ["CDR_DevelopmentSet.PubTator.txt", "NCBI_devel.PubTator.txt"])
def test_a_gold_standard_agrees_with_itself(shared, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.decompress((shared / f"data/formats/{name}.gz").read_bytes()))
    mentions = linking_eval.read_mentions(str(path))
    scores = linking_eval.score(mentions, mentions)
    assert (scores.precision, scores.recall, scores.f1, scores.accuracy) == (1, 1, 1, 1)
    assert scores.mentions == scores.found > 700
