"""Finding, reading and writing TensorFlow 1 checkpoints."""

import dataclasses
import logging
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel, SpanClassifier, TokenClassifier
from modeling.optimization import AdamWeightDecay
from tests.conftest import TINY


def built(model):
    model.build()
    return model


@pytest.fixture
def pretrained(tiny_config):
    return built(PretrainingModel(tiny_config))


def touch(directory, *names):
    for name in names:
        (directory / name).write_bytes(b"")


def test_find_takes_the_forms_in_which_users_give_a_checkpoint(tmp_path):
    for step in (9, 10):
        touch(tmp_path, f"model.ckpt-{step}.index", f"model.ckpt-{step}.data-00000-of-00001")
    touch(tmp_path, "biobert_model.ckpt.index", "biobert_model.ckpt.data-00000-of-00001")
    expected = {
        "": "model.ckpt-10",  # a directory: the newest
        "model.ckpt": "model.ckpt-10",
        "model.ckpt-9": "model.ckpt-9",
        "model.ckpt-9.index": "model.ckpt-9",
        "model.ckpt-9.data-00000-of-00001": "model.ckpt-9",
        "biobert_model.ckpt": "biobert_model.ckpt",
    }
    assert {given: pathlib.Path(checkpoint.find(tmp_path / given)).name for given in expected} == expected


def test_what_a_killed_write_left_is_no_checkpoint_and_goes(tmp_path):
    touch(tmp_path, "model.ckpt-5.index", "model.ckpt-5.data-00000-of-00001")
    touch(tmp_path, "model.ckpt-10.tmp77.index", "model.ckpt-10.tmp77.data-00000-of-00001")
    assert checkpoint.newest(tmp_path).endswith("model.ckpt-5")
    checkpoint.remove_unfinished(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.ckpt-5.data-00000-of-00001", "model.ckpt-5.index"]


def test_find_wants_all_files(tmp_path):
    touch(tmp_path, "model.ckpt-1.index")
    for path in (tmp_path, tmp_path / "model.ckpt-1", tmp_path / "model.ckpt"):
        with pytest.raises(InputError, match="no checkpoint there"):
            checkpoint.find(path)


def test_names_are_those_of_the_original(shared):
    text = (shared / "golden/variable_names.txt").read_text()
    for line in text.split("\n## ner")[0].splitlines():
        if line.startswith("bert/embeddings/word_embeddings\t"):
            vocab_size = int(line.split("[")[1].split(",")[0])
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 512}
    config = BertConfig.from_dict(TINY | sizes | {"max_position_embeddings": 512, "vocab_size": vocab_size})
    models = {
        "pretrain": PretrainingModel(config),
        "ner": TokenClassifier(config, 7),
        "qa": SpanClassifier(config),
    }
    for section in text.split("## ")[1:]:
        header, *lines = section.strip().splitlines()
        task = header.split()[0]
        if task not in models:
            continue
        model = built(models[task])
        entries = {**checkpoint.model_variables(model), **AdamWeightDecay(model.trainable_variables).slots()}
        ours = {name: str(list(variable.shape)) for name, variable in entries.items()}
        theirs = dict(line.split("\t")[:2] for line in lines)
        theirs.pop("global_step")
        assert ours == theirs


