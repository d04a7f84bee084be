"""The grid of learning rates and batch sizes: what is missing, runs and their commands, a stop, the summary."""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from common.errors import InputError, StoppedError
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from reproduction import experiments, grid
from tests.conftest import TINY

PAPER = [(rate, size) for rate in ("5e-05", "3e-05", "1e-05") for size in (10, 16, 32, 64)]  # Lee et al. 2020, 4.2


@pytest.fixture
def paths(repository, tmp_path, monkeypatch):
    """A model without usable weights, a data set and an output directory."""
    monkeypatch.chdir(tmp_path)  # and back after the test: the grid works in the root of the repository
    model = tmp_path / "model"
    model.mkdir()
    shutil.copy(repository / "samples/vocab.txt", model)
    (model / "bert_config.json").write_text(json.dumps(TINY | {"vocab_size": 2099, "max_position_embeddings": 32}))
    (model / "model.ckpt-1.index").touch()
    return [str(model), str(repository / "samples/ner"), str(tmp_path / "grid")]


def write_run(directory, scores):
    """What run_ner.py leaves: scores by epoch, and the weights, which come last."""
    selection = pathlib.Path(directory, "selection")
    selection.mkdir(parents=True, exist_ok=True)
    rows = [f"{epoch}\t{7 * epoch}\t80.5\t90.25\t{f1}\t0.5\n" for epoch, f1 in enumerate(scores, 1)]
    (selection / "epochs.tsv").write_text("epoch\tstep\tprecision\trecall\tf1\tloss\n" + "".join(rows))
    (selection / "model.ckpt-14.index").touch()
    pathlib.Path(directory, "model.ckpt-7.index").touch()


def flag(command, name):
    """The value that a command gives a flag: the last one counts."""
    return [part.partition("=")[2] for part in command if part.startswith(f"--{name}=")][-1]


@pytest.fixture
def trained(monkeypatch):
    """Runs write their scores at once; the commands that were run, a list."""
    commands = []

    def run_command(command, run):
        commands.append(command)
        rate, size = float(flag(command, "learning_rate")), int(flag(command, "train_batch_size"))
        if size == 64:
            raise InputError("run_ner.py ended with status 1")
        write_run(run.directory, [50.0, 60 + rate * 1e5 + size / 100, 60 + rate * 1e5 + size / 100])

    monkeypatch.setattr(experiments, "run_command", run_command)
    return commands


def test_the_paper_s_grid_and_its_summary(paths, trained, capsys):
    with pytest.raises(InputError, match="3 of 12 runs failed: run_ner.py ended with status 1; .* tries them again"):
        grid.main([*paths, "--", "--num_train_epochs=3"])
    output = capsys.readouterr().out
    assert [(flag(command, "learning_rate"), int(flag(command, "train_batch_size"))) for command in trained] == PAPER
    model, data, directory = paths
    assert trained[0][:2] == ["run_ner.py", "--num_train_epochs=3"]
    assert set(trained[0][2:]) == {
        f"--vocab_file={model}/vocab.txt",
        f"--bert_config_file={model}/bert_config.json",
        f"--init_checkpoint={model}",
        "--do_lower_case=false",
        f"--data_dir={os.path.relpath(data, experiments.ROOT)}",
        "--learning_rate=5e-05",
        "--train_batch_size=10",
        "--select_best_on_dev",
        "--do_train=true",
        "--do_eval=false",
        "--do_predict=false",
        f"--output_dir={directory}/learning_rate_5e-05_batch_size_10",
    }
    ranked = sorted((pair for pair in PAPER if pair[1] != 64), key=lambda pair: (-float(pair[0]), -pair[1]))
    assert ranked[0] == ("5e-05", 32)  # 60 + 5 + 0.32
    table = (pathlib.Path(directory) / "grid.tsv").read_text().splitlines()
    assert table[:2] == [
        "learning_rate\tbatch_size\tbest_epoch\tprecision\trecall\tf1\tdirectory",
        f"5e-05\t32\t2\t80.5\t90.25\t65.32\t{directory}/learning_rate_5e-05_batch_size_32",
    ]
    assert [tuple(line.split("\t")[:2]) for line in table[1:]] == [(rate, str(size)) for rate, size in ranked]
    lines = output.splitlines()
    start = lines.index("learning rate  batch size  best epoch  F1 on devel.tsv")
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["5e-05", "32", "2", "65.32"],
        ["5e-05", "16", "2", "65.16"],
    ]
    best = lines[-4:]
    assert best[0].startswith("Best: learning rate 5e-05, batch size 32, epoch 2: F1 65.32.")
    again = shlex.split(best[3])
    assert again[:2] == ["python", "run_ner.py"]
    assert [flag(again, name) for name in ("learning_rate", "train_batch_size", "num_train_epochs", "output_dir")] == [
        *("5e-05", "32", "2", f"{directory}/best")
    ]
    assert "--select_best_on_dev" not in again
    predict = shlex.split(best[1])
    assert flag(predict, "do_train") == "false"
    assert flag(predict, "output_dir") == f"{directory}/learning_rate_5e-05_batch_size_32"


