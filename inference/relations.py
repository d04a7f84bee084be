"""Classifies the pairs of entities of a sentence with a model that run_re.py trained."""

import bisect
import collections
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from common.errors import InputError
from data_prep.formats.document import Document, Entity, Relation, unused_ids
from data_prep.tasks import relations
from data_prep.tasks.relations import anonymize
from data_prep.text.sentences import join_across
from fine_tuning.model_directory import FILE_NAME, ModelDirectory
from inference import sequences

GROUPED_BATCHES = 16  # made of pairs together, of similar length; a text without sentences may have millions
LONGEST_SENTENCE = 5_000  # characters around a pair; text without sentences (10 MB on a line) makes no more than that


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model of relations."""

    directory: ModelDirectory
    compiled: sequences.Compiled  # as of `sequences.load`: `probabilities` float32 [B, L]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two entities of a sentence, and the sentence with them made anonymous."""

    first: Entity
    second: Entity
    sentence: str


def load_classifier(directory: ModelDirectory) -> Classifier:
    """Loads the model of a `ModelDirectory`.

    Raises:
      InputError: it does not say what stands for the two entities.
    """
    pairs = directory.settings["entity_pairs"]
    if not pairs or not all(map(_is_pair, pairs)):
        raise InputError(
            f"{directory.path}/{FILE_NAME}: entity_pairs is {json.dumps(pairs)[:100]}; expected what stands for "
            'the two entities of a sentence in the training data, such as [["@DISEASE$", "@GENE$"]]'
        )
    return Classifier(directory, sequences.load(directory))


def _is_pair(markers):
    is_text = isinstance(markers, list) and all(isinstance(marker, str) for marker in markers)
    return is_text and len(markers) == 2 and all(map(relations.MARKER.fullmatch, markers))


def relate(
    documents: Sequence[Document],
    classifier: Classifier,
    batch_size: int,
    advance: Callable[[int], object] = lambda count: None,
) -> list[Document]:
    """Finds relations between the entities of each sentence, given or found, in the place of those found before.

    A pair that the model gives its negative label (`false`, `0`) is no relation.

    Args:
      documents: a list of `Document` with words.
      classifier: `Classifier`.
      batch_size: sequences per batch.
      advance: called with the number of pairs that are done, after each batch.

    Returns:
      The documents, with the relations found behind those of the input.
    """
    directory = classifier.directory
    negative = directory.settings.get("negative_label")
    pairs = ((i, pair) for i, document in enumerate(documents) for pair in find_pairs(document, directory.settings))
    # Of each document (pair, label, probability).
    found: list[list[tuple[Pair, str, float]]] = [[] for _ in documents]
    while group := list(itertools.islice(pairs, batch_size * GROUPED_BATCHES)):
        encoded = [encode(pair.sentence, directory) for _, pair in group]
        rows = sequences.run(classifier.compiled, encoded, batch_size, advance)
        for (i, pair), row in zip(group, rows, strict=True):
            best = int(np.argmax(row["probabilities"]))
            if directory.labels[best] != negative:
                found[i].append((pair, directory.labels[best], float(row["probabilities"][best])))
    return list(map(_with_relations, documents, found))


def _with_relations(document, found):
    given = [relation for relation in document.relations if relation.confidence is None]
    before = {(r.type, r.first, r.second): r.id for r in document.relations if r.confidence is not None}
    ids = unused_ids("R", document)
    named = []
    for pair, label, probability in found:
        ends = (pair.first.id, pair.second.id)
        named.append(Relation(before.get((label, *ends)) or next(ids), label, *ends, probability))
    return dataclasses.replace(document, relations=(*given, *named))


def find_pairs(document: Document, settings: Mapping[str, Any]) -> Iterator[Pair]:
    """Yields each `Pair` of a document's entities that share a sentence and are of types that the model knows.

    A type `Disease` is what `@DISEASE$` stands for. Entities that overlap make no pair; a mention that several models
    found as the same type counts once.

    Args:
      document: `Document` with words.
      settings: of the model, see `data_prep.tasks.relations.TextDescription`.
    """
    markers = _markers(settings)
    by_type_and_span: dict[tuple[str | None, int, int], Entity] = {}
    for entity in document.entities:
        kind = markers.get(_as_marker(entity.type))
        by_type_and_span.setdefault((kind, entity.start, entity.end), dataclasses.replace(entity, type=kind or ""))
    entities = sorted(by_type_and_span.values(), key=lambda entity: (entity.start, entity.end))
    wanted = [tuple(marker[1:-1] for marker in pair) for pair in settings["entity_pairs"]]
    spans = [(words[0][0], words[-1][1]) for words in cast(tuple, document.words)]
    starts = [entity.start for entity in entities]
    for start, end in join_across(spans, [(entity.start, entity.end) for entity in entities]):
        inside = entities[bisect.bisect_left(starts, start) : bisect.bisect_left(starts, end)]
        for first, second in _near(inside):
            if {(first.type, second.type), (second.type, first.type)}.isdisjoint(wanted):
                continue
            span = max(start, second.end - LONGEST_SENTENCE), min(end, first.start + LONGEST_SENTENCE)
            sentence = anonymize(document.text, span, first, second, _others(inside, span, first, second, settings))
            if (first.type, second.type) not in wanted:
                first, second = second, first
            yield Pair(first, second, relations.lower_case(sentence) if settings["lower_case"] else sentence)


def can_relate(types: Iterable[str], settings: Mapping[str, Any]) -> bool:
    """Whether a model, by its settings, makes a pair of some entities of these types, a type for each."""
    markers = _markers(settings)
    known = collections.Counter(markers.get(_as_marker(name)) for name in types)
    return any(collections.Counter(marker[1:-1] for marker in pair) <= known for pair in settings["entity_pairs"])


def _markers(settings):
    """What stands for entities, without the signs around it, by its capitals."""
    return {marker[1:-1].upper(): marker[1:-1] for pair in settings["entity_pairs"] for marker in pair}


def _as_marker(entity_type):
    return "-".join(entity_type.upper().split())


def _others(entities, span, first, second, settings):
    """Further entities of the sentence that `@OTHER$` is to stand for."""
    if not settings["mask_others"]:
        return []
    inside = [entity for entity in entities if span[0] <= entity.start and entity.end <= span[1]]
    return [entity for entity in inside if entity not in (first, second)]


def _near(entities):
    """Pairs of a sentence's entities, those that overlap and those that are absurdly far apart left out."""
    for number, first in enumerate(entities):
        for place in range(number + 1, len(entities)):
            second = entities[place]
            if second.end - first.start > LONGEST_SENTENCE:
                break
            if first.end <= second.start:
                yield first, second


def encode(sentence: str, directory: ModelDirectory) -> sequences.Sequence:
    """The `Sequence` of an anonymized sentence, cut so that its entities stay, as in training."""
    pieces, *_ = relations.split_sentence(sentence, directory.tokenizer, directory.max_seq_length - 2)
    return sequences.Sequence(directory.tokenizer.convert_tokens_to_ids(["[CLS]", *pieces, "[SEP]"]))
