"""Terminologies: which names mean which concept.

| format | told by | names |
|---|---|---|
| OBO | `.obo`, `format-version:` | of terms that are not obsolete, their synonyms |
| table | anything else | columns id, name and synonyms, separated by tabs or commas |
| corpus | PubTator, BioC | mentions that have an identifier |

The columns of a table are told by its first line, or are in this order; synonyms are separated by `|`. So the files of
CTD (https://ctdbase.org/downloads/) can be read as they are distributed: their header is in a comment.

OBO 1.4: https://owlcollab.github.io/oboformat/doc/obo-syntax.html. Why no library reads it: docs/design.md.
"""

import collections
import csv
import dataclasses
import itertools
import os
import re
from collections.abc import Iterator
from typing import Any

from common.errors import InputError
from common.inputs import fold, name_of, read_head, read_lines
from data_prep.formats import table
from data_prep.formats.placement import Report

# How likely somebody who writes a name means the concept: the first of several concepts with one name is the best.
NAME, SYNONYM, RELATED, BROAD = range(4)

OBO, TABLE = "obo", "table"
CORPORA = ("pubtator", "bioc_xml", "bioc_json")
_HEAD_BYTES = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A name of a concept."""

    text: str
    identifier: str
    type: str = ""  # of the mention that it is; "": the terminology tells none
    rank: int = NAME


def read(path: str, left_out: collections.Counter[str]) -> Iterator[Name]:
    """Yields the names in a file, compressed or not; those of a corpus as often as they are there.

    Args:
      path: the file.
      left_out: to which is added what is not used, by why.

    Raises:
      InputError: it cannot be read, a line is not of its format (with its number), there is no name in it.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; expected a terminology: OBO, a table, or a corpus with identifiers")
    found, kind = False, detect_format(path)
    for name in _READERS.get(kind, _read_corpus)(path, left_out):
        found = True
        yield name
    if not found:
        raise InputError(f"{path}: no name of a concept in it, read as {kind}; expected some{_describe(left_out)}")


def _describe(left_out):
    return f" ({describe_left_out(left_out)})" if left_out.total() else ""


def describe_left_out(left_out: collections.Counter[str]) -> str:
    """Which are left out, in words."""
    return ", ".join(f"{count:,} {why}" for why, count in left_out.most_common()) + " left out"


def detect_format(path: str) -> str:
    """`OBO`, `TABLE` or one of `CORPORA`, by how a file begins and is called."""
    if path.removesuffix(".gz").endswith(".obo") or b"format-version:" in read_head(path, _HEAD_BYTES).split(b"\n")[0]:
        return OBO
    try:
        found = table.detect_format(path)
    except InputError:
        return TABLE
    return found if found in CORPORA else TABLE


# OBO

_TAG = re.compile(r"([^\s:]+):\s*(.*)")
_STANZA = re.compile(r"\[([^\]]+)\]")
_SYNONYM = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(\w*)')
_RANKS = {"EXACT": SYNONYM, "BROAD": BROAD}  # of other synonyms, RELATED
_END = re.compile(r"(?<!\\)\s+(!|\{[^{}]*\}\s*(!|$)).*")  # a comment, modifiers
_ESCAPED = re.compile(r"\\(.)")


def _read_obo(path, left_out):
    stanza, start = "", 0
    clauses: list[tuple[int, str, str]] = []
    for number, line in read_lines(path):
        line = line.strip()
        if match := _STANZA.fullmatch(line):
            yield from _names_of_term(path, stanza, start, clauses, left_out)
            stanza, start, clauses = match[1], number, []
        elif line and not line.startswith("!"):
            if not (match := _TAG.match(line)):
                raise InputError(
                    f"{name_of(path)}, line {number}: {line[:40]!r}; expected OBO: a tag, a colon, a value"
                )
            if match[1] in ("id", "name", "synonym", "is_obsolete"):
                clauses.append((number, match[1], match[2]))
    yield from _names_of_term(path, stanza, start, clauses, left_out)


