"""Small operations on vectors and ragged tensors, for what is a loop in Python."""

from collections.abc import Mapping

import tensorflow as tf

# Of polynomials modulo 2 ** 64: odd, so that it has an inverse; 2 ** 64 over the golden ratio.
HASH_BASE = 0x9E3779B97F4A7C15
HASH_INVERSE = pow(HASH_BASE, -1, 2**64)


def where(condition: tf.Tensor) -> tf.Tensor:
    """Indices, int32, of where a vector is true."""
    return tf.cast(tf.where(condition)[:, 0], tf.int32)


def before(values: tf.Tensor, first: tf.Tensor | int) -> tf.Tensor:
    """Entry by entry the one before it in a vector; before the first one, `first`."""
    return tf.concat([tf.fill(tf.shape(values[:1]), tf.cast(first, values.dtype)), values[:-1]], 0)


def changes(values: tf.Tensor) -> tf.Tensor:
    """Where an entry of a vector differs from the one before it; the first one does."""
    return tf.concat([tf.ones_like(values[:1], tf.bool), values[1:] != values[:-1]], 0)


def latest(condition: tf.Tensor) -> tf.Tensor:
    """For each place in a vector the latest place up to it where the vector is true; -1 if there is none."""
    places = tf.concat([[-1], where(condition)], 0)
    return tf.gather(places, tf.cumsum(tf.cast(condition, tf.int32)))


def count_before(condition: tf.Tensor) -> tf.Tensor:
    """For each place in a vector how often it is true before that place; also for the place behind its end."""
    return tf.concat([[0], tf.cumsum(tf.cast(condition, tf.int32))], 0)


def ranges(starts: tf.Tensor, ends: tf.Tensor) -> tf.RaggedTensor:
    """The numbers from each start to before its end: ragged int32 [N, end - start]."""
    return tf.ragged.range(starts, ends, row_splits_dtype=tf.int64)


def row_starts(ragged: tf.RaggedTensor) -> tf.Tensor:
    """Where each row of a ragged tensor begins among its flat values, int32."""
    return tf.cast(ragged.row_starts(), tf.int32)


def row_sizes(ragged: tf.RaggedTensor) -> tf.Tensor:
    """Lengths of the rows of a ragged tensor, int32."""
    return tf.cast(ragged.row_lengths(), tf.int32)


def group_rows(values: tf.Tensor, row_of: tf.Tensor, count: tf.Tensor) -> tf.RaggedTensor:
    """Ragged [count, of the row] from flat values and the row of each, in ascending order."""
    return tf.RaggedTensor.from_value_rowids(
        values, tf.cast(row_of, tf.int64), tf.cast(count, tf.int64), validate=False
    )


def encode_ranges(codes: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The strings [N] that stretches of a vector of code points spell."""
    stretches = ranges(starts, ends)
    return tf.strings.unicode_encode(stretches.with_flat_values(tf.gather(codes, stretches.flat_values)), "UTF-8")


def hash_ranges(codes: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Numbers, uint64 [...], that are equal for stretches of equal code points, and else almost always differ.

    A polynomial of the code points, from sums that all stretches share: linear in them and the vector, however long the
    stretches are (Karp and Rabin 1987). Stretches can be made that differ and have one number (Thue-Morse sequences of
    some thousand characters); text is none of these.
    """
    size = tf.size(codes)
    powers = tf.math.cumprod(tf.fill([size], tf.constant(HASH_BASE, tf.uint64)), exclusive=True)
    inverses = tf.math.cumprod(tf.fill([size + 1], tf.constant(HASH_INVERSE, tf.uint64)), exclusive=True)
    sums = tf.concat([tf.zeros([1], tf.uint64), tf.cumsum(tf.cast(codes, tf.uint64) * powers)], 0)
    return (tf.gather(sums, ends) - tf.gather(sums, starts)) * tf.gather(inverses, starts)


def cut_strings(text: tf.Tensor, text_of: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The parts of strings [B] at spans in characters: strings, as many as spans."""
    characters = tf.strings.unicode_decode(text, "UTF-8")
    first = tf.gather(row_starts(characters), text_of)
    return encode_ranges(characters.flat_values, first + starts, first + ends)


def pad_rows(found: Mapping[str, tf.Tensor], text_of: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
    """What was found in each of so many strings, as dense tensors [B, most], padded with -1 or ""; and `count` [B]."""
    rows = {name: group_rows(values, text_of, count) for name, values in found.items()}
    padding = {tf.string: "", tf.int32: -1, tf.float32: -1.0}
    padded = {name: values.to_tensor(padding[values.dtype]) for name, values in rows.items()}
    return {**padded, "count": row_sizes(next(iter(rows.values())))}
