"""data_prep.text.tokenization and fast_tokenization against strings recorded from the original, and each other."""

import json
import lzma
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from data_prep.text import tokenization
from data_prep.text.fast_tokenization import FastTokenizer
from data_prep.text.tokenization import BasicTokenizer, FullTokenizer, WordpieceTokenizer
from tests.helpers.vocabularies import CASED, COLUMNS

# The core of the recorded strings is for the one vocabulary that comes with it.
golden_columns = pytest.mark.parametrize(
    ("golden", "column"),
    [("core", "small_lower0"), ("core", "small_lower1"), *(("shared", column) for column in COLUMNS)],
    indirect=["golden"],
)
PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] want ##want ##ed wa un runn ##ing , low ##s a b e i ab ##c α σ".split()

# Characters that one step or another treats in a way of its own, to be mixed.
ODD = "aZ0 \t\n\r\x00\x01\x0b\x1c\x7f\x85\xa0\xad-.,$^`é É e\u0301\u0323ßİıΣςσ’µ™²ﬁÅ\u212b中\uf900\U00020000ひ한"
ODD += "\u0660\u200b\u200d\u2028\u2029\u3000\ufffd\ufeff\ue000\ud800\U0001f600\u302e\u093f\u1fef\u037e"


@pytest.fixture
def vocab_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def rows(golden):
    with open(golden / "tokenization.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def assert_fast_equals_full(fast, full, texts):
    values, row_splits = fast.tokenize_to_ids(texts)
    for text, start, end in zip(texts, row_splits, row_splits[1:], strict=False):
        assert values[start:end].tolist() == full.convert_tokens_to_ids(full.tokenize(text)), ascii(text)


@golden_columns
def test_golden(golden, rows, column):
    vocab, do_lower_case = COLUMNS[column]
    tokenizer = FullTokenizer(str(golden.parent / vocab), do_lower_case)
    for row in rows:
        assert tokenizer.tokenize(row["text"]) == row[column], row["id"]
        assert tokenizer.tokenize_with_spans(row["text"])[0] == row[column], row["id"]


@pytest.mark.parametrize("golden", ["shared"], indirect=True)
def test_golden_ids(golden, rows):
    tokenizer = FullTokenizer(str(golden.parent / CASED), do_lower_case=False)
    for row in rows:
        assert tokenizer.convert_tokens_to_ids(row["cased_lower0"]) == row["ids_cased_lower0"], row["id"]
        assert tokenizer.convert_ids_to_tokens(row["ids_cased_lower0"]) == row["cased_lower0"], row["id"]


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_golden_basic(rows, do_lower_case):
    tokenizer = BasicTokenizer(do_lower_case=do_lower_case)
    for row in rows:
        assert tokenizer.tokenize(row["text"]) == row[f"basic_lower{int(do_lower_case)}"], row["id"]


@golden_columns
def test_fast_golden(golden, rows, column):
    vocab, do_lower_case = COLUMNS[column]
    fast = FastTokenizer(str(golden.parent / vocab), do_lower_case)
    values, row_splits = fast.tokenize_to_ids([row["text"] for row in rows])
    assert values.dtype == "int32"
    assert row_splits.dtype == "int64"
    for row, start, end in zip(rows, row_splits, row_splits[1:], strict=False):
        assert values[start:end].tolist() == [fast.vocab[piece] for piece in row[column]], row["id"]


@pytest.mark.parametrize(("vocab", "do_lower_case"), COLUMNS.values(), ids=COLUMNS)
def test_fast_on_odd_strings(shared, vocab, do_lower_case):
    rng = random.Random(1)
    texts = ["".join(rng.choices(ODD, k=rng.randint(1, 30))) for _ in range(2000)]
    texts += ["".join(rng.choices("aé中ß한,\u0301", k=rng.randint(195, 420))) for _ in range(100)]
    texts += [char * length for char in "aé한\U0001f600\u0301" for length in (199, 200, 201, 801)]
    path = str(shared / vocab)
    assert_fast_equals_full(FastTokenizer(path, do_lower_case), FullTokenizer(path, do_lower_case), texts)


@pytest.mark.slow
@pytest.mark.parametrize(("vocab", "do_lower_case"), COLUMNS.values(), ids=COLUMNS)
def test_fast_on_every_code_point(shared, vocab, do_lower_case):
    path = str(shared / vocab)
    fast, full = FastTokenizer(path, do_lower_case), FullTokenizer(path, do_lower_case)
    assert_fast_equals_full(fast, full, [f"a{chr(i)}b {chr(i)}" for i in range(0x110000)])


@pytest.mark.parametrize("step", [100, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("column", ["cased_lower0", "cased_lower1", "uncased_lower1"])
def test_fast_on_real_text(shared, column, step):
    """Every line of all shared text, words of NER one by one too; by default every 100th."""
    vocab, do_lower_case = COLUMNS[column]
    path = str(shared / vocab)
    fast, full = FastTokenizer(path, do_lower_case), FullTokenizer(path, do_lower_case)
    files = [file for name in ("ner", "re", "pmc", "pubmed") for file in (shared / "data" / name).rglob("*.*")]
    for file in sorted(files):
        assert_fast_equals_full(fast, full, file.read_text(encoding="utf-8").splitlines()[::step])
    for file in sorted((shared / "data/ner").rglob("*.tsv")):
        sentences = file.read_text(encoding="utf-8").split("\n\n")
        joined = [" ".join(line.split("\t")[0] for line in sentence.split("\n")) for sentence in sentences]
        assert_fast_equals_full(fast, full, joined[::step])
    for file in sorted((shared / "data/qa").rglob("*.json")):
        assert_fast_equals_full(fast, full, strings_of(json.loads(file.read_text(encoding="utf-8")))[::step])
    with lzma.open(shared / "data/text/abstracts_60mb.txt.xz", "rt", encoding="utf-8") as file:
        assert_fast_equals_full(fast, full, list(file)[::step])


def strings_of(value):
    """All strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in values for text in strings_of(part)]


def test_fast_with_a_repeated_and_odd_pieces(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*PIECES, "want", "", "\0", "##", "new"]) + "\n", encoding="utf-8")
    values, row_splits = FastTokenizer(str(path)).tokenize_to_ids(["un want", "", "new"])
    assert values.tolist() == [PIECES.index("un"), len(PIECES), len(PIECES) + 4]
    assert row_splits.tolist() == [0, 2, 2, 3]


def test_fast_on_nothing(vocab_file):
    values, row_splits = FastTokenizer(vocab_file).tokenize_to_ids([])
    assert values.tolist() == []
    assert row_splits.tolist() == [0]


def test_full(vocab_file):
    tokenizer = FullTokenizer(vocab_file)
    pieces = tokenizer.tokenize("UNwant\u00e9d,running")
    assert pieces == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert tokenizer.convert_tokens_to_ids(pieces) == [9, 6, 7, 12, 10, 11]
    assert tokenizer.inv_vocab[9] == "un"
    assert tokenizer.tokenize("ab\xff [MASK]".encode("latin-1")) == ["ab", "[UNK]", "[UNK]", "[UNK]"]


@pytest.mark.parametrize(
    ("text", "do_lower_case", "expected"),
    [
        ("  unwanted,", False, [("un", 2, 4), ("##want", 4, 8), ("##ed", 8, 10), (",", 10, 11)]),
        ("a\u200bbc.xyz b", False, [("ab", 0, 3), ("##c", 3, 4), ("[UNK]", 4, 5), ("[UNK]", 5, 8), ("b", 9, 10)]),
        ("e\u0301 \u00c9", True, [("e", 0, 2), ("e", 3, 4)]),  # a mark is part of what it stands on
        ("İ a", True, [("i", 0, 1), ("a", 2, 3)]),  # lower-cased to two characters
        ("\u0301a", True, [("a", 1, 2)]),
        ("中a", False, [("[UNK]", 0, 1), ("a", 1, 2)]),
        ("\x00a\ufffd", False, [("a", 1, 2)]),
        ("ΑΣ", True, [("[UNK]", 0, 2)]),  # a final sigma
        ("\t \u3000", True, []),
    ],
)
def test_spans(vocab_file, text, do_lower_case, expected):
    pieces, spans = FullTokenizer(vocab_file, do_lower_case).tokenize_with_spans(text)
    assert [(piece, *span) for piece, span in zip(pieces, spans, strict=True)] == expected


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(ODD) | st.characters(), max_size=40), st.booleans())
def test_words_made_again_from_their_spans(text, do_lower_case):
    """A word's span holds all of the word, and no other word that a span separates."""
    tokenizer = BasicTokenizer(do_lower_case)
    words, spans = tokenizer.tokenize_with_spans(text)
    assert words == tokenizer.tokenize(text)
    assert [len(word) for word in words] == [len(word_spans) for word_spans in spans]
    bounds = [(min(word_spans)[0], max(end for _, end in word_spans)) for word_spans in spans]
    for word, (start, end) in zip(words, bounds, strict=True):
        assert 0 <= start < end <= len(text)
        # Cut out, a sigma may become a final one.
        assert word.replace("ς", "σ") in "".join(tokenizer.tokenize(text[start:end])).replace("ς", "σ")


def test_wordpiece():
    tokenizer = WordpieceTokenizer({"a": 0, "##b": 1, "##bc": 2}, max_input_chars_per_word=5)
    assert tokenizer.tokenize("abc ab ac abcbc abcbcb") == [
        "a",
        "##bc",
        "a",
        "##b",
        "[UNK]",
        "a",
        "##bc",
        "##bc",
        "[UNK]",
    ]


def test_convert_unknown(vocab_file):
    tokenizer = FullTokenizer(vocab_file)
    with pytest.raises(InputError, match="'xyz' is not in the vocabulary of 23 wordpieces"):
        tokenizer.convert_tokens_to_ids(["a", "xyz"])
    with pytest.raises(InputError, match="99"):
        tokenizer.convert_ids_to_tokens([99])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"[UNK]\n\xff\n", "line 2: invalid UTF-8"),
        (b"[UNK]\n[CLS]\n[SEP]\na\n", r"\[MASK\] missing"),
    ],
)
@pytest.mark.parametrize("tokenizer", [FullTokenizer, FastTokenizer])
def test_unfit_vocabulary(tmp_path, tokenizer, content, message):
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        tokenizer(str(path))
    assert str(path) in str(error.value)


