"""data_prep.records.example_proto against TensorFlow's own parser, and against bytes written by the original."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.records.example_proto import encode_example

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)


def parse(serialized):
    """Returns `{name: (kind, [values])}` as TensorFlow reads it."""
    features = tf.train.Example.FromString(serialized).features.feature
    kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
    return {name: (kind, list(getattr(features[name], kind).value)) for name, kind in kinds.items()}


def test_literal_bytes():
    # 300 is the example of the encoding's specification: ac 02.
    assert encode_example({"a": [300]}) == bytes.fromhex("0a0d 0a0b 0a0161 1206 1a04 0a02ac02".replace(" ", ""))
    # 1.0 is 0x3f800000.
    assert encode_example({"a": [1.0]}) == bytes.fromhex("0a0f 0a0d 0a0161 1208 1206 0a04 0000803f".replace(" ", ""))


def test_no_features():
    assert parse(encode_example({})) == {}


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.lists(INT64, max_size=40) | st.lists(FLOAT32, min_size=1)))
def test_any_values_are_read_back(features):
    expected = {
        name: ("float_list" if values and isinstance(values[0], float) else "int64_list", values)
        for name, values in features.items()
    }
    assert parse(encode_example(features)) == expected


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**21, 2**31, 2**63 - 1, -1, -(2**63)])
def test_edges_of_the_varint(value):
    assert parse(encode_example({"x": [value, 5]})) == {"x": ("int64_list", [value, 5])}


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.bool_])
def test_integer_arrays(dtype):
    assert parse(encode_example({"x": np.array([1, 0, 1], dtype)})) == {"x": ("int64_list", [1, 0, 1])}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays(dtype):
    assert parse(encode_example({"x": np.array([0.5, 2], dtype)})) == {"x": ("float_list", [0.5, 2.0])}


def test_empty_values_keep_the_array_type():
    parsed = parse(encode_example({"list": [], "floats": np.zeros(0, np.float32)}))
    assert parsed == {"list": ("int64_list", []), "floats": ("float_list", [])}


def test_too_large_an_integer():
    with pytest.raises(ValueError, match="64 bits"):
        encode_example({"x": [2**63]})


@pytest.mark.parametrize(("golden", "name"), [("core", "sample_small"), ("shared", "sample_real")], indirect=["golden"])
def test_record_of_the_original(golden, name):
    """A record read by TensorFlow and encoded in the order in which it was written: the same bytes."""
    order = ["masked_lm_ids", "input_ids", "masked_lm_positions", "next_sentence_labels", "input_mask"]
    order += ["masked_lm_weights", "segment_ids"]
    for record in tf.data.TFRecordDataset(str(golden / f"pretraining_data/{name}.tfrecord")):
        features = parse(record.numpy())
        assert encode_example({name: features[name][1] for name in order}) == record.numpy()
