"""data_prep/sentences.py: where sentences are."""

import re
import sys

import pytest

from common.errors import InputError
from data_prep import sentences
from data_prep.sentences import join_across, load_sentence_splitter, split_paragraphs, trim

needs_nupunkt = pytest.mark.skipif(sys.version_info < (3, 11), reason="nupunkt needs Python 3.11")


def at_periods(text):
    return [match.span() for match in re.finditer(r"\S[^.]*\.?", text)]


def test_a_newer_python_is_needed(monkeypatch):
    monkeypatch.setattr(sentences.sys, "version_info", type("Version", (tuple,), {"major": 3, "minor": 10})((3, 10)))
    with pytest.raises(InputError, match=r"Python 3\.10: .* expected Python 3\.11"):
        load_sentence_splitter()


@needs_nupunkt
def test_splitter():
    text = "  Growth in 😀 media of E. coli.  It was slow (P < 0.05).\nNone died "
    split = load_sentence_splitter()
    assert [text[start:end] for start, end in split(text)] == [
        "Growth in 😀 media of E. coli.",
        "It was slow (P < 0.05).",
        "None died",
    ]
    assert split("") == split(" \n ") == []


@pytest.mark.parametrize(("text", "span"), [(" a b\n", (1, 4)), ("ab", (0, 2)), ("   ", (3, 3))])
def test_trim(text, span):
    assert trim(text, 0, len(text)) == span


def test_a_sentence_ends_with_its_paragraph():
    assert split_paragraphs("A title\nOne. Two.", [(0, 7), (8, 17)], at_periods) == [(0, 7), (8, 12), (13, 17)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], [(0, 7), (8, 12), (13, 17)]),
        ([(0, 7), (8, 12)], [(0, 7), (8, 12), (13, 17)]),
        ([(5, 9)], [(0, 12), (13, 17)]),
        ([(5, 9), (11, 14)], [(0, 17)]),
        ([(2, 16)], [(0, 17)]),
    ],
)
def test_join_across(spans, expected):
    assert join_across([(0, 7), (8, 12), (13, 17)], spans) == expected
