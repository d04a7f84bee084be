"""Outputs: written whole or not at all; directories that one process works in."""

import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import stat

from common.errors import InputError

LOCK_FILE = ".lock"  # in a directory that is held
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_write(path, mode="w"):
    """Opens a temporary file beside `path` and renames it to `path` if the block succeeds.

    A reader never sees a half-written file, and what stood there before survives a failure, also one of power; its
    permissions stay. Devices and pipes (/dev/null) are written to, not replaced, and so is what a link points at.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, mode, **text) as file:
            yield file
        return
    path = os.path.realpath(path)
    temporary = temporary_path(path)
    try:
        with open(temporary, mode, **text) as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(os.path.dirname(path))
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in _FULL and not error.filename:
            error.filename = path  # which a write does not say
        raise


def temporary_path(path):
    """A path beside `path` that no other process uses, also not on another machine with the same file system."""
    return f"{path}.tmp{os.getpid()}-{platform.node()}"


def _sync_directory(path):
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def sha256(path):
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
