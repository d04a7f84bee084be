"""The compiled training step that `benchmarks/xla_step.py` writes is that of `run_pretraining.py`."""

import json

import numpy as np
import pytest

from benchmarks import xla_step
from modeling.config import BertConfig
from tests.conftest import TINY
from tests.modeling.test_unpadding import SEGMENTS, batch


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The path of a program for a batch with padding, with weights and what TensorFlow computes."""
    directory = tmp_path_factory.mktemp("programs")
    config = BertConfig.from_dict(TINY)
    features = {
        name: x.numpy() for name, x in batch(config).items() if name not in ("start_positions", "end_positions")
    }
    xla_step.write(str(directory), "step", config, features, "float32", xla_step.WAYS["unpadded"], check=True)
    return directory / "step"


def test_a_program_is_written_with_its_batch(written):
    about = json.loads(written.with_suffix(".json").read_text())
    assert about["sequences"] == len(SEGMENTS)
    assert 0 < about["real_operations"] < about["padded_operations"]
    with np.load(written.with_suffix(".npz")) as saved:
        arrays = [saved[name] for name in sorted(saved.files)]
    # The number of the step, and features in the order of their names.
    assert len(arrays[: about["arguments"]]) == 10
    assert arrays[2].shape == (1, len(SEGMENTS), 16)


def test_jax_computes_what_tensorflow_does(written):
    jax = pytest.importorskip("jax", reason="needs JAX")
    about = json.loads(written.with_suffix(".json").read_text())
    loss, norm = xla_step.Program(str(written), jax.devices()[0]).step()
    assert (loss, norm) == pytest.approx((about["loss"], about["global_norm"]), rel=1e-5)
