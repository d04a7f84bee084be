"""Draws the losses of a pre-training run from its TensorBoard events.

    python -m reproduction.losses OUTPUT_DIR PICTURE

writes PICTURE.png and PICTURE.svg. Needs matplotlib: pip install -e '.[reports]'.
"""

import pathlib

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import tensorflow as tf

from common import errors
from reproduction import figures

TITLES = {
    "masked_lm_loss": "Masked language model loss",
    "next_sentence_loss": "Next sentence loss",
    "learning_rate": "Learning rate",
}
SMOOTHING = 10  # the running mean takes this part of the points


def main(argv):
    if len(argv) != 3:
        raise errors.InputError(f"{len(argv) - 1} arguments; expected OUTPUT_DIR PICTURE")
    print(*draw(argv[1], argv[2]), sep="\n")


def draw(directory, path_stem):
    """Draws the losses and the learning rate of a run; returns the paths of the pictures."""
    scalars = read_scalars(directory)
    if lacking := [name for name in TITLES if name not in scalars]:
        raise errors.InputError(f"{directory}: no TensorBoard events with {', '.join(lacking)}; expected a run's")
    lines = []
    for name, title in TITLES.items():
        steps, values = zip(*sorted(scalars[name].items()), strict=True)
        lines.append((title, steps, values, running_mean(values) if name.endswith("loss") else None))
    return figures.panels(path_stem, lines, "step")


def read_scalars(directory):
    """All scalars of a run: a dict from name to a dict from step to value, later events first."""
    scalars = {}
    for path in sorted(pathlib.Path(directory).glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                scalars.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return scalars


def running_mean(values):
    width = max(1, len(values) // SMOOTHING)
    return [sum(values[max(0, i - width + 1) : i + 1]) / min(i + 1, width) for i in range(len(values))]


if __name__ == "__main__":
    errors.run(main)
