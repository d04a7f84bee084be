"""configs/pretraining and the scripts that run them: the paper's settings, what is missing, stages, a stop."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import run_pretraining
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_records import Settings
from data_prep.create_pretraining_data import create_pretraining_data
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from tests.conftest import TINY
from tests.helpers import programs

MODELS = (
    "biobert_v1.0_pubmed",
    "biobert_v1.0_pmc",
    "biobert_v1.0_pubmed_pmc",
    "biobert_v1.1_pubmed",
    "biobert_large_pubmed",
)
PATHS = ("--bert_config_file=c", "--input_file=i", "--output_dir=o")
# What scripts/pretrain.slurm gives run_pretraining.py, but --output_dir.
SLURM = [
    "--flagfile=configs/pretraining/biobert_v1.1_pubmed.cfg",
    "--flagfile=configs/pretraining/8_gpus.cfg",
    "--distribution_strategy=multi_worker_mirrored",
    "--input_file=shards/*.tfrecord",
    "--bert_config_file=bert/bert_config.json",
    "--init_checkpoint=bert",
]


def test_flag_files_are_known_to_the_script_and_have_the_paper_s_batches(repository, monkeypatch):
    monkeypatch.chdir(repository)
    on_gpus = ["--flagfile=configs/pretraining/8_gpus.cfg", "--learning_rate=2e-5"]
    for model in MODELS:
        command = [f"--flagfile=configs/pretraining/{model}.cfg", *PATHS]
        alone, with_gpus = (programs.parse_flags(run_pretraining, [*command, *rest]) for rest in ([], on_gpus))
        assert alone["max_seq_length"] * alone["train_batch_size"] == 98_304  # tokens a step, as the paper prints
        assert with_gpus["num_train_steps"] == alone["num_train_steps"]
        assert with_gpus["keep_checkpoint_every"] % with_gpus["save_checkpoints_steps"] == 0
        assert with_gpus["learning_rate"] == 2e-5  # what comes later wins
    assert "error" not in programs.parse_flags(run_pretraining, [*SLURM, "--output_dir=o"])


@pytest.fixture(scope="module")
def bert_dir(repository, tmp_path_factory):
    """A model for the sample vocabulary like an unpacked archive of Google's, with random weights."""
    directory = tmp_path_factory.mktemp("bert")
    shutil.copy(repository / "samples/vocab.txt", directory)
    config = TINY | {"vocab_size": 2099, "max_position_embeddings": 32}
    (directory / "bert_config.json").write_text(json.dumps(config))
    model = PretrainingModel(BertConfig.from_dict(config))
    model.build()
    checkpoint.save(str(directory / "bert_model.ckpt"), checkpoint.model_variables(model))
    return directory


@pytest.fixture(scope="module")
def shards(repository, tmp_path_factory):
    """A directory with records of the sample text."""
    directory = tmp_path_factory.mktemp("shards")
    settings = Settings(
        vocab_file=str(repository / "samples/vocab.txt"),
        do_lower_case=False,
        options=Options(max_seq_length=32, max_predictions_per_seq=5, dupe_factor=1),
    )
    create_pretraining_data(
        [str(repository / "samples/abstracts.txt")], [str(directory / "shard-00000.tfrecord")], settings
    )
    return directory


