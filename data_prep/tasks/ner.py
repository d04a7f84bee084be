"""NER data sets: word-per-line files to labelled wordpieces, and predicted wordpieces back to words.

Words are followed by their index all the way, never by the look of their wordpieces.
"""

import dataclasses
import functools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_lines
from data_prep.formats.conll import DOCUMENT_START, split_columns
from data_prep.records.example_proto import encode_example
from data_prep.tasks import label_schemes
from data_prep.tasks.label_schemes import OUTSIDE
from data_prep.text.tokenization import FullTokenizer

PADDING, CONTINUATION, CLS, SEP = "[PAD]", "X", "[CLS]", "[SEP]"
HEADERS = ("label", "labels", "tag", "tags", "ner", "ner_tag", "ner_tags", "iob", "bio", "entity", "type")
SPECIAL_LABELS = (PADDING, CONTINUATION, CLS, SEP)
REQUIRED_LABELS = (OUTSIDE, *SPECIAL_LABELS)


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Words and their labels, one each."""

    words: list[str]
    labels: list[str]


@dataclasses.dataclass(frozen=True)
class Window:
    """A stretch of a sentence's wordpieces that makes one record: `[CLS]`, wordpieces `start` to `end`, `[SEP]`."""

    sentence: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Pieces:
    """A sentence in wordpieces; `word_of[i]` is the index of the word that wordpiece i belongs to."""

    tokens: list[str]
    word_of: list[int]


# Files


def read_sentences(path: str, known_labels: Sequence[str] | None = None) -> list[Sentence]:
    """Reads a file with a word and its label a line and a blank line after each sentence, see `formats.conll`.

    Labels of another scheme are read as BIO, see `label_schemes`, and the log says so.

    Args:
      path: the file.
      known_labels: the labels that may occur, in BIO; None for any.

    Raises:
      InputError: a line without label, a label of no scheme or that is not known, no sentence at all.
    """
    sentences: list[list[tuple[str, str]]] = [[]]  # rows of each
    lines: dict[str, int] = {}  # the first of each label
    for number, line in read_lines(path):
        columns = split_columns(line, f"{path}, line {number}", begins_sentence=not sentences[-1])
        if columns is None or columns[:1] == [DOCUMENT_START]:
            continue
        if not columns:
            sentences.append([])
            continue
        if len(columns) < 2:
            raise InputError(f"{path}, line {number}: no label in {line!r:.80}; expected word, tab, label")
        sentences[-1].append((columns[0], columns[-1]))
        lines.setdefault(columns[-1], number)
    if not lines:
        raise InputError(f"{path}: no sentence; expected word, tab, label a line and blank lines between sentences")
    scheme = _scheme_of(path, lines)
    for label, number in lines.items():
        if known_labels is not None and scheme.in_bio[label] not in known_labels:
            raise InputError(
                f"{path}, line {number}: unknown label {label!r}; expected one of {', '.join(known_labels)}"
            )
    return [
        Sentence([word for word, _ in rows], [scheme.in_bio[label] for _, label in rows]) for rows in sentences if rows
    ]


def _scheme_of(path, lines):
    """The `label_schemes.Scheme` of a file, from its labels and the first line of each."""
    for label, number in lines.items():
        if label in SPECIAL_LABELS:
            raise InputError(f"{path}, line {number}: label {label!r} is reserved; expected {label_schemes.EXPECTED}")
    try:
        scheme = label_schemes.recognize(lines)
    except label_schemes.LabelError as error:
        raise InputError(f"{path}, line {lines[error.label]}: {error}") from None
    header = next(iter(lines))
    if not scheme.is_bio and header.lower() in HEADERS:
        raise InputError(f"{path}, line {lines[header]}: label {header!r}, a header; expected none")
    if not scheme.is_bio:
        shown = ", ".join(label for label in lines if label != OUTSIDE)
        logging.warning("%s: labels %s (%s), read as BIO", path, shown, scheme.name)
    return scheme


