"""convert.py: Hugging Face's layout to a checkpoint of ours."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import convert
from common.errors import InputError
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
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


@pytest.fixture
def weights():
    random = np.random.default_rng(1)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def write_model(directory, weights, **config):
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(TINY | {"model_type": "bert", "layer_norm_eps": 1e-12} | config))
    save_file(weights, directory / "model.safetensors")
    (directory / "vocab.txt").write_text("[PAD]\n")
    return directory


def test_an_encoder_arrives_under_the_original_s_names(weights, tmp_path, run_script):
    source = write_model(tmp_path / "source", weights)
    result = run_script("convert.py", f"--input_dir={source}", f"--output_dir={tmp_path}/converted")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "converted").iterdir()) == [
        "bert_config.json",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_model.ckpt.index",
        "vocab.txt",
    ]
    model = PretrainingModel(BertConfig.from_json_file(tmp_path / "converted/bert_config.json"))
    model.build()
    loaded, initialized, ignored = checkpoint.load_weights(model, tmp_path / "converted", optional=("cls/",))
    assert len(loaded) == len(SHAPES) - 1  # all but the buffer
    assert ignored == []
    assert all(name.startswith("cls/") for name in initialized)
    variables = checkpoint.model_variables(model)
    layer = "bert/encoder/layer_0/intermediate/dense/kernel"
    np.testing.assert_array_equal(variables[layer].numpy(), weights["encoder.layer.0.intermediate.dense.weight"].T)
    np.testing.assert_array_equal(
        variables["bert/embeddings/LayerNorm/gamma"].numpy(), weights["embeddings.LayerNorm.weight"]
    )


def test_the_pre_training_heads_come_along(weights, tmp_path):
    heads = {
        "cls.predictions.bias": [32],
        "cls.predictions.decoder.weight": [32, 8],
        "cls.predictions.transform.dense.weight": [8, 8],
        "cls.predictions.transform.LayerNorm.gamma": [8],  # its old name
        "cls.seq_relationship.weight": [2, 8],
        "cls.seq_relationship.bias": [2],
    }
    weights = {f"bert.{name}": array for name, array in weights.items()}
    weights |= {name: np.ones(shape, np.float32) for name, shape in heads.items()}
    weights["classifier.weight"] = np.ones([3, 8], np.float32)
    _, converted = convert.read_hugging_face(write_model(tmp_path / "source", weights))
    assert {name for name in converted if not name.startswith("bert/")} == {
        "cls/predictions/output_bias",
        "cls/predictions/transform/dense/kernel",
        "cls/predictions/transform/LayerNorm/gamma",
        "cls/seq_relationship/output_weights",
        "cls/seq_relationship/output_bias",
    }


def message(directory):
    with pytest.raises(InputError) as error:
        convert.read_hugging_face(directory)
    return str(error.value)


def test_says_what_is_wrong(weights, tmp_path):
    directory = write_model(tmp_path / "a", weights, layer_norm_eps=1e-5)
    assert "'layer_norm_eps' is 1e-05" in message(directory)
    directory = write_model(tmp_path / "a", weights, model_type="roberta")
    assert "model_type is 'roberta'; expected 'bert'" in message(directory)
    directory = write_model(tmp_path / "a", weights, vocab_size=33)
    assert "word_embeddings has shape [32, 8], config.json says [33, 8]" in message(directory)
    directory = write_model(tmp_path / "a", {k: v for k, v in weights.items() if "query.bias" not in k})
    assert "attention/self/query/bias is missing; expected shape [8]" in message(directory)
    (directory / "model.safetensors").write_bytes(b"no")
    assert "model.safetensors: cannot be read" in message(directory)
    (directory / "model.safetensors").unlink()
    assert "model.safetensors: cannot be read" in message(directory)


def test_a_run_s_checkpoint_is_not_written_over(tiny_config, tmp_path):
    model = PretrainingModel(tiny_config)
    model.build()
    prefix = str(tmp_path / "model.ckpt-7")
    checkpoint.save(prefix, checkpoint.model_variables(model))
    (tmp_path / "bert_config.json").write_text(json.dumps(TINY))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"model\.ckpt-7 is in there; expected another directory"):
        convert.check_other_directory(prefix, f"{tmp_path}/link")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/bert_config.json").write_text(json.dumps(TINY | {"vocab_size": 33}))
    with pytest.raises(InputError, match=r"word_embeddings has shape \[32, 8\], the model needs \[33, 8\]"):
        convert.read_checkpoint(f"{tmp_path}/other", prefix)
