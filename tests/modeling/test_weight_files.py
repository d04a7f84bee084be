"""Weights in Hugging Face's layout: one file or several, safetensors or PyTorch's."""

import json
import os
import sys
import types

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from common.errors import InputError
from modeling import weight_files

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.1, -0.0], np.float32)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch; pip install -e '.[test]'")


def message(directory):
    with pytest.raises(InputError) as error:
        weight_files.read(directory)
    assert "\n" not in str(error.value)
    return str(error.value)


def assert_read(directory, name, **expected):
    tensors, path = weight_files.read(directory)
    assert path == os.path.join(directory, name)
    assert tensors.keys() == expected.keys()
    for tensor, array in expected.items():
        assert tensors[tensor].dtype == np.float32
        assert tensors[tensor].tobytes() == array.tobytes()


def test_what_is_written_is_read(tmp_path):
    weight_files.write(tmp_path, {"a": A.T, "b": B})
    assert_read(tmp_path, "model.safetensors", a=np.ascontiguousarray(A.T), b=B)


def test_half_precision_becomes_single(tmp_path):
    values = {"a": A.astype(np.float16), "b": A.astype(ml_dtypes.bfloat16)}
    save_file(values, tmp_path / "model.safetensors")
    assert_read(tmp_path, "model.safetensors", a=A, b=A)


def write_index(directory, name, **parts):
    (directory / name).write_text(json.dumps({"metadata": {}, "weight_map": parts}))


def test_several_files(tmp_path):
    save_file({"a": A, "left out": A}, tmp_path / "one.safetensors")
    save_file({"b": B}, tmp_path / "two.safetensors")
    index = "model.safetensors.index.json"
    write_index(tmp_path, index, a="one.safetensors", b="two.safetensors")
    assert_read(tmp_path, index, a=A, b=B)
    write_index(tmp_path, index, a="one.safetensors", b="one.safetensors")
    assert "one.safetensors: tensor b is missing; the index says that it is in this file" in message(tmp_path)
    write_index(tmp_path, index, a="three.safetensors")
    assert "three.safetensors: cannot be read" in message(tmp_path)
    write_index(tmp_path, index, a="../one.safetensors")
    assert "a is in '../one.safetensors'; expected the name of a file in the same directory" in message(tmp_path)
    for text in ("[]", '{"weight_map": []}', '{"weight_map": {}}'):
        (tmp_path / index).write_text(text)
        assert "index.json: no weight_map" in message(tmp_path)


def test_pytorch_s_own_files(torch, tmp_path):
    state = {"a": torch.tensor(A), "b": torch.nn.Parameter(torch.tensor(B))}
    torch.save(state, tmp_path / "pytorch_model.bin")
    assert_read(tmp_path, "pytorch_model.bin", a=A, b=B)
    torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)  # as before 2020
    assert_read(tmp_path, "pytorch_model.bin", a=A, b=B)
    torch.save({"a": torch.tensor(A, dtype=torch.bfloat16)}, tmp_path / "pytorch_model.bin")
    assert_read(tmp_path, "pytorch_model.bin", a=A)
    save_file({"b": B}, tmp_path / "model.safetensors")  # comes first
    assert_read(tmp_path, "model.safetensors", b=B)


def test_several_of_pytorch_s_files(torch, tmp_path):
    torch.save({"a": torch.tensor(A)}, tmp_path / "one.bin")
    torch.save({"b": torch.tensor(B)}, tmp_path / "two.bin")
    write_index(tmp_path, "pytorch_model.bin.index.json", a="one.bin", b="two.bin")
    assert_read(tmp_path, "pytorch_model.bin.index.json", a=A, b=B)


class MakesDirectory:
    """Unpickling it makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_in_a_file_is_run(torch, zipped, tmp_path):
    content = {"a": MakesDirectory(str(tmp_path / "made"))}
    torch.save(content, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert "pytorch_model.bin: cannot be read (UnpicklingError" in message(tmp_path)
    assert not (tmp_path / "made").exists()


def test_damaged_files_of_pytorch(torch, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.tensor(A)}, path)
    whole = path.read_bytes()
    for content in (b"", b"no", whole[:100], whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        assert "pytorch_model.bin: cannot be read" in message(tmp_path)
    torch.save([torch.tensor(A)], path)
    assert "pytorch_model.bin: holds a list of other things; expected tensors by name" in message(tmp_path)
    torch.save({"a": 1}, path)
    assert "expected tensors by name" in message(tmp_path)


def test_pytorch_s_files_need_a_safe_pytorch(tmp_path, monkeypatch):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    says = message(tmp_path)
    assert "pytorch_model.bin: needs PyTorch to be read; expected that (pip install torch), or model.safeten" in says
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cpu"))
    says = message(tmp_path)
    assert "PyTorch 2.5.1+cpu cannot read weights safely (CVE-2025-32434); expected 2.6 or newer" in says


def test_damaged_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": A}, path)
    whole = path.read_bytes()
    for content in (b"", b"no", whole[:20], whole[:-1], whole + b" "):
        path.write_bytes(content)
        assert "model.safetensors: cannot be read (SafetensorError" in message(tmp_path)
    path.unlink()
    assert message(tmp_path).endswith("expected model.safetensors or pytorch_model.bin, or an index of their parts")