def pretrain(*arguments, path=pathlib.Path(sys.executable).parent, **options):
    """Runs scripts/pretrain.sh from another directory than the repository's, with the programs in `path` first."""
    script = pathlib.Path(__file__).resolve().parents[2] / "scripts/pretrain.sh"
    environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.Popen(
        ["bash", script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_run_ends_with_a_checkpoint_for_fine_tuning(bert_dir, shards, tmp_path):
    small = ["--num_train_steps=2", "--num_warmup_steps=1", "--train_batch_size=4", "--max_seq_length=32"]
    small += ["--max_predictions_per_seq=5", "--distribution_strategy=one_device", "--precision=float32"]
    process = pretrain("biobert_v1.1_pubmed", bert_dir, shards, "runs", *small, cwd=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    model = tmp_path / "runs/biobert_v1.1_pubmed"
    assert output.splitlines()[-3:] == [
        f"  --init_checkpoint={model}/model.ckpt-2",
        f"  --bert_config_file={model}/bert_config.json",
        f"  --vocab_file={model}/vocab.txt",
    ]
    assert {path.name for path in model.iterdir()} == {
        "bert_config.json",
        "vocab.txt",
        "model.ckpt-2.index",
        "model.ckpt-2.data-00000-of-00001",
    }
    prefixes = (bert_dir / "bert_model.ckpt", model / "model.ckpt-2", tmp_path / "runs/training" / model.name)
    original, weights, training = (tf.train.load_checkpoint(str(prefix)) for prefix in prefixes)
    names = set(original.get_variable_to_shape_map())
    assert set(weights.get_variable_to_shape_map()) == names  # without Adam's slots
    assert len(training.get_variable_to_shape_map()) == 3 * len(names) + 2
    for name in names:
        np.testing.assert_array_equal(weights.get_tensor(name), training.get_tensor(name), err_msg=name)
    name = "bert/pooler/dense/kernel"
    assert (weights.get_tensor(name) != original.get_tensor(name)).any()


def test_says_what_is_missing(bert_dir, shards, tmp_path):
    (tmp_path / "bert").mkdir()
    shutil.copy(bert_dir / "vocab.txt", tmp_path / "bert")
    process = pretrain("biobert_v1.1_pubmed", tmp_path / "bert", tmp_path, tmp_path / "runs")
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors.splitlines()[:4] == [
        f"error: missing: {tmp_path}/bert/bert_config.json",
        f"missing: {tmp_path}/bert/bert_model.ckpt.index",
        f"missing: {tmp_path}/*.tfrecord",
        "expected",
    ]
    assert "github.com/google-research/bert" in errors
    assert "data_prep.build_corpus --max_seq_length=512 --max_predictions_per_seq=77" in errors
    assert not (tmp_path / "runs").exists()
    process = pretrain("biobert_v2", bert_dir, shards, tmp_path / "runs")
    assert (
        "biobert_v2.cfg: no such file; expected one of biobert_large_pubmed.cfg biobert_v1.0_pmc.cfg"
        in (process.communicate()[1])
    )
    process = pretrain("biobert_v1.0_pubmed_pmc", bert_dir, shards, tmp_path / "runs", "--xla=true")
    assert process.communicate()[1].startswith("error: 4 arguments before the flags; expected 5:\n")
    assert process.returncode == 1


def stand_in(directory, name, commands):
    """A program that notes how it was called, in `directory`/`name`.calls, and then runs `commands` of the shell."""
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f'#!/usr/bin/env bash\necho "${{@@Q}}" >> {directory}/{name}.calls\n{commands}\n')
    program.chmod(0o755)


def calls(directory, name):
    path = directory / f"{name}.calls"
    return [shlex.split(line) for line in path.read_text().splitlines()] if path.exists() else []


# Writes what run_pretraining.py and convert.py would, in the directory that --output_dir says.
WRITE_CHECKPOINT = """
for flag; do
  if [[ $flag == --output_dir=* ]]; then
    mkdir -p "${flag#*=}"
    touch "${flag#*=}/model.ckpt-9.index"
  fi
done
"""


def test_the_second_stage_begins_with_the_model_of_the_first(bert_dir, shards, tmp_path):
    stand_in(tmp_path / "bin", "python", WRITE_CHECKPOINT)
    pmc, runs = tmp_path / "pmc", tmp_path / "runs"
    pmc.mkdir()
    (pmc / "shard.tfrecord").touch()
    arguments = ("biobert_v1.0_pubmed_pmc", bert_dir, shards, "pmc", "runs", "--num_train_steps=9")
    process = pretrain(*arguments, path=tmp_path / "bin", cwd=tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    training = [call for call in calls(tmp_path / "bin", "python") if call[0] == "run_pretraining.py"]
    converting = [call for call in calls(tmp_path / "bin", "python") if call[0] == "convert.py"]
    assert [call[3:] for call in training] == [
        [
            f"--input_file={data}/*.tfrecord",
            f"--bert_config_file={start}/bert_config.json",
            f"--init_checkpoint={start}",
            f"--output_dir={runs}/training/{model}",
            "--num_train_steps=9",
        ]
        for model, data, start in (
            ("biobert_v1.0_pubmed", shards, bert_dir),
            ("biobert_v1.0_pubmed_pmc", pmc, runs / "biobert_v1.0_pubmed"),
        )
    ]
    assert training[1][1:3] == [
        "--flagfile=configs/pretraining/biobert_v1.0_pubmed_pmc.cfg",
        "--flagfile=configs/pretraining/8_gpus.cfg",
    ]
    assert [call[-1] for call in converting] == [
        f"--output_dir={runs}/biobert_v1.0_pubmed",
        f"--output_dir={runs}/biobert_v1.0_pubmed_pmc",
    ]
    process = pretrain(*arguments, path=tmp_path / "bin", cwd=tmp_path)  # again: nothing left to do
    assert process.communicate()[0].count("done already") == 2
    assert len(calls(tmp_path / "bin", "python")) == 4


def test_a_stopped_first_stage_does_not_begin_the_second(bert_dir, shards, tmp_path):
    stand_in(tmp_path / "bin", "python", "trap 'exit 0' TERM; while true; do sleep 0.05; done")
    arguments = ("biobert_v1.0_pubmed_pmc", bert_dir, shards, shards, tmp_path / "runs")
    process = pretrain(*arguments, path=tmp_path / "bin", cwd=tmp_path)
    while not calls(tmp_path / "bin", "python"):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert output.endswith("stopped before step 200000; the same command goes on\n")
    ((program, *flags),) = calls(tmp_path / "bin", "python")
    assert program == "run_pretraining.py"
    assert f"--output_dir={tmp_path}/runs/training/biobert_v1.0_pubmed" in flags


def test_a_failed_run_is_no_checkpoint(bert_dir, shards, tmp_path):
    stand_in(tmp_path / "bin", "python", "exit 3")
    process = pretrain("biobert_v1.0_pmc", bert_dir, shards, tmp_path / "runs", path=tmp_path / "bin")
    assert "For fine-tuning" not in process.communicate()[0]
    assert process.returncode == 3


def run_slurm_job(repository, tmp_path, *flags):
    """Runs scripts/pretrain.slurm with stand-ins for Slurm and Python; returns the finished process."""
    for name in ("srun", "scontrol", "python"):
        stand_in(tmp_path / "bin", name, "true")
    return subprocess.run(
        ["bash", "scripts/pretrain.slurm", "biobert_v1.1_pubmed", "bert", "shards", tmp_path / "runs", *flags],
        cwd=repository,
        env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
        capture_output=True,
        text=True,
    )


def test_slurm_job_trains_on_all_nodes_and_goes_back_into_the_queue(repository, tmp_path):
    result = run_slurm_job(repository, tmp_path, "--eval_every=5000")
    assert result.returncode == 0, result.stderr
    (call,) = calls(tmp_path / "bin", "srun")
    program = call.index("python")
    assert all(option.startswith("--") for option in call[:program])
    output_dir = f"--output_dir={tmp_path}/runs/training/biobert_v1.1_pubmed"
    assert call[program:] == ["python", "run_pretraining.py", *SLURM, output_dir, "--eval_every=5000"]
    assert calls(tmp_path / "bin", "scontrol") == [["requeue", "7"]]


def test_finished_slurm_job_converts(repository, tmp_path):
    training = tmp_path / "runs/training/biobert_v1.1_pubmed"
    training.mkdir(parents=True)
    (training / "model.ckpt-30.index").touch()
    result = run_slurm_job(repository, tmp_path, "--num_train_steps=30")
    assert result.returncode == 0, result.stderr
    assert calls(tmp_path / "bin", "scontrol") == []
    assert calls(tmp_path / "bin", "python") == [
        [
            "convert.py",
            f"--checkpoint={training}/model.ckpt-30",
            "--input_dir=bert",
            f"--output_dir={tmp_path}/runs/biobert_v1.1_pubmed",
        ]
    ]
