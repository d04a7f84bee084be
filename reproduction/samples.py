"""Table 9 of the paper: the same sentence or question with the entities or answers of two models, differences marked.

    python -m reproduction.samples MODEL_DIR DATA_DIR [--models=bert_base_cased,biobert_v1.1] [--num_samples=3]

Of each data set it takes the first sentences that only the second model has right, then the first that only the first
model has right, and says how many there are of each. Runs are those of the tables with the same `--output_dir` and the
first seed. Writes `table9.md` and `table9.html`.
"""

import dataclasses
import os

from absl import flags

from biocodes import bioasq_eval
from common import errors
from common.inputs import read_lines
from reproduction import data_sets, paper, programs
from reproduction.report import Report, Section, Span, Table, Text, write
from reproduction.tables import runs_table

FLAGS = flags.FLAGS

NAMES = [name for task in ("ner", "qa") for name in paper.data_sets(task)]
# Those of the table in the paper.
DATA_SETS = ["ncbi_disease", "bc5cdr_disease", "bc2gm", "bioasq_6b"]
MODELS = ["bert_base_cased", "biobert_v1.1"]
NAME = "table9"
LEGEND = {
    "same": "as annotated",
    "missed": "annotated, not found",
    "spurious": "found, not annotated",
    "differs": "found with other bounds",
}
ANSWER_LEGEND = {"same": "right", "differs": "wrong"}


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sentence or a question: rows of a title and a text for what is known of it, the cell of each model.

    `right` is whether each model has it right.
    """

    known: list
    cells: tuple
    right: tuple


def main(argv):
    setting = programs.set_up(argv, FLAGS, NAMES, usual=DATA_SETS, models=MODELS)
    if len(setting.models) != 2:
        raise errors.InputError(f"{len(setting.models)} models; expected two, for instance --models={','.join(MODELS)}")
    setting = dataclasses.replace(setting, seeds=setting.seeds[:1])
    plans, number = setting.plans(), FLAGS.num_samples
    programs.run_all(plans, setting.data_dir, lambda results: write_report(setting, plans, results, number))
    print(f"{setting.output_dir}/{NAME}.html")


def write_report(setting, plans, results, number):
    """Writes samples of the data sets that both models have been run on."""
    sections = []
    for name in setting.names:
        pair = [plan for plan in plans if plan.data_set == name]
        if all(plan.key in results for plan in pair):
            sections.append(section(name, pair, setting.data_dir, number))
    sections.append(Section("How each was made", [*programs.missing_tables(setting.missing), runs_table(results)]))
    title = "Table 9 of the paper: predictions of two models"
    summary = (
        "The first samples of each test set, in its order, that one of the models has right and the other has not."
    )
    write(Report(title, sections, summary), setting.output_dir, NAME)


def section(name, plans, data_dir, number):
    """The samples of a data set from the runs of both models."""
    data_set = data_sets.DATA_SETS[name]
    is_ner = data_set.task == "ner"
    read, unit, legend = (
        (entity_samples, "sentences", LEGEND) if is_ner else (answer_samples, "questions", ANSWER_LEGEND)
    )
    samples = read(data_set, [plan.directory for plan in plans], data_dir)
    titles = [paper.MODELS.get(plan.model, plan.model) for plan in plans]
    both, neither = (sum(sample.right == (each, each) for sample in samples) for each in (True, False))
    items = [
        Text(
            f"Of {len(samples)} {unit} of the test set, both models have {both} right, and neither has {neither} "
            f"(seed {plans[0].seed})."
        )
    ]
    for title, right in [(titles[1], (False, True)), (titles[0], (True, False))]:
        found = [sample for sample in samples if sample.right == right]
        first = "" if len(found) <= number else f", the first {number}"
        caption = f"Right only with {title}: {len(found)}{first}"
        items.append(
            Table(["", "", "Sample"], sample_rows(found[:number], titles), caption, merge=("",), legend=legend)
        )
    return Section(paper.titles()[name], items)


def sample_rows(samples, titles):
    """The rows of a table: the number of a sample, whose text it is, and the text."""
    rows = []
    for i, sample in enumerate(samples, 1):
        lines = [*sample.known, *zip(titles, sample.cells, strict=True)]
        rows += [[str(i), *line] for line in lines]
    return rows


# Entities


def entity_samples(data_set, directories, data_dir):
    """A `Sample` a sentence, from the words and labels that both runs wrote."""
    del data_dir
    files = [read_conll(os.path.join(directory, "NER_result_conll.txt")) for directory in directories]
    words = [[[word for word, _, _ in sentence] for sentence in sentences] for sentences in files]
    if words[0] != words[1]:
        raise errors.InputError(f"{data_set.name}: the two models labelled other sentences; expected the same test.tsv")
    samples = []
    for rows in zip(*files, strict=True):
        words, gold, _ = read_entities(rows[0])
        right = tuple(found == gold for _, _, found in map(read_entities, rows))
        annotated = mark(words, dict.fromkeys(gold, "same"))
        samples.append(Sample([("annotated", annotated)], tuple(map(compared, rows)), right))
    return samples


def compared(sentence):
    """A sentence with its entities, true and predicted, marked: a list of `Span`."""
    words, gold, found = read_entities(sentence)
    return mark(words, compare(gold, found))


def read_entities(sentence):
    """The words of a sentence of `read_conll`, its true and its predicted entities."""
    words, true, predicted = zip(*sentence, strict=True)
    return words, entities(true), entities(predicted)


def read_conll(path):
    """Sentences of `NER_result_conll.txt`: lists of (word, true label, predicted label)."""
    sentences = [[]]
    for _, line in read_lines(path):
        if line:
            sentences[-1].append(tuple(line.rsplit(" ", 2)))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def entities(labels):
    """The set of entities, (first word, word behind the last, type); one may begin without B, as in conlleval."""
    found, start = set(), None
    for i, label in enumerate([*labels, "O"]):
        prefix, _, kind = label.partition("-")
        if start is not None and (prefix != "I" or kind != start[1]):
            found.add((start[0], i, start[1]))
            start = None
        if prefix == "B" or (prefix == "I" and start is None):
            start = (i, kind)
    return found


def compare(gold, found):
    """What each entity of a prediction is, and each that it lacks: a dict from entity to the kind of its mark."""
    lacking = gold - found
    kinds = dict.fromkeys(gold & found, "same")
    for span in found - gold:
        kinds[span] = "differs" if any(_overlap(span, other) for other in lacking) else "spurious"
    return kinds | {span: "missed" for span in lacking if not any(_overlap(span, other) for other in found)}


def _overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


def mark(words, kinds):
    """Words with their entities marked, a list of `Span`."""
    spans, end = [], 0
    for start, stop, kind in sorted(kinds):
        spans.append(Span("".join(f"{word} " for word in words[end:start])))
        spans.append(Span(" ".join(words[start:stop]), kinds[start, stop, kind]))
        spans.append(Span(" "))
        end = stop
    return [*spans, Span(" ".join(words[end:]))]


# Answers


def answer_samples(data_set, directories, data_dir):
    """A `Sample` a question, from the first answers of both runs."""
    data = data_sets.locate(data_set, data_dir)
    files = data_sets.bioasq_files(data_sets.edition_of(data_set.name))
    samples = []
    for batch in data_sets.BATCHES:
        golden = bioasq_eval.read_questions(os.path.join(data, files[f"golden{batch}"]))
        paths = [os.path.join(path, f"batch{batch}", "BioASQform_BioASQ-answer.json") for path in directories]
        answers = [bioasq_eval.read_questions(path) for path in paths]
        for identifier, question in golden.items():
            if question["type"] != "factoid" or any(identifier not in found for found in answers):
                continue
            found = [first_answer(identifier, question, each[identifier]) for each in answers]
            cells, right = zip(*found, strict=True)
            known = [("question", question.get("body", "")), ("right answers", synonyms(question))]
            samples.append(Sample(known, cells, right))
    return samples


def first_answer(identifier, question, answered):
    """The cell of a model's first answer to a question, and whether it is right."""
    measures = bioasq_eval.evaluate({identifier: question}, {identifier: answered})
    right = measures.factoid_strict_accuracy == 1
    text = next((texts[0] for texts in answered["exact_answer"] or () if texts), "(no answer)")
    return [Span(text, "same" if right else "differs")], right


def synonyms(question):
    """All answers that count as right, in one text."""
    answers = ([entry] if isinstance(entry, str) else entry for entry in question["exact_answer"])
    return " / ".join(text for texts in answers for text in texts)


if __name__ == "__main__":
    programs.define_flags()
    flags.DEFINE_integer("num_samples", 3, "Of each kind and data set.", lower_bound=1)
    errors.run(main)
