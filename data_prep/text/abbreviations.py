"""Abbreviations that a text defines: `chronic kidney disease (CKD)`.

The algorithm is that of Schwartz and Hearst 2003, "A simple algorithm for identifying abbreviation definitions in
biomedical text", https://psb.stanford.edu/psb-online/proceedings/psb03/schwartz.pdf.
"""

import dataclasses
import re

from data_prep.text.sentences import trim

PARENTHESES = re.compile(r"\(([^()]*)\)")
WORD = re.compile(r"\S+")
MAX_SHORT_CHARS, MAX_SHORT_WORDS = 10, 2
PUNCTUATION = ".,:;'\"\u2019\u201d"  # that may be behind a form
MAX_LONG_CHARS = 1_000  # looked at before parentheses


@dataclasses.dataclass(frozen=True)
class Definition:
    """Spans in a text of a short form and of the long form that it stands for."""

    short: tuple[int, int]
    long: tuple[int, int]


def find_definitions(text, sentences):
    """Yields the definitions in a text, in its order.

    Args:
      text: str.
      sentences: their spans `(start, end)`; a definition is inside one.

    Yields:
      `Definition`.
    """
    for begin, end in sentences:
        for match in PARENTHESES.finditer(text, begin, end):
            inside = re.split("[;,] ", match[1])[0]
            span = trim(text, match.start(1), match.start(1) + len(inside))
            inside = text[slice(*span)].rstrip(PUNCTUATION)
            span = span[0], span[0] + len(inside)
            before = list(WORD.finditer(text, max(begin, match.start() - MAX_LONG_CHARS), match.start()))
            if _is_short_form(inside):
                short, words = span, before[-_most_words(inside) :]
            elif before and _is_short_form(word := before[-1][0].rstrip(PUNCTUATION)):  # CKD (chronic kidney disease)
                start = before[-1].start()
                short, words = (start, start + len(word)), list(WORD.finditer(text, *span))
            else:
                continue
            if words and (long := _long_form(text, text[slice(*short)], words[0].start(), words[-1].end())):
                yield Definition(short, long)


def _is_short_form(text):
    return (
        2 <= len(text) <= MAX_SHORT_CHARS
        and len(text.split()) <= MAX_SHORT_WORDS
        and text[0].isalnum()
        and any(char.isalpha() for char in text)
    )


def _most_words(short):
    """So many words a long form has at most."""
    size = sum(char.isalnum() for char in short)
    return min(size + 5, size * 2)


def _long_form(text, short, start, end):
    """The span of the shortest end of `text[start:end]` that has the short form's letters in order; None if none.

    The first letter begins a word.
    """
    end = start + len(text[start:end].rstrip(PUNCTUATION))
    place = end
    letters = [char for char in short.lower() if char.isalnum()]
    for number in range(len(letters) - 1, -1, -1):
        place -= 1
        while place >= start and not (
            text[place].lower() == letters[number] and (number > 0 or place == start or not text[place - 1].isalnum())
        ):
            place -= 1
        if place < start:
            return None
    while place > start and not text[place - 1].isspace():  # all of a word with hyphens
        place -= 1
    while not text[place].isalnum():
        place += 1
    words = text[place:end].split()
    is_fit = len(short) < end - place and len(words) <= _most_words(short) and short not in words
    return (place, end) if is_fit else None
