"""common/errors.py: how a program ends: bad input, a stop, Ctrl-C, flags that are no numbers, closed streams."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
from absl import flags
from common.errors import InputError, StoppedError, run
flags.DEFINE_float("rate", 1.0, "A number.")
def main(_):
    {body}
run(main)
"""


def start(repository, body, *arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": repository} | options
    return subprocess.Popen([sys.executable, "-c", PROGRAM.format(body=body), *arguments], **options)


def finish(repository, body, *arguments):
    process = start(repository, body, *arguments)
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("raise InputError('x.txt: empty; expected text')", 1, "error: x.txt: empty; expected text"),
        ("raise StoppedError('stopped at step 3')", 75, "stopped at step 3"),
        ("raise StoppedError('the chief goes on', 0)", 0, "the chief goes on"),
        ("open('/no/such/file')", 1, "error: /no/such/file: No such file or directory"),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", 130, "stopped by SIGINT"),
    ],
)
def test_every_end_has_a_status_and_one_line(repository, body, status, message):
    returncode, _, errors = finish(repository, body)
    assert (returncode, errors.count("\n")) == (status, 1)
    assert message in errors


def test_ctrl_c_that_a_library_wraps_is_ctrl_c(repository):
    body = "\n    ".join(
        ["try: os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", "except KeyboardInterrupt: raise RuntimeError()"]
    )
    assert finish(repository, body)[0] == 130


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_numbers_are_finite(repository, value):
    returncode, _, errors = finish(repository, "print('began')", f"--rate={value}")
    assert returncode == 1
    assert errors.startswith("error: --rate=")
    assert errors.endswith(": expected a finite number\n")


def test_a_flag_file_that_is_not_utf8_is_named(repository, tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"--rate=1\n# \xff\n")
    returncode, _, errors = finish(repository, "print('began')", f"--flagfile={tmp_path}/a.cfg")
    assert returncode == 1
    assert errors == f"error: --flagfile={tmp_path}/a.cfg: invalid UTF-8 (byte 12), in it or in a file that it names\n"


def test_work_is_done_with_standard_error_closed(repository, tmp_path):
    body = f"open(r'{tmp_path}/out', 'w').write('done'); sys.stderr.write('a word'); os.write(2, b'another')"
    process = start(repository, body, stderr=None, preexec_fn=lambda: __import__("os").close(2))
    assert process.wait(60) == 0
    assert (tmp_path / "out").read_text() == "done"


def test_ctrl_c_while_tensorflow_is_imported_is_no_traceback(repository):
    code = "import common.quiet_tensorflow, sys; sys.modules['tensorflow']; print('imported', flush=True)"
    code = f"import builtins, os, signal; real = builtins.__import__\n{IMPORT}\n{code}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (128 + signal.SIGINT, "", "")


IMPORT = """
def interrupted(name, *rest, **more):
    if name == "tensorflow":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest, **more)
builtins.__import__ = interrupted
"""
