"""A compact index of a terminology: built once, kept in a file beside it, loaded in no time.

Dimensions:
  N  names; one with several concepts, types or ranks is there so often
  U  different keys (`names.normalize`) of names
  G  n-grams of characters, hashed
"""

import collections
import dataclasses
import functools
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save
from sklearn.feature_extraction.text import HashingVectorizer

from common.errors import InputError
from common.files import atomic_write, sha256
from common.progress import progress
from inference.linking import names, terminology

SUFFIX = ".index"
VERSION = "2"  # of what is in the file; another one is built anew
NUM_GRAMS = 2**18
_CHUNK = 100_000  # keys whose n-grams are found at once


@dataclasses.dataclass(frozen=True)
class Row:
    """A name as the index has it."""

    text: str
    identifier: str
    type: str
    rank: int  # as of `terminology`
    count: int  # how often it is there


class Strings(Sequence):
    """Texts in an array: uint8 [bytes], and int64 [length + 1] where each begins."""

    def __init__(self, data: np.ndarray, starts: np.ndarray) -> None:
        self.data, self.starts = data, starts

    @classmethod
    def pack(cls, texts: Iterable[str]) -> "Strings":
        """Of any texts."""
        encoded = [text.encode() for text in texts]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, number):
        return self.data[self.starts[number] : self.starts[number + 1]].tobytes().decode()


@dataclasses.dataclass(frozen=True)
class Index:
    """Names of concepts by their keys, sorted, and by n-grams of these."""

    source: str  # SHA-256 of the file
    left_out: dict[str, int]
    types: list[str]
    identifiers: Strings
    texts: Strings  # N, in the order of the keys; of one key in that of the terminology
    keys: Strings  # U
    first_row: np.ndarray  # int64 [U + 1]: of each key
    concept: np.ndarray  # int32 [N]: place in `identifiers`
    type: np.ndarray  # int32 [N]: place in `types`
    rank: np.ndarray  # uint8 [N]
    count: np.ndarray  # int32 [N]
    gram_starts: np.ndarray  # int64 [G + 1]: of each n-gram in `gram_keys`
    gram_keys: np.ndarray  # int32: the keys that have it
    weights: np.ndarray  # float32 [G]: squares of inverse document frequencies
    norms: np.ndarray  # float32 [U]: of the vectors of these

    def rows(self, key: int) -> Iterator[Row]:
        """The names with a key, by its place."""
        for row in range(self.first_row[key], self.first_row[key + 1]):
            yield Row(
                self.texts[row],
                self.identifiers[self.concept[row]],
                self.types[self.type[row]],
                int(self.rank[row]),
                int(self.count[row]),
            )

    def find(self, key: str) -> int | None:
        """The place of a key, None if it is not there."""
        low, high = 0, len(self.keys)
        while low < high:
            middle = (low + high) // 2
            if self.keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self.keys) and self.keys[low] == key else None

    def similar(self, key: str, least: float) -> Iterator[tuple[int, float]]:
        """Yields the keys similar in n-grams, weighted by TF-IDF: place and cosine (from `least`), best first."""
        grams = np.unique(_vectorizer().transform([key]).indices)
        scores = np.zeros(len(self.keys), np.float32)
        for gram in grams:
            scores[self.gram_keys[self.gram_starts[gram] : self.gram_starts[gram + 1]]] += self.weights[gram]
        scores /= self.norms * np.sqrt(self.weights[grams].sum(dtype=np.float32))
        found = np.flatnonzero(scores >= least)
        for place in found[np.lexsort((found, -scores[found]))]:
            yield int(place), min(float(scores[place]), 1.0)


@functools.cache
def _vectorizer():
    return HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 3),
        n_features=NUM_GRAMS,
        lowercase=False,
        binary=True,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )


# Building


def build(read_names: Iterable[terminology.Name], source: str, left_out: collections.Counter[str]) -> Index:
    """Makes an `Index`.

    Args:
      read_names: as of `terminology.read`.
      source: SHA-256 of the file.
      left_out: what the reader has left out; names without letters and digits are added.
    """
    counts: dict[terminology.Name, int] = {}
    for name in read_names:
        counts[name] = counts.get(name, 0) + 1
    with_keys = ((names.normalize(name.text), place, name) for place, name in enumerate(counts))
    rows = sorted(row for row in with_keys if row[0])  # places are unique: names are not compared
    if len(rows) < len(counts):
        left_out["names without letters and digits"] += len(counts) - len(rows)
    first_row = [place for place, row in enumerate(rows) if place == 0 or row[0] != rows[place - 1][0]]
    keys = [rows[place][0] for place in first_row]
    identifiers: dict[str, int] = {}
    types: dict[str, int] = {}
    concept = [identifiers.setdefault(name.identifier, len(identifiers)) for _, _, name in rows]
    kind = [types.setdefault(name.type, len(types)) for _, _, name in rows]
    return Index(
        source=source,
        left_out=dict(left_out),
        types=list(types),
        identifiers=Strings.pack(identifiers),
        texts=Strings.pack(name.text for _, _, name in rows),
        keys=Strings.pack(keys),
        first_row=np.array([*first_row, len(rows)], np.int64),
        concept=np.array(concept, np.int32),
        type=np.array(kind, np.int32),
        rank=np.array([name.rank for _, _, name in rows], np.uint8),
        count=np.array([counts[name] for _, _, name in rows], np.int32),
        **_index_grams(keys),
    )


