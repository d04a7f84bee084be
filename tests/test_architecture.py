"""The direction of dependencies: scripts -> modeling, data_prep -> common; biocodes stands alone."""

import ast

import pytest

ALLOWED = {
    "common": {"common"},
    "modeling": {"modeling", "common"},
    "data_prep": {"data_prep", "common"},
    "biocodes": set(),
    "inference": {"inference", "modeling", "data_prep", "biocodes", "common"},
    "reproduction": {"reproduction", "biocodes", "data_prep", "common"},
}


def imported(path):
    """First components of all modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_import_only_what_lies_below(repository, package):
    scripts = {path.stem for path in repository.glob("*.py")}
    ours = scripts | set(ALLOWED) | {"tests", "benchmarks", "scripts"}
    for path in (repository / package).rglob("*.py"):
        assert set(imported(path)) & ours <= ALLOWED[package], path


def test_evaluation_programs_need_no_tensorflow(repository):
    for path in (repository / "biocodes").glob("*.py"):
        assert not set(imported(path)) & {"tensorflow", "keras", "absl"}, path


def test_nothing_is_pickled(repository):
    for path in repository.glob("**/*.py"):
        if ".venv" not in path.parts:
            assert "pickle" not in set(imported(path)), path