def test_a_saved_checkpoint_reads_back_by_name(pretrained, tmp_path, tiny_config):
    writer = checkpoint.StepWriter(str(tmp_path), keep=2)
    writer.save(3, 96, checkpoint.model_variables(pretrained))
    writer.wait()
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-3")
    other = built(PretrainingModel(tiny_config))
    loaded, initialized, ignored = checkpoint.load_weights(other, tmp_path)
    assert len(loaded) == len(pretrained.variables)
    assert (initialized, ignored) == ([], ["examples_seen", "global_step"])
    for ours, theirs in zip(other.variables, pretrained.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_keeps_the_last_checkpoints(pretrained, tmp_path):
    (tmp_path / "model.ckpt-other.index").touch()
    writer = checkpoint.StepWriter(str(tmp_path), keep=2)
    for step in (8, 9, 10):
        writer.save(step, 32 * step, checkpoint.model_variables(pretrained))
    writer.wait()
    assert [pathlib.Path(p).name for p in checkpoint.all_checkpoints(tmp_path)] == [
        "model.ckpt-9",
        "model.ckpt-10",
    ]
    state = (tmp_path / "checkpoint").read_text()
    assert state.splitlines()[0] == 'model_checkpoint_path: "model.ckpt-10"'


def test_keeps_every_so_many_steps(pretrained, tmp_path):
    writer = checkpoint.StepWriter(str(tmp_path), keep=2, keep_every=3)
    for step in range(1, 10):
        writer.save(step, 32 * step, checkpoint.model_variables(pretrained))
    writer.wait()
    assert [pathlib.Path(p).name[11:] for p in checkpoint.all_checkpoints(tmp_path)] == ["3", "6", "8", "9"]


def test_what_is_written_is_as_it_was_when_saved(pretrained, tmp_path):
    writer = checkpoint.StepWriter(str(tmp_path), keep=1)
    before = [variable.numpy() for variable in pretrained.variables]
    writer.save(1, 32, checkpoint.model_variables(pretrained))
    for variable in pretrained.variables:
        variable.assign(variable.numpy() + 1.0)
    writer.wait()
    checkpoint.restore(tmp_path, checkpoint.model_variables(pretrained))
    for variable, value in zip(pretrained.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: bytes(len(data)), lambda data: b""]
)
def test_goes_back_from_a_damaged_checkpoint(pretrained, tmp_path, caplog, part, damage):
    writer = checkpoint.StepWriter(str(tmp_path), keep=5)
    variables = checkpoint.model_variables(pretrained)
    for step in (1, 2):
        writer.save(step, 32 * step, variables)
    writer.wait()
    path = tmp_path / f"model.ckpt-2.{part}"
    path.write_bytes(damage(path.read_bytes()))
    assert checkpoint.restore(str(tmp_path), variables) == (1, 32)
    assert f"{tmp_path}/model.ckpt-2: " in caplog.text
    assert "going back to the checkpoint before" in caplog.text
    path = tmp_path / f"model.ckpt-1.{part}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="all its 2 checkpoints are damaged"):
        checkpoint.restore(str(tmp_path), variables)


def test_a_new_head_is_initialized_and_the_log_says_so(pretrained, tmp_path, tiny_config, caplog):
    checkpoint.save(str(tmp_path / "bert_model.ckpt"), checkpoint.model_variables(pretrained))
    model = built(TokenClassifier(tiny_config, 7))
    with caplog.at_level(logging.INFO):
        loaded, initialized, ignored = checkpoint.load_weights(model, tmp_path, optional=("output_",))
    assert initialized == ["output_weights", "output_bias"]
    assert all(name.startswith("bert/") for name in loaded)
    assert len(ignored) == 7
    assert all(name.startswith("cls/") for name in ignored)
    assert f"loaded {len(loaded)} variables" in caplog.text
    assert "  loaded: bert/embeddings/word_embeddings" in caplog.text
    assert "initialized, not from the checkpoint: output_weights" in caplog.text
    assert "ignored, not in the model: cls/predictions/output_bias" in caplog.text


def test_a_missing_head_is_an_error_where_it_is_needed(pretrained, tmp_path, tiny_config):
    checkpoint.save(str(tmp_path / "bert_model.ckpt"), checkpoint.model_variables(pretrained))
    model = built(TokenClassifier(tiny_config, 7))
    with pytest.raises(InputError, match=r"variable output_weights is missing; .* shape \[7, 8\]"):
        checkpoint.load_trained(model, str(tmp_path / "empty"), str(tmp_path / "bert_model.ckpt"))


