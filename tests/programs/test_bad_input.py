"""Bad input to the programs: one line that says what and where, exit status 1, no traceback, nothing lost."""

import contextlib
import json
import resource
import shutil

import pytest

from common.files import locked
from tests.helpers.programs import check_error


@pytest.fixture
def data(repository, tmp_path):
    """A small NER data set that a test may damage."""
    directory = tmp_path / "data"
    directory.mkdir()
    for name in ("train_dev", "devel", "test"):
        lines = (repository / f"samples/ner/{name}.tsv").read_text().split("\n\n")[:40]
        (directory / f"{name}.tsv").write_text("\n\n".join(lines) + "\n")
    return directory


@pytest.fixture
def ner(repository, sample_model, data, tmp_path, run_script):
    """Runs run_ner.py on `data` for two steps."""

    def run(*changes):
        flags = {
            "data_dir": data,
            "output_dir": tmp_path / "output",
            "num_train_epochs": 2,
            "max_seq_length": 64,
            "do_eval": "true",
        } | dict(change.split("=", 1) for change in changes)
        return run_script("run_ner.py", *sample_model, *(f"--{name}={value}" for name, value in flags.items()))

    return run


def test_a_missing_file(ner, data):
    (data / "test.tsv").unlink()
    check_error(ner(), data / "test.tsv", "cannot be read")


def test_an_empty_file(ner, data):
    (data / "devel.tsv").write_text("")
    check_error(ner(), data / "devel.tsv", "no sentence")


def test_a_row_without_a_label(ner, data):
    with open(data / "train_dev.tsv", "a") as file:
        file.write("\nword\n")
    check_error(ner(), f"{data}/train_dev.tsv, line ", "no label in 'word'; expected word, tab, label")


def test_an_unknown_label(ner, data):
    (data / "test.tsv").write_text("a\tO\nb\tB-Gene\n")
    check_error(ner(), f"{data}/test.tsv, line 2: unknown label 'B-Gene'; expected one of B, I, O")


def test_invalid_utf8(ner, data):
    (data / "devel.tsv").write_bytes(b"a\tO\n\xe9\tO\n")
    check_error(ner(), f"{data}/devel.tsv, line 2: invalid UTF-8")


