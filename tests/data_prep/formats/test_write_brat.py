"""Annotated documents in brat's standoff format."""

import dataclasses
import os
import re

import pytest
from bioc.brat import decoder
from hypothesis import given, settings

from common.errors import InputError
from data_prep.formats.brat import safe_name
from data_prep.formats.document import Document, Entity, Relation
from data_prep.formats.table import open_writer
from tests.helpers.annotated_samples import ABSTRACT, EMPTY, documents

ANNOTATIONS = """\
T1	Disease 0 11	Lung cancer
T2	Gene 14 18	EGFR
T3	Chemical 19 28	Gefitinib
T4	Gene 38 42	EGFR
T5	Disease 46 50;51 57	lung cancer
T6	Disease 59 64	NSCLC
R1	inhibitor Arg1:T3 Arg2:T4
R2	target_of Arg1:T1 Arg2:T2
#1	AnnotatorNotes T1	confidence 0.98, model ncbi
#2	AnnotatorNotes T3	confidence 1.0, model chem
#3	AnnotatorNotes T5	confidence 0.9, model ncbi
#4	AnnotatorNotes T6	confidence 0.75, model ncbi
#5	AnnotatorNotes R1	confidence 0.8765
"""
# http://brat.nlplab.org/standoff.html
LINES = {
    "T": re.compile(r"T\d+\t[^\s]+ \d+ \d+(;\d+ \d+)*\t[^\t\n]+"),
    "R": re.compile(r"R\d+\t[^\s]+ Arg1:T\d+ Arg2:T\d+"),
    "#": re.compile(r"#\d+\tAnnotatorNotes [TR]\d+\t[^\t\n]+"),
}


def write(directory, *documents):
    with open_writer("brat", str(directory), ["ncbi"]) as writer:
        for document in documents:
            writer.write(document)


def read(path):
    return path.read_bytes().decode("utf-8")


def check_annotations(text, annotations):
    """Checks .ann by the format's rules; returns the (start, end, type) of each entity."""
    entities, lines = [], annotations.splitlines()
    for line in lines:
        assert LINES[line[0]].fullmatch(line), line
        if line[0] == "T":
            kind, offsets = line.split("\t")[1].split(" ", 1)
            spans = [tuple(map(int, pair.split(" "))) for pair in offsets.split(";")]
            assert " ".join(text[start:end] for start, end in spans) == line.split("\t")[2]
            assert spans == sorted(spans)
            assert all(start < end for start, end in spans)
            entities.append((spans[0][0], spans[-1][1], kind))
    ids = [line.split("\t")[0] for line in lines]
    assert len(ids) == len(set(ids))
    assert {name for line in lines if line[0] != "T" for name in re.findall(r"\b[TR]\d+\b", line)} <= set(ids)
    return entities


def test_brat(tmp_path):
    write(tmp_path / "new" / "out", ABSTRACT, EMPTY)
    out = tmp_path / "new" / "out"
    assert sorted(os.listdir(out)) == ["0.ann", "0.txt", "123.ann", "123.txt", "annotation.conf"]
    assert read(out / "123.txt") == ABSTRACT.text
    assert read(out / "123.ann") == ANNOTATIONS
    assert (read(out / "0.txt"), read(out / "0.ann")) == ("", "")


# http://brat.nlplab.org/configuration.html
CONFIGURATION = """\
[entities]
Chemical
Disease
Gene
[relations]
<OVERLAP>	Arg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>
inhibitor	Arg1:Chemical|Gene, Arg2:Disease|Gene
target_of	Arg1:Disease, Arg2:Gene
[events]
[attributes]
"""


def test_the_types_are_declared(tmp_path):
    write(tmp_path, ABSTRACT, dataclasses.replace(ABSTRACT, relations=(Relation("R1", "inhibitor", "T2", "T1"),)))
    assert read(tmp_path / "annotation.conf") == CONFIGURATION


def test_brat_is_read_by_the_library_bioc(tmp_path):
    write(tmp_path, ABSTRACT)
    document = decoder.loads_ann(read(tmp_path / "123.ann"))
    assert [(e.id, e.type, *e.total_span) for e in document.entities][4] == ("T5", "Disease", 46, 57)
    assert document.relations[0].arguments == {"Arg1": "T3", "Arg2": "T4"}
    assert [note.refid for note in document.notes] == ["T1", "T3", "T5", "T6", "R1"]


@given(document=documents())
@settings(max_examples=50, deadline=None)
def test_brat_of_any_text(document, tmp_path_factory):
    out = tmp_path_factory.mktemp("brat")
    write(out, document)
    (text_file,) = out.glob("*.txt")
    assert sorted(os.listdir(out)) == sorted([f"{text_file.stem}.ann", text_file.name, "annotation.conf"])
    text = read(text_file)
    assert text == document.text
    assert check_annotations(text, read(text_file.with_suffix(".ann"))) == [
        (e.start, e.end, e.type.replace(" ", "_")) for e in document.entities
    ]


def test_a_mention_across_lines_is_in_fragments(tmp_path):
    text = "a\r\n b\u2028c\td"
    write(tmp_path, Document("x", text, ((0, len(text)),), "x", entities=(Entity("e", "cell line", 0, len(text)),)))
    assert read(tmp_path / "x.txt") == text
    assert read(tmp_path / "x.ann") == "T1\tcell_line 0 1;3 5;6 7;8 9\ta  b c d\n"


def test_types_and_ids_are_made_safe(tmp_path):
    entities = (Entity("a b", "", 0, 1), Entity("T1", "Gene/é\n", 0, 1))
    write(tmp_path, Document("x", "x", ((0, 1),), "x", (), entities, (Relation("?", "CPR:4", "T1", "a b"),)))
    assert read(tmp_path / "x.ann") == "T1\tEntity 0 1\tx\nT2\tGene___ 0 1\tx\nR1\tCPR_4 Arg1:T2 Arg2:T1\n"


@pytest.mark.parametrize(
    ("document_id", "name"),
    [
        ("PMC123", "PMC123"),
        ("notes.txt", "notes"),
        ("abstract:12", "abstract_12"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..", "document"),
        ("", "document"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a\0b\\c|d\n", "a_b_c_d_"),
        ("Größe", "Größe"),
        ("é" * 300, "é" * 100),
    ],
)
def test_names_of_files(document_id, name):
    assert safe_name(document_id) == name


def test_no_two_documents_share_files(tmp_path):
    same = [
        dataclasses.replace(ABSTRACT, id=name, text=ABSTRACT.text + name) for name in ("a/b", "a|b", "a_b", "a_b.3")
    ]
    write(tmp_path, *same)
    texts = sorted(read(path) for path in tmp_path.glob("*.txt"))
    assert texts == sorted(document.text for document in same)
    assert len(list(tmp_path.glob("*.ann"))) == 4


def test_files_that_are_there_stay(tmp_path):
    write(tmp_path, ABSTRACT)
    write(tmp_path, dataclasses.replace(EMPTY, id="123"))
    assert sorted(os.listdir(tmp_path)) == ["123.2.ann", "123.2.txt", "123.ann", "123.txt", "annotation.conf"]
    assert read(tmp_path / "123.txt") == ABSTRACT.text
    assert read(tmp_path / "123.2.txt") == ""


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write output there"):
        write(tmp_path / "file", ABSTRACT)
