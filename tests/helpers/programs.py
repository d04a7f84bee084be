"""Runs the programs of the repository: in this process, where TensorFlow is loaded, or in one of their own."""

import contextlib
import copy
import dataclasses
import io
import logging
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback

from absl import app, flags
from absl import logging as absl_logging
from absl.testing import flagsaver

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

app.define_help_flags()  # which absl does once a process, before the first program's own


@dataclasses.dataclass(frozen=True)
class Finished:
    """What is left of a program: like `subprocess.CompletedProcess`, output as text."""

    returncode: int
    stdout: str
    stderr: str


def run_process(*arguments, **options):
    """Runs `python ARGUMENTS` in the root of the checkout; options are those of `subprocess.run`."""
    options = {"capture_output": True, "text": True, "cwd": REPOSITORY} | options
    return subprocess.run([sys.executable, *map(str, arguments)], check=False, **options)


def start_process(*arguments, **options):
    """Starts `python ARGUMENTS` in the root of the checkout; options are those of `subprocess.Popen`."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": REPOSITORY} | options
    return subprocess.Popen([sys.executable, *map(str, arguments)], **options)


def run_here(*arguments, input="", cwd=REPOSITORY, env=None, errors="strict"):
    """Does what `python ARGUMENTS` does, in this process; what programs change in it is as before afterwards.

    Args:
      arguments: a script and its arguments; or `-m`, a module and its arguments.
      input: text on standard input.
      cwd: the working directory.
      env: environment variables to add, a dict.
      errors: what to do with output that is not UTF-8, as for `bytes.decode`.

    Returns:
      `Finished`.
    """
    program, *rest = map(str, arguments)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_standard_streams(input, errors))
        for context in (_arguments([program, *rest]), contextlib.chdir(cwd), _environment(env or {}), _flags()):
            stack.enter_context(context)
        for context in (_logging(), _signals(), _tensorflow()):
            stack.enter_context(context)
        status = _status_of(lambda: _run(program, rest))
        sys.stdout.flush()
        sys.stderr.flush()
    return Finished(status, *output)


def check_error(result, *parts):
    """A program has ended with status 1 and, after any log lines, one line of error with these parts; no traceback."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    for part in parts:
        assert str(part) in line


@contextlib.contextmanager
def flags_of(script):
    """Yields the flags that a script, a module, defines: a `FlagValues` of its own, not parsed."""
    with _flags():
        script.define_flags()
        yield copy.deepcopy(flags.FLAGS)


def parse_flags(script, arguments):
    """What a script, a module, makes of its arguments: a dict from flag to value, or with the `error`."""
    with flags_of(script) as values:
        try:
            rest = values([script.__name__, *arguments])
        except flags.Error as error:
            return {"error": str(error)}
        assert len(rest) == 1, rest
        return {name: values[name].value for name in values}


def _run(program, rest):
    if program == "-m":
        sys.argv = rest  # runpy puts the module's path in the place of its name
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        path = REPOSITORY / program
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")


def _status_of(program):
    """The exit status of a program that is a function, as the interpreter sees to it."""
    try:
        program()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _standard_streams(text, errors):
    """Files in the place of the descriptors 0 to 2, for child processes and C++ as well.

    Yields a list that has, after the block, what was written to standard output and standard error.
    """
    written, streams = [], (sys.stdin, sys.stdout, sys.stderr)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(text.encode())
        files[0].seek(0)
        for stream in streams[1:]:
            stream.flush()
        saved = [os.dup(number) for number in range(3)]
        try:
            for number, file in enumerate(files):
                os.dup2(file.fileno(), number)
            with (
                open(0, encoding="utf-8", closefd=False) as sys.stdin,
                open(1, "w", encoding="utf-8", closefd=False) as sys.stdout,
                open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False) as sys.stderr,
            ):
                yield written
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams
            for number, descriptor in enumerate(saved):
                os.dup2(descriptor, number)
                os.close(descriptor)
        for file in files[1:]:
            file.seek(0)
            written.append(io.TextIOWrapper(file, encoding="utf-8", errors=errors).read())


@contextlib.contextmanager
def _arguments(argv):
    before, path = sys.argv, list(sys.path)
    sys.argv = argv
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before, path


@contextlib.contextmanager
def _environment(changes):
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _flags():
    """Takes back the program's own flags, and values of those of absl."""
    before, parsed = flagsaver.save_flag_values(), flags.FLAGS.is_parsed()
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - set(before):
            if flags.FLAGS.find_module_defining_flag(name).partition(".")[0] not in ("absl", "tensorflow"):
                delattr(flags.FLAGS, name)
        flagsaver.restore_flag_values(flagsaver.save_flag_values() | before)
        if not parsed:
            flags.FLAGS.unparse_flags()


@contextlib.contextmanager
def _logging():
    """The log goes to standard error, as absl sends it there."""
    root, handler = logging.getLogger(), absl_logging.get_absl_handler().python_handler
    handlers, level, stream, emit = list(root.handlers), root.level, handler.stream, handler.emit
    absl_logging.use_absl_handler()
    absl_logging.set_verbosity(absl_logging.INFO)  # as `app.run` does the first time
    handler.stream = sys.stderr
    try:
        yield
    finally:
        handler.stream, handler.emit = stream, emit
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _tensorflow():
    """Takes back the precision and the strategy that a program has chosen."""
    try:
        yield
    finally:
        if "tensorflow" in sys.modules and "keras" in sys.modules:
            import keras
            import tensorflow as tf

            keras.config.set_dtype_policy("float32")
            tf.distribute.experimental_set_strategy(None)
