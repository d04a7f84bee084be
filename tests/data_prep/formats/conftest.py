"""Fixtures of the tests of formats."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes files and returns their paths as strings."""

    def write_files(*contents):
        paths = [tmp_path / f"{name}.txt" for name in "abc"[: len(contents)]]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content, encoding="utf-8")
        return [str(path) for path in paths]

    return write_files
