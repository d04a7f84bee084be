"""What distribution costs: two logical CPU devices on two cores against one device on both.

    python -m benchmarks.devices

Trains with the step of `run_pretraining.py` from random weights on random pieces, at the same global batch: a small
BERT (4 layers x 256) and BERT-base cased, sequence length 128, dropout on, without XLA. One process trains on one
device, another on two under `mirrored_cpus`, in turns, a step each. Printed: the median sequences a second of each, and
the ratio.

Expected: TODO
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
MODELS = {"BERT-mini": (BERT_MINI, 5), "BERT-base": (BERT_BASE_CASED, 1)}  # the config, and steps a turn


def set_up(devices):
    """The strategy for so many logical CPU devices."""
    if devices == 1:
        return tf.distribute.get_strategy()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices
    )
    return distribution.mirrored_cpus(tf.config.list_logical_devices("CPU"))


def serve(name, devices, batch_size):
    """Trains a step for each line of standard input and prints its seconds."""
    with tempfile.TemporaryDirectory() as directory, set_up(devices).scope():
        training = Training(MODELS[name][0], Shape(batch_size, 128, 20), directory)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(training.step(), flush=True)


def compare(name, batch_size, turns):
    """Prints the speed of a model on one device and on two."""
    with contextlib.ExitStack() as stack:
        timers = {}
        for devices in (1, 2):
            arguments = (f"--model={name}", f"--devices={devices}", f"--batch_size={batch_size}")
            process = SteppingProcess(sys.executable, "-m", "benchmarks.devices", *arguments)
            timers[devices] = stack.enter_context(process).step
        medians = take_turns(timers, turns)
    speeds = {devices: batch_size / seconds for devices, seconds in medians.items()}
    print(
        f"{name}, {batch_size} x 128: one device {speeds[1]:.2f} sequences/s, two devices {speeds[2]:.2f}: "
        f"{speeds[2] / speeds[1]:.2f} of it",
        flush=True,
    )


def main(_):
    if FLAGS.devices:
        serve(FLAGS.model, FLAGS.devices, FLAGS.batch_size)
        return
    for name, (_, steps) in MODELS.items():
        compare(name, FLAGS.batch_size, FLAGS.turns * steps)


if __name__ == "__main__":
    flags.DEFINE_integer("batch_size", 16, "Sequences of a step, of both devices together.", lower_bound=2)
    flags.DEFINE_integer("turns", 5, "Steps of BERT-base on each number of devices.", lower_bound=1)
    flags.DEFINE_enum("model", "BERT-base", list(MODELS), "The model of a process that was started to be measured.")
    flags.DEFINE_integer("devices", 0, "The number of its devices.")
    errors.run(main)
