"""Runs: documents on disk, sorted by the digest of their text.

A run is two files: `<run>.txt`, documents as `create_pretraining_data` reads them, and `<run>.npy`, an index with a row
a document and one for each that is left out. `<run>.keep.npy` says of each row whether it counts; it depends on all
files of a corpus, the other two on those of the run alone.
"""

import array
import bisect
import itertools
import json
import os
from typing import NamedTuple

import numpy as np

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_json
from common.progress import progress
from data_prep.corpus.versions import DIGEST_BYTES, newest, shard_bounds
from data_prep.formats.document import DELETED

RUN_BYTES = 64 << 20  # of the documents in a run
ENTRY_BYTES = 400  # that a document takes in memory beside its text
IDS_AT_A_TIME = 4_000_000  # that are compared: some 400 MB
KEPT, LEFT_OUT, WITHDRAWN = range(3)
FILE_BITS = 40  # of a document's order are below the file's
LEFT_OUT_OF_STATE = ("", "left out", DELETED)
INDEX = np.dtype(
    [
        ("digest", f"S{DIGEST_BYTES}"),
        ("id", f"S{DIGEST_BYTES}"),
        ("order", "i8"),  # in its file
        ("offset", "i8"),  # of the text in the run's file
        ("size", "i8"),
        ("sentences", "i8"),
        ("words", "i8"),
        ("version", "i8"),
        ("corpus", "u1"),
        ("state", "u1"),
    ]
)


class Run(NamedTuple):
    """A run on disk."""

    path: str  # what its files' names begin with
    first: int  # which of all files of a corpus it is of; orders documents of different files


class StoredDocument(NamedTuple):
    """A document that counts, and where its text is."""

    digest: bytes
    order: int  # of all documents of a corpus
    corpus: int
    sentences: int
    words: int  # between white space
    path: str
    offset: int
    size: int


# Writing


def write_runs(entries, key, directory, counts):
    """Writes the runs of a unit and returns how many; `counts` gets how many entries are left out why."""
    runs, pending, size = 0, [], 0
    for entry in entries:
        counts[entry.left_out] += 1
        pending.append(entry)
        size += len(entry.text) + ENTRY_BYTES
        if size >= RUN_BYTES:
            _write_run(pending, run_path(directory, key, runs))
            runs, pending, size = runs + 1, [], 0
    if pending:
        _write_run(pending, run_path(directory, key, runs))
        runs += 1
    return runs


def run_path(directory, key, run):
    return os.path.join(directory, f"unit-{key}-{run:04d}")


def _write_run(entries, path):
    entries.sort(key=lambda entry: (entry.digest, entry.order))
    index = np.zeros(len(entries), INDEX)
    offset = 0
    with atomic_write(f"{path}.txt", "wb") as file:
        for i, entry in enumerate(entries):
            state = KEPT if not entry.left_out else WITHDRAWN if entry.left_out == DELETED else LEFT_OUT
            size = len(entry.text)
            counts = entry.text.count(b"\n"), len(entry.text.split())
            index[i] = entry.digest, entry.id, entry.order, offset, size, *counts, entry.version, entry.corpus, state
            if size:
                file.write(entry.text + b"\n")
                offset += size + 1
    with atomic_write(f"{path}.npy", "wb") as file:
        np.save(file, index)


def write_list(runs, directory):
    """Writes a list of runs to a file and returns its path."""
    path = os.path.join(directory, "runs.json")
    with atomic_write(path) as file:
        json.dump(runs, file)
    return path


# Reading


def read_list(path):
    """Returns the runs of a file of `write_list`."""
    return [Run(*run) for run in read_json(path, "a list of runs", lone_surrogates=True)]


class Selected(NamedTuple):
    """How many documents count, and how many do not."""

    documents: int
    size: int  # of their text, in bytes
    replaced: int  # by a newer version
    withdrawn: int


