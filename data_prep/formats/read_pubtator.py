"""PubTator files as documents.

The format: https://www.ncbi.nlm.nih.gov/research/pubtator3/tutorial. The reader of the library `bioc` is not used: it
strips white space that offsets count, joins documents that no blank line separates, takes entities without a concept
for relations, and prints what it does not understand.
"""

import codecs
import dataclasses
import re

from common.errors import InputError
from data_prep.formats import placement
from data_prep.formats.annotated import PUBTATOR_TEXT
from data_prep.formats.document import Document
from data_prep.formats.placement import Mention, Report
from data_prep.formats.read_entities import log_misplaced, place_entities
from data_prep.formats.read_source import decode_line, name_of, open_text, raw_lines

TITLE = re.compile(rb"([^|\t\n]+)\|t\|")
NUMBER = re.compile("[0-9]{1,18}")
KINDS = {"t": "title", "a": "abstract"}


@dataclasses.dataclass
class Origin:
    """The rows of a document, each a tuple of all columns as they are in the file."""

    entities: dict = dataclasses.field(default_factory=dict)  # id of the Entity: row; also of those left out
    relations: list = dataclasses.field(default_factory=list)  # between concepts, so no Relation of the document


def read_pubtator(path, bad_document):
    """Yields the documents of a PubTator file, one at a time in memory, with the entities that it gives.

    A title line `id|t|title` begins a document; then come `id|a|abstract`, a row an entity (id, start, end, text,
    type, maybe concept and more) and a row a relation (id, type, concept, concept, maybe one more), with tabs between
    columns. The text is title, newline, abstract, so offsets in it are the file's. The entities are called T1, T2, ...
    in order; those whose text is not at their offsets are left out with a warning. `origin`: Origin.

    Args:
      path: the file, or "-".
      bad_document: called with what is wrong with a document (a line that is none of these, or has another id; not
        UTF-8, NUL bytes), which is then left out.

    Raises:
      InputError: the file cannot be read, is empty or binary, or does not begin with a title line.
    """
    builder, report = None, Report()
    with open_text(path) as file:
        for number, raw in raw_lines(file):
            where = f"{name_of(path)}, line {number}"
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            title = TITLE.match(raw)  # bytes, since it begins a document also where it is no UTF-8
            if title:
                if builder and not builder.is_bad:
                    yield builder.document(report)
                builder = _Builder(title[1].decode("utf-8", "replace"), where)
            try:
                line = decode_line(raw, number, path)
                if line.strip():
                    if not builder:
                        raise InputError(f"{where}: {line[:40]!r}; expected id|t|title first")
                    builder.add_line(line, where)
            except InputError as error:
                if not builder:
                    raise
                if not builder.is_bad:
                    builder.is_bad = True
                    bad_document(str(error))
    if not builder:
        raise InputError(f"{name_of(path)}: no text in any line; expected id|t|title first")
    if not builder.is_bad:
        yield builder.document(report)
    log_misplaced(report, name_of(path))


class _Builder:
    """Puts a document together."""

    def __init__(self, document_id, where):
        self.is_bad = False
        self._id, self._where = document_id, where
        self._texts, self._kinds, self._mentions, self._origin = [], [], [], Origin()

    def add_line(self, line, where):
        text = PUBTATOR_TEXT.fullmatch(line)
        columns = tuple(line.split("\t"))
        line_id = text[1] if text else columns[0]
        if line_id != self._id:
            raise InputError(f"{where}: {line_id[:40]!r} instead of {self._id}; expected id|t|title before")
        if text:
            self._texts.append(text[3])
            self._kinds.append(KINDS[text[2]])
        elif len(columns) >= 6 or (len(columns) == 5 and NUMBER.fullmatch(columns[1])):
            self._add_entity(columns, where)
        elif len(columns) in (4, 5):
            self._origin.relations.append(columns)
        else:
            raise InputError(
                f"{where}: {len(columns)} columns; expected id, start, end, text, type, concept, or id, relation, "
                "concept, concept, separated by tabs"
            )

    def _add_entity(self, columns, where):
        _, start, end, text, entity_type = columns[:5]
        if not (NUMBER.fullmatch(start) and NUMBER.fullmatch(end) and int(start) < int(end)):
            raise InputError(f"{where}: offsets {start[:40]!r}, {end[:40]!r}; expected numbers, start < end")
        entity_id = f"T{len(self._mentions) + 1}"
        entity = placement.Entity(entity_id, entity_type, int(start), int(end), text)
        self._mentions.append(Mention(entity, where))
        self._origin.entities[entity_id] = columns

    def document(self, report):
        paragraphs, kinds, offset = [], [], 0
        for text, kind in zip(self._texts, self._kinds, strict=True):
            if text:
                paragraphs.append((offset, offset + len(text)))
                kinds.append(kind)
            offset += len(text) + 1
        text = "\n".join(self._texts)
        entities, _ = place_entities(text, self._mentions, report)
        return Document(self._id, text, tuple(paragraphs), self._where, tuple(kinds), entities, origin=self._origin)
