"""data_prep/build_vocab.py: a WordPiece vocabulary learned from text."""

import collections
import os
import string

import pytest

from common.errors import InputError
from data_prep.build_vocab import WordCounts, build_vocab, choose_alphabet, count_words, measure, number_blocks, report
from data_prep.text.fast_tokenization import FastTokenizer
from data_prep.text.tokenization import BasicTokenizer, FullTokenizer
from tests.helpers import programs

ASCII = sorted(string.punctuation + string.digits + string.ascii_letters)
LOWER_ASCII = sorted(string.punctuation + string.digits + string.ascii_lowercase)
# The example of Sennrich et al. (2016).
WORDS = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
# Merged by hand: the most frequent pair; of several the shortest, then the first by code point, starts of words first.
MERGES = ["##es", "##est", "lo", "low", "ne", "new", "newest", "wi", "wid", "widest", "##er", "lower"]
# What could be mistaken: sentencepiece's own signs, special pieces and marks, other planes, ideographs, controls,
# separators that are no spaces, a capital whose lower case depends on what follows.
DIFFICULT = (
    "▁a b▁c ▁▁ x▅y ⁇ <unk> <s> a\u2581",
    "[CLS] [UNK] [unused1] [PAD] ##ing #a ##",
    "𝒜𝓑 𐐨x 中文 漢a字 ひらがな 한국어 🧬x",
    "bad\x01 nul\x00l zero\u200bwidth tab\there \ue000 \U000f0000 next\x85line line\u2028here x\x1cy",
    "ΟΔΥΣΣΕΥΣ. ΟΔΥΣΣΕΥΣ ΑΣ.Β İI é e\u0301 ∥ µm 2→3 α-β",
)


def char_counts(words):
    chars = collections.Counter()
    for word, count in words.items():
        chars.update({char: count * word.count(char) for char in set(word)})
    return chars


def vocab_of(texts, extra, do_lower_case=False):
    """The vocabulary of texts with so many pieces more than its characters."""
    training, _ = count_words(texts, do_lower_case, hold_out=False)
    words, chars = training.totals()
    return build_vocab(words, chars, 104 + 2 * len(choose_alphabet(chars, do_lower_case)) + extra, do_lower_case)


