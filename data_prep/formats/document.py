"""Documents to annotate, and what was found in them.

All offsets count characters (Unicode code points) of `Document.text`, the end exclusive: `text[start:end]`.
"""

import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class Entity:
    """A mention: `document.text[start:end]`. `id` is unique in a document."""

    id: str
    type: str
    start: int
    end: int
    confidence: float | None = None  # from 0 to 1; None: it was in the input
    model: str = ""  # name of the model that found it; "": it was in the input


@dataclasses.dataclass(frozen=True)
class Relation:
    """Between two entities of a document, named by their ids."""

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
    relations: tuple = ()
    words: tuple | None = None  # of each sentence a tuple of its words' spans; None: not cut into sentences yet
    origin: object = None  # what a format's reader keeps for its writer, so that nothing of the source is lost


def unused_ids(letter, known):
    """Yields T1, T2, ... but for those that some entities, or relations, have already."""
    taken = {each.id for each in known}
    return (name for number in itertools.count(1) if (name := f"{letter}{number}") not in taken)
