"""Fixtures that several test files use."""

import pathlib
import signal
import subprocess
import sys

import pytest

from common import quiet_tensorflow  # noqa: F401

# isort: split
import tensorflow as tf

from modeling.config import BertConfig
from tests.golden import unpack

# Before TensorFlow's first operation: eight devices on which to train as on as many GPUs.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 8
)

# Under nohup or in the background of a shell SIGINT is ignored, also by all programs that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def sample_model(repository):
    """The flags for a script that name the sample vocabulary and a small BERT for it."""
    return (
        f"--vocab_file={repository}/samples/vocab.txt",
        f"--bert_config_file={repository}/samples/bert_config.json",
        "--do_lower_case=false",
    )


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
    """Runs a script of the repository as a user does; returns the finished process, output as text."""

    def run(*arguments, **options):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, **options)

    return run


@pytest.fixture(scope="module", params=["core", "shared"])
def golden(request, tmp_path_factory):
    """The folder of what the original code computed: the core that is in tests/golden, and all of ../shared/golden."""
    if request.param == "shared":
        return request.getfixturevalue("shared") / "golden"
    folder = tmp_path_factory.getbasetemp() / "golden"
    if not folder.exists():
        unpack(folder)
    return folder
