"""Serializes tf.train.Example without building the message.

Building and serializing the protobuf message takes most of the time of writing records; the bytes themselves
are simple. They follow tensorflow/core/example/example.proto and feature.proto,

    Example   { features: Features = 1 }
    Features  { feature: map<string, Feature> = 1 }      # a map entry is a message { key = 1, value = 2 }
    Feature   { float_list: FloatList = 2 | int64_list: Int64List = 3 }
    FloatList { value: repeated float = 1, packed }      # 4 bytes each, little endian
    Int64List { value: repeated int64 = 1, packed }      # varints

in the encoding of https://protobuf.dev/programming-guides/encoding: a field is its tag
(`number << 3 | wire type`), here always of wire type 2 (length, then that many bytes).
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

# Tags of the length-delimited fields with the numbers 1, 2, 3.
FIELD_1, FIELD_2, FIELD_3 = b"\x0a", b"\x12", b"\x1a"
CACHED_VARINTS = 1 << 17  # values below this, which covers any vocabulary id, are encoded once


def _varint(value):
    """Seven bits a byte, lowest first, the high bit set on all bytes but the last."""
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} does not fit into 64 bits")
    value &= (1 << 64) - 1  # a negative int64 is written as its two's complement, in ten bytes
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class _Varints(dict):
    """Varint of each integer, made when first asked for."""

    def __missing__(self, value):
        encoded = _varint(value)
        if 0 <= value < CACHED_VARINTS:
            self[value] = encoded
        return encoded


_VARINTS = _Varints()


def _field(tag, payload):
    return tag + _VARINTS[len(payload)] + payload


def _encode_ints(values):
    if values and max(values) < 0x80 and min(values) >= 0:
        return bytes(values)
    return b"".join(map(_VARINTS.__getitem__, values))


def encode_feature(name, values):
    """Returns the bytes of one named feature, to be joined by `encode_features`; see `encode_example`."""
    if isinstance(values, np.ndarray):
        is_float = values.dtype.kind == "f"
        values = values.ravel().tolist()
    else:
        is_float = len(values) > 0 and isinstance(values[0], (float, np.floating))
    if is_float:
        tag, packed = FIELD_2, struct.pack(f"<{len(values)}f", *values)
    else:
        tag, packed = FIELD_3, _encode_ints(values)
    feature = _field(tag, _field(FIELD_1, packed) if packed else b"")
    return _field(FIELD_1, _field(FIELD_1, name.encode()) + _field(FIELD_2, feature))


def encode_features(encoded):
    """Returns the serialized tf.train.Example of features which `encode_feature` has encoded."""
    return _field(FIELD_1, b"".join(encoded))


def encode_example(features: Mapping[str, Sequence[int] | Sequence[float] | np.ndarray]) -> bytes:
    """Returns the serialized tf.train.Example with these features, in the mapping's order.

    Args:
      features: by name, a one-dimensional sequence. Integers become an `int64_list`, floats a `float_list`
        (rounded to 32 bits); an array's dtype says which, of a list its first value. An empty list is an
        `int64_list`.

    Raises:
      ValueError: an integer of more than 64 bits.
    """
    return encode_features([encode_feature(name, values) for name, values in features.items()])
