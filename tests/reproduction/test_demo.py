"""The last page of the demo, on a run written by hand."""

import pytest
import tensorflow as tf

from reproduction import demo

FILES = {
    "pretraining/eval_results.txt": "masked_lm_accuracy = 0.25\nnext_sentence_accuracy = 0.75\n",
    "pretraining/model.ckpt-30.index": "",
    "ner/eval_entity_results.txt": "accuracy:  95.20%; precision:  80.00%; recall:  60.00%; FB1:  68.57\n",
    "ner/predict_entity_results.txt": "accuracy:  95.20%; precision:  77.78%; recall:  70.79%; FB1:  74.12\n",
    "ner/NER_result_conll.txt": "mild B-MISC O-MISC\nataxia I-MISC B-MISC\nin O-MISC O-MISC\n<gout> O-MISC B-MISC\n\n",
    "ner/label_test.txt": "",
    "ner/model.ckpt-9.index": "",
    "re/predict_scores.txt": "f1 score    : 50.00%\nrecall      : 40.00%\nprecision   : 66.67%\n",
    "re/test_predictions.tsv": "",
    "qa/bioasq_scores.txt": "measure                  value                  percent  questions\n"
    "factoid MRR              0.125                    12.50         40\n0.0 0.0\n",
    "qa/nbest_predictions.json": "",
    "qa/BioASQform_BioASQ-answer.json": "",
    "shards/manifest.json": "",
    **dict.fromkeys(("pubmed.txt", "pmc.txt", "vocab.txt"), ""),
}


@pytest.fixture
def run(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with tf.summary.create_file_writer(str(tmp_path / "pretraining")).as_default():
        for step in (10, 20, 30):
            for name in ("masked_lm_loss", "next_sentence_loss", "learning_rate"):
                tf.summary.scalar(name, 1 / step, step)
    return tmp_path


def test_prints_the_results_and_writes_them_as_a_report(run, capsys):
    demo.main(["", str(run)])
    printed = capsys.readouterr().out
    expected = [("masked LM accuracy", 25.0), ("entity F1", 74.1), ("recall", 40.0), ("MRR", 12.5)]
    for name, value in expected:
        assert any(name in line and line.endswith(f"{value:5.1f} %") for line in printed.splitlines()), name
    assert f"{run}/ner/model.ckpt-9 " in printed
    page = (run / "report.html").read_text()
    assert all(f">{value:.1f}<" in page for _, value in expected)
    # An entity with other bounds, one that is not annotated; text is no markup.
    assert "&lt;gout&gt;" in page
    assert "<gout>" not in page
    assert "found with other bounds" in page
    assert "found, not annotated" in page
    assert "annotated, not found" not in page
    assert "data:image/svg+xml" in page