def select_newest(runs):
    """Decides, for each document of some runs, whether it counts: see `sources.newest`. Writes it beside the runs.

    Returns:
      Selected.
    """
    lengths = [len(_load(f"{run.path}.npy")) for run in runs]
    dropped = [array.array("q") for _ in runs]
    partitions = 1 + sum(lengths) // IDS_AT_A_TIME
    documents = size = replaced = withdrawn = 0
    with progress("comparing versions", total=partitions, unit="part") as bar:
        for partition in range(partitions):
            for entries, places in _several_of_an_id(runs, partition, partitions):
                chosen = newest(entries)
                for i, (run, row) in enumerate(places):
                    if i != chosen and not entries[i][2]:
                        dropped[run].append(row)
                        replaced += chosen is not None
                        withdrawn += chosen is None
            bar.update()
    for run, rows in zip(runs, dropped, strict=True):
        index = np.load(f"{run.path}.npy")
        keep = index["state"] == KEPT
        keep[list(rows)] = False
        documents += int(keep.sum())
        size += int(index["size"][keep].sum())
        with atomic_write(f"{run.path}.keep.npy", "wb") as file:
            np.save(file, keep)
    return Selected(documents, size, replaced, withdrawn)


def _several_of_an_id(runs, partition, partitions):
    """Yields `(entries, places)` of each id that has several: as `newest` takes them; `(run, row)` of each."""
    columns = []
    for number, run in enumerate(runs):
        index = np.load(f"{run.path}.npy")
        ids = np.ascontiguousarray(index["id"])
        # The digests are even in all their bytes.
        numbers = ids.view("<u8").reshape(len(ids), -1)[:, 0]
        rows = np.flatnonzero((ids != b"") & (numbers % partitions == partition))
        orders = index["order"][rows] + (run.first << FILE_BITS)
        columns.append((ids[rows], index["version"][rows], orders, index["state"][rows], rows + (number << 32)))
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


def find_documents(runs, first, end, num_shards):
    """Returns the documents of the shards from `first` up to `end` (exclusive), by digest and order.

    `versions.shard_of` tells the shard of each.
    """
    bounds = shard_bounds(num_shards)
    documents = []
    for run in runs:
        digests = _load(f"{run.path}.npy")["digest"]
        # Element by element: numpy would first copy the column.
        rows = slice(bisect.bisect_left(digests, bounds[first]), bisect.bisect_left(digests, bounds[end]))
        documents += _documents(run, rows)
    documents.sort()
    return documents


def _load(path):
    """Opens an array on disk."""
    try:
        return np.load(path, mmap_mode="r")
    except (EOFError, ValueError):
        raise InputError(_damaged(path)) from None


def _damaged(path):
    return f"{path}: damaged; expected that the directory {os.path.dirname(path)} is removed, to begin anew"


def _documents(run, rows):
    """Returns the documents of a run that count, in its order."""
    index = _load(f"{run.path}.npy")[rows]
    index = index[_load(f"{run.path}.keep.npy")[rows]]
    names = ("digest", "order", "corpus", "sentences", "words", "offset", "size")
    return [
        StoredDocument(digest, order + (run.first << FILE_BITS), corpus, sentences, words, run.path, offset, size)
        for digest, order, corpus, sentences, words, offset, size in index[list(names)].tolist()
    ]


def read_texts(documents):
    """Yields `(document, text)` of some documents, in the order in which they lie on disk."""
    in_order = sorted(documents, key=lambda document: (document.path, document.offset))
    for path, some in itertools.groupby(in_order, key=lambda document: document.path):
        with open(f"{path}.txt", "rb") as file:
            for document in some:
                file.seek(document.offset)
                text = file.read(document.size)
                if len(text) < document.size:
                    raise InputError(_damaged(f"{path}.txt"))
                yield document, text


def read_in_order(runs):
    """Yields the texts that count, in the order in which they were read (of an archive in parts: part by part)."""
    for run in runs:
        texts = read_texts(_documents(run, slice(None)))
        for _, text in sorted(texts, key=lambda document_and_text: document_and_text[0].order):
            yield text
