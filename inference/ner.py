"""Finds the entities of documents with models that run_ner.py trained."""

import dataclasses
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from biocodes import conlleval
from data_prep.formats.document import Document, Entity, unused_ids
from data_prep.tasks import ner
from data_prep.text.words import find_words as words_of_text
from fine_tuning.model_directory import ModelDirectory
from inference import abbreviations, sequences


@dataclasses.dataclass(frozen=True)
class Tagger:
    """A model and the name that it goes by, also the type of its entities where its labels have none."""

    name: str
    directory: ModelDirectory
    compiled: sequences.Compiled  # as of `sequences.load`: `labels` int32 [B, F], `confidences` float32 [B, F]

    @property
    def types(self) -> set[str]:
        """What its entities can be: a set."""
        kinds = (conlleval.split_tag(label)[1] for label in self.directory.labels if label not in ner.REQUIRED_LABELS)
        return {kind or self.name for kind in kinds}


@dataclasses.dataclass(frozen=True)
class Word:
    """A word as a model labels it."""

    start: int
    end: int
    label: str  # O, B, I, or with a type: B-Disease
    confidence: float  # the probability of its first wordpiece's label


def load_tagger(name: str, directory: ModelDirectory) -> Tagger:
    """Loads the model of a `ModelDirectory`."""
    return Tagger(name, directory, sequences.load(directory))


def annotate(
    documents: Sequence[Document],
    taggers: Iterable[Tagger],
    batch_size: int,
    advance: Callable[[int], object] = lambda count: None,
    carry_over: bool = False,
) -> list[Document]:
    """Finds entities, in the place of those that the same models found before.

    Args:
      documents: list of `Document` with words.
      taggers: list of `Tagger`.
      batch_size: sequences per batch.
      advance: called with the number of sequences that a model has labelled, after each batch.
      carry_over: whether abbreviations that the text defines for an entity are entities too, see `abbreviations`.

    Returns:
      The documents, with the entities found behind those of the input. One that was found before keeps its id and its
      identifier; one that is not found again stays only where a relation of the input, which no model found, names it.
    """
    taggers = list(taggers)
    found = [tag(documents, tagger, batch_size, advance) for tagger in taggers]
    return [
        _with_entities(
            document, [entity for entities in of_taggers for entity in entities], {t.name for t in taggers}, carry_over
        )
        for document, *of_taggers in zip(documents, *found, strict=True)
    ]


def find_words(document: Document, split_sentences: Callable[[str], list[tuple[int, int]]]) -> Document:
    """The document with its sentences and their words, see `data_prep.text.words`.

    A document that comes with words keeps them.
    """
    if document.words is not None:
        return document
    found = words_of_text(document.text, document.paragraphs, split_sentences)
    return dataclasses.replace(document, words=found)


def tag(
    documents: Sequence[Document],
    tagger: Tagger,
    batch_size: int,
    advance: Callable[[int], object] = lambda count: None,
) -> list[list[Entity]]:
    """For each document a list of the entities that one model finds; their ids are still empty."""
    texts = (
        [document.text[slice(*span)] for span in words]
        for document in documents
        for words in cast(tuple, document.words)
    )
    # One document alone may be of any length.
    chunks = sequences.in_chunks(texts, lambda each: sum(map(len, each)), sequences.CHUNK_CHARACTERS)
    labelled = (each for chunk in chunks for each in _label_words(chunk, tagger, batch_size, advance))
    return [
        [
            Entity("", kind or tagger.name, start, end, confidence, tagger.name)
            for spans in cast(tuple, document.words)
            for kind, start, end, confidence in find_entities(join_words(spans, *next(labelled)))
        ]
        for document in documents
    ]


