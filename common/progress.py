"""Progress bars, on standard error, and log lines beside them."""

import contextlib
import sys

from absl import logging as absl_logging
from tqdm import tqdm


def progress(title, total=None, initial=0, unit="step", disable=False):
    """A `tqdm` bar. Where nobody watches (a log file), it prints a line now and then instead of many a second.

    Bytes (the unit B) are shown as 12.3MB.
    """
    is_bytes = unit == "B"
    return tqdm(
        desc=title,
        total=total,
        initial=initial,
        unit=unit if is_bytes else f" {unit}",
        unit_scale=is_bytes,
        disable=disable,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 20,
        smoothing=0.1,
    )


def log_above_bars():
    """From now on a line of the log stands above the bars, not in the midst of one."""
    handler = absl_logging.get_absl_handler().python_handler
    emit = handler.emit

    def emit_above(record):
        with tqdm.external_write_mode(sys.stderr):
            emit(record)

    handler.emit = emit_above


@contextlib.contextmanager
def quiet_loading():
    """Without a line of log for each variable."""
    before = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        yield
    finally:
        absl_logging.set_verbosity(before)
