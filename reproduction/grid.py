r"""The paper's grid for named entity recognition: learning rate and batch size by entity F1 on `devel.tsv`.

    bash scripts/grid.sh MODEL_DIR DATA_SET_DIR OUTPUT_DIR [--learning_rates=5e-5,3e-5,1e-5] \
        [--batch_sizes=10,16,32,64] [flags of run_ner.py]

trains `run_ner.py --select_best_on_dev` with each pair of the two in a directory of its own, below OUTPUT_DIR, and
writes `grid.tsv` there. What is done is skipped, what was stopped goes on. `test.tsv` is not looked at.
"""

import argparse
import csv
import dataclasses
import os
import shlex
import sys

from common import errors, files, inputs
from reproduction import data_sets, experiments

USAGE = (
    "grid.sh MODEL_DIR DATA_SET_DIR OUTPUT_DIR [--learning_rates=5e-5,3e-5,1e-5] [--batch_sizes=10,16,32,64] "
    "[flags of run_ner.py]"
)
COMMAND_FILE, TABLE = "command.txt", "grid.tsv"
COLUMNS = ("learning_rate", "batch_size", "best_epoch", "precision", "recall", "f1", "directory")


@dataclasses.dataclass(frozen=True)
class Run:
    """A training with one learning rate and batch size; `command` is what Python is given."""

    learning_rate: float
    batch_size: int
    directory: str
    command: list

    def __str__(self):
        return f"learning rate {self.learning_rate:g}, batch size {self.batch_size}"


def main(arguments):
    paths, learning_rates, batch_sizes, flags = read_arguments(arguments)
    model_dir, data_dir, output_dir = experiments.enter_root(*paths)
    check_inputs(model_dir, data_dir)
    model = data_sets.Model(os.path.basename(model_dir), model_dir)
    settings = [*flags, *model.flags, f"--data_dir={data_dir}"]
    runs = [plan(settings, rate, size, output_dir) for rate in learning_rates for size in batch_sizes]
    check_flags(flags, runs[0].command[len(flags) + 1 :])
    for run in runs:
        check_command(run)

    remaining = [run for run in runs if not is_done(run)]
    print(f"{output_dir}: {len(runs)} runs, {len(runs) - len(remaining)} of them done", flush=True)
    failures = [message for run in remaining if (message := train(run))]
    write_summary([run for run in runs if is_done(run)], settings, output_dir)
    if failures:
        raise errors.InputError(
            f"{len(failures)} of {len(runs)} runs failed: {'; '.join(failures)}. The same command tries them again"
        )


