"""PubMed XML: records as articles of a corpus and as documents.

The elements are those of NLM's DTD, https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd.
"""

import dataclasses
import os
import re

from absl import flags, logging
from lxml import etree

from common.errors import InputError, raise_error
from common.inputs import as_file, fold, name_of
from common.xml_elements import entity_text, read_elements
from data_prep.formats.document import DELETED, Article, Document, join_paragraphs

WITHOUT_ABSTRACT = "without abstract"
OTHER_LANGUAGE = "other language"
NO_TITLE = "[Not Available]."  # NLM's, where the authors gave none

# MedlineCitationSet is the root of the files until 2016, BookDocumentSet of those of books alone.
ROOTS = ("PubmedArticleSet", "PubmedBookArticleSet", "MedlineCitationSet", "BookDocumentSet")
RECORDS = ("MedlineCitation", "BookDocument")
WRAPPERS = ("PubmedArticle", "PubmedBookArticle")  # of a record, which is first in it
DELETIONS = ("DeleteCitation", "DeleteDocument")
MATH_COPIES = ("}annotation", "}annotation-xml")  # in TeX, say, of the formula in MathML that they stand in
NUMBER = re.compile("[0-9]{1,18}")
FILE_NAME = re.compile(r"(?:medline|pubmed)([0-9]{2})n([0-9]{4,})\.xml(?:\.gz)?")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is taken of a PubMed file."""

    section_labels: bool = False  # "METHODS: We ..." for the sections of structured abstracts
    other_abstracts: bool = False  # in plain language, by the publisher, in other languages: further paragraphs
    languages: tuple[str, ...] = ()  # codes as in the files (eng, fre); (): all. Of the article; of other abstracts too
    keep_without_abstract: bool = False  # the title alone


# Text


def text_of(element):
    """The text of an element and of its inline tags with white space folded; "" if there is no element."""
    if element is None:
        return ""
    text = "".join(_pieces(element)) if len(element) else element.text or ""
    return text.strip() if _is_folded(text) else fold(text)


def _is_folded(text):
    """Whether there is nothing to fold inside a text from XML, which takes a third of the time of folding it."""
    if "  " in text:
        return False
    if text.isascii():  # where XML allows no other white space than these and the space
        return "\n" not in text and "\t" not in text and "\r" not in text
    return text.isprintable()  # no white space is, but the space


def _pieces(element):
    yield element.text or ""
    for child in element:
        if child.tag is etree.Entity:
            yield entity_text(child)
        elif not child.tag.endswith(MATH_COPIES):
            yield from _pieces(child)
        yield child.tail or ""


def _first(element, tag):
    """Returns the first child `tag`, or None; `find` takes twice as long."""
    return next(element.iterchildren(tag), None)


def _sections(abstract, section_labels):
    """Yields the text of each section; an abstract without structure has one."""
    for section in abstract.iterchildren("AbstractText"):
        text = text_of(section)
        if text and section_labels:
            label = fold(section.get("Label", "")).rstrip(": ")  # the authors' word for NLM's NlmCategory
            if label and label != "UNASSIGNED":
                text = f"{label}: {text}"
        if text:
            yield text


# Records


def _where(path, element):
    return f"{path}, line {element.sourceline}: {element.tag}"


def _identify(pmid, default_version, path, parent):
    """Returns `(PMID, version)`.

    Args:
      pmid: the element PMID, or None.
      default_version: if the element has none.
      path: the file, for messages.
      parent: the element around it, likewise.
    """
    number = text_of(pmid)
    if not NUMBER.fullmatch(number):
        raise InputError(f"{_where(path, parent)} with PMID {number[:40]!r}; expected a number")
    version = pmid.get("Version", default_version)
    if not NUMBER.fullmatch(version):
        raise InputError(f"{_where(path, parent)} with PMID {number}, version {version!r}; expected a number")
    return number, int(version)


@dataclasses.dataclass(frozen=True)
class Record:
    """What is read of a MedlineCitation, a BookDocument or the news of a deletion."""

    pmid: str
    version: int
    line: int
    title: str = ""
    sections: tuple[str, ...] = ()  # of the abstracts
    left_out: str = ""  # as of `Article`

    @property
    def paragraphs(self):
        return (self.title, *self.sections) if self.title else self.sections


def _parse(record, path, options):
    """Returns the Record of a MedlineCitation or a BookDocument."""
    identity = (*_identify(_first(record, "PMID"), "1", path, record), record.sourceline)
    article = _first(record, "Article")
    if article is None:
        article = record  # a book has all that an Article has in itself
    languages = options.languages
    if languages and not any(text_of(language).lower() in languages for language in article.iterfind("Language")):
        return Record(*identity, left_out=OTHER_LANGUAGE)
    abstracts = list(article.iterchildren("Abstract"))
    if options.other_abstracts:
        others = record.iterfind("OtherAbstract")
        abstracts += [a for a in others if not languages or a.get("Language", "eng").lower() in languages]
    sections = tuple(section for abstract in abstracts for section in _sections(abstract, options.section_labels))
    if not sections and not options.keep_without_abstract:
        return Record(*identity, left_out=WITHOUT_ABSTRACT)
    title = text_of(_first(article, "ArticleTitle")) or text_of(article.find("Book/BookTitle"))
    if title == NO_TITLE:
        title = ""
    return Record(*identity, title, sections, "" if title or sections else WITHOUT_ABSTRACT)


def read_records(path, options, bad_record=raise_error):
    """Yields what a PubMed XML file holds, one Record at a time in memory, in order.

    A record that gives no language is in none of `options.languages`.

    Args:
      path: the file, compressed or not.
      options: Options.
      bad_record: called with an InputError that says what is wrong with a record, which is then left out.

    Raises:
      InputError: as `read_elements`.
    """
    for element in read_elements(path, RECORDS + WRAPPERS + DELETIONS, ROOTS):
        try:
            if element.tag in RECORDS:
                yield _parse(element, path, options)
            elif element.tag in DELETIONS:
                for pmid in element.iterchildren("PMID"):
                    yield Record(*_identify(pmid, "0", path, element), element.sourceline, left_out=DELETED)
            elif not any(child.tag in RECORDS for child in element):  # the end of an article
                raise InputError(f"{_where(path, element)} without a record; expected {' or '.join(RECORDS)}")
        except InputError as error:
            bad_record(error)


def read_articles(path, options):
    """Yields what a PubMed XML file holds, one article at a time in memory.

    The paragraphs are the title and the sections of the abstracts. Records that are not for the corpus are yielded
    too, since they may replace an older version: with `left_out` and without paragraphs.

    Args:
      path: the file, compressed or not.
      options: Options.

    Yields:
      `(number, Article)`, from 0: the records in order, then the deletions.

    Raises:
      InputError: as `read_elements`; a record without a PMID, an article without a record (with the line).
    """
    number, deletions = 0, []
    for record in read_records(path, options):
        article = Article(f"pubmed:{record.pmid}", record.version, record.paragraphs, record.left_out)
        if record.left_out == DELETED:
            deletions.append(article)
        else:
            yield number, article
            number += 1
    yield from enumerate(deletions, number)


def read(path, bad_document, report):
    """Yields the records of a PubMed XML file as documents, one at a time in memory, also those of books.

    The paragraphs are the title and the sections of the abstract; a record without them has an empty text. The id is
    the PMID. Deletions, and abstracts in other languages, are left out.

    Args:
      path: the file, compressed or not, or "-".
      bad_document: called with what is wrong with a record (no PMID), which is then left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read or is not PubMed XML; where it breaks off, after what came before.
    """
    with as_file(path, bad_document) as (file, bad_record):
        for record in read_records(file, Options(keep_without_abstract=True), lambda error: bad_record(str(error))):
            if record.left_out != DELETED:
                text, paragraphs = join_paragraphs(record.paragraphs)
                kinds = ("title",) * bool(record.title) + ("abstract",) * len(record.sections)
                yield Document(record.pmid, text, paragraphs, f"{name_of(path)}, line {record.line}", kinds)


# Files


def file_order(paths):
    """The order in which NLM made the files, where the names say it, so that what is newer comes later.

    `pubmed24n0001.xml.gz` is the first of the baseline of 2024; the update files are numbered on from its end.

    Returns:
      A list: by year and number if all files have such names, else as given, with a warning if some have.
    """
    paths = list(paths)
    names = [FILE_NAME.fullmatch(os.path.basename(path)) for path in paths]
    if not all(names):
        if any(names):
            other = paths[names.index(None)]
            logging.warning("%s: not a name of NLM's, so the files are taken in the order given, newest last", other)
        return paths
    keys = [(int(name[1]), int(name[2])) for name in names]
    return [path for _, path in sorted(zip(keys, paths, strict=True), key=lambda pair: pair[0])]


def read_files(paths, options, bar):
    """Yields the articles of several files, advancing a progress bar."""
    for path in paths:
        for _, article in read_articles(path, options):
            bar.update()
            yield article


# Flags


def define_reader_flags():
    flags.DEFINE_bool("section_labels", False, "PubMed: write the label of a section of an abstract before its text.")
    flags.DEFINE_bool("other_abstracts", False, "PubMed: take abstracts in plain and in other languages as well.")
    flags.DEFINE_list("languages", [], "PubMed: codes (eng,fre) of the languages to take; empty: all.")
    flags.DEFINE_bool("keep_without_abstract", False, "PubMed: take records without an abstract: titles alone.")
    flags.register_validator(
        "languages",
        lambda codes: all(re.fullmatch("[a-z]{3}", code) for code in codes),
        message="expected codes of three small letters as PubMed has them, such as eng,fre",
    )


def reader_options(values):
    """Returns the Options that the flags of `define_reader_flags` say; `values` has them as attributes."""
    return Options(values.section_labels, values.other_abstracts, tuple(values.languages), values.keep_without_abstract)
