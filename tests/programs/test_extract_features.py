"""extract_features.py against what the original wrote, and its vectors against NumPy on those of the tokens."""

import json
import re
import resource
import types

import h5py
import keras
import numpy as np
import pytest

import extract_features
from common.errors import InputError
from data_prep.text.tokenization import CLEAN, FullTokenizer
from inference import features, vector_files
from modeling import checkpoint, heads
from modeling.config import BertConfig
from tests.conftest import TINY

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e ab ##c ##d ( ) , . BR ##CA ##1 is".split()
LINES = [
    "BRCA1 is a gene .",
    "",
    "  a  ||| BRCA1 , (b)  ",
    "ab abc abcd",
    "a",
    "\u200b \u00a0(abcc)\u200bd",  # a word without a piece; one with a deleted character inside
    "a b c d e a b c d e a b c d e",  # 17 with [CLS] and [SEP], of 16
]
WORDS = [
    [("BRCA1", (0, 5)), ("is", (6, 8)), ("a", (9, 10)), ("gene", (11, 15)), (".", (16, 17))],
    [],
    [("a", (2, 3)), ("BRCA1", (9, 14)), (",", (15, 16)), ("(b)", (17, 20))],
    [("ab", (0, 2)), ("abc", (3, 6)), ("abcd", (7, 11))],
    [("a", (0, 1))],
    [("(abcc)d", (3, 11))],
    [(word, (2 * i, 2 * i + 1)) for i, word in enumerate("abcdeabcdeabcd")],
]
TOKENS = [
    ["[CLS]", "BR", "##CA", "##1", "is", "a", "[UNK]", ".", "[SEP]"],
    ["[CLS]", "[SEP]"],
    ["[CLS]", "a", "[SEP]", "BR", "##CA", "##1", ",", "(", "b", ")", "[SEP]"],
    ["[CLS]", "ab", "ab", "##c", "ab", "##c", "##d", "[SEP]"],
    ["[CLS]", "a", "[SEP]"],
    ["[CLS]", "(", "ab", "##c", "##c", ")", "d", "[SEP]"],
    ["[CLS]", *"abcdeabcdeabcd", "[SEP]"],
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(PIECES + [f"[unused{i}]" for i in range(32 - len(PIECES))]))
    return FullTokenizer(str(path), do_lower_case=False)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A BERT of 2 layers x 8, from a checkpoint with other heads."""
    config = BertConfig.from_dict({**TINY, "num_hidden_layers": 2, "initializer_range": 0.5})
    keras.utils.set_random_seed(1)
    model = heads.PretrainingModel(config)
    model.build()
    prefix = str(tmp_path_factory.mktemp("model") / "model.ckpt")
    checkpoint.save(prefix, checkpoint.model_variables(model))
    return features.load_model(config, prefix, with_pooler=True)


@pytest.fixture(scope="module")
def lines(tokenizer):
    return [features.encode_line(text, tokenizer, 16) for text in LINES]


@pytest.fixture(scope="module")
def tokens(bert, lines):
    """The vectors of each line's tokens in both layers, the last one first, a line at a time: lists of [F, 2, 8]."""
    extractor = features.Extractor(bert, [-1, -2], "none", "token", None)
    return [vectors for window in extractor.run(lines, 1) for _, vectors in window]


# The original


def test_equals_the_original(shared, run_script, tmp_path):
    golden = shared / "golden"
    result = run_script(
        "extract_features.py",
        f"--input_file={golden}/inputs/extract_input.txt",
        f"--output_file={tmp_path}/output.jsonl",
        f"--vocab_file={golden}/vocab_small.txt",
        f"--bert_config_file={golden}/e2e/pretrain/bert_config.json",
        f"--init_checkpoint={golden}/e2e/pretrain/model.ckpt",
        "--do_lower_case=False",
        "--layers=-1,-2",
        "--max_seq_length=32",
        "--batch_size=4",
        "--use_tpu=False",
        "--num_tpu_cores=8",
        "--use_one_hot_embeddings=False",
    )
    assert result.returncode == 0, result.stderr
    assert len(re.findall(r"^W\d{4} ", result.stderr, re.MULTILINE)) == 1
    assert re.search(r"1 of 6 lines have over 32 wordpieces .* the first: .*/extract_input\.txt, line 5", result.stderr)
    number = re.compile(r"-?\d+\.\d+(e-\d+)?")
    ours, theirs = (tmp_path / "output.jsonl").read_text(), (golden / "e2e/extract/extract.jsonl").read_text()
    assert number.sub("0.0", ours) == number.sub("0.0", theirs)
    ours, theirs = ([float(value[0]) for value in number.finditer(text)] for text in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)  # the original's own noise is 4e-6
    assert max(len(str(abs(value)).split(".")[1]) for value in ours if abs(value) > 1e-4) == 6


