"""The fine-tuning runs behind the paper's tables: their commands, and what ran them."""

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import signal
import subprocess
import sys
import time

from common.errors import RESUMABLE, InputError, StoppedError
from common.files import atomic_write, make_directory
from common.inputs import read_json
from reproduction import scores
from reproduction.data_sets import BATCHES, DATA_SETS, bioasq_files, edition_of, locate, missing_files

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULT_FILE = "run.json"
LOG_FILE = "output.txt"
PACKAGES = ("tensorflow", "keras", "tensorflow-text", "numpy")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A data set, a model and a seed.

    `commands` are lists of arguments of Python, run in the root of the repository one after the other; `before` is the
    experiment whose checkpoint they start from, or None.
    """

    data_set: str
    model: str
    seed: int
    directory: str
    commands: list
    before: "Experiment | None" = None

    @property
    def key(self):
        """What tells it from others, also their directories: the data set, the model's name and the seed."""
        return self.data_set, self.model, self.seed

    def __str__(self):
        return f"{self.data_set}, {self.model}, seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of an experiment: `scores` are its three, in percent; the rest is for the reader of a report.

    `seconds` are those of all starts of its commands, but of one that was killed together with this program.
    """

    commands: list
    done: bool = False
    scores: list | None = None
    seconds: float = 0.0
    hardware: str = ""
    versions: str = ""


def plan(data_set, model, seed, data_dir, runs_dir, extra=()):
    """The experiment on a data set.

    Args:
      data_set: a name in `DATA_SETS`.
      model: a `data_sets.Model`.
      seed: int.
      data_dir: path that `data_sets.locate` finds the data set below.
      runs_dir: path; the run is kept in `DATA_SET/MODEL/seedN` below it.
      extra: flags for the entry script, which win over the flag files'.
    """
    task = DATA_SETS[data_set].task
    data = locate(DATA_SETS[data_set], data_dir)
    directory = os.path.join(runs_dir, data_set, model.alias_of or model.name, f"seed{seed}")
    common = [f"run_{task}.py", *model.flags, f"--flagfile=configs/{task}/{data_set}.cfg", f"--seed={seed}"]
    if task != "qa":
        # Only test.tsv is scored; CHEMPROT can be without the dev.tsv of its flag file.
        commands = [[*common, "--do_eval=false", *extra, f"--data_dir={data}", f"--output_dir={directory}"]]
        if task == "ner":
            commands.append(_detokenize_command(data, directory))
        return Experiment(data_set, model.name, seed, directory, commands)
    if data_set == "squad":
        files = [f"--train_file={os.path.join(data, 'train-v1.1.json')}", "--do_predict=false"]
        command = [*common, *extra, *files, f"--output_dir={directory}"]
        return Experiment(data_set, model.name, seed, directory, [command])
    squad = None
    start = model.directory
    if not missing_files(DATA_SETS["squad"], data_dir):
        squad = plan("squad", model, seed, data_dir, runs_dir, extra)
        start = squad.directory
    commands = _bioasq_commands(common, extra, data, edition_of(data_set), start, directory)
    return Experiment(data_set, model.name, seed, directory, commands, squad)


def _detokenize_command(data, directory):
    """Of the labelled wordpieces, words with true and predicted label: `NER_result_conll.txt`."""
    paths = [f"--{name}_path={os.path.join(directory, f'{name}.txt')}" for name in ("token_test", "label_test")]
    answers = os.path.join(data, "test.tsv")
    return ["biocodes/ner_detokenize.py", *paths, f"--answer_path={answers}", f"--output_dir={directory}"]


def _bioasq_commands(common, extra, data, edition, start, directory):
    """Training, then for each of the five test sets its answers and their form for BioASQ."""
    files = {part: os.path.join(data, name) for part, name in bioasq_files(edition).items()}
    train = ["--do_train=true", "--do_predict=false", f"--train_file={files['train']}"]
    commands = [[*common, *extra, *train, f"--init_checkpoint={start}", f"--output_dir={directory}"]]
    for batch in BATCHES:
        output = os.path.join(directory, f"batch{batch}")
        predict = ["--do_train=false", "--do_predict=true", f"--predict_file={files[f'test{batch}']}"]
        commands.append([*common, *extra, *predict, f"--init_checkpoint={directory}", f"--output_dir={output}"])
        nbest = os.path.join(output, "nbest_predictions.json")
        transform = "biocodes/transform_nbset2bioasqform.py"
        commands.append([transform, f"--nbest_path={nbest}", f"--output_path={output}"])
    return commands


# Running


def enter_root(*paths):
    """Makes the root of the repository the working directory, as the commands need it.

    Returns:
      `paths` of the user from there, relative if they lie below it.
    """
    paths = [os.path.abspath(path) for path in paths]
    os.chdir(ROOT)
    return [os.path.relpath(path) if path.startswith(ROOT + os.sep) else path for path in paths]


def read_result(experiment):
    """The `Result` of an experiment, also of one that was only begun, or None."""
    path = os.path.join(experiment.directory, RESULT_FILE)
    return Result(**read_json(path, "the result of a run", lone_surrogates=True)) if os.path.exists(path) else None


def check(experiment):
    """Raises `InputError` if a run in its directory, or in that of the one before, was begun by other commands."""
    if experiment.before:
        check(experiment.before)
    result = read_result(experiment)
    if result and result.commands != shell_commands(experiment):
        before, now = (shlex.split(" ".join(some)) for some in (result.commands, shell_commands(experiment)))
        there, here = (
            " ".join(dict.fromkeys(x for x in one if x not in other)) or "none"
            for one, other in [(before, now), (now, before)]
        )
        raise InputError(
            f"{experiment.directory}: a run with other flags, before: {there}; now: {here}; expected those of before, "
            "or another --output_dir"
        )


def shell_commands(experiment):
    """Its commands as one types them."""
    return [shlex.join(["python", *command]) for command in experiment.commands]


def run(experiment, data_dir):
    """Runs an experiment, or goes on with it; returns its `Result`. One that is done is only read.

    Raises:
      InputError: a command failed, or what it wrote cannot be scored.
      StoppedError: this program was told to end (SIGTERM, Ctrl-C); a training that ran has written a checkpoint.
    """
    result = read_result(experiment)
    if result and result.done:
        return result
    if experiment.before:
        run(experiment.before, data_dir)
    logging.info("%s: %s", experiment, experiment.directory)
    make_directory(experiment.directory)
    result = result or Result(shell_commands(experiment))
    _write(result, experiment)
    for command in experiment.commands:
        start = time.monotonic()
        try:
            run_command(command, experiment)
        finally:
            result = dataclasses.replace(result, seconds=result.seconds + time.monotonic() - start)
            _write(result, experiment)
    result = dataclasses.replace(
        result,
        done=True,
        scores=scores.read(experiment, data_dir),
        hardware=describe_hardware(),
        versions=describe_versions(),
    )
    _write(result, experiment)
    return result


def _write(result, experiment):
    with atomic_write(os.path.join(experiment.directory, RESULT_FILE)) as file:
        json.dump(dataclasses.asdict(result), file, indent=2)


def run_command(command, experiment):
    """Runs arguments of Python; standard output goes to `output.txt` in the directory of what they are a part of.

    Raises:
      InputError: the command failed, or another process works in the directory.
      StoppedError: this program was told to end, or the command was.
    """
    path = os.path.join(experiment.directory, LOG_FILE)
    with open(path, "a", encoding="utf-8") as log:
        try:
            # The command inherits the lock: if this program is killed, it holds it to its own end.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{experiment}: another process works in {experiment.directory}; expected that it is left to finish"
            ) from None
        status, stopped = wait_for([sys.executable, *command], log)
    if stopped or status == RESUMABLE:
        raise StoppedError(f"{experiment}: stopped as told; the same command goes on from there")
    if status:
        raise InputError(f"{experiment}: {command[0]} ended with status {status}, see above and {path}")


def wait_for(command, log=None):
    """Runs a command; passes signals that tell this program to end on to it.

    Args:
      command: list of str.
      log: file for its standard output; None: this program's.

    Returns:
      Its exit status, and whether there was such a signal.
    """
    process, stopped = None, []

    def pass_on(*_):
        stopped.append(True)
        if process:
            process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        # In a session of its own, so that Ctrl-C reaches it as the SIGTERM after which it writes a checkpoint.
        process = subprocess.Popen(command, stdout=log, start_new_session=True)
        if stopped:  # before there was a process to pass it on to
            process.terminate()
        return process.wait(), bool(stopped)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# What ran it


def describe_hardware():
    """GPUs, or the processor and its cores, in one line."""
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        if names := subprocess.run(query, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]:
            return f"{len(names)} x {names[0]}"
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def describe_versions():
    """Python, the packages that matter to the numbers, and the commit of this repository if it is one."""
    versions = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # tensorflow may be tensorflow-cpu
            versions.append(f"{name} {importlib.metadata.version(name)}")
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        command = ["git", "-C", ROOT, "describe", "--always", "--dirty"]
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        versions.append(f"commit {commit}")
    return ", ".join(versions)
