"""What a training leaves is what all programs that use models take, and they find the same in a text."""

import json

import numpy as np
import pytest
import tensorflow as tf

from inference.annotator import load_annotator
from inference.web import application
from inference.web.models import Limits
from modeling import checkpoint


@pytest.fixture(scope="module")
def text(trained_ner):
    """Words of test.tsv."""
    lines = (trained_ner.data / "test.tsv").read_text().splitlines()
    return " ".join(line.split("\t")[0] for line in lines[:300] if line)


@pytest.fixture(scope="module")
def found(trained_ner, text, run_script):
    """The entities that predict.py finds in it: start, end, type."""
    result = run_script(
        "predict.py", f"--ner_model=Disease={trained_ner.output}", "--sentence_splitter=none", input=text
    )
    assert result.returncode == 0, result.stderr
    entities = [(e["start"], e["end"], e["type"]) for e in json.loads(result.stdout)["entities"]]
    assert len(entities) > 5
    assert {kind for _, _, kind in entities} == {"Disease"}
    return entities


def test_words_get_the_labels_that_run_ner_predicts(trained_ner, run_script, tmp_path):
    detokenized = run_script(
        "biocodes/ner_detokenize.py",
        f"--token_test_path={trained_ner.output}/token_test.txt",
        f"--label_test_path={trained_ner.output}/label_test.txt",
        f"--answer_path={trained_ner.data}/test.tsv",
        f"--output_dir={tmp_path}",
    )
    assert detokenized.returncode == 0, detokenized.stderr
    rows = [line.split() for line in (tmp_path / "NER_result_conll.txt").read_text().splitlines() if line]
    result = run_script(
        "predict.py",
        f"--ner_model={trained_ner.output}",
        f"--input={trained_ner.data}/test.tsv",
        *("--input_format=conll", "--output_format=conll"),
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split("\t") for line in result.stdout.splitlines() if line and not line.startswith("-DOCSTART-")]
    # An entity that run_ner.py begins with I begins with B here.
    assert [(word, label != "O") for word, label in lines] == [(word, label[0] != "O") for word, _, label in rows]
    assert sum(label != "O" for _, label in lines) > 20


def test_an_exported_model_finds_the_same(trained_ner, text, found, run_script, tmp_path):
    command = ("export.py", f"--model_dir={trained_ner.output}", f"--output_dir={tmp_path}/1", "--name=Disease")
    assert run_script(*command).returncode == 0
    outputs = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"](tf.constant([text]))
    columns = [outputs[name].numpy()[0].tolist() for name in ("starts", "ends", "types")]
    assert [(start, end, kind.decode()) for start, end, kind in zip(*columns, strict=True)] == found


def test_the_json_api_finds_the_same(trained_ner, text, found):
    annotator = load_annotator({"Disease": str(trained_ner.output)}, None, "none", 16)
    client = application.create_app(annotator, None, Limits()).test_client()
    entities = client.post("/api/annotate", json={"text": text}).json["entities"]
    assert [(e["start"], e["end"], e["type"]) for e in entities] == found


@pytest.mark.parametrize("task", ["ner", "re", "qa"])
def test_converted_there_and_back_a_model_is_the_same(request, run_script, tmp_path, task):
    trained = request.getfixturevalue(f"trained_{task}")
    output = (trained["factoid"] if task == "qa" else trained).output
    for source, target, to in [(output, "there", "hugging_face"), (tmp_path / "there", "back", "checkpoint")]:
        result = run_script("convert.py", f"--input_dir={source}", f"--output_dir={tmp_path / target}", f"--to={to}")
        assert result.returncode == 0, result.stderr
    before, after = (tf.train.load_checkpoint(checkpoint.newest(str(path))) for path in (output, tmp_path / "back"))
    names = [name for name in before.get_variable_to_shape_map() if "adam" not in name and "/" in name]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(after.get_tensor(name), before.get_tensor(name), err_msg=name)
    settings = [json.loads((path / "fine_tuning.json").read_text()) for path in (output, tmp_path / "back")]
    assert settings[0] == settings[1]
