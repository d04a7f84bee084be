"""The direction of dependencies: scripts -> modeling, data_prep -> common; biocodes stands alone."""

import ast

import pytest

from tests.helpers.programs import run_process

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


# Of the folders below, the files whose subject is a model, a record or tensorflow-text.
WITH_TENSORFLOW = {
    *("test_build_corpus", "test_build_vocab", "test_create_pretraining_data", "test_example_proto", "test_questions"),
    *("test_records", "test_relations", "test_tokenization"),
    *("test_graph_tokenizer", "test_inference_ner", "test_inference_relations", "test_model_directory"),
    *("test_question_answering", "test_web", "test_web_limits"),
    *("test_demo", "test_grid", "test_reproduction"),
}


def test_text_corpora_scores_and_reports_do_without_tensorflow(repository):
    """Their tests import none of it, nor do the processes in which `build_corpus` reads files."""
    names = ["data_prep.build_corpus"]
    for folder in ("biocodes", "common", "data_prep", "inference", "reproduction"):
        paths = sorted((repository / "tests" / folder).glob("test_*.py"))
        names += [f"tests.{folder}.{path.stem}" for path in paths if path.stem not in WITH_TENSORFLOW]
    code = "import importlib, sys; sys.modules['tensorflow'] = None; list(map(importlib.import_module, sys.argv[1:]))"
    result = run_process("-c", code, *names)
    assert result.returncode == 0, result.stderr