def test_what_is_done_is_skipped(paths, trained, capsys):
    small = [*paths, "--learning_rates=1e-5,3e-5", "--batch_sizes=32,16"]
    grid.main(small)
    first = (pathlib.Path(paths[2]) / "grid.tsv").read_bytes()
    done = list(trained)
    assert len(done) == 4
    grid.main(small)
    assert trained == done
    assert "4 runs, 4 of them done" in capsys.readouterr().out
    assert (pathlib.Path(paths[2]) / "grid.tsv").read_bytes() == first
    # One that was killed before its weights were written goes on; a larger grid takes over what is there.
    (pathlib.Path(paths[2]) / "learning_rate_3e-05_batch_size_16/model.ckpt-7.index").unlink()
    grid.main([*paths, "--learning_rates=1e-5,3e-5,0.00001", "--batch_sizes=8,32,16"])
    assert [(flag(c, "learning_rate"), flag(c, "train_batch_size")) for c in trained[4:]] == [
        *(("1e-05", "8"), ("3e-05", "8"), ("3e-05", "16"))
    ]
    with pytest.raises(InputError, match="trained with other flags; .* new OUTPUT_DIR. It was: run_ner.py --vocab"):
        grid.main([*small, "--num_train_epochs=3"])
    assert len(trained) == 7


def test_a_run_that_alone_is_told_to_stop_stops_the_grid(paths, monkeypatch):
    commands = []

    def wait_for(command, log):
        commands.append(command)
        return 75, False

    monkeypatch.setattr(experiments, "wait_for", wait_for)
    with pytest.raises(StoppedError, match="learning rate 5e-05, batch size 10: stopped as told; the same command"):
        grid.main(paths)
    assert len(commands) == 1


def test_says_what_is_missing_before_it_starts(paths, trained, tmp_path):
    os.unlink(f"{paths[0]}/vocab.txt")
    os.unlink(f"{paths[0]}/model.ckpt-1.index")
    with pytest.raises(InputError) as error:
        grid.main([paths[0], str(tmp_path), paths[2]])
    assert str(error.value).startswith(
        f"missing: {paths[0]}/vocab.txt, {paths[0]}/*.ckpt*.index, {tmp_path}/train.tsv, {tmp_path}/devel.tsv; "
        "expected a model and a data set"
    )
    assert "python -m data_prep.download" in str(error.value)
    assert not trained
    assert not os.path.exists(paths[2])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rates=1e-5,high"], "--learning_rates=1e-5,high: expected numbers above 0, separated by commas"),
        (["--learning_rates=nan"], "--learning_rates=nan: expected numbers above 0"),
        (["--batch_sizes=16,0"], "--batch_sizes=16,0: expected whole numbers above 0"),
        (["--batch_sizes=1.5"], "--batch_sizes=1.5: expected whole"),
        (["--learning_rate=1e-5"], "--learning_rate: the grid sets it; expected grid.sh MODEL_DIR"),
        (["--train_batch_size", "8"], "--train_batch_size: the grid sets it"),
        (["--retrain_on_train_dev"], "--retrain_on_train_dev: the grid sets it"),
        (["--init_checkpoint=x"], "--init_checkpoint: the grid sets it"),
    ],
)
def test_bad_flags(paths, trained, flags, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        grid.main([*paths, *flags])
    with pytest.raises(InputError, match="^2 arguments before the flags; expected 3: grid.sh MODEL_DIR"):
        grid.main([*paths[:2], *flags])
    assert not trained


def start(repository, *arguments, **options):
    """Starts scripts/grid.sh as a user in another directory does."""
    return subprocess.Popen(
        ["bash", repository / "scripts/grid.sh", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.slow
def test_a_grid_that_is_told_to_stop_goes_on(repository, paths, tmp_path):
    write_weights(paths[0])
    small = ["model", paths[1], "grid", "--learning_rates=1e-2", "--batch_sizes=8,64", "--num_train_epochs=3"]
    small += ["--max_seq_length=32", "--save_checkpoints_steps=1000"]
    process = start(repository, *small, cwd=tmp_path)
    table = tmp_path / "grid/learning_rate_0.01_batch_size_8/selection/epochs.tsv"
    deadline = time.monotonic() + 120
    while not table.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert not (tmp_path / "grid/grid.tsv").exists()
    stopped_at = [path.name for path in table.parent.glob("model.ckpt-*.index")]
    assert len(stopped_at) == 1  # the checkpoint written when it was told; the next regular one is far away

    process = start(repository, *small, cwd=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "2 runs, 0 of them done" in output
    lines = (tmp_path / "grid/grid.tsv").read_text().splitlines()
    assert len(lines) == 3
    assert {tuple(line.split("\t")[:2]) for line in lines[1:]} == {("0.01", "8"), ("0.01", "64")}
    assert len(table.read_text().splitlines()) == 4
    f1 = [float(line.split("\t")[4]) for line in table.read_text().splitlines()[1:]]
    (row,) = [line.split("\t") for line in lines if line.split("\t")[1] == "8"]
    assert (int(row[2]), float(row[5])) == (f1.index(max(f1)) + 1, max(f1))


def write_weights(directory):
    """Writes random weights of the model that `directory` describes, as pre-trained ones are."""
    model = PretrainingModel(BertConfig.from_json_file(f"{directory}/bert_config.json"))
    model.build()
    checkpoint.save(f"{directory}/model.ckpt-1", checkpoint.model_variables(model))
