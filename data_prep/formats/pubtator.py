"""The PubTator format.

    id|t|title
    id|a|abstract
    id<tab>start<tab>end<tab>text<tab>type<tab>concept      an entity
    id<tab>type<tab>concept<tab>concept                     a relation between concepts

Source: https://www.ncbi.nlm.nih.gov/research/pubtator3/tutorial. The reader of the library `bioc` is not used: it
strips white space that offsets count, joins documents that no blank line separates, takes entities without a concept
for relations, and prints what it does not understand.
"""

import codecs
import contextlib
import dataclasses
import re

from common.errors import InputError
from common.inputs import decode_line, name_of, open_text, raw_lines
from data_prep.formats.document import NO_CONCEPTS, SEPARATORS, Document, Entity, Relation
from data_prep.formats.placement import Mention, is_number, parse_span, place

TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)
TITLE = re.compile(rb"([^|\t\n]+)\|t\|")
KINDS = {"t": "title", "a": "abstract"}
NO_CONCEPT = "-"


@dataclasses.dataclass
class Origin:
    """The rows of a document, each a tuple of all columns as they are in the file."""

    entities: dict = dataclasses.field(default_factory=dict)  # id of the Entity: row; also of those left out
    relations: list = dataclasses.field(default_factory=list)  # between concepts


def looks_like(head):
    """Whether bytes begin with a line of title or abstract."""
    return TEXT.match(head.split(b"\n")[0].decode("utf-8", "replace")) is not None


# Reading


def read(path, bad_document, report):
    """Yields the documents of a PubTator file, one at a time in memory, with the entities and relations that it gives.

    A title line begins a document; behind an entity's and a relation's columns there may be more, and the concept may
    be missing. The text is title, newline, abstract, so offsets in it are the file's. The entities are called T1, T2,
    ... in order; those whose text is not at their offsets are left out. `origin`: Origin.

    Args:
      path: the file, or "-".
      bad_document: called with what is wrong with a document (a line that is none of these, or has another id; not
        UTF-8, NUL bytes), which is then left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read, is empty or binary, or does not begin with a title line.
    """
    builder = None
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


class _Builder:
    """Puts a document together."""

    def __init__(self, document_id, where):
        self.is_bad = False
        self._id, self._where = document_id, where
        self._texts, self._kinds, self._mentions, self._origin = [], [], [], Origin()

    def add_line(self, line, where):
        text = TEXT.fullmatch(line)
        columns = tuple(line.split("\t"))
        line_id = text[1] if text else columns[0]
        if line_id != self._id:
            raise InputError(f"{where}: {line_id[:40]!r} instead of {self._id[:40]}; expected id|t|title before")
        if text:
            self._texts.append(text[3])
            self._kinds.append(KINDS[text[2]])
        elif len(columns) >= 6 or (len(columns) == 5 and is_number(columns[1])):
            self._add_entity(columns, where)
        elif len(columns) in (4, 5) and not is_number(columns[1]):
            self._origin.relations.append(columns)
        else:
            raise InputError(
                f"{where}: {len(columns)} columns; expected id, start, end, text, type, concept, or id, relation, "
                "concept, concept, separated by tabs"
            )

    def _add_entity(self, columns, where):
        _, start, end, text, entity_type = columns[:5]
        entity_id, identifier = f"T{len(self._mentions) + 1}", "".join(columns[5:6]).strip()
        identifier = "" if identifier in NO_CONCEPTS else identifier
        entity = Entity(entity_id, entity_type, *parse_span(start, end, where), identifier=identifier)
        self._mentions.append(Mention(entity, text, where))
        self._origin.entities[entity_id] = columns

    def document(self, report):
        paragraphs, kinds, offset = [], [], 0
        for text, kind in zip(self._texts, self._kinds, strict=True):
            if text:
                paragraphs.append((offset, offset + len(text)))
                kinds.append(kind)
            offset += len(text) + 1
        text = "\n".join(self._texts)
        entities, _ = place(text, self._mentions, report)
        return Document(
            id=self._id,
            text=text,
            paragraphs=tuple(paragraphs),
            source=self._where,
            kinds=tuple(kinds),
            entities=entities,
            concept_relations=tuple(
                Relation(f"R{number}", *columns[1:4]) for number, columns in enumerate(self._origin.relations, 1)
            ),
            taken_ids=frozenset(self._origin.entities),
            origin=self._origin,
        )


