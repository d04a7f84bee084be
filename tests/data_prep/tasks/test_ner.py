"""NER data: files, labels, windows, and predictions back to words."""

import numpy as np
import pytest

from common.errors import InputError
from data_prep.tasks import ner
from data_prep.tasks.ner import Pieces, Sentence, Window


class Halves:
    """A tokenizer that cuts a word into its halves at `-`, and `@` into nothing."""

    def tokenize(self, word):
        return [] if word == "@" else word.split("-")


def write(tmp_path, text, name="test.tsv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_reads_words_and_labels_whatever_the_line_ends_and_spaces(tmp_path):
    text = "a\tO\r\nb\u2009c\tB-x\n\n\n\u00a0\tO\nd\tpos\tI\nno tab O\n"
    assert ner.read_sentences(write(tmp_path, text)) == [
        Sentence(["a", "b\u2009c"], ["O", "B-x"]),
        Sentence(["\u00a0", "d", "no"], ["O", "I", "O"]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\n", "line 2: no label in 'b'; expected word, tab, label"),
        ("a\tO\nb\t\n", "line 2: no label in 'b\\t'"),
        ("a\tO\nb c\tO\n", "line 2: a space in the word 'b c'"),
        ("a\tO\nb\tQ\n", "line 2: unknown label 'Q'; expected one of B, I, O"),
        ("", "no sentence; expected word, tab, label a line"),
        ("\n\n", "no sentence"),
        (b"a\tO\n\xff\tO\n", "line 2: invalid UTF-8 (byte 1 of the line)"),
    ],
)
def test_says_what_is_wrong_where(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        ner.read_sentences(path, known_labels=["B", "I", "O"])
    assert message in str(error.value)
    assert str(error.value).startswith(path)


def test_joins_train_and_devel_where_there_is_no_train_dev(tmp_path):
    write(tmp_path, "a\tO\n", "train.tsv")
    write(tmp_path, "b\tB\n", "devel.tsv")
    assert [s.words for s in ner.read_training_sentences(tmp_path)] == [["a"], ["b"]]
    write(tmp_path, "c\tO\n", "train_dev.tsv")
    assert [s.words for s in ner.read_training_sentences(tmp_path)] == [["c"]]


def labels_of(*names):
    return ner.make_label_list([Sentence(list(names), list(names))])


def test_plain_labels_have_the_ids_of_the_original():
    original = ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"]
    assert labels_of("O", "B", "I") == labels_of("O") == original


def test_labels_come_from_the_data():
    assert labels_of("O", "I-Gene", "B-Gene", "B-Drug") == [
        "[PAD]", "B-Drug", "B-Gene", "I-Gene", "O", "X", "[CLS]", "[SEP]",
    ]  # fmt: skip
    with pytest.raises(InputError, match="label 'X' is reserved"):
        labels_of("O", "X")


def test_words_are_followed_by_index():
    (pieces,) = ner.split_words([Sentence(["a-b", "@", "c", "@"], ["B", "I", "O", "O"])], Halves())
    assert pieces == Pieces(["a", "b", "c"], [0, 0, 2])


def test_only_the_first_piece_of_a_word_has_its_label():
    sentence = Sentence(["a-b", "@", "c"], ["B", "I", "O"])
    (pieces,) = ner.split_words([sentence], Halves())
    assert ner.label_pieces(pieces, sentence, ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"]) == [5, 1, 4, 3, 6]


def sentence_of(*word_lengths):
    word_of = [i for i, length in enumerate(word_lengths) for _ in range(length)]
    return Pieces([f"t{i}" for i in range(len(word_of))], word_of)


def test_windows_cover_every_piece_and_begin_with_a_word():
    pieces = [sentence_of(1, 2, 3), sentence_of(2, 3, 2, 3, 2, 1), sentence_of()]
    windows = ner.make_windows(pieces, max_seq_length=8)
    # The second has 13 pieces in words that begin at 0 2 5 7 10 12; 6 fit, half of 6 on is inside a word.
    assert windows == [
        Window(0, 0, 6),
        Window(1, 0, 6),
        Window(1, 2, 8),
        Window(1, 5, 11),
        Window(1, 7, 13),
        Window(2, 0, 0),
    ]


def test_a_word_longer_than_a_window_is_cut():
    windows = ner.make_windows([sentence_of(20)], max_seq_length=8)
    covered = {i for window in windows for i in range(window.start, window.end)}
    assert covered == set(range(20))
    assert all(window.end - window.start <= 6 for window in windows)


def test_truncation_is_the_original_s_way():
    pieces = [sentence_of(*[1] * 9), sentence_of(1)]
    assert ner.make_windows(pieces, 8, truncate=True) == [Window(0, 0, 6), Window(1, 0, 1)]


def test_overlapping_windows_give_each_piece_the_label_with_most_context():
    windows = [Window(0, 0, 6), Window(0, 3, 9)]
    predictions = [np.array([90, 10, 11, 12, 13, 14, 15, 91]), np.array([92, 23, 24, 25, 26, 27, 28, 93])]
    (merged,) = ner.merge_windows(windows, predictions, [sentence_of(*[1] * 9)])
    # Of pieces 3 to 5, depth in the first window is 2 1 0, in the second 0 1 2; at equal depth the first has it.
    assert merged.tolist() == [90, 10, 11, 12, 13, 14, 25, 26, 27, 28, 93]


def test_any_number_of_windows_is_joined():
    windows = [Window(0, 2 * i, 2 * i + 6) for i in range(2_000)]
    predictions = [np.arange(2 * i - 1, 2 * i + 7) for i in range(2_000)]
    (merged,) = ner.merge_windows(windows, predictions, [None])
    assert merged.tolist() == [*range(-1, 4_005)]


def test_every_word_gets_a_label():
    labels = ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"]
    sentence = Sentence(["a-b", "@", "c-d", "e", "f", "g"], ["O"] * 6)
    (pieces,) = ner.split_words([sentence], Halves())
    predicted = np.array([5, 1, 2, 4, 2, 0, 2, 6])  # [CLS], six of seven pieces, [SEP]: truncated before g
    assert ner.word_labels(sentence, pieces, predicted, labels) == ["B", "O", "O", "O", "I", "O"]


# Label schemes

BIO = [["B-D", "I-D", "O"], ["B-D", "O"], ["B-D", "B-D"], ["B-C", "I-C", "I-C"]]
SHORT_AND_LONG = [["B-D"], ["B-D", "I-D", "O", "B-D"], ["B-D", "I-D", "I-D"]]


@pytest.mark.parametrize(
    ("labels", "expected", "name"),
    [
        (BIO, BIO, None),
        (
            [["S-D"], ["B-D", "E-D", "O", "S-C"], ["B-D", "I-D", "E-D"]],
            [["B-D"], ["B-D", "I-D", "O", "B-C"], ["B-D", "I-D", "I-D"]],
            "IOBES",
        ),
        (
            [["U-D"], ["B-D", "L-D", "O", "U-D"], ["B-D", "I-D", "L-D"]],
            [["B-D"], ["B-D", "I-D", "O", "B-D"], ["B-D", "I-D", "I-D"]],
            "BILOU",
        ),
        ([["S"], ["B", "M", "E", "O"]], [["B"], ["B", "I", "I", "O"]], "BMES"),
        ([["B_D", "I_D", "O"], ["B_Gene-or_x"]], [["B-D", "I-D", "O"], ["B-Gene-or_x"]], "BIO, with _"),
        ([["D-B", "D-I", "O"], ["C-B"]], [["B-D", "I-D", "O"], ["B-C"]], "BIO, as suffixes"),
        (
            [["Disease", "Disease", "O"], ["Hepatitis-B"]],
            [["I-Disease", "I-Disease", "O"], ["I-Hepatitis-B"]],
            "without prefixes",
        ),
        ([["I-D", "B-D", "O", "I-C"]], [["I-D", "B-D", "O", "I-C"]], None),  # IOB1
        ([["B", "I", "O"]], [["B", "I", "O"]], None),
        ([["O"]], [["O"]], None),
    ],
)
def test_labels_of_every_scheme_are_read_as_bio(tmp_path, caplog, labels, expected, name):
    text = "".join("".join(f"w\t{label}\n" for label in sentence) + "\n" for sentence in labels)
    assert [sentence.labels for sentence in ner.read_sentences(write(tmp_path, text))] == expected
    assert (f"({name}), read as BIO" in caplog.text) if name else not caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Word\tTag\na\tB\nb\tO\n", "line 1: label 'Tag'; expected O, and labels such as B-Disease"),
        ("Word\tNER_tag\na\tDisease\nb\tO\n", "line 1: label 'NER_tag', a header; expected none"),
        ("a\tB-D\nb\to\n", "line 2: label 'o'; expected O, and labels"),
        ("a\tB-D\nb\tO\nc\tDisease\n", "line 3: label 'Disease'; expected O, and labels"),
        ("a\tNN\nb\tVB\n", "line 1: label 'NN'; expected O, and labels"),
        ("a\tB-D\nb\tI_D\n", "line 2: label 'I_D'; expected - before the type, as in the others"),
        ("a\tB-D\nb\tE-D\nc\tL-D\n", "line 2: label 'E-D' among labels with B, E, L; expected those of one scheme"),
        ("a\tB-D\nb\tX\n", "line 2: label 'X' is reserved"),
        ("a\tB-D\rb\tI-D\r\r", "line 1: a carriage return inside the line"),
        ("1\tA\ta\tX\tX\t_\t0\tr\t_\tB\n", "line 1: no label in"),  # CoNLL-U
    ],
)
def test_labels_of_no_scheme_are_refused(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        ner.read_sentences(write(tmp_path, text))
    assert message in str(error.value)


def test_comments_and_document_starts_are_passed_over(tmp_path):
    text = (
        "# sent_id = 1\n# newdoc\n# some remark of mine\na B\n# O\nb I\n\n-DOCSTART- -X- O O\n\n# NN O\n# B-x\n\n#\tO\n"
    )
    assert [sentence.words for sentence in ner.read_sentences(write(tmp_path, text.replace("B-x", "B")))] == [
        ["a", "#", "b"],
        ["#", "#"],
        ["#"],
    ]


def test_outputs_of_a_model_of_another_scheme():
    labels = ["[PAD]", "O", "B-D", "I-D", "E-D", "S-D", "X", "[CLS]", "[SEP]"]
    assert ner.in_bio(labels, "model") == ["[PAD]", "O", "B-D", "I-D", "I-D", "B-D", "X", "[CLS]", "[SEP]"]
