"""Computing on the real tokens of a batch alone.

The sequences of a batch differ in length. Between embeddings and heads, BERT treats the batch as one list of tokens,
without the padding, and spreads it out for the products of attention alone (the unpadding of the MLPerf submissions).
Loss and gradients are those of the padded computation, since nothing attends to padding.

Dimensions in shape comments:
  B  batch size
  F  sequence length
  T  tokens to compute on, at most B x F
  N  attention heads
  H  size of a head
"""

import itertools
from collections.abc import Sequence

import tensorflow as tf

# Added to the attention scores of padding, so that softmax gives it nothing.
MASK_ADDER = -10000.0
# Masks of a batch, and the feature by which a model finds where they are set.
POSITIONS = {"input_mask": "token_positions", "masked_lm_weights": "masked_positions"}


def add_positions(
    features: dict[str, tf.Tensor], few_shapes: bool = False, shares: int | None = None
) -> dict[str, tf.Tensor]:
    """Adds the `POSITIONS` of the masks of a batch, with which a model computes on nothing else.

    XLA cannot make shapes from data, so this has to be done outside of what it compiles.

    Args:
      features: dict of tensors [B, length].
      few_shapes: for XLA, which compiles each combination of sizes: of each mask the same number of sixteenths is kept.
      shares: None, or the number of shares into which each tensor was cut: [shares, B / shares, length]. All get as
        many positions.

    Returns:
      The dict, and in it int32 [T], or [shares, T]: indices into the flattened mask.
    """
    masks = {mask: tf.reshape(features[mask], [shares or 1, -1]) for mask in POSITIONS if mask in features}
    is_set = {mask: tf.cast(rows > 0, tf.int32) for mask, rows in masks.items()}
    sizes = {mask: tf.shape(rows)[1] for mask, rows in is_set.items()}
    # A mask that is not set everywhere has one position more at least, which is not set: `UnpaddedLayout` needs it.
    needed = {mask: tf.minimum(tf.reduce_max(tf.reduce_sum(x, axis=1)) + 1, sizes[mask]) for mask, x in is_set.items()}
    if few_shapes:
        parts = tf.reduce_max([_round_up(needed[mask] * 16, size) // size for mask, size in sizes.items()])
        needed = {mask: _round_up(parts * size, 16) // 16 for mask, size in sizes.items()}
    added = {}
    for mask, size in sizes.items():
        count = tf.minimum(_round_up(needed[mask], 8), size)  # 8: what tensor cores are made for
        positions = tf.argsort(is_set[mask], direction="DESCENDING", stable=True)[:, :count]
        added[POSITIONS[mask]] = positions if shares else positions[0]
    return {**features, **added}


def _round_up(number, multiple):
    return (number + multiple - 1) // multiple * multiple


def list_masked(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The features of a pre-training batch with its masked positions as lists, if it has `masked_positions`.

    Then `masked_lm_positions`, `masked_lm_ids` and `masked_lm_weights` are [M], M masked positions of all sequences,
    the first as indices into the B x F; else they stay [B, P].
    """
    if "masked_positions" not in features:
        return features
    absolute = flat_positions(features["masked_lm_positions"], tf.shape(features["input_ids"])[1])
    padded = {**features, "masked_lm_positions": absolute}
    names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
    listed = {name: tf.gather(tf.reshape(padded[name], [-1]), features["masked_positions"]) for name in names}
    return {**features, **listed}


def flat_positions(positions: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Positions in sequences, [B, P], to indices into the flattened [B, length]."""
    sequence = tf.range(tf.shape(positions)[0], dtype=positions.dtype)
    return positions + sequence[:, tf.newaxis] * tf.cast(length, positions.dtype)


def token_layout(
    input_mask: tf.Tensor, heads: int, positions: tf.Tensor | None = None, blocks: int = 1
) -> "PaddedLayout | UnpaddedLayout":
    """Where the tokens to compute on are in a batch.

    Args:
      input_mask: int [B, F].
      heads: attention heads.
      positions: int32 [T], made by `add_positions`; None: all positions of the batch are computed.
      blocks: attention is computed in so many blocks of consecutive sequences, each padded to its own longest, which
        saves where the batch is sorted by length. 1 under XLA, as shapes would follow from data.

    Returns:
      `PaddedLayout` or `UnpaddedLayout`.
    """
    if positions is None:
        return PaddedLayout(input_mask, heads)
    return UnpaddedLayout(input_mask, heads, positions, blocks)


def _attention_adder(input_mask):
    """[B, F] to float32 [B, 1, 1, F]."""
    return (1.0 - tf.cast(input_mask, tf.float32)[:, tf.newaxis, tf.newaxis, :]) * MASK_ADDER


class PaddedLayout:
    """Padding is computed like tokens: T is B x F.

    Attributes:
      adders: for each block of sequences what is added to attention scores, float32 [B, 1, 1, F].
      position_ids: int32 [T], the position of each token in its sequence.
    """

    def __init__(self, input_mask: tf.Tensor, heads: int) -> None:
        self.shape, self.heads, self.adders = tf.shape(input_mask), heads, [_attention_adder(input_mask)]
        self.position_ids = self.pack(tf.broadcast_to(tf.range(self.shape[1]), self.shape))

    def pack(self, ids: tf.Tensor) -> tf.Tensor:
        """[B, F] to [T]."""
        return tf.reshape(ids, [-1])

    def unpack(self, hidden: tf.Tensor) -> tf.Tensor:
        """[T, D] to [B, F, D]."""
        return tf.reshape(hidden, [*tf.unstack(self.shape), hidden.shape[-1]])

    def split_heads(self, hidden: tf.Tensor) -> list[tf.Tensor]:
        """[T, N x H] to a list with [B, N, F, H] for each block of sequences, with B and F of the block."""
        size = hidden.shape[-1] // self.heads
        return [tf.transpose(tf.reshape(hidden, [*tf.unstack(self.shape), self.heads, size]), [0, 2, 1, 3])]

    def join_heads(self, blocks: Sequence[tf.Tensor]) -> tf.Tensor:
        """The inverse of `split_heads`."""
        (hidden,) = blocks
        return tf.reshape(tf.transpose(hidden, [0, 2, 1, 3]), [-1, self.heads * hidden.shape[-1]])


class UnpaddedLayout:
    """The real tokens, followed by fillers up to a multiple; attributes and methods are those of `PaddedLayout`.

    A filler takes the place of a position of padding, and what all padding is given where a dense tensor is needed are
    the values of the first filler. Nothing real depends on them, so that their gradients are 0. Packing and unpacking
    are therefore gathers of rows, and the gradient of each is the other: no scatter, nothing to add up.
    """

    def __init__(self, input_mask: tf.Tensor, heads: int, positions: tf.Tensor, blocks: int) -> None:
        self.heads, self.positions = heads, positions
        count, length = tf.unstack(tf.shape(input_mask))
        flat = tf.reshape(input_mask, [-1]) > 0
        ordinal = tf.cumsum(tf.cast(flat, tf.int32))
        self.is_real = tf.reshape(flat, [count, length])
        self.tokens = tf.reshape(tf.where(flat, ordinal - 1, ordinal[-1]), [count, length])  # the inverse of positions
        self.position_ids = positions % length

        # Blocks [B, N, F, H] lie one behind the other as a list of rows [H]; the tokens' heads are a list [T x N, H].
        ends = [count * number // blocks for number in range(blocks + 1)]
        parts = [slice(*pair) for pair in itertools.pairwise(ends)]
        lengths = [_block_length(input_mask[part]) if blocks > 1 else length for part in parts]
        self.adders = [_attention_adder(input_mask[part, :size]) for part, size in zip(parts, lengths, strict=True)]
        self.block_shapes = [(part.stop - part.start, heads, size) for part, size in zip(parts, lengths, strict=True)]
        head = tf.range(heads)
        of_blocks = [
            self.tokens[part, tf.newaxis, :size] * heads + head[:, tf.newaxis]
            for part, size in zip(parts, lengths, strict=True)
        ]
        self.block_rows = tf.concat([tf.reshape(x, [-1]) for x in of_blocks], 0)  # indices into the heads' list
        row_lengths = tf.concat([tf.fill([rows], size) for rows, _, size in self.block_shapes], 0)  # [B]
        starts = tf.cumsum(row_lengths * heads, exclusive=True)
        sequence = positions // length
        size = tf.gather(row_lengths, sequence)
        # A filler from behind the end of its block moves to the block's last position, which is padding as well.
        first = tf.gather(starts, sequence) + tf.minimum(self.position_ids, size - 1)
        self.head_rows = first[:, tf.newaxis] + size[:, tf.newaxis] * head  # [T, N], indices into the blocks' list

    def pack(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.reshape(ids, [-1]), self.positions)

    def unpack(self, hidden: tf.Tensor) -> tf.Tensor:
        """Padding gets 0."""
        return tf.where(self.is_real[..., tf.newaxis], _permute(hidden, self.tokens, self.positions), 0)

    def split_heads(self, hidden: tf.Tensor) -> list[tf.Tensor]:
        size = hidden.shape[-1] // self.heads
        rows = _permute(tf.reshape(hidden, [-1, size]), self.block_rows, self.head_rows)
        blocks = [rows]
        if len(self.block_shapes) > 1:
            blocks = tf.split(rows, [tf.reduce_prod(shape) for shape in self.block_shapes])
        return [tf.reshape(x, [*shape, size]) for x, shape in zip(blocks, self.block_shapes, strict=True)]

    def join_heads(self, blocks: Sequence[tf.Tensor]) -> tf.Tensor:
        size = blocks[0].shape[-1]
        rows = tf.concat([tf.reshape(x, [-1, size]) for x in blocks], 0)
        return tf.reshape(_permute(rows, self.head_rows, self.block_rows), [-1, self.heads * size])


def _block_length(input_mask):
    """The length of a block with a mask [B, F]: all F, or one position more than its longest sequence has."""
    length = tf.shape(input_mask)[1]
    real = tf.where(input_mask > 0, tf.range(length), -1)
    return tf.minimum(tf.reduce_max(tf.concat([tf.reshape(real, [-1]), [-1]], 0)) + 2, length)


@tf.custom_gradient
def _permute(rows, indices, inverse):
    """Rows [n, H] by indices, [*indices.shape, H]; the gradient takes those of the result by `inverse`."""

    def gradient(upstream):
        flat = tf.reshape(upstream, [-1, rows.shape[-1]])
        return tf.reshape(tf.gather(flat, inverse), tf.shape(rows)), None, None

    return tf.gather(rows, indices), gradient
