"""Inputs: which files a list of paths means, their bytes, decompressed, and their lines."""

import bz2
import contextlib
import dataclasses
import glob
import gzip
import json
import lzma
import os
import shutil
import sys
import tempfile
import zlib

from common.errors import InputError, raise_error

STANDARD_INPUT = "-"
# A longer document is hardly text, and all of it has to be in memory; the longest articles have 2 MB.
MAX_DOCUMENT_BYTES = 32_000_000
HEAD_BYTES = 8192  # in which a binary file is told by a NUL
# How a compressed file begins, whatever its name: RFC 1952; the bzip2 and the xz file formats.
COMPRESSIONS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)


def fold(text):
    """Returns the text with each run of white space as one space, and none around it."""
    return " ".join(text.split())


# Names


def name_of(path):
    """How messages call an input."""
    return "standard input" if path == STANDARD_INPUT else _printable(path)


def base_name(path):
    """The id of a document that is all of an input, and the beginning of those of its parts."""
    return "stdin" if path == STANDARD_INPUT else _printable(os.path.basename(path))


def _printable(path):
    """The path with U+FFFD for bytes that are no UTF-8, which no output could hold."""
    return os.fsencode(path).decode("utf-8", "replace")


# Files


def expand_patterns(patterns, list_files=None):
    """The files that a comma-separated list of paths and glob patterns means, in the order given.

    Args:
      patterns: str.
      list_files: a function from a path, also of a directory, to the files it stands for; None: files alone count.

    Raises:
      InputError: a pattern that matches no file.
    """
    files = []
    parts = [patterns] if os.path.exists(patterns) else patterns.split(",")  # a name may have a comma
    for pattern in filter(None, (part.strip() for part in parts)):
        found = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))  # a name may have brackets
        matches = [path for path in found if os.path.isfile(path) or list_files]
        if not matches:
            raise InputError(f"{pattern}: no such file; expected paths or patterns, separated by commas")
        for path in matches:
            files += list_files(path) if list_files else [path]
    if not files:
        raise InputError(f"{patterns!r}: names no file; expected paths or patterns, separated by commas")
    return files


def files_below(directory, follow_links=False, passed_over=None, bad_file=raise_error):
    """Yields the files in a directory and below it, but hidden ones and those in hidden directories.

    Args:
      directory: path.
      follow_links: also to directories, none of which is entered twice.
      passed_over: the real path of a directory that is not entered; None: there is none.
      bad_file: called with an InputError for what is no file: a link to nothing or in a circle, a pipe, a device.

    Raises:
      InputError: a directory that cannot be read.
    """
    seen = {os.path.realpath(directory), passed_over}
    for parent, directories, names in os.walk(directory, onerror=_raise_unreadable, followlinks=follow_links):
        for path in (os.path.join(parent, name) for name in names if not name.startswith(".")):
            if os.path.isfile(path):
                yield path
            else:
                what = "a link that leads to no file" if os.path.islink(path) else "no regular file"
                bad_file(InputError(f"{name_of(path)}: {what}; expected a file"))
        places = {name: os.path.realpath(os.path.join(parent, name)) for name in sorted(directories)}
        directories[:] = [name for name, place in places.items() if not name.startswith(".") and place not in seen]
        seen.update(places.values())


def _raise_unreadable(error):
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})")


# Bytes


def decompressed(file):
    """Returns a context manager that gives an open binary file, decompressed if its first bytes say so."""
    opener = _opener(file.peek(8))
    return opener(file) if opener else contextlib.nullcontext(file)


def is_compressed(path):
    """Whether a file would be decompressed; False if it cannot be read, which its reader will say."""
    try:
        with open(path, "rb") as file:
            return _opener(file.read(8)) is not None
    except OSError:
        return False


def _opener(head):
    return next((opener for start, opener in COMPRESSIONS if head.startswith(start)), None)


def read_error(path, error):
    """The InputError for one of READ_ERRORS."""
    return InputError(f"{name_of(path)}: cannot be read ({getattr(error, 'strerror', None) or error})")


