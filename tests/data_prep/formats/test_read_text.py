"""Plain text, a file or a line a document, and files with a word a line."""

import gzip

import pytest

from common import inputs
from common.errors import InputError
from data_prep.formats import table


def read_text(path, bad_document):
    return table.read_documents(path, "text", bad_document)


def read_lines(path, bad_document):
    return table.read_documents(path, "lines", bad_document)


def read_conll(path, bad_document):
    return table.read_documents(path, "conll", bad_document)


@pytest.fixture
def read(tmp_path):
    """Writes bytes to a file and reads it; returns documents and messages, without the directory."""

    def run(reader, data, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(data)
        messages = []
        documents = list(reader(str(path), messages.append))
        return documents, [message.replace(f"{tmp_path}/", "") for message in messages]

    return run


def paragraphs_of(document):
    return [document.text[start:end] for start, end in document.paragraphs]


# Text


def test_a_text_file_is_untouched_and_blank_lines_separate_its_paragraphs(read):
    data = "\ufeff Títle\r\n\r\nOne line\nthat goes on.  \n \t\nThird \U0001f600.\r\rFourth\rgoes on".encode()
    (document,), _ = read(read_text, data)
    assert document.text.encode() == data
    assert document.paragraphs == ((2, 7), (11, 33), (39, 47), (49, 63))
    assert paragraphs_of(document) == ["Títle", "One line\nthat goes on.", "Third \U0001f600.", "Fourth\rgoes on"]
    assert document.id == "a.txt"
    assert document.words is None


def test_a_compressed_text_file(read):
    (document,), _ = read(read_text, gzip.compress(b"A text.\n"), "a.txt.gz")
    assert (document.text, document.paragraphs) == ("A text.\n", ((0, 7),))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.txt: empty; expected UTF-8 text"),
        (b" \n\r\n\t", "a.txt: nothing but white space; expected text"),
        (b"good\nb\xc3\xa4d\xe9 x\n", "a.txt, line 2: invalid UTF-8 (byte 5 of the line); expected UTF-8 text"),
        (b"good\ncut \xe2\x82", "a.txt, line 2: invalid UTF-8 (byte 5 of the line); expected UTF-8 text"),
        (b"\x89PNG\r\n\0\0", "a.txt: binary, or UTF-16 (byte 7 is 0); expected UTF-8 text"),
        (b"x" * 20000 + b"\nab\0", "a.txt, line 2: byte 3 of the line is 0; expected UTF-8 text"),
        (gzip.compress(b"A text.", mtime=0)[:-9], "a.txt: cannot be read (Compressed file ended"),
        (gzip.compress(b"A text.", mtime=0)[:10] + b"\xff" * 9, "a.txt: cannot be read (Error -3 while decompressing"),
    ],
)
def test_text_that_cannot_be_read(read, tmp_path, data, message):
    with pytest.raises(InputError) as caught:
        read(read_text, data)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_too_long(read, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="none.txt: cannot be read .No such file"):
        list(read_text(str(tmp_path / "none.txt"), None))
    monkeypatch.setattr("data_prep.formats.text.MAX_DOCUMENT_BYTES", 1_000_000)
    with pytest.raises(InputError, match="a.txt: more than 1 MB; expected one document, or the input format lines"):
        read(read_text, b"words " * 200_000)


def test_ten_megabytes_on_one_line(read):
    data = b"words " * 1_750_000
    (document,), _ = read(read_text, data)
    assert document.paragraphs == ((0, len(data) - 1),)
    (document,), messages = read(read_lines, data)
    assert len(document.text) == len(data)
    assert not messages


# Lines


def test_each_line_is_a_document(read):
    data = "\ufeff First. \r\n\n \t\r\nSecond\u2028still\rit.\nThe last".encode()
    documents, messages = read(read_lines, data)
    assert [(d.id, d.text, d.paragraphs) for d in documents] == [
        ("a.txt:1", " First. ", ((1, 7),)),
        ("a.txt:4", "Second\u2028still\rit.", ((0, 16),)),
        ("a.txt:5", "The last", ((0, 8),)),
    ]
    assert documents[1].source.endswith("/a.txt, line 4")
    assert not messages


