"""convert.py: Hugging Face's layout to a checkpoint of ours and back, without PyTorch (see test_transformers.py)."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import convert
from common.errors import InputError
from data_prep.tasks import label_map
from modeling import checkpoint, hugging_face
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from tests.conftest import TINY
from tests.helpers.hugging_face_samples import PIECES, SHAPES, encoder, encoder_with, message, run_convert, write_model


@pytest.fixture
def weights():
    return encoder()


@pytest.fixture
def classifier():
    """A token or sequence classifier with three labels."""
    return encoder_with({"classifier.weight": [3, 8], "classifier.bias": [3]})


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


def test_labels_of_ner_get_those_that_run_ner_needs(classifier, tmp_path):
    names = {"0": "O", "1": "I-Gene", "2": "B-Gene"}
    source = write_model(tmp_path / "a", classifier, architectures=["BertForTokenClassification"], id2label=names)
    ours = run_convert(source, tmp_path / "ours")
    assert label_map.read(ours) == ["[PAD]", "O", "I-Gene", "B-Gene", "X", "[CLS]", "[SEP]"]
    reader = checkpoint.open_reader(checkpoint.find(ours))
    np.testing.assert_array_equal(reader.get_tensor("output_weights")[1:4], classifier["classifier.weight"])
    assert not reader.get_tensor("output_weights")[[0, 4, 5, 6]].any()
    np.testing.assert_array_equal(reader.get_tensor("output_bias")[1:4], classifier["classifier.bias"])
    assert list(reader.get_tensor("output_bias")[[0, 4, 5, 6]]) == [-1e4] * 4
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    assert json.loads((back / "config.json").read_text())["id2label"] == names
    assert (back / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    assert_same(load_file(back / "model.safetensors"), classifier)


def test_special_labels_that_a_model_of_theirs_has_stay(classifier, tmp_path):
    names = {"0": "O", "1": "X", "2": "[SEP]"}
    source = write_model(tmp_path / "a", classifier, architectures=["BertForTokenClassification"], id2label=names)
    ours = run_convert(source, tmp_path / "ours")
    assert label_map.read(ours) == ["[PAD]", "O", "X", "[SEP]", "[CLS]"]
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    assert json.loads((back / "config.json").read_text())["id2label"] == names
    assert_same(load_file(back / "model.safetensors"), classifier)


def assert_same(tensors, expected):
    expected = {name: array for name, array in expected.items() if "position_ids" not in name}
    assert tensors.keys() == expected.keys()
    assert all(tensors[name].tobytes() == array.tobytes() for name, array in expected.items())


def test_the_pooler_that_theirs_is_without_is_zeros(classifier, tmp_path):
    classifier = {name: array for name, array in classifier.items() if "pooler" not in name}
    source = write_model(tmp_path / "a", classifier, architectures=["BertForTokenClassification"])
    ours = run_convert(source, tmp_path / "ours", labels=["B", "I", "O"])
    reader = checkpoint.open_reader(checkpoint.find(ours))
    assert not reader.get_tensor("bert/pooler/dense/kernel").any()
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    assert_same(load_file(back / "model.safetensors"), classifier)


def test_labels_that_the_configuration_does_not_name(classifier, tmp_path):
    source = write_model(tmp_path / "a", classifier, architectures=["BertForSequenceClassification"])
    assert label_map.read(run_convert(source, tmp_path / "b")) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert label_map.read(run_convert(source, tmp_path / "c", labels=["x", "false", "z"])) == ["x", "false", "z"]
    assert json.loads((tmp_path / "b/fine_tuning.json").read_text())["negative_label"] is None
    assert json.loads((tmp_path / "c/fine_tuning.json").read_text())["negative_label"] == "false"


def test_hugging_face_s_files(weights, tmp_path, run_script):
    ours = run_convert(write_model(tmp_path / "source", weights), tmp_path / "ours")
    result = run_script("convert.py", "--to=hugging_face", f"--input_dir={ours}", f"--output_dir={tmp_path}/back")
    assert result.returncode == 0, result.stderr
    back = tmp_path / "back"
    assert sorted(path.name for path in back.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert json.loads((back / "config.json").read_text()) == TINY | {
        "architectures": ["BertModel"],
        "layer_norm_eps": 1e-12,
        "model_type": "bert",
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
    }
    assert_same(load_file(back / "model.safetensors"), weights)


def test_the_vocabulary_is_that_of_the_model(weights, tmp_path):
    pieces = [*PIECES[1:], "[PAD]"]
    ours = run_convert(write_model(tmp_path / "source", weights, pieces), tmp_path / "ours")
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    assert (back / "vocab.txt").read_text().split() == pieces
    assert json.loads((back / "config.json").read_text())["pad_token_id"] == 31


def our_classifier(directory, labels, rows=None):
    """A checkpoint as run_ner.py or run_re.py writes it, with Adam's slots."""
    directory.mkdir()
    model = hugging_face.build("BertForSequenceClassification", BertConfig.from_dict(TINY), rows or labels)
    variables = checkpoint.model_variables(model)
    slots = {f"{name}/adam_m": variable for name, variable in variables.items()}
    checkpoint.save(str(directory / "model.ckpt-7"), variables | slots)
    (directory / "bert_config.json").write_text(json.dumps(TINY))
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    label_map.write(directory, labels)
    return directory


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        (["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"], None, "BertForTokenClassification"),
        (["0", "1"], None, "BertForSequenceClassification"),
        (["0", "1"], "re", "BertForSequenceClassification"),
        (["no", "yes"], "qa", "BertForSequenceClassification"),
        (["B", "O"], "ner", "BertForTokenClassification"),
    ],
)
def test_what_a_classifier_of_ours_is_for(labels, task, expected, tmp_path):
    ours = our_classifier(tmp_path / "ours", labels)
    if task:
        (ours / "fine_tuning.json").write_text(json.dumps({"task": task}))
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    config = json.loads((back / "config.json").read_text())
    assert config["architectures"] == [expected]
    assert config["label2id"] == {label: index for index, label in enumerate(labels)}
    assert not [name for name in load_file(back / "model.safetensors") if "adam" in name]


