"""Kills a training at random moments, starts it again each time, and compares its end with that of an unbroken one.

    python -m benchmarks.kill_and_resume --kills=20

Trains the small BERT of `samples/` with dropout, writing a checkpoint every other step. Every second kill (SIGKILL)
falls into the writing of a checkpoint. Prints where each run was killed, and whether the weights, Adam's slots and the
step of both ends are equal to the bit.

Expected (2 cores, Python 3.11, 7 minutes): 20 kills, all 140 values equal.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

import common.quiet_tensorflow  # noqa: F401

# isort: split
import numpy as np
import tensorflow as tf

from common.errors import run

FLAGS = flags.FLAGS
MAX_SEQ_LENGTH, MAX_PREDICTIONS = 64, 10
START_SECONDS = 10.0  # the first steps come about then; a kill falls into as long a time behind


def make_records(path):
    """Writes pre-training records of the sample text."""
    command = [
        *(sys.executable, "-m", "data_prep.create_pretraining_data"),
        *("--input_file=samples/abstracts.txt", f"--output_file={path}", "--vocab_file=samples/vocab.txt"),
        *("--do_lower_case=false", "--dupe_factor=1"),
        *(f"--max_seq_length={MAX_SEQ_LENGTH}", f"--max_predictions_per_seq={MAX_PREDICTIONS}"),
    ]
    subprocess.run(command, check=True, capture_output=True)


def start(records, output_dir, steps):
    """Starts the training."""
    command = [
        *(sys.executable, "run_pretraining.py", "--do_train", f"--input_file={records}", f"--output_dir={output_dir}"),
        *("--bert_config_file=samples/bert_config.json", f"--max_seq_length={MAX_SEQ_LENGTH}"),
        *(f"--max_predictions_per_seq={MAX_PREDICTIONS}", "--train_batch_size=4", "--learning_rate=1e-3"),
        *(f"--num_train_steps={steps}", "--num_warmup_steps=10", "--save_checkpoints_steps=2"),
    ]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def is_writing(output_dir):
    return os.path.isdir(output_dir) and any(".tmp" in name for name in os.listdir(output_dir))


def wait(process, output_dir, seconds, for_writing):
    """Waits so long, and then perhaps until a checkpoint is being written, while the process runs."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    while process.poll() is None and for_writing and not is_writing(output_dir):
        pass


def kill_and_resume(records, output_dir, steps, kills, seed=1):
    """Trains to the end in spite of `kills`; yields, for each, the newest step on disk and what else is there."""
    moments = random.Random(seed)
    os.makedirs(output_dir)  # a kill may come before the training makes it
    for number in range(kills):
        process = start(records, output_dir, steps)
        wait(process, output_dir, START_SECONDS * moments.uniform(0.5, 2), for_writing=number % 2 == 1)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        names = os.listdir(output_dir)
        finished = [
            int(match[1]) for match in (re.fullmatch(r"model\.ckpt-(\d+)\.index", name) for name in names) if match
        ]
        yield max(finished, default=0), [name for name in names if ".tmp" in name]
    if start(records, output_dir, steps).wait():
        sys.exit("the last start failed")


def differences(one, other):
    """The names whose values in two directories' newest checkpoints differ in a bit, and how many there are."""
    readers = [tf.train.load_checkpoint(directory) for directory in (one, other)]
    names = [set(reader.get_variable_to_shape_map()) for reader in readers]
    values = {
        name: [np.asarray(reader.get_tensor(name)).tobytes() for reader in readers] for name in names[0] & names[1]
    }
    different = (names[0] ^ names[1]) | {name for name, (ours, theirs) in values.items() if ours != theirs}
    return sorted(different), len(values)


def main(_):
    with tempfile.TemporaryDirectory() as directory:
        records, unbroken, killed = (os.path.join(directory, name) for name in ("records", "unbroken", "killed"))
        make_records(records)
        if start(records, unbroken, FLAGS.steps).wait():
            sys.exit("the unbroken run failed")
        for number, (step, unfinished) in enumerate(kill_and_resume(records, killed, FLAGS.steps, FLAGS.kills), 1):
            print(
                f"kill {number:2d}: step {step:4d} on disk; unfinished: {', '.join(unfinished) or 'nothing'}",
                flush=True,
            )
        different, count = differences(unbroken, killed)
        print(f"step {FLAGS.steps}: {count} values, different: {', '.join(different) or 'none'}")
        sys.exit(bool(different))


if __name__ == "__main__":
    flags.DEFINE_integer("kills", 20, "How often to kill the training.", lower_bound=1)
    flags.DEFINE_integer("steps", 2000, "Steps of the training.", lower_bound=10)
    run(main)