def test_lines_that_end_with_carriage_returns_alone_are_refused(read):
    with pytest.raises(InputError, match=r"a.txt: lines that end with \\r alone; expected"):
        read(read_lines, b"One.\rTwo.\r")
    (document,), _ = read(read_lines, b"One.\r")
    assert document.text == "One."


def test_bad_lines_are_left_out_and_told(read, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_DOCUMENT_BYTES", 1_000_000)
    long = b"x" * 2_500_000
    just_fits = b"x" * 999_999
    data = b"\n".join(
        [just_fits, just_fits + b"y", b"one", b"t\xe9o", long, b"four", b"fi\0ve" + b" " * 9000, b"six", long]
    )
    documents, messages = read(read_lines, data)
    assert [document.text for document in documents][1:] == ["one", "four", "six"]
    assert [document.id for document in documents] == ["a.txt:1", "a.txt:3", "a.txt:6", "a.txt:8"]
    assert messages == [
        "a.txt, line 2: more than 1 MB in a line; expected less",
        "a.txt, line 4: invalid UTF-8 (byte 2 of the line); expected UTF-8 text",
        "a.txt, line 5: more than 1 MB in a line; expected less",
        "a.txt, line 7: byte 3 of the line is 0; expected UTF-8 text",
        "a.txt, line 9: more than 1 MB in a line; expected less",
    ]


def test_lines_before_the_damage_of_a_file_are_read(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"".join(b"line %d\n" % i for i in range(50_000)))[:-2000])
    documents = []
    with pytest.raises(InputError, match="a.gz: cannot be read"):
        documents.extend(read_lines(str(tmp_path / "a.gz"), None))
    assert documents[0].text == "line 0"


def test_lines_without_text(read):
    with pytest.raises(InputError, match="a.txt: no text in any line"):
        read(read_lines, b"\n \r\n\n")
    with pytest.raises(InputError, match="a.txt: empty"):
        read(read_lines, b"")


# CoNLL


def test_words_of_a_file_with_labels(read):
    data = "BRCA1\tO\nin\tO\nbreast\tB\ncancer\tI\n\n \t\nDe\u00a0novo O\r\n. O".encode()
    (document,), messages = read(read_conll, data, "a.tsv")
    assert document.text == "BRCA1 in breast cancer\nDe\u00a0novo ."
    assert document.words == (((0, 5), (6, 8), (9, 15), (16, 22)), ((23, 30), (31, 32)))
    assert document.paragraphs == ((0, 22), (23, 32))
    assert (document.id, document.entities, messages) == ("a.tsv", (), [])


def test_docstart_begins_a_document_and_labels_are_not_demanded(read):
    data = b"-DOCSTART- -X- O\n\nOne\n\n-DOCSTART-\n-DOCSTART-\tx\nTwo words\n.\n"
    documents, _ = read(read_conll, data, "a.conll")
    assert [(d.id, d.text, d.words) for d in documents] == [
        ("a.conll:1", "One", (((0, 3),),)),
        ("a.conll:6", "Two .", (((0, 3), (4, 5)),)),
    ]


def test_a_bad_document_among_words(read):
    data = b"One\tO\n-DOCSTART-\nt wo\tO\n\xff\tO\n-DOCSTART-\nThree\tO\n"
    documents, messages = read(read_conll, data, "a.tsv")
    assert [document.text for document in documents] == ["One", "Three"]
    assert messages == ["a.tsv, line 3: a space in the word 't wo'; expected word, tab, label"]


def test_a_file_without_words(read):
    with pytest.raises(InputError, match="a.tsv: no word"):
        read(read_conll, b"\n-DOCSTART-\n\n", "a.tsv")


def test_words_of_the_ner_data(shared):
    path = shared / "data/ner/NCBI-disease/devel.tsv"
    (document,) = read_conll(str(path), None)
    sentences = [
        [line.split("\t")[0] for line in block.split("\n")] for block in path.read_text().strip().split("\n\n")
    ]
    assert [[document.text[start:end] for start, end in words] for words in document.words] == sentences
    assert [document.text[start:end] for start, end in document.paragraphs] == [" ".join(s) for s in sentences]
