"""Annotated documents in BioC XML and JSON."""

import dataclasses
import gc
import io
import json

import bioc
import pytest
from bioc import biocjson, biocxml
from hypothesis import given, settings
from lxml import etree

from data_prep.formats import table
from data_prep.formats.document import Document, Entity, Relation
from tests.helpers.annotated_samples import ABSTRACT, EMPTY, documents, write_and_fail, written


def read_bioc_xml(path, bad_document):
    return table.read_documents(path, "bioc_xml", bad_document)


def read_bioc_json(path, bad_document):
    return table.read_documents(path, "bioc_json", bad_document)


XML = """\
<?xml version='1.0' encoding='UTF-8' standalone='yes'?>
<collection><source>annotated text</source>
<date></date>
<key></key>
<document><id>123</id>\
<passage><infon key="type">title</infon><offset>0</offset><text>Lung cancer &amp; EGFR</text>\
<annotation id="T1"><infon key="type">Disease</infon><infon key="confidence">0.98</infon>\
<infon key="model">ncbi</infon><location offset="0" length="11"/><text>Lung cancer</text></annotation>\
<annotation id="T2"><infon key="type">Gene</infon><location offset="14" length="4"/><text>EGFR</text></annotation>\
</passage>\
<passage><infon key="type">abstract</infon><offset>19</offset>\
<text>Gefitinib inhibits EGFR in lung
cancer &lt;NSCLC&gt; 😀.</text>\
<annotation id="T3"><infon key="type">Chemical</infon><infon key="confidence">1.0</infon>\
<infon key="model">chem</infon><location offset="19" length="9"/><text>Gefitinib</text></annotation>\
<annotation id="T4"><infon key="type">Gene</infon><location offset="38" length="4"/><text>EGFR</text></annotation>\
<annotation id="T5"><infon key="type">Disease</infon><infon key="confidence">0.9</infon>\
<infon key="model">ncbi</infon><location offset="46" length="11"/><text>lung
cancer</text></annotation>\
<annotation id="T6"><infon key="type">Disease</infon><infon key="confidence">0.75</infon>\
<infon key="model">ncbi</infon><location offset="59" length="5"/><text>NSCLC</text></annotation>\
</passage>\
<relation id="R1"><infon key="type">inhibitor</infon><infon key="confidence">0.8765</infon>\
<node refid="T3" role="Arg1"/><node refid="T4" role="Arg2"/></relation>\
<relation id="R2"><infon key="type">target of</infon>\
<node refid="T1" role="Arg1"/><node refid="T2" role="Arg2"/></relation>\
</document>
<document><id>0</id></document>
</collection>
"""
JSON_OF_ANNOTATION = (
    '{"id": "T5", "infons": {"type": "Disease", "confidence": "0.9", "model": "ncbi"}, '
    '"text": "lung\\ncancer", "locations": [{"offset": 46, "length": 11}]}'
)

# With all that BioC may have: passages that count bytes or not from 0, sentences, infons, parts of mentions, ids T1.
GIVEN_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<collection><source>PubTator</source><date>20200101</date><key>my.key</key><infon key="licence">CC0</infon>
<document><id>9</id><infon key="journal">J</infon>
<passage><infon key="type">title</infon><infon key="section">TITLE</infon><offset>100</offset>
<text>Aspirin &amp; pain</text>
<annotation id="T1"><infon key="type">Chemical</infon><infon key="identifier">MESH:D001241</infon>
<location offset="100" length="7"/><text>Aspirin</text></annotation>
<annotation id="T2"><infon key="type">Disease</infon>
<location offset="100" length="2"/><location offset="110" length="4"/>
<text>As pain</text></annotation></passage>
<passage><offset>120</offset>
<sentence><infon key="n">1</infon><offset>120</offset><text>No pain.</text></sentence>
<sentence><offset>130</offset><text>Pain!</text></sentence></passage>
<relation id="R1"><infon key="type">treats</infon>
<node refid="T1" role="drug"/><node refid="T2" role="disease"/></relation>
</document></collection>
"""


def read_back(tmp_path, text):
    """The documents of an XML file as the corpus reader has them."""
    path = tmp_path / "out.xml"
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_bioc_xml(str(path), pytest.fail))


def given_document(tmp_path):
    path = tmp_path / "given.xml"
    path.write_text(GIVEN_XML, encoding="utf-8")
    (document,) = read_bioc_xml(str(path), pytest.fail)
    return document


def find(document, mention):
    start = document.text.index(mention)
    return start, start + len(mention)


def check_annotations(decoded, document):
    """Checks that each annotation's text is where its location says; returns (offset, type) of each."""
    bioc.validate(bioc.BioCCollection.of_documents(decoded))
    found = [annotation for passage in decoded.passages for annotation in passage.annotations]
    assert {annotation.id for annotation in found} == {entity.id for entity in document.entities}
    return sorted((a.locations[0].offset, a.locations[0].length, a.infons["type"]) for a in found)


