"""configs/pretraining and the scripts that run them: the paper's settings, what is missing, stages, a stop."""

import json
import pathlib
import shutil
import subprocess
import types

import numpy as np
import pytest
import tensorflow as tf

import run_pretraining
from common.errors import InputError, StoppedError
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_records import Settings
from data_prep.create_pretraining_data import create_pretraining_data
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from reproduction import experiments, pretraining
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


def pretrain(*arguments, **options):
    """Runs scripts/pretrain.sh from another directory than the repository's."""
    script = pathlib.Path(__file__).resolve().parents[2] / "scripts/pretrain.sh"
    return subprocess.Popen(
        ["bash", script, *arguments],
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
    assert errors.splitlines()[0] == (
        f"error: missing: {tmp_path}/bert/bert_config.json, {tmp_path}/bert/*.ckpt*.index, {tmp_path}/*.tfrecord; "
        "expected"
    )
    assert "github.com/google-research/bert" in errors
    assert "data_prep.build_corpus --max_seq_length=512 --max_predictions_per_seq=77" in errors
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="v2.cfg: no such file; expected one of biobert_large_pubmed.cfg biobert_v1.0"):
        pretraining.main(["biobert_v2", str(bert_dir), str(shards), str(tmp_path / "runs")])
    with pytest.raises(InputError, match="4 arguments before the flags; expected 5:"):
        pretraining.main(["biobert_v1.0_pubmed_pmc", str(bert_dir), str(shards), "runs", "--xla=true"])
    with pytest.raises(InputError, match="5 arguments before the flags; expected 4:"):  # two jobs
        pretraining.main(["--slurm", "biobert_v1.0_pubmed_pmc", str(bert_dir), str(shards), str(shards), "runs"])


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        ([], 1_000_000),
        (["--num_train_steps=30"], 30),
        (["--num_train_steps", "30", "--learning_rate", "1e-4"], 30),
        (["-learning_rate", "1e-4", "-num_train_steps=40", "--noxla"], 40),
        (["--num_train_steps=30", "--num_train_steps=50"], 50),
    ],
)
def test_the_number_of_steps_is_read_as_the_training_reads_it(repository, monkeypatch, flags, steps):
    monkeypatch.chdir(repository)
    assert pretraining.steps_of("biobert_v1.1_pubmed", flags) == steps


def test_a_number_of_steps_that_is_none_is_refused(repository, monkeypatch):
    monkeypatch.chdir(repository)
    with pytest.raises(InputError, match="num_train_steps"):
        pretraining.steps_of("biobert_v1.1_pubmed", ["--num_train_steps=many"])


@pytest.fixture
def calls(monkeypatch):
    """Stands in for the programs that are run: notes their `commands` and does for each what `outcome` does."""
    found = types.SimpleNamespace(commands=[], outcome=write_checkpoint)

    def wait_for(command):
        found.commands.append(list(command))
        return found.outcome(list(command))

    monkeypatch.setattr(experiments, "wait_for", wait_for)
    monkeypatch.setattr(pretraining.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.chdir(pathlib.Path.cwd())  # which the program changes
    return found


def write_checkpoint(command, step=9, status=0):
    """Writes what run_pretraining.py and convert.py would; returns their status, and that none told this one to end."""
    output_dir = next((flag for flag in command if flag.startswith("--output_dir=")), None)
    if output_dir:
        directory = pathlib.Path(output_dir.partition("=")[2])
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"model.ckpt-{step}.index").touch()
    return status, False


def test_the_second_stage_begins_with_the_model_of_the_first(bert_dir, shards, tmp_path, calls, capsys):
    pmc, runs = tmp_path / "pmc", tmp_path / "runs"
    pmc.mkdir()
    (pmc / "shard.tfrecord").touch()
    arguments = ["biobert_v1.0_pubmed_pmc", *map(str, (bert_dir, shards, pmc, runs)), "--num_train_steps=9"]
    pretraining.main(arguments)
    training = [call[1:] for call in calls.commands if call[1] == "run_pretraining.py"]
    converting = [call[1:] for call in calls.commands if call[1] == "convert.py"]
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
    pretraining.main(arguments)  # again: nothing left to do
    assert capsys.readouterr().out.count("done already") == 2
    assert len(calls.commands) == 4


