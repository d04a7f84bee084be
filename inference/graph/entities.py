"""`inference.ner` inside a graph: strings in, entities out.

Dimensions in shape comments: B strings, W words and P wordpieces of all strings, N windows, M wordpieces of all
windows, E entities, L labels.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from biocodes import conlleval
from data_prep.tasks import ner
from fine_tuning.model_directory import ModelDirectory
from inference.graph.sequences import BatchedModel
from inference.graph.tokenizer import GraphBasicTokenizer, GraphTokenizer
from inference.graph.vectors import (
    before,
    changes,
    cut_strings,
    group_rows,
    latest,
    pad_rows,
    ranges,
    row_sizes,
    row_starts,
    where,
)


class EntityFinder:
    """Finds entities. A string is a sentence; one that is too long for the model is read in windows."""

    def __init__(self, directory: ModelDirectory, model: keras.layers.Layer, name: str, batch_size: int) -> None:
        """Takes a `ModelDirectory`, its Keras layer, the type of entities without one, sequences per batch."""
        self._word_tokenizer = GraphBasicTokenizer(do_lower_case=False)
        lower_case = directory.tokenizer.basic_tokenizer.do_lower_case
        self._tokenizer = GraphTokenizer(directory.tokenizer.vocab, lower_case)
        self._model = BatchedModel(directory, model, batch_size)
        self._room = directory.max_seq_length - 2  # [CLS] and [SEP]
        self._table = LabelTable(directory.labels, name)

    def __call__(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Finds the entities of strings [B], in the order of the text.

        Returns:
          A dict: `starts` and `ends` int32, `texts` and `types` string, `confidences` float32, all [B, E] with -1 or ""
          behind the last entity of a string, and `count` int32 [B], how many it has.
        """
        words = self._word_tokenizer.split(text)
        pieces = self._tokenizer.tokenize(words.strings).ids  # [W, wordpieces of the word]
        labels, confidences = self._label(pieces, words.text_of, tf.size(text))
        # A word has the label of its first wordpiece; one without a wordpiece is outside.
        first = tf.where(row_sizes(pieces) > 0, row_starts(pieces), tf.size(labels))
        labels = tf.gather(tf.concat([labels, [self._table.outside]], 0), first)  # [W]
        confidences = tf.gather(tf.concat([confidences, [1.0]], 0), first)
        starts, ends = words.spans(words.sizes)
        labels = self._join_words(labels, starts, ends, words.text_of)
        return self._find(text, labels, confidences, starts, ends, words.text_of)

    def _label(self, pieces, text_of, count):
        """The label and its probability of each wordpiece [P] of the words [W, ...] of so many strings."""
        piece_text = tf.gather(text_of, tf.cast(pieces.value_rowids(), tf.int32))
        sentences = group_rows(pieces.flat_values, piece_text, count)  # [B, wordpieces of the string]
        word_start = tf.gather(row_starts(pieces), tf.cast(pieces.value_rowids(), tf.int32))  # [P]
        starts, ends = self._make_windows(sentences, word_start)  # [N], places among the P
        inside = ranges(starts, ends)
        ids = self._model.add_special_pieces(inside.with_flat_values(tf.gather(pieces.flat_values, inside.flat_values)))
        labels, confidences = (
            tf.RaggedTensor.from_tensor(values[:, 1:], ends - starts).flat_values  # [M]
            for values in self._model.label_pieces(ids)
        )
        chosen = _deepest(inside, tf.size(piece_text))
        return tf.gather(labels, chosen), tf.gather(confidences, chosen)

    def _make_windows(self, sentences, word_start):
        """`ner.make_windows` for sentences [B, ...]: where windows start and end among all wordpieces, int32 [N]."""
        first, last = row_starts(sentences), row_starts(sentences) + row_sizes(sentences)  # [B]
        step = (self._room + 1) // 2

        def is_unfinished(start):
            return last - start > self._room

        def add(starts, number):
            start = starts.read(number)
            begin = tf.gather(word_start, tf.minimum(start + step, tf.maximum(tf.size(word_start) - 1, 0)))
            next_start = tf.where(begin > start, begin, start + step)
            return starts.write(number + 1, tf.where(is_unfinished(start), next_start, last + 1)), number + 1

        starts = tf.TensorArray(tf.int32, 1, dynamic_size=True, clear_after_read=False).write(0, first)
        starts, _ = tf.while_loop(
            lambda starts, number: tf.reduce_any(is_unfinished(starts.read(number))), add, (starts, 0)
        )
        starts = tf.transpose(starts.stack())  # [B, N of the longest]
        is_window = starts <= last[:, tf.newaxis]
        starts, ends = (
            tf.boolean_mask(places, is_window)
            for places in (starts, tf.minimum(starts + self._room, last[:, tf.newaxis]))
        )
        return starts, ends

    def _join_words(self, labels, starts, ends, text_of):
        """`ner.join_words`: the labels [W] of an entity's words, where the model says of some that they go on (`X`)."""
        goes_on = (labels == self._table.continuation) & (starts == before(ends, -1)) & ~changes(text_of)
        root = tf.gather(tf.gather(self._table.of_word, labels), latest(~goes_on))
        return tf.where(goes_on, tf.gather(self._table.inside, root), root)

    def _find(self, text, labels, confidences, starts, ends, text_of):
        """`ner.find_entities`, from words [W] to what `__call__` returns."""
        is_new = changes(text_of)
        pairs = tf.stack([tf.where(is_new, self._table.outside, before(labels, self._table.outside)), labels], 1)
        begun = latest(tf.gather_nd(self._table.starts, pairs))
        # A word is in an entity that began and has not ended, at the latest where a string begins.
        inside = where((begun >= 0) & (begun >= latest(tf.gather_nd(self._table.ends, pairs) | is_new)))
        entity_of = tf.cumsum(tf.cast(changes(tf.gather(begun, inside)), tf.int32)) - 1  # [words in entities]
        first, last = tf.math.segment_min(inside, entity_of), tf.math.segment_max(inside, entity_of)  # [E]
        confidences = tf.math.segment_mean(tf.cast(tf.gather(confidences, inside), tf.float64), entity_of)
        found = {
            "starts": tf.gather(starts, first),
            "ends": tf.gather(ends, last),
            "types": tf.gather(self._table.types, tf.gather(labels, last)),
            "confidences": tf.cast(confidences, tf.float32),
        }
        entity_text = tf.gather(text_of, first)
        found["texts"] = cut_strings(text, entity_text, found["starts"], found["ends"])
        return pad_rows(found, entity_text, tf.size(text))


