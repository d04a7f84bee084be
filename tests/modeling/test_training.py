"""The training loop: exact resume, evaluation, non-finite losses, foreign output directories."""

import contextlib
import functools
import itertools
import signal
import types

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError, StoppedError
from modeling import checkpoint, monitoring
from modeling.config import BertConfig
from modeling.heads import TokenClassifier
from modeling.losses import count_examples, token_loss
from modeling.training import TrainingOptions, train
from tests.conftest import TINY


def batches(start, batch_size, worker, num_workers, end=1000):
    """Batches, each a function of its step, until `end`."""
    ids = np.concatenate([np.random.default_rng(step).integers(5, 32, [1, 4, 8]) for step in range(end)])
    features = {
        "input_ids": ids.astype(np.int32),
        "input_mask": np.ones_like(ids, np.int32),
        "segment_ids": np.zeros_like(ids, np.int32),
        "label_ids": (ids % 3).astype(np.int32),
    }
    return tf.data.Dataset.from_tensor_slices(features).skip(start // batch_size)


def loss_fn(model, features, dropout_seed, _):
    logits = model(features, dropout_seed=dropout_seed)
    return token_loss(logits, features["label_ids"], features["input_mask"]), {}


def new_model(hidden_size=8):
    model = TokenClassifier(BertConfig.from_dict(TINY | {"hidden_size": hidden_size}), 3)
    model.build()
    for i, variable in enumerate(model.variables):
        values = np.random.default_rng(i).normal(0, 0.02, variable.shape)
        variable.assign(values + variable.path.endswith("gamma"))
    return model


def options(output_dir, **changes):
    return TrainingOptions(
        **{
            "output_dir": str(output_dir),
            "num_train_steps": 12,
            "num_warmup_steps": 2,
            "learning_rate": 1e-2,
            "batch_size": 4,
            "save_checkpoints_steps": 5,
        }
        | changes
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output directory of an unbroken training, and its losses."""
    directory = tmp_path_factory.mktemp("finished")
    return directory, train(new_model(), loss_fn, count_examples, batches, options(directory))[1]


@pytest.mark.parametrize("xla", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_exactly(finished, tmp_path, xla):
    directory, unbroken = finished
    if xla:
        directory = tmp_path / "unbroken"
        _, unbroken = train(new_model(), loss_fn, count_examples, batches, options(directory, xla=True))
    until_killed = functools.partial(batches, end=8)
    with pytest.raises(tf.errors.FailedPreconditionError):
        train(new_model(), loss_fn, count_examples, until_killed, options(tmp_path / "killed", xla=xla))
    _, resumed = train(new_model(), loss_fn, count_examples, batches, options(tmp_path / "killed", xla=xla))
    assert len(unbroken) == 12
    assert resumed == unbroken[5:]
    ours, theirs = (tf.train.load_checkpoint(str(name)) for name in (tmp_path / "killed", directory))
    assert ours.get_tensor("global_step") == 12
    for name in theirs.get_variable_to_shape_map():
        np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name), err_msg=name)


def test_the_loss_falls(tmp_path):
    _, losses = train(new_model(), loss_fn, count_examples, batches, options(tmp_path, num_train_steps=60))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_a_finished_run_is_not_run_again(finished):
    directory, _ = finished
    model = new_model()
    assert train(model, loss_fn, count_examples, batches, options(directory, num_train_steps=6)) == (12, [])
    saved = tf.train.load_checkpoint(str(directory))
    np.testing.assert_array_equal(model.output_bias.numpy(), saved.get_tensor("output_bias"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    def breaking_loss(model, features, dropout_seed, totals):
        loss, scalars = loss_fn(model, features, dropout_seed, totals)
        return loss * tf.where(dropout_seed[1] >= 7, float("nan"), 1.0), scalars

    with pytest.raises(InputError, match=r"step 8: the loss is nan.*model.ckpt-5"):
        train(new_model(), breaking_loss, count_examples, batches, options(tmp_path))
    assert checkpoint.newest(tmp_path).endswith("model.ckpt-5")


def test_an_output_directory_of_another_model_is_refused(finished):
    directory, _ = finished
    with pytest.raises(InputError, match=r"has shape .* the model needs .*another model.*--output_dir"):
        train(new_model(hidden_size=4), loss_fn, count_examples, batches, options(directory))
    assert checkpoint.newest(directory).endswith("model.ckpt-12")


def scalars(directory):
    """What TensorBoard shows: pairs of name and step."""
    (events,) = directory.glob("events.out.tfevents.*")
    return {
        (value.tag, event.step)
        for record in tf.data.TFRecordDataset(str(events))
        for event in [tf.compat.v1.Event.FromString(record.numpy())]
        for value in event.summary.value
    }


def newest_step(directory):
    newest = checkpoint.newest(directory)
    return checkpoint.global_step(newest) if newest else 0


def test_evaluates_at_steps_when_the_checkpoints_before_are_on_disk_and_that_of_the_step_is_not(tmp_path):
    found = []

    def evaluate(step):
        found.append((step, newest_step(tmp_path)))
        return {"f1": step / 4}

    train(new_model(), loss_fn, count_examples, batches, options(tmp_path, evaluate_at={5, 6, 10, 12, 14}), evaluate)
    assert found == [(5, 0), (6, 5), (10, 5), (12, 10)]
    assert {(tag, step) for tag, step in scalars(tmp_path) if tag.startswith("eval/")} == {
        ("eval/f1", step) for step in (5, 6, 10, 12)
    }


def test_evaluation_changes_nothing_in_the_training(finished, tmp_path):
    model = new_model()

    def evaluate(_):
        return {"f1": float(tf.reduce_sum(model(next(iter(batches(0, 4, 0, 1)))))[()])}

    _, with_it = train(model, loss_fn, count_examples, batches, options(tmp_path, evaluate_at={3, 7}), evaluate)
    assert with_it == finished[1]


def test_a_run_that_is_told_to_stop_evaluates_that_step_first(tmp_path):
    found = []

    def evaluate(step):
        found.append((step, newest_step(tmp_path)))
        if step == 2:
            signal.raise_signal(signal.SIGTERM)
        return {}

    with pytest.raises(StoppedError, match="step 3 of 12"):
        train(new_model(), loss_fn, count_examples, batches, options(tmp_path, evaluate_at={2, 3}), evaluate)
    assert found == [(2, 0), (3, 0)]
    assert newest_step(tmp_path) == 3


def test_a_run_that_fails_in_an_evaluation_evaluates_again(tmp_path):
    found = []

    def evaluate(step):
        found.append(step)
        if found.count(10) == 1 and step == 10:
            raise KeyboardInterrupt
        return {}

    for expected in (pytest.raises(KeyboardInterrupt), contextlib.nullcontext()):
        with expected:
            train(new_model(), loss_fn, count_examples, batches, options(tmp_path, evaluate_at={4, 8, 10}), evaluate)
    assert found == [4, 8, 10, 8, 10]  # from the checkpoint of step 5


def test_a_slow_step_does_not_change_the_speed_shown(monkeypatch):
    """100 tokens a step of a second; one is compiled in 60 seconds, one waits 500 for an evaluation."""
    seconds = [60, 1, 1, 1, 500, 1, 1] + [1] * 100 + [2] * 40  # at last half as fast
    clock = itertools.accumulate([0, *seconds])
    monkeypatch.setattr(monitoring, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    meter = monitoring.Meter(types.SimpleNamespace(peak_flops=1000, flops_per_token=3))
    shown = [meter.update(100) for _ in seconds]
    assert [scalars["tokens_per_second"] for scalars in shown[2:7]] == [100] * 5
    assert shown[6]["model_flops_utilization"] == pytest.approx(0.3)  # 3 x 100 of 1,000
    assert shown[-1]["tokens_per_second"] == 50


def test_tensorboard_scalars_are_written(finished):
    names = ("loss", "learning_rate", "global_norm", "tokens_per_second")
    assert scalars(finished[0]) == {(name, step) for name in names for step in (10, 12)}
