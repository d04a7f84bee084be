"""common/inputs.py: JSON that is none, and the shape of settings files; common/files.py: what an output keeps."""

import contextlib
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from common.files import write_lines
from common.inputs import Key, check_keys, expand_patterns, read_json

KEYS = {
    "rate": Key(float, 0, 1),
    "length": Key(int, low=3),
    "task": Key(str, choices=("ner", "re")),
    "negative": Key(str, may_be_null=True),
    "cased": Key(bool, needed=False),
}
GOOD = {"rate": 0, "length": 3, "task": "re", "negative": None, "more": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,}', r"x\.json, line 1: not JSON \(.*\); expected settings"),
        (b'{"a":\n ' + b"9" * 5000 + b"}", r"x\.json: a number of more than 4,300 digits; expected settings"),
        (b"[" * 100_000, r"x\.json: nested too deeply; expected settings"),
        (b'{"a": "\\ud800"}', r"x\.json: half of a character \(a lone surrogate\) in a text; expected settings"),
        (b'{"\\uDBFF": 1}', r"x\.json: half of a character"),
        (b'{"a": "\xff"}', r"x\.json, line 1: invalid UTF-8"),
    ],
)
def test_what_is_no_json_is_said(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(str(tmp_path / "x.json"), "settings")


def test_pairs_of_surrogates_are_characters(tmp_path):
    (tmp_path / "x.json").write_text('["\\ud83d\\ude00", "\\\\ud800"]')
    assert read_json(str(tmp_path / "x.json"), "texts") == ["\N{GRINNING FACE}", "\\ud800"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 1.5}, "f: rate is 1.5; expected a number from 0 to 1"),
        ({"rate": -0.1}, "f: rate is -0.1; expected a number from 0 to 1"),
        ({"rate": True}, "f: rate is true; expected a number from 0 to 1"),
        ({"rate": float("nan")}, "f: rate is NaN; expected a number from 0 to 1"),
        ({"length": 2}, "f: length is 2; expected a whole number from 3"),
        ({"length": 4.0}, "f: length is 4.0; expected a whole number from 3"),
        ({"task": "qa"}, 'f: task is "qa"; expected one of ner, re'),
        ({"task": None}, "f: task is null; expected one of ner, re"),
        ({"negative": 0}, "f: negative is 0; expected a text or null"),
        ({"cased": "x" * 100}, f'f: cased is "{"x" * 59}...; expected true or false'),
    ],
)
def test_settings_of_another_shape_are_named(change, message):
    check_keys(GOOD, KEYS, "f")
    with pytest.raises(InputError) as error:
        check_keys(GOOD | change, KEYS, "f")
    assert str(error.value) == message


def test_bounds_of_numbers():
    for rate in (0, 0.0, 1, 1.0):  # which are good themselves
        check_keys(GOOD | {"rate": rate}, KEYS, "f")
    for scale in (-1e299, 0.5, 10**299):
        check_keys({"scale": scale}, {"scale": Key(float)}, "f")
    for scale in (float("inf"), float("-inf"), float("nan"), 1e301, -(10**301), 10**400):  # 10**400 is no float
        with pytest.raises(InputError, match="^f: scale is .{1,70}; expected a number$"):
            check_keys({"scale": scale}, {"scale": Key(float)}, "f")


def test_settings_that_are_missing_are_named():
    for missing in set(KEYS) - {"cased"}:
        with pytest.raises(InputError, match=f"f: no {missing}; expected rate, length, task, negative"):
            check_keys({name: value for name, value in GOOD.items() if name != missing}, KEYS, "f")
    with pytest.raises(InputError, match=r"f: \[1\]; expected an object with rate"):
        check_keys([1], KEYS, "f")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "x"]), inner, max_size=5),
)


@given(json_values)
def test_any_value_is_a_setting_or_is_named(value):
    with contextlib.suppress(InputError):
        check_keys(value, KEYS, "f")
        assert 0 <= value["rate"] <= 1
        assert value["length"] >= 3
        assert value["task"] in ("ner", "re")


def test_a_name_may_have_a_comma(tmp_path):
    (tmp_path / "a, b.txt").write_text("x")
    assert expand_patterns(f"{tmp_path}/a, b.txt") == [f"{tmp_path}/a, b.txt"]


def test_an_output_keeps_its_permissions(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("before")
    path.chmod(0o640)
    write_lines(str(path), ["after"])
    assert (path.read_text(), stat.S_IMODE(os.stat(path).st_mode)) == ("after\n", 0o640)
    assert list(tmp_path.iterdir()) == [path]
