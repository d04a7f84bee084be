"""A small BERT in Hugging Face's layout, made without PyTorch, for several test files."""

import json
import types

import numpy as np
import pytest
from safetensors.numpy import save_file

import convert
from common.errors import InputError
from tests.conftest import TINY

# A layer of 8 with a feed-forward of 16, as transformers names and shapes it: linear weights are [out, in].
SHAPES = {
    "embeddings.position_ids": [1, 16],
    "embeddings.word_embeddings.weight": [32, 8],
    "embeddings.position_embeddings.weight": [16, 8],
    "embeddings.token_type_embeddings.weight": [2, 8],
    "embeddings.LayerNorm.weight": [8],
    "embeddings.LayerNorm.bias": [8],
    **{
        f"encoder.layer.0.attention.{part}.{kind}": shape
        for part in ("self.query", "self.key", "self.value", "output.dense")
        for kind, shape in (("weight", [8, 8]), ("bias", [8]))
    },
    "encoder.layer.0.attention.output.LayerNorm.weight": [8],
    "encoder.layer.0.attention.output.LayerNorm.bias": [8],
    "encoder.layer.0.intermediate.dense.weight": [16, 8],
    "encoder.layer.0.intermediate.dense.bias": [16],
    "encoder.layer.0.output.dense.weight": [8, 16],
    "encoder.layer.0.output.dense.bias": [8],
    "encoder.layer.0.output.LayerNorm.weight": [8],
    "encoder.layer.0.output.LayerNorm.bias": [8],
    "pooler.dense.weight": [8, 8],
    "pooler.dense.bias": [8],
}
PRETRAINING_HEADS = {
    "cls.predictions.bias": [32],
    "cls.predictions.transform.dense.weight": [8, 8],
    "cls.predictions.transform.dense.bias": [8],
    "cls.predictions.transform.LayerNorm.weight": [8],
    "cls.predictions.transform.LayerNorm.bias": [8],
    "cls.seq_relationship.weight": [2, 8],
    "cls.seq_relationship.bias": [2],
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"piece{i}" for i in range(27))]


def random_arrays(shapes, seed=1):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def encoder():
    """A random encoder as `BertModel` saves it."""
    return random_arrays(SHAPES)


def encoder_with(shapes):
    """The same as the classes with a head save it, and random tensors of these shapes."""
    return {f"bert.{name}": array for name, array in encoder().items()} | random_arrays(shapes, seed=2)


def write_model(directory, weights, vocabulary=PIECES, **config):
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(TINY | {"model_type": "bert", "layer_norm_eps": 1e-12} | config))
    save_file(weights, directory / "model.safetensors")
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary))
    return directory


def run_convert(input_dir, output_dir, **values):
    defaults = {"checkpoint": None, "to": "checkpoint", "labels": None, "do_lower_case": None}
    convert.convert(types.SimpleNamespace(input_dir=str(input_dir), output_dir=str(output_dir), **defaults | values))
    return output_dir


def message(function, *arguments, **values):
    """That of the `InputError` which a call raises: one line."""
    with pytest.raises(InputError) as error:
        function(*arguments, **values)
    assert "\n" not in str(error.value)
    return str(error.value)