def test_pieces_are_the_original_s(shared):
    tokenizer = FullTokenizer(str(shared / "golden/vocab_small.txt"), do_lower_case=True)
    cases = map(json.loads, (shared / "golden/tokenization.jsonl").read_text(encoding="utf-8").splitlines())
    compared = 0
    for case in cases:
        if len(case["small_lower1"]) < 500 and "|||" not in case["text"]:
            line = features.encode_line(case["text"], tokenizer, 512)
            assert line.tokens[1:-1] == case["small_lower1"]
            compared += 1
    assert compared > 1400


# Lines


def test_lines_become_sequences(lines):
    assert [line.tokens for line in lines] == TOKENS
    assert [list(zip(line.words, line.word_spans, strict=True)) for line in lines] == WORDS
    assert [line.sequence.second for line in lines] == [None, None, 3, None, None, None, None]
    assert [line.is_cut for line in lines] == [False] * 6 + [True]
    assert lines[2].sequence.ids == [2, 5, 3, 17, 18, 19, 15, 13, 6, 14, 3]
    assert lines[2].token_spans[:5] == [(0, 0), (2, 3), (0, 0), (9, 11), (11, 13)]


@pytest.mark.parametrize(
    ("text", "max_seq_length", "tokens"),
    [
        ("a b c ||| d e", 8, "[CLS] a b c [SEP] d e [SEP]"),
        ("a b c ||| d e", 7, "[CLS] a b [SEP] d e [SEP]"),
        ("a b c ||| d e", 6, "[CLS] a b [SEP] d [SEP]"),
        ("a ||| b c d e", 6, "[CLS] a [SEP] b c [SEP]"),
        ("a b c d e ||| a", 6, "[CLS] a b [SEP] a [SEP]"),
        ("a b ||| c d", 4, "[CLS] a [SEP]"),  # no room for the second
        ("a ||| b ||| c", 16, "[CLS] a [UNK] [UNK] [UNK] b [SEP] c [SEP]"),
        ("a b |||", 16, "[CLS] a b [UNK] [UNK] [UNK] [SEP]"),
        ("a ||| \u200b", 16, "[CLS] a [SEP]"),  # nothing is left of the second
        ("a|||b", 16, "[CLS] a [UNK] [UNK] [UNK] b [SEP]"),
        ("a b c", 3, "[CLS] a [SEP]"),
    ],
)
def test_pairs_and_long_lines_are_cut_as_in_the_original(tokenizer, text, max_seq_length, tokens):
    line = features.encode_line(text, tokenizer, max_seq_length)
    assert line.tokens == tokens.split()
    assert len(line.sequence.ids) <= max_seq_length


def test_words_end_where_the_tokenizer_sees_white_space():
    everything = "".join(chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000)  # but surrogates
    separators = [char for char in everything if char.isspace() and char.translate(CLEAN).isspace()]
    assert list(features._WORDS.sub("", everything)) == separators


def test_a_word_of_ten_megabytes_is_no_burden(tokenizer):
    line = features.encode_line("ACGT" * 2_500_000 + " a", tokenizer, 16)
    assert line.tokens == ["[CLS]", "[UNK]", "a", "[SEP]"]
    line = features.encode_line("a," * 5_000_000, tokenizer, 16)
    assert line.tokens == ["[CLS]", *"a,a,a,a,a,a,a,", "[SEP]"]
    assert line.is_cut


# Vectors


def test_batches_of_mixed_lengths_keep_the_order(bert, lines, tokens, monkeypatch):
    monkeypatch.setattr(features, "_WINDOW_BYTES", 25 * 4 * 16)  # 25 pieces of two layers: three lines or so
    extractor = features.Extractor(bert, [-1, -2], "none", "token", None)
    advanced = []
    windows = list(extractor.run(iter(lines), 2, advanced.append))
    assert len(windows) > 1
    assert sum(advanced) == len(LINES)
    found = [pair for window in windows for pair in window]
    assert [line for line, _ in found] == lines
    for (_, vectors), expected in zip(found, tokens, strict=True):
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_indices_count_layers_from_either_end(bert, lines, tokens):
    extractor = features.Extractor(bert, [0, 1], "none", "token", None)
    for window in extractor.run(lines, 1):
        for (_, vectors), expected in zip(window, tokens, strict=True):
            np.testing.assert_array_equal(vectors, expected[:, ::-1])


