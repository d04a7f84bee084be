"""FullTokenizer as TensorFlow operations: raw strings to wordpieces with their places, inside a graph.

    tokenizer = GraphTokenizer(vocab, do_lower_case=False)
    pieces = tokenizer.tokenize(tf.constant(["c.248T>C"]))
    pieces.ids, pieces.starts, pieces.ends  # equal to FullTokenizer.tokenize_with_spans

What a character is comes from tables by code point, made from the running Python's `unicodedata` when the tokenizer
is made: a saved graph keeps them. What is not UTF-8 counts as U+FFFD, as of `bytes.decode("utf-8", "replace")`, and is
deleted like any U+FFFD.

Dimensions in shape comments: B strings, C characters of all strings, K parts of characters, W words, P wordpieces.
"""

import dataclasses
import functools
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text

from data_prep.text.fast_tokenization import MAX_BYTES_PER_WORD, find_unknown_word, list_pieces
from data_prep.text.tokenization import (
    CLEAN,
    CONTINUATION,
    MAX_WORD_CHARS,
    UNKNOWN_PIECE,
    is_cjk,
    is_deleted,
    is_punctuation,
)
from inference.graph.vectors import before, changes, group_rows, row_sizes, row_starts, where

NUM_CODE_POINTS = 0x110000
DELETED, SPACE, KEPT = range(3)  # what cleaning does with a character
NEUTRAL, CASE_IGNORABLE, CASED = range(3)  # what a character means for the sigma behind or before it
CAPITAL_SIGMA, FINAL_SIGMA = 0x3A3, 0x3C2
ITSELF = -1  # in an expansion: the character


class CharacterTable:
    """What becomes of each code point.

    Code points that are treated alike share a row. A character is replaced by its expansion, its parts: themselves
    characters, which may be dropped (marks) or be words of their own.
    """

    def __init__(self, do_lower_case: bool) -> None:
        rows: dict[tuple[Any, ...], int] = {}
        row_of = [rows.setdefault(_row(chr(i), do_lower_case), len(rows)) for i in range(NUM_CODE_POINTS)]
        cleaning, is_word, dropped, combining, case, expansions = zip(*rows, strict=True)
        sizes = [len(expansion) for expansion in expansions]
        self.row_of = tf.constant(row_of, tf.int16 if len(rows) < 2**15 else tf.int32)
        self.cleaning = tf.constant(cleaning, tf.int8)
        self.is_word = tf.constant(is_word)
        self.dropped = tf.constant(dropped)
        self.combining = tf.constant(combining, tf.int64)
        self.case = tf.constant(case, tf.int8)
        self.expansion_sizes = tf.constant(sizes)
        self.expansion_starts = tf.constant(np.cumsum([0, *sizes[:-1]]), tf.int32)
        self.expansions = tf.constant([part for expansion in expansions for part in expansion], tf.int32)

    def rows(self, codes: tf.Tensor) -> tf.Tensor:
        """The row, int32, of each code point."""
        return tf.cast(tf.gather(self.row_of, codes), tf.int32)


character_table = functools.cache(CharacterTable)


def _row(char, do_lower_case):
    """A character's cleaning, whether it is a word of its own or dropped, combining class, case and expansion."""
    if is_deleted(char):
        return DELETED, False, False, 0, NEUTRAL, ()
    if not char.translate(CLEAN).strip():
        return SPACE, False, False, 0, NEUTRAL, ()
    is_word = is_punctuation(char) or is_cjk(char)
    if not do_lower_case:
        return KEPT, is_word, False, 0, NEUTRAL, (ITSELF,)
    parts = unicodedata.normalize("NFD", char.lower())
    expansion = (ITSELF,) if parts == char else tuple(map(ord, parts))
    dropped = unicodedata.category(char) == "Mn"
    return KEPT, is_word, dropped, unicodedata.combining(char), _case(char), expansion


def _case(char):
    """Whether a sigma behind `char` sees a letter with case, or sees through it: str.lower tells no other way."""
    if (char + "Σ").lower().endswith("ς"):
        return CASED
    return CASE_IGNORABLE if ("a" + char + "Σ").lower().endswith("ς") else NEUTRAL


