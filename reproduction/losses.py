"""Draws the losses of a pre-training run from its TensorBoard events.

    python scripts/plot_pretraining.py OUTPUT_DIR curve.png

needs matplotlib: pip install '.[plot]'.
"""

import pathlib
import sys

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import matplotlib.pyplot as plt
import tensorflow as tf

PANELS = {
    "masked_lm_loss": "Masked language model loss",
    "next_sentence_loss": "Next sentence loss",
    "learning_rate": "Learning rate",
}
SMOOTHING = 10  # the running mean takes this part of the points


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


def main(directory, picture):
    scalars = read_scalars(directory)
    figure, axes = plt.subplots(1, len(PANELS), figsize=(13, 3.6), layout="constrained")
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        steps, values = zip(*sorted(scalars[name].items()), strict=True)
        if name.endswith("loss"):
            axis.plot(steps, values, color="0.75", linewidth=0.8)
            values = running_mean(values)
        axis.plot(steps, values, color="tab:blue", linewidth=1.8)
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
