"""Relation extraction data sets: sentences with two anonymized entities and a label, as the original's tsv files.

    @GENE$ contributes to @DISEASE$ via NF-kB.<tab>1                   train.tsv, dev.tsv
    index<tab>sentence<tab>label                                       test.tsv, which has a header;
    0<tab>Variants of @GENE$ confer susceptibility to @DISEASE$.<tab>1    the label may be left out

Quotation marks are characters like any other.
"""

import collections
import dataclasses
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from common.errors import InputError
from common.inputs import read_lines
from data_prep.formats.document import Entity
from data_prep.records.example_proto import encode_example
from data_prep.text.tokenization import FullTokenizer

MARKER = re.compile(r"@(?!OTHER\$)[^\s@$]+\$")  # what stands for one of the two entities
OTHER = "@OTHER$"  # for one that is not of the pair
OVERLAP_NAMES = {("CHEMICAL", "GENE"): "CHEM-GENE"}  # of two entities that overlap; others: CHEMICAL-DISEASE
ONE_LINE = str.maketrans("\t\n\r", "   ")


@dataclasses.dataclass(frozen=True)
class Example:
    """A sentence and its relation; the label is None where a test file does not give it."""

    index: str
    sentence: str
    label: str | None


def read_examples(path: str, known_labels: Collection[str] | None = None) -> list[Example]:
    """Reads a file without header: sentence, tab, label a line. An empty file has no examples.

    Args:
      path: the file.
      known_labels: the labels that may occur; None for any.

    Raises:
      InputError: a row that is not sentence and label, a label that is not known.
    """
    examples: list[Example] = []
    for number, columns in _rows(path):
        if len(columns) != 2:
            raise InputError(f"{path}, line {number}: {len(columns)} columns; expected sentence, tab, label")
        if number == 1 and [column.lower() for column in columns] == ["sentence", "label"]:
            raise InputError(f"{path}, line 1: a header; expected none in a file to train or evaluate on")
        sentence, label = columns
        _check_label(path, number, label, known_labels)
        examples.append(Example(str(len(examples)), sentence, label))
    return examples


def read_test_examples(path: str, known_labels: Collection[str] | None = None) -> list[Example]:
    """Reads a file whose first line is a header: index, sentence and, where known, label, in any order and case.

    Args:
      path: the file.
      known_labels: the labels that may occur; None for any.

    Raises:
      InputError: no header, a row of another number of columns, a label that is not known, no example.
    """
    rows = _rows(path)
    number, header = next(rows, (1, []))
    columns_by_name = {name.strip().lower(): column for column, name in enumerate(header)}
    if "sentence" not in columns_by_name:
        raise InputError(
            f"{path}, line {number}: no column 'sentence' in the header {' '.join(header)[:80]!r}; expected index, "
            "sentence, label (or without label)"
        )
    sentence_column, label_column = columns_by_name["sentence"], columns_by_name.get("label")
    index_column = columns_by_name.get("index")
    examples: list[Example] = []
    for number, columns in rows:
        if len(columns) != len(header):
            raise InputError(f"{path}, line {number}: {len(columns)} columns; expected {len(header)}, as in the header")
        label = None if label_column is None else columns[label_column]
        if label is not None:
            _check_label(path, number, label, known_labels)
        index = str(len(examples)) if index_column is None else columns[index_column]
        examples.append(Example(index, columns[sentence_column], label))
    if not examples:
        raise InputError(f"{path}: no example after the header; expected index, sentence, label a line")
    return examples


def _rows(path):
    for number, line in read_lines(path):
        if line:
            yield number, line.split("\t")


def _check_label(path, number, label, known_labels):
    if known_labels is not None and label not in known_labels:
        raise InputError(f"{path}, line {number}: unknown label {label!r}; expected one of {', '.join(known_labels)}")


@dataclasses.dataclass(frozen=True)
class TextDescription:
    """What a model learned to read, which new text must look like."""

    entity_pairs: list[list[str]]  # what stands for the two, as [["@DISEASE$", "@GENE$"]]; the most frequent pair first
    mask_others: bool  # further entities are @OTHER$
    lower_case: bool  # but for the entities


def describe_text(examples: Collection[Example]) -> TextDescription:
    """The `TextDescription` of examples."""
    markers = [MARKER.findall(example.sentence) for example in examples]
    pairs = collections.Counter(tuple(sorted(found)) for found in markers if len(found) == 2)
    rest = [MARKER.sub("", example.sentence) for example in examples]
    return TextDescription(
        [list(pair) for pair, _ in pairs.most_common()],
        any(OTHER in text for text in rest),
        all(text == text.lower() for text in (text.replace(OTHER, "") for text in rest)),
    )


def find_folds(directory: str) -> list[str]:
    """The folds of a cross-validation: names of the subdirectories that are numbers, in their order.

    Raises:
      InputError: there are fewer than two, or one is missing in between.
    """
    found = os.listdir(directory) if os.path.isdir(directory) else []
    folds = (n for n in found if re.fullmatch("[0-9]+", n) and os.path.isdir(os.path.join(directory, n)))
    names = sorted(folds, key=int)
    if len(names) < 2 or [int(name) for name in names] != list(range(1, len(names) + 1)):
        raise InputError(f"{directory}: folds {', '.join(names) or 'none'}; expected subdirectories 1, 2, 3, ...")
    return names


