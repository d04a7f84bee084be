"""BioC XML and JSON: texts at the file's offsets, given annotations and relations, and what is wrong with files."""

import bioc
import pytest
from bioc import biocjson

from common.errors import InputError
from data_prep.formats import table
from data_prep.formats.bioc_documents import locate
from data_prep.formats.document import Entity, Relation

COLLECTION = """<?xml version="1.0"?>
<!DOCTYPE collection SYSTEM "BioC.dtd"{}>
<collection><source>hand &amp; made</source><date>2020</date><key>k</key><infon key="empty"/>{}</collection>
"""
# The second passage begins three characters after the end of the first; `aspirin ... toxicity` is in two parts.
DOCUMENT = """<document><id>7</id><infon key="journal">J</infon>
<passage><infon key="type">title</infon><offset>0</offset><text>β-blockers &amp; asthma</text>
<annotation id="a"><infon key="type">Chemical</infon><infon key="MESH">D000319</infon>
<location offset="0" length="10"/><text>β-blockers</text></annotation>
<annotation id="b"><infon key="type">Disease</infon><location offset="13" length="6"/><text>asthma</text></annotation>
<relation id="r"><infon key="type">CID</infon><node refid="a" role="1"/><node refid="b" role="2"/></relation>
</passage>
<passage><infon key="type">abstract</infon><offset>22</offset><text>No aspirin or its toxicity.</text>
<annotation id="c"><infon key="type">Phrase</infon>
<location offset="25" length="7"/><location offset="40" length="8"/><text>aspirin toxicity</text></annotation>
<annotation><infon key="type">Chemical</infon><location offset="25" length="7"/><text>aspirin</text></annotation>
<annotation id="lost"><infon key="type">Chemical</infon><location offset="22" length="2"/><text>ibuprofen</text>
</annotation>
</passage>
<relation id="r2"><infon key="type">CID</infon><node refid="a" role=""/><node refid="c" role=""/></relation>
</document>"""
DOCUMENT_ENTITIES = (
    Entity("a", "Chemical", 0, 10, identifier="D000319"),
    Entity("b", "Disease", 13, 19),
    Entity("A1", "Chemical", 25, 32),
)


def read_bioc_xml(path, bad_document):
    return table.read_documents(path, "bioc_xml", bad_document)


def read_bioc_json(path, bad_document):
    return table.read_documents(path, "bioc_json", bad_document)


def passage(offset, content, annotations=""):
    return f"<passage><offset>{offset}</offset>{content}{annotations}</passage>"


def text(content):
    return f"<text>{content}</text>"


def sentence(offset, content):
    return f"<sentence><offset>{offset}</offset><text>{content}</text></sentence>"


def annotation(entity_id, offset, length, content):
    location = f'<location offset="{offset}" length="{length}"/>'
    return f'<annotation id="{entity_id}"><infon key="type">X</infon>{location}<text>{content}</text></annotation>'


def document(*content):
    return f"<document><id>1</id>{''.join(content)}</document>"


@pytest.fixture
def read(tmp_path):
    """Reads documents of BioC XML, or a file's content; returns documents and messages, without the directory."""

    def run(*content, reader=read_bioc_xml, name="a.xml", subset=""):
        if reader is read_bioc_xml:
            content = (COLLECTION.format(subset, "\n".join(content)),)
        path = tmp_path / name
        path.write_text(*content, encoding="utf-8")
        messages = []
        documents = list(reader(str(path), messages.append))
        return documents, [message.replace(f"{tmp_path}/", "") for message in messages]

    return run


def mentions_of(found):
    return [found.text[entity.start : entity.end] for entity in found.entities]


# XML


def test_offsets_in_the_text_are_those_of_the_file(read):
    (found,), messages = read(DOCUMENT)
    assert found.text == "β-blockers & asthma\n  No aspirin or its toxicity."
    assert (found.id, found.paragraphs, found.kinds) == ("7", ((0, 19), (22, 49)), ("title", "abstract"))
    assert found.entities == DOCUMENT_ENTITIES
    assert mentions_of(found) == ["β-blockers", "asthma", "aspirin"]
    assert found.relations == (Relation("r", "CID", "a", "b"),)
    assert locate(found, 36, 39) == (1, None, 36, 3)
    assert found.source.endswith("/a.xml, line 3")
    assert not messages


