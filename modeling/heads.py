"""BERT with the head of a task: pre-training, token, sequence and span labelling.

Each is one Keras layer whose variables have the original's checkpoint names below its own name
(see `checkpoint.checkpoint_name`). Logits are float32 under every dtype policy.

Dimensions in shape comments: B batch, F sequence length, P masked positions per sequence, M those of a batch, D hidden
size, V vocabulary, L labels. A batch with `token_positions` (`unpadding.add_positions`) is computed without padding.
"""

from typing import Any

import keras
import tensorflow as tf

from modeling.bert import BertModel, Dropout, Shape, activation_function, dense, initializer, layer_norm
from modeling.config import BertConfig
from modeling.unpadding import flat_positions

# The original drops this share of the encoder's output before a token or sequence head.
HEAD_DROPOUT = 0.1
HEAD_INITIALIZER_RANGE = 0.02
# Output bias of a label that a model converted from elsewhere does not know: its probability is 0 in float32.
NEVER = -1e4


class Projection(keras.layers.Layer):
    """A linear layer stored as the original stores it: `output_weights` [L, D], `output_bias` [L]."""

    def __init__(self, name: str, num_outputs: int, hidden_size: int, stddev: float = HEAD_INITIALIZER_RANGE) -> None:
        super().__init__(name=name)
        self.num_outputs, self.hidden_size, self.stddev = num_outputs, hidden_size, stddev

    def build(self, *_) -> None:
        add_projection_weights(self, self.num_outputs, self.hidden_size, self.stddev)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[..., D] to [..., L]."""
        return project(inputs, self.output_weights, self.output_bias)


def add_projection_weights(
    layer: keras.layers.Layer, num_outputs: int, hidden_size: int, stddev: float = HEAD_INITIALIZER_RANGE
) -> None:
    layer.output_weights = layer.add_weight(
        name="output_weights", shape=[num_outputs, hidden_size], initializer=initializer(stddev)
    )
    layer.output_bias = layer.add_weight(name="output_bias", shape=[num_outputs], initializer="zeros")


def project(inputs: tf.Tensor, weights: keras.Variable, bias: keras.Variable) -> tf.Tensor:
    """[..., D] times the transposed [L, D], plus [L]: float32 [..., L]."""
    flat = tf.reshape(inputs, [-1, weights.shape[1]])
    logits = tf.matmul(flat, tf.cast(weights, inputs.dtype), transpose_b=True)
    logits = tf.cast(logits, tf.float32) + tf.cast(bias, tf.float32)
    return tf.reshape(logits, tf.concat([tf.shape(inputs)[:-1], [weights.shape[0]]], 0))


class Transform(keras.layers.Layer):
    """The non-linear layer before the masked language model's output."""

    def __init__(self, config: BertConfig, name: str = "transform") -> None:
        super().__init__(name=name)
        self.dense = dense(config.hidden_size, config, "dense", activation_function(config.hidden_act))
        self.layer_norm = layer_norm()

    def build(self, shape: Shape) -> None:
        self.dense.build(shape)
        self.layer_norm.build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[..., D] to [..., D]."""
        return self.layer_norm(self.dense(inputs))


class MaskedLanguageModel(keras.layers.Layer):
    """Predicts the wordpiece at each masked position; the output weights are the word embeddings."""

    def __init__(self, config: BertConfig, name: str = "predictions") -> None:
        super().__init__(name=name)
        self.config = config
        self.transform = Transform(config)

    def build(self, *_) -> None:
        self.transform.build([None, None, self.config.hidden_size])
        self.output_bias = self.add_weight(name="output_bias", shape=[self.config.vocab_size], initializer="zeros")

    def call(self, sequence_output: tf.Tensor, positions: tf.Tensor, word_embeddings: keras.Variable) -> tf.Tensor:
        """[B, F, D], positions [B, P] or [M] (see `unpadding.list_masked`) and [V, D] to logits [B, P, V] or [M, V]."""
        if positions.shape.rank == 2:
            positions = flat_positions(positions, tf.shape(sequence_output)[1])
        masked = tf.gather(tf.reshape(sequence_output, [-1, sequence_output.shape[-1]]), positions)  # [..., D]
        return project(self.transform(masked), word_embeddings, self.output_bias)


class PretrainingHeads(keras.layers.Layer):
    """Masked language model and next sentence prediction."""

    def __init__(self, config: BertConfig, name: str = "cls") -> None:
        super().__init__(name=name)
        self.predictions = MaskedLanguageModel(config)
        self.seq_relationship = Projection("seq_relationship", 2, config.hidden_size, config.initializer_range)

    def build(self, *_) -> None:
        self.predictions.build(None)
        self.seq_relationship.build(None)

    def call(
        self, encoded: dict[str, Any], masked_lm_positions: tf.Tensor, word_embeddings: keras.Variable
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `PretrainingModel.call`."""
        return (
            self.predictions(encoded["sequence_output"], masked_lm_positions, word_embeddings),
            self.seq_relationship(encoded["pooled_output"]),
        )


