"""Work spread over processes."""

import concurrent.futures
import multiprocessing

from common.errors import InputError


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
    executor = concurrent.futures.ProcessPoolExecutor(min(num_processes, max(1, len(items))), mp_context=context)
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
