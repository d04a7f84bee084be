"""Models in Hugging Face's layout: names, and what is refused. For their numbers see test_transformers.py."""

import numpy as np
import pytest

from modeling import hugging_face
from tests.helpers.hugging_face_samples import (
    PRETRAINING_HEADS,
    encoder,
    encoder_with,
    message,
    random_arrays,
    write_model,
)

# The original's names, and those of transformers.
NAMES = {
    "bert/embeddings/word_embeddings": "bert.embeddings.word_embeddings.weight",
    "bert/embeddings/token_type_embeddings": "bert.embeddings.token_type_embeddings.weight",
    "bert/embeddings/position_embeddings": "bert.embeddings.position_embeddings.weight",
    "bert/embeddings/LayerNorm/gamma": "bert.embeddings.LayerNorm.weight",
    "bert/embeddings/LayerNorm/beta": "bert.embeddings.LayerNorm.bias",
    "bert/encoder/layer_0/attention/self/query/kernel": "bert.encoder.layer.0.attention.self.query.weight",
    "bert/encoder/layer_0/attention/self/query/bias": "bert.encoder.layer.0.attention.self.query.bias",
    "bert/encoder/layer_0/attention/self/key/kernel": "bert.encoder.layer.0.attention.self.key.weight",
    "bert/encoder/layer_0/attention/self/key/bias": "bert.encoder.layer.0.attention.self.key.bias",
    "bert/encoder/layer_0/attention/self/value/kernel": "bert.encoder.layer.0.attention.self.value.weight",
    "bert/encoder/layer_0/attention/self/value/bias": "bert.encoder.layer.0.attention.self.value.bias",
    "bert/encoder/layer_0/attention/output/dense/kernel": "bert.encoder.layer.0.attention.output.dense.weight",
    "bert/encoder/layer_0/attention/output/dense/bias": "bert.encoder.layer.0.attention.output.dense.bias",
    "bert/encoder/layer_0/attention/output/LayerNorm/gamma": "bert.encoder.layer.0.attention.output.LayerNorm.weight",
    "bert/encoder/layer_0/attention/output/LayerNorm/beta": "bert.encoder.layer.0.attention.output.LayerNorm.bias",
    "bert/encoder/layer_0/intermediate/dense/kernel": "bert.encoder.layer.0.intermediate.dense.weight",
    "bert/encoder/layer_0/intermediate/dense/bias": "bert.encoder.layer.0.intermediate.dense.bias",
    "bert/encoder/layer_0/output/dense/kernel": "bert.encoder.layer.0.output.dense.weight",
    "bert/encoder/layer_0/output/dense/bias": "bert.encoder.layer.0.output.dense.bias",
    "bert/encoder/layer_0/output/LayerNorm/gamma": "bert.encoder.layer.0.output.LayerNorm.weight",
    "bert/encoder/layer_0/output/LayerNorm/beta": "bert.encoder.layer.0.output.LayerNorm.bias",
    "bert/pooler/dense/kernel": "bert.pooler.dense.weight",
    "bert/pooler/dense/bias": "bert.pooler.dense.bias",
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/predictions/transform/dense/kernel": "cls.predictions.transform.dense.weight",
    "cls/predictions/transform/dense/bias": "cls.predictions.transform.dense.bias",
    "cls/predictions/transform/LayerNorm/gamma": "cls.predictions.transform.LayerNorm.weight",
    "cls/predictions/transform/LayerNorm/beta": "cls.predictions.transform.LayerNorm.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
}


@pytest.fixture
def weights():
    return encoder()


@pytest.fixture
def classifier():
    """A token or sequence classifier with three labels."""
    return encoder_with({"classifier.weight": [3, 8], "classifier.bias": [3]})


def test_the_names_of_both_sides(tmp_path):
    weights = encoder_with(PRETRAINING_HEADS)
    model = hugging_face.read(write_model(tmp_path, weights, architectures=["BertForPreTraining"]))
    assert model.variables.keys() == NAMES.keys()
    for ours, theirs in NAMES.items():
        expected = weights[theirs].T if ours.endswith("kernel") else weights[theirs]
        np.testing.assert_array_equal(model.variables[ours], expected)


def test_the_pre_training_heads_come_along(tmp_path):
    """Under old names, with the tied weights written out, and with a head of another kind."""
    weights = encoder_with(PRETRAINING_HEADS)
    weights["cls.predictions.transform.LayerNorm.gamma"] = weights.pop("cls.predictions.transform.LayerNorm.weight")
    weights["cls.predictions.transform.LayerNorm.beta"] = weights.pop("cls.predictions.transform.LayerNorm.bias")
    weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"]
    weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"]
    weights["classifier.weight"] = np.ones([3, 8], np.float32)
    model = hugging_face.read(write_model(tmp_path / "source", weights, architectures=["BertForPreTraining"]))
    assert model.architecture == "BertForPreTraining"
    assert model.variables.keys() == NAMES.keys()


def test_the_bias_of_the_output_may_be_under_its_other_name(tmp_path):
    weights = encoder_with(PRETRAINING_HEADS)
    bias = weights["cls.predictions.decoder.bias"] = weights.pop("cls.predictions.bias")
    model = hugging_face.read(write_model(tmp_path / "source", weights))
    np.testing.assert_array_equal(model.variables["cls/predictions/output_bias"], bias)


