"""What the programs of the tables and figures share: flags, what is missing, and runs one after the other."""

import dataclasses
import logging
import re
import statistics

from absl import flags

from common.errors import InputError, StoppedError
from reproduction import data_sets, experiments
from reproduction.report import Table

# Flags of the entry scripts that are the programs' own.
OWN_FLAGS = (
    *("vocab_file", "bert_config_file", "init_checkpoint", "seed", "data_dir", "output_dir"),
    *("train_file", "predict_file", "do_train", "do_predict"),
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a program was told: where models and data sets are, what to run on which seeds, where reports go.

    `extra` are flags for the entry scripts, `missing` a `Gap` each for what is not there.
    """

    models: list
    names: list  # of the data sets that are there
    missing: list
    data_dir: str
    output_dir: str
    seeds: list
    extra: list

    def plans(self):
        """The `Experiment` of each data set, model and seed, a list."""
        return [
            experiments.plan(name, model, seed, self.data_dir, f"{self.output_dir}/runs", self.extra)
            for name in self.names
            for model in self.models
            for seed in self.seeds
        ]


def define_flags():
    flags.DEFINE_string("output_dir", "output/paper", "Directory of runs and reports, shared by all of them.")
    flags.DEFINE_list("seeds", ["1"], "A run with each: mean and standard deviation are reported.")
    flags.DEFINE_list("data_sets", None, "Names as in configs/, for instance ncbi_disease; default: all of the table.")
    flags.DEFINE_list("models", None, "Names of directories in MODEL_DIR; default: all. Or the name of the one there.")


def set_up(argv, values, names, usual=None, models=None, random_weights=False):
    """Reads the command line, changes to the root of the repository, and says what is missing.

    Args:
      argv: the program, MODEL_DIR, DATA_DIR, then flags for the entry scripts (after `--`).
      values: the flags.
      names: the data sets that may be run.
      usual: those that are if the flags name none; None for all.
      models: the models that are run if the flags name none; None for all that are there.
      random_weights: whether a model may have no checkpoint.

    Raises:
      InputError: the command line is not as it should be, or there is no model or no data set.
    """
    directories = [value for value in argv[1:] if not value.startswith("-")]
    extra = [value for value in argv[1:] if value.startswith("-")]
    if len(directories) != 2:
        raise InputError(
            f"arguments {' '.join(directories) or '(none)'}: expected MODEL_DIR DATA_DIR, and flags for the entry "
            "scripts after -- as --name=value"
        )
    for value in extra:
        name = value.lstrip("-").split("=")[0]
        if name in OWN_FLAGS or name.removeprefix("no") in OWN_FLAGS:
            raise InputError(f"{value}: this program sets it; expected another flag after --")
    if unknown := [name for name in values.data_sets or () if name not in names]:
        raise InputError(f"--data_sets={','.join(unknown)}: expected some of {', '.join(names)}")
    seeds = _read_seeds(values.seeds)
    _check_names(values.models or ())
    model_dir, data_dir, output_dir = experiments.enter_root(*directories, values.output_dir)
    wanted = list(dict.fromkeys(values.data_sets or usual or names))
    gaps = {name: data_sets.missing_files(data_sets.DATA_SETS[name], data_dir) for name in wanted}
    there = [name for name, gap in gaps.items() if not gap]
    missing = [gap for gap in gaps.values() if gap]
    gap = data_sets.missing_files(data_sets.DATA_SETS["squad"], data_dir)
    if gap and any(data_sets.DATA_SETS[name].task == "qa" for name in there):
        what = f"{gap.what} (without it, BioASQ starts from the model itself, not as in the paper)"
        missing.append(dataclasses.replace(gap, what=what))
    for gap in missing:
        logging.warning("missing: %s", gap)
    found = data_sets.find_models(model_dir, values.models or models, random_weights)
    if not there:
        raise InputError(f"{data_dir}: none of the data sets is there: {', '.join(wanted)}")
    return Setting(found, there, missing, data_dir, output_dir, seeds, extra)


def _read_seeds(values):
    seeds = [int(seed) for seed in values if seed.isascii() and seed.isdigit()]
    if not values or len(set(seeds)) != len(values):
        raise InputError(f"--seeds={','.join(values)}: expected numbers, each once")
    return seeds


def _check_names(models):
    """Raises `InputError` unless each model can have a directory of its own by its name."""
    if len(set(models)) != len(models) or not all(re.fullmatch(r"(?!\.)[^/]+", name) for name in models):
        raise InputError(f"--models={','.join(models)}: expected names of directories, each once")


def run_all(planned, data_dir, report):
    """Runs experiments; one that fails does not end the others.

    Args:
      planned: list of `Experiment`.
      data_dir: path of the data sets.
      report: called with the results so far, a dict from (data set, model, seed) to `Result`, after each. Those of
        the stages before are among them.

    Raises:
      InputError: some failed, and the report has the others; or one was begun with other flags, and none is run.
      StoppedError: this program was told to end.
    """
    for experiment in planned:
        experiments.check(experiment)
    results, failures = {}, []
    for number, experiment in enumerate(planned, 1):
        logging.info("%d of %d: %s", number, len(planned), experiment)
        try:
            result = experiments.run(experiment, data_dir)
            if experiment.before:
                results[experiment.before.key] = experiments.read_result(experiment.before)
            results[experiment.key] = result
        except InputError as error:
            logging.error("%s", error)
            failures.append(str(experiment))
        except StoppedError:
            report(results)
            raise
        report(results)
    if failures:
        raise InputError(f"failed: {'; '.join(failures)}; the same command tries again")


def missing_tables(missing):
    """What a report says of missing data, a list of `Gap`: nothing or a `Table`."""
    rows = [[gap.what, gap.command] for gap in missing]
    return [Table(["missing", "how to get it"], rows)] if rows else []


def scores_of(results, name, model, column=-1):
    """A score of a model on a data set, by default F1 or MRR, with each seed: a list."""
    return [result.scores[column] for (n, m, _), result in results.items() if (n, m) == (name, model)]


def format_mean(values):
    """`87.65`, or of several `87.65 ± 0.43`; empty of none."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def format_time(seconds):
    """`1 h 23 min`, `4 min 5 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
