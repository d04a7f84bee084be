"""Whatever bytes a file has: documents, or a line that says what is wrong."""

import io

import pytest
from hypothesis import given, settings

from common.errors import InputError
from data_prep.formats import table
from tests.helpers.edits import edited, edits

BIOC_XML = """<?xml version="1.0"?><!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source>s</source><date/><key/><infon key="k">v</infon>
<document><id>5</id><infon key="a">b</infon><passage><infon key="type">title</infon><offset>0</offset>
<text>Zinc binds p53.</text><annotation id="1"><infon key="type">Chemical</infon><infon key="identifier">D1</infon>
<location offset="0" length="4"/><text>Zinc</text></annotation><annotation id="2"><infon key="type">Gene</infon>
<location offset="11" length="3"/><text>p53</text></annotation></passage>
<relation id="R1"><infon key="type">binds</infon><node refid="1" role="a"/><node refid="2" role="b"/></relation>
</document></collection>"""
BIOC_JSON = """{"source": "s", "date": "", "key": "", "infons": {}, "documents": [{"id": "5", "infons": {"a": "b"},
"passages": [{"infons": {"type": "title"}, "offset": 0, "text": "Zinc binds p53.", "sentences": [], "relations": [],
"annotations": [{"id": "1", "infons": {"type": "Chemical"}, "text": "Zinc", "locations": [{"offset": 0, "length": 4}]},
{"id": "2", "infons": {"type": "Gene"}, "text": "p53", "locations": [{"offset": 11, "length": 3}]}]}],
"relations": [{"id": "R1", "infons": {"type": "binds"}, "nodes": [{"refid": "1", "role": ""}, {"refid": "2"}]}]}]}"""
PUBMED = """<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">11</PMID><Article><ArticleTitle>Loss of
<i>BRCA1</i>.</ArticleTitle><Abstract><AbstractText Label="AIM">To test.</AbstractText></Abstract></Article>
</MedlineCitation></PubmedArticle><DeleteCitation><PMID Version="1">7</PMID></DeleteCitation></PubmedArticleSet>"""
PMC = """<article xmlns:xlink="x"><front><article-meta><article-id pub-id-type="pmc">1</article-id><title-group>
<article-title>A &alpha; title</article-title></title-group></article-meta></front><body>
<p>A text.</p></body></article>"""
SAMPLES = {
    "text": ("a.txt", "A title.\n\nAn abstract.\r\nMore."),
    "lines": ("a.txt", "One.\nTwo.\n\nThree."),
    "pubmed": ("a.xml", PUBMED),
    "pmc": ("a.nxml", PMC),
    "pubtator": ("a.pubtator", "7|t|Zinc\n7|a|Binds p53.\n7\t0\t4\tZinc\tChemical\tD1\n7\tCID\tD1\tD2\n\n8|t|x\n"),
    "bioc_xml": ("a.xml", BIOC_XML),
    "bioc_json": ("a.json", BIOC_JSON),
    "conll": ("a.tsv", "-DOCSTART-\n\nZinc\tB\nbinds\tO\n\np53 I\n"),
    "brat": ("a.ann", "T1\tX 0 4;5 7\tZinc is\nR1\tr Arg1:T1 Arg2:T1\nN1\tReference T1 a:b\tZinc\nE1\tx:T1\n"),
}
WRITTEN = ("jsonl", "pubtator", "bioc_xml", "bioc_json", "html")


@pytest.mark.parametrize("input_format", SAMPLES)
@given(changes=edits)
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_documents_or_one_line(input_format, changes, tmp_path_factory):
    name, sample = SAMPLES[input_format]
    directory = tmp_path_factory.getbasetemp()
    (directory / "a.txt").write_text("Zinc is.\n")  # brat's
    path = directory / name
    path.write_bytes(edited(sample.encode(), changes))
    messages, documents = [], []
    try:
        documents = list(table.read_documents(str(path), input_format, messages.append))
    except InputError as error:
        messages.append(str(error))
    assert documents or messages
    for message in messages:
        assert message.startswith(str(directory))
        assert "\n" not in message
        assert len(message) <= 2000
    for document in documents:
        assert all(0 <= start < end <= len(document.text) for start, end in document.paragraphs)
        assert all(0 <= entity.start < entity.end <= len(document.text) for entity in document.entities)
        known = {entity.id for entity in document.entities}
        assert all({relation.first, relation.second} <= known for relation in document.relations)
        document.text.encode()
    for name in WRITTEN:
        with table.open_writer(name, io.StringIO(), ()) as writer:
            for document in documents:
                writer.write(document)


def test_every_format_that_is_read_is_tried():
    assert (table.AUTO, *SAMPLES) == tuple(
        sorted(table.INPUT_FORMATS, key=lambda name: [table.AUTO, *SAMPLES].index(name))
    )