def _label_words(texts, tagger, batch_size, advance):
    """Yields for each sentence the label of each word's first wordpiece, and its probability: two lists.

    A word without a wordpiece has O.

    Args:
      texts: for each sentence a list of words.
      tagger, batch_size, advance: as for `annotate`.
    """
    directory = tagger.directory
    pieces = ner.split_words([ner.Sentence(words, []) for words in texts], directory.tokenizer)
    windows = ner.make_windows(pieces, directory.max_seq_length)
    encoded = [_encode(pieces[window.sentence].tokens[window.start : window.end], directory) for window in windows]
    rows = sequences.run(tagger.compiled, encoded, batch_size, advance)
    labels, confidences = (
        ner.merge_windows(windows, [row[key][: len(x.ids)] for row, x in zip(rows, encoded, strict=True)], pieces)
        for key in ("labels", "confidences")
    )
    for words, of_pieces, predicted, probabilities in zip(texts, pieces, labels, confidences, strict=True):
        names, values, previous = [ner.OUTSIDE] * len(words), [1.0] * len(words), -1
        for word, index, value in zip(of_pieces.word_of, predicted[1:-1], probabilities[1:-1], strict=True):
            if word != previous:
                names[word], values[word] = directory.labels[index], float(value)
            previous = word
        yield names, values


def _encode(tokens, directory):
    return sequences.Sequence(directory.tokenizer.convert_tokens_to_ids([ner.CLS, *tokens, ner.SEP]))


def join_words(spans: Iterable[tuple[int, int]], labels: Iterable[str], confidences: Iterable[float]) -> list[Word]:
    """Makes words of the labels that their first wordpieces have.

    Data sets differ in what a word is: `IL-2` is one, or three. Where a model says of a word that touches the one
    before that it goes on (`X`), it learned on data where they are one, and the word shares its entity. Any other
    label that no word of the data has counts as O.

    Args:
      spans, labels, confidences: for each word of a sentence.

    Returns:
      A list of `Word`.
    """
    words, end, before = [], -1, ner.OUTSIDE
    for (start, stop), label, confidence in zip(spans, labels, confidences, strict=True):
        if label == ner.CONTINUATION and start == end:
            label = before if before == ner.OUTSIDE else f"I{before[1:]}"
        elif label in ner.SPECIAL_LABELS:
            label = ner.OUTSIDE
        words.append(Word(start, stop, label, confidence))
        end, before = stop, label
    return words


def find_entities(words: Iterable[Word]) -> Iterator[tuple[str, int, int, float]]:
    """Yields the type ("" for labels without), start, end and confidence of each entity of a sentence.

    An entity is what the CoNLL evaluation takes for one: I after O or after another type begins it as well. Its
    confidence is the mean of its words'.
    """
    inside: list[Any] = []  # of `Word`
    previous = ("O", "")
    for word in [*words, None]:
        current = conlleval.split_tag(word.label if word else ner.OUTSIDE)
        if inside and conlleval.ends_chunk(previous, current):
            yield previous[1], inside[0].start, inside[-1].end, statistics.fmean(word.confidence for word in inside)
            inside = []
        if inside or conlleval.starts_chunk(previous, current):
            inside.append(word)
        previous = current


def _with_entities(document, found, models, carry_over):
    """The document with what some models found, in the order of the text and with ids that it does not have yet."""
    before: dict[tuple, Entity] = {}
    for entity in document.entities:
        if entity.model in models:
            before.setdefault(_place(entity), entity)
    found = [
        dataclasses.replace(entity.with_identifier_of(before.get(_place(entity), entity)), id=str(number))
        for number, entity in enumerate(found)
    ]
    if carry_over:
        found = abbreviations.carry_over(document, found)
    found.sort(key=lambda entity: (entity.start, -entity.end))
    ids = unused_ids("T", document)
    again = set()
    names = {}  # from ids here to those of the document
    for entity in found:
        old = before.get(_place(entity))
        names[entity.id] = old.id if old and old.id not in again else next(ids)
        again.add(names[entity.id])
    found = [
        dataclasses.replace(
            entity.with_identifier_of(old if (old := before.get(_place(entity))) and old.identifier else entity),
            id=names[entity.id],
            abbreviation_of=names.get(entity.abbreviation_of, ""),
        )
        for entity in found
    ]
    needed = {end for r in document.relations if r.confidence is None for end in (r.first, r.second)}
    gone = {e.id for e in document.entities if e.model in models and e.id not in again | needed}
    relations = tuple(r for r in document.relations if gone.isdisjoint((r.first, r.second)))
    kept = [entity for entity in document.entities if entity.id not in gone | again]
    return dataclasses.replace(document, entities=(*kept, *found), relations=relations)


def _place(entity):
    """What is the same of an entity that is found again; brat allows few signs in a type."""
    return entity.model, re.sub("[^A-Za-z0-9_-]", "_", entity.type), entity.start, entity.end
