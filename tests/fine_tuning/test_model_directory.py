"""The directory of a fine-tuned model: what a training writes, what is read of it, and what is said of a broken one."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from common.errors import InputError
from fine_tuning import model_directory, tasks
from tests.helpers.fine_tuning_options import fine_tuning_options
from tests.helpers.json_edits import edited_json
from tests.helpers.model_directories import make_model_directory

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"]
LABELS = ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"]
RE = {"entity_pairs": [["@A$", "@B$"]], "mask_others": False, "lower_case": False}
QA = {"doc_stride": 8, "max_query_length": 8, "version_2_with_negative": False}


@pytest.fixture
def ner(tmp_path):
    """A whole one, which a test may damage."""
    make_model_directory(tmp_path / "ner", PIECES, "ner", LABELS)
    return tmp_path / "ner"


def check_error(path, task, *parts):
    with pytest.raises(InputError) as raised:
        model_directory.read(str(path), task)
    message = str(raised.value)
    assert "\n" not in message
    for part in (path, *parts):
        assert str(part) in message


@pytest.mark.parametrize(
    ("task", "labels", "settings", "kind"),
    [
        ("ner", LABELS, {}, "TokenClassifier"),
        ("re", ["0", "1"], {"entity_pairs": [], "mask_others": False, "lower_case": True}, "SequenceClassifier"),
        ("qa", None, {"question_type": "factoid"} | QA, "SpanClassifier"),
        ("qa", ["no", "yes"], {"question_type": "yesno"} | QA, "SequenceClassifier"),
    ],
)
def test_any_model_is_read_and_loaded(tmp_path, task, labels, settings, kind):
    make_model_directory(tmp_path / "model", PIECES, task, labels, **settings)
    directory = model_directory.read(str(tmp_path / "model"))
    assert (directory.task.name, directory.labels, directory.max_seq_length) == (task, labels, 24)
    assert directory.tokenizer.tokenize("ab") == ["a", "##b"]
    assert directory.settings.items() >= settings.items()
    assert type(directory.load()).__name__ == kind


def test_what_a_training_writes_is_read(ner, tmp_path):
    target = tmp_path / "new"
    target.mkdir()
    files = {"bert_config_file": str(ner / "bert_config.json"), "vocab_file": str(ner / "vocab.txt")}
    options = fine_tuning_options(tasks.QA, str(target), **files, do_lower_case=True, max_seq_length=16)
    model_directory.write(options, question_type="list")
    for name in ("bert_config.json", "vocab.txt"):
        assert (target / name).read_bytes() == (ner / name).read_bytes()
    expected = {"task": "qa", "do_lower_case": True, "max_seq_length": 16, "question_type": "list"}
    assert json.loads((target / "fine_tuning.json").read_text()) == expected


def test_a_training_on_the_files_of_its_own_directory_keeps_them(ner):
    before = (ner / "vocab.txt").read_bytes()
    files = {"bert_config_file": str(ner / "bert_config.json"), "vocab_file": str(ner / "vocab.txt")}
    model_directory.write(fine_tuning_options(tasks.NER, str(ner), **files, max_seq_length=24))
    assert (ner / "vocab.txt").read_bytes() == before
    assert dataclasses.asdict(model_directory.read(str(ner)).config)["vocab_size"] == len(PIECES)


def test_no_directory_or_one_of_something_else(ner, tmp_path):
    check_error(tmp_path / "none", "ner", "no such directory; expected one that run_ner.py trained a model in")
    check_error(tmp_path, None, "no fine_tuning.json", "run_ner.py or run_re.py or run_qa.py")
    check_error(ner, "re", "a model of run_ner.py; expected one of run_re.py")


def test_a_directory_from_before_there_were_settings(ner):
    (ner / "fine_tuning.json").unlink()
    check_error(ner, "ner", "no fine_tuning.json", "the command that trained the model, given once more")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("label_map.json", '{"B": 0, "I": 2}', "not a label map"),
        ("label_map.json", None, "no label_map.json"),
        ("fine_tuning.json", '{"task": "ner"}', "expected task, do_lower_case, max_seq_length"),
        ("fine_tuning.json", "[]", "expected an object with task"),
        (
            "fine_tuning.json",
            '{"task": "re", "do_lower_case": true, "max_seq_length": 8}',
            "expected entity_pairs, mask_",
        ),
        (
            "fine_tuning.json",
            '{"task": "qa", "do_lower_case": true, "max_seq_length": 8}',
            "expected question_type, doc_",
        ),
        ("fine_tuning.json", '{"task": "pos", "do_lower_case": true, "max_seq_length": 8}', "a model of pos"),
        ("fine_tuning.json", '{"task": "ner", "do_lower_case": true, "max_seq_length": 800}', "800"),
        ("vocab.txt", "[PAD]\n", "not a BERT vocabulary"),
        ("vocab.txt", "".join(f"{piece}\n" for piece in [*PIECES, "c"]), "vocab"),
        ("bert_config.json", "{}", "bert_config.json"),
        ("model.ckpt-1.index", None, "no checkpoint; expected a model whose training has ended"),
    ],
)
def test_a_broken_one_says_what_is_wrong(ner, name, content, part):
    (ner / name).unlink()
    if content is not None:
        (ner / name).write_text(content)
    with pytest.raises(InputError) as raised:
        model_directory.read(str(ner))
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directories of a model for each task, by task."""
    base = tmp_path_factory.mktemp("whole")
    make_model_directory(base / "ner", PIECES, "ner", LABELS, type="Disease")
    make_model_directory(base / "re", PIECES, "re", ["0", "1"], negative_label="0", **RE)
    make_model_directory(base / "qa", PIECES, "qa", question_type="factoid", **QA)
    return {path.name: path for path in base.iterdir()}


@pytest.mark.parametrize("task", ["ner", "re", "qa"])
@given(data=st.data())
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_settings_are_those_of_a_model_or_refused_in_one_line(whole, task, data):
    path = whole[task] / data.draw(st.sampled_from(sorted(path.name for path in whole[task].glob("*.json"))))
    before = path.read_bytes()
    path.write_bytes(data.draw(edited_json(json.loads(before))))
    try:
        directory = model_directory.read(str(whole[task]))
        directory.load()
    except InputError as error:
        message = str(error)
        assert str(whole[task]) in message
        assert "\n" not in message
        assert len(message) <= 2000
    else:
        windows = directory.settings
        assert windows["max_seq_length"] > windows.get("max_query_length", 0) + 2  # a window moves by a piece at least
        assert windows.get("doc_stride", 1) > 0
    finally:
        path.write_bytes(before)
