"""Which inputs there are, of what format they are, and that each comes to its reader."""

import gzip
import io
import os
import sys
import tracemalloc

import pytest

from common.errors import InputError
from data_prep.formats import table

PUBTATOR = "123|t|A title.\n123|a|An abstract.\n"
PUBMED = """<?xml version="1.0" encoding="utf-8"?>
<!-- <collection> --><!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD" "https://dtd.nlm.nih.gov/x.dtd">
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>A title.</ArticleTitle>
</Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"""
PMC = '<article xmlns:xlink="x"><front/><body><p>A text.</p></body></article>'
BIOC_XML = """<collection><document><id>5</id><passage><offset>0</offset><text>A text.</text></passage></document>
</collection>"""
JSON_DOCUMENT = '{"id": "5", "passages": [{"offset": 0, "text": "A text."}]}'
BIOC_JSON = f'{{"documents": [{JSON_DOCUMENT}]}}'


@pytest.fixture
def standard_input(monkeypatch):
    """Puts bytes on standard input."""

    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    return give


def read(path, input_format="auto"):
    """The documents of an input without bad ones."""
    messages = []
    documents = list(table.read_documents(str(path), input_format, messages.append))
    assert not messages
    return documents


# Inputs


def test_files_patterns_and_directories(tmp_path):
    for name in ("b.txt", "a.txt", "d/z.xml", "d/e/y.txt", "d/.hidden", "d/.git/x.txt", "c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    os.symlink(tmp_path, tmp_path / "d/loop")
    listed = table.list_inputs(f"{tmp_path}/c.json, {tmp_path}/d,{tmp_path}/*.txt,{tmp_path}/a.txt")
    assert listed == [f"{tmp_path}/{name}" for name in ("c.json", "d/e/y.txt", "d/z.xml", "a.txt", "b.txt")]


def test_the_output_directory_is_no_input(tmp_path):
    (tmp_path / "in/out").mkdir(parents=True)
    for name in ("in/a.txt", "in/out/done.jsonl"):
        (tmp_path / name).write_text("x")
    assert table.list_inputs(f"{tmp_path}/in/", f"{tmp_path}/in/../in/out/") == [f"{tmp_path}/in/a.txt"]
    assert table.list_inputs(f"{tmp_path}/in/a.txt", f"{tmp_path}/in") == [f"{tmp_path}/in/a.txt"]
    with pytest.raises(InputError, match="in: is the output directory as well"):
        table.list_inputs(f"{tmp_path}/in", f"{tmp_path}/in/")


def test_standard_input_is_an_input():
    assert table.list_inputs("-") == ["-"]


def test_nothing_to_read(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none.txt: no such file"):
        table.list_inputs(f"{tmp_path}/none.txt")
    with pytest.raises(InputError, match="empty: no files in this directory"):
        table.list_inputs(f"{tmp_path}/empty")
    with pytest.raises(InputError, match="names no file"):
        table.list_inputs(" , ")


# Formats

SAMPLES = [
    ("a.txt", "A text.", "text"),
    ("a.TXT", "<5 mg | of it", "text"),
    ("a.txt", "\ufeff\n" + PUBTATOR, "pubtator"),
    ("a.pubtator", "x", "pubtator"),
    ("a.xml", PUBMED, "pubmed"),
    ("a.xml", PMC, "pmc"),
    ("a.xml", BIOC_XML, "bioc_xml"),
    ("a.xml", "<collection>" + "x" * 100_000, "bioc_xml"),
    ("a.nxml", "damaged", "pmc"),
    ("a.tar.gz", "x", "pmc"),
    ("a.json", BIOC_JSON, "bioc_json"),
    ("a.jsonl", "{}", "bioc_json"),
    ("a.tsv", "Word\tO\n", "conll"),
    ("a.conll", "Word\n", "conll"),
    ("noname", BIOC_XML, "bioc_xml"),
    ("noname", PUBTATOR, "pubtator"),
    ("noname", BIOC_JSON, "bioc_json"),
]


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("name", "content", "expected"), SAMPLES)
def test_the_format_of_a_file(tmp_path, name, content, expected, compress):
    path = tmp_path / (name if compress is bytes else f"{name}.gz".replace(".gz.gz", ".gz"))
    path.write_bytes(compress(content.encode()))
    assert table.detect_format(str(path)) == expected


def test_xml_in_another_encoding(tmp_path):
    (tmp_path / "a.xml").write_bytes(BIOC_XML.encode("utf-16"))
    (document,) = read(tmp_path / "a.xml")
    assert document.text == "A text."


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.xml", "<html><body/></html>", "root element html"),
        ("a.pdf", "%PDF-1.7", "extension '.pdf'"),
        ("noname", "A text.", "extension ''"),
        ("a.xml", "", "extension '.xml'"),
    ],
)
def test_a_file_whose_format_cannot_be_told(tmp_path, name, content, found):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        table.detect_format(str(tmp_path / name))
    assert str(caught.value) == (
        f"{tmp_path / name}: cannot tell the format ({found}); expected one of text, lines, pubmed, pmc, pubtator, "
        "bioc_xml, bioc_json, brat, conll as the input format"
    )


