"""Tables 3 to 8 and Figure 2 from hand-made results: means, deviations, the paper's figures and the differences."""

import json
import pathlib
import types

import pytest

from common.errors import InputError
from reproduction import curves, data_sets, experiments, gains, programs, sizes, tables
from reproduction.data_sets import DATA_SETS, Gap, Model
from reproduction.experiments import Result
from reproduction.programs import Setting
from reproduction.report import Code
from tests.reproduction.test_data_sets import make_files, make_model


def result(*scores, seconds=65.0, commands=("python run_ner.py --seed=1",)):
    return Result(list(commands), True, list(scores) or None, seconds, "2 cores", "Python 3.11.7, commit abc")


def setting(output_dir, names, models, seeds=(1,), missing=()):
    return Setting([Model(name, "") for name in models], names, list(missing), "data", str(output_dir), list(seeds), [])


def markdown(path):
    """The report's text without escapes, and the rows of its tables."""
    text = pathlib.Path(path).read_text().replace("\\", "")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return text, rows


# Tables 6 to 8

RESULTS = {
    ("ncbi_disease", "biobert_v1.1", 1): result(88.0, 91.0, 89.0),
    ("ncbi_disease", "biobert_v1.1", 2): result(89.0, 92.5, 90.0),
    ("ncbi_disease", "biobert_v1.1", 3): result(90.0, 91.0, 92.0),
    ("ncbi_disease", "mine", 1): result(10.0, 20.0, 13.33),
}


def test_scores_are_means_and_deviations_beside_the_paper_s():
    keys = [("ncbi_disease", "biobert_v1.1"), ("ncbi_disease", "mine"), ("s800", "mine")]
    table = tables.scores_table("ner", keys, RESULTS)
    assert table.header[2:] == [
        *(("here", name) for name in ("precision", "recall", "F1")),
        *(("in the paper", name) for name in ("precision", "recall", "F1")),
        *(("difference", "F1"), ("", "seeds")),
    ]
    assert table.rows == [
        # Of 89, 90 and 92: mean 271/3, variance ((4/3)^2 + (1/3)^2 + (5/3)^2) / 2 = 7/3. Table 6: 88.22, 91.25, 89.71.
        ["NCBI Disease", "BioBERT v1.1 (+ PubMed)", "89.00 ± 1.00", "91.50 ± 0.87", "90.33 ± 1.53"]
        + ["88.22", "91.25", "89.71", "+0.62", "3"],
        ["NCBI Disease", "mine", "10.00", "20.00", "13.33", "", "", "", "", "1"],
        ["Species-800", "mine", "", "", "", "", "", "", "", "0"],
    ]
    assert table.note.startswith("Mean and standard deviation over the seeds.")


def test_one_seed_has_no_deviation_and_no_word_of_one():
    one = {("bioasq_4b", "bert_base_cased", 1): result(20.0, 40.0, 30.0)}
    table = tables.scores_table("qa", [("bioasq_4b", "bert_base_cased")], one)
    assert table.rows[0][2:] == ["20.00", "40.00", "30.00", "27.33", "44.72", "33.77", "-3.77", "1"]
    assert table.note == "Paper: Lee et al. 2020."


def test_runs_have_score_time_hardware_versions_and_commands_the_stage_before_last():
    results = {
        ("squad", "mine", 1): result(seconds=3725.0),
        ("bioasq_6b", "mine", 1): result(1.0, 2.0, 3.456, seconds=59.6, commands=["python a", "python b"]),
    }
    table = tables.runs_table(results)
    assert [row[:7] for row in table.rows] == [
        ["BioASQ 6b", "mine", "1", "3.46", "1 min 0 s", "2 cores", "Python 3.11.7, commit abc"],
        ["SQuAD 1.1", "mine", "1", "", "1 h 2 min", "2 cores", "Python 3.11.7, commit abc"],
    ]
    assert table.rows[0][7] == Code("python a\npython b")


def test_a_report_of_no_results_says_what_is_missing(tmp_path):
    gap = Gap("s800: no directory data/NER/s800", "python -m data_prep.download ner --data_dir=data")
    told = setting(tmp_path, ["ncbi_disease"], ["biobert_v1.1"], missing=[gap])
    report = tables.make_report(6, told, {})
    paths = tables.write(report, str(tmp_path), "table6")
    _, rows = markdown(paths[0])
    assert ["NCBI Disease", "BioBERT v1.1 (+ PubMed)", "", "", "", "88.22", "91.25", "89.71", "", "0"] in rows
    assert [gap.what, gap.command] in rows