def test_layout():
    alphabet = [*LOWER_ASCII, "é"]
    vocab = build_vocab(WORDS | {"é": 1}, char_counts(WORDS) | {"é": 1}, 157, do_lower_case=True, num_unused=2)
    assert vocab == (
        ["[PAD]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        + alphabet
        + ["##" + char for char in alphabet]
        + MERGES
    )


def test_special_pieces_have_the_ids_of_bert_base_cased(shared):
    vocab = build_vocab(WORDS, char_counts(WORDS), 300, do_lower_case=False)
    with open(shared / "data/vocab/bert-base-cased-vocab.txt", encoding="utf-8") as file:
        assert vocab[:104] == file.read().split("\n")[:104]


def test_order_of_the_text_does_not_matter():
    backwards = dict(reversed(WORDS.items()))
    assert build_vocab(backwards, char_counts(backwards), 300, False) == build_vocab(
        WORDS, char_counts(WORDS), 300, False
    )


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_no_character_of_the_text_is_unknown(do_lower_case, tmp_path):
    vocab = vocab_of(DIFFICULT, 20, do_lower_case)
    assert len(set(vocab)) == len(vocab)
    assert not [piece for piece in vocab if not piece.isprintable() or " " in piece]
    (tmp_path / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    full = FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case)
    fast = FastTokenizer(str(tmp_path / "vocab.txt"), do_lower_case)
    assert len(full.vocab) == len(vocab)
    for text in DIFFICULT:
        # Its words backwards have each of their characters elsewhere.
        for line in (text, " ".join(word[::-1] for word in full.basic_tokenizer.tokenize(text))):
            pieces = full.tokenize(line)
            assert pieces
            assert "[UNK]" not in pieces
            assert full.convert_tokens_to_ids(pieces) == fast.tokenize_to_ids([line])[0].tolist()


def test_signs_of_sentencepiece_are_learned_as_any_other():
    assert vocab_of(["▁▅"] * 5, 1)[-1] == "▁▅"
    assert vocab_of(["x▁▅"] * 5, 2)[-2:] == ["x▁", "x▁▅"]


def test_long_pieces():
    letters = string.ascii_letters  # each of its 51 merges takes in one letter
    assert vocab_of([letters], 51)[-1] == letters


def test_large_counts():
    words = {"ab": 5_000_000_000, "cd": 5_000_000_001}
    assert build_vocab(words, char_counts(words), 294, False)[-2:] == ["cd", "ab"]


def test_alphabet_is_ascii_and_what_is_frequent():
    assert choose_alphabet({"é": 1}, do_lower_case=False) == [*ASCII, "é"]
    assert choose_alphabet({"é": 1}, do_lower_case=True) == [*LOWER_ASCII, "é"]
    assert choose_alphabet({"e": 1_000_000, "ü": 12, "ö": 8}, do_lower_case=True) == [*LOWER_ASCII, "ü"]


def test_a_word_with_a_rare_character_teaches_nothing():
    words = {"abab": 1, "qöqö": 9, "c": 10_000_000}  # ö makes the word unknown, so "qö" would be of no use
    assert build_vocab(words, char_counts(words), 295, False)[-3:] == ["ab", "##ab", "abab"]


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_words_are_those_of_basic_tokenizer(do_lower_case, monkeypatch):
    monkeypatch.setattr("data_prep.build_vocab.MAX_STRINGS", 7)  # so that it is full several times
    counts = WordCounts(do_lower_case)
    expected = collections.Counter()
    for text in DIFFICULT * 2:
        counts.add(text)
        expected.update(BasicTokenizer(do_lower_case).tokenize(text))
    words, chars = counts.totals()
    assert words == expected
    assert chars == char_counts(expected)
    assert counts.number == expected.total()


def test_of_too_many_words_the_rarest_are_dropped(monkeypatch):
    monkeypatch.setattr("data_prep.build_vocab.MAX_STRINGS", 20)
    monkeypatch.setattr("data_prep.build_vocab.MAX_WORDS", 100)
    counts = WordCounts(do_lower_case=False)
    for i in range(1000):
        counts.add(f"often w{i} seldom{i % 100}")
    words, chars = counts.totals()
    assert len(words) <= 100
    assert words["often"] == 1000
    assert (counts.number, chars["w"]) == (3000, 1000)


def test_blocks_are_documents_or_parts_of_them():
    texts = ["", "a", "b", "", "", "c", ""] + ["d"] * 205 + ["", "e"]
    blocks = list(number_blocks(texts))
    assert [text for _, text in blocks] == ["a", "b", "c"] + ["d"] * 205 + ["e"]
    assert [number for number, _ in blocks] == [0, 0, 1] + [2] * 100 + [3] * 100 + [4] * 5 + [5]


def test_each_tenth_block_is_held_out(monkeypatch):
    texts = [line for i in range(40) for line in (f"word{i}", "")]
    training, held_out = count_words(texts, False, hold_out=True)
    assert set(held_out.totals()[0]) == {"word9", "word19", "word29", "word39"}
    assert len(training.totals()[0]) == 36
    monkeypatch.setattr("data_prep.build_vocab.HELD_OUT_CHARS", 8)  # "word9" and "word19" go beyond it
    training, held_out = count_words(texts, False, hold_out=True)
    assert set(held_out.totals()[0]) == {"word9", "word19"}
    assert len(training.totals()[0]) == 38
    _, held_out = count_words(texts, False, hold_out=False)
    assert not held_out.totals()[0]


def test_measures():
    vocab = {"[UNK]": 0, "un": 1, "##able": 2, "a": 3}
    words = {"unable": 2, "a": 5, "b": 3}  # 2 x 2 + 5 + 3 pieces
    assert measure(vocab, words) == (1.2, 0.3, 0.5)
    assert report({"v": vocab, "with un and able": vocab | {"unable": 4, "b": 5}}, words) == [
        "vocabulary        wordpieces  wordpieces per word  unknown words  whole words",
        "v                          4                1.200        30.000%        50.0%",
        "with un and able           6                1.000         0.000%       100.0%",
    ]


@pytest.fixture
def run_program(tmp_path):
    """Runs the program in an empty folder."""
    return lambda *arguments: programs.run_here("-m", "data_prep.build_vocab", *arguments, cwd=tmp_path)


TEXT = "low lower newest widest\nnewest low\n\n" * 9 + "lowest newest;\n"  # the tenth document has other words


def test_program(tmp_path, repository):
    (tmp_path / "text1.txt").write_text(TEXT[:24])
    (tmp_path / "text2.txt").write_text(TEXT[24:])
    (tmp_path / "old.txt").write_text("[UNK]\n[CLS]\n[SEP]\n[MASK]\nnew\n##est\n;\n")
    arguments = ["--input_file=text*.txt", "--compare_vocab=old.txt", "--vocab_size=298", "--do_lower_case=false"]

    def run(output_file, seed):
        environment = os.environ | {"PYTHONPATH": str(repository), "PYTHONHASHSEED": seed}
        command = ["-m", "data_prep.build_vocab", f"--output_file={output_file}", *arguments]
        return programs.run_process(*command, cwd=tmp_path, env=environment)

    result = run("new/vocab.txt", "1")
    # Learned, of 18 x low, 18 x newest, 9 x lower, 9 x widest: lo, ##es, low, ##est, ne, new.
    # Held out: low ##est | new ##est | ; and with the old vocabulary [UNK] | new ##est | ;
    assert result.stdout.splitlines() == [
        "298 wordpieces, learned from 54 words, written to new/vocab.txt",
        "In 3 words (held out of the input, every 10th document or 100 lines of a longer one):",
        "vocabulary     wordpieces  wordpieces per word  unknown words  whole words",
        "new/vocab.txt         298                1.667         0.000%        33.3%",
        "old.txt                 7                1.333        33.333%        33.3%",
    ]
    assert result.returncode == 0
    assert all(line.startswith("words:") for line in result.stderr.replace("\r", "\n").split("\n") if line)
    vocab = (tmp_path / "new/vocab.txt").read_text()
    assert vocab.endswith("\n##~\nlo\n##es\nlow\n##est\nne\nnew\n")
    run("vocab.txt", "2")
    assert (tmp_path / "vocab.txt").read_text() == vocab


def test_held_out_file(tmp_path, run_program):
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "held_out").write_text("lower, ö\n", encoding="utf-8")
    arguments = ["--output_file=vocab", "--vocab_size=292", "--do_lower_case=false"]
    result = run_program("--input_file=text", "--held_out_file=held_out", *arguments)
    # All of the input is learned from. No piece but characters: l ##o ##w ##e ##r | , | [UNK]
    assert result.stdout.splitlines() == [
        "292 wordpieces, learned from 57 words, written to vocab",
        "In 3 words (of --held_out_file=held_out):",
        "vocabulary  wordpieces  wordpieces per word  unknown words  whole words",
        "vocab              292                2.333        33.333%        33.3%",
    ]


