"""Figure 2(c) of the paper: what pre-training on biomedical text gains over BERT, on all 15 data sets.

    python -m reproduction.gains MODEL_DIR DATA_DIR [--models=bert_base_cased,biobert_v1.0_pubmed_pmc] [--seeds=1,2,3]

The gain is in points of F1 (MRR of answers), of the second model over the first. Runs are those of the tables with the
same `--output_dir`: what is done there is not done again. Writes `figure2c` as .png, .svg, .md and .html.
"""

import os
import statistics

from absl import flags

from common import errors
from reproduction import figures, paper, programs
from reproduction.report import Figure, Report, Section, Table, write
from reproduction.tables import runs_table

FLAGS = flags.FLAGS

NAMES = [name for task in paper.METRICS for name in paper.data_sets(task)]
MODELS = ["bert_base_cased", "biobert_v1.0_pubmed_pmc"]
NAME = "figure2c"


def main(argv):
    setting = programs.set_up(argv, FLAGS, NAMES, models=MODELS)
    if len(setting.models) != 2:
        raise errors.InputError(f"{len(setting.models)} models; expected two: --models=before,after")
    programs.run_all(setting.plans(), setting.data_dir, lambda results: write_report(setting, results))
    print(f"{setting.output_dir}/{NAME}.html")


def write_report(setting, results):
    """Draws and writes what the results so far show, a dict from (data set, model, seed) to `Result`."""
    before, after = (model.name for model in setting.models)
    gains = {name: gains_of(results, name, before, after, setting.seeds) for name in NAMES}
    printed, pair = printed_gains(before, after)
    titles = paper.titles()
    title = f"Gain of {paper.MODELS.get(after, after)} over {paper.MODELS.get(before, before)}"
    figures.bars(
        os.path.join(setting.output_dir, NAME),
        [titles[name] for name in NAMES],
        [statistics.mean(gains[name]) if gains[name] else None for name in NAMES],
        [printed[name] for name in NAMES],
        "points of F1 (MRR of BioASQ)",
        title,
        deviations=[statistics.stdev(gains[name]) if len(gains[name]) > 1 else None for name in NAMES],
    )
    rows = [
        [titles[name], _signed(gains[name]), f"{printed[name]:+.2f}"]
        + [f"{statistics.mean(gains[name]) - printed[name]:+.2f}" if gains[name] else "", str(len(gains[name]))]
        for name in NAMES
    ]
    note = "Mean and standard deviation over the seeds. " if len(setting.seeds) > 1 else ""
    note += f"In the paper: {paper.MODELS[pair[1]]} over {paper.MODELS[pair[0]]}, by its Tables 6 to 8."
    table = Table(["Data set", "gain here", "gain in the paper", "difference", "seeds"], rows, note=note)
    sections = [Section("Gain", [Figure(NAME, title), table, *programs.missing_tables(setting.missing)])]
    sections.append(Section("How each was made", [runs_table(results)]))
    write(Report("Figure 2(c) of the paper", sections, "Points of F1, of MRR for BioASQ."), setting.output_dir, NAME)


def printed_gains(before, after):
    """The paper's gains, a dict by data set, and the pair of models they are between.

    That is the same pair, or where the paper has no such models that of its figure.
    """
    pair = (before, after)
    if not all((NAMES[0], model) in paper.results() for model in pair):
        return paper.figure_2c(), MODELS
    return {name: paper.headline(name, after) - paper.headline(name, before) for name in NAMES}, pair


def gains_of(results, name, before, after, seeds):
    """The points gained with each seed that both models have been run with."""
    pairs = [[results.get((name, model, seed)) for model in (before, after)] for seed in seeds]
    return [second.scores[-1] - first.scores[-1] for first, second in pairs if first and second]


def _signed(values):
    text = programs.format_mean(values)
    return text if not text or text.startswith("-") else f"+{text}"


if __name__ == "__main__":
    programs.define_flags()
    errors.run(main)
