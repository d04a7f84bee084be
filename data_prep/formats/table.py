"""The table of formats: what reads and writes each, and how an input's format is told.

| format | files | a document |
|---|---|---|
| text | UTF-8 text | a file |
| lines | UTF-8 text | a line that is not blank |
| pubmed | PubMed XML of NLM | a record |
| pmc | articles in JATS XML, archives of them (`.tar.gz`) | an article |
| pubtator | PubTator | from a title line to the next |
| bioc_xml, bioc_json | BioC | a document |
| brat | text and annotations, `a.txt` and `a.ann` | both files |
| conll | a word a line, maybe with labels, which are ignored | a file, or from -DOCSTART- to the next |
| jsonl | lines of JSON, written only | a line |
| html | a page, written only | a section |

All that is read may be compressed. A new format is a module with `read` or `open_writer`, and a row here.
"""

import codecs
import collections
import contextlib
import dataclasses
import importlib.util
import os
import sys
from collections.abc import Callable

from absl import logging
from lxml import etree

from common.errors import InputError, raise_error
from common.inputs import STANDARD_INPUT, expand_patterns, files_below, name_of, read_head
from common.xml_elements import SAFE
from data_prep.formats import (
    bioc_json,
    bioc_xml,
    brat,
    conll,
    html_page,
    jsonl,
    pmc_articles,
    pubmed_xml,
    pubtator,
    text,
)
from data_prep.formats.jats import local_name
from data_prep.formats.placement import Report

AUTO = "auto"
HEAD_BYTES = 65_536


@dataclasses.dataclass(frozen=True)
class Format:
    """A row of the table. The functions are as `read_documents` and `open_writer` call them."""

    name: str
    read: Callable | None = None  # (path, bad_document, report); None: it is only written
    open_writer: Callable | None = None  # (output, models); None: it is only read
    extension: str = ""  # of an output; "": there is none
    holds: tuple[str, ...] = ()  # of PARTS, which an output has a place for
    suffixes: tuple[str, ...] = ()  # of inputs, in lower case
    roots: tuple[str, ...] = ()  # elements that its XML begins with
    looks_like: Callable[[bytes], bool] | None = None  # whether a file `.txt` that begins so is one
    libraries: tuple[str, ...] = ()  # that it needs
    extra: str = ""  # of setup.cfg, which installs them


# What an output may lose besides, and where a document has it.
RELATIONS, IDENTIFIERS, CONCEPT_RELATIONS = PARTS = ("relations", "identifiers", "relations between concepts")

BIOC = {"libraries": ("bioc", "ijson"), "extra": "formats", "holds": PARTS}
FORMATS = {
    row.name: row
    for row in (
        Format("jsonl", open_writer=jsonl.open_writer, extension=".jsonl", holds=PARTS),
        Format("text", text.read, suffixes=(".txt",)),
        Format("lines", text.read_lines),
        Format("pubmed", pubmed_xml.read, roots=pubmed_xml.ROOTS + pubmed_xml.WRAPPERS + pubmed_xml.RECORDS),
        Format(
            "pmc",
            pmc_articles.read,
            suffixes=(".nxml", *pmc_articles.ARCHIVE_SUFFIXES),
            roots=("article", "articles", "pmc-articleset", "OAI-PMH"),
        ),
        Format(
            *("pubtator", pubtator.read, pubtator.open_writer, ".pubtator"),
            holds=PARTS,
            suffixes=(".pubtator",),
            looks_like=pubtator.looks_like,
        ),
        Format("bioc_xml", bioc_xml.read, bioc_xml.open_writer, ".bioc.xml", roots=("collection",), **BIOC),
        Format(
            *("bioc_json", bioc_json.read, bioc_json.open_writer, ".bioc.json"),
            suffixes=(".json", ".jsonl"),
            looks_like=bioc_json.looks_like,
            **BIOC,
        ),
        Format(
            *("brat", brat.read, brat.open_writer, ".brat", (RELATIONS, IDENTIFIERS)),
            suffixes=(brat.ANNOTATION_SUFFIX,),
        ),
        Format(
            *("conll", conll.read, conll.open_writer, ".conll"),
            suffixes=(".tsv", ".conll", ".iob", ".iob2", ".bio"),
        ),
        Format(
            "html",
            open_writer=html_page.open_writer,
            extension=".html",
            holds=(RELATIONS, IDENTIFIERS),
            libraries=("jinja2",),
            extra="reports",
        ),
    )
}
INPUT_FORMATS = (AUTO, *(row.name for row in FORMATS.values() if row.read))
OUTPUT_FORMATS = tuple(row.name for row in FORMATS.values() if row.open_writer)
DIRECTORIES = ("brat",)  # formats whose output is a directory
# Those of corpora with entities, by what programs call them.
ANNOTATED = {"bioc": "bioc_xml", **{name: name for name in ("bioc_xml", "bioc_json", "brat", "pubtator")}}


