"""The tokenizer made of TensorFlow operations: pieces and places equal to FullTokenizer's."""

import json
import random

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text.tokenization import FullTokenizer
from inference.graph.tokenizer import GraphTokenizer
from tests.helpers.vocabularies import COLUMNS

PIECES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] want ##want ##ed wa un runn ##ing , low ##s a b e i ab ##c α σ ς ##σ ##ς".split()
)
# Marks of several combining classes; U+0344 and U+0F73 are two marks in one; U+302E and U+1B44 are no accents and stay.
MARKS = "\u0301\u0316\u0323\u0344\u0f73\u302e\u1b44"
ODD = "aZ0 \t\n\r\x00\x01\x0b\x1c\x7f\x85\xa0\xad-.,$^`é É ßİıΣΑςσ’':µ™²ﬁÅ\u212b中\uf900\U00020000ひ한"
ODD += "\u0660\u200b\u200d\u2028\u2029\u3000\ufffd\ufeff\ue000\U0001f600\u093f\u1fef\u037e" + MARKS


class Pair:
    """Both tokenizers, the one in a graph as it is exported."""

    def __init__(self, vocab_file, do_lower_case):
        self.full = FullTokenizer(str(vocab_file), do_lower_case)
        tokenizer = GraphTokenizer(self.full.vocab, do_lower_case)

        def tokenize(texts):
            pieces = tokenizer.tokenize(texts)
            return pieces.ids, pieces.starts, pieces.ends

        self.graph = tf.function(tokenize, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def tokenize(self, texts):
        """For each text (str or bytes) the pieces and their spans."""
        ids, starts, ends = (values.to_list() for values in self.graph(tf.constant(texts, tf.string)))
        return [
            (self.full.convert_ids_to_tokens(row), list(zip(*spans, strict=True)))
            for row, *spans in zip(ids, starts, ends, strict=True)
        ]

    def assert_equal(self, texts):
        for text, (pieces, spans) in zip(texts, self.tokenize(texts), strict=True):
            assert (pieces, spans) == self.full.tokenize_with_spans(text), ascii(text)


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pairs(vocab_file):
    """By `do_lower_case`."""
    return [Pair(vocab_file, False), Pair(vocab_file, True)]


@pytest.fixture(scope="module", params=COLUMNS)
def column_and_pair(shared, request):
    vocab, do_lower_case = COLUMNS[request.param]
    return request.param, Pair(shared / vocab, do_lower_case)


@pytest.mark.parametrize(
    ("text", "do_lower_case", "expected"),
    [
        ("  unwanted,", False, [("un", 2, 4), ("##want", 4, 8), ("##ed", 8, 10), (",", 10, 11)]),
        ("a\u200bbc.xyz b", False, [("ab", 0, 3), ("##c", 3, 4), ("[UNK]", 4, 5), ("[UNK]", 5, 8), ("b", 9, 10)]),
        ("e\u0301 \u00c9", True, [("e", 0, 2), ("e", 3, 4)]),  # a mark is part of what it stands on
        ("e\u200b\u0301a", True, [("[UNK]", 0, 4)]),
        ("İ a", True, [("i", 0, 1), ("a", 2, 3)]),  # lower-cased to two characters
        ("\u0301a", True, [("a", 1, 2)]),
        ("中a", False, [("[UNK]", 0, 1), ("a", 1, 2)]),
        ("\x00a\ufffd", False, [("a", 1, 2)]),
        ("aΣ Σ", True, [("a", 0, 1), ("##ς", 1, 2), ("σ", 3, 4)]),
        ("aΣ'a", True, [("a", 0, 1), ("##σ", 1, 2), ("[UNK]", 2, 3), ("a", 3, 4)]),
        ("ΑΣΣ", True, [("α", 0, 1), ("##σ", 1, 2), ("##ς", 2, 3)]),
        ("ΑΣ'Σ", True, [("α", 0, 1), ("##σ", 1, 2), ("[UNK]", 2, 3), ("ς", 3, 4)]),
        ("\U0001f600 a", False, [("[UNK]", 0, 1), ("a", 2, 3)]),  # one character, two in UTF-16
        ("a" * 201 + " a", False, [("[UNK]", 0, 201), ("a", 202, 203)]),
        ("\t \u3000", True, []),
        ("", False, []),
    ],
)
def test_pieces_and_places(pairs, text, do_lower_case, expected):
    ((pieces, spans),) = pairs[do_lower_case].tokenize([text])
    assert [(piece, *span) for piece, span in zip(pieces, spans, strict=True)] == expected


def test_strings_of_a_batch_do_not_touch(pairs):
    texts = ["a", "\u0301", "Σ", "", "b\u302e", "\u0316e"]
    assert pairs[True].tokenize(texts) == [pairs[True].tokenize([text])[0] for text in texts]
    assert pairs[True].tokenize([]) == []


@pytest.mark.parametrize("data", [b"a\xffb", b"a\xc3", b"\xe4\xb8a \xed\xa0\x80b", b"\xf0\x9f\x98 a\xf8\x80"])
def test_what_is_not_utf8_is_deleted(pairs, data):
    """Places are those in what Python makes of it."""
    (found,) = pairs[False].tokenize([data])
    assert found == pairs[False].full.tokenize_with_spans(data.decode("utf-8", "replace"))


def test_odd_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*PIECES, "want", "", "\0", "##", "new"]) + "\n", encoding="utf-8")
    tokenizer = GraphTokenizer(FullTokenizer(str(path)).vocab, do_lower_case=True)
    ids = tokenizer.tokenize(tf.constant(["un want", "new"])).ids
    assert ids.to_list() == [[PIECES.index("un"), len(PIECES)], [len(PIECES) + 4]]


def test_golden(shared, column_and_pair):
    column, pair = column_and_pair
    with open(shared / "golden/tokenization.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    # Two hold halves of surrogate pairs, which UTF-8 has not.
    rows = [row for row in rows if not any("\ud800" <= char <= "\udfff" for char in row["text"])]
    assert len(rows) == 1474
    for row, (pieces, spans) in zip(rows, pair.tokenize([row["text"] for row in rows]), strict=True):
        assert pieces == row[column], row["id"]
        assert spans == pair.full.tokenize_with_spans(row["text"])[1], row["id"]


def test_odd_strings(column_and_pair):
    rng = random.Random(1)
    texts = ["".join(rng.choices(ODD, k=rng.randint(1, 30))) for _ in range(400)]
    texts += ["".join(rng.choices("ab 中Σ.\u200b" + MARKS, k=rng.randint(1, 15))) for _ in range(400)]
    texts += ["".join(rng.choices("aé中ß한,\u0301", k=rng.randint(195, 420))) for _ in range(50)]
    texts += [char * length for char in "aé한\U0001f600\u0301" for length in (199, 200, 201, 801)]
    column_and_pair[1].assert_equal(texts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from(ODD) | st.characters(codec="utf-8"), max_size=30), min_size=1), st.booleans())
def test_any_strings(pairs, texts, do_lower_case):
    pairs[do_lower_case].assert_equal(texts)


@pytest.mark.parametrize("step", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_articles(shared, column_and_pair, step):
    for file in sorted((shared / "data/pmc").glob("*.txt")):
        column_and_pair[1].assert_equal(file.read_text(encoding="utf-8").splitlines()[::step])


@pytest.mark.slow
def test_every_code_point(column_and_pair):
    for start in range(0, 0x110000, 0x10000):
        codes = [i for i in range(start, start + 0x10000) if not 0xD800 <= i < 0xE000]
        column_and_pair[1].assert_equal([f"a{chr(i)}b {chr(i)}" for i in codes])
