"""BERT, the bidirectional transformer encoder (Devlin et al. 2019), as Keras 3 layers.

The layers nest so that a variable's path is its name in the TensorFlow 1 checkpoints, for instance
`bert/encoder/layer_0/attention/self/query/kernel`.

Dimensions in shape comments:
  B  batch size
  F  sequence length
  T  tokens that are computed, of the B x F; see `modeling.unpadding`
  D  hidden size
  N  attention heads
  H  size of a head, D / N
"""

import functools
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from modeling.config import BertConfig
from modeling.unpadding import PaddedLayout, UnpaddedLayout, token_layout

Activation = Callable[[tf.Tensor], tf.Tensor]
Shape = Sequence[int | None]

LAYER_NORM_EPSILON = 1e-12
_PHILOX = 1  # the generator of random numbers (Salmon et al. 2011), by its number in TensorFlow's operations


def initializer(stddev: float) -> keras.initializers.Initializer:
    """The truncated normal initializer of all kernels and embeddings. A new one for each variable."""
    if stddev == 0:
        return keras.initializers.Zeros()  # the same, without drawing numbers
    return keras.initializers.TruncatedNormal(stddev=stddev)


def dense(units: int, config: BertConfig, name: str, activation: Activation | None = None) -> keras.layers.Dense:
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=initializer(config.initializer_range), name=name
    )


def layer_norm() -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name="LayerNorm")


def activation_function(name: str) -> Activation | None:
    """Maps `hidden_act` to a function; `gelu` is the exact x * Phi(x) (Hendrycks and Gimpel 2016)."""
    return {
        "gelu": lambda x: tf.nn.gelu(x, approximate=False),
        "relu": tf.nn.relu,
        "tanh": tf.math.tanh,
        "linear": None,
    }[name]