class LabelTable:
    """The labels of a model, and those that `ner.join_words` makes of them, by index."""

    def __init__(self, labels: Sequence[str], name: str) -> None:
        is_data = [label not in (ner.OUTSIDE, *ner.SPECIAL_LABELS) for label in labels]
        inside = [f"I{label[1:]}" if data else ner.OUTSIDE for label, data in zip(labels, is_data, strict=True)]
        names = [*labels, *(label for label in dict.fromkeys(inside) if label not in labels)]
        tags = [conlleval.split_tag(label) for label in names]
        self.outside, self.continuation = names.index(ner.OUTSIDE), names.index(ner.CONTINUATION)
        special = [label in ner.SPECIAL_LABELS for label in labels]
        self.of_word = tf.constant([self.outside if odd else i for i, odd in enumerate(special)])  # [L]
        self.inside = tf.constant([names.index(label) for label in inside])  # [L]
        self.starts = tf.constant([[conlleval.starts_chunk(a, b) for b in tags] for a in tags])  # [L, L]
        self.ends = tf.constant([[conlleval.ends_chunk(a, b) for b in tags] for a in tags])
        self.types = tf.constant([kind or name for _, kind in tags])


def _deepest(windows, num_pieces):
    """Of the places of each wordpiece in windows that overlap the one farthest from an edge, the first of equals.

    Args:
      windows: ragged int32 [N, M of the window], indices of wordpieces.
      num_pieces: how many wordpieces there are, P.

    Returns:
      int32 [P], indices among all M.
    """
    size, window_of = row_sizes(windows), tf.cast(windows.value_rowids(), tf.int32)
    place = tf.range(tf.size(window_of)) - tf.gather(row_starts(windows), window_of)
    depth = tf.minimum(place, tf.gather(size, window_of) - 1 - place)
    order = tf.cast(depth, tf.int64) * tf.cast(tf.size(size), tf.int64) - tf.cast(window_of, tf.int64)  # [M]
    best = tf.math.unsorted_segment_max(order, windows.flat_values, num_pieces)
    chosen = where(order == tf.gather(best, windows.flat_values))
    pieces = tf.gather(windows.flat_values, chosen)
    return tf.tensor_scatter_nd_update(tf.zeros([num_pieces], tf.int32), pieces[:, tf.newaxis], chosen)
