"""data_prep/annotated.py and entity_offsets.py: corpora in three formats, and where their entities stand."""

import pytest

from common.errors import InputError
from data_prep.formats.annotated import Document, Relation, read_bioc, read_chemprot, read_pubtator
from data_prep.formats.placement import Entity, Mention, Report, place

ABSTRACTS = "7\tSodium 😀 channel.\tNa enters. End.\n8\tNo entity.\t\n"
ENTITIES = "7\tT1\tCHEMICAL\t0\t6\tSodium\n7\tT2\tGENE-N\t9\t16\tchannel\n7\tT3\tCHEMICAL\t18\t20\tNa\n"
RELATIONS = "7\tCPR:4\tY \tINHIBITOR\tArg1:T1\tArg2:T2\n7\tCPR:2\tN \tREGULATOR\tArg1:T3\tArg2:T9\n"

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


@pytest.fixture
def write(tmp_path):
    """Writes files and returns their paths as strings."""

    def write_files(*contents):
        paths = [tmp_path / f"{name}.txt" for name in "abc"[: len(contents)]]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content, encoding="utf-8")
        return [str(path) for path in paths]

    return write_files


def test_chemprot(write):
    report = Report()
    documents = list(read_chemprot(*write(ABSTRACTS, ENTITIES, RELATIONS), report))
    assert documents == [
        Document(
            "7",
            "Sodium 😀 channel.\nNa enters. End.",
            [(0, 17), (18, 33)],
            [
                Entity("T1", "CHEMICAL", 0, 6, "Sodium"),
                Entity("T2", "GENE-N", 9, 16, "channel"),
                Entity("T3", "CHEMICAL", 18, 20, "Na"),
            ],
            [Relation("CPR:4", "T1", "T2"), Relation("CPR:2", "T3", "T9")],
        ),
        Document("8", "No entity.\n", [(0, 10), (11, 11)], [], []),
    ]
    assert report == Report(documents=2, entities=3)


def test_chemprot_gold_standard_and_no_relations(write):
    gold = "7\tCPR:4\tArg1:T1\tArg2:T2\n"
    assert next(read_chemprot(*write(ABSTRACTS, ENTITIES, gold), Report())).relations == [Relation("CPR:4", "T1", "T2")]
    assert next(read_chemprot(*write(ABSTRACTS, ENTITIES), None, Report())).relations == []


def test_chemprot_rows_of_unknown_documents(write):
    report = Report()
    paths = write(ABSTRACTS, ENTITIES + "9\tT1\tCHEMICAL\t0\t6\tSodium\n", RELATIONS + "10\tCPR:4\tArg1:T1\tArg2:T2\n")
    assert len(list(read_chemprot(*paths, report))) == 2
    assert report.rows_of_unknown_documents == 2


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (("7\tNo abstract.\n", ENTITIES, RELATIONS), r"a\.txt, line 1: 2 columns; expected 3"),
        ((ABSTRACTS + "7\tAgain.\t\n", ENTITIES, RELATIONS), r"a\.txt, line 3: document 7 again"),
        ((ABSTRACTS, ENTITIES + "7\tT4\tGENE\t1\t2\n", RELATIONS), r"b\.txt, line 4: 5 columns; expected 6"),
        ((ABSTRACTS, ENTITIES + "7\tT3\tGENE\t0\t6\tSodium\n", RELATIONS), r"b\.txt, line 4: entity T3 again"),
        ((ABSTRACTS, "7\tT1\tGENE\t6\t6\tx\n", RELATIONS), r"b\.txt, line 1: offsets '6', '6'; expected"),
        ((ABSTRACTS, "7\tT1\tGENE\t0\t6.0\tx\n", RELATIONS), r"b\.txt, line 1: offsets '0', '6.0'; expected"),
        ((ABSTRACTS, ENTITIES, "7\tCPR:4\tY \tArg1:T1\tArg2:T2\n"), r"c\.txt, line 1: 5 columns; expected 4 or 6"),
        ((ABSTRACTS, ENTITIES, "7\tCPR:4\tT1\tT2\n"), r"c\.txt, line 1: arguments 'T1', 'T2'; expected Arg1:T1"),
        ((ABSTRACTS, "9\tT1\tGENE\t0\t6\tx\n", ""), r"b\.txt: none of its documents is in .*a\.txt"),
        ((ABSTRACTS, ENTITIES, "9\tCPR:4\tArg1:T1\tArg2:T2\n"), r"c\.txt: none of its documents is in .*a\.txt"),
    ],
)
def test_bad_chemprot(write, contents, message):
    with pytest.raises(InputError, match=message):
        list(read_chemprot(*write(*contents), Report()))


def test_pubtator(write):
    report = Report()
    first, second, third = read_pubtator(*write(PUBTATOR), report)
    assert first == Document(
        "1",
        "Dopa and depression.\nMethyl dopa: a|t|b.",
        [(0, 20), (21, 40)],
        [
            Entity("T1", "Chemical", 0, 4, "Dopa", frozenset({"D1"})),
            Entity("T2", "Disease", 9, 19, "depression", frozenset({"D2", "D3", "D2|D3"})),
            Entity("T3", "Chemical", 21, 32, "Methyl dopa"),
        ],
        [Relation("CID", "D1", "D2", of_concepts=True), Relation("Bind", "D1", "D3", of_concepts=True)],
    )
    assert (second.id, second.text, second.entities) == ("2", "", [])
    assert third.entities == [Entity("T1", "Disease", 0, 4, "Cold")]
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
    with pytest.raises(InputError, match=r"a\.txt, line 1: '1' instead of None; expected id\|t\|title before"):
        list(read_pubtator(*write("1|a|Dopa\n"), Report()))


