"""Entities that a file gives and where they stand in its text: what it says about that, checked and mended."""

import collections
import dataclasses
import re

from common.errors import InputError
from common.inputs import fold
from data_prep.formats.document import Entity
from data_prep.text.sentences import trim

MAX_EXAMPLES = 5  # of entities that do not fit, named in a report

# What offsets may count, besides characters: bytes, as BioC's DTD has it, or UTF-16 code units, as Java has it.
CODE_UNITS = {"UTF-8 bytes": ("utf-8", 1), "UTF-16 code units": ("utf-16-le", 2)}


@dataclasses.dataclass(frozen=True)
class Mention:
    """An entity as a file has it: its offsets count from the character `base` of the text, in some unit."""

    entity: Entity
    text: str  # what should be at its offsets, but for white space; "": the file does not say
    where: str  # file and line
    base: int = 0


@dataclasses.dataclass
class Report:
    """What a reader read and what it could not use."""

    documents: int = 0
    entities: int = 0  # in their place, maybe after a repair
    other_units: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # documents a unit
    shifted: int = 0  # entities
    misplaced: int = 0  # entities left out
    discontinuous: int = 0  # entities left out
    not_of_two: int = 0  # relations left out
    without_entity: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # likewise, by type
    other_annotations: int = 0  # events, attributes, ..., which have no place in a Document; left out
    rows_of_unknown_documents: int = 0
    examples: list = dataclasses.field(default_factory=list)  # of misplaced, shifted, discontinuous entities

    def add_discontinuous(self, where, entity_id, text, parts):
        """Counts an entity that is in several parts."""
        self.discontinuous += 1
        self.add_example(f"{where}: entity {entity_id} {text!r} is in {parts} parts; left out")

    def add_example(self, message):
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(message)


def place(text, mentions, report):
    """Finds the entities of a document in its text.

    An entity fits if its text is what stands at its offsets, white space aside; one that comes without text
    cannot be checked, and fits if it is inside the document. If some do not fit, then:
    1. the offsets of all are read in the unit (characters, bytes, UTF-16) in which most fit;
    2. those that still do not fit are moved together if there is exactly one distance by which each meets
       its text as whole words;
    3. else they are left out and counted.

    Args:
      text: str.
      mentions: list of Mention.
      report: Report.

    Returns:
      `(entities, unit)`: a tuple of Entity, and what the file's offsets count, one of CODE_UNITS, or None for
      characters.
    """
    unit = None
    entities = [_read_offsets(text, mention) for mention in mentions]
    if None in entities:
        readings = {unit: [_read_offsets(text, mention, unit) for mention in mentions] for unit in CODE_UNITS}
        best = min(readings, key=lambda name: readings[name].count(None))
        if readings[best].count(None) < entities.count(None):
            unit, entities = best, readings[best]
            report.other_units[unit] += 1
    misfits = [mention for mention, entity in zip(mentions, entities, strict=True) if entity is None]
    moved = dict(zip(misfits, _move(text, misfits), strict=True))
    entities = [entity or moved[mention] for mention, entity in zip(mentions, entities, strict=True)]
    for mention in misfits:
        _report_misfit(text, mention, moved[mention], report)
    entities = tuple(entity for entity in entities if entity)
    report.entities += len(entities)
    return entities, unit


def keep_placed(relations, entities, report):
    """Those of some relations whose two entities are there, a tuple; counts the others."""
    known = {entity.id for entity in entities}
    kept, rest = [], []
    for relation in relations:
        (kept if {relation.first, relation.second} <= known else rest).append(relation)
    report.without_entity.update(relation.type for relation in rest)
    return tuple(kept)


def parse_span(start, end, where):
    """Two columns as numbers; raises InputError if they are none or the span is empty."""
    if not (is_number(start) and is_number(end) and int(start) < int(end)):
        raise InputError(f"{where}: offsets {start[:40]!r}, {end[:40]!r}; expected numbers, start < end")
    return int(start), int(end)


def is_number(text):
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


def split_concepts(text):
    """The concepts that a column names: all of it, too, since some ids (`c|SUB|A|1|G`) hold separators."""
    return frozenset({text, *re.split(r"[|;,]", text)} - {"", "-", "-1"})


def _read_offsets(text, mention, unit=None):
    """Returns the Entity with offsets in `text`, None if its text is not there."""
    entity, base = mention.entity, mention.base
    start, end = base + entity.start, base + entity.end
    if unit:
        start, end = (_count_characters(text[base:], n, *CODE_UNITS[unit]) for n in (entity.start, entity.end))
        if start is None or end is None:
            return None
        start, end = base + start, base + end
    found = text[start:end]
    if not found.strip() or (mention.text and fold(found) != fold(mention.text)):
        return None
    start, end = trim(text, start, end)
    return dataclasses.replace(entity, start=start, end=end)


def _count_characters(text, units, encoding, unit_bytes):
    """How many characters the first `units` of `text` are; None if they end inside a character or beyond."""
    encoded = text.encode(encoding)
    if units * unit_bytes > len(encoded):
        return None
    try:
        return len(encoded[: units * unit_bytes].decode(encoding))
    except UnicodeDecodeError:
        return None


def _move(text, mentions):
    """Returns an Entity for each mention, all moved by one distance; Nones if there is none, or several."""
    common = None
    for mention in mentions if all(mention.text for mention in mentions) else []:
        words = re.finditer(rf"(?<!\w){re.escape(mention.text)}(?!\w)", text)
        distances = {match.start() - mention.base - mention.entity.start for match in words}
        common = distances if common is None else common & distances
    if common is None or len(common) != 1:
        return [None] * len(mentions)
    (distance,) = common
    starts = [mention.base + mention.entity.start + distance for mention in mentions]
    return [
        dataclasses.replace(mention.entity, start=start, end=start + len(mention.text))
        for mention, start in zip(mentions, starts, strict=True)
    ]


def _report_misfit(text, mention, moved, report):
    start, end = mention.base + mention.entity.start, mention.base + mention.entity.end
    message = (
        f"{mention.where}: entity {mention.entity.id} {mention.text!r}, but the text at its offsets is "
        f"{text[start:end]!r}"
    )
    if moved:
        report.shifted += 1
        report.add_example(f"{message}; moved by {moved.start - start}")
    else:
        report.misplaced += 1
        report.add_example(f"{message}; left out")
