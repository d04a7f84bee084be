"""Every input format to `Document`: which files there are, what their format is, and their documents.

| format | files | a document |
|---|---|---|
| text | UTF-8 text | a file |
| lines | UTF-8 text | a line that is not blank |
| pubmed | PubMed XML of NLM | a record |
| pmc | articles in JATS XML, archives of them (`.tar.gz`) | an article |
| pubtator | PubTator | from a title line to the next |
| bioc_xml, bioc_json | BioC | a document |
| conll | a word a line, maybe with labels, which are ignored | a file, or from -DOCSTART- to the next |

All may be compressed by gzip.
"""

import codecs
import contextlib
import os
import sys
import zlib

from lxml import etree

from common.errors import InputError
from common.files import expand_patterns
from common.xml_elements import GZIP_START, SAFE
from data_prep.formats import libraries, pmc_articles, pubmed_xml
from data_prep.formats.annotated import PUBTATOR_TEXT
from data_prep.formats.jats import local_name
from data_prep.formats.read_articles import read_pmc, read_pubmed
from data_prep.formats.read_conll import read_conll
from data_prep.formats.read_pubtator import read_pubtator
from data_prep.formats.read_source import STANDARD_INPUT, name_of
from data_prep.formats.read_text import read_lines, read_text


def read_bioc_xml(path, bad_document):
    """See `read_bioc_files`, imported here: its libraries come with an extra, which other formats do without."""
    from data_prep.formats import read_bioc_files

    return read_bioc_files.read_bioc_xml(path, bad_document)


def read_bioc_json(path, bad_document):
    """See `read_bioc_files`."""
    from data_prep.formats import read_bioc_files

    return read_bioc_files.read_bioc_json(path, bad_document)


READERS = {
    "text": read_text,
    "lines": read_lines,
    "pubmed": read_pubmed,
    "pmc": read_pmc,
    "pubtator": read_pubtator,
    "bioc_xml": read_bioc_xml,
    "bioc_json": read_bioc_json,
    "conll": read_conll,
}
AUTO = "auto"
FORMATS = (AUTO, *READERS)

HEAD_BYTES = 65_536
EXTENSIONS = {
    ".txt": "text",
    ".pubtator": "pubtator",
    ".nxml": "pmc",
    ".json": "bioc_json",
    ".jsonl": "bioc_json",
    **dict.fromkeys((".tsv", ".conll", ".iob", ".iob2", ".bio"), "conll"),
}
ROOTS = {
    **dict.fromkeys(pubmed_xml.ROOTS + pubmed_xml.WRAPPERS + pubmed_xml.RECORDS, "pubmed"),
    **dict.fromkeys(("article", "articles", "pmc-articleset"), "pmc"),
    "collection": "bioc_xml",
}


def list_inputs(patterns, output_dir=None):
    """The inputs that a list means.

    Args:
      patterns: paths, glob patterns and directories, separated by commas; or "-", standard input. Of a directory all
        files in it and below are meant, but hidden ones and those in hidden directories; links to directories are
        not followed.
      output_dir: a directory that is passed over where it is below another; None: there is none.

    Returns:
      A list of paths in the order given, those of a pattern or directory sorted, each once; or `["-"]`.

    Raises:
      InputError: a pattern that matches nothing, a directory without files, one that cannot be read or is
        `output_dir`; standard input is closed.
    """
    if patterns.strip() == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError("standard input: closed; expected text there, or --input")
        return [STANDARD_INPUT]
    passed_over = os.path.realpath(output_dir) if output_dir else None
    return list(dict.fromkeys(expand_patterns(patterns, lambda path: _list_files(path, passed_over))))


def _list_files(path, passed_over):
    """Returns the path itself, or the files in and below a directory."""
    if not os.path.isdir(path):
        return [path]
    if os.path.realpath(path) == passed_over:
        raise InputError(f"{path}: is the output directory as well; expected another")
    files = []
    for directory, directories, names in os.walk(path, onerror=_raise_unreadable):
        directories[:] = [
            name
            for name in directories
            if not name.startswith(".") and os.path.realpath(os.path.join(directory, name)) != passed_over
        ]
        paths = (os.path.join(directory, name) for name in names if not name.startswith("."))
        files += filter(os.path.isfile, paths)
    if not files:
        raise InputError(f"{path}: no files in this directory; expected documents")
    return sorted(files)


def _raise_unreadable(error):
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})")


def detect_format(path):
    """The format of an input, by its name and by how it begins.

    XML is told by its root element, PubTator by its first line, also in a file `.txt`. Standard input, of which
    nothing is used up, is text if it does not look like XML, JSON or PubTator.

    Returns:
      One of READERS.

    Raises:
      InputError: it cannot be told; the file cannot be read.
    """
    name = path.lower()
    if pmc_articles.is_archive(name):
        return "pmc"
    extension = os.path.splitext(name.removesuffix(".gz"))[1]
    head = _read_head(path)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if PUBTATOR_TEXT.match(start.split(b"\n")[0].decode("utf-8", "replace")) and extension in ("", ".txt"):
        return "pubtator"
    if extension in EXTENSIONS:
        return EXTENSIONS[extension]
    root = _root(head)
    if root in ROOTS:
        return ROOTS[root]
    if not root and start.startswith((b"{", b"[")) and (b'"passages"' in start or b'"documents"' in start):
        return "bioc_json"
    if path == STANDARD_INPUT and not root:
        return "text"
    found = f"root element {root}" if root else f"extension {extension!r}"
    raise InputError(
        f"{name_of(path)}: cannot tell the format ({found}); expected one of {', '.join(READERS)} as the input format"
    )


def _read_head(path):
    """How an input begins, decompressed; b"" of a pipe, which can be read but once."""
    if path != STANDARD_INPUT and os.path.exists(path) and not os.path.isfile(path):
        return b""
    try:
        if path == STANDARD_INPUT:
            head = sys.stdin.buffer.peek(HEAD_BYTES)
        else:
            with open(path, "rb") as file:
                head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{name_of(path)}: cannot be read ({error.strerror})") from None
    if not head.startswith(GZIP_START):
        return head
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""  # the reader will say what is wrong


def _root(head):
    """The name of the root element of XML that begins so, "" if it is none."""
    parser = etree.XMLPullParser(("start",), **SAFE)
    with contextlib.suppress(etree.XMLSyntaxError):  # it may be behind the root element
        parser.feed(head)
    return next((local_name(element.tag) for _, element in parser.read_events()), "")


def read_documents(path, input_format, bad_document):
    """Yields the documents of an input, one at a time in memory (but CoNLL without -DOCSTART-, which is one).

    Args:
      path: one of `list_inputs`.
      input_format: one of FORMATS; "auto": see `detect_format`.
      bad_document: called with a message (file, line, what is wrong, what was expected) for each document that
        cannot be read while the rest of the file can.

    Raises:
      InputError: the file cannot be read at all, or from some place on; what was before that has been yielded. Or what
        reads its format is not installed.
    """
    found = detect_format(path) if input_format == AUTO else input_format
    libraries.check_installed(found, f"{name_of(path)}: {found}")
    yield from READERS[found](path, bad_document)
