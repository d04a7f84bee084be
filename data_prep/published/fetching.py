"""Files over HTTP and HTTPS: large ones, from servers that break off, begin anew or answer with something else.

`requests` and not `urllib`: it reads proxies and certificates as the rest of the machine does, follows redirects to
HTTP and HTTPS only, and comes with TensorFlow anyway.
"""

import contextlib
import dataclasses
import json
import os
import re
import time
import urllib.parse

import requests
import urllib3

from common.errors import InputError
from common.files import atomic_write
from common.progress import progress

WAITS = (1, 2, 5, 10)  # seconds before each further attempt
TIMEOUT = (15, 60)  # seconds for a connection, and without a byte
BLOCK_BYTES = 1 << 16
# What no second attempt mends. A refused connection, a time-out, a body cut short: another attempt.
_FINAL_ERRORS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.SSLError,
)


class _BrokenOffError(Exception):
    """A transfer that may succeed when asked for again."""


@dataclasses.dataclass
class _Part:
    """The beginning of a download, `path`, and beside it in `path`.json what it is the beginning of."""

    path: str
    url: str
    validator: str | None = None  # the server's name for this state of the file: its ETag or time of last change
    total: int | None = None  # bytes of the whole file, where the server says so

    @classmethod
    def find(cls, path, url):
        """What an earlier run left of the same address; otherwise a part without a byte."""
        part = cls(path, url)
        with contextlib.suppress(OSError, ValueError, TypeError):
            with open(f"{path}.json", encoding="utf-8") as file:
                found = cls(path, **json.load(file))
            if found.url == url:
                return found
        part.clear()
        return part

    @property
    def length(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def clear(self):
        self.validator = self.total = None
        for path in (self.path, f"{self.path}.json"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def begin(self, response, total):
        """Notes what a server is about to send, before its first byte."""
        self.clear()
        etag = response.headers.get("ETag", "")
        # A weak ETag names files that are alike, not equal byte for byte.
        self.validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        self.total = total
        with atomic_write(f"{self.path}.json") as file:
            json.dump({"url": self.url, "validator": self.validator, "total": self.total}, file)


def is_web_address(address):
    """Whether an address is one of HTTP or HTTPS, with a host."""
    try:
        parts = urllib.parse.urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def fetch(url, path, size=None, waits=WAITS):
    """Downloads a file, going on from `path`.part if an earlier run was interrupted.

    Args:
      url: its address, HTTP or HTTPS.
      path: where it goes, once it is there as a whole.
      size: bytes, if known; then what the server says must agree.
      waits: seconds before each attempt after one that brought nothing new.

    Raises:
      InputError: the server has no such file, or one of another size, or did not send all of it.
    """
    part = _Part.find(f"{path}.part", url)
    reached, failures = part.length, 0
    with progress(os.path.basename(path), total=size, unit="B") as bar:
        while True:
            try:
                _transfer(part, size, bar)
                break
            except _BrokenOffError as error:
                # A server that sends a piece at a time is borne with; one that sends the same piece again is not.
                failures = 0 if part.length > reached else failures + 1
                reached = max(reached, part.length)
                if failures > len(waits):
                    raise InputError(f"{url}: {error} ({failures} attempts without progress)") from None
                time.sleep(waits[max(failures, 1) - 1] if waits else 0)
    os.replace(part.path, path)
    part.clear()


def _transfer(part, size, bar):
    """One request, for what a part lacks.

    Raises:
      _BrokenOffError: it ended early.
      InputError: another attempt would not help.
    """
    offset = part.length
    if offset and offset == part.total:  # interrupted between the last byte and the renaming
        return
    headers = {"Accept-Encoding": "identity"}  # the bytes of the file, as they are hashed and counted
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if part.validator:
            headers["If-Range"] = part.validator
    try:
        with requests.get(part.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            start, total = _span(response, part, offset)
            if None not in (size, total) and total != size:
                part.clear()
                raise InputError(f"{part.url}: a file of {total:,} bytes; expected {size:,}")
            if start == 0:
                part.begin(response, total)
            bar.total = size or total
            bar.n = start
            bar.refresh()
            _append(response, part, bar, limit=total or size)
    except _FINAL_ERRORS as error:
        raise InputError(f"{part.url}: {_reason(error)}") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _BrokenOffError(_reason(error)) from None
    if total is not None and part.length < total:
        raise _BrokenOffError(f"broke off after {part.length:,} of {total:,} bytes")


def _span(response, part, offset):
    """Where in the file the body of a response begins, and the length of the whole file or None.

    Raises:
      _BrokenOffError, InputError: it is no part of the file.
    """
    status = f"{response.status_code} {response.reason}".strip()
    if response.status_code == 200:  # all of it: nothing was there, the file changed, or the server knows no ranges
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    if response.status_code == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if span and int(span[1]) == offset:
            total = None if span[2] == "*" else int(span[2])
            if part.total in (None, total):
                return offset, total
    if response.status_code in (206, 416):  # it sends another range, of another file, or sees nothing left to send
        part.clear()
        raise _BrokenOffError(f"answers {status} to a request for the bytes from {offset:,} on")
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _BrokenOffError(f"answers {status}")
    raise InputError(f"{part.url}: answers {status}")


def _append(response, part, bar, limit):
    with open(part.path, "ab") as file:
        # Not `iter_content`, which would unpack what a server calls Content-Encoding: gzip, as some do of a .tar.gz.
        while block := response.raw.read(BLOCK_BYTES):
            file.write(block)
            bar.update(len(block))
            if limit and bar.n > limit:
                part.clear()
                raise InputError(f"{part.url}: sends more than {limit:,} bytes")


def _reason(error):
    """The innermost cause of an error of `requests`, on one line."""
    while True:
        cause = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(cause, BaseException):
            return " ".join(str(cause or error).split()) or type(error).__name__
        error = cause
