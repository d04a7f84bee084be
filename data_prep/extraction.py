"""Files of a corpus to sentences on disk, in several processes, and of each document the version that counts.

The work directory holds, for each unit of the sources, runs of documents sorted by the digest of their text, each a
text file (documents as `create_pretraining_data` reads them) with an index beside it, and last a summary that says
that the unit is done. So a run that is killed goes on where it was, memory is that of a run of documents, and the
documents of a shard, which are those between two digests, lie together.
"""

import bisect
import collections
import dataclasses
import functools
import glob
import json
import os
import shutil

import numpy as np
from absl import logging

from common.errors import InputError
from common.files import atomic_write, make_directory, read_json, sha256
from common.parallel import map_processes
from common.progress import progress
from data_prep.documents import DELETED
from data_prep.sources import DIGEST_BYTES, Tally, list_units, newest, read_entries, shard_bounds

RUN_BYTES = 64 << 20  # of text in a run
IDS_AT_A_TIME = 4_000_000  # that are compared: some 400 MB
KEPT, LEFT_OUT, WITHDRAWN = range(3)
LEFT_OUT_OF_STATE = ("", "left out", DELETED)
INDEX = np.dtype(
    [
        ("digest", f"S{DIGEST_BYTES}"),
        ("id", f"S{DIGEST_BYTES}"),
        ("order", "i8"),
        ("offset", "i8"),  # of the text in the run's file
        ("size", "i8"),
        ("version", "i8"),
        ("corpus", "u1"),
        ("state", "u1"),
    ]
)


@dataclasses.dataclass
class Summary:
    """What was done to a unit."""

    files: list  # [path, bytes, time of last change in ns] of each
    sha256: list[str]  # of each; none but in the first part of a file
    runs: int
    documents: int  # of all versions
    left_out: dict[str, int]  # why, and how many
    bad_files: list[str]
    invalid_bytes: int


# To runs


def extract(sources, directory, num_processes):
    """Extracts all files into a work directory, but what has been before.

    Args:
      sources: Sources.
      directory: the work directory.
      num_processes: how many work at a time.

    Returns:
      A list of Summary, one a unit.

    Raises:
      InputError: a bad file, unless they are to be skipped; the directory is of other sources.
    """
    make_directory(directory)
    _check_same_sources(sources, directory)
    for path in glob.glob(os.path.join(glob.escape(directory), "*.tmp*")):
        os.unlink(path)  # of a process that was killed
    units = list_units(sources)
    summaries = {unit.number: _done(unit, directory) for unit in units}
    todo = [unit for unit in units if summaries[unit.number] is None]
    work = functools.partial(_extract_unit, sources=sources, directory=directory)
    total = sum(map(_unit_bytes, units))
    with progress("reading", total=total, initial=total - sum(map(_unit_bytes, todo)), unit="B") as bar:
        bar.unit_scale = True
        for number, summary in map_processes(work, todo, num_processes):
            summaries[number] = summary
            bar.update(_unit_bytes(units[number]))
    return [summaries[unit.number] for unit in units]


def _check_same_sources(sources, directory):
    path = os.path.join(directory, "sources.json")
    # What was bad is not done, so that it may be skipped the next time.
    content = json.loads(json.dumps({**dataclasses.asdict(sources), "skip_bad_files": None}))
    if not os.path.exists(path):
        with atomic_write(path) as file:
            json.dump(content, file)
    elif read_json(path, "the sources of a corpus") != content:
        raise InputError(
            f"{directory}: holds work on other files or with other flags; expected the same command to go on with "
            "it, or that the directory is removed"
        )


def _unit_bytes(unit):
    return sum(map(os.path.getsize, unit.paths)) // unit.parts


def _stat(path):
    stat = os.stat(path)
    return [path, stat.st_size, stat.st_mtime_ns]


def _summary_path(number, directory):
    return os.path.join(directory, f"unit-{number:06d}.json")


def _done(unit, directory):
    """Returns the Summary of a unit that was extracted before and has not changed, else None."""
    path = _summary_path(unit.number, directory)
    if not os.path.exists(path):
        return None
    summary = Summary(**read_json(path, "the summary of a unit"))
    return summary if summary.files == list(map(_stat, unit.paths)) else None


