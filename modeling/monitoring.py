"""What a run shows while it goes on: speed, scalars for TensorBoard, profiles."""

import collections
import contextlib
import logging
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import tensorflow as tf


class Profiler:
    """Profiles some steps for TensorBoard."""

    def __init__(self, options: Any, is_chief: bool) -> None:
        steps: tuple[int, int] = options.profile_steps if options.profile_steps and is_chief else (0, 0)
        self.first, self.last = steps
        self.directory, self.is_running = options.output_dir, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def before(self, step: int) -> None:
        if step == self.first:
            tf.profiler.experimental.start(self.directory)
            self.is_running = True

    def after(self, step: int) -> None:
        if step == self.last:
            self._stop()

    def _stop(self):
        if self.is_running:
            tf.profiler.experimental.stop()
            self.is_running = False


RATES = 21  # of the last steps, of which the speed is the median


class Meter:
    """The speed of the last steps: a median, in which a step that is compiled or comes after an evaluation is lost."""

    def __init__(self, options: Any) -> None:
        self.options, self.last = options, time.perf_counter()
        self.rates: collections.deque[float] = collections.deque(maxlen=RATES)

    def update(self, tokens: float) -> dict[str, float]:
        """Takes the tokens of a step, padding left out; returns scalars."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        self.rates.append(tokens / seconds)
        rate = statistics.median(self.rates)
        scalars = {"tokens_per_second": rate}
        options = self.options
        if options.peak_flops and options.flops_per_token:
            flops = options.flops_per_token * rate
            devices = tf.distribute.get_strategy().num_replicas_in_sync
            scalars["model_flops_utilization"] = flops / (devices * options.peak_flops)
        return scalars


@contextlib.contextmanager
def summary_writer(output_dir: str, is_chief: bool) -> Iterator[None]:
    """In the block, TensorBoard's scalars go to a file in `output_dir`; of several processes, those of the chief."""
    writer = tf.summary.create_file_writer(output_dir) if is_chief else tf.summary.create_noop_writer()
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()


def write_summary(scalars: Mapping[str, float], step: int, prefix: str = "") -> None:
    for name, value in scalars.items():
        tf.summary.scalar(prefix + name, value, step=step)


def report_evaluation(metrics: Mapping[str, float], step: int) -> None:
    write_summary(metrics, step, "eval/")
    figures = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    logging.info("evaluation at step %d: %s", step, figures)
