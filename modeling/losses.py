"""Losses of pre-training and of the tasks, as the original computes them. All in float32.

A mean is over the whole batch, of which a device may hold a part: `total` is then what the whole batch has of that
which is averaged over, and the losses of the parts add up to the loss of the batch.

Dimensions: B batch, F sequence length, P masked positions per sequence, V vocabulary, L labels.
"""

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """[..., L] and integer [...] to the negative log-likelihood [...]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def count_examples(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a batch has of that which the losses of the tasks are averaged over."""
    return {"examples": tf.cast(tf.shape(features["input_ids"])[0], tf.float32)}


def masked_lm_loss(
    logits: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor, total: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean over the masked positions, sum(w * l) / (sum(w) + 1e-5).

    Args:
      logits: [B, P, V].
      ids: int [B, P], the wordpieces that were masked.
      weights: [B, P], 1 for a masked position and 0 for padding.
      total: sum(w) of the whole batch.

    Returns:
      The loss, a scalar, and the loss of each position [B, P].
    """
    per_position = cross_entropy(logits, ids)
    total = tf.reduce_sum(weights) if total is None else total
    return tf.reduce_sum(weights * per_position) / (total + 1e-5), per_position


def next_sentence_loss(
    logits: tf.Tensor, labels: tf.Tensor, total: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """[B, 2] and int [B] to the mean, a scalar, and the loss of each example [B]; `total` examples."""
    per_example = cross_entropy(logits, labels)
    return _mean(per_example, total), per_example


def token_loss(logits: tf.Tensor, label_ids: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum over all wordpieces of weight 1, special tokens included; [B, F, L], int [B, F], [B, F] to a scalar."""
    return tf.reduce_sum(cross_entropy(logits, label_ids) * tf.cast(weights, tf.float32))


def sequence_loss(logits: tf.Tensor, label_ids: tf.Tensor, total: tf.Tensor | None = None) -> tf.Tensor:
    """Mean over the batch; [B, L], int [B] to a scalar; `total` examples."""
    return _mean(cross_entropy(logits, label_ids), total)


def span_loss(
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    start_positions: tf.Tensor,
    end_positions: tf.Tensor,
    total: tf.Tensor | None = None,
) -> tf.Tensor:
    """Mean of the losses of start and end, each the mean over the batch, of `total` examples.

    [B, F] and int [B] to a scalar. A position beyond the sequence, where the answer was cut off, adds no loss and no
    gradient.
    """
    start = _mean(_position_loss(start_logits, start_positions), total)
    end = _mean(_position_loss(end_logits, end_positions), total)
    return (start + end) / 2.0


def _position_loss(logits, positions):
    inside = positions < tf.shape(logits, out_type=positions.dtype)[1]
    loss = cross_entropy(logits, tf.where(inside, positions, 0))
    return tf.where(inside, loss, 0.0)


def _mean(per_example, total):
    return tf.reduce_mean(per_example) if total is None else tf.reduce_sum(per_example) / total
