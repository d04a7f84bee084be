r"""Tables 6 (named entities), 7 (relations) and 8 (questions) of the paper, our scores beside the printed ones.

    python -m reproduction.tables --table=6 MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=ncbi_disease] \
        [-- --num_train_epochs=20 ...]

MODEL_DIR holds a model, or one in each of its subdirectories, DATA_DIR the data sets, as `data_prep.download` puts
them. Flags after `--` go to the entry scripts. Writes `tableN.md` and `tableN.html` to `--output_dir`, anew after each
run, and the runs below it: what is done is not done again, and what was stopped goes on.

The paper's figures take days on a GPU: nine data sets of Table 6 with 50 epochs each, for each model and seed.
"""

import statistics

from absl import flags

from common import errors
from reproduction import paper, programs
from reproduction.report import Code, Report, Section, Table, write

FLAGS = flags.FLAGS

TASKS = {table: task for task, table in paper.RESULT_TABLES.items()}
TITLES = {"ner": "named entity recognition", "re": "relation extraction", "qa": "question answering"}
NOTES = {
    "ner": "Precision, recall and F1 of entities on test.tsv, exact matches, in percent.",
    "re": "Precision, recall and F1 in percent: of GAD and EU-ADR the means over ten folds, of CHEMPROT the micro "
    "average over its five groups of relations.",
    "qa": "Strict accuracy, lenient accuracy and mean reciprocal rank over the questions of all test batches, in "
    "percent.",
}


def main(argv):
    table = int(FLAGS.table)
    task = TASKS[table]
    setting = programs.set_up(argv, FLAGS, paper.data_sets(task))
    programs.run_all(
        setting.plans(),
        setting.data_dir,
        lambda results: write(make_report(table, setting, results), setting.output_dir, f"table{table}"),
    )
    print(f"{setting.output_dir}/table{table}.html")


def make_report(table, setting, results):
    """The report on the results so far, a dict from (data set, model, seed) to `Result`."""
    task = TASKS[table]
    keys = [(name, model.name) for name in setting.names for model in setting.models]
    sections = [Section("Scores", [scores_table(task, keys, results), *programs.missing_tables(setting.missing)])]
    sections.append(Section("How each was made", [runs_table(results)]))
    return Report(f"Table {table} of the paper: {TITLES[task]}", sections, NOTES[task])


def scores_table(task, keys, results):
    """Ours, the paper's and the difference, a row a data set and model."""
    metrics = paper.METRICS[task]
    headline = metrics[-1]
    header = ["Data set", "Model", *(("here", metric) for metric in metrics)]
    header += [*(("in the paper", metric) for metric in metrics), ("difference", headline), ("", "seeds")]
    rows = []
    for name, model in keys:
        ours = [programs.scores_of(results, name, model, column) for column in range(len(metrics))]
        printed = paper.results().get((name, model))
        row = [paper.titles()[name], paper.MODELS.get(model, model), *map(programs.format_mean, ours)]
        row += [f"{score:.2f}" for score in printed] if printed else [""] * len(metrics)
        row.append(f"{statistics.mean(ours[-1]) - printed[-1]:+.2f}" if printed and ours[-1] else "")
        rows.append([*row, str(len(ours[-1]))])
    note = "Mean and standard deviation over the seeds. " if any(len(row) > 1 for row in _by_key(results)) else ""
    return Table(header, rows, note=f"{note}Paper: Lee et al. 2020.", merge=("Data set",))


def _by_key(results):
    """The seeds of each data set and model, lists."""
    seeds = {}
    for name, model, seed in results:
        seeds.setdefault((name, model), []).append(seed)
    return seeds.values()


def runs_table(results):
    """A row a run: its scores, time, hardware, versions and commands; last the stage before BioASQ."""
    titles = paper.titles() | {"squad": "SQuAD 1.1"}
    rows = [
        [
            titles[name],
            paper.MODELS.get(model, model),
            str(seed),
            f"{result.scores[-1]:.2f}" if result.scores else "",
            programs.format_time(result.seconds),
            result.hardware,
            result.versions,
            Code("\n".join(result.commands)),
        ]
        for (name, model, seed), result in sorted(results.items(), key=lambda item: item[0][0] == "squad")
    ]
    header = ["Data set", "Model", "seed", "F1 or MRR", "time", "hardware", "versions", "commands"]
    note = "The commands are run in the root of the repository, one after the other; the time is that of all of a row."
    return Table(header, rows, note=note, merge=("Data set", "Model"))


if __name__ == "__main__":
    programs.define_flags()
    flags.DEFINE_enum("table", None, list(map(str, TASKS)), "6, 7 or 8.", required=True)
    errors.run(main)