def read_arguments(arguments):
    """Three paths, the learning rates, the batch sizes and the rest, flags of run_ner.py."""
    count = next((i for i, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    if count != 3:
        raise errors.InputError(f"{count} arguments before the flags; expected 3: {USAGE}")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--learning_rates", default="5e-5,3e-5,1e-5")  # this and the next: paper, 4.2
    parser.add_argument("--batch_sizes", default="10,16,32,64")
    ours, flags = parser.parse_known_args(arguments[3:])
    learning_rates = read_numbers("learning_rates", ours.learning_rates, float)
    flags = [flag for flag in flags if flag != "--"]  # which the scripts of the tables want before them
    return arguments[:3], learning_rates, read_numbers("batch_sizes", ours.batch_sizes, int), flags


def read_numbers(name, text, convert):
    """The numbers of a flag, each once."""
    try:
        numbers = [convert(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < float("inf") for number in numbers):
        kind = "whole numbers" if convert is int else "numbers"
        raise errors.InputError(f"--{name}={text}: expected {kind} above 0, separated by commas")
    return list(dict.fromkeys(numbers))


def check_inputs(model_dir, data_dir):
    """Raises `InputError` with all that is missing, and where to get it."""
    wanted = [(model_dir, name) for name in (*data_sets.MODEL_FILES, data_sets.CHECKPOINT)]
    wanted += [(data_dir, name) for name in ("train.tsv", "devel.tsv")]
    missing = [os.path.join(*path) for path in wanted if not data_sets.find_file(*path)]
    if missing:
        raise errors.InputError(
            f"missing: {', '.join(missing)}; expected a model and a data set of named entities as "
            "python -m data_prep.download gets them, for instance biobert_v1.1 and ner"
        )


def check_flags(flags, own):
    """Raises `InputError` for a flag of the user that is one of the grid's own."""
    given, own = (
        {flag.lstrip("-").split("=")[0] for flag in some if flag.startswith("-")}
        for some in (flags, [*own, "--retrain_on_train_dev"])
    )
    if taken := sorted(given & own):
        raise errors.InputError(f"--{taken[0]}: the grid sets it; expected {USAGE}")


def plan(settings, learning_rate, batch_size, output_dir):
    """The `Run` with a learning rate and a batch size."""
    directory = os.path.join(output_dir, f"learning_rate_{learning_rate:g}_batch_size_{batch_size}")
    command = [
        *("run_ner.py", *settings, f"--learning_rate={learning_rate:g}", f"--train_batch_size={batch_size}"),
        *("--select_best_on_dev", "--do_train=true", "--do_eval=false", "--do_predict=false"),
        f"--output_dir={directory}",
    ]
    return Run(learning_rate, batch_size, directory, command)


def check_command(run):
    """Raises `InputError` if a run was begun by another command."""
    path = os.path.join(run.directory, COMMAND_FILE)
    if os.path.exists(path) and data_sets.find_file(os.path.join(run.directory, "selection"), "*.index"):
        before = "\n".join(line for _, line in inputs.read_lines(path))
        if before != shlex.join(run.command):
            raise errors.InputError(
                f"{run.directory}: trained with other flags; expected the same, or a new OUTPUT_DIR. It was: {before}"
            )


def is_done(run):
    """Whether run_ner.py has written the weights of the best epoch, which comes last."""
    return bool(data_sets.find_file(run.directory, "model.ckpt-*.index"))


def train(run):
    """Runs a training, or goes on with it; returns a message if it failed.

    Raises:
      StoppedError: it was told to end.
    """
    print(f"{run}\n$ python {shlex.join(run.command)}", flush=True)
    files.make_directory(run.directory)
    files.write_lines(os.path.join(run.directory, COMMAND_FILE), [shlex.join(run.command)])
    try:
        experiments.run_command(run.command, run)
    except errors.InputError as error:
        return str(error)
    return None


# The summary


def best_epoch(run):
    """The row of a run's `epochs.tsv` with the best F1, the first of equals, as a dict."""
    with open(os.path.join(run.directory, "selection", "epochs.tsv"), encoding="utf-8", newline="") as file:
        return max(csv.DictReader(file, delimiter="\t"), key=lambda row: float(row["f1"]))


def write_summary(runs, settings, output_dir):
    """Prints the runs from the best to the worst, writes them to `grid.tsv`, and prints how to use the best."""
    ranked = sorted(((run, best_epoch(run)) for run in runs), key=lambda pair: -float(pair[1]["f1"]))
    rows = [
        (f"{run.learning_rate:g}", run.batch_size, *(row[name] for name in ("epoch", *COLUMNS[3:6])), run.directory)
        for run, row in ranked
    ]
    path = os.path.join(output_dir, TABLE)
    files.make_directory(output_dir)
    files.write_lines(path, ["\t".join(map(str, row)) for row in (COLUMNS, *rows)])
    print("\nlearning rate  batch size  best epoch  F1 on devel.tsv")
    for rate, size, epoch, *_, f1, _ in rows:
        print(f"{rate:>13}{size:12d}{epoch:>12}{float(f1):17.2f}")
    print(f"\n{path}: {len(rows)} runs")
    if ranked:
        print(describe_best(*ranked[0], settings, output_dir), flush=True)


def describe_best(run, row, settings, output_dir):
    """The settings of the best run, and the commands that use them."""
    predict = ["run_ner.py", *settings, "--do_train=false", "--do_eval=true", "--do_predict=true"]
    again = ["run_ner.py", *settings, "--do_train=true", "--do_eval=false", "--do_predict=true"]
    again += [f"--learning_rate={run.learning_rate:g}", f"--train_batch_size={run.batch_size}"]
    again.append(f"--num_train_epochs={row['epoch']}")
    return "\n".join(
        [
            f"Best: {run}, epoch {row['epoch']}: F1 {float(row['f1']):.2f}. Its weights on test.tsv:",
            f"  python {shlex.join([*predict, f'--output_dir={run.directory}'])}",
            "Trained on train.tsv and devel.tsv with these settings:",
            f"  python {shlex.join([*again, '--output_dir=' + os.path.join(output_dir, 'best')])}",
        ]
    )


if __name__ == "__main__":
    arguments, sys.argv[1:] = sys.argv[1:], []  # absl does not know the flags of run_ner.py
    errors.run(lambda _: main(arguments))
