"""biocodes/ner_detokenize.py: against the original's results, and where the original lost or shifted labels."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocodes.ner_detokenize import AlignmentError, align, basic_tokens, join_pieces, read_sentences
from data_prep.text.tokenization import FullTokenizer


@pytest.fixture
def detokenize(run_script, tmp_path):
    """Runs the script on the text of its three inputs, or on their paths."""

    def run(tokens, labels, gold, *options):
        paths = []
        for name, content in (("token_test.txt", tokens), ("label_test.txt", labels), ("test.tsv", gold)):
            if isinstance(content, str):
                content = content.encode()
            if isinstance(content, bytes):
                (tmp_path / name).write_bytes(content)
                content = tmp_path / name
            paths.append(content)
        return run_script(
            "biocodes/ner_detokenize.py",
            f"--token_test_path={paths[0]}",
            f"--label_test_path={paths[1]}",
            f"--answer_path={paths[2]}",
            f"--output_dir={tmp_path / 'out'}",
            *options,
        )

    return run


@pytest.fixture
def conll(tmp_path):
    return lambda: (tmp_path / "out/NER_result_conll.txt").read_text(encoding="utf-8")


def lines(words):
    return words.replace(" ", "\n") + "\n"


# Against the original


def test_golden_result(detokenize, conll, golden):
    folder = golden / "e2e/ner"
    gold = golden / "inputs/NER/test.tsv"
    result = detokenize(folder / "token_test.txt", folder / "label_test.txt", gold)
    assert result.returncode == 0
    assert conll() == (folder / "NER_result_conll.txt").read_text()
    # Two sentences of the file are longer than the 128 pieces it was made with.
    assert result.stdout.count("looks like trimmed") == 2


@pytest.mark.parametrize("name", ["ner_punct_words", "ner_zero_token_word"])
def test_gold_labels_stay_with_their_words(detokenize, conll, golden, name):
    """The original crashes on the first and shifts labels in the second."""
    folder = golden / "defects" / name
    result = detokenize(folder / "token_test.txt", folder / "label_test.txt", folder / "test.tsv")
    assert result.returncode == 0
    columns = [line.split(" ") for line in conll().split("\n")]
    gold = [line.split("\t") for line in (folder / "test.tsv").read_text(encoding="utf-8").split("\n")]
    assert [row[1:2] for row in columns[: len(gold)]] == [[f"{row[1]}-MISC"] if row[1:] else [] for row in gold]
    # Of one word, through which the cut of a long sentence goes, the original prints the part before it.
    differing = [(a[0], b[0]) for a, b in zip(columns, gold, strict=False) if a[0] != b[0]]
    assert differing in ([], [("im", "immunoprecipitation")])


def test_word_without_pieces(detokenize, conll, golden):
    folder = golden / "defects/ner_zero_token_word"
    detokenize(folder / "token_test.txt", folder / "label_test.txt", folder / "test.tsv")
    first_sentence = conll().split("\n\n")[0]
    assert first_sentence == (
        "Loss O-MISC O-MISC\nof O-MISC O-MISC\n\u200b O-MISC O-MISC\nBRCA1 O-MISC O-MISC\nin O-MISC O-MISC\n"
        "breast B-MISC B-MISC\ncancer I-MISC I-MISC\n. O-MISC O-MISC"
    )


# Literal examples


def test_words_of_several_tokens(detokenize, conll):
    result = detokenize(
        lines("[CLS] 5 mg / k ##g on 2013 - 10 - 23 . [SEP] [CLS] ## # as ##th ##ma [SEP]".replace("## #", "# #")),
        lines("[CLS] O B O I X I O X O O X B [SEP] [CLS] B O [PAD] X X [SEP]"),
        "5\tO\nmg/kg\tB\non\tI\n2013-10-23\tO\n.\tO\n\n\n##\tO\nasthma\tB",
    )
    assert (result.returncode, result.stdout) == (0, "NER detokenize done\n")
    assert conll() == (
        "5 O-MISC O-MISC\nmg/kg B-MISC B-MISC\non I-MISC I-MISC\n2013-10-23 O-MISC O-MISC\n. O-MISC B-MISC\n\n"
        "## O-MISC B-MISC\nasthma B-MISC O-MISC\n\n"
    )


def test_typed_labels_and_odd_spaces(detokenize, conll):
    detokenize(
        lines("[CLS] a b [UNK] [SEP]"),
        lines("[CLS] O B-Disease I-Disease [SEP]"),
        "a POS O\n\u00a0\tO\nb\tNN\tB-Disease\r\n\u20ac\tO\n",
    )
    assert conll() == "a O O\n\u00a0 O O\nb B-Disease B-Disease\n\u20ac O I-Disease\n\n"


def test_trimmed_sentence(detokenize, conll):
    result = detokenize(
        lines("[CLS] a mg / [SEP] [CLS] b [SEP]"),
        lines("[CLS] B I O [SEP] [CLS] O [SEP]"),
        "a\tB\nmg/kg\tI\nc\tI\nd\tO\n\nb\tO\n",
    )
    assert conll() == "a B-MISC B-MISC\nmg/ I-MISC I-MISC\nc I-MISC O-MISC\nd O-MISC O-MISC\n\nb O-MISC O-MISC\n\n"
    assert result.stdout == (
        "## The predicted sentence of BioBERT model looks like trimmed. (The Length of the tokenized input "
        "sequence is longer than max_seq_length); Filling O label instead.\n"
        "   -> Showing 10 words near skipped part : c d\nNER detokenize done\n"
    )


def test_debug_file(detokenize, tmp_path):
    detokenize(lines("[CLS] a ##b / c [SEP]"), lines("[CLS] O X O O [SEP]"), "ab/c\tO\n\u200b\tO\n", "--debug")
    written = (tmp_path / "out/NER_result_sent-debug.txt").read_text(encoding="utf-8")
    assert written == "ANS (2): ab/c \u200b\nPRD (1): ab/c\n\n"


# Line ends


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_of_other_systems(detokenize, conll, end, last):
    """An old Mac's lines end with a return alone, Windows' with a return and a newline; the last may have no end."""
    tokens, labels = lines("[CLS] a b [SEP] [CLS] c [SEP]"), lines("[CLS] O B [SEP] [CLS] B [SEP]")
    files = [text.replace("\n", end) for text in (tokens, labels, "\ufeffa\tO\nb\tB\n\nc\tO\n")]
    result = detokenize(*(text if last else text.removesuffix(end) for text in files))
    assert (result.returncode, result.stdout, result.stderr) == (0, "NER detokenize done\n", "")
    assert conll() == "a O-MISC O-MISC\nb B-MISC B-MISC\n\nc O-MISC B-MISC\n\n"


def test_lines_that_end_with_returns_are_counted(detokenize):
    result = detokenize(*GOOD[:2], "a\tO\rb\r")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith("test.tsv, line 2: no label in 'b'; expected word, tab, label\n")
    result = detokenize(*GOOD[:2], b"a\tO\r\rb\xff\tO\r")
    assert result.stderr.endswith("test.tsv, line 3: invalid UTF-8; expected UTF-8 text\n")


def test_a_return_in_a_line_is_text_where_newlines_end_lines(tmp_path):
    (tmp_path / "test.tsv").write_bytes(b"a\rb\tO\nc\tB\r")
    assert read_sentences(tmp_path / "test.tsv") == [[("a\rb", "O"), ("c", "B")]]


# An output that is an input


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "options"), [("NER_result_conll.txt", []), ("NER_result_sent-debug.txt", ["--debug"])]
)
@pytest.mark.parametrize("kind", ["itself", "link", "hard_link"])
def test_no_output_replaces_an_input(detokenize, tmp_path, position, name, options, kind):
    path, output = tmp_path / ["token_test.txt", "label_test.txt", "test.tsv"][position], tmp_path / "out" / name
    (tmp_path / "out").mkdir()
    inputs = list(GOOD)
    path.write_text(GOOD[position])
    if kind == "itself":
        path.rename(output)
        inputs[position] = tmp_path / "out" / ".." / "out" / name
    elif kind == "link":
        output.symlink_to(path)
    else:
        os.link(path, output)
    result = detokenize(*inputs, *options)
    expected = f"error: {output}: is an input file as well; expected another output directory\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)
    assert output.read_text() == GOOD[position]
    assert [each.name for each in (tmp_path / "out").iterdir()] == [name]


def test_a_debug_file_that_is_not_asked_for_may_be_an_input(detokenize, conll, tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out/NER_result_sent-debug.txt"
    path.write_text(GOOD[2])
    assert detokenize(*GOOD[:2], path).returncode == 0
    assert conll() == "a O-MISC O-MISC\nb O-MISC O-MISC\n\n"
    assert path.read_text() == GOOD[2]


@pytest.mark.parametrize("name", ["NER_result_conll.txt", "NER_result_sent-debug.txt"])
def test_a_directory_in_the_place_of_an_output(detokenize, tmp_path, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    result = detokenize(*GOOD, "--debug")
    expected = f"error: {tmp_path / 'out' / name}: Is a directory\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_failed_write_leaves_the_old_files(detokenize, tmp_path, monkeypatch):
    """Both files are written before one takes its place."""
    (tmp_path / "out").mkdir()
    for name in ("NER_result_conll.txt", "NER_result_sent-debug.txt"):
        (tmp_path / "out" / name).write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    result = detokenize(*GOOD, "--debug")
    expected = f"error: {tmp_path / 'out/NER_result_sent-debug.txt'}: No space left on device\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "NER_result_conll.txt",
        "NER_result_sent-debug.txt",
    ]
    assert {path.read_text() for path in (tmp_path / "out").iterdir()} == {"old"}


# Bad input

GOOD = (lines("[CLS] a b [SEP]"), lines("[CLS] O O [SEP]"), "a\tO\nb\tO\n")


@pytest.mark.parametrize(
    ("position", "content", "parts"),
    [
        (0, lines("[CLS] a c [SEP]"), ["token_test.txt, line 3", "sentence 1", "word 'b'", "'c'"]),
        (0, lines("[CLS] a [SEP]"), ["3 lines", "4"]),
        (0, lines("[CLS] a b c"), ["line 1", "[SEP]"]),
        (0, lines("[CLS] a [CLS] b"), ["line 3", "[SEP]"]),
        (0, lines("a b c [SEP]"), ["line 1", "expected [CLS]"]),
        (0, lines("[CLS] [SEP] [CLS] [SEP]"), ["2 sentences", "1"]),
        (0, b"[CLS]\n\xff\nb\n[SEP]\n", ["token_test.txt, line 2", "UTF-8"]),
        (0, "no/such/file", ["No such file"]),
        (2, "", ["test.tsv", "no sentence"]),
        (2, "a\tO\nb\n", ["test.tsv, line 2", "no label in 'b'"]),
        (2, "a\tO\nb c\tO\n", ["test.tsv, line 2", "one word"]),
        (2, "a\tO\n", ["token_test.txt, line 3", "'b' after the last word 'a'"]),
        (2, "x\tO\nb\tO\n", ["token_test.txt, line 2", "word 'x', token 'a'"]),
    ],
)
def test_bad_input(detokenize, tmp_path, position, content, parts):
    inputs = list(GOOD)
    inputs[position] = tmp_path / content if content == "no/such/file" else content
    result = detokenize(*inputs)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert [part for part in parts if part not in result.stderr] == []
    assert not (tmp_path / "out/NER_result_conll.txt").exists()


def test_empty_predictions(detokenize):
    assert "empty; expected the tokens" in detokenize("", "", GOOD[2]).stderr


# Words


@pytest.mark.parametrize(
    ("word", "cased", "uncased"),
    [
        ("BRCA1", ["BRCA1"], ["brca1"]),
        ("\u200b", [], []),
        ("\u4e2d\u6587a", ["\u4e2d", "\u6587", "a"], ["\u4e2d", "\u6587", "a"]),
        ("x\u00a0y\u2028z", ["x", "y", "z"], ["x", "y", "z"]),
        ("\u2260", ["\u2260"], ["="]),
        ("a\u2260b", ["a\u2260b"], ["a", "=", "b"]),
        ("\u0301", ["\u0301"], []),
        ("Caf\u00e9\x00\ufffd", ["Caf\u00e9"], ["cafe"]),
        ("\u0391\u03a3.\u0392", ["\u0391\u03a3", ".", "\u0392"], ["\u03b1\u03c3", ".", "\u03b2"]),
    ],
)
def test_basic_tokens(word, cased, uncased):
    assert basic_tokens(word) == cased
    assert basic_tokens(word, lower_case=True) == uncased


def test_join_pieces():
    assert join_pieces(["mg", "/", "k", "##g"]) == [(0, "mg"), (1, "/"), (2, "kg")]


def test_other_pieces_are_an_error():
    with pytest.raises(AlignmentError, match="word 'ab', token 'ax'; expected 'ab'"):
        align(["ab", "c"], ["a", "##x", "c"], ["O", "X", "O"])


def test_read_sentences(tmp_path):
    (tmp_path / "test.tsv").write_text("\n\na\tx\tB\nb O\n \n\nc\tO", encoding="utf-8")
    assert read_sentences(tmp_path / "test.tsv") == [[("a", "B"), ("b", "O")], [("c", "O")]]


ODD = "-/#.\u00e9\u00c9\u2260\u4e2d\u200b\u00a0\u0301\u2028\ufffd\u1fef\u03a3\u0130\u00df\u20ac1aBz"
WORDS = st.one_of(
    st.text(st.sampled_from(ODD), min_size=1, max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r "), min_size=1, max_size=5),
    st.sampled_from(["mg/kg", "2013-10-23", "##", "[UNK]", "[SEP]", "x" * 201, "adenocarcinoma"]),
)


@pytest.mark.parametrize(("vocabulary", "lower_case"), [("cased", False), ("cased", True), ("uncased", True)])
def test_any_words_survive(shared, vocabulary, lower_case):
    """Each word gets the label of its first piece back, whatever the words are."""
    tokenizer = FullTokenizer(shared / f"data/vocab/bert-base-{vocabulary}-vocab.txt", lower_case)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(WORDS, min_size=1, max_size=8))
    def check(words):
        pieces, labels, expected = [], [], []
        for number, word in enumerate(words):
            mine = tokenizer.tokenize(word)
            pieces += mine
            labels += [f"B-{number}"] * bool(mine) + ["X"] * (len(mine) - 1)
            expected.append(f"B-{number}" if mine else "O")
        assert [word.label for word in align(words, pieces, labels, lower_case)] == expected

    check()
