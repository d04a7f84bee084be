"""Losses of pre-training and of the tasks, as the original computes them. All in float32.

Dimensions: B batch, F sequence length, P masked positions a sequence, V vocabulary, L labels.
"""

import tensorflow as tf


def cross_entropy(logits, labels):
    """[..., L] and integer [...] to the negative log-likelihood [...]."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def masked_lm_loss(logits, ids, weights):
    """Mean over the masked positions, sum(w * l) / (sum(w) + 1e-5).

    Args:
      logits: [B, P, V].
      ids: int [B, P], the pieces that were masked.
      weights: [B, P], 1 for a masked position and 0 for padding.

    Returns:
      The loss, a scalar, and the loss of each position [B, P].
    """
    per_position = cross_entropy(logits, ids)
    return tf.reduce_sum(weights * per_position) / (tf.reduce_sum(weights) + 1e-5), per_position


def next_sentence_loss(logits, labels):
    """[B, 2] and int [B] to the mean, a scalar, and the loss of each example [B]."""
    per_example = cross_entropy(logits, labels)
    return tf.reduce_mean(per_example), per_example


def token_loss(logits, label_ids, weights):
    """Sum over all pieces of weight 1, special pieces included; [B, F, L], int [B, F], [B, F] to a scalar."""
    return tf.reduce_sum(cross_entropy(logits, label_ids) * tf.cast(weights, tf.float32))


def sequence_loss(logits, label_ids):
    """Mean over the batch; [B, L], int [B] to a scalar."""
    return tf.reduce_mean(cross_entropy(logits, label_ids))


def span_loss(start_logits, end_logits, start_positions, end_positions):
    """Mean of the losses of start and end, each the mean over the batch; [B, F] and int [B] to a scalar.

    A position beyond the sequence, where the answer was cut off, adds no loss and no gradient.
    """
    start = tf.reduce_mean(_position_loss(start_logits, start_positions))
    end = tf.reduce_mean(_position_loss(end_logits, end_positions))
    return (start + end) / 2.0


def _position_loss(logits, positions):
    inside = positions < tf.shape(logits, out_type=positions.dtype)[1]
    loss = cross_entropy(logits, tf.where(inside, positions, 0))
    return tf.where(inside, loss, 0.0)
