"""Several devices, worker processes, mixed precision: the same training."""

import os
import re
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import run_pretraining
from common.errors import InputError, StoppedError
from modeling import checkpoint, distribution
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from modeling.training import TrainingOptions, train, use_xla
from tests.conftest import TINY

WITHOUT_DROPOUT = TINY | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
BATCH_SIZE = 16


def pretraining_batches(start, batch_size, worker, num_workers):
    """Batches of sequences of 1 to 12 tokens, 1 to 4 of them masked, so that the parts of a batch weigh differently."""
    random = np.random.default_rng(1)
    shape = [400, BATCH_SIZE]
    count = random.integers(1, 5, [*shape, 1])
    ids = random.integers(5, 32, [*shape, 12])
    features = {
        "input_ids": ids,
        "input_mask": np.arange(12) < random.integers(3 * count - 2, 13),
        "segment_ids": np.zeros_like(ids),
        "masked_lm_positions": np.tile(np.arange(4) * 3, [*shape, 1]),
        # Of half of the pieces, nothing is to be learned.
        "masked_lm_ids": np.where(random.random([*shape, 4]) < 0.5, ids[..., ::3] // 4 + 5, ids[..., 1::3]),
        "next_sentence_labels": (ids[..., :1] > 18),
    }
    features = {name: x.astype(np.int32) for name, x in features.items()}
    features["masked_lm_weights"] = (np.arange(4) < count).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices(features).skip(start // batch_size)


def mirrored(devices):
    return distribution.mirrored_cpus(tf.config.list_logical_devices("CPU")[:devices])


def run(directory, strategy=None, precision="float32", loss_fn=None, config=WITHOUT_DROPOUT, **changes):
    """Trains from the same weights; returns the losses and the weights of every device, by name."""
    options = {
        "output_dir": str(directory),
        "num_train_steps": 20,
        "num_warmup_steps": 2,
        "learning_rate": 1e-3,
        "batch_size": BATCH_SIZE,
    } | changes
    keras.config.set_dtype_policy(precision)
    strategy = strategy or tf.distribute.get_strategy()
    try:
        with strategy.scope():
            model = PretrainingModel(BertConfig.from_dict(config))
            model.build()
            for i, variable in enumerate(model.variables):
                values = np.random.default_rng(i).normal(0, 0.02, variable.shape)
                variable.assign(values + variable.path.endswith("gamma"))
            _, losses = train(
                model,
                loss_fn or run_pretraining.pretraining_loss,
                run_pretraining.count_masked,
                pretraining_batches,
                TrainingOptions(**options),
            )
    finally:
        keras.config.set_dtype_policy("float32")
    copies = {
        variable.path: [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
        for variable in model.variables
    }
    return losses, copies


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """The output directory of a training on one device, its losses and weights."""
    directory = tmp_path_factory.mktemp("one")
    return directory, *run(directory, save_checkpoints_steps=10)


@pytest.mark.parametrize(
    ("devices", "changes"),
    [
        pytest.param(8, {}, marks=pytest.mark.slow),
        (2, {"accumulation_steps": 4, "recompute_grad": True}),
        (2, {"xla": True, "accumulation_steps": 2, "unpad": False}),
        pytest.param(2, {"xla": True, "accumulation_steps": 2}, marks=pytest.mark.slow),
        (1, {"recompute_grad": True, "xla": True, "unpad": False}),
    ],
)
def test_devices_and_parts_of_a_batch_train_like_one_device(one_device, tmp_path, devices, changes):
    losses, weights = run(tmp_path, mirrored(devices) if devices > 1 else None, **changes)
    _, expected_losses, expected_weights = one_device
    np.testing.assert_allclose(losses, expected_losses, atol=1e-5, rtol=0)
    for name, (expected,) in expected_weights.items():
        assert len(weights[name]) == devices
        for copy in weights[name]:
            np.testing.assert_allclose(copy, expected, atol=1e-5, rtol=0, err_msg=name)
    assert losses[-1] < losses[0] - 0.1


def test_a_strategy_of_one_device_trains_like_none(one_device, tmp_path):
    losses, weights = run(tmp_path, mirrored(1))
    _, expected_losses, expected_weights = one_device
    np.testing.assert_allclose(losses, expected_losses, atol=1e-5, rtol=0)
    for name, (expected,) in expected_weights.items():
        np.testing.assert_allclose(weights[name][0], expected, atol=1e-5, rtol=0, err_msg=name)


def overflowing(replica, at_step):
    """A loss that is infinite on one replica in one step."""

    def loss_fn(model, features, dropout_seed, totals):
        loss, scalars = run_pretraining.pretraining_loss(model, features, dropout_seed, totals)
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = dropout_seed[1] // tf.distribute.get_strategy().num_replicas_in_sync
        factor = tf.where((number == replica) & (step == at_step), float("inf"), 1.0)
        return loss * factor, scalars

    return loss_fn


def test_an_overflow_on_one_device_is_skipped_by_all(tmp_path, caplog):
    caplog.set_level("INFO")
    options = {"precision": "mixed_float16", "save_checkpoints_steps": 1, "num_train_steps": 8}
    _, weights = run(tmp_path, mirrored(2), loss_fn=overflowing(replica=1, at_step=5), **options)
    before, after, last = (tf.train.load_checkpoint(str(tmp_path / f"model.ckpt-{step}")) for step in (5, 6, 8))
    for name in before.get_variable_to_shape_map():
        if name not in ("global_step", "examples_seen", "loss_scale", "loss_scale_good_steps"):
            np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name), err_msg=name)
    assert [reader.get_tensor("loss_scale") for reader in (before, after)] == [2.0**15, 2.0**14]
    assert [reader.get_tensor("loss_scale_good_steps") for reader in (before, after, last)] == [5, 0, 2]
    assert "step 6: skipped, its gradients overflow; loss scale 32768, now 16384" in caplog.text
    for name, (first, second) in weights.items():
        np.testing.assert_array_equal(first, second, err_msg=name)
    assert not np.array_equal(
        last.get_tensor("cls/predictions/output_bias"), after.get_tensor("cls/predictions/output_bias")
    )


def test_gradients_that_are_never_finite_end_the_run(tmp_path):
    def loss_fn(model, features, dropout_seed, totals):
        loss, scalars = run_pretraining.pretraining_loss(model, features, dropout_seed, totals)
        return loss * float("nan"), scalars

    with pytest.raises(InputError, match="step 16: the loss is nan"):  # 2^15 is halved 15 times
        run(tmp_path, precision="mixed_float16", loss_fn=loss_fn)


def test_the_loss_scale_grows(tmp_path, monkeypatch):
    monkeypatch.setattr("modeling.optimization.LossScale.GROWTH_STEPS", 8)
    run(tmp_path, precision="mixed_float16")
    reader = tf.train.load_checkpoint(str(tmp_path))
    assert (reader.get_tensor("loss_scale"), reader.get_tensor("loss_scale_good_steps")) == (2.0**17, 4)


LONG = {"num_train_steps": 200, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def full_precision(tmp_path_factory):
    """The losses of a longer training in float32."""
    return run(tmp_path_factory.mktemp("full"), **LONG)[0]


@pytest.mark.parametrize(
    ("precision", "devices", "xla"),
    [
        ("mixed_float16", 1, False),
        ("mixed_bfloat16", 1, False),
        pytest.param("mixed_float16", 2, True, marks=pytest.mark.slow),
    ],
)
def test_half_precision_trains_as_well(full_precision, tmp_path, precision, devices, xla):
    expected, strategy = full_precision, mirrored(devices) if devices > 1 else None
    losses, copies = run(tmp_path, strategy, precision, xla=xla, **LONG)
    assert np.mean(expected[-10:]) < 0.9 * np.mean(expected[:10])
    assert np.mean(losses[-10:]) == pytest.approx(np.mean(expected[-10:]), rel=0.02)
    assert losses != expected
    assert {copy.dtype for (copy, *_) in copies.values()} == {np.dtype("float32")}


def test_goes_on_with_another_precision_and_number_of_devices(tmp_path, one_device):
    """From a checkpoint of one device in float32: none of the loss scale is in it."""
    directory, first, _ = one_device
    for path in directory.glob("model.ckpt-10.*"):
        shutil.copy(path, tmp_path)
    losses, _ = run(tmp_path, mirrored(2), precision="mixed_float16")
    np.testing.assert_allclose(losses, first[10:], rtol=0.01)


def test_a_batch_that_does_not_divide(tmp_path):
    with pytest.raises(InputError, match="--train_batch_size=30: .* 8 devices x 2 .* = 16; the nearest .* is 32"):
        run(tmp_path, mirrored(8), batch_size=30, accumulation_steps=2)


@pytest.mark.parametrize(
    ("gpus", "has_driver", "shown"),
    [
        (["GPU:0", "GPU:1"], True, "computing on NVIDIA H200, GPU:1"),  # one that does not say what it is
        ([], False, "computing on 7 CPU cores"),
        ([], True, "computing on 7 CPU cores"),
    ],
)
def test_a_line_of_log_names_the_devices(monkeypatch, caplog, tmp_path, gpus, has_driver, shown):
    caplog.set_level("INFO")
    details = {"GPU:0": {"device_name": "NVIDIA H200"}, "GPU:1": {}}
    for name in ("get_visible_devices", "list_physical_devices"):
        monkeypatch.setattr(tf.config, name, lambda kind: [tf.config.PhysicalDevice(gpu, kind) for gpu in gpus])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu.name])
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr(distribution, "NVIDIA_DRIVER", str(tmp_path / "version"))
    if has_driver:
        (tmp_path / "version").touch()
    distribution.log_devices()
    line, *warnings = caplog.messages
    assert line == shown
    assert len(warnings) == (has_driver and not gpus)
    for warning in warnings:
        assert warning.startswith(f"{tmp_path}/version is there, but TensorFlow finds no GPU; expected pip install")


