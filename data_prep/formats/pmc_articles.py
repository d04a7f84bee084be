"""Articles of PubMed Central (Open Access subset, JATS XML), as articles of a corpus and as documents.

Files, directories of files, and the `.tar.gz` archives as PMC distributes them, which are read as a stream: nothing
is unpacked or written.
"""

import dataclasses
import io
import itertools
import os
import tarfile
import types

from absl import flags
from lxml import etree

from common.errors import InputError, raise_error
from common.inputs import READ_ERRORS, as_file, base_name, decompressed, files_below, name_of, read_error
from common.xml_elements import SAFE, describe_error
from data_prep.formats.document import WITHOUT_TEXT, Article, Document, join_paragraphs
from data_prep.formats.jats import local_name, read_id, read_paragraphs

ARTICLE_SUFFIXES = (".nxml", ".xml", ".nxml.gz", ".xml.gz")
MEMBER_SUFFIXES = (".nxml", ".xml")
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")
MAX_ARTICLE_BYTES = 32_000_000  # the tree of an article takes up to 33 times as much memory
READ_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Options:
    """What is read of an article besides title, abstracts, body and captions."""

    back_matter: bool = False  # acknowledgements, glossary, appendices, statements; captions of supplements


def define_reader_flags():
    flags.DEFINE_bool(
        "back_matter",
        Options.back_matter,
        "PMC: also acknowledgements, glossaries, appendices, statements of the authors and captions of supplements.",
    )


def reader_options(values):
    """Returns the Options that the flags of `define_reader_flags` say; `values` has them as attributes."""
    return Options(values.back_matter)


# Files


