"""Vocabulary and case of a model directory in Hugging Face's layout."""

import json

import pytest

from common.errors import InputError
from data_prep.text import tokenizer_files
from data_prep.text.tokenization import FullTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_vocabulary(directory, *pieces):
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in [*SPECIAL, *pieces]), encoding="utf-8")


def write_json(directory, name, **values):
    (directory / name).write_text(json.dumps(values), encoding="utf-8")


def write_tokenizer(directory, vocabulary, kind="WordPiece", lowercase=True):
    model = {"type": kind, "vocab": vocabulary}
    write_json(directory, "tokenizer.json", model=model, normalizer={"type": "BertNormalizer", "lowercase": lowercase})


def message(directory):
    with pytest.raises(InputError) as error:
        tokenizer_files.read(directory)
    return str(error.value)


def case(directory):
    tokenizer = tokenizer_files.read(directory)
    return tokenizer.do_lower_case, tokenizer.reason


def test_where_the_case_is_from(tmp_path):
    write_vocabulary(tmp_path, "gene", "β", "##s", "[unused1]")
    assert case(tmp_path) == (True, "the vocabulary")
    write_vocabulary(tmp_path, "gene", "##S")
    assert case(tmp_path) == (False, "the vocabulary")
    write_tokenizer(tmp_path, {"a": 0}, lowercase=True)
    assert case(tmp_path) == (True, "tokenizer.json")
    write_json(tmp_path, "tokenizer_config.json", do_lower_case=False)
    assert case(tmp_path) == (False, "tokenizer_config.json")


def test_the_published_vocabularies(shared, tmp_path):
    for name, lower_case in (("cased", False), ("uncased", True)):
        text = (shared / f"data/vocab/bert-base-{name}-vocab.txt").read_bytes()
        (tmp_path / "vocab.txt").write_bytes(text)
        assert case(tmp_path) == (lower_case, "the vocabulary")


def test_a_vocabulary_is_kept_as_it_is(tmp_path):
    write_vocabulary(tmp_path, "IL", "\u2028", "##β", "a\x85")
    before = (tmp_path / "vocab.txt").read_bytes()
    tokenizer = tokenizer_files.read(tmp_path)
    assert tokenizer.pieces == [*SPECIAL, "IL", "\u2028", "##β", "a\x85"]
    tokenizer_files.write_vocabulary(tmp_path, tokenizer.pieces)
    assert (tmp_path / "vocab.txt").read_bytes() == before


def test_a_vocabulary_in_tokenizer_json(tmp_path):
    write_tokenizer(tmp_path, {"gene": 5, **{piece: i for i, piece in enumerate(SPECIAL)}, "##s": 6})
    tokenizer = tokenizer_files.read(tmp_path)
    assert tokenizer.pieces == [*SPECIAL, "gene", "##s"]
    assert tokenizer.vocabulary_file == str(tmp_path / "tokenizer.json")
    write_tokenizer(tmp_path, {piece: 2 * i for i, piece in enumerate(SPECIAL)})
    assert "tokenizer.json: the ids of its vocabulary are not 0, 1, 2, ...; expected vocab.txt" in message(tmp_path)
    write_tokenizer(tmp_path, {"a": "b", "c": 0})
    assert "the ids of its vocabulary are not 0" in message(tmp_path)
    write_tokenizer(tmp_path, {"a": 0}, kind="BPE")
    assert "tokenizer.json: no WordPiece vocabulary in it; expected that, or vocab.txt" in message(tmp_path)


def test_a_vocabulary_of_another_model(tmp_path):
    (tmp_path / "vocab.txt").write_text("<pad>\n<unk>\n")
    assert "vocab.txt: not a BERT vocabulary, [UNK], [CLS], [SEP], [MASK] missing" in message(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    assert "vocab.txt: no such file; expected the vocabulary that the model was trained with" in message(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    assert "tokenizer_config.json: expected a JSON object, found list" in message(tmp_path)


def test_says_what_our_tokenizer_does_differently(tmp_path, caplog):
    write_vocabulary(tmp_path, "gene")
    write_json(
        tmp_path, "tokenizer_config.json", do_lower_case=True, strip_accents=None, tokenizer_class="BertTokenizer"
    )
    tokenizer_files.read(tmp_path)
    assert caplog.text == ""
    write_json(
        tmp_path,
        "tokenizer_config.json",
        do_lower_case=True,
        strip_accents=False,
        tokenize_chinese_chars=False,
        tokenizer_class="BertJapaneseTokenizer",
    )
    tokenizer_files.read(tmp_path)
    assert "tokenizer_class is 'BertJapaneseTokenizer'" in caplog.text
    assert "strip_accents is False; the programs here strip accents where they lower-case" in caplog.text
    assert "tokenize_chinese_chars is false" in caplog.text


@pytest.mark.parametrize("token", [None, [], 7, {"id": 7}])
def test_an_added_token_without_content_is_refused(tmp_path, token):
    write_vocabulary(tmp_path, "gene")
    write_json(tmp_path, "tokenizer.json", added_tokens=[token])
    assert "tokenizer.json: an added token is " in message(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("added_tokens.json", {"[E1]": 7, "gene": 5}),
        ("tokenizer.json", {"added_tokens": [{"id": 0, "content": "[PAD]"}, {"id": 7, "content": "[E1]"}]}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"0": {"content": "[PAD]"}, "7": {"content": "[E1]"}}}),
    ],
)
def test_added_tokens_are_refused_by_name(tmp_path, name, values):
    write_vocabulary(tmp_path, "gene", "##s")
    write_json(tmp_path, name, **values)
    assert f"{name}: added tokens 1 ([E1]) that are not in the vocabulary; expected a model without" in message(
        tmp_path
    )


def test_a_wordpiece_of_two_lines_is_refused(tmp_path):
    write_tokenizer(tmp_path, {piece: i for i, piece in enumerate([*SPECIAL, "a\nb"])})
    assert r"tokenizer.json: the end of a line in wordpiece 6, 'a\nb'; expected none" in message(tmp_path)


def test_blank_lines_at_the_end_are_no_wordpieces(tmp_path):
    write_vocabulary(tmp_path, "gene", "", "##S", "", " ")
    assert tokenizer_files.read(tmp_path).pieces == [*SPECIAL, "gene", "", "##S"]
    assert FullTokenizer(str(tmp_path / "vocab.txt"), False).vocab_size == 8


@pytest.mark.parametrize(
    ("pieces", "do_lower_case", "message"),
    [
        (["gene", "##s"], False, "no wordpiece has a capital, so it is uncased"),
        (["gene", "DNA"], True, "has wordpieces with capitals, so it is cased"),
        (["gene", "##s"], True, None),
        (["gene", "DNA"], False, None),
    ],
)
def test_a_vocabulary_of_the_other_case_is_said(tmp_path, caplog, pieces, do_lower_case, message):
    write_vocabulary(tmp_path, *pieces)
    FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case)
    assert (message in caplog.text) if message else not caplog.text


def test_the_share_of_unknown_words(tmp_path):
    write_vocabulary(tmp_path, "gene", "DNA")
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"), False)
    assert tokenizer.take_unknown_share() == 0
    tokenizer.convert_tokens_to_ids(tokenizer.tokenize("gene Gene DNA dna"))
    assert tokenizer.take_unknown_share() == 0.5
    assert tokenizer.take_unknown_share() == 0