def test_a_vocabulary_that_does_not_fit(ner, repository, tmp_path):
    pieces = (repository / "samples/vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join(pieces[:-1]) + "\n")
    expected = f"{len(pieces) - 1} wordpieces, but the model's vocab_size is {len(pieces)}"
    check_error(ner(f"vocab_file={tmp_path}/vocab.txt"), f"{tmp_path}/vocab.txt: {expected}")


def test_a_sequence_length_over_the_model_s(ner):
    check_error(ner("max_seq_length=513"), "--max_seq_length=513", "at most 512")


def test_an_unwritable_output_directory(ner, tmp_path):
    (tmp_path / "file").write_text("")
    check_error(ner(f"output_dir={tmp_path}/file/output"), f"{tmp_path}/file/output: cannot write output there")


def test_tpus(ner):
    check_error(ner("use_tpu=true"), "--use_tpu=true")


def test_no_checkpoint_to_predict_with(ner, tmp_path):
    check_error(ner("do_train=false"), f"{tmp_path}/output: no checkpoint there and no --init_checkpoint")


def test_an_output_directory_with_another_model(ner, trained_ner, tmp_path):
    output = trained_ner.copy(tmp_path / "output")
    (output / "initial_weights.json").unlink()  # which refuses other epochs
    written = {path.name: path.read_bytes() for path in output.glob("model.ckpt*")}
    config = json.loads((output / "bert_config.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    result = ner(f"data_dir={trained_ner.data}", f"bert_config_file={tmp_path}/other.json", "num_train_epochs=9")
    check_error(result, f"--bert_config_file={tmp_path}/other.json: another content than", "use a new --output_dir")
    assert {path.name: path.read_bytes() for path in output.glob("model.ckpt*")} == written


def test_a_refused_training_leaves_a_directory_as_it_is(ner, trained_ner, tmp_path):
    output = trained_ner.copy(tmp_path / "output")
    written = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file() and path.name != ".lock"}
    other = tmp_path / "other"
    shutil.copytree(trained_ner.data, other)
    for path in other.glob("*.tsv"):
        path.write_text("Gout\tB-Disease\nhurts\tO\n\n" + path.read_text())
    for flags, message in [
        (["max_seq_length=24"], "--max_seq_length=24: the training in"),
        (["do_lower_case=true"], "--do_lower_case=true: the training in"),
        ([f"data_dir={other}"], "train_dev.tsv: other content than that with which the training in"),
    ]:
        check_error(ner(f"data_dir={trained_ner.data}", *flags), message, "use a new --output_dir")
        now = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file() and path.name != ".lock"}
        assert now == written


def test_two_trainings_in_one_directory(ner, trained_ner, tmp_path):
    output = trained_ner.copy(tmp_path / "output")
    with locked(output):
        check_error(ner(f"data_dir={trained_ner.data}"), output, "another process works there")


def test_an_output_directory_with_a_model_for_other_labels(ner, trained_ner, tmp_path):
    trained_ner.copy(tmp_path / "output")
    expected = "a model for the labels [PAD], B-Disease, I-Disease, O, X, [CLS], [SEP], not [PAD], B, I, O, X"
    check_error(ner(), expected)


def test_too_little_data_for_a_step(ner, data):
    (data / "train_dev.tsv").write_text("a\tB\nb\tO\n")
    check_error(ner(), "1 examples, 1 records with text in them, make no step of 32; expected more data")


@contextlib.contextmanager
def no_larger_file(size):
    """In the block, no file may grow beyond a size in bytes: writes fail as on a full disk, with another message."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(ner, trained_ner, tmp_path):
    output = trained_ner.copy(tmp_path / "output")
    (output / "initial_weights.json").unlink()  # which refuses other epochs
    before = {path.name: path.read_bytes() for path in output.glob("model.ckpt*")}
    for size, file in [(20_000, "train.tf_record"), (500_000, "model.ckpt-")]:
        with no_larger_file(size):
            result = ner(f"data_dir={trained_ner.data}", "num_train_epochs=9", "learning_rate=1e-2")
        check_error(result, f"{output}/{file}", "cannot be written")
    for name, content in before.items():
        assert (output / name).read_bytes() == content
    assert not [path for path in output.iterdir() if ".tmp" in path.name]


def pretraining(run_script, repository, tmp_path, input_file, *arguments):
    return run_script(
        "run_pretraining.py",
        "--do_train=true",
        f"--input_file={input_file}",
        f"--bert_config_file={repository}/samples/bert_config.json",
        f"--output_dir={tmp_path}/output",
        *arguments,
    )


def test_pre_training_on_a_pattern_without_files(run_script, repository, tmp_path):
    check_error(pretraining(run_script, repository, tmp_path, "x*.tfrecord"), "x*.tfrecord: no such file")


def test_pre_training_on_a_foreign_file(run_script, repository, tmp_path):
    (tmp_path / "x.tfrecord").write_text("no TFRecord\n" * 5)
    check_error(
        pretraining(run_script, repository, tmp_path, tmp_path / "x.tfrecord"), "x.tfrecord, record 1: truncated"
    )


def test_pre_training_with_a_configuration_that_lacks_a_key(run_script, repository, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    result = pretraining(run_script, repository, tmp_path, "x", f"--bert_config_file={tmp_path}/x.json")
    check_error(result, f"{tmp_path}/x.json: key 'vocab_size' is missing")


@pytest.fixture
def relation_extraction(sample_model, tmp_path, run_script):
    """Runs run_re.py on a few sentences, which a test may damage."""
    rows = [f"sentence {i} with @GENE$ and @DISEASE$\t{i % 2}" for i in range(40)]
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "test.tsv").write_text("index\tsentence\tlabel\n0\tsentence @GENE$ @DISEASE$\t1\n")

    def run(*arguments):
        fixed = [f"--data_dir={tmp_path}", f"--output_dir={tmp_path}/output", "--max_seq_length=32", "--do_train"]
        return run_script("run_re.py", "--task_name=gad", *sample_model, *fixed, "--do_predict", *arguments)

    return run


def test_relations_with_an_unknown_label(relation_extraction, tmp_path):
    with open(tmp_path / "train.tsv", "a") as file:
        file.write("sentence\tcpr:3\n")
    check_error(relation_extraction(), f"{tmp_path}/train.tsv, line 41: unknown label 'cpr:3'; expected one of 0, 1")


def test_relations_without_training_data(relation_extraction, tmp_path):
    (tmp_path / "train.tsv").write_text("")
    check_error(relation_extraction(), f"{tmp_path}/train.tsv: no example")


def test_relations_of_one_label(relation_extraction):
    check_error(relation_extraction("--labels=a"), "--labels=a: expected two or more")


def test_a_cross_validation_without_folds(relation_extraction, tmp_path):
    check_error(relation_extraction("--cross_validation"), f"{tmp_path}: folds none; expected subdirectories 1, 2, 3")


def test_relations_on_the_model_of_other_labels(relation_extraction, trained_re, tmp_path):
    trained_re.copy(tmp_path / "output")
    result = relation_extraction("--labels=1,0", "--num_train_epochs=2")
    check_error(result, "a model for the labels INHIBITOR, ACTIVATOR, false, not 1, 0; use a new --output_dir")


@pytest.fixture
def question_answering(sample_model, tmp_path, run_script):
    def run(*arguments):
        return run_script("run_qa.py", *sample_model, f"--output_dir={tmp_path}/output", *arguments)

    return run


def test_questions_without_a_file(question_answering):
    check_error(question_answering("--do_train"), "--do_train without --train_file")


def test_questions_that_leave_no_room(question_answering):
    result = question_answering("--do_predict", "--predict_file=x", "--max_seq_length=67")
    check_error(result, "--max_seq_length=67 leaves no room for a context")


def test_questions_in_another_layout(question_answering, repository, tmp_path):
    result = question_answering("--do_predict", f"--predict_file={repository}/samples/qa/golden.json")
    check_error(result, "golden.json: no key 'data'; expected SQuAD's layout")


def test_questions_on_contexts_that_the_tokenizer_empties(question_answering, tmp_path):
    entry = {"id": "a", "question": "which?", "answers": [{"text": "\u200b", "answer_start": 0}]}
    paragraphs = [{"context": "\u200b", "qas": [{**entry, "id": str(i)}]} for i in range(40)]
    (tmp_path / "x.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    result = question_answering("--do_train", f"--train_file={tmp_path}/x.json")
    check_error(result, "40 examples, 0 records with text in them")


def test_a_question_twice(question_answering, tmp_path):
    question = {"id": "5118dd1305c10fae750000010_01", "question": "which gene?"}
    (tmp_path / "x.json").write_text(json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [question] * 2}]}]}))
    result = question_answering("--do_predict", f"--predict_file={tmp_path}/x.json")
    check_error(result, f"{tmp_path}/x.json: two questions have the id 5118dd1305c10fae750000010_01")
