"""The optimizer's 50 recorded steps, and its schedule."""

import json

import numpy as np
import pytest
import tensorflow as tf

import run_pretraining
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from modeling.optimization import learning_rate_at
from modeling.training import Trainer, TrainingOptions


@pytest.mark.parametrize("xla", [False, True])
def test_fifty_steps_equal_the_original(golden_once, tmp_path, xla):
    trace = golden_once / "train_trace"
    model = PretrainingModel(BertConfig.from_json_file(trace / "bert_config.json"))
    model.build()
    checkpoint.load_weights(model, trace / "init.ckpt")
    trainer = Trainer(
        model,
        run_pretraining.pretraining_loss,
        run_pretraining.count_masked,
        # With XLA, each number of tokens would be compiled.
        TrainingOptions(str(tmp_path), 50, 10, 1e-4, batch_size=8, xla=xla, unpad=not xla),
    )
    arrays = np.load(trace / "batches.npz")
    names = {key.split("|")[1] for key in arrays.files}
    stacked = {name: np.stack([arrays[f"{step:03d}|{name}"] for step in range(50)]) for name in names}
    recorded_batches = tf.data.Dataset.from_tensor_slices(stacked).repeat()
    batches = iter(trainer.distribute(lambda *_: recorded_batches, 0))
    for expected in json.loads((trace / "trace.json").read_text()):
        step = expected["step"]
        scalars = trainer.step(batches, step)
        np.testing.assert_allclose(scalars["loss"], expected["total_loss"], rtol=1e-5)
        np.testing.assert_allclose(scalars["learning_rate"], expected["lr"], rtol=1e-5)
        np.testing.assert_allclose(scalars["global_norm"], expected["global_norm"], rtol=1e-5)
    final = tf.train.load_checkpoint(str(trace / "step50.ckpt"))
    recorded = set(final.get_variable_to_shape_map()) - {"global_step"}  # in the core not the larger ones
    assert recorded <= set(trainer.state)
    assert len(trainer.state) == 138
    for name in recorded:
        ours = trainer.state[name].numpy()
        np.testing.assert_allclose(ours, final.get_tensor(name), atol=1e-6, rtol=0, err_msg=name)


def test_learning_rate_rises_then_falls():
    rates = [float(learning_rate_at(step, 1.0, 10, 4)) for step in range(11)]
    # 0, 1/4, 2/4, 3/4, then 1 - step / 10
    np.testing.assert_allclose(rates, [0, 0.25, 0.5, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0], atol=1e-6)


def test_learning_rate_without_warm_up_begins_at_its_peak():
    assert float(learning_rate_at(0, 0.5, 10, 0)) == 0.5
