"""Figures 2(a) and 2(b) of the paper: entity F1 against the size of the corpus, and against pre-training steps.

    python -m reproduction.curves --figure=2b MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=ncbi_disease,bc2gm]

MODEL_DIR has a model in each of its subdirectories, which are named by their place on the axis: steps (`0`, `200K`,
`1M`), or words of the corpus for `--figure=2a` (`0`, `1.5B`, `4.5B`). `0` may be without a checkpoint: it starts from
random weights. `python convert.py --checkpoint=RUN/model.ckpt-200000 --input_dir=BERT_DIR
--output_dir=MODEL_DIR/200K` makes one of a pre-training run, which keeps its checkpoints by
`--keep_checkpoint_every`. Writes `figure2b` as .png, .svg, .md and .html. Points of the paper: those that its tables
print; the figure itself has no numbers.
"""

import dataclasses
import os
import re
import statistics

from absl import flags

from common import errors
from reproduction import data_sets, figures, paper, programs
from reproduction.report import Figure, Report, Section, Table, write
from reproduction.tables import runs_table

FLAGS = flags.FLAGS

UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
X_LABELS = {"2a": "words of pre-training text", "2b": "pre-training steps"}
TITLES = {"2a": "Entity F1 by size of the corpus", "2b": "Entity F1 by pre-training steps"}
PRINTED = {"2a": paper.points_over_words, "2b": paper.points_over_steps}
# Of the figure in the paper.
DATA_SETS = ["ncbi_disease", "bc2gm", "bc4chemd"]


def main(argv):
    setting = programs.set_up(argv, FLAGS, paper.data_sets("ner"), usual=DATA_SETS, random_weights=True)
    setting = dataclasses.replace(setting, models=sorted(setting.models, key=place_of))
    places = {model.name: place_of(model) for model in setting.models}
    name, with_paper = FLAGS.figure, FLAGS.with_paper
    programs.run_all(
        setting.plans(), setting.data_dir, lambda results: write_report(name, setting, places, results, with_paper)
    )
    print(f"{setting.output_dir}/figure{name}.html")


def place_of(model):
    """The place on the axis that the name of a model says: 200000 of `200K`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB]?)", model.name)
    if not match:
        raise errors.InputError(f"{model.directory}: expected a name like 0, 200K or 4.5B, its place in the figure")
    place = float(match[1]) * UNITS[match[2]]
    if place and not data_sets.find_file(model.directory, data_sets.CHECKPOINT):
        raise errors.InputError(f"{model.directory}: no checkpoint, {data_sets.CHECKPOINT}; only 0 may be without")
    return place


def write_report(name, setting, places, results, with_paper):
    """Draws and writes what the results so far show, a dict from (data set, model, seed) to `Result`.

    `places` are those of the models on the axis, by name, in their order.
    """
    titles = paper.titles()
    series, printed, rows = [], [], []
    for data_set in setting.names:
        title, points = titles[data_set], dict(PRINTED[name](data_set)) if with_paper else {}
        by_model = {model: programs.scores_of(results, data_set, model) for model in places}
        by_model = {model: values for model, values in by_model.items() if values}
        if by_model:
            series.append(series_of(title, {places[model]: values for model, values in by_model.items()}))
        if points:
            triples = [(x, y, None) for x, y in points.items()]
            printed.append(figures.Series(f"{title} (paper)", triples, paper=True))
        for model, values in by_model.items():
            compared = comparison(values, points.get(places[model])) if with_paper else []
            rows.append([title, model, programs.format_mean(values), *compared, str(len(values))])
    stem, x_label = f"figure{name}", X_LABELS[name]
    path = os.path.join(setting.output_dir, stem)
    lines = series + printed
    figures.curves(path, lines, x_label, "entity F1 on test.tsv (%)", TITLES[name], is_wide(lines))
    header = ["Data set", x_label, "F1 here", *(["F1 in the paper", "difference"] if with_paper else []), "seeds"]
    note = "Mean and standard deviation over the seeds. " if len(setting.seeds) > 1 else ""
    note += "Points of the paper: those of its models that Table 6 has the scores of." if with_paper else ""
    items = [Figure(stem, TITLES[name]), Table(header, rows, note=note, merge=("Data set",))]
    sections = [Section("Curve", [*items, *programs.missing_tables(setting.missing)])]
    sections.append(Section("How each was made", [runs_table(results)]))
    write(Report(f"Figure {name[0]}({name[1]}) of the paper", sections), setting.output_dir, stem)


def comparison(values, printed):
    """Two cells: the paper's score, or None, and how far the mean of the values is from it."""
    return [f"{printed:.2f}", f"{statistics.mean(values) - printed:+.2f}"] if printed else ["", ""]


def is_wide(lines):
    """Whether the places of the points are so far apart that the axis must be logarithmic."""
    places = [point[0] for line in lines for point in line.points if point[0]]
    return bool(places) and max(places) > 20 * min(places)


def series_of(title, values):
    """Means, standard deviations and single runs, of a dict from place to scores."""
    points = [
        (x, statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else None)
        for x, scores in values.items()
    ]
    return figures.Series(title, points, runs=[(x, score) for x, scores in values.items() for score in scores])


if __name__ == "__main__":
    programs.define_flags()
    flags.DEFINE_enum("figure", None, list(TITLES), "2a or 2b.", required=True)
    flags.DEFINE_bool("with_paper", True, "Draw the paper's points too; not where the model is another one.")
    errors.run(main)
