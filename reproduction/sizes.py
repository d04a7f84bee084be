"""Tables 3, 4 and 5 of the paper: the sizes of the data sets, counted in the files, beside the printed ones.

    python -m reproduction.sizes DATA_DIR

Writes `table3_5.md` and `table3_5.html` to `--output_dir`.
"""

import logging
import os

from absl import flags

from common import errors
from common.inputs import read_json
from data_prep.tasks import ner, relations
from reproduction import data_sets, experiments, paper, programs
from reproduction.report import Report, Section, Table, write

FLAGS = flags.FLAGS

NAME = "table3_5"
RELATION_FILES = ("dev.tsv", "train.tsv", "test.tsv")  # folds have an empty dev.tsv or none
TITLES = {
    "ner": "Table 3: named entity recognition, annotated entities in training, development and test set",
    "re": "Table 4: relation extraction, relations",
    "qa": "Table 5: question answering, factoid questions",
}
NOTES = {
    "ner": "",
    "re": "Of GAD and EU-ADR the sentences of a fold, with a relation and without; of CHEMPROT those with one.",
    "qa": "The released training files have only the questions whose answer occurs in their texts.",
}


def main(argv):
    if len(argv) != 2:
        raise errors.InputError(f"{len(argv) - 1} arguments; expected DATA_DIR")
    data_dir, output_dir = experiments.enter_root(argv[1], FLAGS.output_dir)
    sections = []
    for task, title in TITLES.items():
        rows, missing = [], []
        for name in paper.data_sets(task):
            counts, gap = count(data_sets.DATA_SETS[name], data_dir)
            rows += rows_of(paper.sizes()[name], counts)
            if gap:
                logging.warning("missing: %s", gap)
                missing.append(gap)
        header = ["Data set", "Type", "counted", "here", "in the paper", "difference"]
        table = Table(header, rows, note=NOTES[task], merge=("Data set", "Type"))
        sections.append(Section(title, [table, *programs.missing_tables(missing)]))
    write(Report("Tables 3, 4 and 5 of the paper: sizes of the data sets", sections), output_dir, NAME)
    print(f"{output_dir}/{NAME}.html")


def count(data_set, data_dir):
    """The counts of a data set by what is counted, and the `Gap` where some are not known, or None."""
    directory = data_sets.locate(data_set, data_dir)
    counts = COUNTS[data_set.task](data_set, directory) if directory else {}
    if set(counts) == set(paper.sizes()[data_set.name].counts):
        return counts, None
    gap = data_sets.missing_files(data_set, data_dir)
    return counts, gap or data_sets.gap(data_set, f"{directory} without dev.tsv", data_dir)


def rows_of(row, counts):
    """Lines of the table on a data set, one a count, ours a dash where it is not known."""
    rows = []
    for unit, printed in row.counts.items():
        ours = counts.get(unit)
        here, difference = ("–", "") if ours is None else (f"{ours:,}", f"{ours - printed:+,}")
        rows.append([row.title, row.type, unit, here, f"{printed:,}", difference])
    return rows


def count_entities(data_set, directory):
    """Entities of an NER data set, by their first word."""
    paths = _find(directory, data_set.files)
    if not paths:
        return {}
    labels = (label for path in paths for sentence in ner.read_sentences(path) for label in sentence.labels)
    return {"annotations": sum(label.startswith("B") for label in labels)}


def count_relations(data_set, directory):
    """Sentences of the first fold, or those with a relation."""
    folds = data_set.name != "chemprot"
    paths = _find(os.path.join(directory, "1") if folds else directory, RELATION_FILES[folds:])
    if not paths:
        return {}
    *train, test = paths
    examples = [example for path in train for example in relations.read_examples(path)]
    examples += relations.read_test_examples(test)
    return {"relations": sum(folds or example.label != "false" for example in examples)}


def count_questions(data_set, directory):
    """Questions, each of which stands in the files once for each of its contexts."""
    files = data_sets.bioasq_files(data_sets.edition_of(data_set.name))
    wanted = {
        "training questions": [files["train"]],
        "test questions": [files[f"test{batch}"] for batch in data_sets.BATCHES],
    }
    return {unit: len(_question_ids(paths)) for unit, names in wanted.items() if (paths := _find(directory, names))}


def _find(directory, names):
    """The paths of files, or none if one is missing."""
    paths = [os.path.join(directory, name) for name in names]
    return paths if all(map(os.path.exists, paths)) else []


def _question_ids(paths):
    """Of ids like `56bf365eef6e394741000010_003`, a question's and a context's number, the first parts."""
    found = set()
    for path in paths:
        try:
            articles = read_json(path, "questions as in SQuAD")["data"]
            ids = [qa["id"] for article in articles for text in article["paragraphs"] for qa in text["qas"]]
        except (KeyError, TypeError):
            raise errors.InputError(f"{path}: expected questions as in SQuAD") from None
        found.update(identifier.split("_")[0] for identifier in ids)
    return found


COUNTS = {"ner": count_entities, "re": count_relations, "qa": count_questions}


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", "output/paper", "Directory of the report.")
    errors.run(main)
