"""The core in this folder is what was recorded, but for the rounding that README.md states."""

import gzip
import json
import pathlib

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests import golden as core

FIXTURES = ("model_tiny", "ner_loss", "re_loss", "qa_loss")


@pytest.fixture(scope="module")
def file():
    with h5py.File(core.ARRAYS) as file:
        yield file


@pytest.mark.parametrize("name", FIXTURES)
def test_arrays_of_a_fixture(file, shared, name):
    for kind in ("inputs", "outputs", "grads"):
        ours, theirs = core.read_arrays(file[f"{name}|{kind}.npz"]), np.load(shared / f"golden/{name}/{kind}.npz")
        assert set(ours) == set(theirs.files)
        largest = max(np.abs(theirs[key]).max() for key in ours if theirs[key].ndim)
        for key, array in ours.items():
            assert (array.dtype, array.shape) == (theirs[key].dtype, theirs[key].shape)
            # The tests allow gradients 1e-5 of the largest.
            rounding = 1e-5 * max(1, largest) / 20 if kind == "grads" else 0
            np.testing.assert_allclose(array, theirs[key], atol=rounding, rtol=0, err_msg=key)


def test_checkpoints(file, shared):
    """Every variable is there as it was recorded; rows of embeddings that no sentence uses may be zeros."""
    keys = [key for key in file if not key.endswith(".npz")]
    assert len(keys) >= 6
    for key in keys:
        reader = tf.train.load_checkpoint(str(shared / "golden" / key.replace("|", "/")))
        for name, array in core.read_weights(file[key]).items():
            theirs = reader.get_tensor(name)
            if name.endswith("_embeddings"):
                used = array.any(axis=1)
                array, theirs = array[used], theirs[used]
            np.testing.assert_array_equal(array, theirs, err_msg=f"{key} {name}")


def test_files_and_strings(shared):
    for path in filter(pathlib.Path.is_file, core.FILES.rglob("*")):
        assert path.read_bytes() == (shared / "golden" / path.relative_to(core.FILES)).read_bytes(), path
    with open(shared / "golden/tokenization.jsonl", encoding="utf-8") as lines:
        recorded = {row["id"]: row for row in map(json.loads, lines)}
    with gzip.open(core.STRINGS, "rt", encoding="utf-8") as lines:
        rows = list(map(json.loads, lines))
    assert len(rows) > 1000
    for row in rows:
        assert row.items() <= recorded[row["id"]].items()
