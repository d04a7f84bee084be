"""Files of a corpus to sentences on disk, in several processes, and of each document the version that counts.

The directory of documents holds, for each unit of the sources, runs of documents (see `external_sort`), and last a
summary that says that the unit is done. So a command that is killed goes on where it was, one with more files reads
these alone, memory is that of a run of documents, and the documents of a shard, which are those between two digests,
lie together.
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
from common.parallel import Processes
from common.progress import progress
from data_prep.corpus.external_sort import Run, read_in_order, run_path, select_newest, write_runs
from data_prep.corpus.manifest import READING
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
    runs: list[Run]  # none of bad files


# To runs


def extract(sources, directory, workers):
    """Extracts all files into a directory of documents, but those that are in it.

    Args:
      sources: Sources.
      directory: the directory of documents.
      workers: `parallel.Processes` or `cluster.Cluster`.

    Returns:
      Extracted.

    Raises:
      InputError: a bad file, unless they are to be skipped; what is in the directory was read otherwise.
    """
    units = list_units(sources)
    for unit in units:
        check_splitter(unit, sources.reading)
    make_directory(directory)
    _check_same_reading(sources.reading, directory)
    for path in glob.glob(os.path.join(glob.escape(directory), "*.tmp*")):
        os.unlink(path)  # of a process that was killed
    skip = sources.reading.skip_bad_files
    todo = [unit for unit in units if not _is_done(unit, directory, skip)]
    work = functools.partial(_extract_unit, reading=sources.reading, directory=directory)
    total = sum(map(_unit_bytes, units))
    with progress("reading", total=total, initial=total - sum(map(_unit_bytes, todo)), unit="B") as bar:
        for unit in workers.map(work, todo):
            bar.update(_unit_bytes(unit))
    return _collect(units, directory)


def remove_documents(directory):
    """Removes a directory of documents; if that is cut short, what is left is not taken for one."""
    if os.path.exists(os.path.join(directory, READING)):
        removed = f"{directory}.removed"
        shutil.rmtree(removed, ignore_errors=True)
        os.rename(directory, removed)
        shutil.rmtree(removed)


def remove_documents_of_others(sources, directory):
    """Removes from a directory of documents those of files that are not among the sources."""
    current = {_summary_path(unit, directory) for unit in list_units(sources)}
    for path in glob.glob(os.path.join(glob.escape(directory), "unit-*.json")):
        if path not in current:
            os.unlink(path)  # first: so the unit is not done
            for other in glob.glob(f"{glob.escape(path.removesuffix('.json'))}-*"):
                os.unlink(other)


def _check_same_reading(reading, directory):
    path = os.path.join(directory, READING)
    content = dataclasses.asdict(reading)
    del content["skip_bad_files"]  # what is bad may be skipped the next time
    content = json.loads(json.dumps([content, versions(reading)]))
    if not os.path.exists(path):
        others = sorted(set(os.listdir(directory)) - {LOCK_FILE})
        if others:
            raise InputError(f"{directory}: holds other files ({others[0]}, ...); expected that it is not there")
        with atomic_write(path) as file:
            json.dump(content, file)
    elif (before := read_json(path, "how the documents of a corpus were read")) != content:
        raise InputError(
            f"{directory}: its documents were read {_difference(before, content)}; expected the same to go on with "
            "them, or that the directory is removed, to read all files again"
        )


def _difference(before, now):
    """Says in what two contents of `READING` differ."""
    for told, made in zip(before, now, strict=False):
        for name in sorted({*told, *made}):
            if told.get(name) != made.get(name):
                return f"with {name} {json.dumps(told.get(name))}, not {json.dumps(made.get(name))}"
    return "in another way"


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
    return os.path.join(directory, f"unit-{unit.key}.json")


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
        runs = write_runs(read_entries(unit, reading, tally), unit.key, directory, counts)
    except InputError as error:
        tally.bad_file(error)
        counts.clear()
        runs = 0
    left_out = {why: counts[why] for why in sorted(counts) if why not in ("", DELETED)}
    hashes = [] if unit.part else list(map(_hash, unit.paths))
    files = list(map(_stat, unit.paths))
    summary = Summary(files, hashes, runs, left_out, tally.bad_files, tally.invalid_bytes)
    with atomic_write(_summary_path(unit, directory)) as file:
        json.dump(dataclasses.asdict(summary), file)
    return unit


def _collect(units, directory):
    """Returns the Extracted of some units.

    A bad PubMed file or text gives nothing, also if other parts of it were good. There is a message of each bad
    article, and of what is lost of an archive.
    """
    left_out, bad_files, runs, inputs = collections.Counter(), {}, [], Inputs()
    for unit in units:
        summary = _read_summary(unit, directory)
        left_out.update(summary.left_out)
        left_out["bytes that are not UTF-8"] += summary.invalid_bytes
        for i, message in enumerate(summary.bad_files):
            bad_files.setdefault((unit.first, unit.number, i) if unit.corpus == PMC else unit.first, message)
        runs += [(unit, Run(run_path(directory, unit.key, number), unit.first)) for number in range(summary.runs)]
        for (path, size, _), digest in zip(summary.files, summary.sha256, strict=False):
            inputs.add(unit, path, size, digest)
    kept = [run for unit, run in runs if unit.first not in bad_files]
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


def count_left_out(extracted, selected):
    """Returns how much is left out, a dict from the reason; warns of each bad file."""
    for message in extracted.bad_files:
        logging.warning("skipped: %s", message)
    counts = {
        **extracted.left_out,
        "replaced by a newer version": selected.replaced,
        "withdrawn": selected.withdrawn,
        "bad files": len(extracted.bad_files),
    }
    return {why: counts[why] for why in sorted(counts) if counts[why]}


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
        extracted = extract(sources, directory, Processes(num_processes))
        selected = select_newest(extracted.runs)
        documents = sentences = 0
        with atomic_write(output_file, "wb") as output:
            for text in read_in_order(extracted.runs):
                output.write(b"\n" + text if documents else text)
                documents += 1
                sentences += text.count(b"\n")
        remove_documents(directory)
    left_out = count_left_out(extracted, selected)
    parts = ", ".join(f"{why} ({count:,})" for why, count in left_out.items())
    return (
        f"{len(files):,} files: {documents:,} documents, {sentences:,} sentences written to {output_file}; "
        f"left out: {parts or 'nothing'}"
    )