def _extract_unit(unit, sources, directory):
    """Returns `(number, Summary)`."""
    tally = Tally(sources.skip_bad_files)
    counts = collections.Counter()
    try:
        runs = _write_runs(read_entries(unit, sources, tally), unit.number, directory, counts)
    except InputError as error:
        tally.bad_file(error)
        counts.clear()
        runs = 0
    summary = summarize_unit(unit, tally, counts, runs)
    with atomic_write(_summary_path(unit.number, directory)) as file:
        json.dump(dataclasses.asdict(summary), file)
    return unit.number, summary


def summarize_unit(unit, tally, counts, runs=0):
    """Returns the Summary of a unit; `counts` has how many entries are left out why ("": are not)."""
    left_out = {why: counts[why] for why in sorted(counts) if why not in ("", DELETED)}
    hashes = [] if unit.part else list(map(sha256, unit.paths))
    return Summary(
        list(map(_stat, unit.paths)), hashes, runs, counts[""], left_out, tally.bad_files, tally.invalid_bytes
    )


def _write_runs(entries, number, directory, counts):
    """Writes the runs of a unit and returns how many; `counts` gets how many entries are left out why."""
    runs, pending, size = 0, [], 0
    for entry in entries:
        counts[entry.left_out] += 1
        pending.append(entry)
        size += len(entry.text)
        if size >= RUN_BYTES:
            _write_run(pending, _run_path(directory, number, runs))
            runs, pending, size = runs + 1, [], 0
    if pending:
        _write_run(pending, _run_path(directory, number, runs))
        runs += 1
    return runs


def _run_path(directory, number, run):
    return os.path.join(directory, f"unit-{number:06d}-{run:04d}")


def _write_run(entries, path):
    entries.sort(key=lambda entry: (entry.digest, entry.order))
    index = np.zeros(len(entries), INDEX)
    offset = 0
    with atomic_write(f"{path}.txt", "wb") as file:
        for i, entry in enumerate(entries):
            state = KEPT if not entry.left_out else WITHDRAWN if entry.left_out == DELETED else LEFT_OUT
            size = len(entry.text)
            index[i] = entry.digest, entry.id, entry.order, offset, size, entry.version, entry.corpus, state
            if size:
                file.write(entry.text + b"\n")
                offset += size + 1
    with atomic_write(f"{path}.npy", "wb") as file:
        np.save(file, index)


# From runs


def run_paths(summaries, directory):
    """Returns what the files of each run begin with, in order."""
    return [
        _run_path(directory, number, run) for number, summary in enumerate(summaries) for run in range(summary.runs)
    ]


def select_newest(paths):
    """Decides, for each document of some runs, whether it counts: see `sources.newest`. Writes it beside the runs.

    Returns:
      (replaced, withdrawn, size): how many documents do not count since a newer version replaces them, or since they
      were withdrawn; bytes of the text of those that do.
    """
    lengths = [len(np.load(f"{path}.npy", mmap_mode="r")) for path in paths]
    dropped = [[] for _ in paths]
    partitions = 1 + sum(lengths) // IDS_AT_A_TIME
    replaced = withdrawn = size = 0
    with progress("comparing versions", total=partitions, unit="part") as bar:
        for partition in range(partitions):
            for entries, places in _several_of_an_id(paths, partition, partitions):
                chosen = newest(entries)
                for i, (run, row) in enumerate(places):
                    if i != chosen and not entries[i][2]:
                        dropped[run].append(row)
                        replaced += chosen is not None
                        withdrawn += chosen is None
            bar.update()
    for path, rows in zip(paths, dropped, strict=True):
        index = np.load(f"{path}.npy")
        keep = index["state"] == KEPT
        keep[rows] = False
        size += int(index["size"][keep].sum())
        with atomic_write(f"{path}.keep.npy", "wb") as file:
            np.save(file, keep)
    return replaced, withdrawn, size