def _index_grams(keys):
    """The arrays of an `Index` for n-grams."""
    found = []
    with progress("index", len(keys), unit="name") as bar:
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            matrix = _vectorizer().transform(chunk)
            found.append((matrix.indices, np.diff(matrix.indptr).astype(np.int32)))
            bar.update(len(chunk))
    grams = np.concatenate([np.zeros(0, np.int32), *(indices for indices, _ in found)])
    sizes = np.concatenate([np.zeros(0, np.int32), *(sizes for _, sizes in found)])
    key_of = np.repeat(np.arange(len(keys), dtype=np.int32), sizes)
    frequencies = np.bincount(grams, minlength=NUM_GRAMS)
    weights = np.square(np.log((1 + len(keys)) / (1 + frequencies)) + 1).astype(np.float32)
    norms = np.sqrt(np.bincount(key_of, weights[grams], minlength=len(keys))).astype(np.float32)
    return {
        "gram_starts": np.cumsum([0, *frequencies], dtype=np.int64),
        "gram_keys": key_of[np.argsort(grams, kind="stable")],
        "weights": weights,
        "norms": norms,
    }


# Files


def load(path: str) -> Index:
    """The index of a terminology, from the file beside it, or built and written there.

    It is built anew where the terminology has another content than the one of the file.

    Raises:
      InputError: as `terminology.read`; the file of the index cannot be read.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; expected a terminology: OBO, a table, or a corpus with identifiers")
    source = sha256(path)
    file, metadata = f"{path}{SUFFIX}", {"version": VERSION, "source": source}
    arrays = read_arrays(file, metadata)
    if arrays is not None:
        index = _from_arrays(source, arrays)
    else:
        left_out: collections.Counter[str] = collections.Counter()
        index = build(terminology.read(path, left_out), source, left_out)
        write_arrays(file, _to_arrays(index), metadata)
    left = f"; {terminology.describe_left_out(collections.Counter(index.left_out))}" if index.left_out else ""
    logging.info("%s: %d concepts, %d names%s", path, len(index.identifiers), len(index.texts), left)
    return index


def _to_arrays(index):
    """The arrays of an `Index`; texts are uint8 `name.data` and int64 `name.starts`."""
    values = {field.name: getattr(index, field.name) for field in dataclasses.fields(index)}
    texts = {name: value for name, value in values.items() if isinstance(value, Strings)}
    texts["rest"] = Strings.pack([json.dumps([index.left_out, index.types])])
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    for name, strings in texts.items():
        arrays |= {f"{name}.data": strings.data, f"{name}.starts": strings.starts}
    return arrays


def _from_arrays(source, arrays):
    rest: dict[str, Any] = dict(arrays)
    names_of_texts = [name.removesuffix(".data") for name in arrays if name.endswith(".data")]
    texts: dict[str, Any] = {
        name: Strings(rest.pop(f"{name}.data"), rest.pop(f"{name}.starts")) for name in names_of_texts
    }
    left_out, types = json.loads(texts.pop("rest")[0])
    return Index(source=source, left_out=left_out, types=types, **texts, **rest)


def write_arrays(file: str, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Writes arrays to a file, whole or not at all; logs a warning if it cannot be written."""
    try:
        with atomic_write(file, "wb") as output:
            output.write(save(arrays, metadata))
    except OSError as error:
        logging.warning("%s: cannot be written (%s); made anew each time", file, error.strerror)


def read_arrays(file: str, metadata: dict[str, str]) -> dict[str, np.ndarray] | None:
    """The arrays that `write_arrays` wrote; None if there is no file, or one with other metadata.

    Raises:
      InputError: it cannot be read.
    """
    if not os.path.exists(file):
        return None
    try:
        with safetensors.safe_open(file, "numpy") as stored:
            if stored.metadata() != metadata:
                return None
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (it is no dict)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{file}: cannot be read ({error}); expected what this program wrote, or no file") from None
