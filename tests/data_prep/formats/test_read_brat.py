"""brat's files as documents: `.txt` and `.ann`, what of them is used and what is counted."""

import pytest

from common.errors import InputError
from data_prep.formats import table
from data_prep.formats.document import Entity, Relation
from data_prep.formats.placement import Report

TEXT = "Aspirin in α-asthma\n\n  Lung\ncancer, ovarian and breast cancer.\n"
ANNOTATIONS = (
    "T1\tChemical 0 7\tAspirin\n"
    "T2\tDisease 11 19\tα-asthma\n"
    "R1\ttreats Arg1:T1 Arg2:T2\t\n"
    "T3\tDisease 23 27;28 34\tLung cancer\n"
    "T4\tDisease 36 43;55 61\tovarian cancer\n"
    "R2\ttreats Arg1:T1 Arg2:T4\n"
    "N1\tReference T1 MESH:D001241\tAspirin\n"
    "E1\tBinding:T1 Theme:T2\n"
    "A1\tNegation E1\n"
    "*\tEquiv T2 T3\n"
    "#1\tAnnotatorNotes T1\tNo doubt.\n"
    "#2\tAnnotatorNotes T1\tmodel organism only\n"
    "#3\tAnnotatorNotes T1\tconfidence 7.5\n"
)


def refuse(message):
    raise AssertionError(message)


@pytest.fixture
def write(tmp_path):
    def write_files(text=TEXT, annotations=ANNOTATIONS, name="7"):
        (tmp_path / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        if annotations is not None:
            (tmp_path / f"{name}.ann").write_text(annotations, encoding="utf-8")
        return str(tmp_path / name)

    return write_files


@pytest.mark.parametrize("suffix", [".ann", ".txt"])
def test_a_document_and_its_annotations(write, suffix):
    report = Report()
    path = write() + suffix
    (found,) = table.read_documents(path, "brat", refuse, report)
    assert (found.id, found.text, found.source) == ("7", TEXT, path)
    assert [TEXT[start:end] for start, end in found.paragraphs] == [
        "Aspirin in α-asthma",
        "Lung",
        "cancer, ovarian and breast cancer.",
    ]
    assert found.entities == (
        Entity("T1", "Chemical", 0, 7, identifier="MESH:D001241"),
        Entity("T2", "Disease", 11, 19),
        Entity("T3", "Disease", 23, 34),  # only the end of a line is between its parts
    )
    assert found.relations == (Relation("R1", "treats", "T1", "T2"),)
    assert (report.discontinuous, report.without_entity, report.other_annotations) == (1, {"treats": 1}, 6)
    assert found.taken_ids >= {"T4", "R2", "E1"}
    assert report.examples == [
        f"{path[:-4]}.ann, line 5: entity T4 'ovarian cancer' is in 2 parts; left out",
    ]


def test_what_is_not_used_is_said(write, caplog):
    list(table.read_documents(write() + ".ann", "auto", refuse))
    assert (
        "given, but not used: 1 entities in several parts, 1 relations without their entities, 6 annotations that are "
        "neither entities nor relations" in caplog.text
    )


def test_a_text_without_annotations(write):
    (found,) = table.read_documents(write(annotations=None) + ".txt", "brat", refuse)
    assert (found.text, found.entities) == (TEXT, ())


def test_windows_line_ends_count_as_they_stand(write):
    path = write("A\r\nb c\r\n", "T1\tX 3 6\tb c\n")
    (found,) = table.read_documents(path + ".ann", "brat", refuse)
    assert (found.text, found.entities) == ("A\r\nb c\r\n", (Entity("T1", "X", 3, 6),))
    assert found.paragraphs == ((0, 1), (3, 6))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("T1\tX 0 x\tA", r"7\.ann, line 1: offsets '0 x'; expected start and end, or several"),
        ("T1\tX 3 3\tA", r"7\.ann, line 1: offsets '3 3'; expected start < end"),
        ("T1\tX 0 1\tA\nT1\tX 0 1\tA", r"7\.ann, line 2: entity T1 again; expected unique ids"),
        ("T1 X 0 1 A", r"7\.ann, line 1: 'T1 X 0 1 A'; expected T1, tab, type start end"),
        ("R1\tx T1 T2", r"7\.ann, line 1: 'R1\\tx T1 T2'; expected T1, tab"),
        ("prose", r"7\.ann, line 1: 'prose'; expected T1, tab"),
    ],
)
def test_a_line_that_is_not_brat_s(write, line, message):
    with pytest.raises(InputError, match=message):
        list(table.read_documents(write("A\n", line + "\n") + ".ann", "brat", refuse))


def test_files_that_cannot_be_read(write, tmp_path):
    (tmp_path / "8.ann").write_text("T1\tX 0 1\tA\n")
    with pytest.raises(InputError, match=r"8\.ann: no 8\.txt beside it; expected the text there"):
        list(table.read_documents(str(tmp_path / "8.ann"), "brat", refuse))
    with pytest.raises(InputError, match=r"7\.txt, line 1: invalid UTF-8"):
        list(table.read_documents(write(b"\xff") + ".ann", "brat", refuse))
    with pytest.raises(InputError, match="standard input: brat has two files a document"):
        list(table.read_documents("-", "brat", refuse))


def test_two_files_of_a_directory_are_one_input(write, tmp_path):
    write()
    write(name="deep.x", annotations=None)  # a text alone is plain text
    (tmp_path / "annotation.conf").write_text("[entities]\nX\n")
    assert table.list_inputs(str(tmp_path)) == [f"{tmp_path}/7.ann", f"{tmp_path}/deep.x.txt"]
    assert [table.detect_format(path) for path in table.list_inputs(str(tmp_path))] == ["brat", "text"]
    assert table.list_inputs(str(tmp_path), input_format="lines") == [
        f"{tmp_path}/{name}" for name in ("7.ann", "7.txt", "annotation.conf", "deep.x.txt")
    ]


def test_what_is_written_is_read_back(write, tmp_path):
    (found,) = table.read_documents(write() + ".ann", "brat", refuse)
    with table.open_writer("brat", str(tmp_path / "out"), ()) as writer:
        writer.write(found)
    (again,) = table.read_documents(*table.list_inputs(str(tmp_path / "out")), "auto", refuse)
    assert again.text == found.text
    assert [(e.type, e.start, e.end) for e in again.entities] == [(e.type, e.start, e.end) for e in found.entities]
    assert again.relations == found.relations
    assert [e.identifier for e in again.entities] == ["MESH:D001241", "", ""]
