"""Carries what a model found over to the abbreviations that the text defines.

Where `chronic kidney disease (CKD)` is defined and the long form is an entity, each CKD from there on is one too.
"""

import bisect
import collections
import dataclasses
import re
from collections.abc import Sequence
from typing import cast

from data_prep.formats.document import Document, Entity
from data_prep.formats.placement import is_word
from data_prep.text.abbreviations import find_definitions

NOTHING = Entity("", "", 0, 0)  # without an identifier
BEGINNING = re.compile(r"\w+")  # of a short form, in which it is one word at least


def carry_over(document: Document, found: Sequence[Entity]) -> list[Entity]:
    """Adds to what models found in a document the entities that its abbreviations are.

    A short form from its definition on, as a whole word, is an entity of the type of the long form, with its identifier
    if the long form is the whole of that entity. `abbreviation_of` names it. An entity of the same model that is the
    short form gets the type and the identifier; one that overlaps it otherwise stays, and no other is added.

    Args:
      document: with words.
      found: entities with different ids.

    Returns:
      A list of the entities, those added at its end.
    """
    donors = _donors(document, found)
    of_model: dict[str, list[Entity]] = collections.defaultdict(list)
    for entity in sorted(found, key=lambda entity: entity.start):
        of_model[entity.model].append(entity)
    changed, added = {}, []
    ends: dict[str, int] = collections.defaultdict(int)  # by model, of what was added last
    for short, start in _occurrences(document.text, donors):
        end = start + len(short)
        for model, defined in donors[short].items():
            place = bisect.bisect_right(defined, start, key=lambda each: each[0])
            if place == 0 or start < ends[model]:
                continue
            donor = defined[place - 1][1]
            there = _overlapping(of_model[model], start, end)
            if not there:
                name = f"{donor.id}:{start}"
                new = dataclasses.replace(donor, id=name, start=start, end=end, abbreviation_of=donor.id)
                added.append(new)
                ends[model] = end
            elif [(entity.start, entity.end) for entity in there] == [(start, end)]:
                (entity,) = there
                meant = entity.with_identifier_of(donor if donor.identifier else entity)
                changed[entity.id] = dataclasses.replace(meant, type=donor.type, abbreviation_of=donor.id)
    return [changed.get(entity.id, entity) for entity in found] + added


def _donors(document, found):
    """From short form and model to a list: where a definition begins to hold, and the entity of its long form."""
    by_end = collections.defaultdict(list)
    for entity in found:
        by_end[entity.end].append(entity)
    sentences = [(words[0][0], words[-1][1]) for words in cast(tuple, document.words) if by_end]
    donors: dict[str, dict[str, list[tuple[int, Entity]]]] = {}
    for definition in find_definitions(document.text, sentences):
        short = document.text[slice(*definition.short)]
        for entity in by_end[definition.long[1]]:
            if entity.start <= definition.long[0]:
                whole = entity.start == definition.long[0]
                donor = entity if whole else entity.with_identifier_of(NOTHING)
                donors.setdefault(short, {}).setdefault(entity.model, []).append((definition.short[0], donor))
    return donors


def _occurrences(text, shorts):
    """Yields each short form and where it begins, as a whole word, in the order of the text, the longest first."""
    by_beginning = collections.defaultdict(list)
    for short in sorted(shorts, key=len, reverse=True):
        by_beginning[BEGINNING.findall(short)[0]].append(short)
    for match in BEGINNING.finditer(text):
        for short in by_beginning.get(match[0], ()):
            end = match.start() + len(short)
            if text.startswith(short, match.start()) and not (end < len(text) and is_word(text[end])):
                yield short, match.start()


def _overlapping(entities, start, end):
    """Those of some entities in order, which as a rule do not overlap each other, that overlap a span."""
    found = []
    place = bisect.bisect_left(entities, end, key=lambda entity: entity.start)
    while place and entities[place - 1].end > start:
        place -= 1
        found.append(entities[place])
    return found
