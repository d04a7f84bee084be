"""run_re.py as a user runs it."""

import random

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import precision_recall_fscore_support

import run_re
from modeling.training import Trainer
from tests.helpers.kills import kill_at, kill_process
from tests.programs.conftest import RE_LABELS

SENTENCES = {"1": "@GENE$ is associated with @DISEASE$ in {} patients .", "0": "No association of @GENE$ with {} ."}


def probabilities(output):
    return np.loadtxt(output / "test_results.tsv", delimiter="\t", ndmin=2)


def test_writes_probabilities_in_the_order_of_the_labels(trained_re):
    data, output = trained_re.data, trained_re.output
    rows = probabilities(output)
    assert rows.shape == (161, 3)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    test_rows = [line.split("\t") for line in (data / "test.tsv").read_text().splitlines()[1:]]
    header, *predictions = (line.split("\t") for line in (output / "test_predictions.tsv").read_text().splitlines())
    assert header == ["index", "label", "predicted", "probability", "sentence"]
    for row, test_row, prediction in zip(rows, test_rows, predictions, strict=True):
        index, sentence, label = test_row
        assert prediction == [index, label, RE_LABELS[row.argmax()], f"{row.max():.4f}", sentence]


def test_prints_the_scores_of_the_evaluation_program(trained_re, run_script):
    data, output = trained_re.data, trained_re.output
    scores = run_script(
        "biocodes/re_eval.py",
        f"--output_path={output}/test_results.tsv",
        f"--answer_path={data}/test.tsv",
        f"--labels={','.join(RE_LABELS)}",
        "--negative_label=false",
    )
    assert scores.returncode == 0, scores.stderr
    assert scores.stdout in trained_re.stdout
    assert (output / "predict_scores.txt").read_text() == scores.stdout


def test_metrics_on_dev_are_those_of_its_probabilities(trained_re):
    data, output = trained_re.data, trained_re.output
    rows = probabilities(output)  # dev.tsv is test.tsv
    true = np.array([RE_LABELS.index(line.split("\t")[-1]) for line in (data / "dev.tsv").read_text().splitlines()])
    pairs = (line.split(" = ") for line in (output / "eval_results.txt").read_text().splitlines())
    metrics = {key: float(value) for key, value in pairs}
    assert metrics["eval_accuracy"] == pytest.approx(np.mean(rows.argmax(axis=1) == true))
    assert metrics["eval_loss"] == pytest.approx(-np.mean(np.log(rows[np.arange(len(true)), true])), rel=1e-4)
    assert metrics["global_step"] == 48  # int(514 / 32 * 3)


@pytest.mark.parametrize(
    ("task_name", "labels"),
    [
        *((name, ["0", "1"]) for name in ("gad", "EUADR", "polysearch", "miRNADisease")),
        ("ChemProt", ["cpr:3", "cpr:4", "cpr:5", "cpr:6", "cpr:9", "false"]),
        ("ddi13", ["advise", "effect", "mechanism", "int", "false"]),
    ],
)
def test_the_original_s_tasks(task_name, labels):
    task = run_re.choose_relations(task_name, None, None, trained=["x", "y"], data_dirs=[])
    assert (task.labels, task.negative) == (labels, labels[-1] if "false" in labels else "0")


