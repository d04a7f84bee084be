"""PubTator files: texts, given entities and rows, and what is wrong with them."""

import pytest

from common.errors import InputError
from data_prep.formats import table
from data_prep.formats.document import Entity, Relation

# A space ends the first title, no blank line is between the documents, and an entity has no concept.
TWO_DOCUMENTS = (
    "\ufeff1|t|β-Thalassemia: a disease \n"
    "1|a|Iron | chelators help.\n"
    "1\t0\t13\tβ-Thalassemia\tDisease\tMESH:D017086|OMIM:1\tmore\n"
    "1\t26\t40\tIron chelators\tChemical\n"
    "1\t26\t30\tIron\tChemical\tMESH:D007501\n"
    "1\tCID\tMESH:D007501\tMESH:D017086\n"
    "2|t|\r\n"
    "2|a|Only an abstract.\r\n"
    "2\t1\t5\tOnly\tWord\t-\r\n"
)


def read_pubtator(path, bad_document):
    return table.read_documents(path, "pubtator", bad_document)


@pytest.fixture
def read(tmp_path):
    """Writes a file and reads it; returns documents and messages, without the directory."""

    def run(content):
        path = tmp_path / "a.pubtator"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        messages = []
        documents = list(read_pubtator(str(path), messages.append))
        return documents, [message.replace(f"{tmp_path}/", "") for message in messages]

    return run


def test_texts_and_entities(read):
    (first, second), messages = read(TWO_DOCUMENTS.replace("Iron | chelators", "Iron chelators"))
    assert first.text == "β-Thalassemia: a disease \nIron chelators help."
    assert (first.id, first.paragraphs, first.kinds) == ("1", ((0, 25), (26, 46)), ("title", "abstract"))
    assert first.entities == (
        Entity("T1", "Disease", 0, 13, identifier="MESH:D017086|OMIM:1"),
        Entity("T2", "Chemical", 26, 40),
        Entity("T3", "Chemical", 26, 30, identifier="MESH:D007501"),
    )
    assert [first.text[e.start : e.end] for e in first.entities] == ["β-Thalassemia", "Iron chelators", "Iron"]
    assert second.text == "\nOnly an abstract."
    assert (second.paragraphs, second.kinds) == (((1, 18),), ("abstract",))
    assert second.entities == (Entity("T1", "Word", 1, 5),)
    assert second.source.endswith("/a.pubtator, line 7")
    assert not messages


def test_the_rows_of_the_file_are_kept(read):
    (first, _), _ = read(TWO_DOCUMENTS)
    assert first.origin.entities["T1"] == (
        *("1", "0", "13", "β-Thalassemia", "Disease"),
        *("MESH:D017086|OMIM:1", "more"),
    )
    assert first.origin.relations == [("1", "CID", "MESH:D007501", "MESH:D017086")]
    assert first.relations == ()
    assert first.concept_relations == (Relation("R1", "CID", "MESH:D007501", "MESH:D017086"),)


def test_an_entity_that_is_elsewhere_is_left_out_with_a_warning(read, caplog):
    (first, _), _ = read(TWO_DOCUMENTS)  # the text has a bar in `Iron | chelators`
    assert [entity.id for entity in first.entities] == ["T1", "T3"]
    assert "T2" in first.origin.entities
    assert "a.pubtator: given, but not used: 1 entities whose text is not at their offsets" in caplog.text
    assert "line 4: entity T2 'Iron chelators', but the text at its offsets is 'Iron | chelato'" in caplog.text


def test_a_bad_document_is_left_out(read):
    data = (
        b"1|t|One\n1\t0\t3\tOne\tWord\tx\n1\t0\n1\tx\n\n"
        b"2|t|Two\n3\t0\t3\tTwo\tWord\tx\n\n"
        b"8|t|Eight\n"
        b"4|t|Fo\xffur\n4|a|x\n\n"
        b"5|t|Five\n5\t4\t0\tFive\tWord\tx\n\n"
        b"6|t|Six" + b" " * 9000 + b"\n6|a|\0\n\n"
        b"7|t|Seven\n7\t0\t5\tSeven\tNumber\t\n"
    )
    documents, messages = read(data)
    assert [(d.id, d.text, d.entities) for d in documents] == [
        ("8", "Eight", ()),
        ("7", "Seven", (Entity("T1", "Number", 0, 5),)),
    ]
    assert messages == [
        "a.pubtator, line 3: 2 columns; expected id, start, end, text, type, concept, or id, relation, concept, "
        "concept, separated by tabs",
        "a.pubtator, line 7: '3' instead of 2; expected id|t|title before",
        "a.pubtator, line 10: invalid UTF-8 (byte 7 of the line); expected UTF-8 text",
        "a.pubtator, line 14: offsets '4', '0'; expected numbers, start < end",
        "a.pubtator, line 17: byte 5 of the line is 0; expected UTF-8 text",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "a.pubtator: empty"),
        ("\n \n", "a.pubtator: no text in any line; expected id|t|title first"),
        ("Some text.\n1|t|Title\n", "a.pubtator, line 1: 'Some text.'; expected id|t|title first"),
    ],
)
def test_a_file_that_is_not_pubtator(read, tmp_path, data, message):
    with pytest.raises(InputError) as caught:
        read(data)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)