@pytest.mark.parametrize(
    ("built", "capability", "fits"),
    [
        (["sm_60", "sm_89", "compute_90"], (9, 0), True),
        (["sm_60", "sm_89"], (8, 9), True),
        (["sm_60", "sm_89", "compute_90"], (12, 0), False),
        (["sm_80", "sm_100a"], (12, 0), False),
        (["sm_80", "sm_120a"], (12, 0), True),
        ([], (12, 0), True),  # a build that does not say
    ],
)
def test_xla_is_not_chosen_on_gpus_newer_than_tensorflow(monkeypatch, caplog, built, capability, fits):
    details = {"device_name": "NVIDIA RTX", "compute_capability": capability}
    gpus = [tf.config.PhysicalDevice("GPU:0", "GPU")]
    for name in ("get_visible_devices", "list_physical_devices"):
        monkeypatch.setattr(tf.config, name, lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"cuda_compute_capabilities": built})
    distribution.log_devices()
    assert use_xla("auto") == fits
    assert use_xla("true")
    assert [text.startswith("NVIDIA RTX is newer than this TensorFlow") for text in caplog.messages] == [True] * (
        not fits
    )


def test_a_termination_signal_writes_a_checkpoint(tmp_path):
    def loss_fn(model, features, dropout_seed, totals):
        def terminate(step):
            if step == 7:
                os.kill(os.getpid(), signal.SIGTERM)
            return step

        tf.numpy_function(terminate, [dropout_seed[1]], tf.int32)
        return run_pretraining.pretraining_loss(model, features, dropout_seed, totals)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="at step [89] of 20"):
        run(tmp_path, loss_fn=loss_fn)
    assert re.search(r"model.ckpt-[89]$", checkpoint.newest(tmp_path))
    assert signal.getsignal(signal.SIGTERM) == before