# Figure 2(c)


def test_gains_are_those_of_seeds_that_both_models_have(tmp_path):
    results = {
        ("gad", "bert_base_cased", 1): result(0, 0, 79.0),
        ("gad", "bert_base_cased", 2): result(0, 0, 80.0),
        ("gad", "bert_base_cased", 3): result(0, 0, 90.0),
        ("gad", "biobert_v1.0_pubmed_pmc", 1): result(0, 0, 80.0),
        ("gad", "biobert_v1.0_pubmed_pmc", 2): result(0, 0, 83.0),
        ("euadr", "bert_base_cased", 1): result(0, 0, 80.0),
        ("euadr", "biobert_v1.0_pubmed_pmc", 1): result(0, 0, 79.5),
    }
    gains.write_report(setting(tmp_path, ["gad", "euadr"], gains.MODELS, [1, 2, 3]), results)
    text, rows = markdown(tmp_path / "figure2c.md")
    # Gains 1 and 3: mean 2, deviation sqrt(2). Table 7: GAD 81.52 - 79.29, EU-ADR 84.83 - 84.62.
    assert ["GAD", "+2.00 ± 1.41", "+2.23", "-0.23", "2"] in rows
    assert ["EU-ADR", "-0.50", "+0.21", "-0.71", "1"] in rows
    assert ["BC2GM", "", "+2.61", "", "0"] in rows
    assert "In the paper: BioBERT v1.0 (+ PubMed + PMC) over BERT (Wiki + Books), by its Tables 6 to 8." in text
    for extension in ("png", "svg", "html"):
        assert (tmp_path / f"figure2c.{extension}").stat().st_size > 1000


def test_the_paper_s_gains_are_those_of_the_models_that_are_compared():
    printed, pair = gains.printed_gains("bert_base_cased", "biobert_v1.1")
    assert pair == ("bert_base_cased", "biobert_v1.1")
    assert printed["ncbi_disease"] == pytest.approx(89.71 - 85.63)
    printed, pair = gains.printed_gains("small", "biobert_v1.1")
    assert list(pair) == ["bert_base_cased", "biobert_v1.0_pubmed_pmc"]
    assert printed["ncbi_disease"] == 3.73


# Figures 2(a) and 2(b)


@pytest.mark.parametrize(
    ("name", "place"), [("0", 0), ("500", 500), ("200K", 200_000), ("1M", 1_000_000), ("4.5B", 4_500_000_000)]
)
def test_places_on_the_axis(tmp_path, name, place):
    assert curves.place_of(Model(name, make_model(tmp_path / name))) == place


def test_names_that_are_no_places_and_models_without_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a name like 0, 200K or 4.5B"):
        curves.place_of(Model("biobert", make_model(tmp_path / "biobert")))
    # Random weights are what zero steps give, and no other number.
    assert curves.place_of(Model("0", make_model(tmp_path / "0", checkpoint=None))) == 0
    with pytest.raises(InputError, match="200K: no checkpoint"):
        curves.place_of(Model("200K", make_model(tmp_path / "200K", checkpoint=None)))


def test_a_curve_has_the_paper_s_points_where_it_has_some(tmp_path):
    results = {
        ("ncbi_disease", "0", 1): result(0, 0, 80.0),
        ("ncbi_disease", "0", 2): result(0, 0, 82.0),
        ("ncbi_disease", "5K", 1): result(0, 0, 85.5),
        ("ncbi_disease", "200K", 1): result(0, 0, 87.5),
    }
    places = {"0": 0.0, "5K": 5e3, "200K": 2e5}
    curves.write_report("2b", setting(tmp_path, ["ncbi_disease"], places, [1, 2]), places, results, True)
    text, rows = markdown(tmp_path / "figure2b.md")
    header = rows.index(["Data set", "pre-training steps", "F1 here", "F1 in the paper", "difference", "seeds"])
    assert rows[header + 2 : header + 5] == [
        ["NCBI Disease", "0", "81.00 ± 1.41", "85.63", "-4.63", "2"],
        ["", "5K", "85.50", "", "", "1"],
        ["", "200K", "87.50", "87.38", "+0.12", "1"],
    ]
    assert "Points of the paper: those of its models that Table 6 has the scores of." in text
    assert "NCBI Disease (paper)" in (tmp_path / "figure2b.svg").read_text()