class Dropout(keras.layers.Layer):
    """Dropout whose mask is a function of a seed and the layer's place in the model.

    A run that resumes at step n then draws what the unbroken run drew, with no state to save.
    """

    def __init__(self, rate: float, name: str = "dropout") -> None:
        super().__init__(name=name)
        self.rate = rate

    def call(self, inputs: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Drops entries of `inputs` (any shape).

        Args:
          inputs: a tensor.
          dropout_seed: int32 [2], different in each step; None to drop nothing (inference).
        """
        if dropout_seed is None or self.rate == 0:
            return inputs
        seed = another_seed(dropout_seed, zlib.crc32(self.path.encode()))
        # In float32 whatever the precision: of the 128 numbers that bfloat16 can draw, 13 are below 0.1. By the
        # operations themselves: tf.random.stateless_uniform makes 50 of each, half of what tracing BERT took.
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
        drawn = tf.raw_ops.StatelessRandomUniformV2(shape=tf.shape(inputs), key=key, counter=counter, alg=_PHILOX)
        is_kept = drawn >= self.rate

        def mask(x):
            return tf.where(is_kept, x * (1.0 / (1.0 - self.rate)), 0)

        # The gradient that TensorFlow makes of `where` also looks for what to add up over dimensions of size 1.
        return tf.custom_gradient(lambda x: (mask(x), mask))(inputs)


def another_seed(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Of a seed, int32 [2], a different one for each number below 2^32."""
    return tf.bitwise.bitwise_xor(seed, tf.constant([number - 2**31, 0], tf.int32))


class Embeddings(keras.layers.Layer):
    """Sum of word, segment and position embeddings, normalized."""

    def __init__(self, config: BertConfig, name: str = "embeddings") -> None:
        super().__init__(name=name)
        self.config = config
        self.layer_norm = layer_norm()
        self.dropout = Dropout(config.hidden_dropout_prob)

    def build(self, _) -> None:
        config = self.config

        def table(name, rows, **options):
            return self.add_weight(
                name=name,
                shape=[rows, config.hidden_size],
                initializer=initializer(config.initializer_range),
                **options,
            )

        self.word_embeddings = table("word_embeddings", config.vocab_size, autocast=False)
        self.token_type_embeddings = table("token_type_embeddings", config.type_vocab_size)
        self.position_embeddings = table("position_embeddings", config.max_position_embeddings)
        self.layer_norm.build([None, config.hidden_size])

    def call(
        self,
        input_ids: tf.Tensor,
        segment_ids: tf.Tensor,
        position_ids: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Token ids, segment ids and positions in the sequence, each [T], to [T, D]."""
        # Cast only behind the lookup, so that the gradients of a frequent word are added up in float32.
        words = tf.cast(tf.gather(self.word_embeddings.value, input_ids), self.compute_dtype)
        # As a product with one-hot rows: two rows are too few to gather well, and the gradient is dense.
        types = tf.cast(self.token_type_embeddings, self.compute_dtype)
        segments = tf.matmul(tf.one_hot(segment_ids, self.config.type_vocab_size, dtype=types.dtype), types)
        positions = tf.cast(tf.gather(self.position_embeddings.value, position_ids), self.compute_dtype)
        return self.dropout(self.layer_norm(words + segments + positions), dropout_seed=dropout_seed)


class SelfAttention(keras.layers.Layer):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, equation 1)."""

    def __init__(self, config: BertConfig, name: str = "self") -> None:
        super().__init__(name=name)
        self.head_size = config.hidden_size // config.num_attention_heads
        self.query, self.key, self.value = (
            dense(config.hidden_size, config, name) for name in ("query", "key", "value")
        )
        self.dropout = Dropout(config.attention_probs_dropout_prob)

    def build(self, shape: Shape) -> None:
        for layer in (self.query, self.key, self.value):
            layer.build(shape)

    def call(
        self, inputs: tf.Tensor, layout: PaddedLayout | UnpaddedLayout, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[T, D] and their layout (`unpadding.token_layout`) to [T, D]."""
        query = self.query(inputs) * (1.0 / math.sqrt(self.head_size))  # here, where it is less than at the scores
        projected = [layout.split_heads(x) for x in (query, self.key(inputs), self.value(inputs))]
        blocks: Iterable[tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]] = zip(
            *projected, layout.adders, strict=True
        )
        return layout.join_heads([self._attend(*block, number, dropout_seed) for number, block in enumerate(blocks)])

    def _attend(self, query, key, value, adder, number, dropout_seed):
        """[B, N, F, H], three times, and the adder [B, 1, 1, F] of a block to [B, N, F, H]."""
        if dropout_seed is not None:
            dropout_seed = another_seed(dropout_seed, number)
        # [B, N, F, H] x [B, N, H, F] -> [B, N, F, F]
        scores = tf.matmul(query, key, transpose_b=True)
        # Softmax in float32, where exponentials of half-precision scores would lose too much.
        weights = tf.nn.softmax(tf.cast(scores, tf.float32) + adder)
        weights = self.dropout(tf.cast(weights, self.compute_dtype), dropout_seed=dropout_seed)
        return tf.matmul(weights, value)  # [B, N, F, H]


class ResidualOutput(keras.layers.Layer):
    """Dense, dropout, sum with the block's input, layer normalization: the end of every block."""

    def __init__(self, config: BertConfig, name: str = "output") -> None:
        super().__init__(name=name)
        self.dense = dense(config.hidden_size, config, "dense")
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.layer_norm = layer_norm()

    def build(self, shapes: tuple[Shape, Shape]) -> None:
        inputs, residual = shapes
        self.dense.build(inputs)
        self.layer_norm.build(residual)

    def call(self, inputs: tf.Tensor, residual: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """[T, any] and [T, D] to [T, D]."""
        return self.layer_norm(residual + self.dropout(self.dense(inputs), dropout_seed=dropout_seed))


class Attention(keras.layers.Layer):
    """The attention block: self-attention, then its output layer."""

    def __init__(self, config: BertConfig, name: str = "attention") -> None:
        super().__init__(name=name)
        self.self_attention = SelfAttention(config)
        self.output_layer = ResidualOutput(config)

    def build(self, shape: Shape) -> None:
        self.self_attention.build(shape)
        self.output_layer.build((shape, shape))

    def call(
        self, inputs: tf.Tensor, layout: PaddedLayout | UnpaddedLayout, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[T, D] to [T, D]."""
        context = self.self_attention(inputs, layout=layout, dropout_seed=dropout_seed)
        return self.output_layer(context, inputs, dropout_seed=dropout_seed)


class Intermediate(keras.layers.Layer):
    """The wide half of the feed-forward block."""

    def __init__(self, config: BertConfig, name: str = "intermediate") -> None:
        super().__init__(name=name)
        activation = activation_function(config.hidden_act)
        self.dense = dense(config.intermediate_size, config, "dense", activation)

    def build(self, shape: Shape) -> None:
        self.dense.build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[T, D] to [T, intermediate size]."""
        return self.dense(inputs)


class TransformerLayer(keras.layers.Layer):
    """One layer of the encoder: attention block, feed-forward block."""

    def __init__(self, config: BertConfig, name: str) -> None:
        super().__init__(name=name)
        self.intermediate_size = config.intermediate_size
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output_layer = ResidualOutput(config)

    def build(self, shape: Shape) -> None:
        self.attention.build(shape)
        self.intermediate.build(shape)
        self.output_layer.build(([*shape[:-1], self.intermediate_size], shape))

    def call(
        self, inputs: tf.Tensor, layout: PaddedLayout | UnpaddedLayout, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[T, D] to [T, D]."""
        attended = self.attention(inputs, layout=layout, dropout_seed=dropout_seed)
        return self.output_layer(self.intermediate(attended), attended, dropout_seed=dropout_seed)


class Encoder(keras.layers.Layer):
    """The stack of transformer layers."""

    def __init__(self, config: BertConfig, name: str = "encoder") -> None:
        super().__init__(name=name)
        self.layers: list[keras.layers.Layer] = [
            TransformerLayer(config, f"layer_{i}") for i in range(config.num_hidden_layers)
        ]
        # In training, keep the outputs of the layers alone and compute what is in them once more for the gradients:
        # less memory for a third more time (Chen et al. 2016).
        self.recompute_grad = False

    def build(self, shape: Shape) -> None:
        for layer in self.layers:
            layer.build(shape)

    def call(
        self, hidden: tf.Tensor, layout: PaddedLayout | UnpaddedLayout, dropout_seed: tf.Tensor | None = None
    ) -> list[tf.Tensor]:
        """[T, D] and their layout to a list of [T, D], one a layer."""
        outputs = []
        for layer in self.layers:
            function = functools.partial(layer, layout=layout, dropout_seed=dropout_seed)
            is_training = dropout_seed is not None
            hidden = (tf.recompute_grad(function) if self.recompute_grad and is_training else function)(hidden)
            outputs.append(hidden)
        return outputs


class Pooler(keras.layers.Layer):
    """A dense tanh layer on the first token, `[CLS]`."""

    def __init__(self, config: BertConfig, name: str = "pooler") -> None:
        super().__init__(name=name)
        self.dense = dense(config.hidden_size, config, "dense", tf.math.tanh)

    def build(self, shape: Shape) -> None:
        self.dense.build([shape[0], shape[2]])

    def call(self, sequence_output: tf.Tensor) -> tf.Tensor:
        """[B, F, D] to [B, D]."""
        return self.dense(sequence_output[:, 0])


class BertModel(keras.layers.Layer):
    """The encoder with its embeddings and pooler; what all tasks share."""

    def __init__(self, config: BertConfig, name: str = "bert") -> None:
        super().__init__(name=name)
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config)
        self.attention_blocks = 1  # see `unpadding.token_layout`

    def build(self, *_) -> None:
        shape = [None, self.config.hidden_size]
        self.embeddings.build([None])
        self.encoder.build(shape)
        self.pooler.build([None, *shape])

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor,
        segment_ids: tf.Tensor,
        token_positions: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> dict[str, Any]:
        """Encodes a batch of sequences.

        Args:
          input_ids: int [B, F], indices into the vocabulary.
          input_mask: int [B, F], 1 for a token and 0 for padding.
          segment_ids: int [B, F], 0 for the first and 1 for the second segment.
          token_positions: int [T], of `unpadding.add_positions`: what is computed, the rest being 0; None: padding
            is computed as well.
          dropout_seed: int32 [2], different in each training step; None in inference.

        Returns:
          A dict: `embedding_output` [B, F, D], `all_layers` (a list of [B, F, D]), `sequence_output`
          [B, F, D], the last of them, and `pooled_output` [B, D].
        """
        layout = token_layout(input_mask, self.config.num_attention_heads, token_positions, self.attention_blocks)
        embedded = self.embeddings(
            layout.pack(input_ids), layout.pack(segment_ids), layout.position_ids, dropout_seed=dropout_seed
        )
        layers = [layout.unpack(x) for x in self.encoder(embedded, layout=layout, dropout_seed=dropout_seed)]
        return {
            "embedding_output": layout.unpack(embedded),
            "all_layers": layers,
            "sequence_output": layers[-1],
            "pooled_output": self.pooler(layers[-1]),
        }
