"""Text files: strict UTF-8 on the way in, all or nothing on the way out."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os

from common.errors import InputError

LOCK_FILE = ".lock"  # in a directory that is held
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_lines(path):
    """Yields `(line_number, line)` of a UTF-8 text file, from 1, without line endings.

    Only `\\n` and `\\r\\n` end a line, so that Unicode separators inside a field stay in it. A byte order mark at the
    start, as spreadsheets write it, is left out.

    Raises:
      InputError: the file is missing, unreadable or not UTF-8 (with the line).
    """
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{path}, line {number}: invalid UTF-8 (byte {error.start + 1} of the line); "
                        "expected UTF-8 text"
                    ) from None
                yield number, line.rstrip("\n").removesuffix("\r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_json(path, expected):
    """What a UTF-8 JSON file holds.

    Args:
      path: the file.
      expected: what it should be, for the message.

    Raises:
      InputError: the file is missing, unreadable, not UTF-8 or not JSON (with the line).
    """
    try:
        return json.loads("\n".join(line for _, line in read_lines(path)))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg}); expected {expected}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected {expected}") from None


@contextlib.contextmanager
def atomic_write(path, mode="w"):
    """Opens a temporary file beside `path` and renames it to `path` if the block succeeds.

    A reader never sees a half-written file, and what stood there before survives a failure. Devices and pipes
    (/dev/null) are written to, not replaced, and so is what a link points at.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, mode, **text) as file:
            yield file
        return
    path = os.path.realpath(path)
    temporary = f"{path}.tmp{os.getpid()}"
    try:
        with open(temporary, mode, **text) as file:
            yield file
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in _FULL and not error.filename:
            error.filename = path  # which a write does not say
        raise


def write_lines(path, lines):
    """Writes a text file whole or not at all."""
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def make_directory(path):
    """Creates `path` and checks that files can be written in it.

    Raises:
      InputError: it cannot be created or written.
    """
    try:
        os.makedirs(path, exist_ok=True)
        probe = os.path.join(path, f".write_test{os.getpid()}")
        with open(probe, "w", encoding="utf-8"):
            pass
        os.unlink(probe)
    except OSError as error:
        raise InputError(f"{path}: cannot write output there ({error.strerror})") from None


def check_output_file(path, input_files):
    """Raises InputError if a file cannot be written, is a directory or one of the inputs."""
    make_directory(os.path.dirname(path) or ".")
    if os.path.isdir(path):
        raise InputError(f"{path}: is a directory; expected the path of a file to write")
    if os.path.exists(path) and any(_is_same_file(path, other) for other in input_files):
        raise InputError(f"{path}: is an input file as well; expected another output file")


def _is_same_file(path, other):
    return os.path.exists(other) and os.path.samefile(path, other)


@contextlib.contextmanager
def locked(directory):
    """Creates a directory to work in and holds it; it may be removed inside the block.

    Raises:
      InputError: it cannot be written, or another process holds it.
    """
    make_directory(directory)
    with open(os.path.join(directory, LOCK_FILE), "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{directory}: another process works there; expected that it is left to finish") from None
        yield


def expand_patterns(patterns, list_files=None):
    """The files that a comma-separated list of paths and glob patterns means, in the order given.

    Args:
      patterns: str.
      list_files: a function from a path, also of a directory, to the files it stands for; None: files alone count.

    Raises:
      InputError: a pattern that matches no file.
    """
    files = []
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        found = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))  # a name may have brackets
        matches = [path for path in found if os.path.isfile(path) or list_files]
        if not matches:
            raise InputError(f"{pattern}: no such file; expected paths or patterns, separated by commas")
        for path in matches:
            files += list_files(path) if list_files else [path]
    if not files:
        raise InputError(f"{patterns!r}: names no file; expected paths or patterns, separated by commas")
    return files


def sha256(path):
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