def read_training_sentences(data_dir: str) -> list[Sentence]:
    """`train_dev.tsv`, or `train.tsv` and `devel.tsv` where a data set (JNLPBA) comes without it."""
    joined = os.path.join(data_dir, "train_dev.tsv")
    if os.path.exists(joined):
        return read_sentences(joined)
    parts = [os.path.join(data_dir, name) for name in ("train.tsv", "devel.tsv")]
    if not all(map(os.path.exists, parts)):
        raise InputError(f"{joined}: no such file; expected it, or train.tsv and devel.tsv beside")
    return [sentence for part in parts for sentence in read_sentences(part)]


# Labels


def make_label_list(sentences: Iterable[Sentence]) -> list[str]:
    """The labels of a model, index by index, from the labels of a data set.

    For plain B, I and O they are the original's: [PAD] B I O X [CLS] [SEP].
    """
    found = {label for sentence in sentences for label in sentence.labels}
    if reserved := sorted(found & set(SPECIAL_LABELS)):
        raise InputError(f"label {reserved[0]!r} is reserved; expected labels such as B-Disease, I-Disease, O")
    found |= {"B", "I", OUTSIDE} if found <= {"B", "I", OUTSIDE} else {OUTSIDE}
    return [PADDING, *sorted(found), CONTINUATION, CLS, SEP]


def in_bio(labels: Iterable[str], where: str) -> list[str]:
    """A model's labels in BIO, in the order of its outputs: several outputs may have one label.

    Args:
      labels: as the model has them.
      where: the file that they are from, for messages.

    Raises:
      InputError: they follow no scheme.
    """
    try:
        return label_schemes.in_bio(labels, SPECIAL_LABELS)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def data_labels(labels: Iterable[str]) -> list[str]:
    """Those of a model's labels that a data set may have."""
    return [label for label in labels if label not in SPECIAL_LABELS]


# Wordpieces and records


def split_words(sentences: Iterable[Sentence], tokenizer: FullTokenizer) -> list[Pieces]:
    """Each sentence in `Pieces`."""
    tokenize = functools.cache(tokenizer.tokenize)
    result = []
    for sentence in sentences:
        pieces = [(token, i) for i, word in enumerate(sentence.words) for token in tokenize(word)]
        result.append(Pieces([token for token, _ in pieces], [i for _, i in pieces]))
    return result


