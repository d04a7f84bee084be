"""From logits to answers: which spans, in which order, with which text."""

import math

import numpy as np
import pytest

from data_prep.tasks import answers
from data_prep.tasks.answers import Options
from data_prep.tasks.questions import Encoding, Example
from data_prep.text.tokenization import BasicTokenizer

CASED, UNCASED = BasicTokenizer(do_lower_case=False), BasicTokenizer(do_lower_case=True)


@pytest.mark.parametrize(
    ("piece_text", "source", "tokenizer", "expected"),
    [
        ("steve smith", "Steve Smith's", UNCASED, "Steve Smith"),
        ("p53", "(p53),", CASED, "p53"),
        ("TNF - α", "anti-TNF-α", CASED, "TNF-α"),
        # The tokenizer drops the accents of both, and characters still match one by one.
        ("sjogren", "Sjögren,", UNCASED, "Sjögren"),
        # A control character that the tokenizer drops: all of the words.
        ("a", "(a\u200b)", CASED, "(a\u200b)"),
        # An unknown piece.
        ("[UNK]", "x-☃", CASED, "x-☃"),
        # The first of two places, as in the original.
        ("a", "b-a-a", CASED, "a"),
        ("", "x", CASED, "x"),
    ],
)
def test_text_is_recovered_from_the_source(piece_text, source, tokenizer, expected):
    assert answers.recover_text(piece_text, source, tokenizer) == expected


def sequence(values, length=12):
    logits = np.full(length, -9, np.float32)
    for place, value in values.items():
        logits[place] = value
    return logits


# [CLS] q [SEP] a b c d [SEP]: the context's pieces are at 3 to 6.
ONE_WINDOW = Encoding(["q"], list("abcd"), [0, 1, 2, 3], [(0, 4)])
EXAMPLE = Example("1", "q", list("abcd"))


def texts(n_best):
    return [entry["text"] for entry in n_best]


def test_spans_in_the_order_of_their_scores():
    logits = [(sequence({3: 2.0, 5: 1.0}, 8), sequence({4: 1.5, 6: 1.0}, 8))]
    text, n_best, difference = answers.predict(EXAMPLE, ONE_WINDOW, logits, Options(n_best_size=2), False)
    # a-b 3.5, a-d 3.0, c-d 2.0; c-b ends before it starts. The list has room for two.
    assert (text, difference) == ("a b", None)
    assert texts(n_best) == ["a b", "a b c d"]
    odds = math.exp(0.5)
    assert n_best[0]["probability"] == pytest.approx(odds / (1 + odds))
    assert (n_best[0]["start_logit"], n_best[0]["end_logit"]) == (2.0, 1.5)


def test_a_long_answer_is_no_candidate():
    logits = [(sequence({3: 2.0, 5: 1.0}, 8), sequence({6: 1.5}, 8))]
    text, n_best, _ = answers.predict(EXAMPLE, ONE_WINDOW, logits, Options(1, max_answer_length=3), False)
    assert text == "empty"  # the only candidate has four pieces
    assert n_best == [{"text": "empty", "probability": 1.0, "start_logit": 0.0, "end_logit": 0.0}]
    assert answers.predict(EXAMPLE, ONE_WINDOW, logits, Options(2, max_answer_length=3), False)[0] == "c d"


def test_the_question_is_no_answer():
    logits = [(sequence({0: 9.0, 1: 9.0, 7: 9.0, 4: 1.0}, 8), sequence({0: 9.0, 1: 9.0, 7: 9.0, 4: 1.0}, 8))]
    assert answers.predict(EXAMPLE, ONE_WINDOW, logits, Options(), False)[0] == "b"


def test_a_piece_counts_in_the_window_with_most_context():
    # Pieces a b c d, then c d e f: c has one piece on its shorter side in the first window, none in the second.
    encoding = Encoding(["q"], list("abcdef"), list(range(6)), [(0, 4), (2, 6)])
    example = Example("1", "q", list("abcdef"))
    nothing = sequence({}, 8)
    second = [(nothing, nothing), (sequence({3: 9.0}, 8), sequence({3: 9.0}, 8))]  # c in the second window
    assert texts(answers.predict(example, encoding, second, Options(1), False)[1]) != ["c"]
    first = [(sequence({5: 9.0}, 8), sequence({5: 9.0}, 8)), (nothing, nothing)]
    assert texts(answers.predict(example, encoding, first, Options(1), False)[1]) == ["c"]


def test_equal_texts_are_one_answer():
    encoding = Encoding(["q"], ["a", "a"], [0, 1], [(0, 2)])
    logits = [(sequence({3: 2.0, 4: 1.0}, 6), sequence({3: 2.0, 4: 1.0}, 6))]
    n_best = answers.predict(Example("1", "q", ["a", "a"]), encoding, logits, Options(), False)[1]
    assert texts(n_best) == ["a", "a a"]


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, ""), (1.0, "b")])
def test_no_answer_by_its_score(threshold, expected):
    # None scores 2 + 2 in one window and 1 + 2.5 in the other: the lower counts. The best answer scores 3.
    encoding = Encoding(["q"], list("abcd"), [0, 1, 2, 3], [(0, 3), (1, 4)])
    logits = [
        (sequence({0: 2.0, 4: 1.5}, 7), sequence({0: 2.0, 4: 1.5}, 7)),
        (sequence({0: 1.0}, 7), sequence({0: 2.5}, 7)),
    ]
    options = Options(with_negative=True, null_score_diff_threshold=threshold)
    text, n_best, difference = answers.predict(EXAMPLE, encoding, logits, options, False)
    assert (text, difference) == (expected, 0.5)
    assert texts(n_best)[:2] == ["", "b"]


@pytest.mark.parametrize(("null", "expected"), [(0.25, ["b", "b c", ""]), (1.4, ["b", ""]), (2.0, ["", "b"])])
def test_no_answer_is_in_every_list(null, expected):
    # b scores 3, b c 2.5, no answer 0.5, 2.8 or 4. The list has room for two, and for no answer in any case.
    logits = [(sequence({0: null, 4: 1.5}, 8), sequence({0: null, 4: 1.5, 5: 1.0}, 8))]
    candidates = {"b": answers.Candidate(1, 1, 1.5, 1.5), "b c": answers.Candidate(1, 2, 1.5, 1.0)}
    options = Options(n_best_size=2, with_negative=True)
    assert texts(answers.n_best(candidates, answers.null_candidate(logits), options)[1]) == expected


def test_nothing_but_no_answer():
    encoding = Encoding(["q"], ["a"], [0], [(0, 1)])
    logits = [(sequence({0: 1.0}, 5), sequence({0: 1.0}, 5))]
    options = Options(n_best_size=1, with_negative=True)
    text, n_best, difference = answers.predict(Example("1", "q", ["a"]), encoding, logits, options, False)
    assert (text, texts(n_best), difference) == ("", [""], 2.0)


def test_a_context_without_text_has_no_answer():
    for words in ([], ["\u200b"]):  # of the second, the tokenizer leaves nothing
        example, encoding = Example("1", "q", words), Encoding(["q"], [], [], [])
        for with_negative, difference in [(False, None), (True, 0.0)]:
            options = Options(with_negative=with_negative)
            text, n_best, found = answers.predict(example, encoding, [], options, False)
            assert (text, texts(n_best), found) == ("", [""], difference)
