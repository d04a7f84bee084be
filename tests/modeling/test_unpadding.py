"""Without its padding a batch gives what it gives with it: the padded computation is the reference here."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import run_ner
import run_pretraining
import run_qa
import run_re
from modeling import checkpoint, heads, training, unpadding

LENGTH, PREDICTIONS = 16, 4
# One token, all positions, a first segment alone, a second of one token.
SEGMENTS = [(1, 0), (9, 7), (6, 0), (3, 1), (2, 12), (16, 0)]
TASKS = {
    "pretraining": (heads.PretrainingModel, run_pretraining.pretraining_loss, run_pretraining.count_masked),
    "ner": (lambda config: heads.TokenClassifier(config, 5), None, None),
    "re": (lambda config: heads.SequenceClassifier(config, 3), run_re.relation_loss, None),
    "qa": (heads.SpanClassifier, run_qa.span_loss_fn(padding_counts=False), None),
}


def batch(config, segments=tuple(SEGMENTS)):
    """Random tokens in sequences of given lengths of both segments; what all tasks need to train on them."""
    random, count = np.random.default_rng(1), len(segments)
    lengths = np.array([sum(pair) for pair in segments])
    column = np.arange(LENGTH)
    mask = column < lengths[:, np.newaxis]
    # No more masked positions than tokens; the first may be none.
    number = np.minimum(np.arange(count) % (PREDICTIONS + 1), lengths)
    weights = np.arange(PREDICTIONS) < number[:, np.newaxis]
    positions = np.sort(random.permuted(np.tile(column, [count, 1]), axis=1)[:, :PREDICTIONS]) % lengths[:, np.newaxis]
    features = {
        "input_ids": random.integers(1, config.vocab_size, mask.shape) * mask,
        "input_mask": mask,
        "segment_ids": mask & (column >= np.array(segments)[:, :1]),
        "masked_lm_positions": positions * weights,
        "masked_lm_ids": random.integers(config.vocab_size, size=weights.shape) * weights,
        "next_sentence_labels": random.integers(2, size=[count, 1]),
        "start_positions": lengths[:, np.newaxis] // 2,
        "end_positions": lengths[:, np.newaxis] - 1,
    }
    tensors = {name: tf.constant(x.astype(np.int32)) for name, x in features.items()}
    return {**tensors, "masked_lm_weights": tf.constant(weights.astype(np.float32))}


def computed(task, model, features, xla):
    """Loss, scalars, gradients by name, and outputs of the heads at real tokens."""
    _, loss_fn, _ = TASKS[task]
    labels = tf.constant(np.random.default_rng(2).integers(3, size=[len(SEGMENTS), LENGTH]), tf.int32)
    features = {**features, "label_ids": labels if task == "ner" else labels[:, :1]}
    if task == "ner":
        loss_fn = run_ner.token_loss_fn(run_ner.Encoding(None, None, LENGTH, False, None))
    totals = {"examples": tf.constant(float(len(SEGMENTS))), "masked": tf.reduce_sum(features["masked_lm_weights"])}

    @tf.function(jit_compile=xla)
    def compute():
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss, scalars = loss_fn(model, features, None, totals)
        gradients = [tf.convert_to_tensor(x) for x in tape.gradient(loss, variables)]
        encoded = heads.encode(model.bert, features, None)
        outputs = tf.nest.flatten(model(features)) if task != "pretraining" else []
        return loss, scalars, gradients, [*encoded["all_layers"], encoded["pooled_output"], *outputs]

    loss, scalars, gradients, outputs = compute()
    names = [checkpoint.checkpoint_name(variable) for variable in model.trainable_variables]
    real = features["input_mask"].numpy() > 0
    outputs = [x.numpy()[real] if x.shape[:2] == real.shape else x.numpy() for x in outputs]
    return loss, scalars, dict(zip(names, gradients, strict=True)), outputs


@pytest.mark.parametrize(
    ("task", "blocks", "xla"),
    [
        *((task, 2, False) for task in TASKS),
        ("pretraining", 1, True),
        *(pytest.param(task, 1, True, marks=pytest.mark.slow) for task in TASKS if task != "pretraining"),
        *(pytest.param(task, count, False, marks=pytest.mark.slow) for task in TASKS for count in (1, len(SEGMENTS))),
    ],
)
def test_equals_the_padded_computation(tiny_config, task, blocks, xla):
    make_model, _, _ = TASKS[task]
    model = make_model(dataclasses.replace(tiny_config, num_hidden_layers=2))
    model.build()
    for variable in model.trainable_variables:
        if "output_weights" in variable.path:
            variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
    features = batch(tiny_config)
    expected = computed(task, model, features, xla)
    model.bert.attention_blocks = blocks
    found = computed(task, model, unpadding.add_positions(features, few_shapes=xla), xla)
    tf.nest.map_structure(check_equal, expected, found)


def check_equal(expected, found):
    """Within 1e-6 of the scale of the values, or of 1."""
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)


def test_nothing_is_computed_at_padding(tiny_config):
    model = heads.TokenClassifier(tiny_config, 5)
    model.build()
    features = unpadding.add_positions(batch(tiny_config))
    assert features["token_positions"].shape == [sum(map(sum, SEGMENTS)) // 8 * 8 + 8]
    encoded = heads.encode(model.bert, features, None)
    assert not encoded["sequence_output"].numpy()[features["input_mask"].numpy() == 0].any()


def test_positions_are_those_of_real_tokens_and_then_of_padding():
    mask = np.zeros([4, 100], np.int32)
    for row, length in enumerate([3, 100, 0, 40]):
        mask[row, :length] = 1
    real = np.flatnonzero(mask).tolist()
    for few_shapes, size in [(False, 144), (True, 152)]:  # of 8 the next multiple; 6 of 16 parts are 150
        positions = unpadding.add_positions({"input_mask": tf.constant(mask)}, few_shapes)["token_positions"].numpy()
        assert positions[:143].tolist() == real
        assert len(set(positions)) == len(positions) == size
    full = unpadding.add_positions({"input_mask": tf.ones([2, 3], tf.int32)})
    assert full["token_positions"].numpy().tolist() == list(range(6))


def test_for_xla_masks_share_their_number_of_parts():
    """Sizes that vary apart would make as many programs as they have combinations."""
    rows = np.arange(160)[np.newaxis]
    for tokens, masked in [(85, 3), (20, 81), (89, 89)]:
        features = {"input_mask": tf.constant(rows < tokens), "masked_lm_weights": tf.constant(rows < masked)}
        features = {name: tf.cast(x, tf.int32) for name, x in features.items()}
        added = unpadding.add_positions(features, few_shapes=True)
        assert [added[name].shape for name in ("token_positions", "masked_positions")] == [[96]] * 2  # 9 parts of 10


def test_masked_positions_are_listed_with_their_ids():
    features = {
        "input_ids": tf.zeros([2, 10], tf.int32),
        "masked_lm_positions": tf.constant([[3, 0, 0], [1, 4, 0]]),
        "masked_lm_ids": tf.constant([[7, 0, 0], [8, 9, 0]]),
        "masked_lm_weights": tf.constant([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
    }
    listed = unpadding.list_masked(unpadding.add_positions(features))
    assert listed["masked_lm_positions"].numpy()[:3].tolist() == [3, 11, 14]
    assert listed["masked_lm_ids"].numpy()[:3].tolist() == [7, 8, 9]
    assert listed["masked_lm_weights"].numpy().tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(("devices", "parts"), [(1, 1), (4, 1), (2, 3), (8, 2)])
def test_examples_are_dealt_out_so_that_each_share_has_about_as_many_tokens(devices, parts):
    lengths = np.random.default_rng(1).integers(1, 101, size=[96])
    features = {
        "input_ids": tf.tile(tf.range(96)[:, tf.newaxis], [1, 100]),
        "input_mask": tf.cast(np.arange(100) < lengths[:, np.newaxis], tf.int32),
    }
    options = training.TrainingOptions("", 1, 0, 1e-4, 96, accumulation_steps=parts)
    dealt = training.deal(features, devices, options)
    shares = dealt["input_mask"].numpy()
    assert shares.shape == (devices, parts, 96 // (devices * parts), 100)
    assert sorted(dealt["input_ids"].numpy()[..., 0].ravel()) == list(range(96))
    tokens = shares.sum(axis=(2, 3))
    assert tokens.sum() == lengths.sum()
    # At random, the busiest of 16 shares of 6 would have a third more than the mean.
    assert tokens.max() <= 1.05 * tokens.mean()
    assert dealt["token_positions"].shape[:2] == (devices, parts)