@pytest.mark.parametrize(
    ("combination", "formula"),
    [
        ("concat", lambda x: np.concatenate([x[:, 0], x[:, 1]], axis=-1)),
        ("mean", lambda x: (x[:, 0] + x[:, 1]) / 2),
        ("sum", lambda x: x[:, 0] + x[:, 1]),
    ],
)
def test_layers_are_combined(bert, lines, tokens, combination, formula):
    check_vectors(features.Extractor(bert, [-1, -2], combination, "token", None), lines, map(formula, tokens))


@pytest.mark.parametrize(
    ("pooling", "formula"),
    [
        ("mean", lambda x: [sum(x) / len(x)]),
        ("max", lambda x: [np.maximum.reduce(x)]),
        ("cls", lambda x: x[:1]),
    ],
)
def test_lines_are_pooled_over_all_pieces_but_padding(bert, lines, tokens, pooling, formula):
    check_vectors(features.Extractor(bert, [-1, -2], "none", "sentence", pooling), lines, map(formula, tokens))


def test_the_pooler_is_a_tanh_layer_on_the_first_piece(bert, lines, tokens):
    kernel, bias = (variable.numpy() for variable in bert.pooler.dense.variables)
    expected = [np.tanh(x[:1, 0] @ kernel + bias) for x in tokens]
    check_vectors(features.Extractor(bert, None, "none", "sentence", "pooler"), lines, expected)


@pytest.mark.parametrize(
    ("pooling", "formula"),
    [
        ("mean", lambda x: sum(x) / len(x)),
        ("max", lambda x: np.maximum.reduce(x)),
        ("first", lambda x: x[0]),
    ],
)
def test_words_are_pooled_over_their_pieces(bert, lines, tokens, pooling, formula):
    of_words = [  # pieces of each word
        *([(1, 4), (4, 5), (5, 6), (6, 7), (7, 8)], [], [(1, 2), (3, 6), (6, 7), (7, 10)], [(1, 2), (2, 4), (4, 7)]),
        *([(1, 2)], [(1, 7)], [(i, i + 1) for i in range(1, 15)]),
    ]
    expected = [
        [formula(x[start:end]) for start, end in words] or np.zeros([0, 2, 8])
        for x, words in zip(tokens, of_words, strict=True)
    ]
    check_vectors(features.Extractor(bert, [-1, -2], "none", "word", pooling), lines, expected)


def check_vectors(extractor, lines, expected):
    found = [vectors for window in extractor.run(lines, 4) for _, vectors in window]
    for vectors, values in zip(found, expected, strict=True):
        assert vectors.dtype == np.float32
        assert vectors.shape == np.shape(values)
        np.testing.assert_allclose(vectors, values, atol=1e-5)


# Files


@pytest.fixture(params=["apart", "combined"])
def combination(request):
    return {"apart": "none", "combined": "mean"}[request.param]


@pytest.mark.parametrize("unit", ["token", "word", "sentence"])
def test_all_formats_hold_the_same(bert, lines, unit, combination, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_WINDOW_BYTES", 25 * 4 * 16)
    monkeypatch.setattr(vector_files, "_BLOCK", 3)
    pooling = next(iter(features.POOLINGS[unit]), None)
    extractor = features.Extractor(bert, [-1, -2], combination, unit, pooling)
    for name in ("x.jsonl", "x.npz", "x.h5"):
        vector_files.write(tmp_path / name, vector_files.format_of(name), extractor.run(lines, 2), extractor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "x.jsonl", "x.npz"]
    objects = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["linex_index"] for line in objects] == list(range(len(LINES)))
    with np.load(tmp_path / "x.npz") as arrays:
        npz = dict(arrays)
    with h5py.File(tmp_path / "x.h5") as file:
        hdf5 = {name: (data.asstr() if data.dtype == object else data)[:] for name, data in file.items()}
    assert npz.keys() == hdf5.keys()
    for name in npz:
        assert npz[name].tolist() == hdf5[name].tolist(), name
    assert npz["layers"].tolist() == [-1, -2]
    assert npz["vectors"].dtype == hdf5["vectors"].dtype == np.float32
    check_same(npz, objects, unit, combination)


