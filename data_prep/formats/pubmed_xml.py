"""Files of PubMed XML as documents.

The elements are those of NLM's DTD, https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd.
"""

import dataclasses
import os
import re

from absl import flags, logging
from lxml import etree

from common.errors import InputError
from common.xml_elements import entity_text, read_elements
from data_prep.corpus.versions import DELETED, Document, fold

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
    """Returns `(id, version)`.

    Args:
      pmid: the element PMID, or None.
      default_version: if the element has none.
      path: the file, for messages.
      parent: the element around it, likewise.
    """
    number = text_of(pmid)
    if not NUMBER.fullmatch(number):
        raise InputError(f"{_where(path, parent)} with PMID {number!r}; expected a number")
    version = pmid.get("Version", default_version)
    if not NUMBER.fullmatch(version):
        raise InputError(f"{_where(path, parent)} with PMID {number}, version {version!r}; expected a number")
    return f"pubmed:{number}", int(version)


def _parse(record, path, options):
    """Returns the Document of a MedlineCitation or a BookDocument."""
    document_id, version = _identify(_first(record, "PMID"), "1", path, record)
    article = _first(record, "Article")
    if article is None:
        article = record  # a book has all that an Article has in itself
    languages = options.languages
    if languages and not any(text_of(language).lower() in languages for language in article.iterfind("Language")):
        return Document(document_id, version, (), OTHER_LANGUAGE)
    abstracts = list(article.iterchildren("Abstract"))
    if options.other_abstracts:
        others = record.iterfind("OtherAbstract")
        abstracts += [a for a in others if not languages or a.get("Language", "eng").lower() in languages]
    sections = [section for abstract in abstracts for section in _sections(abstract, options.section_labels)]
    if not sections and not options.keep_without_abstract:
        return Document(document_id, version, (), WITHOUT_ABSTRACT)
    title = text_of(_first(article, "ArticleTitle")) or text_of(article.find("Book/BookTitle"))
    if title == NO_TITLE:
        title = ""
    paragraphs = (title, *sections) if title else tuple(sections)
    return Document(document_id, version, paragraphs, "" if paragraphs else WITHOUT_ABSTRACT)


def read_documents(path, options):
    """Yields what a PubMed XML file holds, one record at a time in memory.

    The paragraphs are the title and the sections of the abstracts. Records that are not for the corpus are yielded
    too, since they may replace an older version: with `left_out` and without paragraphs. A record that gives no
    language is in none of `options.languages`.

    Args:
      path: the file, compressed or not.
      options: Options.

    Yields:
      `(number, Document)`, from 0: the records in order, then the deletions.

    Raises:
      InputError: as `read_elements`; a record without a PMID, an article without a record (with the line).
    """
    number, deletions, is_complete = 0, [], False
    for element in read_elements(path, RECORDS + WRAPPERS + DELETIONS, ROOTS):
        if element.tag in RECORDS:
            yield number, _parse(element, path, options)
            number, is_complete = number + 1, True
        elif element.tag in DELETIONS:
            for pmid in element.iterchildren("PMID"):
                deletions.append(Document(*_identify(pmid, "0", path, element), (), DELETED))
        elif not is_complete:
            raise InputError(f"{_where(path, element)} without a record; expected {' or '.join(RECORDS)}")
        else:
            is_complete = False  # the end of an article: the next has its own record
    yield from enumerate(deletions, number)


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
    """Yields the documents of several files, advancing a progress bar."""
    for path in paths:
        for _, document in read_documents(path, options):
            bar.update()
            yield document


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