def test_a_curve_of_another_model_is_drawn_without_the_paper(tmp_path):
    places = {"0": 0.0, "500": 500.0}
    told = setting(tmp_path, ["ncbi_disease"], places)
    curves.write_report("2a", told, places, {}, False)  # before the first run has ended
    curves.write_report("2a", told, places, {("ncbi_disease", "500", 1): result(0, 0, 50.0)}, False)
    text, rows = markdown(tmp_path / "figure2a.md")
    assert ["NCBI Disease", "500", "50.00", "1"] in rows
    assert "paper" not in (tmp_path / "figure2a.svg").read_text()


def test_the_axis_is_logarithmic_where_the_paper_s_points_are_far_from_ours(tmp_path):
    places = {"0": 0.0, "500": 500.0}
    results = {("ncbi_disease", name, 1): result(0, 0, 50.0) for name in places}
    curves.write_report("2b", setting(tmp_path, ["ncbi_disease"], places), places, results, True)
    labels = (tmp_path / "figure2b.svg").read_text()
    assert all(f">{label}</text>" in labels for label in ("0", "500", "200K", "1M"))


# Tables 3 to 5


def test_sizes_are_counted_in_the_files(tmp_path):
    ner, re, qa = tmp_path / "NER/JNLPBA", tmp_path / "RE", tmp_path / "QA/BioASQ"
    make_files(ner, ["train.tsv", "devel.tsv", "test.tsv"])
    (ner / "train.tsv").write_text("BRCA1\tB-protein\nkinase\tI-protein\nis\tO\n\np53\tB-DNA\nMDM2\tB-protein\n")
    (ner / "devel.tsv").write_text("None\tO\n")
    (ner / "test.tsv").write_text("TNF\tB\n")
    make_files(re / "GAD", [f"{fold}/{name}.tsv" for fold in range(1, 11) for name in ("train", "test")])
    (re / "GAD/1/train.tsv").write_text("a\t1\nb\t0\nc\t1\n")
    (re / "GAD/1/test.tsv").write_text("index\tsentence\tlabel\n0\td\t0\n")
    for name in ("train", "dev"):
        make_files(re / "chemprot", [f"{name}.tsv"])
        (re / f"chemprot/{name}.tsv").write_text("a\tcpr:3\nb\tfalse\n")
    (re / "chemprot/test.tsv").write_text("index\tsentence\tlabel\n0\ta\tcpr:9\n1\tb\tcpr:4\n2\tc\tfalse\n")
    qa.mkdir(parents=True)
    for name, ids in [
        ("train", ["a_000", "a_001", "b_000"]),
        *((f"test{i}", [f"{i}_000", "c_000"]) for i in range(1, 6)),
    ]:
        paragraphs = [{"context": "", "qas": [{"id": identifier, "question": "?"}]} for identifier in ids]
        path = qa / data_sets.bioasq_files(4)[name]
        path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))

    counts = {name: sizes.count(DATA_SETS[name], str(tmp_path)) for name in ("jnlpba", "gad", "chemprot", "bioasq_4b")}
    assert counts == {
        "jnlpba": ({"annotations": 4}, None),
        "gad": ({"relations": 4}, None),
        "chemprot": ({"relations": 4}, None),
        "bioasq_4b": ({"training questions": 2, "test questions": 6}, None),
    }
    (re / "chemprot/dev.tsv").unlink()  # table 7 does without it
    counted, gap = sizes.count(DATA_SETS["chemprot"], str(tmp_path))
    assert counted == {}
    assert str(gap).startswith(f"chemprot: {re}/chemprot without dev.tsv; python -m data_prep.download chemprot")
    (qa / "BioASQ-test-factoid-4b-2.json").unlink()
    counted, gap = sizes.count(DATA_SETS["bioasq_4b"], str(tmp_path))
    assert counted == {"training questions": 2}
    assert "BioASQ-test-factoid-4b-2.json" in gap.what


def test_sizes_beside_the_paper_s():
    row = sizes.paper.sizes()["bioasq_4b"]
    assert sizes.rows_of(row, {"training questions": 1209}) == [
        ["BioASQ 4b", "Factoid", "training questions", "1,209", "327", "+882"],
        ["BioASQ 4b", "Factoid", "test questions", "–", "161", ""],
    ]


