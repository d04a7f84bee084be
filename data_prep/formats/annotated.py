"""Readers of annotated corpora: the tables of ChemProt, BioC XML, PubTator.

Each reader is a generator of documents, one at a time in memory, and fills in a `Report`. An entity of a
document stands where its offsets say: a reader compares every entity's text with the document's and leaves
out what does not fit (see `entity_offsets.place`).
"""

import dataclasses
import re

from common.errors import InputError
from common.files import read_lines
from common.xml_elements import read_elements
from data_prep.formats.placement import Entity, Mention, place

RELATION_TYPE_KEYS = ("type", "relation")  # of a BioC relation's infons; the second in BC5CDR


@dataclasses.dataclass(frozen=True)
class Relation:
    """Between two entities, named by id, or between two concepts, that is, between mentions that are not named."""

    type: str
    first: str
    second: str
    of_concepts: bool = False


@dataclasses.dataclass(frozen=True)
class Document:
    """A text with its entities, as they come in the file, and relations, whose entities may be missing."""

    id: str
    text: str
    paragraphs: list  # spans in text: title, abstract, ...
    entities: list
    relations: list


def _parse_span(start, end, where):
    """Raises InputError if the offsets are no numbers or the span is empty."""
    if not (_is_number(start) and _is_number(end) and int(start) < int(end)):
        raise InputError(f"{where}: offsets {start!r}, {end!r}; expected numbers, start < end")
    return int(start), int(end)


def _is_number(text):
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def _paragraphs(texts):
    """Joins paragraphs with a newline; returns `(text, spans)`."""
    spans, offset = [], 0
    for text in texts:
        spans.append((offset, offset + len(text)))
        offset += len(text) + 1
    return "\n".join(texts), spans


# ChemProt


def read_chemprot(abstracts_file, entities_file, relations_file, report):
    """Reads the tables of BioCreative VI ChemProt.

    abstracts: id, title, abstract. entities: id, T1, type, start, end, text; offsets count from the title's
    first character, with one character between title and abstract. relations: id, group (CPR:3), "Y " or
    "N ", type, Arg1:T4, Arg2:T26, or without the third and fourth column (the gold standard). The type of a
    Relation is its group. Entities and relations are kept as lines in memory until their abstract comes.

    Args:
      abstracts_file, entities_file: paths.
      relations_file: path, or None.
      report: Report.

    Yields:
      Document.

    Raises:
      InputError: a table that cannot be read, with the line; one that has no row for any abstract.
    """
    entities = _read_table(entities_file, (6,))
    relations = _read_table(relations_file, (4, 6)) if relations_file else {}
    tables = [(entities_file, entities, len(entities)), (relations_file, relations, len(relations))]
    known = set()
    for number, columns in _read_rows(abstracts_file, (3,)):
        document_id, title, abstract = columns
        if document_id in known:
            raise InputError(f"{abstracts_file}, line {number}: document {document_id} again; expected one row each")
        known.add(document_id)
        text, paragraphs = _paragraphs([title, abstract])
        mentions = [_chemprot_mention(entities_file, *row) for row in entities.pop(document_id, [])]
        _check_ids(mentions, document_id)
        related = [_chemprot_relation(relations_file, *row) for row in relations.pop(document_id, [])]
        report.documents += 1
        yield Document(document_id, text, paragraphs, place(text, mentions, report), related)
    for path, rest, total in tables:
        if total and len(rest) == total:
            raise InputError(f"{path}: none of its documents is in {abstracts_file}; expected tables of one corpus")
        report.rows_of_unknown_documents += sum(map(len, rest.values()))


def _read_rows(path, widths):
    """Yields `(line number, columns)`; raises InputError for another number of columns than one of `widths`."""
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) not in widths:
            expected = " or ".join(map(str, widths))
            raise InputError(f"{path}, line {number}: {len(columns)} columns; expected {expected}, separated by tabs")
        yield number, columns


def _read_table(path, widths):
    """Returns the rows of each document: id to list of `(line number, columns)`."""
    table = {}
    for number, columns in _read_rows(path, widths):
        table.setdefault(columns[0], []).append((number, columns))
    return table


