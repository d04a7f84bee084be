"""data_prep/xml_elements.py: files, compression, encodings, entities and what is wrong with them."""

import gzip

import pytest

from common import xml_elements
from common.errors import InputError
from common.xml_elements import read_elements

CONTENT = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE set SYSTEM "https://dtd.example.org/set.dtd">
<set>
  <a>one</a><b>two</b>
  <other><a>th<!-- note -->r<?note?>ee</a></other>
  <a>&#945;</a>
</set>
"""
EXPECTED = ["one", "three", "α"]


@pytest.fixture
def read(tmp_path):
    """Reads content as a file: the text of its elements, `a` unless told otherwise."""

    def read_all(content, name="x.xml", tag="a", root_tag="set"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ["".join(e.itertext()) for e in read_elements(str(tmp_path / name), tag, root_tag)]

    return read_all


def test_one_tag_and_several(read):
    assert read(CONTENT) == EXPECTED
    assert read(CONTENT, tag=("b", "a")) == ["one", "two", "three", "α"]


@pytest.mark.parametrize("name", ["x.xml.gz", "x.xml"])
def test_gzip_is_known_by_its_content(read, name):
    assert read(gzip.compress(CONTENT.encode()), name) == EXPECTED
    assert read(CONTENT, name) == EXPECTED


def test_several_members_of_gzip(read):
    assert read(gzip.compress(CONTENT[:150].encode()) + gzip.compress(CONTENT[150:].encode())) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-7", "utf-8-sig"])
def test_encodings(read, encoding):
    content = CONTENT.replace("utf-8", encoding.removesuffix("-sig")).replace("&#945;", "α")
    assert read(content.encode(encoding)) == EXPECTED


def test_files_longer_than_a_chunk(read):
    texts = [f"{i} {'é' * 150_000} {i}" for i in range(5)]  # 300 kB each, and a character across a border
    assert read(f"<set>{''.join(f'<a>{text}</a>' for text in texts)}</set>") == texts


def test_what_was_read_is_freed(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text(f"<set>{'<c><a>text</a><b/></c>' * 1000}</set>")
    number = 0
    for element in read_elements(str(path), "c", "set"):
        before = list(element.itersiblings(preceding=True))
        assert [len(e) for e in before] == [0] * min(number, 1)
        number += 1
    assert number == 1000


def test_entities_from_outside_are_neither_fetched_nor_expanded(read, tmp_path):
    (tmp_path / "secret").write_text("secret")
    declared = f'<!ENTITY word "expanded"><!ENTITY file SYSTEM "{tmp_path}/secret"><!ENTITY % more SYSTEM "more.dtd">'
    assert read(f"<!DOCTYPE set [{declared}]><set><a>x &word; &file;</a></set>") == ["x &word; &file;"]


def test_entity_bombs(read):
    declared = '<!ENTITY a0 "aaaaaaaaaaaaaaaa">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 16}">' for i in range(1, 9)
    )
    with pytest.raises(InputError, match="entity amplification"):
        read(f'<!DOCTYPE set [{declared}]><set><a x="&a8;"/></set>')


COMPRESSED = gzip.compress(CONTENT.encode())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.xml", CONTENT.replace("</b>", ""), r"line 7: not well-formed XML: Opening and ending tag mismatch: b"),
        ("x.xml", CONTENT[:150], r"line \d: not well-formed XML: "),
        ("x.xml", "", r"line 1: not well-formed XML: no element found$"),
        ("x.xml", CONTENT + "<more/>", r"line 8: not well-formed XML: Extra content"),
        ("x.xml", "<html>\n</html>", r"line 1: root element html; expected set$"),
        ("x.xml", CONTENT.replace("utf-8", "klingon-8"), r"line 1: not well-formed XML: .*klingon-8$"),
        ("x.xml", CONTENT.encode().replace(b"two", b"\xe9t\xe9"), r"line 4: not well-formed XML: .*[Ii]nvalid bytes"),
        ("x.xml", CONTENT.encode("utf-16")[:-40], r"line \d: not well-formed XML: "),
        ("x.xml", CONTENT.replace("two", "\0"), r"line 4: not well-formed XML: .*Char 0x0 out of allowed range$"),
        ("x.xml", "<set>\n<a>&alpha;</a></set>", r"line 2: not well-formed XML: Entity 'alpha' not defined$"),
        ("x.xml", "<set>\n<m:a/></set>", r"line 2: not well-formed XML: Namespace prefix m on a is not defined$"),
        ("x.xml", "<set>" + "<b>" * 300, r"line 1: not well-formed XML: Excessive depth"),
        ("x.xml.gz", COMPRESSED[:-30], r" cannot be read \(Compressed file ended"),
        ("x.xml.gz", COMPRESSED[:-8] + b"\0" * 8, r" cannot be read \(CRC check"),
        ("x.xml.gz", COMPRESSED + b"more", r" cannot be read \(Not a gzipped file"),
        ("x.xml.gz", COMPRESSED[:20] + b"\xff" * 99, r" cannot be read \(Error -3 while decompressing"),
        ("x.xml.gz", b"no archive", r"line 1: not well-formed XML: Start tag expected"),
    ],
)
def test_bad_files(read, name, content, message):
    with pytest.raises(InputError, match=rf"/{name}[,:] ?{message}") as error:
        read(content, name)
    assert "\n" not in str(error.value)


def test_what_comes_before_the_error_is_read(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text("<set>" + "<a>text</a>" * 50_000 + "<open>")
    elements = read_elements(str(path), "a", "set")
    assert next(elements).text == "text"
    with pytest.raises(InputError, match="not well-formed"):
        list(elements)


def test_a_missing_file():
    with pytest.raises(InputError, match=r"^no/such\.xml: cannot be read \(No such file"):
        list(read_elements("no/such.xml", "a", "set"))


def test_several_names_of_the_root(read):
    assert read("<sets/>", root_tag=("set", "sets")) == []
    with pytest.raises(InputError, match="root element page; expected set or sets$"):
        read("<page/>", root_tag=("set", "sets"))


def test_too_much_between_two_elements(tmp_path, monkeypatch):
    """All that is not wanted would be in memory until the next element that is."""
    monkeypatch.setattr(xml_elements, "MAX_ELEMENT_BYTES", 1_000_000)
    path = tmp_path / "x.xml"
    path.write_text("<r>" + "<e>text</e>" * 200_000 + "</r>")
    assert sum(1 for _ in read_elements(str(path), "e", "r")) == 200_000
    with pytest.raises(InputError, match="x.xml: 1 MB without an element a or b"):
        list(read_elements(str(path), ("a", "b"), "r"))