# Writing


def open_writer(file, models):
    """See `table.open_writer`."""
    return contextlib.nullcontext(_Writer(file))


class _Writer:
    """`id|t|title`, `id|a|abstract`, then a line an entity and a line a relation, then a blank line.

    The title is all up to the end of the first paragraph, the abstract the rest; the white space character between
    them is the one that readers of the format put there again, so that offsets are those of the text. Tabs and ends
    of lines become spaces one for one.

    An entity is id, start, end, text, type, concept. Relations are between concepts; those of a document are between
    entities, so that an entity that a relation names has a concept made of its id if it has none. What else a PubTator
    file has of a document that was read from it is written again. Confidences, the names of models, and what a
    terminology says beside an identifier have no place in the format.
    """

    def __init__(self, file):
        self.file = file

    def write(self, document):
        name = _column(re.sub("[|\ufeff]", "_", document.id))  # at the start of a file U+FEFF is a byte order mark
        text = SEPARATORS.sub(" ", document.text)
        title_end = _title_end(document)
        origin = document.origin if isinstance(document.origin, Origin) else None
        given = origin.entities if origin else {}
        concepts = _concepts(document, given)
        rows = []
        for entity in document.entities:
            more = given[entity.id][6:] if entity.id in given else ()
            mention = text[entity.start : entity.end]
            rows.append((str(entity.start), str(entity.end), mention, entity.type, concepts[entity.id], *more))
        rows += [row[1:] for entity_id, row in given.items() if entity_id not in concepts]  # left out
        if origin:
            rows += [row[1:] for row in origin.relations]
        else:
            rows += [(_relation_type(r.type), r.first, r.second) for r in document.concept_relations]
        for relation in document.relations:
            rows.append((_relation_type(relation.type), concepts[relation.first], concepts[relation.second]))
        self.file.write(f"{name}|t|{text[:title_end]}\n{name}|a|{text[title_end + 1 :]}\n")
        for row in rows:
            self.file.write("\t".join(_column(value) for value in (name, *row)) + "\n")
        self.file.write("\n")


def _title_end(document):
    """The offset of the white space that separates title and abstract; of the text's end without.

    It is the first at or after the end of the first paragraph; before that if it is an abstract without title.
    """
    if not document.paragraphs:
        return len(document.text)
    has_no_title = document.kinds and document.kinds[0] == "abstract" and document.text[0].isspace()
    space = re.compile(r"\s").search(document.text, 0 if has_no_title else document.paragraphs[0][1])
    return space.start() if space else len(document.text)


def _concepts(document, given):
    """The concept of each entity, by id; what stands in the file for one that is not known comes back."""
    related = {end for relation in document.relations for end in (relation.first, relation.second)}
    concepts = {}
    for entity in document.entities:
        before = "".join(given.get(entity.id, ())[5:6]).strip()
        unknown = before if before in NO_CONCEPTS - {""} else NO_CONCEPT
        concepts[entity.id] = entity.identifier or (_made_up(entity.id) if entity.id in related else unknown)
    return concepts


def _made_up(entity_id):
    """A concept that no terminology has: `T1`, but not the number of an annotation, which may be that of a gene."""
    return entity_id if re.fullmatch("T[0-9]+", entity_id) else f"entity_{entity_id}"


def _relation_type(name):
    """A number in the second column would be an offset to readers: models of two labels may call a relation `1`."""
    return f"relation_{name}" if name.isdecimal() else name


def _column(text):
    return SEPARATORS.sub(" ", text).strip() or "-"