def _chemprot_mention(path, number, columns):
    where = f"{path}, line {number}"
    _, entity_id, entity_type, start, end, text = columns
    return Mention(Entity(entity_id, entity_type, *_parse_span(start, end, where), text), where)


def _chemprot_relation(path, number, columns):
    first, second = columns[-2:]
    if not (first.startswith("Arg1:") and second.startswith("Arg2:")):
        raise InputError(f"{path}, line {number}: arguments {first!r}, {second!r}; expected Arg1:T1 and Arg2:T2")
    return Relation(columns[1], first[len("Arg1:") :], second[len("Arg2:") :])


def _check_ids(mentions, document_id):
    known = set()
    for mention in mentions:
        if mention.entity.id in known:
            raise InputError(
                f"{mention.where}: entity {mention.entity.id} again in document {document_id}; expected unique ids"
            )
        known.add(mention.entity.id)


# PubTator

PUBTATOR_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)


def read_pubtator(path, report):
    """Reads a PubTator file: `id|t|title`, `id|a|abstract`, then a line an entity and a line a relation.

    An entity is id, start, end, text, type, concept (maybe none, several of them separated by `|`, `;` or
    `,`, or `-1`), a relation id, type, concept, concept, maybe a further column; separated by tabs. Offsets
    count from the title's first character, with one character between title and abstract. Entities have
    no ids in the file: they are called T1, T2, ... A title line begins a document.

    Args:
      path: the file.
      report: Report.

    Yields:
      Document.

    Raises:
      InputError: a line that is none of these, or of another document than the lines before.
    """
    document_id, texts, mentions, relations = None, [], [], []
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        match = PUBTATOR_TEXT.fullmatch(line)
        line_id = match[1] if match else line.split("\t")[0]
        if match and match[2] == "t":
            if document_id is not None:
                yield _pubtator_document(document_id, texts, mentions, relations, report)
            document_id, texts, mentions, relations = line_id, [match[3]], [], []
        elif line_id != document_id:
            raise InputError(f"{where}: {line_id[:40]!r} instead of {document_id}; expected id|t|title before")
        elif match:
            texts.append(match[3])
        else:
            _parse_pubtator_line(line.split("\t"), where, mentions, relations)
    if document_id is not None:
        yield _pubtator_document(document_id, texts, mentions, relations, report)


def _parse_pubtator_line(columns, where, mentions, relations):
    """Appends an entity to `mentions` or a relation to `relations`."""
    if len(columns) >= 6 or (len(columns) == 5 and _is_number(columns[1])):
        start, end = _parse_span(*columns[1:3], where)
        concepts = _split_concepts(columns[5]) if len(columns) > 5 else frozenset()
        entity = Entity(f"T{len(mentions) + 1}", columns[4], start, end, columns[3], concepts)
        mentions.append(Mention(entity, where))
    elif len(columns) in (4, 5) and not _is_number(columns[1]):
        relations.append(Relation(*columns[1:4], of_concepts=True))
    else:
        raise InputError(
            f"{where}: {len(columns)} columns; expected id, start, end, text, type, concept, or id, relation, "
            "concept, concept, separated by tabs"
        )


def _split_concepts(text):
    """The concepts that a column names: all of it, too, since some ids (`c|SUB|A|1|G`) hold separators."""
    return frozenset({text, *re.split(r"[|;,]", text)} - {"", "-", "-1"})


def _pubtator_document(document_id, texts, mentions, relations, report):
    text, paragraphs = _paragraphs(texts)
    report.documents += 1
    return Document(document_id, text, paragraphs, place(text, mentions, report), relations)


# BioC


