"""Imports TensorFlow without the notes that its C++ side prints at start-up. Programs import this first.

Ctrl-C ends a program without a word from here on until `common.errors.run` takes over: imports take seconds.

The notes (missing CUDA libraries, oneDNN's rounding) are written before any logging level is in force, so
standard error is closed to them while the library loads. What goes wrong is raised as an exception.
"""

import os
import signal
import threading

from common.errors import keep_standard_error

keep_standard_error()
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow itself uses oneDNN where a CPU has AVX-512 with VNNI; it also pays on others: `docs/performance.md`.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import keras  # noqa: F401
    import tensorflow  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