# The command line


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Sets up a program with flags; a model and two data sets are there."""
    make_model(tmp_path / "models/biobert_v1.1")
    for name in ("NCBI-disease", "s800"):
        make_files(tmp_path / "data/NER" / name, ["train.tsv", "devel.tsv", "test.tsv"])

    def set_up(*argv, names=("ncbi_disease", "s800", "bc2gm"), **flags):
        monkeypatch.chdir(tmp_path)  # and back after the test: it changes to the root of the repository
        values = {"seeds": ["1"], "data_sets": None, "models": None, "output_dir": "out"} | flags
        return programs.set_up(["tables", *argv], types.SimpleNamespace(**values), list(names))

    return set_up


def test_paths_are_the_user_s_and_the_plan_has_all_data_sets_models_and_seeds(told, tmp_path, caplog):
    make_model(tmp_path / "models/mine")
    found = told("models", "data", "--num_train_epochs=1", seeds=["2", "1"])
    assert (found.data_dir, found.output_dir) == (f"{tmp_path}/data", f"{tmp_path}/out")
    assert [str(gap) for gap in found.missing] == [
        f"bc2gm: no directory {tmp_path}/data/NER/BC2GM; python -m data_prep.download ner --data_dir={tmp_path}/data"
    ]
    assert [record.message for record in caplog.records] == [f"missing: {found.missing[0]}"]
    plans = found.plans()
    assert [plan.key for plan in plans] == [
        (name, model, seed)
        for name in ("ncbi_disease", "s800")
        for model in ("biobert_v1.1", "mine")
        for seed in (2, 1)
    ]
    assert len({plan.directory for plan in plans}) == 8
    assert all("--num_train_epochs=1" in plan.commands[0] for plan in plans)


def test_paths_in_the_repository_are_written_relative_to_it(monkeypatch, tmp_path):
    monkeypatch.chdir(experiments.ROOT)
    assert experiments.enter_root("models", "/elsewhere/data") == ["models", "/elsewhere/data"]


def test_without_squad_it_is_said(told, tmp_path):
    files = DATA_SETS["bioasq_4b"].files
    make_files(tmp_path / "data/QA/BioASQ", files)
    (gap,) = told("models", "data", names=["bioasq_4b"]).missing
    assert gap.what == (
        f"squad: no directory {tmp_path}/data/QA/squad (without it, BioASQ starts from the model itself, not as in the "
        "paper)"
    )
    make_files(tmp_path / "data/QA/squad", ["train-v1.1.json"])
    assert told("models", "data", names=["bioasq_4b"]).missing == []


@pytest.mark.parametrize(
    ("argv", "flags", "message"),
    [
        ([], {}, r"arguments \(none\): expected MODEL_DIR DATA_DIR, and flags"),
        (["models", "data", "3"], {}, "arguments models data 3: expected MODEL_DIR DATA_DIR"),
        (["models", "data"], {"seeds": []}, "--seeds=: expected numbers, each once"),
        (["models", "data"], {"seeds": ["1", "01"]}, "--seeds=1,01: expected numbers, each once"),
        (["models", "data"], {"seeds": ["-1"]}, "--seeds=-1: expected numbers"),
        (["models", "data"], {"data_sets": ["gad"]}, "--data_sets=gad: expected some of ncbi_disease, s800, bc2gm"),
        (["models", "data"], {"data_sets": ["bc2gm"]}, "data: none of the data sets is there: bc2gm"),
        (["models", "data"], {"models": ["a", "a"]}, "--models=a,a: expected names of directories, each once"),
        (["models/biobert_v1.1", "data"], {"models": ["../x"]}, r"--models=\.\./x: expected names of directories"),
        (["models", "data", "--seed=2"], {}, "--seed=2: this program sets it"),
        (["models", "data", "-nodo_train"], {}, "-nodo_train: this program sets it"),
        (["models", "data", "--init_checkpoint=x"], {}, "--init_checkpoint=x: this program sets it"),
    ],
)
def test_bad_command_lines(told, argv, flags, message):
    with pytest.raises(InputError, match=message):
        told(*argv, **flags)


def test_data_is_named_as_missing_before_models_are(told, tmp_path, caplog):
    with pytest.raises(InputError, match="nothing: no model"):
        told("nothing", "nowhere", names=["gad"])
    assert [record.message.split(";")[0] for record in caplog.records] == [
        f"missing: gad: no directory {tmp_path}/nowhere/RE/GAD"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.5, "1 min 0 s"), (245, "4 min 5 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_times(seconds, text):
    assert programs.format_time(seconds) == text