def is_archive(path):
    """Whether a path is that of an archive of articles, by its name."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def list_files(path):
    """The articles and archives that a path means: itself, or those in a directory and below it, sorted.

    Raises:
      InputError: there is none, or the path has another extension.
    """
    expected = ", ".join(ARTICLE_SUFFIXES + ARCHIVE_SUFFIXES)
    if os.path.isdir(path):
        found = files_below(path, follow_links=True)
        files = sorted(name for name in found if name.lower().endswith(ARTICLE_SUFFIXES + ARCHIVE_SUFFIXES))
        if not files:
            raise InputError(f"{path}: no articles in this directory; expected files {expected}")
        return files
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file or directory; expected articles ({expected})")
    if not path.lower().endswith(ARTICLE_SUFFIXES + ARCHIVE_SUFFIXES):
        raise InputError(f"{path}: unknown extension; expected {expected}")
    return [path]


# Articles


class _Limited:
    """A file for reading that fails when one article of it is too large."""

    def __init__(self, file, where):
        self._file, self._where = file, where
        self.begin_article()

    def begin_article(self):
        self._left = MAX_ARTICLE_BYTES

    def read(self, size):
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"{self._where}: an article of more than {MAX_ARTICLE_BYTES // 1_000_000} MB")
        return data


def _parse(file, where, options):
    """Yields the Article of each article in an XML file, usually one, with one at a time in memory.

    Europe PMC and NCBI's services put several articles into one file, as `articles` or `pmc-articleset`.

    Raises:
      InputError: not well-formed, not JATS, too large; the message begins with `where`.
    """
    limited = _Limited(file, where)
    articles = etree.iterparse(limited, events=("end",), tag="{*}article", **SAFE)
    found = False
    try:
        for _, article in articles:
            found = True
            yield _article(article, where, options)
            limited.begin_article()
            article.clear()
            while article.getprevious() is not None:
                del article.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise InputError(f"{where}, {describe_error(error, articles.error_log)}") from None
    if not found:
        raise InputError(f"{where}, line 1: root element {local_name(articles.root.tag)}; expected article")


def _article(element, where, options):
    try:
        paragraphs = read_paragraphs(element, options.back_matter)
    except InputError as error:
        raise InputError(f"{where}, {error}") from None
    return Article(*read_id(element), paragraphs, "" if paragraphs else WITHOUT_TEXT)


def _read_file(path, options):
    """Yields the articles of an XML file."""
    try:
        with open(path, "rb") as file, decompressed(file) as source:
            yield from _parse(source, path, options)
    except READ_ERRORS as error:
        raise read_error(path, error) from None


# Archives


MAX_NAME_BYTES = 1_000_000  # of a member; tarfile reads it whole, whatever its header says


class _Header(tarfile.TarInfo):
    """The header of a member. `tarfile` takes most defects for the end of the archive; here they are errors."""

    @classmethod
    def frombuf(cls, buffer, encoding, errors):
        header = super().frombuf(buffer, encoding, errors)
        if not header.isreg() and header.size > MAX_NAME_BYTES:
            raise tarfile.HeaderError(f"a header of {header.size:,} bytes")
        return header

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise  # the mark at the end of a whole archive
        except (tarfile.HeaderError, ValueError) as error:  # ValueError: in an extended header
            raise tarfile.ReadError(str(error)) from None


def _members(path, numbers, is_wanted):
    """Yields `(number, name, bytes)` of each article in an archive that is wanted, in order.

    Only regular files are read. Their names are for messages and never become paths.

    Args:
      path: the archive.
      numbers: iterator that gives each article its number.
      is_wanted: says of a number whether the article is read.

    Raises:
      InputError: the archive cannot be read, holds no article, is truncated or corrupt; what was whole before that
        has been yielded.
    """
    count = 0
    try:
        with open(path, "rb") as file, decompressed(file) as content:
            # tarfile itself could decompress, but would check neither the end of the data nor their checksum.
            # `read1` gives all there is before a defect; `read` would fail with the last articles in its buffer.
            source = types.SimpleNamespace(read=content.read1)
            with tarfile.open(fileobj=source, mode="r|", bufsize=READ_BYTES, tarinfo=_Header) as archive:
                for name, data in _read_members(archive):
                    count, number = count + 1, next(numbers)
                    if is_wanted(number):
                        yield number, name, data
    except (tarfile.TarError, *READ_ERRORS) as error:
        if getattr(error, "strerror", None):
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise InputError(f"{path}: truncated or corrupt archive after {count} articles ({error})") from None
    if not count:
        raise InputError(f"{path}: no articles in this archive; expected members {', '.join(MEMBER_SUFFIXES)}")


def _read_members(archive):
    """Yields `(name, bytes)` of the articles in an open archive."""
    while (member := archive.next()) is not None:
        archive.members.clear()  # or it would remember millions
        if member.isreg() and member.name.lower().endswith(MEMBER_SUFFIXES):
            # With one byte more than an article may have `_parse` says that it is too large.
            yield member.name, archive.extractfile(member).read(MAX_ARTICLE_BYTES + 1)
    # The checksum is behind the last member. What is not zero there would be another archive.
    while rest := archive.fileobj.read(READ_BYTES):
        if rest.strip(b"\0"):
            raise tarfile.ReadError("data behind its end")


# Documents


def _sources(paths, options, is_wanted):
    """Yields `(number, documents)` of each wanted article; `documents` raises InputError if it cannot be read."""
    numbers = itertools.count()
    for path in paths:
        if is_archive(path):
            try:
                for number, name, data in _members(path, numbers, is_wanted):
                    shown = "".join(char if char.isprintable() else "?" for char in name)
                    yield number, _parse(io.BytesIO(data), f"{path}, {shown}", options)
            except InputError as error:
                # The lost rest of the archive counts as one article, so that one part of several reports it.
                number = next(numbers)
                if is_wanted(number):
                    yield number, _fail(error)
        else:
            number = next(numbers)
            if is_wanted(number):
                yield number, _read_file(path, options)


def _fail(error):
    raise error
    yield  # a generator, as the others


def read_articles(paths, options, part=0, parts=1, bad_file=raise_error):
    """Yields the articles of files and archives, one at a time in memory.

    Args:
      paths: files and archives; those of PMC hold many thousand articles each.
      options: Options.
      part, parts: only the articles whose number leaves the remainder `part` when divided by `parts` are read, so
        that several processes can share an archive.
      bad_file: called with an InputError that says why an article cannot be read (not well-formed, unknown encoding,
        not JATS, entities of its own, too large, ...) or where an archive breaks off; then the next one is read.

    Yields:
      `(number, Article)`: the place of the article among all in `paths`, from 0; articles of another part and those
      that cannot be read have numbers too. Several articles in one XML file have the same number. An article of
      which nothing is read is left out ("without text").
    """
    for number, documents in _sources(paths, options, lambda number: number % parts == part):
        try:
            for document in documents:
                yield number, document
        except InputError as error:
            bad_file(error)


def read(path, bad_document, report):
    """Yields the articles of a JATS XML file, or of an archive of such files, as documents, one at a time in memory.

    The paragraphs are those of `jats.read_paragraphs`; their kinds are not told. The id is that of PMC (PMC1084331),
    else the PMID or the DOI, else the file's name.

    Args:
      path: the file, compressed or not, or "-", which is no archive.
      bad_document: called with why an article of an archive cannot be read, or why the archive breaks off.
      report: as for `table.read_documents`.

    Raises:
      InputError: a file that is no archive cannot be read or is not JATS.
    """
    with as_file(path, bad_document) as (file, bad_article):

        def bad_file(error):
            if not is_archive(path):
                raise error
            bad_article(str(error))

        for count, (_, article) in enumerate(read_articles([file], Options(), bad_file=bad_file), 1):
            text, paragraphs = join_paragraphs(article.paragraphs)
            document_id = article.id.partition(":")[2] or f"{base_name(path)}:{count}"
            yield Document(document_id, text, paragraphs, f"{name_of(path)}, article {count}")