def test_a_damaged_file_is_its_reader_s(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(InputError, match="a.txt.gz: cannot be read"):
        read(tmp_path / "a.txt.gz")
    with pytest.raises(InputError, match="none.xml: cannot be read .No such file"):
        table.detect_format(str(tmp_path / "none.xml"))


def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)  # so that neither end waits for the other
    os.write(descriptor, b"One\nTwo\n")
    assert table.detect_format(str(path)) == "text"
    documents = table.read_documents(str(path), "lines", None)
    assert [next(documents).text, next(documents).text] == ["One", "Two"]
    os.close(descriptor)


# Documents


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "input_format", "text"),
    [
        ("A text.\n", "text", "A text.\n"),
        ("A text.\n", "lines", "A text."),
        ("A O\ntext O", "conll", "A text"),
        (PUBTATOR, "pubtator", "A title.\nAn abstract."),
        (PUBMED, "pubmed", "A title."),
        (PMC, "pmc", "A text."),
        (BIOC_XML, "bioc_xml", "A text."),
        (BIOC_JSON, "bioc_json", "A text."),
    ],
)
def test_every_format_from_a_file_and_from_standard_input(
    tmp_path, standard_input, content, input_format, text, compress
):
    data = compress(content.encode())
    (tmp_path / "sample").write_bytes(data)
    (document,) = read(tmp_path / "sample", input_format)
    assert document.text == text
    assert all(text[start:end].strip() == text[start:end] != "" for start, end in document.paragraphs)
    standard_input(data)
    (same,) = read("-", input_format)
    assert (same.text, same.paragraphs, same.source.split(",")[0]) == (text, document.paragraphs, "standard input")
    if input_format not in ("lines", "conll"):  # which look like any text
        standard_input(data)
        assert read("-") == [same] or input_format.startswith("bioc")  # whose origins are objects of a library
        standard_input(data)
        assert table.detect_format("-") == input_format


def test_an_empty_standard_input(standard_input):
    standard_input(b"")
    with pytest.raises(InputError, match="standard input: empty"):
        read("-")


@pytest.mark.parametrize(
    ("input_format", "before", "content", "after"),
    [
        ("lines", "", "A line of some words in it.\n", ""),
        ("conll", "", "-DOCSTART-\nWord\tO\n.\tO\n\n", ""),
        ("pubtator", "", PUBTATOR, ""),
        ("bioc_json", '{"documents": [', f"{JSON_DOCUMENT},", "{}]}"),
    ],
)
def test_memory_does_not_grow_with_the_number_of_documents(tmp_path, input_format, before, content, after):
    size = 300_000
    (tmp_path / "sample").write_text(before + content * (size // len(content)) + after)
    documents = table.read_documents(str(tmp_path / "sample"), input_format, lambda message: None)
    next(documents)
    tracemalloc.start()
    count = sum(1 for _ in documents)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == size // len(content) - 1
    assert peak < 2_000_000  # bytes; all documents together take several times as much
