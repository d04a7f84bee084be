"""Where the sentences of a text are, in characters of it."""

import bisect
import sys

from common.errors import InputError


def load_sentence_splitter():
    """Returns a function from a paragraph to its sentences: a list of `(start, end)`, without the space between.

    Raises:
      InputError: Python is older than 3.11, which the library needs.
    """
    if sys.version_info < (3, 11):
        raise InputError(
            f"Python {sys.version_info.major}.{sys.version_info.minor}: splitting sentences needs the library "
            "nupunkt; expected Python 3.11 or later"
        )
    import nupunkt

    def split_sentences(paragraph):
        spans = (trim(paragraph, start, end) for start, end in nupunkt.sent_spans(paragraph))
        return [(start, end) for start, end in spans if start < end]

    return split_sentences


def trim(text, start, end):
    """Returns the span `(start, end)` of `text` without the white space at its ends."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def split_paragraphs(text, paragraphs, split_sentences):
    """The sentences of several paragraphs of a text; none goes across a paragraph's end.

    Args:
      text: str.
      paragraphs: their spans `(start, end)` in `text`, in order.
      split_sentences: as of `load_sentence_splitter`.

    Returns:
      A list of spans in `text`.
    """
    return [
        (offset + start, offset + end)
        for offset, stop in paragraphs
        for start, end in split_sentences(text[offset:stop])
    ]


def join_across(sentences, spans):
    """Joins sentences so that none ends inside one of `spans` (of entities, say: `E. coli` holds no boundary).

    Args:
      sentences: spans, in order.
      spans: iterable of `(start, end)`.

    Returns:
      A list of spans.
    """
    starts = [start for start, _ in sentences]
    inside = set()  # sentences that begin within a span
    for start, end in spans:
        inside.update(range(bisect.bisect_right(starts, start), bisect.bisect_left(starts, end)))
    joined = []
    for index, (start, end) in enumerate(sentences):
        if index in inside and joined:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
