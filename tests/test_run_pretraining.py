"""run_pretraining.py as a user runs it."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf


def test_evaluation_equals_the_original(shared, run_script, tmp_path):
    golden = shared / "golden"
    result = run_script(
        "run_pretraining.py",
        "--do_eval=true",
        f"--input_file={golden}/pretraining_data/sample_small.tfrecord",
        f"--bert_config_file={golden}/e2e/pretrain/bert_config.json",
        f"--init_checkpoint={golden}/e2e/pretrain/model.ckpt",
        f"--output_dir={tmp_path}",
        "--max_eval_steps=10",
    )
    assert result.returncode == 0, result.stderr
    ours, theirs = (
        dict(line.split(" = ") for line in (directory / "eval_results.txt").read_text().splitlines())
        for directory in (tmp_path, golden / "e2e/pretrain")
    )
    assert list(ours) == list(theirs)
    assert {k: float(v) for k, v in ours.items()} == pytest.approx({k: float(v) for k, v in theirs.items()}, rel=1e-5)


@pytest.fixture(scope="module")
def sample_records(repository, run_script, tmp_path_factory):
    """Pre-training records of the repository's sample text."""
    path = tmp_path_factory.mktemp("records") / "sample.tfrecord"
    result = run_script(
        "-m",
        "data_prep.create_pretraining_data",
        f"--input_file={repository}/samples/abstracts.txt",
        f"--output_file={path}",
        f"--vocab_file={repository}/samples/vocab.txt",
        "--do_lower_case=false",
        "--dupe_factor=1",
        "--max_seq_length=64",
        "--max_predictions_per_seq=10",
    )
    assert result.returncode == 0, result.stderr
    return path


def arguments(repository, input_file, output_dir):
    return [
        "run_pretraining.py",
        "--do_train=true",
        f"--input_file={input_file}",
        f"--bert_config_file={repository}/samples/bert_config.json",
        f"--output_dir={output_dir}",
        "--max_seq_length=64",
        "--max_predictions_per_seq=10",
        "--train_batch_size=4",
        "--num_train_steps=400",
        "--num_warmup_steps=10",
        "--save_checkpoints_steps=20",
        "--learning_rate=1e-3",
    ]


def test_a_run_killed_at_any_moment_ends_like_an_unbroken_one(repository, sample_records, run_script, tmp_path):
    unbroken = arguments(repository, sample_records, tmp_path / "unbroken")
    killed = arguments(repository, sample_records, tmp_path / "killed")
    assert run_script(*unbroken).returncode == 0
    process = subprocess.Popen([sys.executable, *killed], cwd=repository, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed/checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    result = run_script(*killed)
    assert re.search(r"resuming from .*model.ckpt-\d+", result.stderr)
    ours, theirs = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ("killed", "unbroken"))
    assert ours.get_tensor("global_step") == 400
    for name in theirs.get_variable_to_shape_map():
        np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name), err_msg=name)