def test_the_origin_has_all_of_the_source(read, caplog):
    (found,), _ = read(DOCUMENT)
    written = bioc.BioCCollection.of_documents(found.origin.document)
    original = bioc.loads(COLLECTION.format("", DOCUMENT.replace("<annotation>", '<annotation id="A1">')))
    assert bioc.dumps(written).partition("<document>")[2] == bioc.dumps(original).partition("<document>")[2]
    collection = found.origin.collection
    assert (collection.source, collection.date, collection.key) == ("hand & made", "2020", "k")
    assert collection.infons == {"empty": ""}
    assert "a.xml: given, but not used: 1 entities whose text is not at their offsets" in caplog.text
    assert "entity lost 'ibuprofen', but the text at its offsets is 'No'" in caplog.text


def test_sentences_instead_of_a_passage_s_text(read):
    passages = (
        passage(2, sentence(2, "One gene.") + sentence(12, "Two genes.") + annotation("g", 16, 5, "genes")),
        passage(22, sentence(23, "Three.")),
        passage(30, ""),
        annotation("h", 23, 5, "Three"),
    )
    (found,), _ = read(document(*passages))
    assert found.text == "\n One gene. Two genes.\nThree."
    assert found.paragraphs == ((2, 11), (12, 22), (23, 29))
    assert found.entities == (Entity("h", "X", 23, 28), Entity("g", "X", 16, 21))
    assert locate(found, 16, 21) == (0, 1, 16, 5)
    assert locate(found, 23, 28) == (1, 0, 23, 5)


@pytest.mark.parametrize("offset", [0, 9, 50_000])
def test_offsets_at_which_passages_cannot_stand(read, offset):
    passages = (
        passage(0, text("Two words."), annotation("a", 4, 5, "words")),
        passage(offset, text("More words."), annotation("b", offset + 5, 5, "words")),
    )
    (found,), _ = read(document(*passages))
    assert found.text == "Two words.\nMore words."
    assert found.entities == (Entity("a", "X", 4, 9), Entity("b", "X", 16, 21))
    assert locate(found, 16, 21) == (1, None, offset + 5, 5)


def test_offsets_in_bytes(read):
    passages = (
        passage(0, text("αβ cells"), annotation("a", 5, 5, "cells")),
        passage(11, text("Of γδ too"), annotation("b", 14, 4, "γδ") + annotation("c", 19, 3, "too")),
    )
    (found,), _ = read(document(*passages))
    assert mentions_of(found) == ["cells", "γδ", "too"]
    assert [locate(found, e.start, e.end) for e in found.entities] == [
        (0, None, 5, 5),
        (1, None, 14, 4),
        (1, None, 19, 3),
    ]


def test_an_id_that_is_there_twice(read):
    nodes = "".join(f'<node refid="{refid}" role=""/>' for refid in "ab")
    annotations = annotation("a", 0, 3, "Two") + annotation("a", 4, 5, "words") + annotation("b", 0, 9, "Two words")
    relation = f'<relation id="r"><infon key="type">Z</infon>{nodes}</relation>'
    (found,), _ = read(document(passage(0, text("Two words"), annotations + relation)))
    assert [entity.id for entity in found.entities] == ["A1", "A2", "b"]
    assert not found.relations  # of which of the two?
    assert len(found.origin.document.passages[0].relations) == 1


def test_bad_documents_are_left_out(read):
    good = document(passage(0, text("Good.")))
    (first, second), messages = read(
        good,
        document(passage("x", text("Bad."))),
        document("<passage><text>Bad.</text></passage>"),
        document(passage(-1, text("Bad."))),
        document(passage(0, text("Bad."), "<annotation id='a'><location offset='0'/></annotation>")),
        good,
    )
    assert (first.text, second.text) == ("Good.", "Good.")
    assert [message[:25] for message in messages] == [f"a.xml, line {n}: not BioC (" for n in (4, 5)] + [
        "a.xml, line 6: '-1' as an",
        "a.xml, line 7: not BioC (",
    ]


def test_nothing_from_outside_the_file_and_nothing_expanded(read, tmp_path):
    (tmp_path / "secret").write_text("SECRET")
    subset = f""" [<!ENTITY file SYSTEM "file://{tmp_path}/secret"><!ENTITY a "aaaaaaaaaa">
    <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]"""
    (found,), _ = read(document(passage(0, text("x&file;y&b;z&alpha;."))), subset=subset)
    assert found.text == "x&file;y&b;zα."


