"""Two worker processes on this machine: they train like one device, and end and go on together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import run_pretraining
from common.errors import InputError
from data_prep.records import records
from modeling import checkpoint, distribution
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from modeling.training import TrainingOptions, train
from tests.conftest import TINY

STEPS, BATCH_SIZE, LENGTH, PREDICTIONS = 300, 8, 64, 10
LEARNING_RATE = 2e-4


@pytest.fixture(scope="module")
def directory(repository, run_script, tmp_path_factory):
    """Holds records in two files of unequal size, a small BERT without dropout and a checkpoint for it."""
    directory = tmp_path_factory.mktemp("workers")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 2099, "max_position_embeddings": LENGTH}
    config = TINY | sizes | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (directory / "config.json").write_text(json.dumps(config))
    result = run_script(
        "-m",
        "data_prep.create_pretraining_data",
        f"--input_file={repository}/samples/abstracts.txt",
        f"--output_file={directory}/all",
        f"--vocab_file={repository}/samples/vocab.txt",
        "--do_lower_case=false",
        "--dupe_factor=1",
        f"--max_seq_length={LENGTH}",
        f"--max_predictions_per_seq={PREDICTIONS}",
    )
    assert result.returncode == 0, result.stderr
    serialized = [record.numpy() for record in tf.data.TFRecordDataset(str(directory / "all"))]
    records.write_records(serialized[:30], [str(directory / "1.tfrecord")])
    records.write_records(serialized[30:131], [str(directory / "2.tfrecord")])
    model = new_model(directory)
    checkpoint.save(str(directory / "bert_model.ckpt"), checkpoint.model_variables(model))
    return directory


def new_model(directory):
    model = PretrainingModel(BertConfig.from_json_file(directory / "config.json"))
    model.build()
    return model


def two_ports():
    with socket.socket() as one, socket.socket() as other:
        one.bind(("localhost", 0))
        other.bind(("localhost", 0))
        return one.getsockname()[1], other.getsockname()[1]


def by_tf_config():
    ports = two_ports()
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    return [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})} for index in (0, 1)
    ]


def by_slurm():
    step = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": "2"}
    return [{**step, "SLURM_PROCID": str(index)} for index in (0, 1)]


def start(repository, directory, output_dir, environments, *more):
    """Starts the workers; returns their processes."""
    command = [
        sys.executable,
        "run_pretraining.py",
        "--do_train=true",
        f"--input_file={directory}/*.tfrecord",
        f"--bert_config_file={directory}/config.json",
        f"--init_checkpoint={directory}/bert_model.ckpt",
        f"--output_dir={output_dir}",
        f"--max_seq_length={LENGTH}",
        f"--max_predictions_per_seq={PREDICTIONS}",
        f"--train_batch_size={BATCH_SIZE}",
        f"--num_train_steps={STEPS}",
        "--num_warmup_steps=2",
        f"--learning_rate={LEARNING_RATE}",
        "--distribution_strategy=multi_worker_mirrored",
        "--save_checkpoints_steps=5",
        *more,
    ]
    return [
        subprocess.Popen(command, cwd=repository, env={**os.environ, **more}, stderr=subprocess.PIPE, text=True)
        for more in environments
    ]


def finish(processes, timeout=240):
    """Waits for processes; returns what each wrote to standard error."""
    return [process.communicate(timeout=timeout)[1] for process in processes]


@pytest.fixture(scope="module")
def expected(directory, tmp_path_factory):
    """The directory, with a checkpoint every 5 steps, of one device that is given the batches of both workers."""
    features = records.pretraining_features(LENGTH, PREDICTIONS, new_model(directory).bert.config.vocab_size)
    data = [records.RecordFile(str(directory / f"{number}.tfrecord"), features, n) for number, n in ((1, 30), (2, 101))]

    def make_batches(start, batch_size, worker, num_workers):
        shares = [
            records.training_batches(data, batch_size // 2, 12345, start // 2, share=records.Share(number, 2))
            for number in (0, 1)
        ]
        both = tf.data.Dataset.zip(*shares)
        return both.map(lambda one, other: {name: tf.concat([one[name], other[name]], 0) for name in one})

    model = new_model(directory)
    checkpoint.load_weights(model, directory / "bert_model.ckpt")
    output_dir = str(tmp_path_factory.mktemp("one"))
    options = TrainingOptions(
        output_dir, STEPS, 2, LEARNING_RATE, BATCH_SIZE, save_checkpoints_steps=5, keep_checkpoint_max=STEPS
    )
    train(model, run_pretraining.pretraining_loss, run_pretraining.count_masked, make_batches, options)
    return output_dir


def check_checkpoint(output_dir, expected, step=STEPS):
    """The checkpoint of a step in a directory is as expected."""
    reader, expected = (tf.train.load_checkpoint(f"{path}/model.ckpt-{step}") for path in (output_dir, expected))
    names = expected.get_variable_to_shape_map()
    assert set(reader.get_variable_to_shape_map()) == set(names)
    for name in names:
        np.testing.assert_allclose(reader.get_tensor(name), expected.get_tensor(name), atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.slow
def test_two_workers_train_like_one_device(repository, directory, expected, tmp_path):
    processes = start(repository, directory, tmp_path, by_slurm())
    logs = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], logs
    check_checkpoint(tmp_path, expected)
    assert len(list(tmp_path.glob("events.*"))) == 1  # one of them writes


def wait_for(path, processes):
    while not path.exists() and all(process.poll() is None for process in processes):
        time.sleep(0.02)


def test_two_workers_stop_together_on_a_signal_and_go_on_until_one_is_killed(repository, directory, expected, tmp_path):
    """What they have written then is what one device writes that was never stopped."""
    processes = start(repository, directory, tmp_path, by_slurm())
    wait_for(tmp_path / "model.ckpt-5.index", processes)
    processes[1].send_signal(signal.SIGTERM)
    logs = finish(processes)
    assert [process.returncode for process in processes] == [75, 0]  # the chief, whose status counts, and the other
    stopped_at = checkpoint.global_step(checkpoint.newest(tmp_path))
    assert stopped_at < STEPS
    assert all(f"stopped as told at step {stopped_at} of {STEPS}" in log for log in logs)
    assert len(list(tmp_path.glob("events.*"))) == 1  # one of them writes

    processes = start(repository, directory, tmp_path, by_tf_config())
    wait_for(tmp_path / f"model.ckpt-{stopped_at // 5 * 5 + 10}.index", processes)
    assert "resuming from" in kill(processes, 0)
    check_checkpoint(tmp_path, expected, checkpoint.global_step(checkpoint.newest(tmp_path)))


def kill(processes, killed):
    """Kills one of two workers; the other ends, and says why. Returns its log."""
    processes[killed].kill()
    log = finish([processes[1 - killed]], timeout=120)[0]
    processes[killed].communicate()
    assert processes[1 - killed].returncode == 1
    assert log.splitlines()[-1].startswith("error: another worker has ended or cannot be reached")
    assert "Traceback" not in log
    return log


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_workers_one_of_which_was_killed_go_on(repository, directory, expected, tmp_path, killed):
    processes = start(repository, directory, tmp_path, by_tf_config())
    wait_for(tmp_path / "model.ckpt-5.index", processes)
    kill(processes, killed)
    processes = start(repository, directory, tmp_path, by_tf_config())
    logs = finish(processes)
    assert all("resuming from" in log for log in logs)
    check_checkpoint(tmp_path, expected)


@pytest.mark.slow
def test_fine_tuning_on_two_workers(repository, sample_model, tmp_path):
    command = [
        *(sys.executable, "run_ner.py", "--do_train", "--do_predict", "--data_dir=samples/ner", *sample_model),
        *(f"--output_dir={tmp_path}", "--max_seq_length=64", "--num_train_epochs=1", "--train_batch_size=8"),
        *("--distribution_strategy=multi_worker_mirrored", "--gradient_accumulation_steps=2"),
        "--precision=mixed_bfloat16",
    ]
    processes = [
        subprocess.Popen(command, cwd=repository, env={**os.environ, **more}, stderr=subprocess.PIPE, text=True)
        for more in by_tf_config()
    ]
    logs = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], logs
    assert "trained; the chief goes on alone" in logs[1]
    sentences = (repository / "samples/ner/test.tsv").read_text().rstrip().count("\n\n") + 1
    assert (tmp_path / "token_test.txt").read_text().count("[CLS]") == sentences


def test_slurm_names_the_workers():
    variables = {
        "SLURM_JOB_ID": "1234567",
        "SLURM_STEP_NODELIST": "n[2,9-11],gpu07",
        "SLURM_STEP_TASKS_PER_NODE": "1(x4),2",
        "SLURM_PROCID": "3",
    }
    assert distribution.slurm_cluster(variables) == {
        "cluster": {
            "worker": ["n2:24567", "n9:24567", "n10:24567", "n11:24567", "gpu07:24567", "gpu07:24568"],
        },
        "task": {"type": "worker", "index": 3},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected the workers in TF_CONFIG, or a start by srun of Slurm"),
        ("{", "not a cluster"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "not a cluster"),
        ('{"task": {"type": "worker", "index": 1}}', "not a cluster"),
        ("[]", "not a cluster"),
    ],
)
def test_workers_that_are_not_named(monkeypatch, content, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if content is not None:
        monkeypatch.setenv("TF_CONFIG", content)
    with pytest.raises(InputError, match=message):
        distribution.start("multi_worker_mirrored")
