"""Errors, text files and flags that programs share."""

import errno
import functools
import os
import re
import resource
import subprocess
import sys
import types

import pytest

from common import errors, files, inputs
from common.errors import InputError
from common.flags import check_tpu_flags
from common.parallel import map_processes


def test_lines_end_at_line_feeds_only(tmp_path):
    path = tmp_path / "x"
    path.write_bytes("a\u2028b\x0bc\r\n\u00e9\rd\n\nlast".encode())
    assert list(inputs.read_lines(path)) == [(1, "a\u2028b\x0bc"), (2, "\u00e9\rd"), (3, ""), (4, "last")]


def test_invalid_utf8_is_placed(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"good\nba\xff\n")
    with pytest.raises(InputError) as error:
        list(inputs.read_lines(path))
    assert str(error.value) == f"{path}, line 2: invalid UTF-8 (byte 3 of the line); expected UTF-8 text"


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    with files.atomic_write(path) as file:
        file.write("old")

    def write_and_fail():
        with files.atomic_write(path) as file:
            file.write("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_pipes_and_links_are_written_to_and_not_replaced(tmp_path):
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_lines(pipe, ["a"])
        assert os.read(descriptor, 9) == b"a\n"
    finally:
        os.close(descriptor)
    assert pipe.is_fifo()
    files.write_lines(link, ["b"])
    assert link.is_symlink()
    assert target.read_text() == "b\n"


def test_patterns_keep_their_order(tmp_path):
    for name in ("b1", "b2", "a"):
        (tmp_path / name).write_text("")
    (tmp_path / "b3").mkdir()
    paths = inputs.expand_patterns(f"{tmp_path}/b*, {tmp_path}/a")
    assert [os.path.basename(path) for path in paths] == ["b1", "b2", "a"]
    for nothing in (f"{tmp_path}/c*", f"{tmp_path}/a,{tmp_path}/b4", ""):
        with pytest.raises(InputError, match="expected paths or patterns"):
            inputs.expand_patterns(nothing)
    (tmp_path / "c[1]").write_text("")
    assert inputs.expand_patterns(f"{tmp_path}/c[1]") == [f"{tmp_path}/c[1]"]


def test_a_full_disk_is_said_plainly():
    error = OSError(errno.ENOSPC, "No space left on device", "out/x")
    assert errors.describe_os_error(error).startswith("no space left on the disk of out/x")


def test_flags_of_old_commands_are_accepted_and_what_cannot_be_done_is_refused():
    old = {"use_tpu": False, "tpu_name": None, "tpu_zone": None, "gcp_project": None, "master": None}
    check_tpu_flags(types.SimpleNamespace(**old))
    with pytest.raises(InputError, match="--use_tpu=true"):
        check_tpu_flags(types.SimpleNamespace(**old | {"use_tpu": True}))
    with pytest.raises(InputError, match="--master=grpc://x"):
        check_tpu_flags(types.SimpleNamespace(**old | {"master": "grpc://x"}))


PARENT = """
import multiprocessing, time
from common.parallel import map_processes
for _ in map_processes(time.sleep, [0, 600, 600], 2):
    print(len(multiprocessing.active_children()), "workers", flush=True)
"""


def test_worker_processes_end_with_a_killed_parent(repository):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=repository, stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "2 workers\n"
    parent.kill()
    parent.communicate(timeout=60)  # until nobody is left who could write


def test_what_is_wrong_in_a_worker_process_is_raised_here(tmp_path):
    (tmp_path / "bad").write_bytes(b"\xff")
    read = functools.partial(inputs.read_json, expected="JSON")
    with pytest.raises(InputError, match="bad, line 1: invalid UTF-8"):
        list(map_processes(read, [str(tmp_path / "bad")] * 2, 2))


def test_a_full_disk_names_the_file(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # writes beyond fail, with another message
    try:
        with pytest.raises(OSError, match="File too large") as error:
            files.write_lines(tmp_path / "vocab.txt", ["piece"] * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert errors.describe_os_error(error.value) == f"{tmp_path}/vocab.txt: File too large"
    assert list(tmp_path.iterdir()) == []


def test_a_log_line_does_not_stand_in_the_midst_of_a_progress_bar(repository):
    program = """if True:
        import logging
        from common import errors, progress
        def main(_):
            with progress.progress("annotate", total=3) as bar:
                for _ in range(3):
                    bar.update()
                    logging.warning("careful")
        errors.run(main)
        """
    result = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    lines = result.stderr.splitlines()  # a carriage return begins a new one as well
    assert [line[0] for line in lines if "careful" in line] == ["W"] * 3
    assert [line for line in lines if line.startswith("annotate: 100%")]


def test_help_lists_flags_that_programs_share(run_script):
    result = run_script("-m", "data_prep.plain_text", "--help")
    assert "--text_format:" in result.stdout
    assert "--output_file:" in result.stdout
    assert "--logtostderr" not in result.stdout  # the library's own


def test_a_long_message_keeps_its_beginning_and_end():
    message = str(InputError(f"a.tsv, line 3: label {'9' * 5000!r}; expected O"))
    assert len(message) < 2000
    assert re.fullmatch("a.tsv, line 3: label '9+ [.]{3} 9+'; expected O", message)
    assert str(InputError("a.tsv: short")) == "a.tsv: short"


def test_a_message_is_one_line_but_for_its_details():
    assert str(InputError("question a\nb\u2028c: wrong; expected", "\n  this\n  or that")) == (
        "question a b c: wrong; expected\n  this\n  or that"
    )