@contextlib.contextmanager
def open_bytes(path):
    """Opens an input, decompressed if it is compressed.

    Args:
      path: of a file, or "-".

    Raises:
      InputError: it cannot be opened or read, or its compressed data are damaged, also later, inside the block.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(open(path, "rb"))
            yield stack.enter_context(decompressed(file))
    except READ_ERRORS as error:
        raise read_error(path, error) from None


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


def read_head(path, size):
    """How an input begins, decompressed; nothing of standard input is used up. b"" of a pipe, which is read but once.

    Raises:
      InputError: it cannot be opened.
    """
    if path != STANDARD_INPUT and os.path.exists(path) and not os.path.isfile(path):
        return b""
    try:
        if path == STANDARD_INPUT:
            head = sys.stdin.buffer.peek(size)
        else:
            with open(path, "rb") as file:
                head = file.read(size)
    except OSError as error:
        raise read_error(path, error) from None
    if not head.startswith(COMPRESSIONS[0][0]):
        return head
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, size)
    except zlib.error:
        return b""  # the reader will say what is wrong


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


# Lines


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
    """The text of a line of `raw_lines` of a document.

    It is without its end, `\\n` or `\\r\\n`, and in the first line without a byte order mark.

    Raises:
      InputError: it is too long, holds NUL bytes or is not UTF-8.
    """
    if b"\0" in raw:
        raise InputError(
            f"{name_of(path)}, line {number}: byte {raw.index(0) + 1} of the line is 0; expected UTF-8 text"
        )
    return _decode(raw, number, path)


def _decode(raw, number, path):
    where = f"{name_of(path)}, line {number}"
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InputError(f"{where}: more than {MAX_DOCUMENT_BYTES // 1_000_000} MB in a line; expected less")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: invalid UTF-8 (byte {error.start + 1} of the line); expected UTF-8 text") from None
    if number == 1:
        text = text.removeprefix("\ufeff")
    return text.removesuffix("\n").removesuffix("\r")


def read_lines(path):
    """Yields `(line_number, line)` of a UTF-8 text file, compressed or not, from 1, without line ends.

    Only `\\n` and `\\r\\n` end a line, so that Unicode separators inside a field stay in it. A byte order mark at the
    start, as spreadsheets write it, is left out.

    Raises:
      InputError: the file is missing or unreadable; a line that is too long or not UTF-8.
    """
    with open_bytes(path) as file:
        for number, raw in raw_lines(file):
            yield number, _decode(raw, number, path)


def read_json(path, expected, lone_surrogates=False):
    """What a UTF-8 JSON file holds.

    Args:
      path: the file.
      expected: what it should be, for the message.
      lone_surrogates: texts may have half of a character, as names of files that are not UTF-8 do, which no other file
        could hold.

    Raises:
      InputError: the file is missing, unreadable, not UTF-8 or not JSON (with the line); it has a number of more than
        4,300 digits, a lone surrogate, or is nested too deeply.
    """
    text = "\n".join(line for _, line in read_lines(path))
    try:
        value = json.loads(text)
        if not lone_surrogates and ("\\ud" in text or "\\uD" in text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg}); expected {expected}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected {expected}") from None
    except UnicodeEncodeError:
        raise InputError(f"{path}: half of a character (a lone surrogate) in a text; expected {expected}") from None
    except ValueError:
        raise InputError(f"{path}: a number of more than 4,300 digits; expected {expected}") from None
    return value


def describe_json(value):
    """How a message shows a value of JSON: in short."""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


@dataclasses.dataclass(frozen=True)
class Key:
    """What a key of a settings file may hold."""

    kind: type  # bool, int, float (a whole number too), str, list, dict
    low: float | None = None  # of numbers
    high: float | None = None
    choices: tuple = ()  # (): any
    needed: bool = True
    may_be_null: bool = False

    def __str__(self):
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        bounds = {" from": self.low, " to": self.high}
        shown = "".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
        return names.get(self.kind, "an object") + shown + " or null" * self.may_be_null

    def accepts(self, value):
        """Whether it may hold a value."""
        if value is None:
            return self.may_be_null
        kinds = (int, float) if self.kind is float else (self.kind,)
        if type(value) not in kinds or (self.choices and value not in self.choices):
            return False
        if self.kind is float and not -1e300 < value < 1e300:  # NaN neither
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def check_keys(value, keys, where):
    """Checks the shape of an object of JSON.

    Args:
      value: what a file holds.
      keys: from name to `Key`; other names may be there too.
      where: the file, for messages.

    Raises:
      InputError: it is no object, a key is missing or holds something else.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: {describe_json(value)}; expected an object with {', '.join(keys)}")
    for name, key in keys.items():
        if name not in value:
            if key.needed:
                raise InputError(f"{where}: no {name}; expected {', '.join(n for n, k in keys.items() if k.needed)}")
        elif not key.accepts(value[name]):
            raise InputError(f"{where}: {name} is {describe_json(value[name])}; expected {key}")