def serialize(
    examples: Iterable[Example],
    tokenizer: FullTokenizer,
    labels: Sequence[str],
    max_seq_length: int,
    truncate: bool = False,
) -> Iterator[bytes]:
    """Yields a record an example: `[CLS]`, the wordpieces, `[SEP]`.

    A sentence that is too long is cut as of `cut`. A last line of log counts those.

    Args:
      examples: list of `Example`.
      tokenizer: a `FullTokenizer`.
      labels: the labels of the model.
      max_seq_length: int.
      truncate: the original's way, cut off the end, the entities with it.
    """
    room = max_seq_length - 2  # [CLS] and [SEP]
    long = lost = 0
    for example in examples:
        pieces, is_cut, is_lost = split_sentence(example.sentence, tokenizer, room, truncate)
        long += is_cut
        lost += is_lost
        tokens = ["[CLS]", *pieces, "[SEP]"]
        yield encode_example(
            {
                "input_ids": tokenizer.convert_tokens_to_ids(tokens),
                "input_mask": [1] * len(tokens),
                "segment_ids": [0] * len(tokens),
                "label_ids": [labels.index(example.label) if example.label is not None else 0],
            }
        )
    if long:
        logging.warning("%d sentences cut to %d wordpieces, an entity lost in %d of them", long, max_seq_length, lost)


def split_sentence(
    sentence: str, tokenizer: FullTokenizer, room: int, truncate: bool = False
) -> tuple[list[str], bool, bool]:
    """The wordpieces of a sentence, at most `room`; whether it was cut, and whether an entity was lost."""
    pieces, spans = tokenizer.tokenize_with_spans(sentence)
    if len(pieces) <= room:
        return pieces, False, False
    first, last = _entity_pieces(sentence, spans)
    if truncate:
        return pieces[:room], True, last >= room
    return cut(pieces, room, first, last), True, False


def cut(pieces: list[str], room: int, first: int, last: int) -> list[str]:
    """Cuts a sentence so that its entities stay, which are at the wordpieces `first` to `last`.

    In this order: 1. the end is cut off; 2. where that would lose an entity, both sides of the two; 3. where they are
    too far apart for that, also the middle between them.

    Args:
      pieces: list, longer than `room`.
      room: how many may stay.
      first, last: indices.

    Returns:
      `room` wordpieces.
    """
    if last < room:
        return pieces[:room]
    if last - first < room:
        start = min(max((first + last + 1 - room) // 2, 0), len(pieces) - room)
        return pieces[start : start + room]
    half = room // 2
    return pieces[first : first + half] + pieces[last + 1 - (room - half) : last + 1]


def _entity_pieces(sentence, spans):
    """Indices of the wordpieces with which the first anonymized entity begins and the last one ends; 0, 0 if none."""
    markers = list(MARKER.finditer(sentence))
    if not markers:
        return 0, 0
    inside = [i for i, (start, _) in enumerate(spans) if markers[0].start() <= start < markers[-1].end()]
    return inside[0], inside[-1]


def lower_case(sentence: str) -> str:
    """Lower-cases a sentence but for what stands for entities."""
    parts = re.split(r"(@[^\s@$]+\$)", sentence)
    return "".join(part if number % 2 else part.lower() for number, part in enumerate(parts))


def labels_of(examples: Iterable[Example]) -> list[str]:
    """The labels that occur, sorted."""
    return sorted({example.label for example in examples if example.label is not None})


def anonymize(text: str, span: tuple[int, int], first: Entity, second: Entity, others: Iterable[Entity]) -> str:
    """A sentence with two entities replaced by their types.

    Args:
      text: the document's.
      span: `(start, end)` of the sentence in it.
      first, second: the pair; one token stands for both if they overlap.
      others: entities that become `@OTHER$`, but for those that overlap the pair; those that overlap one
        another become one.

    Returns:
      The sentence, in one line.
    """
    if first.start < second.end and second.start < first.end:
        types = (first.type, second.type)
        name = OVERLAP_NAMES.get(types, "-".join(types))
        spans = [(min(first.start, second.start), max(first.end, second.end), f"@{name}$")]
    else:
        spans = [(entity.start, entity.end, f"@{entity.type}$") for entity in (first, second)]
    pair = list(spans)
    for other in sorted(others, key=lambda entity: entity.start):
        if any(other.start < end and start < other.end for start, end, _ in pair):
            continue
        start, end = other.start, other.end
        if len(spans) > len(pair) and start < spans[-1][1]:
            start, end = spans[-1][0], max(end, spans.pop()[1])
        spans.append((start, end, OTHER))
    parts, position = [], span[0]
    for start, end, token in sorted(spans):
        parts += [text[position:start], token]
        position = end
    return "".join([*parts, text[position : span[1]]]).translate(ONE_LINE)