def read_bioc(path, report):
    """Reads BioC XML (`.gz`: compressed): annotations and relations anywhere in a document.

    The text is that of the passages (of their sentences where a passage has no text), joined by newlines, so
    offsets in it are the file's where those leave one character between passages. An annotation counts
    from the passage that its offset falls in. Its `infon type` is the entity's type, the values of the
    other infons are its concepts. An annotation with several locations is left out and counted.
    A relation has two nodes, the ids of annotations. One without nodes (BC5CDR), or with the infons `role1`
    and `role2` (PubTator 3, whose nodes are something else), is between the two concepts that its infons name.

    Args:
      path: the file.
      report: Report.

    Yields:
      Document.

    Raises:
      InputError: a file that cannot be read or is not BioC (with the line); offsets that are no numbers;
        an annotation's id twice in a document.
    """
    for element in read_elements(path, "document", "collection"):
        report.documents += 1
        yield _bioc_document(path, element, report)


def _bioc_document(path, element, report):
    document_id = _text(element.find("id"))
    blocks = []
    for passage in element.iterfind("passage"):
        blocks += [passage] if passage.find("text") is not None else passage.findall("sentence")
    text, paragraphs = _paragraphs([_text(block.find("text")) for block in blocks])
    offsets = [_bioc_offset(path, block) for block in blocks]
    bases = [(offset, start) for offset, (start, _) in zip(offsets, paragraphs, strict=True)]
    mentions = []
    for annotation in element.iter("annotation"):
        mention = _bioc_mention(path, annotation, bases, f"A{len(mentions) + 1}", report)
        if mention is not None:
            mentions.append(mention)
    _check_ids(mentions, document_id)
    entities = place(text, mentions, report)
    concepts = frozenset().union(*(entity.concepts for entity in entities))
    relations = [_bioc_relation(relation, concepts) for relation in element.iter("relation")]
    report.not_of_two += relations.count(None)
    return Document(document_id, text, paragraphs, entities, [relation for relation in relations if relation])


def _text(element):
    return "" if element is None else "".join(element.itertext())


def _infons(element):
    return {infon.get("key"): _text(infon).strip() for infon in element.iterfind("infon")}


def _bioc_offset(path, block):
    offset = _text(block.find("offset")).strip()
    if not _is_number(offset):
        raise InputError(f"{path}, line {block.sourceline}: offset {offset!r} of a {block.tag}; expected a number")
    return int(offset)


def _bioc_mention(path, annotation, bases, default_id, report):
    """Returns a Mention; None for an annotation without location, or with several, which is counted."""
    where = f"{path}, line {annotation.sourceline}"
    entity_id = annotation.get("id") or default_id
    locations = annotation.findall("location")
    text = _text(annotation.find("text"))
    if len(locations) != 1:
        report.discontinuous += len(locations) > 1
        if locations:
            report.add_example(f"{where}: entity {entity_id} {text!r} is in {len(locations)} parts; left out")
        return None
    offset, length = (locations[0].get(name) or "" for name in ("offset", "length"))
    if not (_is_number(offset) and _is_number(length) and int(length) > 0):
        raise InputError(f"{where}: offset {offset!r}, length {length!r}; expected numbers, length > 0")
    offset = int(offset)
    block_offset, base = max((pair for pair in bases if pair[0] <= offset), default=(0, 0))
    infons = _infons(annotation)
    entity_type = infons.pop("type", "")
    concepts = frozenset().union(*map(_split_concepts, infons.values()))
    start = offset - block_offset
    return Mention(Entity(entity_id, entity_type, start, start + int(length), text, concepts), where, base)


def _bioc_relation(element, concepts):
    """Returns a Relation, None if it is not of two entities or two of `concepts`, those of the document."""
    infons = _infons(element)
    key = next((key for key in RELATION_TYPE_KEYS if key in infons), None)
    relation_type = infons.pop(key, "")
    nodes = [node.get("refid") for node in element.iterfind("node")]
    if nodes and not {"role1", "role2"} <= infons.keys():
        return Relation(relation_type, *nodes) if len(nodes) == 2 else None
    # `D008750`, or with its type before it: `Chemical|MESH:D008750`.
    named = [name for value in infons.values() for name in (value, value.partition("|")[2]) if name in concepts]
    return Relation(relation_type, *named, of_concepts=True) if len(named) == 2 else None
