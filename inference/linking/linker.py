"""Gives entities the identifiers of the concepts that they mean.

A name of a terminology that has the key of a mention (`names.normalize`) is a match; where there is none, the names
most similar in n-grams of characters are, and then, if vectors are used, those most similar in these. Of concepts with
names that match equally the best is, in this order: one whose name is written as the mention is; one that the document
has elsewhere, where it is unmistakable; one whose name it is in the first place, not a synonym; one that a corpus has
more often; the first.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

from common.inputs import fold
from data_prep.formats.document import Document, Entity
from data_prep.text.abbreviations import find_definitions
from inference.linking import names
from inference.linking.index import Index
from inference.linking.name_vectors import NameVectors

LEAST_SCORE = 0.75
MAX_CACHED = 100_000  # mentions
WORD = re.compile(r"\w+(?:[-/]\w+)*")


@dataclasses.dataclass(frozen=True)
class Terminology:
    """An index, and the types of the entities that it is for."""

    index: Index
    types: frozenset[str]  # empty: those that its names have, any if they have none
    vectors: NameVectors | Any = None  # of the names; None: there is no encoder

    def serves(self, entity_type: str) -> bool:
        """Whether entities of a type get identifiers of it."""
        own = self.types or frozenset(self.index.types)
        return own == {""} or entity_type in own

    def has(self, name_type: str, entity_type: str) -> bool:
        """Whether a name of a type is one for entities of a type that it serves."""
        return not name_type or (name_type in self.types if self.types else name_type == entity_type)


class Match(NamedTuple):
    """A concept that a mention may mean; of several with one score the first in order is the best."""

    difference: int  # 0: written as the mention is; 1: but for upper and lower case; 2: otherwise
    rank: int  # as of `terminology`
    frequency: int  # minus how often a corpus has it
    place: tuple[int, int]  # of the terminology, of the name
    identifier: str
    name: str
    score: float  # 1: the keys are equal


class Linker:
    """Terminologies, and how to use them.

    Args:
      terminologies: those of one type in the order of their precedence.
      encoder: of the vectors that the terminologies have, `encoder.Encoder`; None: they have none.
      least_score: similarity from 0 to 1 that a name must have.
      keep: whether an identifier of the input stays; one that was linked before is always given anew.
      abbreviations: whether a mention is looked up by the long form that the text defines for it, or for a word in it.
    """

    def __init__(
        self,
        terminologies: Sequence[Terminology],
        encoder: Any = None,
        least_score: float = LEAST_SCORE,
        keep: bool = True,
        abbreviations: bool = True,
    ) -> None:
        self.terminologies = terminologies
        self.encoder = encoder
        self.least_score, self.keep, self.abbreviations = least_score, keep, abbreviations
        self._look_up = functools.lru_cache(MAX_CACHED)(self._find)

    def link(self, documents: Iterable[Document]) -> list[Document]:
        """The documents, which have words, with identifiers, their scores and the names that matched."""
        documents = list(documents)
        waiting = [[entity for entity in document.entities if self.is_for(entity)] for document in documents]
        asked = [
            [(texts, entity.type) for texts, entity in zip(self._texts(document, entities), entities, strict=True)]
            for document, entities in zip(documents, waiting, strict=True)
        ]
        by_vectors = self._find_by_vectors([each for of_document in asked for each in of_document])
        return [
            _with_matches(document, entities, [self._best(*each) or by_vectors.get(each, ()) for each in of_document])
            for document, entities, of_document in zip(documents, waiting, asked, strict=True)
        ]

    def _texts(self, document, entities):
        """For each entity a tuple of what to look it up by: with long forms for short ones, and as it is."""
        if not entities:
            return []
        long_forms = _long_forms(document) if self.abbreviations else {}
        return [_expand(fold(document.text[entity.start : entity.end]), long_forms) for entity in entities]

    def is_for(self, entity: Entity) -> bool:
        """Whether an entity is looked up: it is of a type that a terminology serves, and has no identifier to keep."""
        return self.serves(entity) and not (self.keep and is_given(entity))

    def serves(self, entity: Entity) -> bool:
        """Whether an entity is of a type that a terminology serves."""
        return any(one.serves(entity.type) for one in self.terminologies)

    def _best(self, texts, entity_type):
        """The matches with the best score of one of some texts, the first of those with one score."""
        found = [self._look_up(text, entity_type) for text in texts]
        return max(found, key=lambda matches: matches[0].score if matches else 0.0)

    def _find(self, text, entity_type):
        """A tuple of the `Match`es with the best score, in order."""
        key = names.normalize(text)
        if not key:
            return ()
        serving = self._serving(entity_type)
        exact = [[(number, 1.0)] if (number := one.index.find(key)) is not None else [] for one in serving]
        return self._matches(serving, exact, text, entity_type) or self._matches(
            serving, [one.index.similar(key, self.least_score) for one in serving], text, entity_type
        )

    def _find_by_vectors(self, asked):
        """From texts and type to matches, for those that nothing else finds."""
        missing = sorted({each for each in asked if not self._best(*each)}) if self.encoder else []
        if not missing:
            return {}
        mentions = self.encoder.encode([texts[0] for texts, _ in missing])
        similar = [one.vectors.similar(mentions, self.least_score) for one in self.terminologies]
        found = {}
        for place, (texts, entity_type) in enumerate(missing):
            keys = [
                each[place] for one, each in zip(self.terminologies, similar, strict=True) if one.serves(entity_type)
            ]
            found[texts, entity_type] = self._matches(self._serving(entity_type), keys, texts[0], entity_type)
        return found

    def _serving(self, entity_type):
        return [one for one in self.terminologies if one.serves(entity_type)]

    def _matches(self, serving, keys, text, entity_type):
        """A tuple of the `Match`es with the best score, in order.

        Args:
          serving: terminologies.
          keys: for each an iterable of keys, numbers and scores, the best first.
          text: the mention.
          entity_type: its type.
        """
        decisive = names.decisive(names.normalize(text))
        found = []
        for place, (one, of_one) in enumerate(zip(serving, keys, strict=True)):
            for number, score in of_one:
                if names.decisive(one.index.keys[number]) == decisive and (
                    matches := list(_matches_of_key(one, place, number, score, text, entity_type))
                ):
                    found += matches
                    break
        best = max((match.score for match in found), default=0.0)
        return tuple(sorted(match for match in found if match.score == best))


def is_given(entity: Entity) -> bool:
    """Whether an entity has an identifier that no terminology gave it here."""
    return bool(entity.identifier) and entity.identifier_score is None


def _matches_of_key(one, place, number, score, text, entity_type):
    """Yields the matches that a key, by its number in an index, gives a text."""
    for order, row in enumerate(one.index.rows(number)):
        if one.has(row.type, entity_type):
            difference = 0 if row.text == text else 1 if row.text.casefold() == text.casefold() else 2
            yield Match(difference, row.rank, -row.count, (place, order), row.identifier, row.text, score)


def _with_matches(document, entities, matches):
    """The document with identifiers for some of its entities, each of which has a tuple of matches."""
    if not entities:
        return document
    again = {entity.id for entity in entities}
    known = {entity.identifier for entity in document.entities if entity.id not in again}
    known |= {each[0].identifier for each in matches if _is_unmistakable(each)}
    linked = {entity.id: _with_match(entity, each, known) for entity, each in zip(entities, matches, strict=True)}
    return dataclasses.replace(document, entities=tuple(linked.get(each.id, each) for each in document.entities))


def _is_unmistakable(matches):
    return len({match.identifier for match in matches}) == 1 and matches[0].score == 1.0


def _with_match(entity, matches, known):
    if not matches:
        return dataclasses.replace(entity, identifier="", identifier_score=None, matched_name="")
    alike = [match for match in matches if match.difference == matches[0].difference]
    match = next((match for match in alike if match.identifier in known), matches[0])
    return dataclasses.replace(
        entity, identifier=match.identifier, identifier_score=match.score, matched_name=match.name
    )


def _long_forms(document):
    """From each short form that a document defines to its long form."""
    sentences = [(words[0][0], words[-1][1]) for words in cast(tuple, document.words)]
    forms: dict[str, str] = {}
    for definition in find_definitions(document.text, sentences):
        short, long = (fold(document.text[slice(*span)]) for span in (definition.short, definition.long))
        forms.setdefault(short, long)
    return forms


def _expand(text, long_forms):
    whole = long_forms.get(text) or WORD.sub(lambda match: long_forms.get(match[0], match[0]), text)
    return (whole, text) if whole != text else (text,)
