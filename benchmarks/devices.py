"""What distribution costs: two logical CPU devices on two cores against one device on both.

    python -m benchmarks.devices

Trains with the step of `run_pretraining.py` from random weights on random wordpieces, at the same global batch: a small
BERT (4 layers x 256) and BERT-base cased, sequence length 128, dropout on, without XLA. One process trains on one
device, another on two under `mirrored_cpus`, in turns, a step each; then again, with one thread for each operation on
the two. (Logical devices share one pool of threads: by default both cut each operation into parts for all cores, and
wait for each other's.) Printed: the median sequences a second on two and on one, and the ratio. Takes 16 GB of memory.

Expected (AVX-512, 11 minutes), of the sequences a second on one device: BERT-mini 0.96, with a thread for each
operation 1.00; BERT-base 0.92 (2.11 against 2.30), 0.96.
"""

import contextlib
import dataclasses
import sys
import tempfile

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import tensorflow as tf
from absl import flags

from benchmarks.pretraining_step import BERT_BASE_CASED, Shape, SteppingProcess, Training, take_turns
from common import errors
from modeling import distribution

FLAGS = flags.FLAGS

# BERT-mini of Turc et al. 2019.
BERT_MINI = dataclasses.replace(
    BERT_BASE_CASED, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
)
MODELS = {"BERT-mini": (BERT_MINI, 5), "BERT-base": (BERT_BASE_CASED, 1)}  # and the steps for one of --turns


def set_up(devices, threads):
    """The strategy for so many logical CPU devices, and so many threads an operation, 0 for TensorFlow's default."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    if devices == 1:
        return tf.distribute.get_strategy()
    tf.get_logger().setLevel("ERROR")  # nothing on the devices being logical ones
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices
    )
    return distribution.mirrored_cpus(tf.config.list_logical_devices("CPU"))


def serve(name, batch_size, devices, threads):
    """Trains a step for each line of standard input and prints its seconds."""
    with tempfile.TemporaryDirectory() as directory, set_up(devices, threads).scope():
        training = Training(MODELS[name][0], Shape(batch_size, 128, 20), directory)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(training.step(), flush=True)


def compare(name, batch_size, turns):
    """Prints the speed of a model on two devices, in each way, beside that on one."""
    for threads, title in ((0, "two devices"), (1, "two devices, one thread an operation")):
        with contextlib.ExitStack() as stack:
            timers = {}
            for devices in (1, 2):
                values = (f"--devices={devices}", f"--threads={threads if devices == 2 else 0}")
                command = ("-m", "benchmarks.devices", f"--model={name}", f"--batch_size={batch_size}", *values)
                timers[devices] = stack.enter_context(SteppingProcess(sys.executable, *command)).step
            medians = take_turns(timers, turns)
        one, two = (batch_size / medians[devices] for devices in (1, 2))
        print(f"{name}, {batch_size} x 128, {title}: {two:.2f} sequences/s, one {one:.2f}: {two / one:.2f}", flush=True)


def main(_):
    if FLAGS.devices:
        serve(FLAGS.model, FLAGS.batch_size, FLAGS.devices, FLAGS.threads)
        return
    for name, (_, steps) in MODELS.items():
        compare(name, FLAGS.batch_size, FLAGS.turns * steps)


if __name__ == "__main__":
    flags.DEFINE_integer("batch_size", 16, "Sequences of a step, of all devices together.", lower_bound=2)
    flags.DEFINE_integer("turns", 5, "Steps of BERT-base in each way.", lower_bound=1)
    flags.DEFINE_enum("model", "BERT-base", list(MODELS), "The model of a process that was started to be measured.")
    flags.DEFINE_integer("devices", 0, "The number of its devices.")
    flags.DEFINE_integer("threads", 0, "The threads of one of its operations.")
    errors.run(main)
