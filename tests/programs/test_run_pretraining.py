"""run_pretraining.py as a user runs it."""

import collections
import re

import pytest
import tensorflow as tf

from benchmarks import kill_and_resume
from tests.helpers.kills import kill_process


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


def arguments(sample_model, input_file, output_dir, *more):
    return [
        "run_pretraining.py",
        "--do_train=true",
        f"--input_file={input_file}",
        next(flag for flag in sample_model if flag.startswith("--bert_config_file=")),
        f"--output_dir={output_dir}",
        "--max_seq_length=64",
        "--max_predictions_per_seq=10",
        "--train_batch_size=4",
        "--num_train_steps=20",
        "--num_warmup_steps=2",
        "--learning_rate=1e-3",
        *more,
    ]


def test_a_killed_run_ends_like_an_unbroken_one(sample_model, sample_records, run_script, tmp_path):
    directories = [tmp_path / name for name in ("unbroken", "killed")]
    unbroken, killed = (
        arguments(sample_model, sample_records, directory, "--save_checkpoints_steps=2") for directory in directories
    )
    assert run_script(*unbroken).returncode == 0
    kill_process(killed, directories[1] / "model.ckpt-6.index")
    result = run_script(*killed)
    assert result.returncode == 0, result.stderr
    assert "resuming from" in result.stderr
    assert kill_and_resume.differences(*directories) == ([], 92)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_like_an_unbroken_one(repository, sample_records, tmp_path, monkeypatch):
    monkeypatch.chdir(repository)
    assert kill_and_resume.start(sample_records, tmp_path / "unbroken", 150).wait() == 0
    kills = list(kill_and_resume.kill_and_resume(sample_records, tmp_path / "killed", 150, kills=3))
    assert kills
    different, count = kill_and_resume.differences(tmp_path / "unbroken", tmp_path / "killed")
    assert (different, count) == ([], 140)


def scalars_by_tag(directory):
    """TensorBoard's scalars, by tag: the steps at which each was written, and the values."""
    found = collections.defaultdict(dict)
    for path in directory.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_init_checkpoint_of_a_run_begins_a_new_schedule_with_its_weights(
    sample_model, sample_records, run_script, tmp_path
):
    """As after an update of the corpus. The first step of a warm-up has rate 0, wherever the old run was."""
    steps = ("--num_train_steps=3", "--num_warmup_steps=1", "--train_batch_size=4")
    result = run_script(*arguments(sample_model, sample_records, tmp_path / "old", *steps))
    assert result.returncode == 0, result.stderr
    steps = ("--num_train_steps=1", "--num_warmup_steps=10", "--train_batch_size=4")
    told = f"--init_checkpoint={tmp_path}/old/model.ckpt-3"
    result = run_script(*arguments(sample_model, sample_records, tmp_path / "new", *steps, told))
    assert result.returncode == 0, result.stderr
    old, new = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ("old/model.ckpt-3", "new/model.ckpt-1"))
    assert new.get_tensor("global_step") == 1
    names = old.get_variable_to_shape_map()
    weights = [name for name in names if name.startswith(("bert/", "cls/")) and "adam" not in name]
    assert len(weights) > 20
    for name in weights:
        assert (old.get_tensor(name) == new.get_tensor(name)).all(), name


def test_what_tensorboard_shows(sample_model, sample_records, run_script, tmp_path):
    result = run_script(
        *arguments(sample_model, sample_records, tmp_path),
        f"--eval_input_file={sample_records}",
        "--eval_every=8",
        "--max_eval_steps=2",
        "--peak_tflops=0.1",
        "--precision=mixed_float16",
        "--profile_steps=3,4",
    )
    assert result.returncode == 0, result.stderr
    scalars = scalars_by_tag(tmp_path)
    names = ("loss", "masked_lm_loss", "masked_lm_accuracy", "next_sentence_loss", "next_sentence_accuracy")
    training = (*names, "learning_rate", "global_norm", "loss_scale", "tokens_per_second", "model_flops_utilization")
    assert {tag: list(values) for tag, values in scalars.items()} == {
        **{name: [10, 20] for name in training},
        **{f"eval/{name}": [8, 16] for name in names},
    }
    assert scalars["loss"][20] == pytest.approx(scalars["masked_lm_loss"][20] + scalars["next_sentence_loss"][20])
    assert scalars["learning_rate"][20] == pytest.approx(1e-3 * (1 - 19 / 20))
    assert scalars["loss_scale"][20] == 2**15
    assert 0 < scalars["model_flops_utilization"][20] < 1
    assert "evaluation at step 16: loss " in result.stderr
    assert list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--eval_every=5"], "--eval_every: expected --eval_input_file"),
        (["--profile_steps=5,2"], "--profile_steps=5,2: expected a step, or the first and the last"),
        (["--num_gpus=3"], "--num_gpus=3: expected --distribution_strategy=mirrored"),
        (["--num_gpus=3", "--distribution_strategy=mirrored"], "--num_gpus=3: TensorFlow finds 0 GPUs"),
        (["--gradient_accumulation_steps=3"], "does not divide by 1 devices x 3 .*; the nearest that does is 3"),
        (["--distribution_strategy=tpu"], "no TPU there"),
        (["--tpu_name=x"], "--tpu_name=x: expected --distribution_strategy=tpu"),
    ],
)
def test_bad_flags(sample_model, sample_records, run_script, tmp_path, flags, message):
    result = run_script(*arguments(sample_model, sample_records, tmp_path, *flags))
    assert result.returncode == 1
    assert re.fullmatch(f"error: .*{message}.*", result.stderr.splitlines()[-1])
    assert "Traceback" not in result.stderr
