"""run_qa.py as a user runs it, against what the original wrote."""

import json

import pytest

from data_prep.tasks import label_map

RESULTS = ("predictions.json", "nbest_predictions.json")


def read(directory, name):
    return json.loads((directory / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden_run(shared, run_script):
    """Answers the original's test questions from its checkpoint."""

    def run(output_dir, *arguments):
        golden = shared / "golden"
        result = run_script(
            "run_qa.py",
            "--do_predict=True",
            f"--vocab_file={golden}/vocab_small.txt",
            f"--bert_config_file={golden}/e2e/qa/bert_config.json",
            f"--init_checkpoint={golden}/e2e/qa/model.ckpt",
            "--do_lower_case=False",
            f"--predict_file={golden}/inputs/QA/test.json",
            f"--output_dir={output_dir}",
            "--max_seq_length=128",
            "--doc_stride=48",
            *arguments,
        )
        assert result.returncode == 0, result.stderr

    return run


@pytest.mark.parametrize("way", ["--pad_to_max_seq_length", "--predict_batch_size=5"])
def test_answers_equal_the_original_s(golden_run, shared, tmp_path, run_script, way):
    golden_run(tmp_path, way)
    expected = shared / "golden/e2e/qa"
    assert (tmp_path / "predictions.json").read_bytes() == (expected / "predictions.json").read_bytes()
    ours, theirs = (read(directory, "nbest_predictions.json") for directory in (tmp_path, expected))
    assert list(ours) == list(theirs)
    for name, entries in theirs.items():
        assert [entry["text"] for entry in ours[name]] == [entry["text"] for entry in entries]
        for key in ("probability", "start_logit", "end_logit"):
            values = [entry[key] for entry in entries]
            assert [entry[key] for entry in ours[name]] == pytest.approx(values, abs=1e-5)
    transformed = run_script(
        "biocodes/transform_nbset2bioasqform.py",
        f"--nbest_path={tmp_path}/nbest_predictions.json",
        f"--output_path={tmp_path}",
    )
    assert transformed.returncode == 0, transformed.stderr
    name = "BioASQform_BioASQ-answer.json"
    assert (tmp_path / name).read_bytes() == (expected / name).read_bytes()


def test_questions_without_answer(golden_run, tmp_path):
    golden_run(tmp_path, "--version_2_with_negative", "--n_best_size=4")
    predictions, n_best, odds = (read(tmp_path, name) for name in (*RESULTS, "null_odds.json"))
    assert list(predictions) == list(n_best) == list(odds)
    for name, entries in n_best.items():
        null = next(entry for entry in entries if not entry["text"])
        best = next(entry for entry in entries if entry["text"])
        scores = [entry["start_logit"] + entry["end_logit"] for entry in (null, best)]
        assert odds[name] == pytest.approx(scores[0] - scores[1])
        assert predictions[name] == ("" if odds[name] > 0 else best["text"])
        assert sum(entry["probability"] for entry in entries) == pytest.approx(1)


def test_the_second_stage_starts_from_the_head_of_the_first(trained_qa):
    assert "loaded: cls/squad/output_weights" in trained_qa["list"].stderr
    assert "initialized, not from the checkpoint: output_weights" in trained_qa["yesno"].stderr


def test_a_step_is_counted_in_questions(trained_qa):
    # As in the original: int(256 / 32 * 2), whatever the number of windows.
    assert (trained_qa["factoid"].output / "model.ckpt-16.index").exists()


def test_a_list_question_has_several_answers_or_the_best(trained_qa):
    directory = trained_qa["list"].output
    predictions, n_best = (read(directory, name) for name in RESULTS)
    assert len(predictions) == 35
    for name, found in predictions.items():
        over = [entry["text"] for entry in n_best[name] if entry["probability"] > 0.42]
        assert found == (over or [n_best[name][0]["text"]])


def test_a_yes_no_question_has_two_probabilities(trained_qa):
    directory = trained_qa["yesno"].output
    predictions, n_best = (read(directory, name) for name in RESULTS)
    assert len(predictions) == 33
    for name, found in predictions.items():
        assert {entry["text"] for entry in n_best[name]} == {"yes", "no"}
        assert sum(entry["probability"] for entry in n_best[name]) == pytest.approx(1)
        assert found == max(n_best[name], key=lambda entry: entry["probability"])["text"]


def test_a_model_of_other_labels_does_not_answer_yes_or_no(trained_qa, sample_model, run_script, tmp_path):
    command = ["run_qa.py", "--question_type=yesno", *sample_model, f"--output_dir={tmp_path}", "--do_predict"]
    label_map.write(tmp_path, ["1", "0"])
    for part in trained_qa["yesno"].output.glob("model.ckpt-*"):
        (tmp_path / part.name).write_bytes(part.read_bytes())
    result = run_script(*command, f"--predict_file={trained_qa['yesno'].data}/test.json")
    assert result.returncode == 1
    assert "a model for the labels 1, 0, not no, yes; use a new --output_dir" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(("kind", "questions"), [("factoid", 40), ("list", 12), ("yesno", 20)])
def test_answers_are_scored_as_bioasq_does(trained_qa, repository, run_script, tmp_path, kind, questions):
    directory = trained_qa[kind].output
    transformed = run_script(
        "biocodes/transform_nbset2bioasqform.py",
        f"--question_type={kind}",
        f"--nbest_path={directory}/nbest_predictions.json",
        f"--output_path={tmp_path}",
    )
    assert transformed.returncode == 0, transformed.stderr
    scores = run_script(
        "biocodes/bioasq_eval.py",
        f"--golden_path={repository}/samples/qa/golden.json",
        f"--prediction_path={tmp_path}/BioASQform_BioASQ-answer.json",
    )
    assert scores.returncode == 0, scores.stderr
    rows = scores.stdout.splitlines()[1:-1]
    assert rows
    assert all(int(row.split()[-1]) == questions for row in rows)
