"""Where the words of a text are, in characters of it."""

import array
import collections.abc
import itertools

from data_prep.text.sentences import join_across, split_paragraphs
from data_prep.text.tokenization import BasicTokenizer

LONGEST_STRETCH = 100_000  # characters that are cut into words at a time: of each its place is noted meanwhile


class Spans(collections.abc.Sequence):
    """A sequence of pairs `(start, end)` in a tenth of a tuple's memory: a document may have millions of words."""

    def __init__(self, pairs):
        self._bounds = array.array("i", itertools.chain.from_iterable(pairs))

    def __len__(self):
        return len(self._bounds) // 2

    def __getitem__(self, index):
        place = range(len(self))[index]
        return self._bounds[2 * place], self._bounds[2 * place + 1]

    def __iter__(self):
        return zip(self._bounds[::2], self._bounds[1::2], strict=True)

    def __eq__(self, other):
        return tuple(self) == tuple(other)


def find_words(text, paragraphs, split_sentences, unbroken=()):
    """The words of each sentence: what stands between white space and punctuation.

    These are the words of the basic tokenizer without lower-casing, whatever the model.

    Args:
      text: str.
      paragraphs: their spans in `text`, in order.
      split_sentences: as of `load_sentence_splitter`.
      unbroken: spans in which no sentence ends.

    Returns:
      A tuple of `Spans`, one a sentence that has a word.
    """
    tokenizer = BasicTokenizer(do_lower_case=False)
    found = (
        Spans(
            (begin + spans[0][0], begin + spans[-1][1])
            for begin, stop in _stretches(text, start, end)
            for spans in tokenizer.tokenize_with_spans(text[begin:stop])[1]
        )
        for start, end in join_across(split_paragraphs(text, paragraphs, split_sentences), unbroken)
    )
    return tuple(filter(None, found))


def _stretches(text, start, end):
    """Yields spans of at most `LONGEST_STRETCH` characters, which end at white space unless there is none."""
    while end - start > LONGEST_STRETCH:
        stop = start + LONGEST_STRETCH
        space = max(text.rfind(char, start, stop) for char in " \n")
        stop = space if space > start else stop
        yield start, stop
        start = stop
    yield start, end
