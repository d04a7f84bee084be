"""Who may import whom: nothing points up, and each format and each task has one home."""

import ast

import pytest

from tests.helpers.programs import run_process

# What each room may import, beside itself. A room is a folder; its subfolders are rooms of their own where named.
BELOW = {
    "common": set(),
    "biocodes": set(),  # stands alone
    "modeling": {"common"},
    "data_prep/text": {"common"},
    "data_prep/records": {"common"},
    "data_prep/formats": {"data_prep/text", "common"},
    "data_prep/tasks": {"data_prep/formats", "data_prep/text", "data_prep/records", "common"},
    "data_prep/corpus": {"data_prep/formats", "data_prep/text", "data_prep/records", "common"},
    "data_prep/published": {"data_prep/tasks", "common"},
    "data_prep": {f"data_prep/{room}" for room in ("corpus", "formats", "tasks", "published", "text")} | {"common"},
    "fine_tuning": {"data_prep/tasks", "data_prep/text", "data_prep/records", "modeling", "common"},
    "inference": {
        *("fine_tuning", "modeling", "biocodes", "common"),
        *("data_prep/formats", "data_prep/tasks", "data_prep/text"),
    },
    "reproduction": {"biocodes", "data_prep/tasks", "common"},
}
TRAINING_SCRIPTS = ("run_pretraining.py", "run_ner.py", "run_re.py", "run_qa.py")


def imported(path):
    """The names of all modules that a file imports, those of the names that it takes out of them as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    """The innermost room that a path is in, "" for none."""
    return max((room for room in BELOW if f"{path}/".startswith(f"{room}/")), key=len, default="")


def rooms_imported(repository, path):
    """The rooms that a file imports, and scripts by their names."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        if (repository / f"{parts[0]}.py").is_file():
            found.add(f"{parts[0]}.py")
        elif parts[0] in ("tests", "benchmarks"):
            found.add(parts[0])
        else:
            found.add(room_of("/".join(parts)))
    return found - {""}


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_only_what_lies_below(repository, room):
    for path in (repository / room).rglob("*.py"):
        if room_of(path.relative_to(repository).as_posix()) == room:
            assert rooms_imported(repository, path) - {room} <= BELOW[room], path


def test_what_trains_does_without_what_predicts(repository):
    for name in TRAINING_SCRIPTS:
        assert not rooms_imported(repository, repository / name) & {"inference", "reproduction"}, name


def test_a_folder_has_no_more_files_than_can_be_looked_over(repository):
    for folder in {path.parent for room in BELOW for path in (repository / room).rglob("*.py")}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 17, folder


def defined(repository, name):
    """The files, but tests and benchmarks, that define a class."""
    return [
        path.relative_to(repository).as_posix()
        for room in BELOW
        for path in (repository / room).glob("**/*.py" if "/" not in room and room != "data_prep" else "*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name == name
    ]


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("Document", "data_prep/formats/document.py"),
        ("Entity", "data_prep/formats/document.py"),
        ("Relation", "data_prep/formats/document.py"),
        ("Format", "data_prep/formats/table.py"),
        ("Task", "fine_tuning/tasks.py"),
    ],
)
def test_one_home(repository, name, home):
    assert defined(repository, name) == [home]


def test_a_task_is_described_in_one_place(repository):
    """Training, prediction, export and conversion take it from there: none of them names a head or a layout itself."""
    users = ["run_ner.py", "run_re.py", "run_qa.py", "convert.py", "fine_tuning/model_directory.py"]
    users += ["inference/sequences.py", "inference/graph/sequences.py", "inference/graph/saved_model.py"]
    heads = {f"modeling.heads.{name}" for name in ("TokenClassifier", "SequenceClassifier", "SpanClassifier")}
    for name in users:
        assert not heads & set(imported(repository / name)), name
    for name in ("run_ner.py", "run_re.py", "run_qa.py", "convert.py", "inference/graph/saved_model.py"):
        assert "fine_tuning.tasks" in set(imported(repository / name)), name


def unannotated(node, prefix=""):
    """Yields the public functions and methods below a node whose arguments or result have no annotation."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from unannotated(child, f"{child.name}.")
        elif isinstance(child, ast.FunctionDef) and (child.name[0] != "_" or child.name in ("__init__", "__call__")):
            given = child.args
            found = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            names = [each.arg for each in found if each and each.annotation is None]
            if not set(names) <= {"self", "cls", "_"} or child.returns is None:
                yield f"{prefix}{child.name}"


@pytest.mark.parametrize("folder", ["modeling", "fine_tuning", "data_prep/tasks", "inference", "biocodes"])
def test_public_functions_are_annotated(repository, folder):
    """mypy, in `make lint`, checks that what they say is so."""
    for path in (repository / folder).rglob("*.py"):
        assert list(unannotated(ast.parse(path.read_text(encoding="utf-8")))) == [], path


def test_evaluation_programs_need_no_tensorflow(repository):
    for path in (repository / "biocodes").glob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"tensorflow", "keras", "absl"}, path


def test_nothing_is_pickled(repository):
    for path in repository.glob("**/*.py"):
        if ".venv" not in path.parts:
            assert "pickle" not in {name.split(".")[0] for name in imported(path)}, path


# Of the folders below, the files whose subject is a model, a record or tensorflow-text.
WITH_TENSORFLOW = {
    *("test_build_corpus", "test_build_vocab", "test_create_pretraining_data", "test_example_proto", "test_questions"),
    *("test_records", "test_relations", "test_tokenization"),
    *("test_graph_tokenizer", "test_inference_ner", "test_inference_relations", "test_inference_sequences"),
    *("test_loading", "test_model_directory"),
    *("test_question_answering", "test_web", "test_web_limits", "test_web_server"),
    *("test_demo", "test_grid", "test_reproduction"),
}


def test_text_corpora_scores_and_reports_do_without_tensorflow(repository):
    """Their tests import none of it, nor do the processes in which `build_corpus` reads files."""
    names = ["data_prep.build_corpus"]
    for folder in ("biocodes", "common", "data_prep", "inference", "reproduction"):
        paths = sorted((repository / "tests" / folder).rglob("test_*.py"))
        modules = [path.relative_to(repository).with_suffix("") for path in paths if path.stem not in WITH_TENSORFLOW]
        names += [".".join(module.parts) for module in modules]
    code = "import importlib, sys; sys.modules['tensorflow'] = None; list(map(importlib.import_module, sys.argv[1:]))"
    result = run_process("-c", code, *names)
    assert result.returncode == 0, result.stderr
