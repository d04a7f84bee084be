"""The core in this folder is what was recorded, but for the rounding that README.md states."""

import h5py
import numpy as np
import pytest

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