class PretrainingModel(keras.layers.Layer):
    """BERT with both pre-training heads."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(name="pretraining")
        self.bert = BertModel(config)
        self.cls = PretrainingHeads(config)

    def build(self, *_) -> None:
        self.bert.build(None)
        self.cls.build(None)

    def call(
        self, features: dict[str, tf.Tensor], dropout_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits of the masked tokens [B, P, V] or [M, V], and of the next sentence [B, 2].

        In the latter, 0 is the true next sentence and 1 a random one. `features` holds
        `input_ids`, `input_mask`, `segment_ids` [B, F] and `masked_lm_positions`, [B, P] or of `unpadding.list_masked`.
        """
        encoded = encode(self.bert, features, dropout_seed)
        return self.cls(encoded, features["masked_lm_positions"], self.bert.embeddings.word_embeddings)


class TokenClassifier(keras.layers.Layer):
    """BERT with a label for every wordpiece (NER)."""

    def __init__(self, config: BertConfig, num_labels: int) -> None:
        super().__init__(name="token_classifier")
        self.num_labels = num_labels
        self.bert = bert_without_pooler(config)
        self.dropout = Dropout(HEAD_DROPOUT)

    def build(self, *_) -> None:
        self.bert.build(None)
        add_projection_weights(self, self.num_labels, self.bert.config.hidden_size)

    def call(self, features: dict[str, tf.Tensor], dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """`input_ids`, `input_mask`, `segment_ids` [B, F] to logits [B, F, L]."""
        hidden = encode(self.bert, features, dropout_seed)["sequence_output"]
        hidden = self.dropout(hidden, dropout_seed=dropout_seed)
        return project(hidden, self.output_weights, self.output_bias)


class SequenceClassifier(keras.layers.Layer):
    """BERT with a label for the whole sequence (relation extraction)."""

    def __init__(self, config: BertConfig, num_labels: int) -> None:
        super().__init__(name="sequence_classifier")
        self.num_labels = num_labels
        self.bert = BertModel(config)
        self.dropout = Dropout(HEAD_DROPOUT)

    def build(self, *_) -> None:
        self.bert.build(None)
        add_projection_weights(self, self.num_labels, self.bert.config.hidden_size)

    def call(self, features: dict[str, tf.Tensor], dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """`input_ids`, `input_mask`, `segment_ids` [B, F] to logits [B, L]."""
        hidden = encode(self.bert, features, dropout_seed)["pooled_output"]
        hidden = self.dropout(hidden, dropout_seed=dropout_seed)
        return project(hidden, self.output_weights, self.output_bias)


class SquadHead(keras.layers.Layer):
    """Holds the projection to start and end logits under its published name, `cls/squad`."""

    def __init__(self, hidden_size: int, name: str = "cls") -> None:
        super().__init__(name=name)
        self.squad = Projection("squad", 2, hidden_size)

    def build(self, *_) -> None:
        self.squad.build(None)

    def call(self, sequence_output: tf.Tensor) -> tf.Tensor:
        """[B, F, D] to [B, F, 2]."""
        return self.squad(sequence_output)


class SpanClassifier(keras.layers.Layer):
    """BERT with the start and the end of an answer (question answering). No dropout on this head."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(name="span_classifier")
        self.bert = bert_without_pooler(config)
        self.cls = SquadHead(config.hidden_size)

    def build(self, *_) -> None:
        self.bert.build(None)
        self.cls.build(None)

    def call(self, features: dict[str, tf.Tensor], dropout_seed: tf.Tensor | None = None) -> list[tf.Tensor]:
        """`input_ids`, `input_mask`, `segment_ids` [B, F] to start and end logits, each [B, F]."""
        hidden = encode(self.bert, features, dropout_seed)["sequence_output"]
        return tf.unstack(self.cls(hidden), axis=-1)


def bert_without_pooler(config: BertConfig) -> BertModel:
    """BERT for a head that does not read the pooler: no loss reaches it, so it has no Adam slots.

    It is in the checkpoints all the same, as in the original's.
    """
    bert = BertModel(config)
    bert.pooler.trainable = False
    return bert


def encode(bert: BertModel, features: dict[str, tf.Tensor], dropout_seed: tf.Tensor | None) -> dict[str, Any]:
    return bert(
        features["input_ids"],
        features["input_mask"],
        features["segment_ids"],
        features.get("token_positions"),
        dropout_seed=dropout_seed,
    )
