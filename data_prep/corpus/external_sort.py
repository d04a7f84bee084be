"""Runs: documents on disk, sorted by the digest of their text.

A run is two files: `<run>.txt`, documents as `create_pretraining_data` reads them, and `<run>.npy`, an index with a row
a document and one for each that is left out. `<run>.keep.npy` says of each row whether it counts.
"""

import array
import bisect
import os

import numpy as np

from common.errors import InputError
from common.files import atomic_write
from common.progress import progress
from data_prep.corpus.versions import DIGEST_BYTES, newest, shard_bounds
from data_prep.formats.document import DELETED

RUN_BYTES = 64 << 20  # of the documents in a run
ENTRY_BYTES = 400  # that a document takes in memory beside its text
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


# Writing


def write_runs(entries, number, directory, counts):
    """Writes the runs of a unit and returns how many; `counts` gets how many entries are left out why."""
    runs, pending, size = 0, [], 0
    for entry in entries:
        counts[entry.left_out] += 1
        pending.append(entry)
        size += len(entry.text) + ENTRY_BYTES
        if size >= RUN_BYTES:
            _write_run(pending, run_path(directory, number, runs))
            runs, pending, size = runs + 1, [], 0
    if pending:
        _write_run(pending, run_path(directory, number, runs))
        runs += 1
    return runs


def run_path(directory, number, run):
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


# Reading


def select_newest(paths):
    """Decides, for each document of some runs, whether it counts: see `sources.newest`. Writes it beside the runs.

    Returns:
      (replaced, withdrawn, size): how many documents do not count since a newer version replaces them, or since they
      were withdrawn; bytes of the text of those that do.
    """
    lengths = [len(_load(f"{path}.npy")) for path in paths]
    dropped = [array.array("q") for _ in paths]
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
        keep[list(rows)] = False
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


def read_shards(paths, first, end, num_shards):
    """Returns the documents of the shards from `first` up to `end` (exclusive), as they are in the runs.

    Returns:
      A list of `(digest, order, corpus, text)` in no particular order; `documents.shard_of` tells the shard of each.
    """
    bounds = shard_bounds(num_shards)
    documents = []
    for path in paths:
        digests = _load(f"{path}.npy")["digest"]
        # Element by element: numpy would first copy the column.
        rows = slice(bisect.bisect_left(digests, bounds[first]), bisect.bisect_left(digests, bounds[end]))
        documents += _read_rows(path, rows)
    return documents


def _load(path):
    """Opens an array on disk."""
    try:
        return np.load(path, mmap_mode="r")
    except (EOFError, ValueError):
        raise InputError(_damaged(path)) from None


def _damaged(path):
    return f"{path}: damaged; expected that the directory {os.path.dirname(path)} is removed, to begin anew"


def _read_rows(path, rows):
    """Yields `(digest, order, corpus, text)` of the documents of a run that count, in its order."""
    index = _load(f"{path}.npy")[rows]
    index = index[_load(f"{path}.keep.npy")[rows]]
    with open(f"{path}.txt", "rb") as file:
        for row in index:
            file.seek(row["offset"])
            text = file.read(row["size"])
            if len(text) < row["size"]:
                raise InputError(_damaged(f"{path}.txt"))
            yield row["digest"].item(), int(row["order"]), int(row["corpus"]), text


def read_in_order(paths):
    """Yields the texts that count, in the order in which they were read (of an archive in parts: part by part)."""
    for path in paths:
        for _, _, _, text in sorted(_read_rows(path, slice(None)), key=lambda row: row[1]):
            yield text
