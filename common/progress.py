"""Progress bars, on standard error."""

import sys

from tqdm import tqdm


def progress(title, total=None, initial=0, unit="step", disable=False):
    """A `tqdm` bar. Where nobody watches (a log file), it prints a line now and then instead of many a second."""
    return tqdm(
        desc=title,
        total=total,
        initial=initial,
        unit=unit,
        disable=disable,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 20,
        smoothing=0.1,
    )
