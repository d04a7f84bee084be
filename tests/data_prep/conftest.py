"""Fixtures of the tests of data_prep."""

import pytest

from tests.helpers.file_server import serving


@pytest.fixture
def server(monkeypatch):
    """A `FileServer` on this machine that runs."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        yield running