def _several_of_an_id(paths, partition, partitions):
    """Yields `(entries, places)` of each id that has several: as `newest` takes them; `(run, row)` of each."""
    columns = []
    for run, path in enumerate(paths):
        index = np.load(f"{path}.npy")
        ids = np.ascontiguousarray(index["id"])
        # The digests are even in all their bytes.
        numbers = ids.view("<u8").reshape(len(ids), -1)[:, 0]
        rows = np.flatnonzero((ids != b"") & (numbers % partitions == partition))
        columns.append(
            (ids[rows], index["version"][rows], index["order"][rows], index["state"][rows], rows + (run << 32))
        )
    if not columns:
        return
    ids, versions, orders, states, places = map(np.concatenate, zip(*columns, strict=True))
    by_id = np.argsort(ids, kind="stable")
    ids = ids[by_id]
    bounds = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1], [True]])) if len(ids) else np.zeros(1, int)
    for i in np.flatnonzero(np.diff(bounds) > 1):
        same = by_id[bounds[i] : bounds[i + 1]]
        left_out = map(LEFT_OUT_OF_STATE.__getitem__, states[same].tolist())
        entries = list(zip(versions[same].tolist(), orders[same].tolist(), left_out, strict=True))
        yield entries, [divmod(place, 1 << 32) for place in places[same].tolist()]


def read_shard(paths, shard, num_shards):
    """Returns the documents of a shard, as they are in the runs.

    Returns:
      A list of `(digest, order, corpus, text)` in no particular order.
    """
    low, high = shard_bounds(num_shards)[shard : shard + 2]
    documents = []
    for path in paths:
        digests = np.load(f"{path}.npy", mmap_mode="r")["digest"]
        # Element by element: numpy would first copy the column.
        rows = slice(bisect.bisect_left(digests, low), bisect.bisect_left(digests, high))
        documents += _read_rows(path, rows)
    return documents


def _read_rows(path, rows):
    """Yields `(digest, order, corpus, text)` of the documents of a run that count, in its order."""
    index = np.load(f"{path}.npy", mmap_mode="r")[rows]
    index = index[np.load(f"{path}.keep.npy", mmap_mode="r")[rows]]
    with open(f"{path}.txt", "rb") as file:
        for row in index:
            file.seek(row["offset"])
            yield row["digest"].item(), int(row["order"]), int(row["corpus"]), file.read(row["size"])


def read_in_order(paths):
    """Yields the texts that count, in the order in which they were read (of an archive in parts: part by part)."""
    for path in paths:
        for _, _, _, text in sorted(_read_rows(path, slice(None)), key=lambda row: row[1]):
            yield text


# To a text file


def extract_to_file(sources, output_file, num_processes):
    """Extracts all files into one text file; what was done so far stays in `<output_file>.work` if it is stopped.

    Returns:
      A line that says what was written and what was left out.

    Raises:
      InputError: as `extract`.
    """
    directory = f"{output_file}.work"
    summaries = extract(sources, directory, num_processes)
    paths = run_paths(summaries, directory)
    replaced, withdrawn, _ = select_newest(paths)
    documents = sentences = 0
    with atomic_write(output_file, "wb") as output:
        for text in read_in_order(paths):
            output.write(b"\n" + text if documents else text)
            documents += 1
            sentences += text.count(b"\n")
    shutil.rmtree(directory)
    left_out = count_left_out(summaries, replaced, withdrawn)
    parts = ", ".join(f"{why} ({count:,})" for why, count in left_out.items())
    return (
        f"{count_files(summaries):,} files: {documents:,} documents, {sentences:,} sentences written to {output_file}; "
        f"left out: {parts or 'nothing'}"
    )


def count_files(summaries):
    """How many files there were."""
    return len({path for summary in summaries for path, _, _ in summary.files})


def bad_files(summaries):
    """Returns a message for each file that was skipped."""
    return [message for summary in summaries for message in summary.bad_files]


def count_left_out(summaries, replaced, withdrawn):
    """Returns how much is left out, a dict from the reason; warns of each bad file."""
    counts = collections.Counter()
    for summary in summaries:
        counts.update(summary.left_out)
    counts.update({"replaced by a newer version": replaced, "withdrawn": withdrawn})
    for message in bad_files(summaries):
        logging.warning("skipped: %s", message)
    counts["bad files"] = len(bad_files(summaries))
    counts["bytes that are not UTF-8"] = sum(summary.invalid_bytes for summary in summaries)
    return {why: counts[why] for why in sorted(counts) if counts[why]}
