"""Fixtures that several test files use."""

import json
import os
import signal
import sys

import filelock
import pytest

from modeling.config import BertConfig
from tests.helpers import programs

# As programs have it (`common.quiet_tensorflow`), before any test imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Scripts run `python`, which has to be this one, also where its environment is not activated.
os.environ["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"

# Under nohup or in the background of a shell SIGINT is ignored, also by all programs that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = programs.REPOSITORY


def pytest_collection_modifyitems(items):
    """Files that take long come first, so that all processes of pytest-xdist end at about the same time."""
    slow_first = ("reproduction", "modeling", "programs")
    folders = [*slow_first, *sorted({item.path.parent.name for item in items} - set(slow_first))]
    items.sort(key=lambda item: folders.index(item.path.parent.name))


def pytest_collection_finish():
    """Where tests use TensorFlow: before its first operation, eight devices on which to train as on as many GPUs."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 8
        )


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


@pytest.fixture(scope="session")
def sample_model(repository, tmp_path_factory):
    """The flags for a script that name the sample vocabulary and a BERT of 1 layer x 32 for it."""
    path = tmp_path_factory.mktemp("sample_model") / "bert_config.json"
    sizes = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 2099, "max_position_embeddings": 512}
    path.write_text(json.dumps(TINY | sizes))
    return (f"--vocab_file={repository}/samples/vocab.txt", f"--bert_config_file={path}", "--do_lower_case=false")


@pytest.fixture(scope="session")
def tiny_config():
    """A BERT of 1 layer x 8 for a vocabulary of 32 pieces."""
    return BertConfig.from_dict(TINY)


TINY = {
    "vocab_size": 32,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}


@pytest.fixture(scope="session")
def run_script():
    """Runs a script of the repository as a user does, but in this process; returns `programs.Finished`."""
    return programs.run_here


@pytest.fixture(scope="session")
def run_process():
    """Runs a script of the repository in a process of its own; returns it finished, output as text."""
    return programs.run_process


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """Makes a directory once for all processes of pytest-xdist, which work with it side by side.

    Returns a function of the directory's name and a function that fills it.
    """

    def make(name, fill):
        base = tmp_path_factory.getbasetemp()
        directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
        with filelock.FileLock(f"{directory}.lock"):
            if not (directory / "made").exists():
                directory.mkdir()  # fails if another process has begun to make it, and failed
                fill(directory)
                (directory / "made").touch()
        return directory

    return make


@pytest.fixture(scope="module", params=["core", "shared"])
def golden(request):
    """The folder of what the original code computed: the core that is in tests/golden, and all of ../shared/golden."""
    if request.param == "shared":
        return request.getfixturevalue("shared") / "golden"
    return request.getfixturevalue("golden_core")


@pytest.fixture(scope="session")
def golden_core(make_once):
    from tests.golden import unpack  # with TensorFlow, which others do without

    return make_once("golden", unpack)


@pytest.fixture(scope="session")
def golden_once(request):
    """All of it, or the core where that is missing: for what takes long. tests/golden/test_golden.py compares them."""
    shared = REPOSITORY.parent / "shared/golden"
    return shared if shared.is_dir() else request.getfixturevalue("golden_core")
