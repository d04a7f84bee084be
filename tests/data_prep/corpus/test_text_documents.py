"""data_prep/text_documents.py: plain text files as documents."""

import bz2
import gzip
import lzma

import pytest

from common.errors import InputError
from data_prep.corpus import pretraining_text, text_documents
from data_prep.corpus.text_documents import Options, read_articles

TEXT = "a 1\na 2\n\n\nb  1\n \nc 1\r\nc 2"


def read(path, part=0, parts=1, **options):
    return [
        (offset, document.paragraphs) for offset, document in read_articles(str(path), Options(**options), part, parts)
    ]


@pytest.mark.parametrize(
    ("text_format", "expected"),
    [
        ("paragraphs", [(0, ("a 1", "a 2")), (10, ("b 1",)), (17, ("c 1", "c 2"))]),
        ("sentences", [(0, ("a 1", "a 2")), (10, ("b  1",)), (17, ("c 1", "c 2"))]),
        ("lines", [(0, ("a 1",)), (4, ("a 2",)), (10, ("b 1",)), (17, ("c 1",)), (22, ("c 2",))]),
    ],
)
def test_formats(tmp_path, text_format, expected):
    (tmp_path / "t.txt").write_bytes(TEXT.encode())
    assert read(tmp_path / "t.txt", text_format=text_format) == expected
    for name, compress in (("t.gz", gzip.compress), ("t.bz2", bz2.compress), ("t.xz", lzma.compress)):
        (tmp_path / name).write_bytes(compress(TEXT.encode()))
        assert read(tmp_path / name, text_format=text_format) == expected


@pytest.mark.parametrize("text_format", ["paragraphs", "sentences", "lines"])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 30])
def test_parts_are_the_whole(tmp_path, text_format, parts):
    lines = [f"line {number} " * (number % 4) for number in range(60)]  # each fourth is empty
    (tmp_path / "t.txt").write_text("\n".join(lines))
    whole = read(tmp_path / "t.txt", text_format=text_format)
    assert len(whole) == {"lines": 45}.get(text_format, 15)
    in_parts = [read(tmp_path / "t.txt", part, parts, text_format=text_format) for part in range(parts)]
    assert sum(in_parts, []) == whole


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfone\n")
    assert read(tmp_path / "t.txt") == [(0, ("one",))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"a\n\nb\xff\n", r"t\.txt, line 3: invalid UTF-8 \(byte 2 of the line\)"),
        ("t.gz", gzip.compress(b"a\n\nb\xff\n", mtime=0), r"t\.gz, line 3: invalid UTF-8"),
        ("t.gz", gzip.compress(b"a" * 1000, mtime=0)[:-9], r"t\.gz: cannot be read \(Compressed file ended"),
        ("t.xz", lzma.compress(b"a" * 1000)[:-9], r"t\.xz: cannot be read \(Compressed file ended"),
        ("t.bz2", b"BZh9no archive", r"t\.bz2: cannot be read \(Invalid data stream"),
        ("t.txt", b"", r"t\.txt: no text"),
        ("t.txt", b"\n \n", r"t\.txt: no text in any line"),
        ("t.gz", gzip.compress(b"", mtime=0), r"t\.gz: no text in any line"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_a_text_without_empty_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(text_documents, "MAX_DOCUMENT_CHARS", 1000)
    (tmp_path / "t.txt").write_text("An abstract a line.\n" * 60)
    with pytest.raises(InputError, match="expected an empty line between documents, or --text_format=lines"):
        read(tmp_path / "t.txt")
    assert len(read(tmp_path / "t.txt", text_format="lines")) == 60


@pytest.mark.parametrize(("name", "compress"), [("t.txt", bytes), ("t.gz", gzip.compress)])
def test_a_line_that_would_fill_the_memory(tmp_path, monkeypatch, name, compress):
    monkeypatch.setattr(pretraining_text, "MAX_LINE_BYTES", 1000)
    (tmp_path / name).write_bytes(compress(b"\0" * 5000))
    with pytest.raises(InputError, match=f"{name}: a line of more than .* MB; expected text in lines"):
        read(tmp_path / name)


def test_program(run_process, tmp_path):
    (tmp_path / "t.txt").write_text("One fell. Two rose.\nSee Fig. 1 of it.\n\nEnd.\n")
    arguments = ("-m", "data_prep.plain_text", f"--input_file={tmp_path}/t.txt", f"--output_file={tmp_path}/out.txt")
    result = run_process(*arguments)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.txt").read_text() == "One fell.\nTwo rose.\nSee Fig. 1 of it.\n\nEnd.\n"
    assert "1 files: 2 documents, 4 sentences written" in result.stdout
    assert not (tmp_path / "out.txt.work").exists()