def test_a_run_s_checkpoint_without_what_only_the_run_needs(tmp_path):
    ours = our_classifier(tmp_path / "ours", ["0", "1"])
    (ours / "fine_tuning.json").write_text('{"task": "re", "do_lower_case": false, "max_seq_length": 64}')
    small = run_convert(ours, tmp_path / "small", checkpoint=str(ours))
    assert sorted(path.name for path in small.iterdir()) == [
        "bert_config.json",
        "fine_tuning.json",
        "label_map.json",
        "model.ckpt-7.data-00000-of-00001",
        "model.ckpt-7.index",
        "vocab.txt",
    ]
    names = checkpoint.open_reader(checkpoint.find(small)).get_variable_to_shape_map()
    assert len(names) == 25
    assert not [name for name in names if "adam" in name]


def test_writes_nothing_where_the_vocabulary_is_another(weights, tmp_path):
    source = write_model(tmp_path / "a", weights, [*PIECES, "more"])
    expected = "vocab.txt: 33 wordpieces, but the model's vocab_size is 32"
    assert expected in message(run_convert, source, tmp_path / "b")
    (source / "vocab.txt").unlink()
    assert "vocab.txt: no such file; expected the vocabulary" in message(run_convert, source, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_writes_nothing_where_the_settings_are_of_another_task(classifier, tmp_path):
    source = write_model(tmp_path / "a", classifier, architectures=["BertForSequenceClassification"])
    (source / "fine_tuning.json").write_text('{"task": "ner"}')
    expected = "fine_tuning.json: task is 'ner'; expected re or qa for BertForSequenceClassification"
    assert expected in message(run_convert, source, tmp_path / "b")
    (source / "fine_tuning.json").write_text("[]")
    assert "fine_tuning.json: expected a JSON object, found list" in message(run_convert, source, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_says_what_is_wrong_with_a_checkpoint_of_ours(tmp_path):
    ours = our_classifier(tmp_path / "ours", ["0", "1"], rows=["0", "1", "2"])
    says = message(run_convert, ours, tmp_path / "back", to="hugging_face")
    assert "label_map.json: 2 labels; expected 3, one for each output of" in says
    says = message(run_convert, ours, tmp_path / "back", to="hugging_face", labels=["a", "b", "c", "d"])
    assert "--labels: 4 labels; expected 3" in says
    (ours / "label_map.json").unlink()
    assert "label_map.json: 0 labels" in message(run_convert, ours, tmp_path / "back", to="hugging_face")
    (ours / "bert_config.json").unlink()
    says = message(run_convert, ours, tmp_path / "back", to="hugging_face")
    assert "bert_config.json: cannot be read" in says
    (tmp_path / "empty").mkdir()
    says = message(run_convert, tmp_path / "empty", tmp_path / "back", to="hugging_face")
    assert "empty: no checkpoint there" in says
    assert not (tmp_path / "back").exists()


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


def test_labels_without_one_for_no_entity(classifier, tmp_path):
    source = write_model(tmp_path / "a", classifier, architectures=["BertForTokenClassification"])
    assert "labels LABEL_0, LABEL_1, LABEL_2; expected one that is O" in message(run_convert, source, tmp_path / "b")
