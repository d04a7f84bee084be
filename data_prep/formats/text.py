"""Plain text as documents: a file each, or a line each."""

import re

from common.errors import InputError
from common.inputs import MAX_DOCUMENT_BYTES, base_name, decode_line, name_of, open_text, raw_lines
from data_prep.formats.document import Document
from data_prep.text.sentences import trim

LINE = re.compile(r"[^\r\n]+")  # but for the end
LINE_ENDS = ("\n", "\r\n", "\r")


def read(path, bad_document, report):
    """Yields a file as one document, whose text is the file's, decoded and otherwise untouched.

    Line ends are left as they are, and a byte order mark is the first character, so that offsets are the file's.
    The paragraphs are separated by blank lines; a line end inside one is but white space.

    Args:
      path: the file, or "-".
      bad_document: not called: the only document is the file.
      report: as for `table.read_documents`.

    Raises:
      InputError: it cannot be read, is empty, blank, binary, not UTF-8 (with line and byte) or too long.
    """
    name, text = name_of(path), read_whole(path)
    paragraphs = tuple(find_paragraphs(text))
    if not paragraphs:
        raise InputError(f"{name}: nothing but white space; expected text")
    yield Document(base_name(path), text, paragraphs, name)


def read_whole(path):
    """The text of a file, decoded and otherwise untouched; raises InputError as `read`."""
    name = name_of(path)
    with open_text(path) as file:
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{name}: more than {MAX_DOCUMENT_BYTES // 1_000_000} MB; expected one document, or the input format "
            "lines, if each line is one"
        )
    return _decode(data, name)


def _decode(data, name):
    if b"\0" in data:
        line, byte = _place(data, data.index(0))
        raise InputError(f"{name}, line {line}: byte {byte} of the line is 0; expected UTF-8 text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = _place(data, error.start)
        raise InputError(f"{name}, line {line}: invalid UTF-8 (byte {byte} of the line); expected UTF-8 text") from None


def _place(data, index):
    """Returns `(line, byte in the line)` of a byte, both from 1."""
    return data.count(b"\n", 0, index) + 1, index - data.rfind(b"\n", 0, index)


def find_paragraphs(text):
    """Yields the spans of the paragraphs, which blank lines separate, without white space at their ends.

    Lines end with `\\n`, `\\r\\n` or `\\r`, also mixed.
    """
    begin = end = None
    for line in LINE.finditer(text, int(text.startswith("\ufeff"))):
        if not line[0].strip():
            continue
        if begin is None:
            begin = line.start()
        elif text[end : line.start()] not in LINE_ENDS:
            yield trim(text, begin, end)
            begin = line.start()
        end = line.end()
    if begin is not None:
        yield trim(text, begin, end)


def read_lines(path, bad_document, report):
    """Yields each line that is not blank as a document, one at a time in memory, without its line end.

    Lines end with `\\n` or `\\r\\n`; a byte order mark at the beginning is left out.

    Args:
      path: the file, or "-".
      bad_document: called with what is wrong with a line (not UTF-8, NUL bytes, too long), which is then left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read, or is empty, blank or binary, or has the line ends of old Macs.
    """
    name, is_blank = name_of(path), True
    with open_text(path) as file:
        for number, raw in raw_lines(file):
            try:
                text = decode_line(raw, number, path)
            except InputError as error:
                is_blank = False
                bad_document(str(error))
                continue
            if number == 1 and not raw.endswith(b"\n") and "\r" in text.strip():
                raise InputError(f"{name}: lines that end with \\r alone; expected \\n or \\r\\n")
            if text.strip():
                is_blank = False
                paragraph = trim(text, 0, len(text))
                yield Document(f"{base_name(path)}:{number}", text, (paragraph,), f"{name}, line {number}")
    if is_blank:
        raise InputError(f"{name}: no text in any line; expected a document a line")
