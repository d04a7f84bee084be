"""PubTator and BioC with relations, as a corpus to learn from has them."""

import pytest

from common.errors import InputError
from data_prep.formats import table
from data_prep.formats.document import Entity, Relation
from data_prep.formats.placement import Report

PUBTATOR = """1|t|Dopa and depression.
1|a|Methyl dopa: a|t|b.
1\t0\t4\tDopa\tChemical\tD1\t
1\t9\t19\tdepression\tDisease\tD2|D3\tlow mood|depression
1\t21\t32\tMethyl dopa\tChemical\t-1
1\tCID\tD1\tD2

1\tBind\tD1\tD3\tNovel
2|t|
3|t|Cold
3\t0\t4\tCold\tDisease
"""

BIOC = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source>made up</source><date/><key/>
<document><id>5</id>
  <passage><infon key="type">title</infon><offset>0</offset><text>Zinc binds p53.</text>
    <annotation id="a"><infon key="type">Chemical</infon><infon key="MESH">D015032</infon>
      <location offset="0" length="4"/><text>Zinc</text></annotation>
  </passage>
  <passage><offset>20</offset>
    <sentence><offset>20</offset><text>It <!-- note -->binds two.</text>
      <annotation id="b"><infon key="type">Verb</infon>
        <location offset="23" length="5"/><text>binds</text></annotation></sentence>
    <sentence><offset>33</offset><text>Ovarian and breast cancer.</text></sentence>
    <annotation id="d"><infon key="type">Disease</infon><location offset="33" length="7"/>
      <location offset="52" length="6"/><text>Ovarian cancer</text></annotation>
    <annotation id="e"><infon key="type">Disease</infon><infon key="MESH">D001943</infon>
      <location offset="45" length="13"/><text>breast cancer</text></annotation>
  </passage>
  <annotation id="p"><infon key="type">Gene</infon><location offset="11" length="3"/></annotation>
  <relation id="r1"><infon key="type">binding</infon><node refid="a" role="x"/><node refid="p" role="y"/></relation>
  <relation id="r2"><infon key="relation">CID</infon><infon key="Chemical">D015032</infon>
    <infon key="Disease">D001943</infon></relation>
  <relation id="r3"><infon key="type">Association</infon><infon key="score">0.9</infon>
    <infon key="role1">Chemical|D015032</infon><infon key="role2">Disease|D001943</infon>
    <node refid="0" role="0,1"/><node refid="1" role="0,4"/></relation>
  <relation id="r4"><infon key="type">all</infon><node refid="a" role=""/><node refid="b" role=""/>
    <node refid="p" role=""/></relation>