def check_installed(format_name, what):
    """Checks that the libraries of a format are installed.

    Args:
      format_name: of input or output.
      what: what an error begins with: the flag, or the file.

    Raises:
      InputError: they are not.
    """
    row = FORMATS.get(format_name, Format(AUTO))
    missing = [name for name in row.libraries if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(f"{what}: needs {' and '.join(missing)}; expected pip install -e '.[{row.extra}]'")


# Inputs


def list_inputs(patterns, output_dir=None, input_format=AUTO, bad_input=raise_error):
    """The inputs that a list means.

    Args:
      patterns: paths, glob patterns and directories, separated by commas; or "-", standard input. Of a directory all
        files in it and below are meant, but hidden ones and those in hidden directories; links to directories are
        not followed.
      output_dir: a directory that is passed over where it is below another; None: there is none.
      input_format: of all, one of INPUT_FORMATS.
      bad_input: called with an InputError for what is no file below a directory, see `files_below`.

    Returns:
      A list of paths in the order given, those of a pattern or directory sorted, each once; or `["-"]`. Of two files
      that are one document in brat's format it has the one with the annotations.

    Raises:
      InputError: a pattern that matches nothing, a directory without files, one that cannot be read or is
        `output_dir`; standard input is closed.
    """
    if patterns.strip() == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError("standard input: closed; expected text there, or --input")
        return [STANDARD_INPUT]
    passed_over = os.path.realpath(output_dir) if output_dir else None
    paths = dict.fromkeys(expand_patterns(patterns, lambda path: _list_files(path, passed_over, bad_input)))
    return brat.own_inputs(paths) if input_format in (AUTO, "brat") else list(paths)


def _list_files(path, passed_over, bad_input):
    """Returns the path itself, or the files in and below a directory."""
    if not os.path.isdir(path):
        return [path]
    if os.path.realpath(path) == passed_over:
        raise InputError(f"{path}: is the output directory as well; expected another")
    files = sorted(files_below(path, passed_over=passed_over, bad_file=bad_input))
    if not files:
        raise InputError(f"{path}: no files in this directory; expected documents")
    return files


def detect_format(path):
    """The format of an input, by its name and by how it begins.

    XML is told by its root element; PubTator and BioC JSON by how they begin, also in a file `.txt`. Standard input, of
    which nothing is used up, is text if it does not look like XML, JSON or PubTator.

    Returns:
      The name of a format that is read.

    Raises:
      InputError: it cannot be told; the file cannot be read.
    """
    name, head = path.lower(), read_head(path, HEAD_BYTES)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    extension = os.path.splitext(name.removesuffix(".gz"))[1]
    likely = [row.name for row in FORMATS.values() if row.looks_like and row.looks_like(start)]
    if likely and extension in ("", ".txt"):
        return likely[0]
    for row in FORMATS.values():
        if name.removesuffix(".gz").endswith(row.suffixes) or name.endswith(row.suffixes):
            return row.name
    root = _root(head)
    for row in FORMATS.values():
        if root in row.roots:
            return row.name
    if likely and not root:
        return likely[0]
    if path == STANDARD_INPUT and not root:
        return "text"
    found = f"root element {root}" if root else f"extension {extension!r}"
    expected = ", ".join(INPUT_FORMATS[1:])
    raise InputError(
        f"{name_of(path)}: cannot tell the format ({found}); expected one of {expected} as the input format"
    )


def _root(head):
    """The name of the root element of XML that begins so, "" if it is none."""
    parser = etree.XMLPullParser(("start",), **SAFE)
    with contextlib.suppress(etree.XMLSyntaxError):  # it may be behind the root element
        parser.feed(head)
    return next((local_name(element.tag) for _, element in parser.read_events()), "")


def read_documents(path, input_format, bad_document, report=None):
    """Yields the documents of an input, one at a time in memory (but CoNLL without -DOCSTART-, which is one).

    Args:
      path: one of `list_inputs`.
      input_format: one of INPUT_FORMATS; "auto": see `detect_format`.
      bad_document: called with a message (file, line, what is wrong, what was expected) for each document that
        cannot be read while the rest of the file can.
      report: placement.Report, to which is added what was read and what of it is not used; None: what is not used is
        logged at the end of the input.

    Raises:
      InputError: the file cannot be read at all, or from some place on; what was before that has been yielded. Or what
        reads its format is not installed.
    """
    found = detect_format(path) if input_format == AUTO else input_format
    check_installed(found, f"{name_of(path)}: {found}")
    own, bad = report or Report(), []
    before = own.documents

    def count_bad(message):
        bad.append(1)
        bad_document(message)

    for document in FORMATS[found].read(path, count_bad, own):
        own.documents += 1
        yield document
    if own.documents == before and not bad:
        raise InputError(f"{name_of(path)}: no document in it; expected some in the format {found}")
    if report is None:
        _log_unused(own, name_of(path))


def read_corpus(paths, input_format, report):
    """Yields the documents of a corpus to learn from, which is read whole or not at all.

    Args:
      paths: as of `list_inputs`.
      input_format: a name of ANNOTATED, or "auto".
      report: as for `read_documents`.

    Raises:
      InputError: as `read_documents`, and for a document that cannot be read.
    """

    def refuse(message):
        raise InputError(message)

    for path in paths:
        yield from read_documents(path, ANNOTATED.get(input_format, input_format), refuse, report)


def _log_unused(report, name):
    """Logs a warning that counts what was given and is not used, if there is any."""
    reasons = {
        "entities whose text is not at their offsets": report.misplaced,
        "entities in several parts": report.discontinuous,
        "parts of composite mentions (which are used)": report.parts_of_composites,
        "relations without their entities": report.without_entity.total(),
        "relations that are not between two": report.not_of_two,
        "annotations that are neither entities nor relations": report.other_annotations,
    }
    if report.spelled_otherwise:
        logging.info("%s: %d entities whose text is spelled otherwise at their offsets", name, report.spelled_otherwise)
    found = ", ".join(f"{count} {what}" for what, count in reasons.items() if count)
    if found:
        logging.warning("%s: given, but not used: %s. %s", name, found, "; ".join(report.examples[:2]))


# Outputs


@contextlib.contextmanager
def open_writer(output_format, output, models, lost=None):
    """Gives an object whose `write(document)` appends a `Document`.

    The output is complete when the block ends without an exception. Memory does not grow with the number of documents.

    Args:
      output_format: one of OUTPUT_FORMATS.
      output: a text file open for writing, in UTF-8 and without translation of line ends; for DIRECTORIES the path of
        a directory, which is made if it does not exist.
      models: the names of the models that annotated the documents, in the order of CoNLL's columns.
      lost: a Counter to which is added what of the documents the format has no place for; None: it is logged.

    Raises:
      InputError: a directory that cannot be written.
    """
    row, own = FORMATS[output_format], collections.Counter() if lost is None else lost
    with row.open_writer(output, models) as writer:
        yield _CountingWriter(writer, row.holds, own)
    if lost is None:
        log_lost(own, output_format)


class _CountingWriter:
    """A writer that counts what it is given and cannot hold."""

    def __init__(self, writer, holds, lost):
        self._writer, self._missing, self._lost = writer, set(PARTS) - set(holds), lost

    def write(self, document):
        self._writer.write(document)
        counts = {
            RELATIONS: len(document.relations),
            IDENTIFIERS: sum(bool(entity.identifier) for entity in document.entities),
            CONCEPT_RELATIONS: len(document.concept_relations),
        }
        self._lost.update({part: counts[part] for part in self._missing})


def log_lost(lost, output_format):
    """Logs a warning that counts what an output has no place for, if there is any."""
    found = ", ".join(f"{lost[part]} {part}" for part in PARTS if lost[part])
    if found:
        logging.warning("%s has no place for what was given: %s are left out", output_format, found)
