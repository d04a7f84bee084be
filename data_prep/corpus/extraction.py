"""Files of a corpus to sentences on disk, in several processes, and of each document the version that counts.

The work directory holds, for each unit of the sources, runs of documents (see `external_sort`), and last a summary that
says that the unit is done. So a command that is killed goes on where it was, memory is that of a run of documents, and
the documents of a shard, which are those between two digests, lie together.
"""

import collections
import dataclasses
import functools
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import unicodedata

from absl import logging

from common.errors import InputError
from common.files import LOCK_FILE, atomic_write, check_output_file, locked, make_directory, sha256
from common.inputs import read_json
from common.parallel import map_processes
from common.progress import progress
from data_prep.corpus.external_sort import read_in_order, run_path, select_newest, write_runs
from data_prep.corpus.sources import PMC, Tally, check_splitter, file_size, list_units, read_entries
from data_prep.formats import pmc_articles
from data_prep.formats.document import DELETED


@dataclasses.dataclass
class Summary:
    """What was done to a unit."""

    files: list  # [path, bytes, time of last change in ns] of each
    sha256: list[str]  # of each; none but in the first part of a file
    runs: int
    left_out: dict[str, int]  # why, and how many
    bad_files: list[str]
    invalid_bytes: int


@dataclasses.dataclass
class Extracted:
    """What all units gave together."""

    inputs: list[dict]  # see `Inputs`
    left_out: dict[str, int]
    bad_files: list[str]
    runs: list[tuple[int, int]]  # numbers of units, and how many runs each has; none of bad files


# To runs


def extract(sources, directory, num_processes):
    """Extracts all files into a work directory, but what has been before.

    Args:
      sources: Sources.
      directory: the work directory.
      num_processes: how many work at a time.

    Returns:
      Extracted.

    Raises:
      InputError: a bad file, unless they are to be skipped; the directory is of other sources.
    """
    units = list_units(sources)
    for unit in units:
        check_splitter(unit, sources.reading)
    make_directory(directory)
    _check_same_sources(sources, directory)
    for path in glob.glob(os.path.join(glob.escape(directory), "*.tmp*")):
        os.unlink(path)  # of a process that was killed
    skip = sources.reading.skip_bad_files
    todo = [unit for unit in units if not _is_done(unit, directory, skip)]
    work = functools.partial(_extract_unit, reading=sources.reading, directory=directory)
    total = sum(map(_unit_bytes, units))
    with progress("reading", total=total, initial=total - sum(map(_unit_bytes, todo)), unit="B") as bar:
        for unit in map_processes(work, todo, num_processes):
            bar.update(_unit_bytes(unit))
    return collect(units, (_read_summary(unit, directory) for unit in units))


def remove_work(directory):
    """Removes a work directory; if that is cut short, what is left is not taken for one."""
    if os.path.exists(os.path.join(directory, "sources.json")):
        removed = f"{directory}.removed"
        shutil.rmtree(removed, ignore_errors=True)
        os.rename(directory, removed)
        shutil.rmtree(removed)


def _check_same_sources(sources, directory):
    path = os.path.join(directory, "sources.json")
    paths = "\n".join((*sources.pubmed_files, "", *sources.pmc_files, "", *sources.text_files))
    reading = dataclasses.asdict(sources.reading)
    del reading["skip_bad_files"]  # what is bad may be skipped the next time
    content = [hashlib.sha256(os.fsencode(paths)).hexdigest(), reading, versions(sources.reading)]
    content = json.loads(json.dumps(content))
    if not os.path.exists(path):
        others = sorted(set(os.listdir(directory)) - {LOCK_FILE})
        if others:
            raise InputError(f"{directory}: holds other files ({others[0]}, ...); expected that it is not there")
        with atomic_write(path) as file:
            json.dump(content, file)
    elif read_json(path, "the sources of a corpus", lone_surrogates=True) != content:
        raise InputError(
            f"{directory}: holds work on other files, with other flags or by other versions of libraries; expected the "
            "same command to go on with it, or that the directory is removed"
        )