def make_windows(pieces: Iterable[Pieces], max_seq_length: int, truncate: bool = False) -> list[Window]:
    """Cuts sentences into windows that fit a sequence.

    A longer sentence becomes windows that overlap by half, each beginning with a word, so that every
    wordpiece has context on both sides in one of them. With `truncate`, the original's way, its rest is left out.
    """
    room = max_seq_length - 2  # [CLS] and [SEP]
    windows = []
    for index, sentence in enumerate(pieces):
        count, start = len(sentence.tokens), 0
        while not truncate and count - start > room:
            windows.append(Window(index, start, start + room))
            start = _word_start(sentence, start + (room + 1) // 2, after=start)
        windows.append(Window(index, start, min(count, start + room)))
    return windows


def _word_start(sentence, piece, after):
    """The first wordpiece of the word that holds `piece`, or `piece` if that word begins at or before `after`."""
    start = piece
    while start > 0 and sentence.word_of[start - 1] == sentence.word_of[piece]:
        start -= 1
    return start if start > after else piece


def serialize(
    windows: Iterable[Window],
    pieces: Sequence[Pieces],
    sentences: Iterable[Sentence],
    tokenizer: FullTokenizer,
    labels: Sequence[str],
) -> Iterator[bytes]:
    """Yields a record a window: `input_ids`, `input_mask`, `segment_ids`, `label_ids`."""
    tags = [label_pieces(*parts, labels) for parts in zip(pieces, sentences, strict=True)]
    for window in windows:
        inside = slice(window.start, window.end)
        tokens = [CLS, *pieces[window.sentence].tokens[inside], SEP]
        tagged = tags[window.sentence]
        yield encode_example(
            {
                "input_ids": tokenizer.convert_tokens_to_ids(tokens),
                "input_mask": [1] * len(tokens),
                "segment_ids": [0] * len(tokens),
                "label_ids": [tagged[0], *tagged[1:-1][inside], tagged[-1]],
            }
        )


def label_pieces(pieces: Pieces, sentence: Sentence, labels: Sequence[str]) -> list[int]:
    """Label indices of `[CLS]`, the wordpieces, `[SEP]`: a word's first wordpiece has its label, the others `X`."""
    previous = [-1, *pieces.word_of]
    names = [
        sentence.labels[word] if word != before else CONTINUATION
        for before, word in zip(previous, pieces.word_of, strict=False)
    ]
    return [labels.index(name) for name in (CLS, *names, SEP)]


# Predictions


def merge_windows(
    windows: Sequence[Window], predictions: Iterable[np.ndarray], pieces: Sequence[Pieces]
) -> list[np.ndarray]:
    """Joins the predicted labels of the windows of each sentence.

    Where windows overlap, a wordpiece has the label of the window in which it is farthest from an edge.

    Args:
      windows: as of `make_windows`.
      predictions: for each window, an array of label indices: `[CLS]`, wordpieces, `[SEP]`.
      pieces: as of `split_words`.

    Returns:
      For each sentence, an array of label indices: `[CLS]`, the wordpieces that a window held, `[SEP]`.
    """
    merged: list[Any] = [None] * len(pieces)
    depth: list[Any] = [None] * len(pieces)
    ends = {window.sentence: window.end for window in windows}  # of the last window
    for window, predicted in zip(windows, predictions, strict=True):
        i, inside = window.sentence, slice(window.start, window.end)
        if merged[i] is None:
            merged[i], depth[i] = np.zeros(ends[i] + 2, predicted.dtype), np.full(ends[i], -1)
            merged[i][0] = predicted[0]
        depths = _depth(window.end - window.start)
        better = depths > depth[i][inside]
        merged[i][1:-1][inside][better] = predicted[1:-1][better]
        depth[i][inside][better] = depths[better]
        merged[i][-1] = predicted[-1]
    return merged


def _depth(size):
    """How far each of `size` wordpieces is from the nearer edge of its window."""
    return np.minimum(np.arange(size), np.arange(size)[::-1])


def word_labels(sentence: Sentence, pieces: Pieces, predicted: np.ndarray, labels: Sequence[str]) -> list[str]:
    """The label of each word: that of its first wordpiece.

    A word without a wordpiece, or beyond a truncated sequence, or whose wordpiece was given a special label, is `O`.
    """
    result = [OUTSIDE] * len(sentence.words)
    previous = -1
    for word, index in zip(pieces.word_of, predicted[1:-1], strict=False):
        if word != previous and labels[index] not in SPECIAL_LABELS:
            result[word] = labels[index]
        previous = word
    return result


def write_predictions(
    output_dir: str, pieces: Iterable[Pieces], merged: Iterable[np.ndarray], labels: Sequence[str]
) -> None:
    """Writes `token_test.txt` and `label_test.txt`: a wordpiece and its label a line, `[CLS]` and `[SEP]` around.

    As in the original, a wordpiece labelled `[PAD]` is written as `O`.
    """
    with (
        atomic_write(os.path.join(output_dir, "token_test.txt")) as token_file,
        atomic_write(os.path.join(output_dir, "label_test.txt")) as label_file,
    ):
        for sentence, predicted in zip(pieces, merged, strict=True):
            tokens = [CLS, *sentence.tokens[: len(predicted) - 2], SEP]
            token_file.writelines(f"{token}\n" for token in tokens)
            names = (labels[index] for index in predicted)
            label_file.writelines(f"{OUTSIDE if name == PADDING else name}\n" for name in names)