def test_too_short_to_hold_out(tmp_path, run_program):
    (tmp_path / "text").write_text("ab\n")
    result = run_program("--input_file=text", "--output_file=vocab", "--vocab_size=241")
    assert "\nIn 1 words (learned from; the input is too short to hold any out):\n" in result.stdout
    assert result.stdout.split()[-5:] == ["vocab", "241", "1.000", "0.000%", "100.0%"]


def test_bytes_that_are_not_utf8_are_dropped_on_demand(tmp_path, run_program):
    (tmp_path / "text").write_bytes(b"a\xffb\n")
    result = run_program("--input_file=text", "--output_file=vocab", "--vocab_size=241", "--invalid_utf8=drop")
    assert (tmp_path / "vocab").read_text().endswith("\nab\n")
    assert "1 bytes that are not UTF-8 were left out" in result.stderr


def test_sizes_that_are_possible():
    with pytest.raises(InputError, match="--vocab_size=291: too small; .* unused ones 99, .* 2 x 94; .* at least 292"):
        build_vocab(WORDS, char_counts(WORDS), 291, do_lower_case=False)
    assert len(build_vocab(WORDS, char_counts(WORDS), 292, do_lower_case=False)) == 292
    assert build_vocab(WORDS, char_counts(WORDS), 304, do_lower_case=False)[292:] == MERGES
    with pytest.raises(InputError, match="--vocab_size=305: too large; expected at most 304,"):
        build_vocab(WORDS, char_counts(WORDS), 305, do_lower_case=False)
    with pytest.raises(InputError, match="--vocab_size=293: too large; expected at most 292,"):
        build_vocab({"a": 1}, {"a": 1}, 293, do_lower_case=False)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", [], "text: no text; expected sentences, one a line"),
        (b"\n \n\x01\n", [], "text: no text in any line; expected sentences, one a line"),
        (b"a\nb\xff\n", [], "text, line 2: invalid UTF-8 (byte 2 of the line)"),
        (b"a", ["--input_file=missing"], "missing: no such file"),
        (b"a", ["--output_file=text"], "text: is an input file as well"),
        (b"a", ["--output_file=."], ".: is a directory; expected the path of a file"),
        (b"a", ["--output_file=text/vocab"], "text: cannot write output there"),
        (b"a", ["--compare_vocab=missing"], "missing: cannot be read"),
        (b"a", ["--held_out_file=blank"], "blank: no text in any line"),
        (b"ab", ["--vocab_size=242"], "--vocab_size=242: too large; expected at most 241"),
    ],
)
def test_bad_input(content, arguments, message, tmp_path, run_program):
    (tmp_path / "text").write_bytes(content)
    (tmp_path / "blank").write_bytes(b"\n\n")
    result = run_program("--input_file=text", "--output_file=vocab", "--vocab_size=240", *arguments)
    assert result.returncode == 1
    assert result.stderr.rstrip("\n").split("\n")[-1].startswith(f"error: {message}")
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blank", "text"]
    assert (tmp_path / "text").read_bytes() == content