</document>
<document><id>6</id><passage><offset>0</offset><text>Nothing.</text></passage></document>
</collection>
"""


def refuse(message):
    raise InputError(message)


def read_pubtator(path, report):
    return table.read_documents(path, "pubtator", refuse, report)


def read_bioc(path, report):
    return table.read_documents(path, "bioc_xml", refuse, report)


def test_pubtator(write):
    report = Report()
    first, second, third = read_pubtator(*write(PUBTATOR), report)
    assert (first.id, first.text) == ("1", "Dopa and depression.\nMethyl dopa: a|t|b.")
    assert first.paragraphs == ((0, 20), (21, 40))
    assert first.entities == (
        Entity("T1", "Chemical", 0, 4, identifier="D1"),
        Entity("T2", "Disease", 9, 19, identifier="D2|D3"),
        Entity("T3", "Chemical", 21, 32),
    )
    assert first.concept_relations == (Relation("R1", "CID", "D1", "D2"), Relation("R2", "Bind", "D1", "D3"))
    assert (second.id, second.text, second.entities) == ("2", "", ())
    assert third.entities == (Entity("T1", "Disease", 0, 4),)
    assert report == Report(documents=3, entities=4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4\t0\t4\tDopa\tChemical\tD1", r"a\.txt, line 3: '4' instead of 1; expected id\|t\|title"),
        ("1\t0\t0\tDopa\tChemical\tD1", r"a\.txt, line 3: offsets '0', '0'; expected numbers, start < end"),
        ("1\tx\t4\tDopa\tChemical\tD1", r"a\.txt, line 3: offsets 'x', '4'; expected numbers"),
        ("1\t0\t4\tDopa", r"a\.txt, line 3: 4 columns; expected id, start, end, text, type, concept, or id, relation"),
        ("1\tCID", r"a\.txt, line 3: 2 columns; expected"),
        ("prose", r"a\.txt, line 3: 'prose' instead of 1"),
    ],
)
def test_bad_pubtator(write, line, message):
    with pytest.raises(InputError, match=message):
        list(read_pubtator(*write(f"1|t|Dopa\n1|a|\n{line}\n"), Report()))


def test_pubtator_without_title(write):
    with pytest.raises(InputError, match=r"a\.txt, line 1: '1\|a\|Dopa'; expected id\|t\|title first"):
        list(read_pubtator(*write("1|a|Dopa\n"), Report()))


def test_bioc(write):
    report = Report()
    path = write(BIOC)[0]
    document, empty = read_bioc(path, report)
    assert (document.id, document.text) == ("5", "Zinc binds p53.\n    It binds two.Ovarian and breast cancer.")
    assert document.paragraphs == ((0, 15), (20, 33), (33, 59))  # the offsets of the file
    assert {(e.id, e.type, document.text[e.start : e.end], e.identifier) for e in document.entities} == {
        ("a", "Chemical", "Zinc", "D015032"),
        ("b", "Verb", "binds", ""),
        ("e", "Disease", "breast cancer", "D001943"),
        ("p", "Gene", "p53", ""),
    }
    assert document.relations == (Relation("r1", "binding", "a", "p"),)
    assert document.concept_relations == (
        Relation("r2", "CID", "D015032", "D001943"),
        Relation("r3", "Association", "D015032", "D001943"),
    )
    assert (empty.id, empty.text, empty.entities, empty.relations) == ("6", "Nothing.", (), ())
    example = f"{path}, line 4: entity d 'Ovarian cancer' is in 2 parts; left out"
    assert report == Report(documents=2, entities=4, discontinuous=1, not_of_two=1, examples=[example])


def test_bioc_neither_expands_entities_nor_reads_files(write, tmp_path):
    (tmp_path / "secret").write_text("secret")
    declared = f'[<!ENTITY lol "lollol"><!ENTITY bomb "&lol;&lol;"><!ENTITY file SYSTEM "{tmp_path}/secret">]'
    text = BIOC.replace('SYSTEM "BioC.dtd"', declared).replace("Nothing.", "Nothing &bomb; &file;.")
    *_, last = read_bioc(*write(text), Report())
    assert "lollol" not in last.text
    assert "secret" not in last.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('offset="0" length="4"', 'offset="x" length="4"', r"a\.txt, line 4: not BioC .*'x'.*; expected offsets"),
        ('offset="0" length="4"', 'offset="0"', r"a\.txt, line 4: not BioC .no 'length'.; expected offsets"),
        ("<offset>20</offset>", "", r"a\.txt, line 4: not BioC .*; expected offsets"),
        ("</document>\n</collection>", "", r"a\.txt, line \d+: not well-formed XML"),
    ],
)
def test_bad_bioc(write, old, new, message):
    with pytest.raises(InputError, match=message):
        list(read_bioc(*write(BIOC.replace(old, new)), Report()))


def test_a_file_that_is_not_bioc(write):
    with pytest.raises(InputError, match=r"a\.txt, line 1: root element html; expected collection"):
        list(read_bioc(*write("<html/>"), Report()))


def test_relations_of_an_id_that_two_annotations_have_are_counted(write):
    report = Report()
    (path,) = write(BIOC.replace('annotation id="b"', 'annotation id="a"'))
    document, _ = read_bioc(path, report)
    assert {document.text[e.start : e.end] for e in document.entities} == {"Zinc", "binds", "breast cancer", "p53"}
    assert len({entity.id for entity in document.entities}) == 4
    assert document.relations == ()
    assert report.without_entity == {"binding": 1}


def test_an_empty_span_is_mended_by_its_text(write):
    report = Report()
    (path,) = write(BIOC.replace('offset="0" length="4"', 'offset="0" length="0"'))
    document, _ = read_bioc(path, report)
    assert {document.text[e.start : e.end] for e in document.entities} >= {"Zinc"}
    assert (report.entities, report.shifted) == (4, 1)