def test_files_that_are_not_bioc_xml(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(COLLECTION.format("", DOCUMENT * 3)[:-30])
    documents = []
    with pytest.raises(InputError, match="a.xml, line .*: not well-formed XML"):
        documents.extend(read_bioc_xml(str(path), None))
    assert [found.entities for found in documents] == [DOCUMENT_ENTITIES] * 2
    path.write_text("<html/>")
    with pytest.raises(InputError, match="a.xml, line 1: root element html; expected collection"):
        list(read_bioc_xml(str(path), None))


# JSON

MINIMAL = '{"id": 9, "passages": [{"offset": 0, "text": "A gene."}]}'
LONGER = """{"_id": "8|None", "id": "8", "infons": {}, "passages": [
  {"infons": {"type": "title"}, "offset": 0, "text": "\\u03b2-blockers", "sentences": [], "relations": [],
   "annotations": [{"id": "2", "infons": {"type": "Chemical", "identifier": null}, "text": "\\u03b2-blockers",
                    "locations": [{"offset": 0, "length": 10}]}]},
  {"infons": {"type": "abstract"}, "offset": 11, "text": "In asthma.", "sentences": [], "relations": [],
   "annotations": [{"id": 3, "infons": {"type": "Disease"}, "text": "asthma",
                    "locations": [{"offset": 14, "length": 6}]}]}],
  "relations": [{"id": "R1", "infons": {"type": "treats"}, "nodes": [{"refid": "2", "role": ""}, {"refid": "3"}]},
                {"id": "R2", "infons": {"type": "x", "role1": {}, "role2": {}},
                 "nodes": [{"refid": "2"}, {"refid": "3"}]}]
}"""


def check_longer(found):
    assert (found.id, found.text) == ("8", "β-blockers\nIn asthma.")
    assert found.entities == (Entity("2", "Chemical", 0, 10), Entity("3", "Disease", 14, 20))
    assert mentions_of(found) == ["β-blockers", "asthma"]
    assert found.relations == (Relation("R1", "treats", "2", "3"),)


@pytest.mark.parametrize(
    "content",
    [
        '{{"source": "PubMed", "date": "", "key": "", "infons": {{}}, "documents": [{}, {}]}}',
        '\ufeff[{{"bioctype": "BioCCollection", "source": "PubMed", "documents": [{}]}}, {{"documents": [{}]}}]',
        '{{"PubTator3": [{}, {}]}}',
        "[{}, {}]",
        "{}\n{}\n",
    ],
)
def test_the_forms_of_bioc_json(read, content):
    (first, second), messages = read(content.format(LONGER, MINIMAL), reader=read_bioc_json, name="a.json")
    check_longer(first)
    assert (second.id, second.text, second.paragraphs) == ("9", "A gene.", ((0, 7),))
    assert first.origin.collection.source == ("PubMed" if "PubMed" in content else "")
    assert first.source.endswith("/a.json, document 1")
    assert not messages


def test_what_the_library_writes_is_read(read):
    (original,), _ = read(DOCUMENT)
    collection = bioc.BioCCollection.of_documents(original.origin.document)
    (found,), _ = read(biocjson.dumps(collection), reader=read_bioc_json, name="a.json")
    assert (found.text, found.entities, found.relations) == (original.text, original.entities, original.relations)
    assert biocjson.dumps(found.origin.document) == biocjson.dumps(original.origin.document)


def test_bad_lines_of_json_lines_are_left_out(read):
    lines = (
        LONGER.replace("\n", ""),
        '{"id": 1, "passages": [',
        "",
        '{"id": 1, "text": "no passages"}',
        '{"passages": [{"text": "no offset"}]}',
        '{"passages": [{"offset": 0, "text": ["x"]}]}',
        '{"passages": [{"offset": true, "text": "x"}]}',
        '{"passages": [7]}',
        '{"passages": [{"offset": 0, "annotations": 7}]}',
        '{"passages": [{"offset": 0, "infons": 7}]}',
        "[" * 1000,
        '{"passages": ' * 1000,
        MINIMAL,
    )
    documents, messages = read("\n".join(lines), reader=read_bioc_json, name="a.jsonl")
    check_longer(documents[0])
    assert [found.id for found in documents] == ["8", "9"]
    assert documents[1].source.endswith("/a.jsonl, line 13")
    assert [message.split(": ")[0] for message in messages] == [
        f"a.jsonl, line {number}" for number in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    ]
    assert messages[:3] == [
        "a.jsonl, line 2: cannot be read as JSON (parse error: premature EOF); expected BioC JSON",
        "a.jsonl, line 4: not BioC (no passages); expected BioC JSON",
        "a.jsonl, line 5: not BioC (no 'offset'); expected BioC JSON",
    ]
    assert "nested too deeply" in messages[-1]
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.json: empty"),
        ('{"documents": [' + MINIMAL + ",", "a.json: cannot be read as JSON .parse error: premature EOF"),
        ("not JSON", "a.json: cannot be read as JSON .lexical error"),
    ],
)
def test_files_that_are_not_json(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    documents = []
    with pytest.raises(InputError, match=message):
        documents.extend(read_bioc_json(str(tmp_path / "a.json"), None))
    assert len(documents) == ("passages" in content)
