"""What a corpus is made of, in units of work that several processes share, and a unit as entries of the corpus.

The entries depend on the files, their order and the options alone, not on the units.
"""

import dataclasses
import functools
import hashlib
import os
from typing import NamedTuple

from absl import flags

from common import inputs
from data_prep.corpus import text_documents
from data_prep.corpus.versions import digest
from data_prep.formats import pmc_articles, pubmed_xml
from data_prep.formats.document import WITHOUT_TEXT
from data_prep.text.sentences import SPLITTERS, load_sentence_splitter

PUBMED, PMC, TEXT = CORPORA = ("pubmed", "pmc", "text")
TEXT_PART_BYTES = 16 << 20  # of a text, for a unit
ARCHIVE_PART_BYTES = 256 << 20  # of an archive; each part decompresses all of it,
MAX_ARCHIVE_PARTS = 8  # so there are not many
ARTICLES_A_UNIT = 1000  # that are files of their own


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are read."""

    pubmed: pubmed_xml.Options = pubmed_xml.Options()
    pmc: pmc_articles.Options = pmc_articles.Options()
    text: text_documents.Options = text_documents.Options()
    sentence_splitter: str = "nupunkt"  # one of sentences.SPLITTERS
    skip_bad_files: bool = False  # and count them; else the first is an error


@dataclasses.dataclass(frozen=True)
class Sources:
    """Files, and how they are read."""

    pubmed_files: tuple[str, ...] = ()
    pmc_files: tuple[str, ...] = ()
    text_files: tuple[str, ...] = ()
    reading: Reading = Reading()


@dataclasses.dataclass(frozen=True)
class Unit:
    """Some files, or one of several parts of a file."""

    number: int
    corpus: str  # one of CORPORA
    paths: tuple[str, ...]
    first: int  # which of all files of all corpora the first is
    part: int = 0
    parts: int = 1

    @property
    def key(self):
        """What its files on disk are called: the same wherever it stands among all units."""
        content = "\n".join((self.corpus, *self.paths, f"{self.part} of {self.parts}"))
        return hashlib.blake2b(os.fsencode(content), digest_size=12).hexdigest()


class Entry(NamedTuple):
    """A document with its sentences, or the news that there is none, see `Article`."""

    id: bytes  # digest of the document's; b"" if it has none
    version: int
    order: int  # of the entries of a file, or of files that make a unit, as they are read
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


def file_size(path):
    """Returns the size of a file in bytes, 0 if it cannot be told: then it is bad, which its reader will say."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


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
            add(PMC, [path], min(MAX_ARCHIVE_PARTS, 1 + file_size(path) // ARCHIVE_PART_BYTES))
            first += 1
        elif path is not None:
            articles.append(path)
    for path in sources.text_files:
        add(TEXT, [path], 1 if inputs.is_compressed(path) else 1 + file_size(path) // TEXT_PART_BYTES)
        first += 1
    return units


def read_entries(unit, reading, tally):
    """Yields the entries of a unit.

    Args:
      unit: Unit.
      reading: Reading.
      tally: Tally, to which what is bad is added.

    Raises:
      InputError: a bad file. Not of a bad article: that is given to `tally`. Otherwise the unit is bad, also if bad
        files are to be skipped, and its entries so far are to be thrown away.
    """
    split_sentences = _splitter(unit.corpus, reading)
    corpus = CORPORA.index(unit.corpus)
    last, index = None, 0
    for number, article in _read_articles(unit, reading, tally):
        # Several articles may be in one file.
        last, index = number, index + 1 if number == last else 0
        order = (number << 16) + index if unit.corpus == PMC else number
        article_id = digest(article.id.encode()) if article.id else b""
        sentences = [text[start:end] for text in article.paragraphs for start, end in split_sentences(text)]
        left_out = article.left_out or ("" if sentences else WITHOUT_TEXT)
        text = b"" if left_out else "".join(sentence + "\n" for sentence in sentences).encode()
        yield Entry(article_id, article.version, order, corpus, left_out, b"" if left_out else digest(text), text)


def _read_articles(unit, reading, tally):
    if unit.corpus == PUBMED:
        return pubmed_xml.read_articles(unit.paths[0], reading.pubmed)
    if unit.corpus == PMC:
        return pmc_articles.read_articles(unit.paths, reading.pmc, unit.part, unit.parts, tally.bad_file)
    return text_documents.read_articles(unit.paths[0], reading.text, unit.part, unit.parts, tally.dropped)


@functools.lru_cache(maxsize=2)
def _load_splitter(name):
    return load_sentence_splitter(name)


def _splitter(corpus, reading):
    are_sentences = corpus == TEXT and reading.text.text_format == "sentences"
    return _load_splitter("none" if are_sentences else reading.sentence_splitter)


def check_splitter(unit, reading):
    """Raises InputError if the library that splits the sentences of a unit is not there, which no file can help."""
    _splitter(unit.corpus, reading)


# Flags


def define_source_flags():
    """Defines the flags that all sources share."""
    flags.DEFINE_enum("sentence_splitter", "nupunkt", SPLITTERS, "Library that finds sentences; none: paragraphs.")
    flags.DEFINE_enum(
        "bad_files", "error", ["error", "skip"], "At a file that cannot be read: stop, or leave it out and count it."
    )
    flags.DEFINE_integer("num_processes", 1, "Processes that work at a time.", lower_bound=1)


def reading_options(values):
    """Returns what the flags of `define_source_flags` mean for Reading."""
    return {"sentence_splitter": values.sentence_splitter, "skip_bad_files": values.bad_files == "skip"}