def check_same(arrays, objects, unit, combination):
    """Holds arrays against the objects of JSON lines."""
    units = objects if unit == "sentence" else [each for line in objects for each in line["features"]]
    if combination == "none":
        assert all([layer["index"] for layer in each["layers"]] == [-1, -2] for each in units)
        values = [[layer["values"] for layer in each["layers"]] for each in units]
    else:
        values = [each["values"] for each in units]
    assert arrays["vectors"].shape == np.shape(values)
    np.testing.assert_allclose(arrays["vectors"], values, rtol=0, atol=6e-7)
    if unit == "sentence":
        assert arrays.keys() == {"vectors", "layers"}
        return
    counts = [len(line["features"]) for line in objects]
    assert arrays["offsets"].tolist() == [sum(counts[:i]) for i in range(len(counts) + 1)]
    assert arrays[f"{unit}s"].tolist() == [each[unit] for each in units]
    if unit == "word":
        expected = [pair for words in WORDS for pair in words]
        assert [(each["word"], tuple(each["span"])) for each in units] == expected
        assert arrays["spans"].tolist() == [list(span) for _, span in expected]


def test_npz_keeps_the_beginning_of_a_long_word(bert, tokenizer, tmp_path):
    lines = [features.encode_line("x" * 5000 + " a", tokenizer, 16)]
    extractor = features.Extractor(bert, [-1], "none", "word", "mean")
    vector_files.write(tmp_path / "x.npz", "npz", extractor.run(lines, 2), extractor)
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["words"].tolist() == ["x" * 200, "a"]
        assert arrays["spans"].tolist() == [[0, 5000], [5001, 5002]]


@pytest.mark.parametrize("output_format", vector_files.FORMATS)
def test_a_failure_leaves_the_old_file_alone(bert, lines, output_format, tmp_path):
    (tmp_path / "output").write_text("as before")
    extractor = features.Extractor(bert, [-1], "none", "token", None)

    def windows():
        yield from extractor.run(lines, 2)
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        vector_files.write(tmp_path / "output", output_format, windows(), extractor)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert (tmp_path / "output").read_text() == "as before"


@pytest.mark.parametrize("output_format", vector_files.FORMATS)
def test_a_full_disk_is_an_error(bert, lines, output_format, tmp_path):
    extractor = features.Extractor(bert, [-1, -2], "none", "token", None)
    windows = list(extractor.run(lines, 4))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            vector_files.write(tmp_path / "output", output_format, windows, extractor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_the_name_tells_the_format():
    names = ["a.npz", "a.h5", "a.HDF5", "a.jsonl", "a.json", "npz"]
    assert [vector_files.format_of(name) for name in names] == ["npz", "hdf5", "hdf5", "jsonl", "jsonl", "jsonl"]


# Bad input


def test_input_that_is_no_utf8_is_found_before_the_work_begins(tmp_path):
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.txt").write_bytes(b"good\nb\xffd\n")
    with pytest.raises(InputError, match=r"bad\.txt, line 2: invalid UTF-8 \(byte 2 of the line\)"):
        extract_features.count_lines([str(tmp_path / "good.txt"), str(tmp_path / "bad.txt")])


def test_input_without_a_line_is_an_error(tmp_path):
    for name, content in [("empty.txt", ""), ("text.txt", "a\n\nb")]:
        (tmp_path / name).write_text(content)
    assert extract_features.count_lines([str(tmp_path / "empty.txt"), str(tmp_path / "text.txt")]) == 3
    with pytest.raises(InputError, match=r"empty\.txt: no line in 1 files; expected a sentence a line"):
        extract_features.count_lines([str(tmp_path / "empty.txt")])


@pytest.mark.parametrize("layers", ["-9", "2", "-1,-3", "x", "1.5", "", "-1,,-2"])
def test_says_which_layers_there_are(layers):
    with pytest.raises(InputError, match=f"--layers={layers}: the model has 2 layers; expected numbers from -2 to 1"):
        extract_features.parse_layers(layers.split(","), 2)


def test_refuses_flags_that_do_not_go_together():
    with pytest.raises(InputError, match="--pooling=mean: not with --vectors=token"):
        extract_features.choose_pooling("token", "mean")
    with pytest.raises(InputError, match="--pooling=cls: not with --vectors=word; expected mean, max, first"):
        extract_features.choose_pooling("word", "cls")
    assert extract_features.choose_pooling("word", None) == extract_features.choose_pooling("sentence", None) == "mean"
    usual = {"use_tpu": False, "master": None, "combine_layers": "none"}
    for changed, layers_given, message in [
        ({"use_tpu": True}, False, "--use_tpu=true: no TPU here"),
        ({"master": "grpc://x"}, False, "--master=grpc://x: no TPU here"),
        ({}, True, "--pooling=pooler: reads the last layer alone"),
        ({"combine_layers": "sum"}, False, "--pooling=pooler: reads the last layer alone"),
    ]:
        with pytest.raises(InputError, match=message):
            extract_features.check_flags(types.SimpleNamespace(**{**usual, **changed}), "pooler", layers_given)
