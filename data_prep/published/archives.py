"""Unpacks .zip and .tar.gz from elsewhere: regular files in a new directory, and nothing else, whatever is in them.

Members are read by `zipfile` and `tarfile` and written here, not by their `extractall`: `zipfile` mends names silently,
and `tarfile`'s data filter is missing in early releases of Python 3.11.
"""

import gzip
import os
import re
import stat
import tarfile
import zipfile
import zlib

from common.errors import InputError

SUFFIXES = (".zip", ".tar.gz")
BLOCK_BYTES = 1 << 20
MAX_HEADER_BYTES = 1 << 24  # of a member of .tar.gz: tarfile reads it whole, whatever the archive says of its length
MAX_MEMBERS = 100_000
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a way of compression that zipfile does not know
    RuntimeError,  # encrypted
    ValueError,  # numbers in headers
)
# Left by the Mac that packed some of the published archives.
_FOREIGN = re.compile(r"(^|/)(__MACOSX|\._[^/]*|\.DS_Store)(/|$)")


def unpack(path, directory, max_bytes):
    """Unpacks an archive, .zip or .tar.gz by its name, into a directory that does not exist yet.

    Args:
      path: the archive.
      directory: created; holds part of the archive after an error.
      max_bytes: a limit on what is unpacked, against archives that are made to fill disks.

    Raises:
      InputError: the archive is damaged or too large, or has a member that is no plain file below the directory.
    """
    os.makedirs(directory)
    members = _zip_members if path.endswith(".zip") else _tar_members
    left = max_bytes
    try:
        for number, (name, kind, source) in enumerate(members(path)):
            if number == MAX_MEMBERS:
                raise InputError(f"{path}: more than {MAX_MEMBERS:,} members; not unpacked")
            if _FOREIGN.search(name):
                continue
            target = _target(path, name, kind, directory)
            if kind == "file":
                left -= _write(path, name, source, target, left)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged, or no archive ({reason})") from None


def _target(path, name, kind, directory):
    """Where a member goes, its directory made.

    Raises:
      InputError: outside `directory`, or the member is neither a file nor a directory.
    """
    if kind not in ("file", "directory"):
        raise InputError(f"{path}: member {name!r} is a {kind}; expected files and directories only; not unpacked")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.search(r"[\\:\0]", name) or (kind == "file" and not parts):
        raise InputError(f"{path}: member {name!r} leads out of the archive; expected relative names; not unpacked")
    target = os.path.join(directory, *parts)
    try:
        os.makedirs(target if kind == "directory" else os.path.dirname(target), exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path}: member {name!r} lies below another that is a file; not unpacked") from None
    return target


def _write(path, name, source, target, left):
    """Copies a member to a new file; returns its bytes."""
    written = 0
    try:
        with open(target, "xb") as file, source() as content:
            while block := content.read(BLOCK_BYTES):
                written += len(block)
                if written > left:
                    raise InputError(f"{path}: unpacks to more than is plausible (at {name!r}); stopped")
                file.write(block)
    except (FileExistsError, IsADirectoryError):
        raise InputError(f"{path}: member {name!r} is there twice; not unpacked") from None
    return written


def _zip_members(path):
    """Yields `(name, kind, opener)` of each member."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16  # of Unix; 0 from other systems
            kind = "directory" if member.is_dir() else "file"
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "symbolic link" if stat.S_ISLNK(mode) else "special file"
            yield member.filename, kind, lambda member=member: archive.open(member)


class _BoundedGzip(gzip.GzipFile):
    def read(self, size=-1):
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return super().read(size)


def _tar_members(path):
    """Yields `(name, kind, opener)` of each member."""
    with _BoundedGzip(path) as source, tarfile.open(fileobj=source, mode="r:") as archive:
        for member in archive:
            kind = "special file"
            if member.issym() or member.islnk():
                kind = "symbolic or hard link"
            elif member.isdir() or member.isreg():
                kind = "directory" if member.isdir() else "file"
            yield member.name, kind, lambda member=member: archive.extractfile(member)
        while source.read(BLOCK_BYTES):  # to the checksum at its end
            pass
