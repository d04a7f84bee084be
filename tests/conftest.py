"""Fixtures that several test files use."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared():
    """The folder of shared reference data beside the checkout; tests that need it skip without it."""
    path = REPOSITORY.parent / "shared"
    if not (path / "golden").is_dir():
        pytest.skip("needs the reference data in ../shared, which is not part of the repository")
    return path
