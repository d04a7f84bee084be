"""data_prep/sentences.py: where sentences are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.text.sentences import join_across, load_sentence_splitter, split_paragraphs, trim


def at_periods(text):
    return [match.span() for match in re.finditer(r"\S[^.]*\.?", text)]


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


# Words, ends and spaces that a splitter must think about: abbreviations, initials, numbers of lists, quotations.
WORDS = (
    "cells mild Mild Civil A a E coli spp e.g Fig al et In The 1 2.5 p53 lacZ life Dr J.M vs I IV Ia I'm B-cell "
    '- ( " …'
)
TEXTS = st.lists(
    st.tuples(
        st.sampled_from(WORDS.split()),
        st.sampled_from([".", "?", "!", ".)", '."', "", ";", "..."]),
        st.sampled_from([" ", "  ", "\n", ""]),
    ),
    max_size=12,
).map(lambda parts: "".join(map("".join, parts)))


@given(TEXTS)
def test_the_short_cut_finds_what_the_library_finds(text):
    import nupunkt

    expected = [text[start:end].strip() for start, end in nupunkt.sent_spans(text)]
    found = [text[start:end] for start, end in load_sentence_splitter()(text)]
    assert found == [sentence for sentence in expected if sentence]


def test_the_short_cut_on_real_text(shared):
    import nupunkt

    split_sentences = load_sentence_splitter()
    lines = [line for path in (shared / "data/pmc").glob("*.txt") for line in path.read_text("utf-8").splitlines()]
    assert len(lines) > 1000
    for line in lines:
        assert [line[a:b] for a, b in split_sentences(line)] == [line[a:b].strip() for a, b in nupunkt.sent_spans(line)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blingfire", ["TNF-α fell, cf. Fig. 2.", "Two 😀 rose."]),
        ("none", ["TNF-α fell, cf. Fig. 2. Two 😀 rose."]),
    ],
)
def test_other_splitters(name, expected):
    text = " TNF-α fell, cf. Fig. 2. Two 😀 rose. "
    assert [text[start:end] for start, end in load_sentence_splitter(name)(text)] == expected