def test_xml():
    assert written("bioc_xml", ABSTRACT, EMPTY) == XML


def test_xml_is_read_by_the_corpus_reader(tmp_path):
    document, empty = read_back(tmp_path, written("bioc_xml", ABSTRACT, EMPTY))
    assert document.text == ABSTRACT.text
    assert [(e.id, e.start, e.end) for e in document.entities] == [(e.id, e.start, e.end) for e in ABSTRACT.entities]
    assert [(r.type, r.first, r.second) for r in document.relations] == [
        ("inhibitor", "T3", "T4"),
        ("target of", "T1", "T2"),
    ]
    assert (empty.id, empty.text) == ("0", "")


def test_json():
    text = written("bioc_json", ABSTRACT, EMPTY)
    lines = text.split("\n")
    assert lines[0] == (
        '{"bioctype": "BioCCollection", "source": "annotated text", "date": "", "key": "", "version": "1.0", '
        '"infons": {}, "documents": ['
    )
    assert lines[2:] == [
        '{"bioctype": "BioCDocument", "id": "0", "infons": {}, "passages": [], "annotations": [], "relations": []}',
        "]}",
        "",
    ]
    assert JSON_OF_ANNOTATION in lines[1]
    assert "😀" in lines[1]
    # The library reads the same from both formats.
    assert biocjson.dumps(biocjson.loads(text)) == biocjson.dumps(biocxml.loads(XML))


@pytest.mark.parametrize("output_format", ["bioc_xml", "bioc_json"])
def test_no_documents(output_format):
    library = {"bioc_xml": biocxml, "bioc_json": biocjson}[output_format]
    collection = library.loads(written(output_format))
    assert (collection.source, collection.documents) == ("annotated text", [])


@given(document=documents())
@settings(max_examples=50, deadline=None)
def test_any_text_in_json(document):
    (decoded,) = biocjson.loads(written("bioc_json", document)).documents
    assert decoded.id == document.id
    assert "".join(p.text for p in decoded.passages) == "".join(document.text[a:b] for a, b in document.paragraphs)
    for passage in decoded.passages:
        assert document.text[passage.offset : passage.offset + len(passage.text)] == passage.text
        for annotation in passage.annotations:
            (location,) = annotation.locations
            assert passage.offset <= location.offset < passage.offset + len(passage.text)
            assert document.text[location.offset : location.end] == annotation.text
    assert sum(len(passage.annotations) for passage in decoded.passages) == len(document.entities)


@given(document=documents())
@settings(max_examples=50, deadline=None)
def test_any_text_in_xml(document):
    """XML says the same as JSON, but for characters that it cannot hold."""
    in_json = biocjson.loads(written("bioc_json", document)).documents[0]
    root = etree.fromstring(written("bioc_xml", document).encode("utf-8"))
    texts = ["".join(passage.find("text").itertext()) for passage in root.iter("passage")]
    forbidden = dict.fromkeys((0x01, 0x0B, 0x0C, 0x1C, 0x1F, 0xFFFE), "\ufffd")
    expected = [passage.text.translate(forbidden) for passage in in_json.passages]
    assert texts == expected
    locations = [(int(a.find("location").get("offset")), a.get("id")) for a in root.iter("annotation")]
    assert locations == [(a.locations[0].offset, a.id) for p in in_json.passages for a in p.annotations]


def test_text_outside_paragraphs_is_kept():
    document = Document("1", " ab cd\nef ", ((4, 6),), "x", ("title",), (Entity("T1", "X", 1, 3),))
    (decoded,) = biocjson.loads(written("bioc_json", document)).documents
    assert [(p.offset, p.text, p.infons) for p in decoded.passages] == [
        (0, " ab ", {}),
        (4, "cd", {"type": "title"}),
        (6, "\nef ", {}),
    ]
    assert check_annotations(decoded, document) == [(1, 2, "X")]


