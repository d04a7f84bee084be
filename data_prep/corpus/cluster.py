"""Work spread over the workers of a Dask cluster.

Workers run `dask worker` in an environment with this repository, one thread a process, and see the files, the output
directory and the current one under the paths of the command; nothing else is shared. A task whose worker is lost is
done by another.
"""

import contextlib
import functools
import logging
import os
import uuid

from dask.distributed import Client, KilledWorker, as_completed

from common.errors import InputError
from common.files import make_directory

CONNECT_SECONDS = 60
WORKERS_SECONDS = 300  # until the first comes


@contextlib.contextmanager
def connect(scheduler):
    """Gives a `Cluster` by the address of its scheduler (`tcp://host:8786`) or the file that names it.

    Raises:
      InputError: no scheduler there, or no worker; the scheduler was lost while it worked.
    """
    told = {"address": scheduler} if "://" in scheduler else {"scheduler_file": scheduler}
    if "scheduler_file" in told and not os.path.exists(scheduler):
        raise InputError(f"--scheduler={scheduler}: no such file; expected it, or an address as tcp://host:8786")
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            # What ends the work is raised here; the workers' logs have the rest.
            logging.getLogger(name).handlers = [logging.NullHandler()]
            logging.getLogger(name).propagate = False
    try:
        client = Client(**told, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler={scheduler}: no Dask scheduler answers ({error})") from None
    try:
        yield Cluster(client, scheduler)
    finally:
        client.close()


class Cluster:
    """The workers of a Dask cluster."""

    def __init__(self, client, scheduler):
        self._client, self._scheduler = client, scheduler
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            raise InputError(f"--scheduler={scheduler}: no worker has come; expected dask worker to run") from None
        self.number = sum(client.nthreads().values())

    def check(self, directory, versions):
        """Checks that all workers see a directory, and have the same libraries.

        Args:
          directory: must be seen by all under this path.
          versions: a function that returns them.

        Raises:
          InputError: a worker that does not.
        """
        make_directory(directory)
        path = os.path.join(os.path.abspath(directory), f".seen-by-all-{uuid.uuid4().hex}")
        with open(path, "w", encoding="utf-8"):
            pass
        try:
            sees, has = self._client.run(os.path.exists, path), self._client.run(versions)
        finally:
            os.unlink(path)
        for worker, seen in sees.items():
            if not seen:
                raise InputError(f"worker {worker}: does not see {os.path.dirname(path)}; expected shared files")
        for worker, found in has.items():
            for name, version in versions().items():
                if found[name] != version:
                    raise InputError(f"worker {worker}: has {name} {found[name]}; expected {version}, as here")

    def map(self, function, items):
        """Yields `function(item)` for each of `items`, as they are done.

        Raises:
          InputError: as `function`; a task lost one worker after the other, or the scheduler was lost.
        """
        futures = self._client.map(functools.partial(_call_there, os.getcwd(), function), list(items), pure=False)
        try:
            for future in as_completed(futures):
                if future.status == "cancelled" or self._client.status != "running":
                    raise InputError(
                        f"--scheduler={self._scheduler}: the scheduler was lost; the same command goes on with another"
                    )
                result, error = future.result()
                if error:
                    raise InputError(error)
                yield result
        except KilledWorker as error:
            raise InputError(
                f"several workers were lost, one after the other, by the same task ({error}); expected more memory a "
                "worker, or more shards"
            ) from None
        finally:
            with contextlib.suppress(Exception):  # of a scheduler that is gone
                self._client.cancel(futures)


def _call_there(directory, function, item):
    """Calls a function in the directory of the command, to which paths may be relative.

    Returns:
      (result, message): the message of an InputError, which Dask would make another exception of; or None.
    """
    os.chdir(directory)
    try:
        return function(item), None
    except InputError as error:
        return None, str(error)