def versions(reading, *packages):
    """Returns the versions of Python, Unicode, the libraries that files are read with, and other packages."""
    splitter = [] if reading.sentence_splitter == "none" else [reading.sentence_splitter]
    found = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
    for package in ("biobert-tf2", "lxml", *splitter, *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _unit_bytes(unit):
    return sum(map(file_size, unit.paths)) // unit.parts


def _stat(path):
    try:
        stat = os.stat(path)
    except OSError:  # which the reader says
        return [path, 0, 0]
    return [path, stat.st_size, stat.st_mtime_ns]


def _hash(path):
    try:
        return sha256(path)
    except OSError:
        return ""


def _summary_path(unit, directory):
    return os.path.join(directory, f"unit-{unit.number:06d}.json")


def _read_summary(unit, directory):
    return Summary(**read_json(_summary_path(unit, directory), "the summary of a unit", lone_surrogates=True))


def _is_done(unit, directory, skip_bad_files):
    """Whether a unit was extracted before, and has not changed since."""
    if not os.path.exists(_summary_path(unit, directory)):
        return False
    summary = _read_summary(unit, directory)
    return summary.files == list(map(_stat, unit.paths)) and (skip_bad_files or not summary.bad_files)


def _extract_unit(unit, reading, directory):
    """Writes the runs of a unit and its summary; returns the unit."""
    tally = Tally(reading.skip_bad_files)
    counts = collections.Counter()
    try:
        runs = write_runs(read_entries(unit, reading, tally), unit.number, directory, counts)
    except InputError as error:
        tally.bad_file(error)
        counts.clear()
        runs = 0
    with atomic_write(_summary_path(unit, directory)) as file:
        json.dump(dataclasses.asdict(summarize_unit(unit, tally, counts, runs)), file)
    return unit


def summarize_unit(unit, tally, counts, runs=0):
    """Returns the Summary of a unit; `counts` has how many entries are left out why ("": are not)."""
    left_out = {why: counts[why] for why in sorted(counts) if why not in ("", DELETED)}
    hashes = [] if unit.part else list(map(_hash, unit.paths))
    return Summary(list(map(_stat, unit.paths)), hashes, runs, left_out, tally.bad_files, tally.invalid_bytes)


def collect(units, summaries):
    """Returns the Extracted of some units.

    A bad PubMed file or text gives nothing, also if other parts of it were good. There is a message of each bad
    article, and of what is lost of an archive.
    """
    left_out, bad_files, runs, inputs = collections.Counter(), {}, [], Inputs()
    for unit, summary in zip(units, summaries, strict=True):
        left_out.update(summary.left_out)
        left_out["bytes that are not UTF-8"] += summary.invalid_bytes
        for i, message in enumerate(summary.bad_files):
            bad_files.setdefault((unit.first, unit.number, i) if unit.corpus == PMC else unit.first, message)
        runs.append((unit, summary.runs))
        for (path, size, _), digest in zip(summary.files, summary.sha256, strict=False):
            inputs.add(unit, path, size, digest)
    kept = [(unit.number, count) for unit, count in runs if unit.first not in bad_files]
    return Extracted(inputs.describe(), dict(left_out), list(bad_files.values()), kept)


class Inputs:
    """Path, size and SHA-256 of each file; of articles that are files of their own, of each directory.

    The SHA-256 of a directory is that of the lines `<SHA-256>  <name>` of its files, in the order given.
    """

    def __init__(self):
        self._files, self._directories = [], {}

    def add(self, unit, path, size, digest):
        """Adds a file of a unit."""
        if unit.corpus != PMC or pmc_articles.is_archive(path):
            self._files.append({"path": path, "size": size, "sha256": digest})
            return
        directory, name = os.path.split(path)
        entry = self._directories.setdefault(directory, {"path": directory, "files": 0, "size": 0})
        entry["files"] += 1
        entry["size"] += size
        entry.setdefault("sha256", hashlib.sha256()).update(os.fsencode(f"{digest}  {name}\n"))

    def describe(self):
        """Returns a list of dicts."""
        directories = [{**entry, "sha256": entry["sha256"].hexdigest()} for entry in self._directories.values()]
        return self._files + directories


def count_left_out(extracted, replaced, withdrawn):
    """Returns how much is left out, a dict from the reason; warns of each bad file."""
    for message in extracted.bad_files:
        logging.warning("skipped: %s", message)
    counts = {
        **extracted.left_out,
        "replaced by a newer version": replaced,
        "withdrawn": withdrawn,
        "bad files": len(extracted.bad_files),
    }
    return {why: counts[why] for why in sorted(counts) if counts[why]}


def run_paths(extracted, directory):
    """Returns what the files of each run begin with, in order."""
    return [run_path(directory, number, run) for number, runs in extracted.runs for run in range(runs)]


# To a text file


def extract_to_file(sources, output_file, num_processes):
    """Extracts all files into one text file; what was done so far stays in `<output_file>.work` if it is stopped.

    Returns:
      A line that says what was written and what was left out.

    Raises:
      InputError: as `extract`; the output cannot be written or is an input.
    """
    files = (*sources.pubmed_files, *sources.pmc_files, *sources.text_files)
    check_output_file(output_file, files)
    directory = f"{output_file}.work"
    with locked(directory):
        extracted = extract(sources, directory, num_processes)
        paths = run_paths(extracted, directory)
        replaced, withdrawn, _ = select_newest(paths)
        documents = sentences = 0
        with atomic_write(output_file, "wb") as output:
            for text in read_in_order(paths):
                output.write(b"\n" + text if documents else text)
                documents += 1
                sentences += text.count(b"\n")
        remove_work(directory)
    left_out = count_left_out(extracted, replaced, withdrawn)
    parts = ", ".join(f"{why} ({count:,})" for why, count in left_out.items())
    return (
        f"{len(files):,} files: {documents:,} documents, {sentences:,} sentences written to {output_file}; "
        f"left out: {parts or 'nothing'}"
    )
