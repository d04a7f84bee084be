"""Work spread over processes."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time

from common.errors import InputError


class Processes:
    """Processes of this machine, as workers."""

    def __init__(self, number):
        self.number = number

    def map(self, function, items):
        """Yields `function(item)` for each of `items`, as they are done; see `map_processes`."""
        return map_processes(function, items, self.number)


def map_processes(function, items, num_processes):
    """Yields `function(item)` for each of `items`, as they are done.

    With one process, in this one and in order. Function, items and results must be fit for pickling otherwise.

    Raises:
      InputError: as `function`; what has not begun by then is not begun. Or a process was killed.
    """
    if num_processes == 1:
        yield from map(function, items)
        return
    items = list(items)
    # TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(
        min(num_processes, max(1, len(items))), context, initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        futures = [executor.submit(function, item) for item in items]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except concurrent.futures.process.BrokenProcessPool:
        raise InputError(
            "a worker process was killed, probably for want of memory; expected fewer --num_processes or smaller shards"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _end_with(parent):
    """Ends this process soon after its parent, which may be killed without a word to it; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