def test_labels_are_those_given_then_those_trained_then_those_of_the_data(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tup\nb\tdown\nc\tup\n")
    options = {"trained": ["x", "y"], "data_dirs": [tmp_path]}
    assert run_re.choose_relations("gad", ["no", "yes"], "no", **options) == run_re.Relations(["no", "yes"], "no")
    assert run_re.choose_relations("own", None, None, **options) == run_re.Relations(["x", "y"], None)
    options["trained"] = None
    assert run_re.choose_relations("own", None, None, **options) == run_re.Relations(["down", "up"], None)


@pytest.mark.parametrize("flags", ["--labels=ACTIVATOR,INHIBITOR,false", "--task_name=ddi13"])
def test_a_model_of_other_labels_is_refused(trained_re, sample_model, run_script, tmp_path, flags):
    command = ["run_re.py", "--task_name=sample", "--do_eval", *sample_model, f"--data_dir={tmp_path}"]
    (tmp_path / "dev.tsv").write_text("")
    result = run_script(*command, f"--output_dir={tmp_path}", f"--init_checkpoint={trained_re.output}", flags)
    assert result.returncode == 1
    assert "a model for the labels INHIBITOR, ACTIVATOR, false, not " in result.stderr.splitlines()[-1]


def test_predicts_a_file_without_labels(trained_re, sample_model, run_script, tmp_path):
    data, output = trained_re.data, trained_re.output
    rows = [line.split("\t")[:2] for line in (data / "test.tsv").read_text().splitlines()]
    (tmp_path / "test.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    result = run_script(
        "run_re.py",
        "--task_name=sample",
        "--do_predict",
        *sample_model,
        f"--data_dir={tmp_path}",
        f"--init_checkpoint={output}",
        f"--output_dir={tmp_path}/output",
        "--max_seq_length=64",
        "--pad_to_max_seq_length",
        "--predict_batch_size=7",
    )
    assert result.returncode == 0, result.stderr
    # Neither padding nor the size of a batch changes what a sentence is given; the labels are the checkpoint's.
    np.testing.assert_allclose(probabilities(tmp_path / "output"), probabilities(output), atol=1e-5)
    assert not (tmp_path / "output/predict_scores.txt").exists()


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Two folds as the released ones: binary labels, an empty dev.tsv."""
    directory = tmp_path_factory.mktemp("folds")
    rng = random.Random(1)
    for fold in "12":
        (directory / fold).mkdir()
        (directory / fold / "dev.tsv").write_text("")
        rows = [(SENTENCES[label].format(rng.randrange(99)), label) for label in rng.choices("01", k=88)]
        train, test = rows[:64], rows[64:]
        (directory / fold / "train.tsv").write_text("".join(f"{sentence}\t{label}\n" for sentence, label in train))
        lines = [f"{i}\t{sentence}\t{label}\n" for i, (sentence, label) in enumerate(test)]
        (directory / fold / "test.tsv").write_text("index\tsentence\tlabel\n" + "".join(lines))
    return directory


def cross_validation(folds, sample_model, output, *flags):
    return [
        "run_re.py",
        "--task_name=GAD",
        "--do_train",
        "--do_eval",
        "--do_predict",
        *sample_model,
        f"--data_dir={folds}",
        f"--output_dir={output}",
        "--num_train_epochs=2",
        "--train_batch_size=16",
        "--max_seq_length=32",
        "--save_checkpoints_steps=4",
        "--precision=mixed_float16",
        *flags,
    ]


def scores_of(true, predicted):
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, labels=["0", "1"], zero_division=0)
    return [f1[1], recall[1], precision[1], recall[0]]


@pytest.mark.parametrize("by_signal", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_cross_validation_goes_on_after_a_kill(folds, sample_model, run_script, tmp_path, monkeypatch, by_signal):
    command = cross_validation(folds, sample_model, tmp_path, "--cross_validation")
    if by_signal:
        kill_process(command, tmp_path / "2/checkpoint")
    else:
        with monkeypatch.context() as patched:
            kill_at(patched, Trainer, "step", 8 + 6)  # in the second fold, after its first checkpoint
            assert "KilledError" in run_script(*command).stderr
    assert (tmp_path / "1/test_results.tsv").exists()
    assert not (tmp_path / "2/test_results.tsv").exists()

    result = run_script(*command)
    assert result.returncode == 0, result.stderr
    assert f"{tmp_path}/1 is at step 8 of 8: nothing to train" in result.stderr
    assert f"resuming from {tmp_path}/2/model.ckpt-" in result.stderr
    assert "dev.tsv: empty" in result.stderr
    assert not (tmp_path / "1/eval_results.txt").exists()
    for fold in "12":  # all in the same precision
        assert tf.train.load_checkpoint(str(tmp_path / fold / "model.ckpt-8")).has_tensor("loss_scale")

    # A fold alone, never stopped, is the same.
    alone = run_script(*cross_validation(folds / "2", sample_model, tmp_path / "alone"))
    assert alone.returncode == 0, alone.stderr
    names = [tmp_path / "alone/test_results.tsv", tmp_path / "2/test_results.tsv"]
    assert names[0].read_text() == names[1].read_text()
    check_table(result.stdout, tmp_path)


def check_table(printed, output):
    """The table of the cross-validation against scikit-learn on the predictions of each fold."""
    written = (output / "cross_validation_results.txt").read_text()
    assert written in printed
    table = {line[:18].strip(): [float(x.rstrip("%")) for x in line[18:].split()] for line in written.splitlines()[1:]}
    pairs = []
    for fold in "12":
        lines = (output / fold / "test_predictions.tsv").read_text().splitlines()[1:]
        pairs.append([[line.split("\t")[column] for line in lines] for column in (1, 2)])
        assert table[f"fold {fold}"] == pytest.approx(100 * np.array(scores_of(*pairs[-1])), abs=0.006)
    scores = 100 * np.array([scores_of(*pair) for pair in pairs])
    assert table["mean"] == pytest.approx(scores.mean(axis=0), abs=0.006)
    assert table["standard deviation"] == pytest.approx(scores.std(axis=0, ddof=1), abs=0.006)
    pooled = [sum((pair[side] for pair in pairs), []) for side in (0, 1)]
    assert table["pooled"] == pytest.approx(100 * np.array(scores_of(*pooled)), abs=0.006)
