"""Where annotated documents go: all to one file, or those of each input to a file of their own."""

import contextlib
import dataclasses
import glob
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from common.errors import InputError
from common.files import atomic_write, check_output_file, make_directory, sha256
from common.inputs import check_keys, read_lines
from data_prep.formats import table

STANDARD = "-"  # standard output
MAX_NAME_BYTES = 240  # of 255, some of which are for what a file is called until it is whole
DONE_FILE = "done.jsonl"  # of a directory: what was asked for, then a line for each input that is done


def standard_output() -> TextIO:
    """Standard output, in UTF-8 whatever the locale, and with line ends as they are written.

    Raises:
      InputError: it is closed.
    """
    if sys.stdout is None:
        raise InputError("standard output: closed; expected it open, --output_file or --output_dir")
    # What it is by default, a TextIOWrapper, can be configured.
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    return sys.stdout


def check_file(path: str, output_format: str, input_files: Sequence[str]) -> None:
    """Raises `InputError` if the output of all inputs cannot be written there, or would replace one of them."""
    if output_format not in table.DIRECTORIES:
        check_output_file(path, input_files)
    elif os.path.exists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise InputError(f"{path}: there already; expected the path of something new, or --output_dir")


@contextlib.contextmanager
def one_file(path: str, output_format: str, models: Sequence[str], lost: Counter[str]) -> Iterator[Any]:
    """Opens a writer for the documents of all inputs.

    Args:
      path: of the file, which appears when all is done, or `STANDARD`; for brat of a directory.
      output_format: one of `table.OUTPUT_FORMATS`.
      models: names of the models that look for entities.
      lost: as for `table.open_writer`.

    Raises:
      InputError: it cannot be written.
    """
    if path == STANDARD:
        with table.open_writer(output_format, standard_output(), models, lost) as writer:
            yield writer
        return
    with _open(path, output_format, models, lost) as writer:
        yield writer


@contextlib.contextmanager
def _open(path, output_format, models, lost):
    """Opens a writer for a file, or for a directory if it is brat's, that appears when it is whole."""
    if output_format in table.DIRECTORIES:
        temporary = f"{path}.tmp{os.getpid()}"
        make_directory(temporary)
        try:
            with table.open_writer(output_format, temporary, models, lost) as writer:
                yield writer
            shutil.rmtree(path, ignore_errors=True)  # empty, or of a run that was killed before it noted this input
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    else:
        with atomic_write(path) as file, table.open_writer(output_format, file, models, lost) as writer:
            yield writer


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory with a file for each input, which a run that was stopped goes on with.

    One process at a time writes there: the program holds it by `common.files.locked`.
    """

    path: str
    output_format: str
    models: list[str]
    root: str | None  # the directory that all inputs are in; None: an output is called by its input's last name

    def usable(self, paths: Iterable[str], left_out: Callable[[str], None]) -> list[str]:
        """The inputs that can have an output here; `left_out` is called with a message for each whose name is too long.

        Raises:
          InputError: two inputs would have the same output, or one that of the list of what is done.
        """
        inputs: dict[str, str] = {}
        extension = table.FORMATS[self.output_format].extension
        for path in paths:
            name = self.name(path)
            if name in inputs:
                raise InputError(
                    f"{self.path}: {inputs[name]} and {path} would both be {name} there; expected one directory as "
                    "--input, or files with different names"
                )
            if f"{name}{extension}" == DONE_FILE:
                raise InputError(f"{path}: its output would be {DONE_FILE}, which is taken; expected another name")
            size = len(os.fsencode(os.path.basename(name) + extension))
            if size > MAX_NAME_BYTES:
                left_out(f"{path}: the name of its output would have {size} bytes; expected at most {MAX_NAME_BYTES}")
            else:
                inputs[name] = path
        return list(inputs.values())

    def begin(self, settings: dict[str, str]) -> None:
        """Makes the directory.

        Args:
          settings: what the outputs depend on, a dict of strings.

        Raises:
          InputError: it cannot be written, or has the outputs of other settings.
        """
        make_directory(self.path)
        done = os.path.join(self.path, DONE_FILE)
        if not os.path.exists(done):
            with atomic_write(done) as file:
                file.write(json.dumps(settings) + "\n")
        elif (before := self._lines()[0]) != settings:
            names = dict.fromkeys([*settings, *before])
            name = next(name for name in names if before.get(name) != settings.get(name))
            raise InputError(
                f"{self.path}: has annotations made with {name}: {before.get(name, 'none')}, now it is "
                f"{settings.get(name, 'none')}; expected the same, or another --output_dir"
            )

    def done(self, paths: Iterable[str]) -> set[str]:
        """Those of the inputs that are done and have not changed since."""
        known = {line["input"]: line.get("sha256") for line in self._lines()[1:] if isinstance(line.get("input"), str)}
        return {path for path in paths if (digest := known.get(self.name(path))) and digest == _digest(path)}

    def _lines(self):
        path = os.path.join(self.path, DONE_FILE)
        lines: list[dict[str, Any]] = []
        for number, line in read_lines(path):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):  # the last one, if the run was killed while it wrote
                if lines:
                    continue
                raise InputError(f"{path}, line {number}: not JSON; expected the settings of a run") from None
            check_keys(value, {}, f"{path}, line {number}")
            lines.append(value)
        if not lines:
            raise InputError(f"{path}: empty; expected the settings of a run")
        return lines

    def name(self, path: str) -> str:
        """What an input is called here."""
        if path == STANDARD:
            return "standard_input"
        return os.path.relpath(path, self.root) if self.root else os.path.basename(path)

    @contextlib.contextmanager
    def open(self, path: str, lost: Counter[str]) -> Iterator[Any]:
        """Opens a writer for the documents of an input; what it writes appears when all of them are written."""
        target = os.path.join(self.path, self.name(path)) + table.FORMATS[self.output_format].extension
        make_directory(os.path.dirname(target))
        for left in glob.glob(f"{glob.escape(target)}.tmp*"):  # by a run that was killed
            shutil.rmtree(left) if os.path.isdir(left) else os.remove(left)
        with _open(target, self.output_format, self.models, lost) as writer:
            yield writer

    def finish(self, path: str) -> None:
        """Notes that an input is done."""
        with open(os.path.join(self.path, DONE_FILE), "a", encoding="utf-8") as file:
            file.write(json.dumps({"input": self.name(path), "sha256": _digest(path)}) + "\n")


def _digest(path):
    """The SHA-256 of an input; "" of one that has none: standard input, a pipe, a file that is not there."""
    return sha256(path) if os.path.isfile(path) else ""
