"""The runs behind the tables: their commands, scores from hand-written results, failures, stops and locks."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from common.errors import InputError
from reproduction import experiments, programs, scores
from reproduction.data_sets import Model
from reproduction.experiments import Experiment
from tests.helpers.programs import parse_flags
from tests.reproduction.test_data_sets import make_files, make_model


@pytest.fixture
def places(tmp_path):
    """Directories with a model and (empty) files of the data sets, as texts; and that of the runs."""
    data = tmp_path / "data"
    make_files(data / "NER/NCBI-disease", ["train.tsv", "devel.tsv", "test.tsv"])
    make_files(data / "RE/GAD", [f"{fold}/{name}.tsv" for fold in range(1, 11) for name in ("train", "test")])
    make_files(data / "RE/chemprot", ["train.tsv", "test.tsv"])
    files = ["BioASQ-train-factoid-5b.json"]
    files += [name for i in range(1, 6) for name in (f"BioASQ-test-factoid-5b-{i}.json", f"5B{i}_golden.json")]
    make_files(data / "QA/BioASQ", files)
    return Model("biobert_v1.1", make_model(tmp_path / "model")), str(data), f"{tmp_path}/runs"


def plan(places, name, **options):
    model, data, runs = places
    return experiments.plan(name, model, 3, data, runs, **options)


def read(command, repository, monkeypatch):
    """What an entry script makes of a command: values by flag."""
    monkeypatch.chdir(repository)
    script = __import__(command[0].removesuffix(".py"))
    values = parse_flags(script, command[1:])
    assert "error" not in values
    return values


# Commands


def test_ner_is_trained_as_in_its_flag_file_and_detokenized(places, repository, monkeypatch):
    model, data, runs = places
    experiment = plan(places, "ncbi_disease", extra=["--num_train_epochs=2"])
    directory = f"{runs}/ncbi_disease/biobert_v1.1/seed3"
    assert (experiment.directory, experiment.key) == (directory, ("ncbi_disease", "biobert_v1.1", 3))
    train, detokenize = experiment.commands
    values = read(train, repository, monkeypatch)
    expected = {"learning_rate": 1e-5, "num_train_epochs": 2.0, "seed": 3, "do_train": True, "do_predict": True}
    expected |= {"do_lower_case": False, "init_checkpoint": model.directory, "output_dir": directory}
    expected |= {"data_dir": f"{data}/NER/NCBI-disease"}
    assert {name: values[name] for name in expected} == expected
    assert detokenize == [
        "biocodes/ner_detokenize.py",
        f"--token_test_path={directory}/token_test.txt",
        f"--label_test_path={directory}/label_test.txt",
        f"--answer_path={data}/NER/NCBI-disease/test.tsv",
        f"--output_dir={directory}",
    ]


def test_two_names_of_a_model_share_their_runs(places):
    (model, *others), second = places, dataclasses.replace(places[0], name="8M", alias_of="biobert_v1.1")
    first, second = plan(places, "ncbi_disease"), plan((second, *others), "ncbi_disease")
    assert first.key == ("ncbi_disease", model.name, 3)
    assert second.key == ("ncbi_disease", "8M", 3)
    assert (first.directory, first.commands) == (second.directory, second.commands)


def test_relations_need_no_development_set(places, repository, monkeypatch):
    (command,) = plan(places, "gad").commands
    values = read(command, repository, monkeypatch)
    assert (values["task_name"], values["cross_validation"], values["do_eval"]) == ("gad", True, False)
    (command,) = plan(places, "chemprot").commands
    values = read(command, repository, monkeypatch)
    assert (values["task_name"], values["cross_validation"], values["do_eval"]) == ("chemprot", False, False)


def test_bioasq_starts_from_the_model_where_there_is_no_squad(places, repository, monkeypatch):
    model, data, runs = places
    make_files(f"{data}/QA/squad", ["dev-v1.1.json"])  # which does not help
    experiment = plan(places, "bioasq_5b")
    assert experiment.before is None
    values = read(experiment.commands[0], repository, monkeypatch)
    assert values["init_checkpoint"] == model.directory
    assert values["train_file"] == f"{data}/QA/BioASQ/BioASQ-train-factoid-5b.json"
    assert (values["do_train"], values["do_predict"]) == (True, False)


def test_bioasq_starts_from_squad_and_answers_five_batches(places, repository, monkeypatch):
    model, data, runs = places
    make_files(f"{data}/QA/squad", ["train-v1.1.json"])
    experiment = plan(places, "bioasq_5b", extra=["--train_batch_size=4"])
    squad, directory = f"{runs}/squad/biobert_v1.1/seed3", f"{runs}/bioasq_5b/biobert_v1.1/seed3"
    assert experiment.before.directory == squad
    values = read(experiment.before.commands[0], repository, monkeypatch)
    expected = {"init_checkpoint": model.directory, "output_dir": squad, "do_train": True, "do_predict": False}
    expected |= {"train_file": f"{data}/QA/squad/train-v1.1.json", "learning_rate": 3e-5, "train_batch_size": 4}
    assert {name: values[name] for name in expected} == expected

    train, *rest = experiment.commands
    values = read(train, repository, monkeypatch)
    assert (values["init_checkpoint"], values["output_dir"]) == (squad, directory)
    assert len(rest) == 10
    for batch, predict, transform in zip(range(1, 6), rest[::2], rest[1::2], strict=True):
        values = read(predict, repository, monkeypatch)
        expected = {"do_train": False, "do_predict": True, "init_checkpoint": directory}
        expected |= {"predict_file": f"{data}/QA/BioASQ/BioASQ-test-factoid-5b-{batch}.json"}
        expected |= {"output_dir": f"{directory}/batch{batch}"}
        assert {name: values[name] for name in expected} == expected
        assert transform == [
            "biocodes/transform_nbset2bioasqform.py",
            f"--nbest_path={directory}/batch{batch}/nbest_predictions.json",
            f"--output_path={directory}/batch{batch}",
        ]


# Scores, from results written by hand


def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_scores_of_entities_are_those_of_all_types(places):
    experiment = plan(places, "ncbi_disease")
    write(
        f"{experiment.directory}/predict_entity_results.txt",
        "processed 24497 tokens with 960 phrases; found: 993 phrases; correct: 866.\n"
        "accuracy:  98.51%; precision:  87.21%; recall: 100.00%; FB1:   8.68\n"
        "             MISC: precision:  11.11%; recall:  22.22%; FB1:  33.33  993\n",
    )
    assert scores.read(experiment, places[1]) == (87.21, 100.0, 8.68)


def test_scores_of_relations_are_means_of_the_folds(places):
    experiment = plan(places, "gad")
    write(
        f"{experiment.directory}/cross_validation_results.txt",
        "                       f1 score       recall    precision  specificity\n"
        "fold 1                   60.00%       50.00%       75.00%       10.00%\n"
        "fold 2                   80.00%      100.00%       66.67%       20.00%\n"
        "mean                     70.00%       75.00%       70.83%       15.00%\n"
        "standard deviation       14.14%       35.36%        5.89%        7.07%\n"
        "pooled                   71.11%       76.11%       72.11%       16.11%\n",
    )
    assert scores.read(experiment, places[1]) == (70.83, 75.0, 70.0)


def test_scores_of_chemprot_are_micro_averages(places):
    experiment = plan(places, "chemprot")
    write(
        f"{experiment.directory}/predict_scores.txt",
        "f1 score    : 18.18%\nrecall      : 20.00%\nprecision   : 16.67%\n\n"
        "class  precision     recall   f1 score    support\ncpr:3      0.00%      0.00%      0.00%          1\n",
    )
    assert scores.read(experiment, places[1]) == (16.67, 20.0, 18.18)


def question(identifier, *answers, type="factoid"):
    return {"id": identifier, "type": type, "body": "?", "exact_answer": [[answer] for answer in answers]}


def write_answers(experiment, data, batches):
    """Golden files and answers of the five batches: pairs of lists of questions."""
    for i, (golden, answers) in enumerate(batches, 1):
        for path, content in [
            (f"{data}/QA/BioASQ/5B{i}_golden.json", golden),
            (f"{experiment.directory}/batch{i}/BioASQform_BioASQ-answer.json", answers),
        ]:
            write(path, json.dumps({"questions": content}))


def test_scores_of_answers_are_means_over_the_questions_of_all_batches(places):
    experiment = plan(places, "bioasq_5b")
    batches = [
        # Right, second, wrong; and one that is not factoid.
        (
            [question("a", "x"), question("b", "x"), question("c", "x"), question("l", "x", type="list")],
            [question("a", "x", "y"), question("b", "y", "X"), question("c", "y")],
        ),
        ([question("d", "x")], [question("d", "y", "z", "w", "x")]),
        *(([question(name, "x")], [question(name, "x")]) for name in "efg"),
    ]
    write_answers(experiment, places[1], batches)
    # Seven questions: 4 right at once, 6 at all; reciprocal ranks 1, 1/2, 0, 1/4, 1, 1, 1. Not means of the batches.
    assert scores.read(experiment, places[1]) == pytest.approx((400 / 7, 600 / 7, 475 / 7), abs=1e-9)


def test_answers_that_do_not_fit_the_golden_file(places):
    experiment = plan(places, "bioasq_5b")
    write_answers(experiment, places[1], [([question("a", "x")], [question("z", "x")])] * 5)
    with pytest.raises(InputError, match=r"^bioasq_5b, biobert_v1.1, seed 3: no question of the submission"):
        scores.read(experiment, places[1])


def test_a_run_that_wrote_no_results(places):
    with pytest.raises(InputError, match=r"gad, .*: ended without .*/predict_scores.txt; the same command tries again"):
        scores.read(plan(places, "gad"), places[1])


# Runs, of commands that take no time

WRITE_SCORES = "import sys; open(sys.argv[1] + '/predict_entity_results.txt', 'w').write(sys.argv[2])"
LINE = "accuracy:  99.00%; precision:  {0}%; recall:  {0}%; FB1:  {0}\n"
FAIL = "import sys; sys.exit(3)"


def quick(directory, name="ncbi_disease", f1="50.00", code=WRITE_SCORES, **options):
    directory = f"{directory}/{name}"
    return Experiment(name, "m", 1, directory, [["-c", code, directory, LINE.format(f1)]], **options)


def test_a_run_keeps_scores_commands_time_hardware_and_versions(tmp_path):
    experiment = quick(tmp_path)
    result = experiments.run(experiment, "")
    assert result.done
    assert result.scores == (50.0, 50.0, 50.0)
    assert result.commands[0].startswith("python -c 'import sys; open")
    assert 0 < result.seconds < 20
    assert "cores" in result.hardware or " x " in result.hardware
    assert result.versions.startswith(f"Python {sys.version.split()[0]}, tensorflow 2.")
    os.unlink(f"{experiment.directory}/predict_entity_results.txt")
    again = experiments.run(experiment, "")  # which does not run it
    assert (again.scores, again.seconds) == ([50.0, 50.0, 50.0], result.seconds)


def test_other_commands_are_refused_also_where_a_run_was_only_begun(tmp_path):
    with pytest.raises(
        InputError, match=r"ncbi_disease, m, seed 1: -c ended with status 3, see above and .*/output.txt"
    ):
        experiments.run(quick(tmp_path, code=FAIL), "")
    experiments.check(quick(tmp_path, code=FAIL))
    with pytest.raises(InputError, match=r"/ncbi_disease: a run with other flags, before: .*sys.exit\(3\).*; now: "):
        experiments.check(quick(tmp_path))
    later = quick(tmp_path, "bioasq_5b", before=quick(tmp_path))
    with pytest.raises(InputError, match="a run with other flags"):
        experiments.check(later)


def test_the_message_on_other_flags_names_them(places):
    experiment = plan(places, "gad", extra=["--num_train_epochs=2"])
    result = experiments.Result(experiments.shell_commands(experiment))
    pathlib.Path(experiment.directory).mkdir(parents=True)
    pathlib.Path(experiment.directory, "run.json").write_text(json.dumps(dataclasses.asdict(result)))
    with pytest.raises(InputError) as error:
        experiments.check(plan(places, "gad", extra=["--num_train_epochs=3", "--learning_rate=1e-4"]))
    assert str(error.value) == (
        f"{experiment.directory}: a run with other flags, before: --num_train_epochs=2; now: --num_train_epochs=3 "
        "--learning_rate=1e-4; expected those of before, or another --output_dir"
    )


def test_one_failure_does_not_lose_the_others(tmp_path):
    planned = [quick(tmp_path, "s800"), quick(tmp_path, "bc2gm", code=FAIL), quick(tmp_path, "jnlpba", "60.00")]
    reports = []
    with pytest.raises(InputError, match="^failed: bc2gm, m, seed 1; the same command tries again$"):
        programs.run_all(planned, "", lambda results: reports.append(dict(results)))
    assert [[key[0] for key in results] for results in reports] == [["s800"], ["s800"], ["s800", "jnlpba"]]
    assert [result.scores[-1] for result in reports[-1].values()] == [50.0, 60.0]


def test_nothing_runs_if_one_was_begun_with_other_flags(tmp_path):
    experiments.run(quick(tmp_path, "s800"), "")
    with pytest.raises(InputError, match="/s800: a run with other flags"):
        programs.run_all([quick(tmp_path, "bc2gm"), quick(tmp_path, "s800", "70.00")], "", lambda results: None)
    assert not (tmp_path / "bc2gm").exists()


def test_the_stage_before_is_run_once_and_reported(tmp_path):
    count = "import sys; open(sys.argv[1] + '/count', 'a').write('x')"
    squad = quick(tmp_path, "squad", code=count)
    planned = [quick(tmp_path, name, before=squad) for name in ("ncbi_disease", "s800")]
    reports = []
    programs.run_all(planned, "", lambda results: reports.append(list(results)))
    assert (tmp_path / "squad/count").read_text() == "x"
    assert reports[-1] == [(name, "m", 1) for name in ("squad", "ncbi_disease", "s800")]


# Stops. The command waits at its first start, and leaves its number to the test; at its second, it ends.

WAIT = """
import os, pathlib, signal, sys, time
started = pathlib.Path(sys.argv[1], "started")
if not started.exists():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as a training, which writes a checkpoint
    pathlib.Path(f"{started}.new").write_text(str(os.getpid()))
    os.rename(f"{started}.new", started)
    time.sleep(60)
