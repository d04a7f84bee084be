"""Runs a model on sequences of any lengths, in batches of similar length."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from fine_tuning.model_directory import ModelDirectory
from modeling import unpadding

CHUNK_CHARACTERS = 200_000  # of text that is taken together, so that batches are of similar length
# Tokens of a sequence. Of shorter ones a batch has more: the fewer the rows of a product, the more each costs.
FULL_LENGTH = 256
# Int32 [B, F]; the sizes are left open, so that a function is traced once and not once a length.
SIGNATURE = {name: tf.TensorSpec([None, None], tf.int32) for name in ("input_ids", "input_mask", "segment_ids")}

Compiled = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]  # as of `compile_function`
_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class Sequence:
    """Indices into the vocabulary; those from `second` on are of the second segment (None: there is none)."""

    ids: list[int]
    second: int | None = None


def in_chunks(
    items: Iterable[_Item], size: Callable[[_Item], int], enough: int, at_least: int = 1
) -> Iterator[list[_Item]]:
    """Yields lists of consecutive items, each as short as it may be.

    Args:
      items: an iterable, of which one list at a time is read.
      size: function from an item to its size.
      enough: the size of a list, all but the last, at least.
      at_least: the number of its items, likewise.
    """
    chunk: list[_Item] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if total >= enough and len(chunk) >= at_least:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def compile_function(function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]) -> Compiled:
    """Makes a function of a batch (a dict of int32 [B, F]), which returns a dict of tensors [B, ...], fit for `run`.

    The function gets the batch with `unpadding.POSITIONS` beside.
    """
    return tf.function(lambda features: function(unpadding.add_positions(features)), input_signature=[SIGNATURE])


def load(directory: ModelDirectory) -> Compiled:
    """Loads the model of a `ModelDirectory`: a function as of `compile_function`, of what its task decodes."""
    model = directory.load()
    return compile_function(lambda features: directory.task.decode(model(features)))


def run(
    compiled: Compiled,
    sequences: list[Sequence],
    batch_size: int,
    advance: Callable[[int], object] = lambda count: None,
) -> list[dict[str, np.ndarray]]:
    """Applies a function to all sequences.

    Args:
      compiled: as of `compile_function`.
      sequences: a list of `Sequence`.
      batch_size: sequences per batch, or more while all have no more than `batch_size * FULL_LENGTH` positions.
      advance: called with the number of sequences that are done, after each batch.

    Returns:
      A list: for each sequence a dict from name to its row, a NumPy array, padding included.
    """
    results: list[Any] = [None] * len(sequences)
    # Long ones first: what does not fit into memory fails at once.
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i].ids))
    begin = 0
    while begin < len(order):
        longest = len(sequences[order[begin]].ids)
        chosen = order[begin : begin + max(batch_size, batch_size * FULL_LENGTH // longest)]
        begin += len(chosen)
        outputs = compiled(_batch([sequences[i] for i in chosen]))
        arrays = {name: x.numpy() for name, x in outputs.items()}
        for row, i in enumerate(chosen):
            results[i] = {name: array[row] for name, array in arrays.items()}
        advance(len(chosen))
    return results


def _batch(sequences):
    shape = [len(sequences), max(len(sequence.ids) for sequence in sequences)]
    batch = {name: np.zeros(shape, np.int32) for name in SIGNATURE}
    for row, sequence in enumerate(sequences):
        size = len(sequence.ids)
        batch["input_ids"][row, :size] = sequence.ids
        batch["input_mask"][row, :size] = 1
        if sequence.second is not None:
            batch["segment_ids"][row, sequence.second : size] = 1
    return {name: tf.constant(array) for name, array in batch.items()}
