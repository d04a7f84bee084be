"""data_prep/sentences.py: where sentences are."""

import collections
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.formats import table
from data_prep.formats.placement import Report
from data_prep.text.sentences import join_across, load_sentence_splitter, load_tokenizer, split_paragraphs, trim


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
    expected = [text[start:end].strip() for start, end in load_tokenizer().span_tokenize(text)]
    found = [text[start:end] for start, end in load_sentence_splitter()(text)]
    assert found == [sentence for sentence in expected if sentence]


def test_the_short_cut_on_real_text(shared):
    split_sentences, tokenizer = load_sentence_splitter(), load_tokenizer()
    lines = [line for path in (shared / "data/pmc").glob("*.txt") for line in path.read_text("utf-8").splitlines()]
    assert len(lines) > 1000
    for line in filter(str.strip, lines):
        expected = [line[a:b].strip() for a, b in tokenizer.span_tokenize(line)]
        assert [line[a:b] for a, b in split_sentences(line)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "It is breast cancer.| Commonly used drugs are.",
        "None was found.| Nine mice were of one series.| Two died of glaucoma.| Clinically, they did.",
        "We gave 10 mg b.i.d. for 5 days, t.i.d. or q.d. with food.| The drug helped.",
        "At St. Jude in St. Louis, S. enterica subsp. enterica grew, approx. 5 ml (Fig. 2, J. Biol. Chem. Vol. 3).",
    ],
)
def test_what_is_an_abbreviation(text):
    sentences = text.split("|")
    whole = "".join(sentences)
    assert [whole[a:b] for a, b in load_sentence_splitter()(whole)] == [sentence.strip() for sentence in sentences]


def test_the_library_itself_is_as_it_was():
    import nupunkt

    load_sentence_splitter()
    assert "cancer" in nupunkt.load("default").abbreviations


CORPORA = {
    "NCBI-disease/train.tsv": "NCBI_train",
    "NCBI-disease/devel.tsv": "NCBI_devel",
    "BC5CDR-chem/train.tsv": "CDR_TrainingSet",
    "BC5CDR-chem/devel.tsv": "CDR_DevelopmentSet",
}


def test_against_the_sentences_of_ner_sets(shared):
    """Those of words a line, in the text of the same articles; places count what is no white space."""
    import nupunkt

    whole = nupunkt.load("default").span_tokenize
    splitters = {"nupunkt as it is": whole, "with these abbreviations": load_sentence_splitter()}
    counts = {name: collections.Counter() for name in splitters}
    for words_file, text_file in CORPORA.items():
        sentences = (shared / "data/ner" / words_file).read_text("utf-8").split("\n\n")
        sentences = ["".join(line.split("\t")[0] for line in sentence.splitlines()) for sentence in sentences]
        stream, ends = "".join(sentences), set(itertools.accumulate(map(len, sentences)))
        for document in table.read_corpus(
            [str(shared / f"data/formats/{text_file}.PubTator.txt.gz")], "auto", Report()
        ):
            for start, end in document.paragraphs:
                text = document.text[start:end]
                packed = "".join(text.split())
                place = stream.find(packed)
                if place >= 0:
                    gold = {stop - place for stop in ends if place < stop < place + len(packed)}
                    for name, split in splitters.items():
                        found = {len("".join(text[:stop].split())) for _, stop in split(text)} - {len(packed)}
                        counts[name].update(both=len(found & gold), gold=len(gold), found=len(found))
    scores = {name: 2 * each["both"] / (each["gold"] + each["found"]) for name, each in counts.items()}
    print(*(f"\n{name}: F1 {scores[name]:.4f}, {dict(each)}" for name, each in counts.items()))
    assert counts["with these abbreviations"]["gold"] > 12_000
    assert scores["with these abbreviations"] > max(0.979, scores["nupunkt as it is"] + 0.003)


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