def test_ids_that_entities_and_relations_share():
    document = dataclasses.replace(
        ABSTRACT, relations=(Relation("T3", "a", "T3", "T4", 0.5), Relation("R", "b", "T3", "T1", 0.5))
    )
    (decoded,) = biocjson.loads(written("bioc_json", document)).documents
    assert [(r.id, [node.refid for node in r.nodes]) for r in decoded.relations] == [
        ("T3.2", ["T3", "T4"]),
        ("R", ["T3", "T1"]),
    ]


def test_a_bioc_document_is_written_as_it_was(tmp_path):
    expected = biocjson.dumps(biocxml.loads(GIVEN_XML))
    assert biocjson.dumps(biocxml.loads(written("bioc_xml", given_document(tmp_path)))) == expected
    assert biocjson.dumps(biocjson.loads(written("bioc_json", given_document(tmp_path)))) == expected


def test_what_is_found_is_added_to_a_bioc_document(tmp_path):
    document = given_document(tmp_path)
    assert [entity.id for entity in document.entities] == ["T1"]  # T2 has two parts
    found = (
        Entity("T2", "Disease", *find(document, "pain"), 0.9, "ncbi"),
        Entity("T3", "Disease", *find(document, "Pain"), 0.8, "ncbi"),
    )
    relations = (*document.relations, Relation("R1", "helps", "T1", "T2", 0.7))
    document = dataclasses.replace(document, entities=(*document.entities, *found), relations=relations)
    (decoded,) = biocxml.loads(written("bioc_xml", document)).documents
    title, body = decoded.passages
    assert [(a.id, a.infons.get("model"), str(a.total_span)) for a in title.annotations] == [
        ("T1", None, "BioCLocation[offset=100,length=7]"),
        ("T2", None, "BioCLocation[offset=100,length=14]"),
        ("T2.2", "ncbi", "BioCLocation[offset=110,length=4]"),
    ]
    assert [(a.id, a.text, a.locations[0].offset) for a in body.sentences[1].annotations] == [("T3", "Pain", 130)]
    assert [(r.id, r.infons, [n.refid for n in r.nodes]) for r in decoded.relations] == [
        ("R1", {"type": "treats"}, ["T1", "T2"]),
        ("R1.2", {"type": "helps", "confidence": "0.7"}, ["T1", "T2.2"]),
    ]
    assert not document.origin.document.passages[1].sentences[1].annotations  # a copy was written


def test_offsets_in_bytes_stay_in_bytes(tmp_path):
    path = tmp_path / "bytes.xml"
    path.write_text(
        "<collection><source/><date/><key/><document><id>1</id><passage><offset>0</offset><text>é α pain, ache</text>"
        '<annotation id="1"><infon key="type">D</infon><location offset="6" length="4"/><text>pain</text></annotation>'
        "</passage></document></collection>",
        encoding="utf-8",
    )
    (document,) = read_bioc_xml(str(path), pytest.fail)
    entity = Entity("T1", "D", *find(document, "ache"), 0.5, "m")
    document = dataclasses.replace(document, entities=(*document.entities, entity))
    (decoded,) = biocxml.loads(written("bioc_xml", document)).documents
    assert [(a.text, a.locations[0].offset) for a in decoded.passages[0].annotations] == [("pain", 6), ("ache", 12)]


def test_values_of_json_that_xml_does_not_have(tmp_path):
    given = json.loads(written("bioc_json", ABSTRACT))
    given["documents"][0]["infons"] = {"year": 2020, "none": None, "list": ["a", 1], "text": "\x02"}
    path = tmp_path / "given.json"
    path.write_text(json.dumps(given), encoding="utf-8")
    (document,) = read_bioc_json(str(path), pytest.fail)
    (decoded,) = biocxml.loads(written("bioc_xml", document)).documents
    assert {key: value or "" for key, value in decoded.infons.items()} == {
        "year": "2020",
        "none": "",
        "list": '["a", 1]',
        "text": "\ufffd",
    }


def test_nothing_is_added_or_said_after_a_failure(tmp_path, capsys):
    with open(tmp_path / "out.xml", "w", encoding="utf-8") as file:
        write_and_fail("bioc_xml", file)
    gc.collect()  # the library's writer ends the collection when it is deleted
    assert "</collection>" not in (tmp_path / "out.xml").read_text(encoding="utf-8")
    assert capsys.readouterr().err == ""


