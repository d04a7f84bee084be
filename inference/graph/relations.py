"""`inference.relations` inside a graph: sentences with two anonymized entities in, labels out.

Dimensions in shape comments: B strings, C characters of all strings, P wordpieces of all strings, L labels.
"""

import functools
import sys

import keras
import tensorflow as tf

from fine_tuning.model_directory import ModelDirectory
from inference.graph.sequences import BatchedModel
from inference.graph.tokenizer import GraphTokenizer
from inference.graph.vectors import changes, encode_ranges, group_rows, ranges, row_sizes, row_starts, where

OTHER = [ord(char) for char in "OTHER$"]


@functools.cache
def _spaces():
    """The code points that `\\s` stands for in an expression."""
    return [i for i in range(sys.maxunicode + 1) if chr(i).isspace()]


class RelationClassifier:
    """Classifies sentences. One that is too long for the model is cut as in training, so that its entities stay."""

    def __init__(self, directory: ModelDirectory, model: keras.layers.Layer, batch_size: int) -> None:
        """Takes a `ModelDirectory`, its Keras layer and the number of sequences per batch."""
        lower_case = directory.tokenizer.basic_tokenizer.do_lower_case
        self._tokenizer = GraphTokenizer(directory.tokenizer.vocab, lower_case)
        self._model = BatchedModel(directory, model, batch_size)
        self._room = directory.max_seq_length - 2  # [CLS] and [SEP]
        self._lower_case = directory.settings["lower_case"]
        self._labels = tf.constant(directory.labels)

    def __call__(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies strings [B].

        Returns:
          A dict: `label` string [B], the most probable one; `probabilities` float32 [B, L], and `labels` string [B, L],
          which are the same for all strings.
        """
        if self._lower_case:
            text = _lower_case(text)
        pieces = self._tokenizer.tokenize(text)
        first, last = _entity_pieces(text, pieces)
        probabilities = self._model.classify(self._model.add_special_pieces(self._cut(pieces.ids, first, last)))
        labels = tf.tile(self._labels[tf.newaxis], [tf.size(text), 1])
        best = tf.gather(self._labels, tf.argmax(probabilities, axis=-1))
        return {"label": best, "probabilities": probabilities, "labels": labels}

    def _cut(self, ids, first, last):
        """`relations.cut`: wordpieces [B, ...] without those for which there is no room; `first` and `last` stay."""
        room, count, half = self._room, row_sizes(ids), self._room // 2
        middle = tf.minimum(tf.maximum((first + last + 1 - room) // 2, 0), count - room)
        is_wide = last - first >= room
        begin = tf.where(last < room, 0, tf.where(is_wide, first, middle))
        end = tf.where(is_wide, first + half, tf.minimum(begin + room, count))
        resume = tf.where(is_wide, last + 1 - (room - half), end)
        stop = tf.where(is_wide, last + 1, end)
        shift = row_starts(ids)
        kept = tf.concat([ranges(shift + begin, shift + end), ranges(shift + resume, shift + stop)], axis=1)
        return kept.with_flat_values(tf.gather(ids.flat_values, kept.flat_values))


def _markers(characters):
    """What stands for entities, `@GENE$` or `@OTHER$`: where each starts and ends among all characters, int32.

    As of the expression `@[^\\s@$]+\\$`.
    """
    codes, text_of = characters.flat_values, tf.cast(characters.value_rowids(), tf.int32)
    is_sign = codes == ord("$")
    stops = is_sign | (codes == ord("@")) | tf.reduce_any(codes[:, tf.newaxis] == _spaces(), axis=1)
    starts = where(codes == ord("@"))
    places = tf.concat([where(stops), [tf.size(codes) - 1]], 0)
    ends = tf.gather(places, tf.searchsorted(places[:-1], starts, side="right"))
    is_marker = (
        tf.gather(is_sign, ends) & (ends - starts > 1) & (tf.gather(text_of, ends) == tf.gather(text_of, starts))
    )
    return tf.boolean_mask(starts, is_marker), tf.boolean_mask(ends + 1, is_marker)


def _entity_pieces(text, pieces):
    """The first and the last wordpiece of what stands for the two entities, int32 [B]; 0 where there is none."""
    characters = tf.strings.unicode_decode(text, "UTF-8")
    starts, ends = _markers(characters)
    names = tf.gather(
        characters.flat_values, tf.minimum(starts[:, tf.newaxis] + 1 + tf.range(len(OTHER)), ends[:, tf.newaxis] - 1)
    )
    is_entity = ~tf.reduce_all(names == OTHER, axis=1)
    starts, ends = tf.boolean_mask(starts, is_entity), tf.boolean_mask(ends, is_entity)
    marker_text = tf.gather(tf.cast(characters.value_rowids(), tf.int32), starts)
    local = row_starts(characters)
    begin = tf.math.unsorted_segment_min(starts - tf.gather(local, marker_text), marker_text, tf.size(text))  # [B]
    stop = tf.math.unsorted_segment_max(ends - tf.gather(local, marker_text), marker_text, tf.size(text))
    piece_text = tf.cast(pieces.ids.value_rowids(), tf.int32)
    piece_start = pieces.starts.flat_values
    inside = where((piece_start >= tf.gather(begin, piece_text)) & (piece_start < tf.gather(stop, piece_text)))
    inside_text = tf.gather(piece_text, inside)
    numbers = inside - tf.gather(row_starts(pieces.ids), inside_text)
    first = tf.math.unsorted_segment_min(numbers, inside_text, tf.size(text))
    last = tf.math.unsorted_segment_max(numbers, inside_text, tf.size(text))
    has_entity = last >= 0
    return tf.where(has_entity, first, 0), tf.where(has_entity, last, 0)


def _lower_case(text):
    """`relations.lower_case`: lower-cases strings [B] but for what stands for entities.

    The library knows the letters of Unicode 13; the 40 pairs that came with version 14 keep their case.
    """
    characters = tf.strings.unicode_decode(text, "UTF-8")
    codes, text_of = characters.flat_values, tf.cast(characters.value_rowids(), tf.int32)
    starts, ends = _markers(characters)
    # Stretches: each marker, and what stands between markers or the edge of a string.
    edges = tf.concat([starts, ends, where(changes(text_of))], 0)
    begins = tf.unique(tf.sort(edges)).y
    begins = tf.boolean_mask(begins, begins < tf.size(codes))
    strings = encode_ranges(codes, begins, tf.concat([begins[1:], [tf.size(codes)]], 0)[: tf.size(begins)])
    is_marker = tf.scatter_nd(starts[:, tf.newaxis], tf.ones_like(starts), tf.shape(codes)) > 0
    is_marker = tf.gather(is_marker, begins)
    strings = tf.where(is_marker, strings, tf.strings.lower(strings, "utf-8"))
    return tf.strings.reduce_join(group_rows(strings, tf.gather(text_of, begins), tf.size(text)), axis=-1)
