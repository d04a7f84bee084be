"""Bytes of an input, and their lines: files, compressed or not, and standard input."""

import contextlib
import os
import shutil
import sys
import tempfile
import zlib

from common.errors import InputError
from common.xml_elements import decompressed

STANDARD_INPUT = "-"
# A longer document is hardly text, and all of it has to be in memory; the longest articles have 2 MB.
MAX_DOCUMENT_BYTES = 32_000_000
HEAD_BYTES = 8192  # in which a binary file is told by a NUL


def name_of(path):
    """How messages call an input."""
    return "standard input" if path == STANDARD_INPUT else _printable(path)


def base_name(path):
    """The id of a document that is all of an input, and the beginning of those of its parts."""
    return "stdin" if path == STANDARD_INPUT else _printable(os.path.basename(path))


def _printable(path):
    """The path with U+FFFD for bytes that are no UTF-8, which no output could hold."""
    return os.fsencode(path).decode("utf-8", "replace")


@contextlib.contextmanager
def open_bytes(path):
    """Opens an input for reading bytes, decompressed where its first bytes are gzip's, whatever its name.

    Raises:
      InputError: it cannot be read, also later, inside the block.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(open(path, "rb"))
            yield stack.enter_context(decompressed(file))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name_of(path)}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


@contextlib.contextmanager
def open_text(path):
    """Opens an input as `open_bytes` does, to read UTF-8 text.

    Raises:
      InputError: likewise; it is empty or binary.
    """
    with open_bytes(path) as file:
        head = file.peek(HEAD_BYTES)
        if not head:
            raise InputError(f"{name_of(path)}: empty; expected UTF-8 text")
        if b"\0" in head[:HEAD_BYTES]:
            raise InputError(f"{name_of(path)}: binary, or UTF-16 (byte {head.index(0) + 1} is 0); expected UTF-8 text")
        yield file


@contextlib.contextmanager
def as_file(path, bad_document):
    """Gives readers that need a path one: standard input is copied to the disk for them.

    Yields:
      `(path, bad_document)`: the function calls the one given, but names standard input where a message names
      the copy.

    Raises:
      InputError: what is raised inside the block, with the name likewise.
    """
    if path != STANDARD_INPUT:
        yield path, bad_document
        return
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()

        def rename(message):
            return message.replace(copy.name, name_of(path))

        try:
            yield copy.name, lambda message: bad_document(rename(message))
        except InputError as error:
            raise InputError(rename(str(error))) from None


def raw_lines(file):
    """Yields `(number, bytes)` of each line, from 1, with its line end; only `\\n` ends a line.

    Of a line of more than MAX_DOCUMENT_BYTES there is only the beginning, one byte longer than that.
    """
    number = 0
    while raw := file.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        yield number, raw
        if len(raw) > MAX_DOCUMENT_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_DOCUMENT_BYTES)


def decode_line(raw, number, path):
    """The text of a line of `raw_lines` without its end, `\\n` or `\\r\\n`, and without a byte order mark before it.

    Raises:
      InputError: it is too long, holds NUL bytes or is not UTF-8.
    """
    where = f"{name_of(path)}, line {number}"
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InputError(f"{where}: more than {MAX_DOCUMENT_BYTES // 1_000_000} MB in a line; expected less")
    if b"\0" in raw:
        raise InputError(f"{where}: byte {raw.index(0) + 1} of the line is 0; expected UTF-8 text")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: invalid UTF-8 (byte {error.start + 1} of the line); expected UTF-8 text") from None
    if number == 1:
        text = text.removeprefix("\ufeff")
    return text.removesuffix("\n").removesuffix("\r")
