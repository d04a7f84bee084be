"""The scripts of the paper's tables as a user runs them, on tiny models and data, in a directory with a space."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from modeling.heads import PretrainingModel
from reproduction import experiments, scores
from reproduction.data_sets import Model
from tests.conftest import TINY
from tests.helpers import programs
from tests.programs.test_config_files import questions, save_random_weights

TRAINING = ["--num_train_epochs=1", "--train_batch_size=8", "--max_seq_length=64"]
LABELS = ["cpr:3", "cpr:4", "cpr:5", "cpr:6", "cpr:9", "false"]


@pytest.fixture(scope="module")
def workplace(repository, tmp_path_factory):
    """A directory with a model and data sets, one of them damaged, as a user has them."""
    directory = tmp_path_factory.mktemp("my work")
    model = directory / "models/biobert_v1.1"
    model.mkdir(parents=True)
    shutil.copy(repository / "samples/vocab.txt", model)
    config = TINY | {"vocab_size": 2099, "max_position_embeddings": 64}
    (model / "bert_config.json").write_text(json.dumps(config))
    save_random_weights(PretrainingModel, config, model / "model.ckpt-1000000")
    for name in ("NCBI-disease", "s800"):
        (directory / "data/NER" / name).mkdir(parents=True)
        for part, count in [("train", 16), ("devel", 2), ("test", 4)]:
            sentences = (repository / f"samples/ner/{part}.tsv").read_text().split("\n\n")[:count]
            (directory / f"data/NER/{name}/{part}.tsv").write_text("\n\n".join(sentences) + "\n")
    (directory / "data/NER/s800/test.tsv").write_text("influenza\tB-unheard-of\n")
    write_relations(directory / "data/RE/chemprot")
    write_questions(directory / "data/QA", repository)
    return directory


def write_relations(directory):
    directory.mkdir(parents=True)
    rows = [f"@CHEMICAL$ acts on @GENE$ {i}.\t{LABELS[i % 6]}" for i in range(12)]
    (directory / "train.tsv").write_text("\n".join(rows) + "\n")
    rows = ["index\tsentence\tlabel", *(f"{i}\t{row}" for i, row in enumerate(rows[:6]))]
    (directory / "test.tsv").write_text("\n".join(rows) + "\n")


def write_questions(directory, repository):
    """Files of BioASQ 6b with the released names, the tests in two batches, and SQuAD."""
    (directory / "BioASQ").mkdir(parents=True)
    (directory / "squad").mkdir()
    (directory / "squad/train-v1.1.json").write_text(json.dumps(questions(8)))

    def convert(name, entries, split, output):
        path = directory / f"BioASQ/{name}"
        path.write_text(json.dumps({"questions": entries}))
        flags = [f"--input_file={path}", f"--output_file={directory}/BioASQ/{output}", "--question_type=factoid"]
        result = programs.run_here("-m", "data_prep.bioasq", *flags, f"--split={split}")
        assert result.returncode == 0, result.stderr

    def factoid(name):
        entries = json.loads((repository / f"samples/qa/{name}.json").read_text())["questions"]
        return [entry for entry in entries if entry["type"] == "factoid"]

    convert("source.json", factoid("training")[:6], "train", "BioASQ-train-factoid-6b.json")
    golden = factoid("golden")
    convert("6B1_golden.json", golden[:2], "test", "BioASQ-test-factoid-6b-1.json")
    convert("6B2_golden.json", golden[2:3], "test", "BioASQ-test-factoid-6b-2.json")


def start(repository, workplace, script, *arguments):
    """Starts a script as a user in the workplace does."""
    return subprocess.Popen(
        ["bash", repository / "scripts" / script, *arguments],
        cwd=workplace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, status=0):
    """What a script has written, two texts."""
    output, errors = process.communicate(timeout=240)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    return output, errors


def table_rows(path):
    lines = path.read_text().replace("\\", "").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


# Table 6: told to stop in a training, then run to its end, then once more

NER = ["models", "data", "--output_dir=my output", "--data_sets=ncbi_disease,s800,bc2gm", "--", *TRAINING]
LONG = [*NER, "--num_train_epochs=4"]


@pytest.fixture(scope="module")
def table6(repository, workplace):
    """What the three starts have written to standard output and error.

    Between them, the checkpoints after the stop, and the rows of the report after the second.
    """
    process = start(repository, workplace, "table6_ner.sh", *LONG)
    run = workplace / "my output/runs/ncbi_disease/biobert_v1.1/seed1"
    deadline = time.monotonic() + 120
    while not list(run.glob("events*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    stopped = finish(process, 75)
    steps = sorted(path.name for path in run.glob("model.ckpt-*.index"))
    whole = finish(start(repository, workplace, "table6_ner.sh", *LONG), status=1)
    rows = table_rows(workplace / "my output/table6.md")
    again = finish(start(repository, workplace, "table6_ner.sh", *LONG[:3], "--data_sets=ncbi_disease", *LONG[4:]))
    return stopped, steps, whole, rows, again


def test_says_what_is_missing_before_it_starts(table6, workplace):
    (_, errors), *_ = table6
    missing = f"missing: bc2gm: no directory {workplace}/data/NER/BC2GM; python -m data_prep.download ner"
    assert f"{missing} --data_dir='{workplace}/data'" in errors
    assert errors.index(missing) < errors.index("1 of 2: ncbi_disease, biobert_v1.1, seed 1")


def test_goes_on_after_a_stop(table6):
    (output, errors), steps, (_, later), *_ = table6
    assert output == ""
    assert errors.splitlines()[-1].endswith("seed 1: stopped as told; the same command goes on from there")
    (newest,) = steps  # those of every 1000 steps are far away
    step = re.search(r"\d+", newest)[0]
    assert 0 < int(step) < 9  # 18 sentences, batches of 8, 4 epochs
    assert f"| {step}/9 " in later  # the bar of the training begins there


def test_a_failing_run_does_not_lose_the_others(table6, workplace):
    _, _, (output, errors), rows, _ = table6
    assert output == ""
    assert f"{workplace}/data/NER/s800/test.tsv" in errors
    assert errors.splitlines()[-1] == "error: failed: s800, biobert_v1.1, seed 1; the same command tries again"
    assert [row[0] for row in rows[:4]] == ["Data set", "---", "NCBI Disease", "Species-800"]
    assert rows[3][2:5] == ["", "", ""]


def test_the_report_has_what_the_run_has_written(table6, workplace):
    *_, (output, errors) = table6
    assert output == f"{workplace}/my output/table6.html\n"
    assert "train:" not in errors  # what is done is not done again
    run = workplace / "my output/runs/ncbi_disease/biobert_v1.1/seed1"
    found = re.search(
        r"precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", (run / "predict_entity_results.txt").read_text()
    )
    rows = table_rows(workplace / "my output/table6.md")
    difference = f"{float(found[3]) - 89.71:+.2f}"
    paper = ["88.22", "91.25", "89.71"]
    assert rows[2] == ["NCBI Disease", "BioBERT v1.1 (+ PubMed)", *found.groups(), *paper, difference, "1"]
    html = (workplace / "my output/table6.html").read_text()
    assert "--num_train_epochs=4" in html
    assert "tensorflow 2." in html
    words = (run / "NER_result_conll.txt").read_text().split("\n\n")
    assert len([sentence for sentence in words if sentence.strip()]) == 4


def test_other_flags_are_an_error_of_one_line(table6, repository, workplace):
    output, errors = finish(start(repository, workplace, "table6_ner.sh", *NER), status=1)
    assert output == ""
    assert errors.splitlines()[1:] == [  # after that on the missing data
        f"error: {workplace}/my output/runs/ncbi_disease/biobert_v1.1/seed1: a run with other flags, "
        "before: --num_train_epochs=4; now: none; expected those of before, or another --output_dir"
    ]


def test_a_single_model_is_compared_with_a_column_of_the_paper(table6, repository, workplace):
    arguments = ["models/biobert_v1.1", "data", "--models=biobert_v1.1", "--output_dir=my output"]
    finish(start(repository, workplace, "table6_ner.sh", *arguments, "--data_sets=ncbi_disease", *LONG[4:]))
    assert table_rows(workplace / "my output/table6.md")[2][5:8] == ["88.22", "91.25", "89.71"]


# Tables 7 and 8


@pytest.fixture
def commands_here(repository, monkeypatch):
    """Entry scripts run in this process. How they are run in one of their own: test_experiments.py, and table 6."""

    def run_command(command, experiment):
        result = programs.run_here(*command)
        assert result.returncode == 0, result.stderr
        with open(pathlib.Path(experiment.directory, "output.txt"), "a", encoding="utf-8") as log:
            log.write(result.stdout)

    monkeypatch.chdir(repository)
    monkeypatch.setattr(experiments, "run_command", run_command)


def test_table_7(repository, workplace, commands_here):
    model = Model("biobert_v1.1", str(workplace / "models/biobert_v1.1"))
    experiments.run(
        experiments.plan("chemprot", model, 1, f"{workplace}/data", f"{workplace}/relations/runs", TRAINING),
        f"{workplace}/data",
    )
    arguments = ["models", "data", "--output_dir=relations", "--data_sets=chemprot", "--", *TRAINING]
    finish(start(repository, workplace, "table7_re.sh", *arguments))
    report = (workplace / "relations/runs/chemprot/biobert_v1.1/seed1/predict_scores.txt").read_text()
    found = [
        re.search(rf"^{name} +: +([\d.]+)%", report, re.MULTILINE)[1] for name in ("precision", "recall", "f1 score")
    ]
    row = table_rows(workplace / "relations/table7.md")[2]
    assert row[2:8] == [*found, "77.02", "75.90", "76.46"]
    assert row[8] == f"{float(found[2]) - 76.46:+.2f}"


def test_answers_are_trained_on_squad_then_bioasq_and_scored(workplace, commands_here, monkeypatch):
    """What table8_qa.sh runs, with two test batches of the five."""
    monkeypatch.setattr(experiments, "BATCHES", (1, 2))
    monkeypatch.setattr(scores, "BATCHES", (1, 2))
    model = Model("biobert_v1.1", str(workplace / "models/biobert_v1.1"))
    flags = [*TRAINING, "--max_query_length=24", "--doc_stride=16"]
    data, runs = f"{workplace}/data", f"{workplace}/questions/runs"
    experiment = experiments.plan("bioasq_6b", model, 1, data, runs, flags)
    result = experiments.run(experiment, data)
    assert experiments.read_result(experiment.before).done
    beginning = json.loads(pathlib.Path(experiment.directory, "initial_weights.json").read_text())
    assert beginning["init_checkpoint"] == experiment.before.directory
    log = pathlib.Path(experiment.directory, "output.txt")
    assert log.exists()
    strict, lenient, rank = result.scores
    assert 0 <= strict <= rank <= lenient <= 100
    assert strict in (pytest.approx(100 * right / 3) for right in range(4))  # of three questions


# All tables: the order, failures and signals, with scripts that only say how they were called

STUB = """#!/usr/bin/env bash
printf '%s|' "$(basename "$0")" "$@" >> "$CALLS"; echo >> "$CALLS"
if [[ $(basename "$0") == "$WAITS" ]]; then
  trap 'echo told >> "$CALLS"; exit' TERM
  for i in {1..600}; do sleep 0.1; done
