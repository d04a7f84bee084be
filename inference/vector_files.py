"""Files of vectors: JSON lines, and arrays as .npz or HDF5.

JSON lines have an object a line of text: the original's for tokens, its like for words and whole lines. `linex_index`,
the original's name, counts lines from 0, over all input files. Values are rounded to 6 places.

    {"linex_index": 0, "features": [{"token": "[CLS]", "layers": [{"index": -1, "values": [0.12, ...]}, ...]}, ...]}
    {"linex_index": 0, "features": [{"word": "BRCA1", "span": [8, 13], "layers": [...]}, ...]}
    {"linex_index": 0, "layers": [...]}

With layers combined into one vector, or the pooler's, `"values": [...]` takes the place of `"layers"`.

Arrays (N lines, T tokens or words of all lines, L layers, D values a vector):

    vectors   float32 [T, L, D], of whole lines [N, L, D]; without the axis L where layers are combined
    layers    int64 [L], as --layers gave them; not with the pooler
    offsets   int64 [N + 1]: line i has the rows from offsets[i] to offsets[i + 1] of vectors, spans, tokens or words
    spans     int64 [T, 2]: first character in the line and the one after the last; 0, 0 for [CLS] and [SEP]
    tokens    or `words`: texts [T], in .npz the first 200 characters of each

For whole lines, there are `vectors` and `layers` only. The rows of line i of an .npz file:

    with np.load("vectors.npz") as arrays:
        vectors, offsets = arrays["vectors"], arrays["offsets"]
    of_line = vectors[offsets[i] : offsets[i + 1]]

HDF5 reads the same from the disk, without the rest: `h5py.File("vectors.h5")["vectors"][start:end]`.
"""

import contextlib
import io
import itertools
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from common.files import atomic_write
from inference.features import SENTENCE, TOKEN, WORD, Extractor, Line

JSONL, NPZ, HDF5 = "jsonl", "npz", "hdf5"
FORMATS = (JSONL, NPZ, HDF5)
_EXTENSIONS = {".npz": NPZ, ".h5": HDF5, ".hdf5": HDF5}
_NPZ_TEXT_CHARS = 200  # NumPy gives each text of an array the room of the longest, at 4 bytes a character
_HDF5_CHUNK_BYTES = 1 << 18
_BLOCK = 10_000  # texts that are converted at once


def format_of(path: str) -> str:
    """The format that a file's name stands for."""
    return _EXTENSIONS.get(os.path.splitext(path)[1].lower(), JSONL)


def write(
    path: str, output_format: str, windows: Iterable[list[tuple[Line, np.ndarray]]], extractor: Extractor
) -> None:
    """Writes a file of vectors, whole or not at all; it is not held in memory.

    Args:
      path: the file.
      output_format: one of `FORMATS`.
      windows: as `extractor.run` yields them, at least one.
      extractor: `features.Extractor`.
    """
    if output_format == JSONL:
        _write_jsonl(path, windows, extractor)
        return
    blocks = _blocks(windows, extractor.unit)
    if extractor.layers is not None:
        blocks = itertools.chain([{"layers": np.array(extractor.layers, np.int64)}], blocks)
    (_write_npz if output_format == NPZ else _write_hdf5)(path, blocks)


def _write_jsonl(path, windows, extractor):
    layers, unit = extractor.layers if extractor.layers_apart else None, extractor.unit
    with atomic_write(path) as file:
        for index, (line, vectors) in enumerate(itertools.chain.from_iterable(windows)):
            values = [_describe(vector, layers) for vector in vectors]
            if unit == SENTENCE:
                content = values[0]
            elif unit == WORD:
                words = zip(line.words, line.word_spans, values, strict=True)
                content = {"features": [{"word": word, "span": span, **value} for word, span, value in words]}
            else:
                tokens = zip(line.tokens, values, strict=True)
                content = {"features": [{"token": token, **value} for token, value in tokens]}
            file.write(json.dumps({"linex_index": index, **content}) + "\n")


def _describe(vector, layers):
    """A vector [L, D] as JSON has it; [D] where `layers` is None."""
    if layers is None:
        return {"values": _round(vector)}
    return {
        "layers": [{"index": index, "values": _round(values)} for index, values in zip(layers, vector, strict=True)]
    }


def _round(vector):
    return [round(value, 6) for value in vector.tolist()]


