"""The tables of BioCreative VI ChemProt: abstracts, entities and relations of a corpus in three files."""

from common.errors import InputError
from common.inputs import read_lines
from data_prep.formats.document import Document, Entity, Relation, join_paragraphs
from data_prep.formats.placement import Mention, keep_placed, parse_span, place


def read(abstracts_file, entities_file, relations_file, report):
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
        text, paragraphs = join_paragraphs([title, abstract])
        mentions = [_mention(entities_file, *row) for row in entities.pop(document_id, [])]
        _check_ids(mentions, document_id)
        placed, _ = place(text, mentions, report)
        rows = enumerate(relations.pop(document_id, []), 1)
        related = keep_placed([_relation(relations_file, f"R{i}", *row) for i, row in rows], placed, report)
        report.documents += 1
        source = f"{abstracts_file}, line {number}"
        yield Document(document_id, text, paragraphs, source, ("title", "abstract"), placed, related)
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


def _mention(path, number, columns):
    where = f"{path}, line {number}"
    _, entity_id, entity_type, start, end, text = columns
    return Mention(Entity(entity_id, entity_type, *parse_span(start, end, where)), text, where)


def _relation(path, relation_id, number, columns):
    first, second = columns[-2:]
    if not (first.startswith("Arg1:") and second.startswith("Arg2:")):
        raise InputError(f"{path}, line {number}: arguments {first!r}, {second!r}; expected Arg1:T1 and Arg2:T2")
    return Relation(relation_id, columns[1], first[len("Arg1:") :], second[len("Arg2:") :])


def _check_ids(mentions, document_id):
    known = set()
    for mention in mentions:
        if mention.entity.id in known:
            raise InputError(
                f"{mention.where}: entity {mention.entity.id} again in document {document_id}; expected unique ids"
            )
        known.add(mention.entity.id)