def test_bioc(write):
    report = Report()
    path = write(BIOC)[0]
    document, empty = read_bioc(path, report)
    assert document == Document(
        "5",
        "Zinc binds p53.\nIt binds two.\nOvarian and breast cancer.",
        [(0, 15), (16, 29), (30, 56)],
        [
            Entity("a", "Chemical", 0, 4, "Zinc", frozenset({"D015032"})),
            Entity("b", "Verb", 19, 24, "binds"),
            Entity("e", "Disease", 42, 55, "breast cancer", frozenset({"D001943"})),
            Entity("p", "Gene", 11, 14, "p53"),
        ],
        [
            Relation("binding", "a", "p"),
            Relation("CID", "D015032", "D001943", of_concepts=True),
            Relation("Association", "D015032", "D001943", of_concepts=True),
        ],
    )
    assert (empty.id, empty.text, empty.entities, empty.relations) == ("6", "Nothing.", [], [])
    example = f"{path}, line 14: entity d 'Ovarian cancer' is in 2 parts; left out"
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
        ('offset="0" length="4"', 'offset="x" length="4"', r"a\.txt, line 6: offset 'x', length '4'; expected"),
        ('offset="0" length="4"', 'offset="0" length="0"', r"a\.txt, line 6: offset '0', length '0'; expected"),
        ('offset="0" length="4"', 'offset="0"', r"a\.txt, line 6: offset '0', length ''; expected"),
        ("<offset>20</offset>", "", r"a\.txt, line 10: offset '' of a sentence; expected a number"),
        ('annotation id="b"', 'annotation id="a"', r"a\.txt, line 11: entity a again in document 5"),
        ("</document>\n</collection>", "", r"a\.txt, line \d+: not well-formed XML"),
    ],
)
def test_bad_bioc(write, old, new, message):
    with pytest.raises(InputError, match=message):
        list(read_bioc(*write(BIOC.replace(old, new)), Report()))


def test_a_file_that_is_not_bioc(write):
    with pytest.raises(InputError, match=r"a\.txt, line 1: root element html; expected collection"):
        list(read_bioc(*write("<html/>"), Report()))


TEXT = "α 😀 zinc, zinc\u2009ions and  NO in KNOX"


def check_place(mentions, expected, **report_values):
    report = Report()
    mentions = [Mention(Entity(f"T{i}", "X", *mention), f"x, line {i}") for i, mention in enumerate(mentions)]
    placed = place(TEXT, mentions, report)
    assert [(entity.start, entity.end) for entity in placed] == expected
    assert [entity.text for entity in placed] == [TEXT[start:end] for start, end in expected]
    report.examples = []
    assert report == Report(entities=len(expected), **report_values)


@pytest.mark.parametrize(
    ("mentions", "spans"),
    [
        ([(4, 8, "zinc"), (10, 19, "zinc\u2009ions")], [(4, 8), (10, 19)]),
        ([(10, 19, "zinc ions"), (20, 27, "and NO")], [(10, 19), (20, 27)]),  # but for white space
        ([(3, 9, " zinc,"), (14, 15, "\u2009ions")], [(4, 9)]),  # trimmed; the second is elsewhere
    ],
)
def test_entities_in_characters(mentions, spans):
    check_place(mentions, spans, misplaced=len(mentions) - len(spans))


def test_entities_in_bytes():
    check_place([(8, 12, "zinc"), (14, 25, "zinc ions")], [(4, 8), (10, 19)], other_units={"UTF-8 bytes": 1})


def test_entities_in_utf_16():
    units = {"UTF-16 code units": 1}
    check_place([(0, 1, "α"), (5, 9, "zinc"), (26, 28, "NO")], [(0, 1), (4, 8), (25, 27)], other_units=units)


def test_entities_at_a_constant_distance():
    # `zinc` occurs twice, but only 3 characters before its offsets does `NO`, too, stand before its own.
    check_place([(0, 1, "α"), (7, 11, "zinc"), (28, 30, "NO")], [(0, 1), (4, 8), (25, 27)], shifted=2)


def test_entities_at_an_ambiguous_distance_are_left_out():
    check_place([(7, 11, "zinc")], [], misplaced=1)
    check_place([(0, 4, "zinc"), (0, 2, "NO")], [], misplaced=2)  # no common distance


def test_words_are_not_found_inside_words():
    check_place([(0, 2, "OX")], [], misplaced=1)


def test_an_entity_beyond_the_text():
    check_place([(90, 92, "Fe")], [], misplaced=1)


def test_examples_name_the_place():
    report = Report()
    place(TEXT, [Mention(Entity("T1", "X", 28, 30, "NO"), "x.tsv, line 3")], report)
    place(TEXT, [Mention(Entity("T2", "X", 5, 6, "Fe"), "x.tsv, line 4")] * 9, report)
    assert report.examples[:2] == [
        "x.tsv, line 3: entity T1 'NO', but the text at its offsets is 'in'; moved by -3",
        "x.tsv, line 4: entity T2 'Fe', but the text at its offsets is 'i'; left out",
    ]
    assert len(report.examples) == 5


def test_the_part_of_chemprot(shared):
    report = Report()
    paths = [str(shared / f"data/re/chemprot/raw/chemprot_training_{n}.tsv") for n in ("abstracts", "entities")]
    documents = list(read_chemprot(*paths, None, report))
    assert report == Report(documents=1020, entities=2000)
    assert all(
        entity.text == document.text[entity.start : entity.end]
        for document in documents
        for entity in document.entities
    )
