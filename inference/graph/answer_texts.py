"""The texts of answers in a graph: `answers.recover_text` and `question_answering.locate` for all candidates at once.

Dimensions in shape comments: C characters of all contexts, S of them that are solid (in a word, see `questions.WORD`),
P wordpieces and K parts of characters of all contexts, Q candidates.
"""

import tensorflow as tf

from inference.graph.tokenizer import Pieces, Words
from inference.graph.vectors import before, changes, count_before, hash_ranges, ranges, row_starts, where

GAPS = [ord(char) for char in " \t\r\n\u202f"]  # between the words of a context
LOOK_BACK = 200  # parts of a word before an answer among which its text is looked for


class AnswerTexts:
    """The contexts in characters, words, parts and wordpieces; everything is an index among those of all contexts."""

    def __init__(self, context: tf.Tensor, words: Words, pieces: Pieces, unknown_id: int) -> None:
        """Takes strings, their `Words` and `Pieces`, and the id of an unknown wordpiece."""
        characters = tf.strings.unicode_decode(context, "UTF-8")
        self._text_start = row_starts(characters)
        self._characters(characters.flat_values, tf.cast(characters.value_rowids(), tf.int32))
        self._parts(words)
        self._pieces(pieces, unknown_id)

    def _characters(self, codes, text_of):
        is_gap = tf.reduce_any(codes[:, tf.newaxis] == GAPS, axis=1)
        begins = ~is_gap & (before(is_gap, True) | changes(text_of))
        self._solid = where(~is_gap)  # [S]
        self._word_of = tf.cumsum(tf.cast(begins, tf.int32)) - 1  # [C]
        solid_before = count_before(~is_gap)  # [C + 1]
        # For each word the number of solid characters before it; one more entry for the end.
        self._word_solid = tf.concat([tf.gather(solid_before, where(begins)), solid_before[-1:]], 0)
        # The words joined by single spaces: where each character is in it.
        self._joined_place = solid_before[:-1] + self._word_of
        places = tf.gather(self._joined_place, self._solid)
        self._joined = _spread(tf.gather(codes, self._solid), places)

    def _parts(self, words):
        count = tf.size(words.sizes)
        token_of = tf.repeat(tf.range(count), words.sizes)  # [K]
        part_place = words.starts + tf.gather(self._text_start, tf.gather(words.text_of, token_of))
        self._part_word = tf.gather(self._word_of, part_place)
        # The tokens joined by single spaces.
        self._token_place = tf.range(tf.size(token_of)) + token_of
        self._tokenized = _spread(words.codes, self._token_place)

    def _pieces(self, pieces, unknown_id):
        first = tf.gather(self._text_start, tf.cast(pieces.ids.value_rowids(), tf.int32))
        self._piece_starts, self._piece_ends = first + pieces.starts.flat_values, first + pieces.ends.flat_values  # [P]
        self._piece_parts = tf.cumsum(tf.concat([[0], pieces.sizes.flat_values], 0))  # [P + 1]
        self._unknown_before = count_before(pieces.ids.flat_values == unknown_id)  # [P + 1]

    def find(self, text_of: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Finds the texts of candidates.

        Args:
          text_of: int32 [Q], index of the context.
          first, last: int32 [Q], wordpieces.

        Returns:
          Spans in the context, `starts` and `ends` in characters, int32 [Q]; and `keys`, uint64 [Q], equal for
          equal texts on the same context.
        """
        starts, ends = self._recover(first, last)
        keys = self._hash(starts, ends)
        # The place is that of the wordpieces where these have the same text.
        piece_starts, piece_ends = tf.gather(self._piece_starts, first), tf.gather(self._piece_ends, last)
        is_same = self._hash(piece_starts, piece_ends) == keys
        shift = tf.gather(self._text_start, text_of)
        starts, ends = tf.where(is_same, piece_starts, starts) - shift, tf.where(is_same, piece_ends, ends) - shift
        # Another odd factor, so that a text on one context is not taken for another on the next one.
        return starts, ends, keys + tf.cast(text_of, tf.uint64) * tf.constant(0xD1B54A32D192ED03, tf.uint64)

    def _hash(self, starts, ends):
        """Equal where the words between two characters, joined by single spaces, are equal."""
        return hash_ranges(
            self._joined, tf.gather(self._joined_place, starts), tf.gather(self._joined_place, ends - 1) + 1
        )

    def _recover(self, first, last):
        """`answers.recover_text`: the spans among all characters, int32 [Q] each."""
        first_part = tf.gather(self._piece_parts, first)
        size = tf.gather(self._piece_parts, last + 1) - first_part
        last_part = first_part + size - 1
        first_word, last_word = tf.gather(self._part_word, first_part), tf.gather(self._part_word, last_part)
        begin = tf.searchsorted(self._part_word, first_word, side="left")
        end = tf.searchsorted(self._part_word, last_word, side="right")
        solid_begin, solid_end = tf.gather(self._word_solid, first_word), tf.gather(self._word_solid, last_word + 1)
        # Characters of the words stand for parts one by one, or else the text is all of the words.
        is_unknown = tf.gather(self._unknown_before, last + 1) > tf.gather(self._unknown_before, first)
        fits = (end - begin == solid_end - solid_begin) & ~is_unknown
        solid_first = solid_begin + self._first_occurrence(first_part, last_part, begin) - begin
        solid_last = solid_first + size - 1
        starts = tf.gather(self._solid, tf.where(fits, solid_first, solid_begin))
        return starts, tf.gather(self._solid, tf.where(fits, solid_last, solid_end - 1)) + 1

    def _first_occurrence(self, first, last, begin):
        """Where the parts `first` to `last` first occur from `begin` on, as tokens joined by spaces, int32 [Q]."""
        starts = ranges(tf.maximum(begin, first - LOOK_BACK), first)
        candidate = tf.cast(starts.value_rowids(), tf.int32)
        place = tf.gather(self._token_place, first)
        size = tf.gather(self._token_place, last) + 1 - place
        wanted = hash_ranges(self._tokenized, place, place + size)
        places = tf.gather(self._token_place, starts.flat_values)
        found = hash_ranges(self._tokenized, places, places + tf.gather(size, candidate))
        is_found = found == tf.gather(wanted, candidate)
        earlier = tf.math.unsorted_segment_min(
            tf.boolean_mask(starts.flat_values, is_found), tf.boolean_mask(candidate, is_found), tf.size(first)
        )
        return tf.minimum(earlier, first)  # the segments without any have the largest number


def _spread(codes, places):
    """Code points at their places, and spaces elsewhere."""
    size = tf.reduce_max(tf.concat([places, [-1]], 0)) + 1
    return tf.tensor_scatter_nd_update(tf.fill([size], ord(" ")), places[:, tf.newaxis], codes)