def test_characters_of_several_bytes_across_the_blocks_of_the_library():
    document = dataclasses.replace(EMPTY, text="é😀" * 50_000, paragraphs=((0, 100_000),))
    file = io.StringIO()
    with table.open_writer("bioc_xml", file, ()) as writer:
        writer.write(document)
    assert biocxml.loads(file.getvalue()).documents[0].passages[0].text == document.text


def _annotation(name, offset, text, **infons):
    return {"id": name, "infons": infons, "text": text, "locations": [{"offset": offset, "length": len(text)}]}


def _relation(name, *ends, **infons):
    return {"id": name, "infons": infons, "nodes": [{"refid": end, "role": ""} for end in ends]}


def _rewrite(tmp_path, annotations, relations, change):
    """What is in a BioC file of a document that was read and changed: annotations and relations."""
    passage = {"infons": {}, "offset": 0, "text": "lung cancer, p53 and flu", "annotations": annotations}
    document = {"id": "1", "passages": [passage], "relations": relations}
    path = tmp_path / "in.json"
    path.write_text(json.dumps({"documents": [document]}))
    (read,) = table.read_documents(str(path), "bioc_json", pytest.fail)
    (written_,) = json.loads(written("bioc_json", change(read)))["documents"]
    return written_["passages"][0]["annotations"], written_["relations"]


def without(*ids):
    def change(document):
        entities = tuple(entity for entity in document.entities if entity.id not in ids)
        relations = tuple(relation for relation in document.relations if relation.id not in ids)
        return dataclasses.replace(document, entities=entities, relations=relations)

    return change


def test_what_is_gone_is_told_by_its_kind_and_not_by_an_id_that_repeats(tmp_path):
    found = {"type": "Disease", "confidence": "0.5", "model": "m"}
    annotations = [
        _annotation("1", 0, "lung cancer", **found),
        _annotation("2", 13, "p53", type="Gene"),
        _annotation("1", 21, "flu", **found),
    ]
    relations = [_relation("", "2", "2", type="a", confidence="0.5"), _relation("1", "2", "2", type="b")]
    left, related = _rewrite(tmp_path, annotations, relations, without("A1", "R1"))
    assert [(each["id"], each["text"]) for each in left] == [("2", "p53"), ("1", "flu")]
    assert [(each["id"], each["infons"]) for each in related] == [("1", {"type": "b"})]


def test_what_a_relation_that_is_not_read_names_stays(tmp_path):
    annotations = [
        _annotation("T1", 0, "lung cancer", type="Disease", confidence="0.5", model="m"),
        _annotation("2", 13, "p53", type="Gene"),
        _annotation("3", 21, "flu", type="Disease"),
    ]
    left, related = _rewrite(tmp_path, annotations, [_relation("R1", "T1", "2", "3", type="a")], without("T1"))
    assert [each["id"] for each in left] == ["T1", "2", "3"]
    assert [node["refid"] for node in related[0]["nodes"]] == ["T1", "2", "3"]


def test_what_people_noted_of_an_annotation_that_is_found_again_stays(tmp_path):
    def again(document):
        (entity,) = document.entities
        return dataclasses.replace(document, entities=(dataclasses.replace(entity, confidence=0.75),))

    infons = {"type": "Disease", "MESH": "D1", "note": "checked", "confidence": "0.5", "model": "m"}
    ((left,), _) = _rewrite(tmp_path, [_annotation("T1", 0, "lung cancer", **infons)], [], again)
    assert left["infons"] == infons | {"confidence": "0.75"}


def test_a_composite_mention_stands_for_its_parts_where_it_is_an_entity(tmp_path):
    whole = _annotation("1", 0, "lung cancer, p53", type="Disease", CompositeRole="CompositeMention")
    part = _annotation("2", 13, "p53", type="Disease", CompositeRole="IndividualMention")
    found = []
    _rewrite(tmp_path, [whole, part], [], lambda document: found.append(document) or document)
    whole["locations"] = [{"offset": 0, "length": 4}, {"offset": 13, "length": 3}]
    _rewrite(tmp_path, [whole, part], [], lambda document: found.append(document) or document)
    assert [[entity.id for entity in document.entities] for document in found] == [["1"], ["2"]]


@pytest.mark.parametrize("confidence", ["1.9", "0.\uff15", "high"])
def test_a_confidence_that_is_none(tmp_path, confidence):
    found = []
    infons = {"type": "Disease", "confidence": confidence, "model": "m"}
    keep = [_annotation("1", 0, "lung cancer", **infons)]
    _rewrite(tmp_path, keep, [], lambda document: found.append(document) or document)
    assert found[0].entities[0].confidence is None