def test_a_missing_encoder_weight_is_an_error(pretrained, tmp_path, tiny_config):
    variables = checkpoint.model_variables(pretrained)
    del variables["bert/encoder/layer_0/intermediate/dense/kernel"]
    checkpoint.save(str(tmp_path / "bert_model.ckpt"), variables)
    with pytest.raises(InputError, match=r"layer_0/intermediate/dense/kernel is missing; .*\[8, 16\]"):
        checkpoint.load_weights(built(TokenClassifier(tiny_config, 7)), tmp_path, optional=("output_",))


def test_a_wrong_vocabulary_size_names_both(pretrained, tmp_path):
    checkpoint.save(str(tmp_path / "bert_model.ckpt"), checkpoint.model_variables(pretrained))
    model = built(PretrainingModel(BertConfig.from_dict(TINY | {"vocab_size": 33})))
    before = [v.numpy() for v in model.variables]
    with pytest.raises(InputError) as error:
        checkpoint.load_weights(model, tmp_path)
    assert "variable bert/embeddings/word_embeddings has shape [32, 8], the model needs [33, 8]" in str(error.value)
    for value, variable in zip(before, model.variables, strict=True):  # nothing half loaded
        np.testing.assert_array_equal(value, variable.numpy())


def test_a_damaged_checkpoint_is_one_line(pretrained, tmp_path):
    prefix = str(tmp_path / "bert_model.ckpt")
    checkpoint.save(prefix, checkpoint.model_variables(pretrained))
    data = pathlib.Path(prefix + ".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(InputError) as error:
        checkpoint.load_weights(pretrained, prefix)
    assert str(error.value).startswith(prefix)
    assert "\n" not in str(error.value)


def test_a_failed_write_leaves_the_old_checkpoint(pretrained, tmp_path):
    prefix = str(tmp_path / "bert_model.ckpt")
    checkpoint.save(prefix, checkpoint.model_variables(pretrained))
    with pytest.raises(InputError, match="cannot be written"):
        checkpoint.save(f"{prefix}.index/x.ckpt", checkpoint.model_variables(pretrained))
    checkpoint.load_weights(pretrained, prefix)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 100_000}, "bert/embeddings/word_embeddings has shape .32, 8., the model needs .32, 100000."),
        ({"max_position_embeddings": 900_000}, "bert/embeddings/position_embeddings has shape"),
        ({"intermediate_size": 900_000}, "layer_0/intermediate/dense/kernel has shape"),
        ({"num_hidden_layers": 999}, "variable bert/encoder/layer_998/output/dense/kernel is missing"),
    ],
)
def test_sizes_are_compared_before_a_model_is_built(pretrained, tiny_config, tmp_path, change, message):
    checkpoint.save(str(tmp_path / "bert.ckpt"), checkpoint.model_variables(pretrained))
    checkpoint.check_config(tiny_config, tmp_path)
    with pytest.raises(InputError, match=message):
        checkpoint.check_config(dataclasses.replace(tiny_config, **change), tmp_path)


def test_fewer_layers_than_the_checkpoint_has_are_said(pretrained, tiny_config, tmp_path, caplog):
    checkpoint.save(str(tmp_path / "bert.ckpt"), checkpoint.model_variables(pretrained))
    more = {name.replace("layer_0", "layer_1"): value for name, value in checkpoint.model_variables(pretrained).items()}
    checkpoint.save(str(tmp_path / "bert.ckpt"), more | checkpoint.model_variables(pretrained))
    checkpoint.check_config(dataclasses.replace(tiny_config, num_hidden_layers=1), tmp_path)
    assert "has more than the 1 layers of bert_config.json" in caplog.text


def test_weights_in_a_scope_are_named(pretrained, tiny_config, tmp_path):
    variables = {f"module/{name}": value for name, value in checkpoint.model_variables(pretrained).items()}
    checkpoint.save(str(tmp_path / "bert.ckpt"), variables)
    expected = (
        "word_embeddings is missing; .*; there is module/bert/embeddings/word_embeddings, without module/ it would"
    )
    with pytest.raises(InputError, match=expected):
        checkpoint.check_config(tiny_config, tmp_path)
    with pytest.raises(InputError, match="there is module/.*, without module/ it would fit"):
        checkpoint.load_weights(pretrained, tmp_path)
