"""data_prep/fetching.py: downloads from servers that break off, begin anew, lie."""

import gzip
import os
import random

import pytest

from common.errors import InputError
from data_prep.published.fetching import fetch, is_web_address
from tests.helpers.file_server import ranged, status, whole, without_length

BODY = random.Random(1).randbytes(50_000)
OTHER = random.Random(2).randbytes(60_000)
NOW = (0, 0, 0)  # three more attempts, at once


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.zip"


def get(server, path, *answers, size=None, waits=NOW, name="/file.zip"):
    server.requests.clear()
    server.answers[name] = list(answers)
    fetch(f"{server.address}{name}", str(path), size, waits)


def check_fetched(path, body):
    assert path.read_bytes() == body
    assert os.listdir(path.parent) == [path.name]


def ranges(server):
    return [headers.get("Range") for _, headers in server.requests]


def test_a_file(server, path):
    get(server, path, whole(BODY), size=50_000)
    check_fetched(path, BODY)
    get(server, path, without_length(OTHER))
    check_fetched(path, OTHER)


def test_goes_on_where_a_connection_broke_off(server, path):
    """More often than there are attempts without progress."""
    get(server, path, ranged(BODY, most=8_000), waits=(0,))
    check_fetched(path, BODY)
    assert ranges(server) == [None, *(f"bytes={start}-" for start in range(8_000, 50_000, 8_000))]
    assert server.requests[1][1]["If-Range"] == '"1"'


def test_goes_on_in_a_later_run(server, path):
    with pytest.raises(InputError):
        get(server, path, ranged(BODY, most=30_000), status(503), waits=())
    assert not path.exists()
    get(server, path, ranged(BODY))
    check_fetched(path, BODY)
    assert ranges(server) == ["bytes=30000-"]


def test_begins_anew_where_a_server_knows_no_ranges(server, path):
    get(server, path, ranged(BODY, most=30_000), whole(BODY))
    check_fetched(path, BODY)


@pytest.mark.parametrize("etag", ['"2"', None])
@pytest.mark.parametrize("new", [OTHER, BODY[:20_000]], ids=["longer", "shorter"])
def test_a_changed_file_is_not_glued_to_the_old_one(server, path, etag, new):
    """Without ETag, its length or the place where the range ends give it away."""
    with pytest.raises(InputError):
        get(server, path, ranged(BODY, etag=etag and '"1"', most=30_000), status(503), waits=())
    get(server, path, ranged(new, etag=etag))
    check_fetched(path, new)


def test_a_weak_etag_vouches_for_nothing(server, path):
    get(server, path, ranged(BODY, etag='W/"1"', most=30_000))
    check_fetched(path, BODY)
    assert "If-Range" not in server.requests[1][1]


def test_the_beginning_of_another_address_is_not_used(server, path):
    with pytest.raises(InputError):
        get(server, path, ranged(OTHER, most=30_000), status(503), waits=(), name="/elsewhere/file.zip")
    get(server, path, ranged(BODY))
    check_fetched(path, BODY)
    assert ranges(server) == [None]


def test_interrupted_before_the_renaming(server, path, monkeypatch):
    replace = os.replace

    def interrupted(source, target):
        if target == str(path):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get(server, path, ranged(BODY))
    get(server, path, ranged(BODY))
    check_fetched(path, BODY)
    assert server.requests == []


@pytest.mark.parametrize("code", [404, 403, 410])
def test_what_is_not_there_is_asked_for_once(server, path, code):
    with pytest.raises(InputError, match=rf"^{server.address}/file.zip: answers {code} \w+"):
        get(server, path, status(code))
    assert len(server.requests) == 1
    assert os.listdir(path.parent) == []


def test_a_busy_server_is_asked_again(server, path):
    get(server, path, status(503), status(429), whole(BODY))
    check_fetched(path, BODY)
    with pytest.raises(InputError, match="answers 503 Service Unavailable \\(4 attempts without progress\\)"):
        get(server, path, status(503))
    assert len(server.requests) == 4


LONGER = BODY + b"-" * 100


@pytest.mark.parametrize(
    "answers",
    [[whole(BODY, length=len(LONGER))], [ranged(LONGER, most=len(BODY)), ranged(LONGER, most=0)]],
    ids=["all_again", "nothing_more"],
)
def test_a_server_that_promises_more_than_it_has(server, path, answers):
    with pytest.raises(InputError, match="4 attempts without progress"):
        get(server, path, *answers)
    assert not path.exists()
    assert len(server.requests) == 5  # the first brought something


def test_a_length_other_than_published(server, path):
    """Said before it is downloaded."""
    with pytest.raises(InputError, match="a file of 49,999 bytes; expected 50,000"):
        get(server, path, whole(BODY, length=49_999), size=50_000)
    with pytest.raises(InputError, match="sends more than 40,000 bytes"):
        get(server, path, without_length(BODY), size=40_000)
    assert os.listdir(path.parent) == []


def test_archives_are_not_unpacked_on_the_way(server, path):
    """Some servers call a .tar.gz a file that is encoded by gzip."""
    packed = gzip.compress(BODY)
    get(server, path, whole(packed, Content_Encoding="gzip"))
    check_fetched(path, packed)
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_redirections(server, path):
    server.answers["/there"] = [whole(BODY)]
    get(server, path, status(302, Location="/there"))
    check_fetched(path, BODY)
    for location in ("file:///etc/passwd", "ftp://127.0.0.1/file", "/file.zip"):
        with pytest.raises(InputError) as caught:
            get(server, path, status(302, Location=location))
        assert "\n" not in str(caught.value)
        assert "attempts" not in str(caught.value)


def test_no_server(server, path):
    server.server_close()
    with pytest.raises(InputError, match="Connection refused.* \\(4 attempts without progress\\)$") as caught:
        get(server, path)
    assert "\n" not in str(caught.value)


def test_a_proxy_from_the_environment(server, path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    server.answers["http://weights.invalid/file.zip"] = [whole(BODY)]
    fetch("http://weights.invalid/file.zip", str(path), waits=())
    check_fetched(path, BODY)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host/path", True),
        ("http://127.0.0.1:8000", True),
        ("ftp://host/path", False),
        ("file:///etc", False),
        ("host/path", False),
        ("https://", False),
        ("http://[", False),
    ],
)
def test_web_addresses(address, expected):
    assert is_web_address(address) is expected