@dataclasses.dataclass(frozen=True)
class Words:
    """Words of all strings, one after the other, and the parts of characters that they consist of."""

    strings: tf.Tensor  # string [W]
    text_of: tf.Tensor  # int32 [W]: index of the string that each is in
    sizes: tf.Tensor  # int32 [W], in parts
    codes: tf.Tensor  # int32 [K], code point of each part
    starts: tf.Tensor  # int32 [K], span of each part in its string
    ends: tf.Tensor

    def spans(self, sizes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Starts and ends, int32, of stretches of so many parts, one behind the other; `self.sizes`: of the words."""
        groups = tf.repeat(tf.range(tf.size(sizes)), sizes)
        return tf.math.segment_min(self.starts, groups), tf.math.segment_max(self.ends, groups)


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The wordpieces of strings, all int32 [B, P of the string]."""

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor  # span in the untouched string, in characters (code points)
    ends: tf.RaggedTensor
    sizes: tf.RaggedTensor  # in parts of words


class GraphBasicTokenizer:
    """`BasicTokenizer` in TensorFlow operations."""

    def __init__(self, do_lower_case: bool) -> None:
        self.do_lower_case = do_lower_case
        self.table = character_table(do_lower_case)

    def split(self, texts: tf.Tensor) -> Words:
        """Cuts strings [B] into `Words`."""
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        codes, text_of = characters.flat_values, tf.cast(characters.value_rowids(), tf.int32)  # [C]
        rows = self.table.rows(codes)
        cleaning = tf.gather(self.table.cleaning, rows)
        # Characters of one stretch have no space and no end of a string between them.
        stretch = tf.cumsum(tf.cast(cleaning == SPACE, tf.int32)) + text_of
        places = where(cleaning == KEPT)  # [K]
        if self.do_lower_case:
            codes = self._lower_sigmas(codes, rows, text_of)
            codes, places = self._decompose(tf.gather(codes, places), places)
            codes, places = self._order_marks(codes, places, stretch)
            codes, places, ends = self._drop_marks(codes, places, text_of)
        else:
            codes, ends = tf.gather(codes, places), places + 1
        is_word = tf.gather(self.table.is_word, self.table.rows(codes))
        begins = where(changes(tf.gather(stretch, places)) | is_word | before(is_word, False))  # [W]
        words = tf.RaggedTensor.from_row_starts(codes, begins, validate=False)
        text_of_part = tf.gather(text_of, places)
        first = tf.gather(row_starts(characters), text_of_part)
        return Words(
            tf.strings.unicode_encode(words, "UTF-8"),
            tf.gather(text_of_part, begins),
            row_sizes(words),
            codes,
            places - first,
            ends - first,
        )

    def _lower_sigmas(self, codes, rows, text_of):
        """Lower-cases the sigmas [C] at the end of words: the one letter for which str.lower heeds its neighbours.

        It is a final one behind a letter with case and not before one, whatever ignorable stands between.
        """
        case = tf.gather(self.table.case, rows)
        # The characters that are not ignored, with none before and behind them.
        seen = (tf.gather(self.table.cleaning, rows) != DELETED) & (case != CASE_IGNORABLE)
        seen_places = tf.concat([[-1], where(seen), [-1]], 0)
        sigmas = where(codes == CAPITAL_SIGMA)
        number = tf.gather(tf.cumsum(tf.cast(seen, tf.int32), exclusive=True), sigmas)

        def is_cased(number):
            place = tf.gather(seen_places, number)
            found = tf.maximum(place, 0)
            same_text = tf.gather(text_of, found) == tf.gather(text_of, sigmas)
            return (place >= 0) & same_text & (tf.gather(case, found) == CASED)

        final = tf.boolean_mask(sigmas, is_cased(number) & ~is_cased(number + 2))  # between them is the sigma itself
        return tf.tensor_scatter_nd_update(codes, final[:, tf.newaxis], tf.fill(tf.shape(final), FINAL_SIGMA))

    def _decompose(self, codes, places):
        """Lower-cased and decomposed code points, and the places [C] that they come from."""
        rows = self.table.rows(codes)
        sizes = tf.gather(self.table.expansion_sizes, rows)
        shift = tf.cumsum(sizes, exclusive=True) - tf.gather(self.table.expansion_starts, rows)
        parts = tf.gather(self.table.expansions, tf.range(tf.reduce_sum(sizes)) - tf.repeat(shift, sizes))
        return tf.where(parts == ITSELF, tf.repeat(codes, sizes), parts), tf.repeat(places, sizes)

    def _order_marks(self, codes, places, stretch):
        """The canonical order of the marks on a character: by combining class."""
        combining = tf.gather(self.table.combining, self.table.rows(codes))
        base = tf.cumsum(tf.cast(combining == 0, tf.int32)) + tf.gather(stretch, places)
        keys = tf.cast(base, tf.int64) * 256 + combining

        def sort():
            order = tf.argsort(keys, stable=True)
            return tf.gather(codes, order), tf.gather(places, order)

        return tf.cond(tf.reduce_any(keys[1:] < keys[:-1]), sort, lambda: (codes, places))

    def _drop_marks(self, codes, places, text_of):
        """Drops accents.

        Returns:
          Of what is left the code points, places and ends [C]. An end is that of the accents that follow without gap.
        """
        dropped = tf.gather(self.table.dropped, self.table.rows(codes))
        base = tf.cumsum(tf.cast(~dropped, tf.int32)) - 1
        is_on_base = dropped & (base >= 0)
        base, marks = tf.boolean_mask(base, is_on_base), tf.boolean_mask(places, is_on_base)
        codes, places = tf.boolean_mask(codes, ~dropped), tf.boolean_mask(places, ~dropped)
        same_text = tf.gather(text_of, marks) == tf.gather(text_of, tf.gather(places, base))
        base, marks = tf.boolean_mask(base, same_text), tf.boolean_mask(marks, same_text)
        # Each base with marks takes its first one, then its second one, and so on.
        first = where(changes(base))
        marked = tf.gather(base, first)
        counts = tf.concat([first[1:], [tf.size(base)]], 0)[: tf.size(first)] - first
        ends = tf.gather(places, marked) + 1

        def take(number, ends):
            mark = tf.gather(marks, first + tf.minimum(number, counts - 1))
            return number + 1, tf.where(mark == ends, ends + 1, ends)

        _, ends = tf.while_loop(lambda number, _: number < tf.reduce_max(counts), take, (0, ends))
        return codes, places, tf.tensor_scatter_nd_update(places + 1, marked[:, tf.newaxis], ends)


class GraphTokenizer:
    """`FullTokenizer` in TensorFlow operations."""

    def __init__(self, vocab: Mapping[str, int], do_lower_case: bool) -> None:
        """Takes `{piece: id}` as of `tokenization.load_vocab`."""
        self.basic_tokenizer = GraphBasicTokenizer(do_lower_case)
        self.unknown_id = vocab[UNKNOWN_PIECE]
        lines = list_pieces(vocab)
        self._wordpiece_tokenizer = tensorflow_text.FastWordpieceTokenizer(
            lines, max_bytes_per_word=MAX_BYTES_PER_WORD, token_out_type=tf.int32, no_pretokenization=True
        )
        self._piece_sizes = tf.constant([len(line) for line in lines])
        self._unknown_word = find_unknown_word(vocab)

    def tokenize(self, texts: tf.Tensor) -> Pieces:
        """Cuts strings [B] into `Pieces`."""
        return self.cut(self.basic_tokenizer.split(texts), tf.size(texts))

    def cut(self, words: Words, count: tf.Tensor) -> Pieces:
        """Cuts the `Words` of so many strings into `Pieces`."""
        strings = tf.where(words.sizes > MAX_WORD_CHARS, self._unknown_word, words.strings)
        pieces = self._wordpiece_tokenizer.tokenize(strings)  # [W, wordpieces of the word]
        ids, word_of = pieces.flat_values, pieces.value_rowids()
        sizes = tf.gather(self._piece_sizes, ids) - tf.where(changes(word_of), 0, len(CONTINUATION))
        sizes = tf.where(ids == self.unknown_id, tf.gather(words.sizes, word_of), sizes)
        text_of = tf.gather(words.text_of, word_of)
        return Pieces(*(group_rows(values, text_of, count) for values in (ids, *words.spans(sizes), sizes)))
