"""Entities and relations of any number of documents, a bounded number of them in memory."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.text import sentences
from fine_tuning import model_directory
from inference import ner, relations, sequences
from inference.linking.linker import Linker


@dataclasses.dataclass(frozen=True)
class Annotator:
    """The models that go over a text, in one pass."""

    taggers: list[ner.Tagger]
    classifier: relations.Classifier | None
    split_sentences: Callable[[str], list[tuple[int, int]]]  # as of `data_prep.text.sentences.load_sentence_splitter`
    batch_size: int
    abbreviations: bool = True  # whether what is found is carried over to the abbreviations that the text defines
    linker: Linker | None = None  # what gives entities identifiers

    def annotate(
        self, documents: Iterable[Document], advance: Callable[[int], object] = lambda count: None
    ) -> Iterator[Document]:
        """Yields the documents in their order, with words, entities and relations.

        Args:
          documents: iterable of `Document`.
          advance: called with the number of sequences that a model is done with, after each batch.
        """
        # 1: there may be any number without text.
        for chunk in sequences.in_chunks(documents, lambda one: len(one.text) + 1, sequences.CHUNK_CHARACTERS):
            chunk = [ner.find_words(document, self.split_sentences) for document in chunk]
            chunk = ner.annotate(chunk, self.taggers, self.batch_size, advance, self.abbreviations)
            if self.linker:
                chunk = self.linker.link(chunk)
            if self.classifier:
                chunk = relations.relate(chunk, self.classifier, self.batch_size, advance)
            yield from chunk


def name_models(values: Iterable[str]) -> dict[str, str]:
    """From `[NAME=]DIR` to a dict from name to directory; raises `InputError` for a missing or repeated name."""
    named = {}
    for value in values:
        name, found, path = value.partition("=")
        if not found or os.path.isdir(value):
            name, path = os.path.basename(os.path.normpath(os.path.abspath(value))), value
        if not name or not path:
            raise InputError(f"--ner_model={value}: expected NAME=DIR, or a directory alone")
        if name in named:
            raise InputError(f"--ner_model={value}: a second model called {name}; expected NAME=DIR with another name")
        named[name] = path
    return named


def load_annotator(
    names: Mapping[str, str],
    re_model: str | None,
    splitter: str,
    batch_size: int,
    carry_over: bool = True,
    linker: Linker | None = None,
) -> Annotator:
    """Reads all models' directories, then loads their weights.

    Args:
      names: from name to directory of the models that look for entities.
      re_model: directory of a model of relations, or None.
      splitter: name of a library that finds sentences.
      batch_size: sequences per batch.
      carry_over: see `Annotator.abbreviations`.
      linker: see `Annotator.linker`.
    """
    split_sentences = sentences.load_sentence_splitter(splitter)
    directories = {name: model_directory.read(path, "ner") for name, path in names.items()}
    of_relations = model_directory.read(re_model, "re") if re_model else None
    taggers = [ner.load_tagger(name, directory) for name, directory in directories.items()]
    classifier = relations.load_classifier(of_relations) if of_relations else None
    if classifier and taggers:
        _warn_of_types(taggers, classifier)
    return Annotator(taggers, classifier, split_sentences, batch_size, carry_over, linker)


def _warn_of_types(taggers, classifier):
    """Says so if no pair of the entities that are found is one that the model of relations knows."""
    types, directory = set().union(*(tagger.types for tagger in taggers)), classifier.directory
    if not relations.can_relate([*types, *types], directory.settings):  # a sentence may have two of each
        pairs = ", ".join(" and ".join(pair) for pair in directory.settings["entity_pairs"])
        logging.warning(
            "%s: relates %s, but the models find %s; expected --ner_model=NAME=DIR with such names, or input with such "
            "entities",
            directory.path,
            pairs,
            ", ".join(sorted(types)),
        )