def _blocks(windows, unit):
    """Yields a dict for each window: from name to rows, arrays or lists of texts."""
    total = 0
    for number, window in enumerate(windows):
        vectors = [vectors for _, vectors in window]
        block: dict[str, Any] = {"vectors": np.concatenate(vectors)}
        if unit != SENTENCE:
            offsets = total + np.cumsum([0, *map(len, vectors)])
            block["offsets"] = offsets[min(number, 1) :]  # each begins where the one before ended
            total = offsets[-1]
            texts, spans = ("tokens", "token_spans") if unit == TOKEN else ("words", "word_spans")
            rows = [span for line, _ in window for span in getattr(line, spans)]
            block["spans"] = np.array(rows, np.int64).reshape(-1, 2)
            block[texts] = [text for line, _ in window for text in getattr(line, texts)]
        yield block


def _write_hdf5(path, blocks):
    with (
        atomic_write(path, "wb") as temporary,
        _Hdf5Target(temporary.name, "r+") as target,
        h5py.File(target, "w") as file,
    ):
        for name, rows in (item for block in blocks for item in block.items()):
            if name not in file:
                dtype = h5py.string_dtype() if isinstance(rows, list) else rows.dtype
                shape = np.shape(rows)[1:]
                per_chunk = max(1, _HDF5_CHUNK_BYTES // (dtype.itemsize * int(np.prod(shape))))
                file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(per_chunk, *shape))
            if len(rows):
                start = len(file[name])
                file[name].resize(start + len(rows), axis=0)
                file[name][start:] = rows
            target.check()


class _Hdf5Target(io.FileIO):
    """A file whose write errors are raised only by `check` and at the end, as the HDF5 library crashes on them."""

    error = None

    def write(self, data):
        rest = memoryview(data).cast("B")
        with self._keeping_error():
            while rest:
                rest = rest[super().write(rest) :]
        return len(data)

    def truncate(self, size=None):
        with self._keeping_error():
            return super().truncate(size)

    @contextlib.contextmanager
    def _keeping_error(self):
        try:
            yield
        except OSError as error:
            self.error = self.error or error

    def check(self):
        if self.error:
            raise self.error

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.check()


class _Numbers:
    """Rows of an array, kept in a file until their number is known."""

    compression = zipfile.ZIP_STORED  # the last bits of floats do not compress

    def __init__(self, file, rows):
        self.file, self.dtype, self.shape, self.count = file, rows.dtype, rows.shape[1:], 0

    def append(self, rows):
        self.file.write(rows)  # an array is a buffer
        self.count += len(rows)

    def write_npy(self, file):
        _write_header(file, self.dtype, (self.count, *self.shape))
        self.file.seek(0)
        shutil.copyfileobj(self.file, file, 1 << 20)


class _Texts:
    """Texts, none with a line ending, kept in a file, a line each, until their number and the longest are known."""

    compression = zipfile.ZIP_DEFLATED  # padding, for the most part

    def __init__(self, file, _):
        self.file, self.longest, self.count = file, 1, 0

    def append(self, rows):
        self.file.writelines(f"{text}\n".encode() for text in rows)
        self.longest = max([self.longest, *map(len, rows)])
        self.count += len(rows)

    def write_npy(self, file):
        dtype = np.dtype(f"<U{min(self.longest, _NPZ_TEXT_CHARS)}")
        _write_header(file, dtype, (self.count,))
        self.file.seek(0)
        texts = (line.decode().removesuffix("\n") for line in self.file)
        while block := list(itertools.islice(texts, _BLOCK)):
            file.write(np.array(block, dtype).tobytes())


def _write_header(file, dtype, shape):
    """The beginning of an .npy file (NumPy's format specification, version 1.0)."""
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _write_npz(path, blocks):
    """Writes arrays whose size is known only at the end: first to temporary files, then into the archive."""
    columns = {}
    with contextlib.ExitStack() as stack:
        for name, rows in (item for block in blocks for item in block.items()):
            if name not in columns:
                file = stack.enter_context(tempfile.TemporaryFile(dir=os.path.dirname(path) or "."))
                columns[name] = (_Texts if isinstance(rows, list) else _Numbers)(file, rows)
            columns[name].append(rows)
        with atomic_write(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, column in columns.items():
                info = zipfile.ZipInfo(f"{name}.npy")
                info.compress_type = column.compression
                with archive.open(info, "w", force_zip64=True) as member:
                    column.write_npy(member)