def test_repeated_piece_has_its_last_id(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\r\na\n[CLS]\n[SEP]\n[MASK]\na", encoding="utf-8")
    assert tokenization.load_vocab(str(path)) == {"[UNK]": 0, "a": 5, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}


@pytest.mark.parametrize(
    ("do_lower_case", "checkpoint", "fits"),
    [
        (True, "x/uncased_L-12_H-768_A-12/bert_model.ckpt", True),
        (False, "x/uncased_L-12_H-768_A-12/bert_model.ckpt", False),
        (True, "cased_L-12_H-768_A-12/bert_model.ckpt", False),
        (False, "cased_L-12_H-768_A-12/bert_model.ckpt", True),
        (True, "mine/model.ckpt-1000", True),
        (True, None, True),
    ],
)
def test_case_of_published_checkpoints(do_lower_case, checkpoint, fits):
    if fits:
        tokenization.validate_case_matches_checkpoint(do_lower_case, checkpoint)
    else:
        with pytest.raises(InputError, match=f"expected --do_lower_case={not do_lower_case}"):
            tokenization.validate_case_matches_checkpoint(do_lower_case, checkpoint)


def test_convert_to_unicode():
    assert tokenization.convert_to_unicode(b"a\xffb") == "ab"
    assert tokenization.printable_text("é") == "é"
    with pytest.raises(ValueError, match="int"):
        tokenization.convert_to_unicode(1)
