"""The core of what the original code computed, which is part of the repository; see README.md beside this file.

`make.py` writes it from ../shared/golden, and `unpack` lays it out as that folder is, so that a test reads either.
"""

import gzip
import hashlib
import json
import pathlib
import shutil

import h5py
import numpy as np

from modeling import checkpoint

FOLDER = pathlib.Path(__file__).resolve().parent
ARRAYS = FOLDER / "arrays.h5"
STRINGS = FOLDER / "tokenization.jsonl.gz"
FILES = FOLDER / "files"


def unpack(directory):
    """Writes the core to a directory, in the layout and formats of ../shared/golden."""
    shutil.copytree(FILES, directory, dirs_exist_ok=True)
    (directory / "tokenization.jsonl").write_bytes(gzip.decompress(STRINGS.read_bytes()))
    with h5py.File(ARRAYS) as file:
        for key, group in file.items():
            path = directory / key.replace("|", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".npz":
                np.savez(path, **read_arrays(group))
            else:
                checkpoint.save(str(path), read_weights(group))


def read_arrays(group):
    """A group's arrays by name; those rounded to multiples of a `step`, a power of two, are integers in the file."""
    arrays = {}
    for name, dataset in group.items():
        array = dataset[()]
        arrays[name] = (array * dataset.attrs["step"]).astype(np.float32) if "step" in dataset.attrs else array
    return arrays


def read_weights(group):
    """The variables of a checkpoint by name: what its seed gives, and above that what is stored.

    Raises:
      ValueError: they are not bit for bit those that were recorded.
    """
    weights = {}
    if "seed" in group.attrs:
        weights |= draw_weights(group.attrs["seed"], json.loads(group.attrs["shapes"]))
    weights |= {name.replace("|", "/"): array for name, array in read_arrays(group).items()}
    if digest(weights) != group.attrs["sha256"]:
        raise ValueError(f"{group.name}: the weights here are not those recorded; NumPy {np.__version__} drew others")
    return weights


def draw_weights(seed, shapes):
    """The random weights of a fixture, which were drawn in the order of their names.

    Args:
      seed: of NumPy's older generator, whose stream does not change from version to version (NEP 19).
      shapes: a dict by name. Matrices have mean 0 and standard deviation 0.05, vectors 0 and 0.1, gammas 1 and 0.1.

    Returns:
      A dict by name of float32 arrays.
    """
    random = np.random.RandomState(seed)
    weights = {}
    for name, shape in sorted(shapes.items()):
        deviation, mean = (0.1 if len(shape) == 1 else 0.05), float(name.endswith("gamma"))
        draws = random.standard_normal(shape).astype(np.float32)
        weights[name] = draws * np.float32(deviation) + np.float32(mean)
    return weights


def digest(arrays):
    """The SHA-256 of arrays in the order of their names, in hexadecimal."""
    sha256 = hashlib.sha256()
    for name in sorted(arrays):
        sha256.update(np.ascontiguousarray(arrays[name]).tobytes())
    return sha256.hexdigest()
