"""The files of a model directory in Hugging Face's layout that hold its weights: safetensors, or PyTorch's own.

Both may be in one file or in several with an index (`model-00001-of-00002.safetensors`). PyTorch's files are pickled;
they are read by PyTorch itself, which makes nothing but tensors of them, and only where there is no safetensors file.
"""

import os
from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_json

SAFETENSORS = "model.safetensors"
PYTORCH = "pytorch_model.bin"
# An older PyTorch can be made to run code by a file that it was told to read weights alone from (CVE-2025-32434).
SAFE_TORCH = (2, 6)
_FLOATS = ("float32", "float16", "bfloat16", "float64")


def read(directory: str) -> tuple[dict[str, np.ndarray], str]:
    """All tensors of a model.

    Args:
      directory: path.

    Returns:
      A dict from name to array, float32 where the tensor is of any floating type; and the path of the file, or index,
      for messages.

    Raises:
      InputError: no such file, a damaged one, or one that needs PyTorch where there is none.
    """
    for name, read_file in ((SAFETENSORS, _read_safetensors), (PYTORCH, _read_pytorch)):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return _as_float32(read_file(path)), path
        index = f"{path}.index.json"
        if os.path.exists(index):
            tensors: dict[str, np.ndarray] = {}
            for part, names in _read_index(index).items():
                tensors |= _some_of(read_file(part), names, part)
            return _as_float32(tensors), index
    raise InputError(f"{directory}: no weights there; expected {SAFETENSORS} or {PYTORCH}, or an index of their parts")


def write(directory: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes `model.safetensors`, as transformers does.

    Args:
      directory: path.
      tensors: a dict from name to array.
    """
    # The library takes an array's memory as it lies, whatever the strides of a transposed one say.
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic_write(os.path.join(directory, SAFETENSORS), "wb") as file:
        file.write(safetensors.numpy.save(arrays, metadata={"format": "pt"}))  # transformers refuses a file without


def _read_safetensors(path):
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({_first_line(error)}); expected a safetensors file") from None


def _read_pytorch(path):
    torch = _import_torch(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that is damaged or no state dict, it raises whatever its unpickler met
        raise InputError(f"{path}: cannot be read ({_first_line(error)}); expected the weights of a model") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds a {type(state).__name__} of other things; expected tensors by name")
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
        for name, tensor in state.items()
    }


def _import_torch(path):
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: needs PyTorch to be read; expected that (pip install torch), or {SAFETENSORS} in its place"
        ) from None
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        raise InputError(
            f"{path}: PyTorch {torch.__version__} cannot read weights safely (CVE-2025-32434); "
            f"expected {'.'.join(map(str, SAFE_TORCH))} or newer, or {SAFETENSORS} in place of this file"
        )
    return torch


def _read_index(path):
    """The parts that an index names, as a dict from path to the names of its tensors."""
    expected = "JSON with a weight_map from tensor to file"
    index = read_json(path, expected)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not names:
        raise InputError(f"{path}: no weight_map; expected {expected}")
    parts: dict[str, list[str]] = {}
    for tensor, file in names.items():
        if not isinstance(file, str) or os.path.basename(file) != file or not file:
            raise InputError(f"{path}: {tensor} is in {file!r}; expected the name of a file in the same directory")
        parts.setdefault(os.path.join(os.path.dirname(path), file), []).append(tensor)
    return parts


def _some_of(tensors, names, path):
    for name in names:
        if name not in tensors:
            raise InputError(f"{path}: tensor {name} is missing; the index says that it is in this file")
    return {name: tensors[name] for name in names}


def _as_float32(tensors):
    return {name: array.astype(np.float32) if array.dtype.name in _FLOATS else array for name, array in tensors.items()}


def _first_line(error):
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
