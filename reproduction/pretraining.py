r"""Continued pre-training of a model of the paper: from a checkpoint and shards to a model as BioBERT was published.

    bash scripts/pretrain.sh MODEL BERT_DIR SHARDS OUTPUT_DIR [flags of run_pretraining.py]
    sbatch scripts/pretrain.slurm MODEL BERT_DIR SHARDS OUTPUT_DIR [flags of run_pretraining.py]

The two scripts say what the arguments are; with `--slurm` first, `run_pretraining.py` runs on all nodes of a job.
"""

import glob
import os
import shutil
import signal
import sys

from absl import flags

from common import errors
from common.errors import InputError, StoppedError
from reproduction import data_sets, experiments

CONFIGS = "configs/pretraining"
FIRST_STAGES = {"biobert_v1.0_pubmed_pmc": "biobert_v1.0_pubmed"}  # the models of two stages
# Of srun, which ends the other workers when the first, which has written the checkpoint, is gone before them.
SLURM_STOPS = (errors.RESUMABLE, 128 + signal.SIGTERM, 128 + signal.SIGKILL)
USAGE = """
  pretrain.sh MODEL BERT_DIR SHARDS OUTPUT_DIR [--flag=value ...]
  pretrain.sh biobert_v1.0_pubmed_pmc BERT_DIR PUBMED_SHARDS PMC_SHARDS OUTPUT_DIR [--flag=value ...]"""
SOURCES = """
  BERT_DIR: BERT-Base, Cased (biobert_large_pubmed: BERT-Large, Cased), unpacked; the README of
    github.com/google-research/bert links it. Or Hugging Face's bert-base-cased, converted by convert.py
  SHARDS: what python -m data_prep.build_corpus --max_seq_length=512 --max_predictions_per_seq=77 wrote"""


def main(arguments):
    on_slurm = arguments[:1] == ["--slurm"]
    model, bert_dir, shards, output_dir, given = read_arguments(arguments[on_slurm:], two_stages=not on_slurm)
    bert_dir, *shards, output_dir = experiments.enter_root(bert_dir, *shards, output_dir)
    check_inputs(model, bert_dir, shards)
    if len(shards) > 1:
        first = FIRST_STAGES[model]
        train(first, bert_dir, shards[0], output_dir, given, on_slurm)
        bert_dir = os.path.join(output_dir, first)
    if not train(model, bert_dir, shards[-1], output_dir, given, on_slurm):
        return
    directory = os.path.abspath(os.path.join(output_dir, model))
    print(
        "For fine-tuning:",
        f"  --init_checkpoint={directory}/model.ckpt-{steps_of(model, given)}",
        f"  --bert_config_file={directory}/bert_config.json",
        f"  --vocab_file={directory}/vocab.txt",
        sep="\n",
    )


