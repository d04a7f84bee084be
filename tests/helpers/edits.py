"""Changes to bytes of the kinds that files suffer, for property-based tests."""

from hypothesis import strategies as st

# What tends to go wrong, beside any bytes.
NASTY = [
    *(
        b"",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r",
        b"\t",
        b"\n\n",
        b"&lol;",
        b"<x:y/>",
        b"<!--",
        b"]]>",
    ),
    *(b"null", b"[]", b"{}", b'{"a": [1]}', b"-1", b"1e999", b"9" * 5000, b"[" * 500, b'"\\ud800"', b"true", b"|t|"),
]
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(NASTY), st.binary(max_size=4))), max_size=4
)


def edited(data, changes):
    """Applies changes, drawn from `edits`, to bytes."""
    for place, length, new in changes:
        start = int(place * len(data))
        data = data[:start] + new + data[start + length :]
    return data
