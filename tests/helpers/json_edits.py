"""Hypothesis strategies of JSON files that are nearly right."""

import json

from hypothesis import strategies as st

# What a value may become, as JSON's text: also what Python's parser refuses, or reads though it is not JSON.
FRAGMENTS = [
    *("null", "true", "0", "-1", "1e999", "NaN", "-Infinity", "9" * 400, "9" * 5000, "0.5", "1.5"),
    *("[]", "{}", '""', '"a"', '"yes"', '"list"', '[["a"]]', '["a", ["b"]]', "[null]", "[[1]]", '{"id": 1}'),
    *('"\\ud800"', '"a\\nb\\u2028c"', '"\\u0000"', '"\U0001d6fc"', '"\\ud835\\udefc"'),
    *("[" * 300 + '"a"' + "]" * 300, "[" * 100_000, "[" * 100_000 + "]" * 100_000, "", "'a'", "]"),
]
MARK = "@mark@"


def _places(value, path=()):
    """All values in a value, as the keys and indices that lead to them."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


def _edited(value, path, what):
    """The value with another one at a place, without it, or (an object's) under another key."""
    if not path:
        return what if what in (MARK, None) else {what: value}
    key, *rest = path
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    if rest or what == MARK:
        items = [(k, _edited(v, rest, what) if k == key else v) for k, v in items]
    elif what is None:
        items = [(k, v) for k, v in items if k != key]
    else:
        items = [(what if k == key else k, v) for k, v in items]
    return dict(items) if isinstance(value, dict) else [v for _, v in items]


@st.composite
def edited_json(draw, document):
    """The bytes of a document of JSON after some edits: values put in, taken out or under another key, then bytes."""
    replaced = []
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(_places(document))))
        what = draw(st.sampled_from([MARK, MARK, MARK, None, "other", "id\nof two lines"]))
        document = _edited(document, path, what)
        text = json.dumps(document)
        if what == MARK:
            replaced.append(draw(st.sampled_from(FRAGMENTS)))
            document = json.loads(text.replace(f'"{MARK}"', f'"@{len(replaced)}@"'))
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    for number, fragment in enumerate(replaced, 1):
        text = text.replace(f'"@{number}@"', fragment)
    content = text.encode()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 3))
        content = content[:start] + draw(st.binary(max_size=3)) + content[start + length :]
    return content


def check_result_or_one_line(process):
    """A program has ended with a result, or with one line that says what is wrong."""
    assert process.returncode in (0, 1), process.stderr
    lines = process.stderr.splitlines()
    if process.returncode:
        assert process.stdout == ""
        assert len(lines) == 1, process.stderr
        assert lines[0].startswith("error: ")
    else:
        assert all(line.startswith("warning: ") for line in lines), process.stderr