def read_arguments(arguments, two_stages):
    """The model's name, BERT_DIR, a list of SHARDS, OUTPUT_DIR, and flags of run_pretraining.py.

    Args:
      arguments: list of str.
      two_stages: whether a model of two stages is trained in one go, from two corpora.

    Raises:
      InputError: another number of arguments before the flags.
    """
    count = next((i for i, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    expected = 5 if two_stages and arguments[:1] and arguments[0] in FIRST_STAGES else 4
    if count != expected:
        raise InputError(f"{count} arguments before the flags; expected {expected}:", USAGE)
    model, bert_dir, *shards, output_dir = arguments[:count]
    return model, bert_dir, shards, output_dir, arguments[count:]


def check_inputs(model, bert_dir, shards):
    """Raises `InputError` for a model without a configuration, or with all that is missing and where to get it."""
    names = sorted(os.path.basename(path) for path in glob.glob(f"{CONFIGS}/bio*.cfg"))
    if f"{model}.cfg" not in names:
        raise InputError(f"{CONFIGS}/{model}.cfg: no such file; expected one of {' '.join(names)}")
    wanted = [(bert_dir, "bert_config.json"), (bert_dir, "vocab.txt"), (bert_dir, "*.ckpt*.index")]
    wanted += [(directory, "*.tfrecord") for directory in shards]
    missing = [os.path.join(*path) for path in wanted if not data_sets.find_file(*path)]
    if missing:
        raise InputError(f"missing: {', '.join(missing)}; expected", SOURCES)


def steps_of(model, given):
    """`--num_train_steps` as run_pretraining.py reads it of a model's configuration and further flags."""
    values = flags.FlagValues()
    flags.DEFINE_integer("num_train_steps", None, "As of run_pretraining.py.", flag_values=values)
    values.set_gnu_getopt(True)
    try:
        values(["run_pretraining.py", f"--flagfile={CONFIGS}/{model}.cfg", *given], known_only=True)
    except flags.Error as error:
        raise InputError(str(error)) from None
    return values.num_train_steps


def train(model, bert_dir, shards, output_dir, given, on_slurm):
    """Trains a model and converts its last checkpoint; what is done is not done again.

    Returns:
      Whether it is done; if not, the job is back in Slurm's queue.

    Raises:
      StoppedError: the training was told to end.
      InputError: a program failed, or a job made no progress.
    """
    steps, directory = steps_of(model, given), os.path.join(output_dir, model)
    if os.path.exists(os.path.join(directory, f"model.ckpt-{steps}.index")):
        print(f"{directory}: done already", flush=True)
        return True
    training = os.path.join(output_dir, "training", model)
    before = checkpoints_of(training)
    run(
        *(slurm_step() if on_slurm else []),
        *(
            sys.executable,
            "run_pretraining.py",
            f"--flagfile={CONFIGS}/{model}.cfg",
            f"--flagfile={CONFIGS}/8_gpus.cfg",
        ),
        *(["--distribution_strategy=multi_worker_mirrored"] if on_slurm else []),
        *(f"--input_file={shards}/*.tfrecord", f"--bert_config_file={bert_dir}/bert_config.json"),
        *(f"--init_checkpoint={bert_dir}", f"--output_dir={training}", *given),
        stops=SLURM_STOPS if on_slurm else (errors.RESUMABLE,),
    )
    last = os.path.join(training, f"model.ckpt-{steps}")
    if not os.path.exists(f"{last}.index"):
        if not on_slurm:
            raise StoppedError(f"stopped before step {steps}; the same command goes on")
        if checkpoints_of(training) == before:
            raise InputError(f"{training}: no checkpoint that was not there before; expected one before the job ends")
        run("scontrol", "requeue", os.environ["SLURM_JOB_ID"])
        return False
    run(sys.executable, "convert.py", f"--checkpoint={last}", f"--input_dir={bert_dir}", f"--output_dir={directory}")
    return True


def checkpoints_of(directory):
    """The names of the checkpoints in a directory, a set."""
    return set(glob.glob(os.path.join(glob.escape(directory), "model.ckpt-*.index")))


def slurm_step():
    """What runs a program once on each node of the job. srun does not take over --cpus-per-task from sbatch."""
    return ["srun", f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', 1)}", "--kill-on-bad-exit=1"]


def run(*command, stops=()):
    """Runs a program; signals that tell this one to end reach it.

    Args:
      command: str each.
      stops: exit statuses, besides 0, that are no failure: the program was told to end.

    Raises:
      InputError: it failed, or is not there.
      StoppedError: this program was told to end.
    """
    print("$", *command, flush=True)
    if not shutil.which(command[0]):
        raise InputError(f"{command[0]}: no such program; expected it in PATH")
    status, stopped = experiments.wait_for(command)
    if stopped:
        raise StoppedError("stopped as told; the same command goes on")
    if status and status not in stops:
        raise InputError(f"{' '.join(command[:2])} ended with status {status}, see above")


if __name__ == "__main__":
    arguments, sys.argv[1:] = sys.argv[1:], []  # absl does not know the flags of run_pretraining.py
    errors.run(lambda _: main(arguments))
