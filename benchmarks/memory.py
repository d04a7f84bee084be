"""What `--recompute_grad` and `--gradient_accumulation_steps` save and cost, and how long a checkpoint takes.

    python -m benchmarks.memory [--input_file=shard_512.tfrecord]

Trains BERT-base from random weights, 4 sequences of 512 with dropout, each way in a process of its own: on random
tokens without padding, or on a batch of real records, which `data_prep.create_pretraining_data` wrote with 77
predictions; of the latter also with padding computed. Printed for each: the median seconds of a step, and the memory
that the steps needed at most, beyond weights and Adam's slots (1.3 GB), as the operating system counts it; then how
many seconds a checkpoint holds up the steps, and how many pass until it is on the disk.

Expected (2 cores with AVX-512, 10 minutes): all kept 8.4 s and 4.9 GB, in four parts 8.8 s and 3.5 GB, recomputed 10.6
s and 2.3 GB; with XLA, 10.8 s and 5.2 GB, 15.8 s and 2.6 GB. The gradient alone is 0.4 GB. A checkpoint of 1.3 GB holds
up the steps for 0.1 s and is on the disk after 6.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from benchmarks.pretraining_step import BERT_BASE_CASED, Shape, Training
from common import errors
from data_prep.records import records

FLAGS = flags.FLAGS
WAYS = {
    "all kept": (),
    "all kept, padding computed": ("--nounpad",),
    "--gradient_accumulation_steps=4": ("--parts=4",),
    "--recompute_grad": ("--recompute_grad",),
    "all kept, XLA": ("--xla",),
    "--recompute_grad, XLA": ("--recompute_grad", "--xla"),
}


def used_memory(peak=False):
    """Gigabytes of this process, now or at most so far."""
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) / 1e6 for line in file if line.startswith("VmRSS"))


def first_batch(path, shape):
    """A batch of a TFRecord file: a dict of arrays."""
    features = records.pretraining_features(shape.seq_length, shape.predictions, BERT_BASE_CASED.vocab_size)
    records.check_files([path], features)
    data = [records.RecordFile(path, features, None)]
    batch = next(iter(records.training_batches(data, shape.batch_size, seed=1)))
    return {name: x.numpy() for name, x in batch.items()}


def measure(shape, turns, directory, **options):
    """Trains in this process, and prints what was measured."""
    training = Training(BERT_BASE_CASED, shape, directory, **options)
    before = used_memory()
    training.step()  # traces and compiles
    seconds = statistics.median(training.step() for _ in range(turns))
    memory = used_memory(peak=True) - before
    start = time.perf_counter()
    training.trainer.save(1, shape.batch_size)
    copied = time.perf_counter() - start
    training.trainer.writer.wait()
    written = time.perf_counter() - start
    print(f"{seconds:6.2f} s a step {memory:6.1f} GB   checkpoint: held up {copied:.2f} s, on disk in {written:.2f} s")


def main(_):
    if FLAGS.measure:
        with tempfile.TemporaryDirectory() as directory:
            options = {"accumulation_steps": FLAGS.parts, "recompute_grad": FLAGS.recompute_grad, "xla": FLAGS.xla}
            shape = Shape(FLAGS.batch_size, 512, 77)
            features = first_batch(FLAGS.input_file, shape) if FLAGS.input_file else None
            measure(shape, FLAGS.turns, directory, features=features, unpad=FLAGS.unpad, **options)
        return
    for name, values in WAYS.items():
        print(f"{name:34s}", end="", flush=True)
        sizes = [f"--batch_size={FLAGS.batch_size}", f"--turns={FLAGS.turns}"]
        sizes += [f"--input_file={FLAGS.input_file}"] if FLAGS.input_file else []
        subprocess.run([sys.executable, "-m", "benchmarks.memory", "--measure", *sizes, *values], check=True)


if __name__ == "__main__":
    flags.DEFINE_string("input_file", None, "TFRecord file to take the batch from.")
    flags.DEFINE_bool("unpad", True, "Whether the process to be measured computes on real tokens alone.")
    flags.DEFINE_integer("batch_size", 4, "Sequences of a step.", lower_bound=1)
    flags.DEFINE_integer("turns", 3, "Steps of each kind.", lower_bound=1)
    flags.DEFINE_bool("measure", False, "Whether this process was started to be measured.")
    flags.DEFINE_integer("parts", 1, "--gradient_accumulation_steps of the process to be measured.")
    flags.DEFINE_bool("recompute_grad", False, "The same of that process.")
    flags.DEFINE_bool("xla", False, "The same of that process.")
    errors.run(main)
