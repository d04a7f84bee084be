"""RE data: the original's tsv files, folds, and sentences as records."""

import pytest
import tensorflow as tf

from common.errors import InputError
from data_prep.tasks import relations
from data_prep.tasks.relations import Example


class Words:
    """A tokenizer whose pieces are words, with ids 0, 1, 2, ... of `[CLS] [SEP]` and the words a to z."""

    def tokenize_with_spans(self, text):
        spans, end = [], 0
        for word in text.split():
            start = text.index(word, end)
            end = start + len(word)
            spans.append((start, end))
        return text.split(), spans

    def convert_tokens_to_ids(self, tokens):
        names = ["[CLS]", "[SEP]", "@GENE$", "@DISEASE$", "@OTHER$", *"abcdefghijklmnopqrstuvwxyz"]
        return [names.index(token) for token in tokens]


def write(tmp_path, text):
    path = tmp_path / "file.tsv"
    path.write_bytes(text.encode())
    return path


def tokens_of(sentence, length, truncate=False):
    """The sequence that a sentence becomes, as words."""
    names = ["[CLS]", "[SEP]", "@GENE$", "@DISEASE$", "@OTHER$", *"abcdefghijklmnopqrstuvwxyz"]
    (record,) = relations.serialize([Example("0", sentence, None)], Words(), ["0", "1"], length, truncate)
    feature = tf.train.Example.FromString(record).features.feature
    return " ".join(names[i] for i in feature["input_ids"].int64_list.value)


def test_training_rows_have_no_header_and_quotes_are_characters(tmp_path):
    path = write(tmp_path, '"a @GENE$ b\t1\nc "d" @DISEASE$\t0\n\n')
    assert relations.read_examples(path) == [
        Example("0", '"a @GENE$ b', "1"),
        Example("1", 'c "d" @DISEASE$', "0"),
    ]


def test_an_empty_file_has_no_examples(tmp_path):
    assert relations.read_examples(write(tmp_path, "")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "line 1: 1 columns; expected sentence, tab, label"),
        ("a\t1\n0\tb\t1\n", "line 2: 3 columns"),
        ("Sentence\tLabel\na\t1\n", "line 1: a header; expected none"),
        ("a\t2\n", "line 1: unknown label '2'; expected one of 0, 1"),
    ],
)
def test_a_wrong_training_row_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=f"file.tsv, {message}"):
        relations.read_examples(write(tmp_path, text), ["0", "1"])


def test_test_rows_with_and_without_labels(tmp_path):
    with_labels = write(tmp_path, "index\tsentence\tlabel\n7\ta\t1\n8\tb\t0\n")
    assert relations.read_test_examples(with_labels) == [Example("7", "a", "1"), Example("8", "b", "0")]
    assert relations.read_test_examples(write(tmp_path, "index\tsentence\n7\ta\n")) == [Example("7", "a", None)]
    # As a spreadsheet may save it: a byte order mark, capitals, another order.
    other = write(tmp_path, "\ufeffLabel\tSentence\tIndex\r\n1\ta\t7\r\n")
    assert relations.read_test_examples(other) == [Example("7", "a", "1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\ta\t1\n1\tb\t0\n", "line 1: no column 'sentence' in the header '0 a 1'"),
        ("", "line 1: no column 'sentence'"),
        ("index\tsentence\tlabel\n", "no example after the header"),
        ("index\tsentence\tlabel\n0\ta\n", "line 2: 2 columns; expected 3"),
        ("index\tsentence\tlabel\n0\ta\tx\n", "line 2: unknown label 'x'"),
    ],
)
def test_a_wrong_test_file_is_an_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        relations.read_test_examples(write(tmp_path, text), ["0", "1"])


def test_folds_are_in_the_order_of_their_numbers(tmp_path):
    for name in ["10", *"123456789", "notes"]:
        (tmp_path / name).mkdir()
    assert relations.find_folds(tmp_path) == [*"123456789", "10"]
    (tmp_path / "²").mkdir()
    (tmp_path / "11").write_text("")
    assert relations.find_folds(tmp_path) == [*"123456789", "10"]
    (tmp_path / "3").rmdir()
    with pytest.raises(InputError, match="expected subdirectories 1, 2, 3"):
        relations.find_folds(tmp_path)


def test_a_short_sentence_is_whole():
    assert tokens_of("a @GENE$ b @DISEASE$", 6) == "[CLS] a @GENE$ b @DISEASE$ [SEP]"


def test_a_long_sentence_loses_its_end_if_the_entities_stay():
    assert tokens_of("@GENE$ a @DISEASE$ b c d", 5) == "[CLS] @GENE$ a @DISEASE$ [SEP]"


def test_a_long_sentence_keeps_its_entities():
    sentence = "a b c d @GENE$ e @DISEASE$ f g @OTHER$"
    assert tokens_of(sentence, 7) == "[CLS] d @GENE$ e @DISEASE$ f [SEP]"
    assert tokens_of(sentence, 7, truncate=True) == "[CLS] a b c d @GENE$ [SEP]"


def test_entities_far_apart_stay_without_the_middle():
    sentence = "a @GENE$ b c d e f @DISEASE$ g"
    assert tokens_of(sentence, 7) == "[CLS] @GENE$ b e f @DISEASE$ [SEP]"


@pytest.mark.parametrize("entity", ["@DRUG_N$", "@IL2$", "@GENE_OR_GENE_PRODUCT$", "@CHEM-GENE$"])
def test_any_type_of_entity_is_kept(entity):
    class AnyWords(Words):
        def convert_tokens_to_ids(self, tokens):
            return super().convert_tokens_to_ids(["@GENE$" if token == entity else token for token in tokens])

    (record,) = relations.serialize([Example("0", f"a b c {entity}", None)], AnyWords(), ["0", "1"], 4)
    ids = tf.train.Example.FromString(record).features.feature["input_ids"].int64_list.value
    assert list(ids) == [0, 7, 2, 1]  # [CLS] c entity [SEP]


def test_labels_become_their_index():
    examples = [Example("0", "a", "y"), Example("1", "b", None)]
    records = relations.serialize(examples, Words(), ["x", "y"], 8)
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    assert [list(f["label_ids"].int64_list.value) for f in features] == [[1], [0]]
    assert [list(f["segment_ids"].int64_list.value) for f in features] == [[0, 0, 0]] * 2


def test_cut_sentences_are_counted(caplog):
    sentences = ["a b c @GENE$ d @DISEASE$", "@GENE$ a b c d e f @DISEASE$", "a"]
    examples = [Example(str(i), sentence, "0") for i, sentence in enumerate(sentences)]
    list(relations.serialize(examples, Words(), ["0", "1"], 6))
    assert "2 sentences cut to 6 wordpieces, an entity lost in 0 of them" in caplog.text
    list(relations.serialize(examples, Words(), ["0", "1"], 6, truncate=True))
    assert "2 sentences cut to 6 wordpieces, an entity lost in 2 of them" in caplog.text
