"""run_ner.py as a user runs it, against what the original wrote."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.training import Trainer
from tests.helpers.kills import kill_at, kill_process

NER_FILES = ("token_test.txt", "label_test.txt")


@pytest.fixture(scope="module")
def golden_run(golden, run_script):
    """Runs evaluation and prediction from the original's checkpoint on the original's inputs."""

    def run(output_dir, *arguments):
        result = run_script(
            "run_ner.py",
            "--do_train=false",
            "--do_eval=true",
            "--do_predict=true",
            f"--vocab_file={golden}/vocab_small.txt",
            f"--bert_config_file={golden}/e2e/ner/bert_config.json",
            f"--init_checkpoint={golden}/e2e/ner/model.ckpt",
            f"--data_dir={golden}/inputs/NER",
            f"--output_dir={output_dir}",
            "--max_seq_length=64",
            *arguments,
        )
        assert result.returncode == 0, result.stderr
        return result

    return run


def results(path):
    pairs = (line.split(" = ") for line in path.read_text().splitlines())
    return {key: float(value) for key, value in pairs}


def test_the_original_s_way_equals_the_original(golden_run, golden, tmp_path, run_script):
    result = golden_run(tmp_path, "--long_sentences=truncate", "--pad_to_max_seq_length")
    expected = golden / "e2e/ner"
    for name in NER_FILES:
        assert (tmp_path / name).read_bytes() == (expected / name).read_bytes()
    theirs = results(expected / "eval_results.txt")
    assert results(tmp_path / "eval_results.txt") == pytest.approx(theirs, rel=1e-5)
    # The entity-level scores that it prints are those of the original's evaluation script.
    assert (expected / "conlleval.txt").read_text().strip() in result.stdout
    detokenized = run_script(
        "biocodes/ner_detokenize.py",
        f"--token_test_path={tmp_path}/token_test.txt",
        f"--label_test_path={tmp_path}/label_test.txt",
        f"--answer_path={golden}/inputs/NER/test.tsv",
        f"--output_dir={tmp_path}",
    )
    assert detokenized.returncode == 0, detokenized.stderr
    name = "NER_result_conll.txt"
    assert (tmp_path / name).read_bytes() == (expected / name).read_bytes()


def test_batches_by_length_write_the_same_labels(golden_run, golden, tmp_path):
    golden_run(tmp_path, "--long_sentences=truncate", "--predict_batch_size=7")
    for name in NER_FILES:
        assert (tmp_path / name).read_bytes() == (golden / "e2e/ner" / name).read_bytes()


def test_windows_label_every_word_of_long_sentences(golden_run, golden, tmp_path):
    golden_run(tmp_path)
    ours, theirs = ((d / "token_test.txt").read_text() for d in (tmp_path, golden / "e2e/ner"))
    ours, theirs = (text.split("[SEP]\n") for text in (ours, theirs))
    labels = (tmp_path / "label_test.txt").read_text().splitlines()
    assert len(labels) == sum(sentence.count("\n") for sentence in ours) + len(ours) - 1
    longer = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert len(longer) == 2  # the two sentences of more than 62 pieces
    assert all(a.startswith(b) for a, b in longer)


def arguments(sample_model, data, output):
    return (*sample_model, f"--data_dir={data}", f"--output_dir={output}", "--max_seq_length=64")


def test_trains_without_an_initial_checkpoint_on_labels_from_the_data(trained_ner):
    labels = json.loads((trained_ner.output / "label_map.json").read_text())
    assert list(labels) == ["[PAD]", "B-Disease", "I-Disease", "O", "X", "[CLS]", "[SEP]"]
    assert trained_ner.stdout.count("entity-level results") == 1  # of test.tsv; --do_eval is off by default
    assert "Traceback" not in trained_ner.stderr


def test_predicts_with_the_newest_checkpoint_of_the_output_directory(trained_ner, sample_model, run_script, tmp_path):
    output = trained_ner.copy(tmp_path / "output")
    for name in NER_FILES:
        (output / name).unlink()
    result = run_script("run_ner.py", *arguments(sample_model, trained_ner.data, output), "--do_train=false")
    assert result.returncode == 0, result.stderr
    for name in NER_FILES:
        assert (output / name).read_bytes() == (trained_ner.output / name).read_bytes()


def test_predicts_with_an_initial_checkpoint_and_the_labels_beside_it(trained_ner, sample_model, run_script, tmp_path):
    only_test = tmp_path / "data"
    only_test.mkdir()
    # Without an I label, from which the labels of the model could not be told.
    text = (trained_ner.data / "test.tsv").read_text()
    (only_test / "test.tsv").write_text(text.replace("\tI-Disease\n", "\tB-Disease\n"))
    result = run_script(
        "run_ner.py",
        *arguments(sample_model, only_test, tmp_path / "output"),
        "--do_train=false",
        f"--init_checkpoint={trained_ner.output}",
    )
    assert result.returncode == 0, result.stderr
    for name in NER_FILES:
        assert (tmp_path / "output" / name).read_bytes() == (trained_ner.output / name).read_bytes()


@pytest.mark.parametrize("by_signal", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_exactly(repository, sample_model, run_script, tmp_path, monkeypatch, by_signal):
    def training(name):
        return [
            "run_ner.py",
            *arguments(sample_model, repository / "samples/ner", tmp_path / name),
            "--num_train_epochs=2",
            "--save_checkpoints_steps=5",
            "--do_predict=false",
            "--seed=0",
        ]

    assert run_script(*training("unbroken")).returncode == 0
    if by_signal:
        kill_process(training("killed"), tmp_path / "killed/checkpoint")
    else:
        with monkeypatch.context() as patched:
            kill_at(patched, Trainer, "step", 8)
            assert "KilledError" in run_script(*training("killed")).stderr
    result = run_script(*training("killed"))
    assert "resuming from" in result.stderr
    ours, theirs = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ("killed", "unbroken"))
    assert ours.get_tensor("global_step") == theirs.get_tensor("global_step") == 22  # int(360 / 32 * 2)
    for name in theirs.get_variable_to_shape_map():
        np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name), err_msg=name)