fi
[[ $(basename "$0") != "$FAILS" ]]
"""
SCRIPTS = ["table3_5_datasets.sh", "table6_ner.sh", "table7_re.sh", "table8_qa.sh", "table9_samples.sh", "figure2c.sh"]


@pytest.fixture
def all_tables(repository, tmp_path):
    """Starts all_tables.sh beside stubs of the scripts; what it calls is written to `calls`."""
    scripts = tmp_path / "the scripts"
    scripts.mkdir()
    shutil.copy(repository / "scripts/all_tables.sh", scripts)
    for name in SCRIPTS:
        (scripts / name).write_text(STUB)

    def run(*arguments, fails="", waits=""):
        environment = os.environ | {"CALLS": str(tmp_path / "calls"), "FAILS": fails, "WAITS": waits}
        return subprocess.Popen(
            ["bash", scripts / "all_tables.sh", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    return run


def test_all_tables_go_on_after_one_that_fails(all_tables, tmp_path):
    process = all_tables("my models", "data", "--output_dir=a b", "--seeds=1,2", "--", "--x=y z", fails="table7_re.sh")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "error: not made, see above: table7_re.sh\n"
    lines = (tmp_path / "calls").read_text().splitlines()
    assert lines[0] == "table3_5_datasets.sh|data|--output_dir=a b|"
    assert lines[1:] == [f"{name}|my models|data|--output_dir=a b|--seeds=1,2|--|--x=y z|" for name in SCRIPTS[1:]]


def test_all_tables_that_succeed(all_tables, tmp_path):
    process = all_tables("models", "data", "--output_dir", "a b")
    assert process.wait(timeout=60) == 0
    lines = (tmp_path / "calls").read_text().splitlines()
    assert lines[0] == "table3_5_datasets.sh|data|--output_dir|a b|"
    assert len(lines) == 6


@pytest.mark.parametrize("to_all", [False, True])
def test_all_tables_stop_as_a_whole(all_tables, tmp_path, to_all):
    """By SIGTERM, or by Ctrl-C, which all processes of the terminal get."""
    process = all_tables("models", "data", waits="table6_ner.sh")
    calls, deadline = tmp_path / "calls", time.monotonic() + 30
    while (not calls.exists() or "table6" not in calls.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # until the stub has its trap
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 75
    lines = calls.read_text().splitlines()
    assert [line.split("|")[0] for line in lines] == [*SCRIPTS[:2], "told"]


def test_all_tables_without_arguments(all_tables, tmp_path):
    process = all_tables("--seeds=1")
    assert process.communicate()[1].startswith("error: expected all_tables.sh MODEL_DIR DATA_DIR")
    assert process.returncode == 1
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(
    ("script", "module"),
    [
        ("table3_5_datasets.sh", "sizes"),
        ("table6_ner.sh", "tables --table=6"),
        ("table7_re.sh", "tables --table=7"),
        ("table8_qa.sh", "tables --table=8"),
        ("table9_samples.sh", "samples"),
        ("figure2a.sh", "curves --figure=2a"),
        ("figure2b.sh", "curves --figure=2b"),
        ("figure2c.sh", "gains"),
    ],
)
def test_each_script_runs_its_program(repository, tmp_path, script, module):
    """With a python that only says how it was called."""
    (tmp_path / "python").write_text('#!/usr/bin/env bash\necho "$PYTHONPATH: $*"; exit 7\n')
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": "/other"}
    command = ["bash", repository / "scripts" / script, "models", "a b"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (7, "")
    assert result.stdout == f"{repository}:/other: -m reproduction.{module} models a b\n"