def test_the_head_of_a_configuration_that_names_none(classifier, tmp_path):
    weights = encoder_with({"qa_outputs.weight": [2, 8], "qa_outputs.bias": [2]})
    model = hugging_face.read(write_model(tmp_path / "a", weights))
    assert model.architecture == "BertForQuestionAnswering"
    np.testing.assert_array_equal(model.variables["cls/squad/output_weights"], weights["qa_outputs.weight"])
    np.testing.assert_array_equal(model.variables["cls/squad/output_bias"], weights["qa_outputs.bias"])
    says = message(hugging_face.read, write_model(tmp_path / "b", classifier))
    assert "config.json: no architectures; expected BertForTokenClassification or BertForSequenceClassification" in says


def test_a_head_that_is_none_of_ours_is_left_out(classifier, tmp_path, caplog):
    model = hugging_face.read(write_model(tmp_path, classifier, architectures=["BertForMultipleChoice"]))
    assert model.architecture == "BertModel"
    assert {name.split("/")[0] for name in model.variables} == {"bert"}
    assert "config.json: no counterpart of 'BertForMultipleChoice' here; its head, if any, is left out" in caplog.text
    assert "classifier.weight is left out" in caplog.text


def test_says_what_is_wrong_with_a_model(weights, tmp_path):
    def says(weights, **config):
        return message(hugging_face.read, write_model(tmp_path / "a", weights, **config))

    assert "'layer_norm_eps' is 1e-05" in says(weights, layer_norm_eps=1e-5)
    assert "'position_embedding_type' is 'relative_key'" in says(weights, position_embedding_type="relative_key")
    assert "'hidden_act' is 'gelu_new'; expected one of gelu, relu" in says(weights, hidden_act="gelu_new")
    assert "'is_decoder' is True; expected a BERT without" in says(weights, is_decoder=True)
    assert "'pruned_heads' is {'0': [1]}" in says(weights, pruned_heads={"0": [1]})
    assert "model_type is 'roberta'; expected 'bert'" in says(weights, model_type="roberta")
    assert "word_embeddings.weight has shape [32, 8], config.json says [33, 8]" in says(weights, vocab_size=33)
    assert "intermediate.dense.weight has shape [16, 8], config.json says [20, 8]" in says(
        weights, intermediate_size=20
    )
    without = {name: array for name, array in weights.items() if "query.bias" not in name}
    assert "layer.0.attention.self.query.bias is missing; expected shape [8]" in says(without)
    quantized = weights | {"pooler.dense.weight": np.ones([8, 8], np.int8)}
    assert "pooler.dense.weight is of type int8; expected floating-point numbers" in says(quantized)
    half_a_head = weights | {"cls.predictions.bias": np.ones(32, np.float32)}
    assert "cls.predictions.transform.dense.weight is missing" in says(half_a_head)
    untied = weights | random_arrays({"cls.predictions.decoder.weight": [32, 8]}, seed=2)
    assert "decoder.weight and bert.embeddings.word_embeddings.weight differ; this model has one" in says(untied)


def test_says_what_is_wrong_with_files(weights, tmp_path):
    directory = write_model(tmp_path / "a", weights)
    (directory / "model.safetensors").write_bytes(b"no")
    assert "model.safetensors: cannot be read" in message(hugging_face.read, directory)
    (directory / "model.safetensors").unlink()
    assert "a: no weights there; expected model.safetensors or" in message(hugging_face.read, directory)
    (directory / "config.json").write_text("[]")
    assert "config.json: expected a JSON object, found list" in message(hugging_face.read, directory)
    (directory / "config.json").write_text("{")
    assert "config.json, line 1: not JSON" in message(hugging_face.read, directory)
    (directory / "config.json").unlink()
    assert "config.json: cannot be read (No such file or directory)" in message(hugging_face.read, directory)


def test_says_what_is_wrong_with_labels(classifier, tmp_path):
    def says(kind, labels=None, without=(), **config):
        weights = {name: array for name, array in classifier.items() if name not in without}
        directory = write_model(tmp_path / "a", weights, architectures=[f"BertFor{kind}Classification"], **config)
        return message(hugging_face.read, directory, labels)

    hole = {"0": "a", "1": "b", "3": "c"}
    assert 'id2label is {"0": "a", "1": "b", "3": "c"}; expected 3 different labels, for 0 to 2' in says(
        "Sequence", id2label=hole
    )
    assert "expected 3 different labels" in says("Sequence", id2label={"0": "a", "1": "b"})
    assert "expected 3 different labels" in says("Sequence", id2label={"0": "a", "1": "b", "2": "a"})
    assert "expected 3 different labels" in says("Sequence", id2label={"0": "a", "1": "b", "2": 3})
    assert "expected 3 different labels" in says("Sequence", id2label=7)
    assert "--labels=a,b: expected 3 labels" in says("Sequence", labels=["a", "b"])
    assert "problem_type is 'multi_label_classification' with 3 outputs" in says(
        "Sequence", problem_type="multi_label_classification"
    )
    pooler = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    assert "tensor bert.pooler.dense.weight is missing" in says("Sequence", without=pooler)
    assert "classifier.bias is missing; BertForTokenClassification has it" in says("Token", without=["classifier.bias"])