"""
PROGRAM = """
import sys
from common import errors
from reproduction import experiments, programs

def main(argv):
    directory = f"{argv[1]}/squad"
    planned = [experiments.Experiment("squad", "m", 1, directory, [["-c", argv[2], directory, ""]])]
    programs.run_all(planned, "", lambda results: print(len(results), flush=True))

errors.run(main)
"""


def waiting(directory):
    """The same experiment."""
    return Experiment("squad", "m", 1, f"{directory}/squad", [["-c", WAIT, f"{directory}/squad", ""]])


@pytest.fixture
def started(repository, tmp_path):
    """A program in the middle of a run, and the number of the command's process."""
    environment = os.environ | {"PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), WAIT]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = subprocess.Popen(command, env=environment, cwd=tmp_path, **pipes)
    path = tmp_path / "squad/started"
    deadline = time.monotonic() + 60
    while not path.exists() and program.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    number = int(path.read_text())
    yield program, number
    program.kill()
    program.wait()


def is_running(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_program_that_is_told_to_stop_lets_its_command_end_and_goes_on_later(started, tmp_path, sent):
    program, number = started
    program.send_signal(sent)
    output, errors = program.communicate(timeout=30)
    assert program.returncode == 75, errors
    assert "squad, m, seed 1: stopped as told; the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert output == "0\n"  # the report on what was done before
    assert not is_running(number)
    begun = experiments.read_result(waiting(tmp_path))
    assert not begun.done
    result = experiments.run(waiting(tmp_path), "")
    assert result.done
    assert result.seconds > begun.seconds > 0


def test_a_program_that_was_killed_goes_on_when_its_command_has_ended(started, tmp_path):
    program, number = started
    program.kill()
    program.wait()
    experiment = waiting(tmp_path)
    assert is_running(number)
    with pytest.raises(InputError, match="squad, m, seed 1: another process works in .*/squad; expected that it is"):
        experiments.run(experiment, "")
    os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_running(number) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert experiments.run(experiment, "").done
