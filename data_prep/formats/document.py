"""Documents with their entities and relations, given or found; articles as the literature has them.

All offsets count characters (Unicode code points) of `Document.text`, the end exclusive: `text[start:end]`.
"""

import dataclasses
import itertools
import re

NO_CONCEPTS = {"", "-", "-1"}  # what stands where an identifier is not known
# Whatever ends a line for some reader (the line boundaries of `str.splitlines`), and tabs, which separate columns.
SEPARATORS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


@dataclasses.dataclass(frozen=True)
class Entity:
    """A mention: `document.text[start:end]`. `id` is unique in a document."""

    id: str
    type: str
    start: int
    end: int
    confidence: float | None = None  # from 0 to 1; None: it was in the input
    model: str = ""  # name of the model that found it; "": it was in the input
    identifier: str = ""  # of what it means in some terminology, as the source has it: maybe several, `D1|D2`
    identifier_score: float | None = None  # from 0 to 1; None: the identifier was in the input, or there is none
    matched_name: str = ""  # the name in the terminology that it was found by
    abbreviation_of: str = ""  # the id of the entity whose long form the text defines it by

    def with_identifier_of(self, other):
        """The entity with what another one means."""
        return dataclasses.replace(
            self,
            identifier=other.identifier,
            identifier_score=other.identifier_score,
            matched_name=other.matched_name,
        )

    @property
    def concepts(self):
        """The identifiers, a set: all of `identifier`, too, since some of them (`c|SUB|A|1|G`) hold separators."""
        return frozenset({self.identifier, *re.split(r"[|;,]", self.identifier)} - NO_CONCEPTS)


@dataclasses.dataclass(frozen=True)
class Relation:
    """Between two entities of a document, named by their ids, or between two concepts, named likewise."""

    id: str
    type: str
    first: str
    second: str
    confidence: float | None = None  # None: it was in the input


@dataclasses.dataclass(frozen=True)
class Document:
    """A text, what its source says about it, and what was found in it.

    A text file's `text` is what the file holds, unaltered: offsets in it are offsets in the file, once decoded.
    """

    id: str
    text: str
    paragraphs: tuple  # spans in text, in order: title, abstract, ...; no sentence goes across two
    source: str  # file and, where it has several documents, line: for messages
    kinds: tuple = ()  # of the paragraphs, where the source tells: "title", "abstract", ...
    entities: tuple = ()
    relations: tuple = ()  # between entities, both of which are there
    concept_relations: tuple = ()  # between concepts: all mentions of the two are meant
    words: tuple | None = None  # of each sentence its words' spans, a sequence; None: not cut into sentences yet
    taken_ids: frozenset = frozenset()  # of what its source has beside, and what is found must not have
    origin: object = None  # what a format's reader keeps for its writer, so that nothing of the source is lost


def unused_ids(letter, document):
    """Yields T1, T2, ... but for those that something in a document, or its source, has already."""
    known = (*document.entities, *document.relations, *document.concept_relations)
    taken = document.taken_ids | {each.id for each in known}
    return (name for number in itertools.count(1) if (name := f"{letter}{number}") not in taken)


def blocks_of(document):
    """A list of `(start, end, kind)`: the paragraphs, and without a kind what else but white space is in the text."""
    kinds = document.kinds or [""] * len(document.paragraphs)
    blocks, position = [], 0
    for (start, end), kind in zip([*document.paragraphs, (len(document.text),) * 2], [*kinds, ""], strict=True):
        for span in ((position, start, ""), (start, end, kind)):
            if document.text[span[0] : span[1]].strip():
                blocks.append(span)
        position = max(position, end)
    return blocks


def join_paragraphs(texts):
    """Joins paragraphs with newlines; returns `(text, spans)`."""
    spans, offset = [], 0
    for text in texts:
        spans.append((offset, offset + len(text)))
        offset += len(text) + 1
    return "\n".join(texts), tuple(spans)


DELETED = "deleted"  # why an article is left out: its publisher has withdrawn it
WITHOUT_TEXT = "without text"


@dataclasses.dataclass(frozen=True)
class Article:
    """A version of an article, as the literature has it, or the news that there is none (or none any more)."""

    id: str  # the same in all versions, "pubmed:29768149"; "": it has none, and no other article replaces it
    version: int  # the highest counts; of several of one version the one read last; DELETED: 0 means all versions
    paragraphs: tuple[str, ...]  # not empty, white space folded to single spaces; no sentence goes across two
    left_out: str = ""  # why it is not for a corpus: DELETED, "without abstract", ...
