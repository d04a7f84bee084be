"""What a corpus is made of, in units of work that several processes share, and a unit as entries of the corpus.

The entries depend on the files, their order and the options alone, not on the units.
"""

import dataclasses
import functools
import hashlib
import os
from typing import NamedTuple

from absl import flags

from data_prep import pmc_articles, pubmed_xml, text_documents
from data_prep.documents import DELETED
from data_prep.sentences import SPLITTERS, load_sentence_splitter

PUBMED, PMC, TEXT = CORPORA = ("pubmed", "pmc", "text")
PART_BYTES = 256 << 20  # of an archive or a text, for a unit
ARTICLES_A_UNIT = 1000  # that are files of their own
DIGEST_BYTES = 16  # so that no two texts or ids have one by chance


@dataclasses.dataclass(frozen=True)
class Sources:
    """Files and how they are read."""

    pubmed_files: tuple[str, ...] = ()
    pmc_files: tuple[str, ...] = ()
    text_files: tuple[str, ...] = ()
    pubmed_options: pubmed_xml.Options = pubmed_xml.Options()
    pmc_options: pmc_articles.Options = pmc_articles.Options()
    text_options: text_documents.Options = text_documents.Options()
    sentence_splitter: str = "nupunkt"  # one of sentences.SPLITTERS
    skip_bad_files: bool = False  # and count them; else the first is an error


@dataclasses.dataclass(frozen=True)
class Unit:
    """Some files, or one of several parts of a file."""

    number: int
    corpus: str  # one of CORPORA
    paths: tuple[str, ...]
    first: int  # which of all files of all corpora the first is
    part: int = 0
    parts: int = 1


class Entry(NamedTuple):
    """A document with its sentences, or the news that there is none, see `documents.Document`."""

    id: bytes  # digest of the document's; b"" if it has none
    version: int
    order: int  # of all entries, as they are read
    corpus: int  # its place in CORPORA
    left_out: str
    digest: bytes  # of the text; b"" if it is left out
    text: bytes  # UTF-8, a sentence a line, each with its line end


@dataclasses.dataclass
class Tally:
    """What was met in a unit beside documents."""

    skip_bad_files: bool
    bad_files: list[str] = dataclasses.field(default_factory=list)  # one message for each
    invalid_bytes: int = 0

    def bad_file(self, error):
        """Notes a file that cannot be read, or raises the error."""
        if not self.skip_bad_files:
            raise error
        self.bad_files.append(str(error))

    def dropped(self, count):
        """Notes bytes that are not UTF-8 and were left out."""
        self.invalid_bytes += count


def list_units(sources):
    """Returns the units of all files, in order."""
    units = []
    first = 0

    def add(corpus, paths, parts=1):
        for part in range(parts):
            units.append(Unit(len(units), corpus, tuple(paths), first, part, parts))

    for path in sources.pubmed_files:
        add(PUBMED, [path])
        first += 1
    articles = []
    for path in (*sources.pmc_files, None):
        # Archives stand alone; articles that follow each other go together.
        if articles and (path is None or pmc_articles.is_archive(path) or len(articles) == ARTICLES_A_UNIT):
            add(PMC, articles)
            first += len(articles)
            articles = []
        if path is not None and pmc_articles.is_archive(path):
            add(PMC, [path], 1 + os.path.getsize(path) // PART_BYTES)
            first += 1
        elif path is not None:
            articles.append(path)
    for path in sources.text_files:
        add(TEXT, [path], 1 if text_documents.is_compressed(path) else 1 + os.path.getsize(path) // PART_BYTES)
        first += 1
    return units


def read_entries(unit, sources, tally):
    """Yields the entries of a unit.

    Args:
      unit: Unit.
      sources: Sources.
      tally: Tally, to which what is bad is added.

    Raises:
      InputError: a bad file, unless it is to be skipped; of PubMed and text, whichever: the unit is bad then, and its
        entries so far are to be thrown away.
    """
    split_sentences = _splitter(sources, unit.corpus)
    corpus = CORPORA.index(unit.corpus)
    for number, document in _read_documents(unit, sources, tally):
        order = (unit.first << 32) + number
        document_id = _digest(document.id.encode()) if document.id else b""
        sentences = [text[start:end] for text in document.paragraphs for start, end in split_sentences(text)]
        left_out = document.left_out or ("" if sentences else "without text")
        text = b"" if left_out else "".join(sentence + "\n" for sentence in sentences).encode()
        yield Entry(document_id, document.version, order, corpus, left_out, b"" if left_out else _digest(text), text)


def _read_documents(unit, sources, tally):
    if unit.corpus == PUBMED:
        return pubmed_xml.read_documents(unit.paths[0], sources.pubmed_options)
    if unit.corpus == PMC:
        return pmc_articles.read_documents(unit.paths, sources.pmc_options, unit.part, unit.parts, tally.bad_file)
    return text_documents.read_documents(unit.paths[0], sources.text_options, unit.part, unit.parts, tally.dropped)


def _digest(content):
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


@functools.lru_cache(maxsize=2)
def _load_splitter(name):
    return load_sentence_splitter(name)


def _splitter(sources, corpus):
    are_sentences = corpus == TEXT and sources.text_options.text_format == "sentences"
    return _load_splitter("none" if are_sentences else sources.sentence_splitter)


def newest(entries):
    """Returns which entry of one id counts: of the highest version the one read last; None if it was withdrawn.

    Args:
      entries: list of `(version, order, left_out)`.
    """
    latest = {}  # version: place of the entry
    for place in sorted(range(len(entries)), key=lambda place: entries[place][1]):
        version, _, left_out = entries[place]
        if left_out != DELETED:
            latest[version] = place
        elif version:
            latest.pop(version, None)
        else:
            latest.clear()
    return latest[max(latest)] if latest else None


def shard_of(digest, num_shards):
    """Returns the shard of a text by its digest, which is between two of `shard_bounds`."""
    return int.from_bytes(digest[:8], "big") * num_shards >> 64


def shard_bounds(num_shards):
    """Returns the digests [num_shards + 1] between which the texts of each shard are.

    The digest of a text is as good as random: so a shard holds documents of all journals and years, and always the
    same ones.
    """
    bounds = (-(-(number << 64) // num_shards) for number in range(num_shards))
    return [*(bound.to_bytes(8, "big") for bound in bounds), b"\xff" * (DIGEST_BYTES + 1)]


# Flags


def define_source_flags():
    """Defines the flags that all sources share."""
    flags.DEFINE_enum("sentence_splitter", "nupunkt", SPLITTERS, "Library that finds sentences; none: paragraphs.")
    flags.DEFINE_enum(
        "bad_files", "error", ["error", "skip"], "At a file that cannot be read: stop, or leave it out and count it."
    )
    flags.DEFINE_integer("num_processes", 1, "Processes that work at a time.", lower_bound=1)


def source_options(values):
    """Returns what the flags of `define_source_flags` mean for Sources."""
    return {"sentence_splitter": values.sentence_splitter, "skip_bad_files": values.bad_files == "skip"}
