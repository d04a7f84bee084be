"""Prints the results of the demo as a table, with the paths of what it wrote.

python scripts/demo_summary.py demo_output
"""

import pathlib
import re
import sys

WRITTEN = {
    "pubmed.txt": "sentences of the PubMed records",
    "pmc.txt": "sentences of the PMC articles",
    "vocab.txt": "vocabulary learned on them",
    "shards/manifest.json": "what the shards of pre-training records hold",
    "pretraining/model.ckpt-*.index": "pre-trained checkpoint, TensorBoard events beside",
    "ner/model.ckpt-*.index": "fine-tuned checkpoint",
    "ner/label_test.txt": "predicted label of each piece of token_test.txt",
    "ner/NER_result_conll.txt": "words, true and predicted labels",
    "re/test_predictions.tsv": "predicted relation of each sentence of relations/test.tsv",
    "qa/nbest_predictions.json": "answers to each question on each of its contexts",
    "qa/BioASQform_BioASQ-answer.json": "answers to each question, merged",
}


def read_results(path):
    """The `key = value` lines of an eval_results.txt."""
    return dict(line.split(" = ") for line in path.read_text(encoding="utf-8").splitlines())


def entity_scores(path):
    """Precision, recall and F1 in percent from a report of conlleval."""
    report = path.read_text(encoding="utf-8")
    return re.search(r"precision: +([\d.]+)%; recall: +([\d.]+)%; FB1: +([\d.]+)", report).groups()


def relation_scores(path):
    """The scores of re_eval, in percent, in its order, by name."""
    found = re.findall(r"^(\w[\w ]*?) +: +([\d.]+)%$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: float(value) for name, value in found}


def answer_scores(path):
    """The scores of bioasq_eval for factoid questions, in percent, in its order, by name."""
    found = re.findall(r"^factoid (\S.*?) +\S+ +([\d.]+) +\d+$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: float(value) for name, value in found}


def main(output):
    pretraining = read_results(output / "pretraining/eval_results.txt")
    rows = [
        ("pre-training", "masked LM accuracy", f"{100 * float(pretraining['masked_lm_accuracy']):.1f} %"),
        ("", "next sentence accuracy", f"{100 * float(pretraining['next_sentence_accuracy']):.1f} %"),
    ]
    for name, split in [("eval", "devel.tsv"), ("predict", "test.tsv")]:
        scores = entity_scores(output / f"ner/{name}_entity_results.txt")
        for i, (metric, score) in enumerate(zip(("precision", "recall", "F1"), scores, strict=True)):
            rows.append(("" if i else f"NER, {split}", f"entity {metric}", f"{float(score):.1f} %"))
    for task, scores in [
        ("RE, test.tsv", relation_scores(output / "re/predict_scores.txt")),
        ("QA, factoid", answer_scores(output / "qa/bioasq_scores.txt")),
    ]:
        for i, (metric, score) in enumerate(scores.items()):
            rows.append(("" if i else task, metric, f"{score:.1f} %"))
    print("\nResults")
    for task, metric, value in rows:
        print(f"  {task:16s} {metric:24s} {value:>8s}")
    print("\nWritten")
    for pattern, what in WRITTEN.items():
        newest = max(output.glob(pattern), key=lambda path: path.stat().st_mtime)
        print(f"  {newest.as_posix().removesuffix('.index'):42s} {what}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
