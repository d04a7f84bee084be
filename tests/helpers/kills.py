"""Programs that are killed: in this process where the moment can be forced, or a process by SIGKILL."""

import time

from tests.helpers import programs


class KilledError(BaseException):
    """Ends a program where it stands; nothing that handles errors takes it for one."""


def kill_at(monkeypatch, owner, name, call, after=False):
    """Makes a function raise `KilledError` the n-th time that it is called.

    Args:
      monkeypatch: undoes it.
      owner: the module or class whose function it is.
      name: of the function.
      call: the number of the call, from 1.
      after: do all that the function does first.
    """
    real, calls = getattr(owner, name), []

    def function(*arguments, **options):
        calls.append(name)
        if len(calls) == call and not after:
            raise KilledError
        result = real(*arguments, **options)
        if len(calls) == call:
            raise KilledError
        return result

    monkeypatch.setattr(owner, name, function)


def kill_process(command, path):
    """Starts `python COMMAND` and kills it when there is something at a path, or after two minutes."""
    process = programs.start_process(*command, stdout=None, stderr=None)
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