def test_a_stopped_first_stage_does_not_begin_the_second(bert_dir, shards, tmp_path, calls):
    arguments = ["biobert_v1.0_pubmed_pmc", *map(str, (bert_dir, shards, shards, tmp_path / "runs"))]
    calls.outcome = lambda command: (75, False)  # run_pretraining.py was told to end, and did
    with pytest.raises(StoppedError, match="stopped before step 200000; the same command goes on"):
        pretraining.main(arguments)
    calls.outcome = lambda command: (0, True)
    with pytest.raises(StoppedError, match="stopped as told"):
        pretraining.main(arguments)
    assert [call[-1] for call in calls.commands] == [f"--output_dir={tmp_path}/runs/training/biobert_v1.0_pubmed"] * 2


def test_a_failed_run_is_no_checkpoint(bert_dir, shards, tmp_path, calls, capsys):
    calls.outcome = lambda command: (3, False)
    with pytest.raises(InputError, match="run_pretraining.py ended with status 3"):
        pretraining.main(["biobert_v1.0_pmc", *map(str, (bert_dir, shards, tmp_path / "runs"))])
    assert "For fine-tuning" not in capsys.readouterr().out


def run_slurm_job(repository, tmp_path, *flags):
    """Runs a job of `scripts/pretrain.slurm` from `bert` and `shards` to `runs`."""
    for name in ("bert/bert_config.json", "bert/vocab.txt", "bert/model.ckpt-1.index", "shards/a.tfrecord"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    arguments = [str(tmp_path / name) for name in ("bert", "shards", "runs")]
    pretraining.main(["--slurm", "biobert_v1.1_pubmed", *arguments, *flags])


@pytest.fixture
def slurm(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "32")


# 143 and 137: srun ended the other workers when the first, which had written the checkpoint, was gone.
@pytest.mark.parametrize("status", [75, 143, 137])
def test_slurm_job_trains_on_all_nodes_and_goes_back_into_the_queue(repository, tmp_path, calls, slurm, capsys, status):
    calls.outcome = lambda command: write_checkpoint(command, status=status) if command[0] == "srun" else (0, False)
    run_slurm_job(repository, tmp_path, "--eval_every=5000")
    step, requeue = calls.commands
    assert step[:3] == ["srun", "--cpus-per-task=32", "--kill-on-bad-exit=1"]
    output_dir = f"--output_dir={tmp_path}/runs/training/biobert_v1.1_pubmed"
    given = [flag.replace("=bert", f"={tmp_path}/bert").replace("=shards", f"={tmp_path}/shards") for flag in SLURM]
    assert step[4:] == ["run_pretraining.py", *given, output_dir, "--eval_every=5000"]
    assert requeue == ["scontrol", "requeue", "7"]
    assert "For fine-tuning" not in capsys.readouterr().out


def test_slurm_job_without_progress_does_not_go_back_into_the_queue(repository, tmp_path, calls, slurm):
    training = tmp_path / "runs/training/biobert_v1.1_pubmed"
    training.mkdir(parents=True)
    (training / "model.ckpt-9.index").touch()
    calls.outcome = lambda command: write_checkpoint(command, status=75)
    with pytest.raises(InputError, match="no checkpoint that was not there before"):
        run_slurm_job(repository, tmp_path)  # writes the one of step 9 again
    assert len(calls.commands) == 1


def test_failed_slurm_job_does_not_go_back_into_the_queue(repository, tmp_path, calls, slurm):
    calls.outcome = lambda command: write_checkpoint(command, status=1)
    with pytest.raises(InputError, match="srun --cpus-per-task=32 ended with status 1"):
        run_slurm_job(repository, tmp_path)
    assert len(calls.commands) == 1


def test_finished_slurm_job_converts(repository, tmp_path, calls, slurm):
    calls.outcome = lambda command: write_checkpoint(command, 30)
    run_slurm_job(repository, tmp_path, "--num_train_steps", "30")
    _, converting = calls.commands
    assert converting[1:] == [
        "convert.py",
        f"--checkpoint={tmp_path}/runs/training/biobert_v1.1_pubmed/model.ckpt-30",
        f"--input_dir={tmp_path}/bert",
        f"--output_dir={tmp_path}/runs/biobert_v1.1_pubmed",
    ]


def test_the_script_for_slurm_runs_the_program(repository, tmp_path):
    result = subprocess.run(
        ["bash", "scripts/pretrain.slurm", "biobert_v1.1_pubmed", "bert", "shards", tmp_path / "runs"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(
        "error: missing: bert/bert_config.json, bert/vocab.txt, bert/*.ckpt*.index, shards/"
    )
