"""Annotated documents in the PubTator format."""

import re

from data_prep.formats.read_pubtator import Origin

# Whatever ends a line for some reader (the line boundaries of `str.splitlines`), and tabs, which separate columns.
SEPARATORS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
NO_CONCEPT = "-"


class PubTatorWriter:
    """`id|t|title`, `id|a|abstract`, then a line an entity and a line a relation, then a blank line.

    The title is all up to the end of the first paragraph, the abstract the rest; the white space character between
    them is the one that readers of the format put there again, so that offsets are those of the text. Tabs and ends
    of lines become spaces one for one.

    An entity is id, start, end, text, type, concept. Relations are between concepts; those of a document are between
    entities, so that an entity that a relation names has its id for a concept if it has none. What else a PubTator file
    has of a document that was read from it (concepts, relations between them) is written again. Confidences and the
    names of models have no place in the format.
    """

    def __init__(self, file):
        self.file = file

    def write(self, document):
        name = _column(re.sub("[|\ufeff]", "_", document.id))  # at the start of a file U+FEFF is a byte order mark
        text = SEPARATORS.sub(" ", document.text)
        title_end = _title_end(document)
        origin = document.origin if isinstance(document.origin, Origin) else Origin()
        concepts = _concepts(document, origin)
        rows = [
            (str(entity.start), str(entity.end), text[entity.start : entity.end], entity.type, concepts[entity.id])
            + origin.entities.get(entity.id, ())[6:]
            for entity in document.entities
        ]
        rows += [row[1:] for entity_id, row in origin.entities.items() if entity_id not in concepts]  # left out
        rows += [row[1:] for row in origin.relations]
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


def _concepts(document, origin):
    """The concept of each entity, by id."""
    related = {end for relation in document.relations for end in (relation.first, relation.second)}
    concepts = {}
    for entity in document.entities:
        given = "".join(origin.entities.get(entity.id, ())[5:6])
        is_named = entity.id in related and given in ("", "-", "-1")
        concepts[entity.id] = entity.id if is_named else given or NO_CONCEPT
    return concepts


def _relation_type(name):
    """A number in the second column would be an offset to readers: models of two labels may call a relation `1`."""
    return f"relation_{name}" if name.isdecimal() else name


def _column(text):
    return SEPARATORS.sub(" ", text).strip() or "-"
