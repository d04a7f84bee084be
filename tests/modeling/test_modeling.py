"""The model's numbers are those of the original code, and hold under every dtype policy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from modeling import checkpoint, heads, losses
from modeling.config import BertConfig


def load(directory, make_model):
    """A model of the fixture's configuration and weights, its inputs, and what the original computed."""
    model = make_model(BertConfig.from_json_file(directory / "bert_config.json"))
    model.build()
    checkpoint.load_weights(model, directory / "model.ckpt")
    arrays = {kind: dict(np.load(directory / f"{kind}.npz")) for kind in ("inputs", "outputs", "grads")}
    return model, arrays["inputs"], arrays["outputs"], arrays["grads"]


def gradients_by_name(tape, loss, model):
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [v.value for v in variables])
    return {
        checkpoint.checkpoint_name(v): tf.convert_to_tensor(g).numpy()
        for v, g in zip(variables, gradients, strict=True)
    }


def check_gradients(ours, theirs):
    """Each within 1e-5 of the scale of the largest gradient."""
    assert {name.replace("/", "|") for name in ours} == set(theirs)
    scale = max(1.0, max(np.abs(g).max() for g in theirs.values()))
    for name, gradient in ours.items():
        np.testing.assert_allclose(gradient, theirs[name.replace("/", "|")], atol=1e-5 * scale, err_msg=name)


def test_pretraining_arrays_equal_the_original(golden):
    model, inputs, outputs, grads = load(golden / "model_tiny", heads.PretrainingModel)
    with tf.GradientTape() as tape:
        masked_lm_logits, next_sentence_logits = model(inputs)
        masked_lm, per_position = losses.masked_lm_loss(
            masked_lm_logits, inputs["masked_lm_ids"], inputs["masked_lm_weights"]
        )
        labels = inputs["next_sentence_labels"][:, 0]
        next_sentence, per_example = losses.next_sentence_loss(next_sentence_logits, labels)
        total = masked_lm + next_sentence
    encoded = model.bert(inputs["input_ids"], inputs["input_mask"], inputs["segment_ids"])
    ours = {
        "embedding_output": encoded["embedding_output"],
        "layer_0": encoded["all_layers"][0],
        "layer_1": encoded["all_layers"][1],
        "sequence_output": encoded["sequence_output"],
        "pooled_output": encoded["pooled_output"],
        "masked_lm_loss": masked_lm,
        "masked_lm_example_loss": tf.reshape(per_position, [-1]),
        "masked_lm_log_probs": tf.reshape(tf.nn.log_softmax(masked_lm_logits), [-1, 1024]),
        "next_sentence_loss": next_sentence,
        "next_sentence_example_loss": per_example,
        "next_sentence_log_probs": tf.nn.log_softmax(next_sentence_logits),
        "total_loss": total,
    }
    assert set(ours) == set(outputs)
    for name, value in ours.items():
        np.testing.assert_allclose(value, outputs[name], atol=1e-5, rtol=0, err_msg=name)
    norm = grads.pop("global_norm")
    ours = gradients_by_name(tape, total, model)
    check_gradients(ours, {name.removeprefix("grad|"): g for name, g in grads.items()})
    np.testing.assert_allclose(tf.linalg.global_norm(list(ours.values())), norm, rtol=1e-5)


def ner_loss(model, inputs):
    # The original counts every position, padding included.
    return losses.token_loss(model(inputs), inputs["label_ids"], np.ones_like(inputs["label_ids"]))


def re_loss(model, inputs):
    return losses.sequence_loss(model(inputs), inputs["label_ids"])


def qa_loss(model, inputs):
    return losses.span_loss(*model(inputs), inputs["start_positions"], inputs["end_positions"])


@pytest.mark.parametrize(
    ("task", "make_model", "loss_fn"),
    [
        ("ner", lambda config: heads.TokenClassifier(config, 7), ner_loss),
        ("re", lambda config: heads.SequenceClassifier(config, 2), re_loss),
        ("qa", heads.SpanClassifier, qa_loss),
    ],
)
def test_task_losses_and_gradients_equal_the_original(golden, task, make_model, loss_fn):
    model, inputs, outputs, grads = load(golden / f"{task}_loss", make_model)
    with tf.GradientTape() as tape:
        loss = loss_fn(model, inputs)
    np.testing.assert_allclose(loss, outputs["loss"], rtol=1e-5)
    ours = gradients_by_name(tape, loss, model)
    check_gradients(ours, grads)
    # The norm that clipping uses here is the dense one; see the README on the original's.
    norm = tf.linalg.global_norm(list(ours.values()))
    np.testing.assert_allclose(norm, outputs["global_norm_dense_embedding_grad"], rtol=1e-5)


FEATURES = {
    "input_ids": np.array([[2, 5, 6, 3, 0], [2, 7, 3, 0, 0]]),
    "input_mask": np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]),
    "segment_ids": np.zeros([2, 5], int),
    "masked_lm_positions": np.array([[1, 2], [1, 0]]),
}


def test_padding_changes_nothing(tiny_config):
    model = heads.TokenClassifier(tiny_config, 7)
    model.build()
    wider = {name: np.pad(x, [(0, 0), (0, 4)]) for name, x in FEATURES.items()}
    np.testing.assert_allclose(model(FEATURES)[0, :4], model(wider)[0, :4], atol=1e-6)


def test_shapes_of_the_heads(tiny_config):
    shapes = []
    for model in (
        heads.PretrainingModel(tiny_config),
        heads.TokenClassifier(tiny_config, 7),
        heads.SequenceClassifier(tiny_config, 3),
        heads.SpanClassifier(tiny_config),
    ):
        model.build()
        shapes.append([tuple(x.shape) for x in tf.nest.flatten(model(FEATURES))])
    assert shapes == [[(2, 2, 32), (2, 2)], [(2, 5, 7)], [(2, 3)], [(2, 5), (2, 5)]]


def test_dropout_is_a_function_of_its_seed(tiny_config):
    model = heads.TokenClassifier(tiny_config, 7)
    model.build()
    runs = [model(FEATURES, dropout_seed=tf.constant(seed)).numpy() for seed in ([1, 1], [1, 1], [1, 2])]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0
    assert np.abs(runs[0] - model(FEATURES).numpy()).max() > 0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_weights_and_logits_in_float32(tiny_config, policy):
    keras.utils.set_random_seed(1)
    full = heads.PretrainingModel(tiny_config)
    full.build()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        mixed = heads.PretrainingModel(tiny_config)
        mixed.build()
        logits = mixed(FEATURES)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {v.dtype for v in mixed.variables} == {"float32"}
    assert [x.dtype for x in logits] == [tf.float32, tf.float32]
    for ours, reference in zip(logits, full(FEATURES), strict=True):
        np.testing.assert_allclose(ours, reference, atol=0.02)


def test_an_answer_beyond_the_sequence_adds_no_loss():
    logits = tf.math.log([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    loss = losses.span_loss(logits, logits, np.array([0, 3]), np.array([1, 9]))
    np.testing.assert_allclose(loss, (-np.log(0.5) / 2 - np.log(0.25) / 2) / 2, rtol=1e-6)
