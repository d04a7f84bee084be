"""Entities that a file gives and where they stand in its text: what it says about that, checked and mended."""

import bisect
import collections
import dataclasses
import itertools
import re
import unicodedata

from common.errors import InputError
from common.inputs import fold
from data_prep.formats.document import Entity
from data_prep.text.sentences import trim

MAX_PLACES = 1000  # of a mention, of which one would have to be its own
MAX_EXAMPLES = 5  # of entities that do not fit, named in a report

# What offsets may count, besides characters: bytes, as BioC's DTD has it, or UTF-16 code units, as Java has it.
CODE_UNITS = {"UTF-8 bytes": ("utf-8", 1), "UTF-16 code units": ("utf-16-le", 2)}

# The letters from alpha to omega by their names, which some corpora have in the place of the letters.
GREEK = {
    ord(char): unicodedata.name(char).rpartition(" ")[2].lower().replace("lamda", "lambda")
    for char in "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω"  # noqa: RUF001 (Greek)
}
GREEK_NAMES = re.compile("|".join(sorted(set(GREEK.values()), key=len, reverse=True)), re.IGNORECASE)
DASHES = re.compile("[\u2010-\u2015\u2043\u2212]")


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
    spelled_otherwise: int = 0  # entities in their place, whose text differs as `_unify` says
    misplaced: int = 0  # entities left out
    discontinuous: int = 0  # entities left out
    parts_of_composites: int = 0  # annotations of parts of a mention that is an entity itself; left out
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
    2. those whose text differs by Greek letters spelled out, dashes, spaces and compatibility characters only are
       taken to fit, and counted;
    3. those that still do not fit are moved together if there is exactly one distance by which each meets
       its text as whole words;
    4. else they are left out and counted.

    Args:
      text: str.
      mentions: list of Mention.
      report: Report.

    Returns:
      `(entities, unit)`: a tuple of Entity, and what the file's offsets count, one of CODE_UNITS, or None for
      characters.
    """
    unit = units = None
    entities = [_read_offsets(text, mention) for mention in mentions]
    if None in entities:
        other = {name: _Units(text, *encoding) for name, encoding in CODE_UNITS.items()}
        readings = {name: [_read_offsets(text, mention, other[name]) for mention in mentions] for name in other}
        best = min(readings, key=lambda name: readings[name].count(None))
        if readings[best].count(None) < entities.count(None):
            unit, units, entities = best, other[best], readings[best]
            report.other_units[unit] += 1
        exact = len(entities) - entities.count(None)
        entities = [
            entity or _read_offsets(text, mention, units, _unify)
            for mention, entity in zip(mentions, entities, strict=True)
        ]
        report.spelled_otherwise += len(entities) - entities.count(None) - exact
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


def _read_offsets(text, mention, units=None, unify=fold):
    """Returns the Entity with offsets in `text`, None if its text is not there.

    Args:
      text: str.
      mention: Mention.
      units: `_Units` in which the offsets are; None: characters.
      unify: what is equal of its text and of that at its offsets.
    """
    start, end = mention.base + mention.entity.start, mention.base + mention.entity.end
    if units:
        start, end = (units.character(mention.base, n) for n in (mention.entity.start, mention.entity.end))
        if start is None or end is None:
            return None
    found = text[start:end]
    if not found.strip() or (mention.text and unify(found) != unify(mention.text)):
        return None
    start, end = trim(text, start, end)
    return dataclasses.replace(mention.entity, start=start, end=end)


def _unify(text):
    """Returns the text in NFKC, with Greek letters by name, one kind of dash and no white space."""
    text = unicodedata.normalize("NFKC", "".join(text.split()))
    return GREEK_NAMES.sub(lambda match: match[0].lower(), DASHES.sub("-", text)).translate(GREEK)


class _Units:
    """The characters of a text by the code units before them."""

    def __init__(self, text, encoding, unit_bytes):
        sizes = {char: len(char.encode(encoding, "surrogatepass")) // unit_bytes for char in set(text)}
        self._before = [0, *itertools.accumulate(map(sizes.__getitem__, text))]

    def character(self, base, units):
        """Which character is so many units behind the character `base`; None inside one, or beyond the text."""
        wanted = self._before[min(base, len(self._before) - 1)] + units
        place = bisect.bisect_left(self._before, wanted)
        return place if self._before[place : place + 1] == [wanted] else None


def _move(text, mentions):
    """Returns an Entity for each mention, all moved by one distance; Nones if there is none, or several.

    The longest mention, the rarest as a rule, gives the distances that may be; none is unique where it is frequent.
    """
    if not mentions or not all(mention.text for mention in mentions):
        return [None] * len(mentions)
    longest = max(mentions, key=lambda mention: len(mention.text))
    places = re.finditer(rf"(?<!\w){re.escape(longest.text)}(?!\w)", text)
    places = [match.start() for match in itertools.islice(places, MAX_PLACES + 1)]
    distances = (place - longest.base - longest.entity.start for place in places)
    meets = (distance for distance in distances if all(_is_word_at(text, mention, distance) for mention in mentions))
    found = list(itertools.islice(meets, 2))
    if len(found) != 1 or len(places) > MAX_PLACES:
        return [None] * len(mentions)
    starts = [mention.base + mention.entity.start + found[0] for mention in mentions]
    return [
        dataclasses.replace(mention.entity, start=start, end=start + len(mention.text))
        for mention, start in zip(mentions, starts, strict=True)
    ]


def _is_word_at(text, mention, distance):
    """Whether a mention, moved, is at whole words that are its text."""
    start = mention.base + mention.entity.start + distance
    end = start + len(mention.text)
    if start < 0 or not text.startswith(mention.text, start):
        return False
    return not (start and is_word(text[start - 1])) and not (end < len(text) and is_word(text[end]))


def is_word(char):
    return char.isalnum() or char == "_"  # as `\w`


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