def _names_of_term(path, stanza, start, clauses, left_out):
    """Yields the names of a term from its clauses: line, tag and value."""
    if stanza != "Term":
        return
    values = {tag: _unescape(_END.sub("", value)) for _, tag, value in clauses if tag != "synonym"}
    if not values.get("id"):
        raise InputError(f"{name_of(path)}, line {start}: a term without an id; expected id: below [Term]")
    if values.get("is_obsolete") == "true":
        left_out["obsolete terms"] += 1
        return
    if not any(tag in ("name", "synonym") and value for _, tag, value in clauses):
        left_out["terms without a name"] += 1
    if values.get("name"):
        yield Name(fold(values["name"]), values["id"])
    for number, tag, value in clauses:
        if tag == "synonym":
            match = _SYNONYM.match(value)
            if not match:
                raise InputError(
                    f'{name_of(path)}, line {number}: synonym {value[:40]!r}; expected it in quotes: "tumour" EXACT []'
                )
            if text := fold(_unescape(match[1])):
                yield Name(text, values["id"], rank=_RANKS.get(match[2], RELATED))


def _unescape(value):
    return _ESCAPED.sub(lambda match: {"n": "\n", "t": "\t", "W": " "}.get(match[1], match[1]), value).strip()


# Tables

_COLUMNS = {  # as headers have them, without what is no letter: CTD's are behind the general ones
    "id": ("id", "identifier", "diseaseid", "chemicalid", "geneid"),
    "name": ("name", "diseasename", "chemicalname", "genesymbol"),
    "synonyms": ("synonym", "synonyms", "genename", "meshsynonyms", "ctdcuratedsynonyms"),
}
_COMMENT = "#"


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Which columns hold what."""

    id: int
    name: int
    synonyms: tuple[int, ...]
    width: int


_PLAIN = _Layout(0, 1, (2,), 3)


def _read_table(path, left_out):
    rows = _rows(path)
    layout = None
    for number, row in rows:
        where = f"{name_of(path)}, line {number}"
        if row[0].startswith(_COMMENT):
            layout = layout or _layout_of([row[0].removeprefix(_COMMENT), *row[1:]])
            continue
        if layout is None:
            layout = _layout_of(row)
            if layout:
                continue
            layout = _PLAIN
        yield from _names_of_row(row, layout, where)


def _rows(path):
    """Yields the number of the last line of each row that is not blank, and its columns."""
    lines = ((number, line) for number, line in read_lines(path) if line.strip())
    first = next(lines, None)
    if first is None:
        raise InputError(f"{name_of(path)}: empty; expected a terminology")
    numbers = [0]
    separator = "," if path.lower().removesuffix(".gz").endswith(".csv") else "\t"

    def texts():
        for number, line in itertools.chain([first], lines):
            numbers[0] = number
            yield line if separator == "\t" else f"{line}\n"

    style: dict[str, Any] = {} if separator == "," else {"quoting": csv.QUOTE_NONE}
    try:
        for row in csv.reader(texts(), delimiter=separator, strict=True, **style):
            yield numbers[0], row
    except csv.Error as error:
        raise InputError(f"{name_of(path)}, line {numbers[0]}: {error}; expected columns separated by commas") from None


def _layout_of(row):
    """The `_Layout` that a header tells, None if it is none."""
    columns = [re.sub("[^a-z]", "", column.lower()) for column in row]
    places = {
        kind: [place for place, column in enumerate(columns) if column in known] for kind, known in _COLUMNS.items()
    }
    if not places["id"] or not places["name"]:
        return None
    return _Layout(places["id"][0], places["name"][0], tuple(places["synonyms"]), len(row))


def _names_of_row(row, layout, where):
    if not max(layout.id, layout.name) < len(row) <= layout.width:
        kind = "id, name, synonyms (separated by |)" if layout is _PLAIN else f"{layout.width}, as in the header"
        raise InputError(f"{where}: {len(row)} columns; expected {kind}")
    identifier, name = row[layout.id].strip(), fold(row[layout.name])
    if not identifier or not name:
        raise InputError(f"{where}: no {'name' if identifier else 'id'}; expected one of each concept")
    if re.search(r"\s", identifier):
        raise InputError(f"{where}: {identifier[:40]!r} as an id; expected the id before the name, or a header")
    yield Name(name, identifier)
    for place in layout.synonyms:
        for synonym in "".join(row[place : place + 1]).split("|"):
            if text := fold(synonym):
                yield Name(text, identifier, rank=SYNONYM)


# Corpora


def _read_corpus(path, left_out):
    for document in table.read_corpus([path], table.AUTO, Report()):
        for entity in document.entities:
            if entity.concepts:
                yield Name(fold(document.text[entity.start : entity.end]), entity.identifier, entity.type)
            else:
                left_out["mentions without an identifier"] += 1


_READERS = {OBO: _read_obo, TABLE: _read_table}
