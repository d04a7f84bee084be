"""Bulk tokenization: the ids of `FullTokenizer`, some 20 times as fast.

tensorflow-text's FastBertTokenizer cuts words as the original does once the text is cleaned. What differs is
taken from it: deleting characters and lower-casing are done here by Python's `unicodedata`, which defines the
original's result, and words over 200 characters, for which the library counts bytes, become unknown here.
`tests/data_prep/test_tokenization.py` compares the two on every code point, the golden strings and real text.
"""

import re

import numpy as np
import tensorflow as tf
import tensorflow_text

from data_prep.text.tokenization import (
    CLEAN,
    DELETE,
    MAX_WORD_CHARS,
    SPACE_OUT_PUNCTUATION,
    load_vocab,
    strip_accents,
    warn_of_case,
)

MAX_BYTES_PER_WORD = 4 * MAX_WORD_CHARS  # no word of 200 characters has more in UTF-8
MAYBE_LONG_WORD = re.compile(rf"\S{{{MAX_WORD_CHARS + 1}}}")
LONG_WORD = re.compile(rf"\S{{{MAX_WORD_CHARS + 1},}}")


def list_pieces(vocab):
    """The wordpieces by id as tensorflow-text needs them, from `{piece: id}`.

    Only the last id of a repeated wordpiece is in use. The library needs different wordpieces on all lines, none empty
    or with a NUL, so other lines get one that no text has, of a control character.
    """
    pieces = {i: piece for piece, i in vocab.items() if piece and "\0" not in piece}
    return [pieces.get(i, f"\x01{i}") for i in range(max(vocab.values()) + 1)]


def find_unknown_word(vocab):
    """A word that is not in the vocabulary: a single letter of a dead script (Deseret)."""
    return next(char for char in map(chr, range(0x10428, 0x10450)) if char not in vocab)


class FastTokenizer:
    """Turns many texts into ids at once; equal to FullTokenizer."""

    def __init__(self, vocab_file, do_lower_case=True):
        """Raises InputError if the vocabulary is unfit (see `tokenization.load_vocab`)."""
        self.vocab = load_vocab(vocab_file)
        warn_of_case(self.vocab, vocab_file, do_lower_case)
        self.do_lower_case = do_lower_case
        self._tokenizer = tensorflow_text.FastBertTokenizer(
            list_pieces(self.vocab),
            token_out_type=tf.int32,
            max_bytes_per_word=MAX_BYTES_PER_WORD,
            lower_case_nfd_strip_accents=False,
        )
        self._unknown_word = find_unknown_word(self.vocab)

    def tokenize_to_ids(self, texts):
        """Returns the ids of all texts, one after the other, and where each begins.

        Args:
          texts: sequence of n str.

        Returns:
          (values, row_splits): int32 array of all ids; int64 array [n + 1], so that the ids of text i are
          `values[row_splits[i]:row_splits[i + 1]]`.
        """
        if not texts:
            return np.zeros(0, np.int32), np.zeros(1, np.int64)
        ids = self._tokenizer.tokenize(tf.constant([self._clean(text) for text in texts]))
        return ids.values.numpy(), ids.row_splits.numpy()

    def _clean(self, text):
        # A printable string has nothing to delete but U+FFFD (and no white space but spaces).
        if not text.isprintable() or "\ufffd" in text:
            text = text.translate(DELETE)
        if self.do_lower_case:
            text = strip_accents(text.lower())
        if MAYBE_LONG_WORD.search(text):
            text = LONG_WORD.sub(self._unknown_word, text.translate(CLEAN).translate(SPACE_OUT_PUNCTUATION))
        return text
