"""The last page of the demo: its results as a table on standard output, and as a report with pictures.

    python -m reproduction.demo demo_output

writes `report.md` and `report.html` there. Needs Jinja2 and matplotlib: pip install -e '.[reports]'.
"""

import pathlib
import re

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from common import errors
from reproduction import experiments, losses, samples
from reproduction.report import Figure, Report, Section, Table, Text, write

WRITTEN = {
    "report.html": "these results with pictures and marked sentences, for a browser",
    "pubmed.txt": "sentences of the PubMed records",
    "pmc.txt": "sentences of the PMC articles",
    "vocab.txt": "vocabulary learned on them",
    "shards/manifest.json": "what the shards of pre-training records hold",
    "pretraining/model.ckpt-*.index": "pre-trained checkpoint, TensorBoard events beside",
    "ner/model.ckpt-*.index": "fine-tuned checkpoint",
    "ner/label_test.txt": "predicted label of each wordpiece of token_test.txt",
    "ner/NER_result_conll.txt": "words, true and predicted labels",
    "re/test_predictions.tsv": "predicted relation of each sentence of relations/test.tsv",
    "qa/nbest_predictions.json": "answers to each question on each of its contexts",
    "qa/BioASQform_BioASQ-answer.json": "answers to each question, merged",
}
SENTENCES = 12  # of the report


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


def read_rows(output):
    """The results: rows of task, metric and value in percent."""
    pretraining = read_results(output / "pretraining/eval_results.txt")
    rows = [
        ("pre-training", "masked LM accuracy", 100 * float(pretraining["masked_lm_accuracy"])),
        ("pre-training", "next sentence accuracy", 100 * float(pretraining["next_sentence_accuracy"])),
    ]
    for name, split in [("eval", "devel.tsv"), ("predict", "test.tsv")]:
        scores = entity_scores(output / f"ner/{name}_entity_results.txt")
        for metric, score in zip(("precision", "recall", "F1"), scores, strict=True):
            rows.append((f"NER, {split}", f"entity {metric}", float(score)))
    for task, scores in [
        ("RE, test.tsv", relation_scores(output / "re/predict_scores.txt")),
        ("QA, factoid", answer_scores(output / "qa/bioasq_scores.txt")),
    ]:
        rows += [(task, metric, score) for metric, score in scores.items()]
    return rows


def write_report(output, rows):
    """Writes `report.md` and `report.html`."""
    losses.draw(output / "pretraining", str(output / "losses"))
    sentences = samples.read_conll(output / "ner/NER_result_conll.txt")
    cells = [[str(number), samples.compared(sentence)] for number, sentence in enumerate(sentences, 1)]
    table = Table(["task", "score", "%"], [[*row[:2], f"{row[2]:.1f}"] for row in rows], merge=("task",))
    sections = [
        Section("Scores", [table]),
        Section("Pre-training", [Figure("losses", "Losses and learning rate by step, with running means.")]),
        Section(
            "Entities of test.tsv", [Table(["sentence", "entities found"], cells[:SENTENCES], legend=samples.LEGEND)]
        ),
        Section("Made with", [Text(f"{experiments.describe_hardware()}; {experiments.describe_versions()}")]),
    ]
    summary = "Made-up text of one kind and a very small model: the scores say that everything works, and nothing more."
    write(Report("The demo", sections, summary), output, "report")


def main(argv):
    output = pathlib.Path(argv[1])
    rows = read_rows(output)
    write_report(output, rows)
    print("\nResults")
    before = None
    for task, metric, value in rows:
        print(f"  {'' if task == before else task:16s} {metric:24s} {value:6.1f} %")
        before = task
    print("\nWritten")
    for pattern, what in WRITTEN.items():
        newest = max(output.glob(pattern), key=lambda path: path.stat().st_mtime)
        print(f"  {newest.as_posix().removesuffix('.index'):42s} {what}")


if __name__ == "__main__":
    errors.run(main)
