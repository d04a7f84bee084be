"""Annotated documents as JSON lines, PubTator and CoNLL; what holds of all output formats."""

import dataclasses
import io
import json
import pathlib
import re
import tracemalloc

import lxml.html
import pytest
from bioc import pubtator as bioc_pubtator
from hypothesis import given, settings

from data_prep.formats import table
from data_prep.formats.document import Document, Entity, Relation, unused_ids
from data_prep.formats.placement import Report
from data_prep.formats.pubtator import Origin
from data_prep.tasks import ner
from tests.helpers.annotated_samples import ABSTRACT, EMPTY, documents, written

JSON_LINE = (
    '{"id": "123", "source": "sample.xml, line 2", '
    '"text": "Lung cancer & EGFR\\nGefitinib inhibits EGFR in lung\\ncancer <NSCLC> 😀.", "entities": ['
    '{"id": "T1", "type": "Disease", "start": 0, "end": 11, "text": "Lung cancer", '
    '"confidence": 0.98, "model": "ncbi"}, '
    '{"id": "T2", "type": "Gene", "start": 14, "end": 18, "text": "EGFR"}, '
    '{"id": "T3", "type": "Chemical", "start": 19, "end": 28, "text": "Gefitinib", '
    '"confidence": 1.0, "model": "chem"}, '
    '{"id": "T4", "type": "Gene", "start": 38, "end": 42, "text": "EGFR"}, '
    '{"id": "T5", "type": "Disease", "start": 46, "end": 57, "text": "lung\\ncancer", '
    '"confidence": 0.9, "model": "ncbi"}, '
    '{"id": "T6", "type": "Disease", "start": 59, "end": 64, "text": "NSCLC", "confidence": 0.75, "model": "ncbi"}], '
    '"relations": [{"id": "R1", "type": "inhibitor", "first": "T3", "second": "T4", "confidence": 0.8765}, '
    '{"id": "R2", "type": "target of", "first": "T1", "second": "T2"}]}\n'
)
PUBTATOR = (
    "123|t|Lung cancer & EGFR\n"
    "123|a|Gefitinib inhibits EGFR in lung cancer <NSCLC> 😀.\n"
    "123\t0\t11\tLung cancer\tDisease\tT1\n"
    "123\t14\t18\tEGFR\tGene\tT2\n"
    "123\t19\t28\tGefitinib\tChemical\tT3\n"
    "123\t38\t42\tEGFR\tGene\tT4\n"
    "123\t46\t57\tlung cancer\tDisease\t-\n"
    "123\t59\t64\tNSCLC\tDisease\t-\n"
    "123\tinhibitor\tT3\tT4\n"
    "123\ttarget of\tT1\tT2\n"
    "\n"
)
CONLL = """\
Lung	B-Disease	O
cancer	I-Disease	O
&	O	O
EGFR	O	O

Gefitinib	O	B-Chemical
inhibits	O	O
EGFR	O	O
in	O	O
lung	B-Disease	O
cancer	I-Disease	O
<	O	O
NSCLC	B-Disease	O
>	O	O
😀	O	O
.	O	O

"""


def conll_document(text, *entities):
    """A document of one sentence, cut into words at spaces."""
    starts = [0] + [i + 1 for i, character in enumerate(text) if character == " "]
    words = tuple((start, start + len(word)) for start, word in zip(starts, text.split(" "), strict=True))
    return Document("1", text, ((0, len(text)),), "x", entities=entities, words=(words,))


def labels(file_text):
    return [line.split("\t")[1:] for line in file_text.split("\n") if line]


def read_file(tmp_path, text, name="out.pubtator"):
    """Writes a text file as the scripts do."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return str(path)


# JSON lines


def test_json_lines():
    assert written("jsonl", ABSTRACT) == JSON_LINE


def test_json_lines_of_two_documents():
    lines = written("jsonl", ABSTRACT, EMPTY).split("\n")
    assert json.loads(lines[1]) == {"id": "0", "source": "empty", "text": "", "entities": [], "relations": []}
    assert lines[2:] == [""]


@given(document=documents())
@settings(max_examples=50, deadline=None)
def test_json_lines_of_any_text(document):
    line = written("jsonl", document)
    assert line.count("\n") == 1
    found = json.loads(line)
    assert (found["id"], found["text"]) == (document.id, document.text)
    assert [found["text"][e["start"] : e["end"]] for e in found["entities"]] == [e["text"] for e in found["entities"]]
    assert [(e["start"], e["end"], e["type"]) for e in found["entities"]] == [
        (e.start, e.end, e.type) for e in document.entities
    ]


# PubTator


def test_pubtator():
    assert written("pubtator", ABSTRACT) == PUBTATOR


def test_pubtator_is_read_back(tmp_path):
    report = Report()
    path = read_file(tmp_path, written("pubtator", ABSTRACT, EMPTY))
    document, empty = table.read_documents(path, "pubtator", pytest.fail, report)
    assert [(e.start, e.end, e.type) for e in document.entities] == [
        (0, 11, "Disease"),
        (14, 18, "Gene"),
        (19, 28, "Chemical"),
        (38, 42, "Gene"),
        (46, 57, "Disease"),
        (59, 64, "Disease"),
    ]
    assert [(r.type, r.first, r.second) for r in document.concept_relations] == [
        ("inhibitor", "T3", "T4"),
        ("target of", "T1", "T2"),
    ]
    assert [e.identifier for e in document.entities][1:5] == ["T2", "T3", "T4", ""]
    assert (empty.id, empty.text.strip(), empty.entities, report.misplaced) == ("0", "", (), 0)


def test_pubtator_is_read_by_the_library_bioc():
    (document,) = bioc_pubtator.loads(written("pubtator", ABSTRACT))
    assert (document.pmid, document.title) == ("123", "Lung cancer & EGFR")
    assert [document.text[a.start : a.end] for a in document.annotations] == [a.text for a in document.annotations]
    assert [(r.type, r.id1, r.id2) for r in document.relations] == [
        ("inhibitor", "T3", "T4"),
        ("target of", "T1", "T2"),
    ]


@pytest.mark.parametrize(
    ("text", "paragraphs", "lines"),
    [
        ("  Title.\r\n\r\n\tAbstract. ", ((2, 8), (13, 22)), ["x|t|  Title.", "x|a|    Abstract. "]),
        ("One line", ((0, 8),), ["x|t|One line", "x|a|"]),
        ("Title\n", ((0, 5),), ["x|t|Title", "x|a|"]),
        ("\nNo title", ((1, 9),), ["x|t|", "x|a|No title"]),
        ("A\nB\u2028C\x85D", ((0, 1), (2, 3), (4, 7)), ["x|t|A", "x|a|B C D"]),
        (" \n", (), ["x|t|  ", "x|a|"]),
    ],
)
def test_pubtator_keeps_offsets_whatever_is_around_paragraphs(text, paragraphs, lines):
    kinds = ("abstract",) if text == "\nNo title" else ()
    assert written("pubtator", Document("x", text, paragraphs, "x", kinds)).split("\n")[:2] == lines


def test_pubtator_columns_hold_no_separators():
    document = Document(
        "a|b\tc", "x", ((0, 1),), "x", (), (Entity("T1", "my\ttype", 0, 1), Entity("T2", "", 0, 1)),
        (Relation("R1", "1", "T1", "T2"),),
    )  # fmt: skip
    # A number in the place of a relation's type would be an offset.
    assert written("pubtator", document) == (
        "a_b c|t|x\na_b c|a|\na_b c\t0\t1\tx\tmy type\tT1\na_b c\t0\t1\tx\t-\tT2\na_b c\trelation_1\tT1\tT2\n\n"
    )


@given(document=documents())
@settings(max_examples=50, deadline=None)
def test_pubtator_of_any_text_is_read_back(document, tmp_path_factory):
    path = read_file(tmp_path_factory.getbasetemp(), written("pubtator", document))
    report = Report()
    (found,) = table.read_documents(path, "pubtator", pytest.fail, report)
    assert report.misplaced == report.shifted == 0
    assert [(e.start, e.end, e.type) for e in found.entities] == [(e.start, e.end, e.type) for e in document.entities]
    assert len(found.concept_relations) == len(document.relations)
    assert len(found.text) - len(document.text) in (0, 1)  # 1: no white space to take for what separates the two texts


def test_pubtator_writes_again_what_its_reader_kept(tmp_path):
    given_text = (
        "7|t|Aspirin and pain\n7|a|Pain.\n7\t0\t7\tAspirin\tChemical\tMESH:D001241\n7\t12\t16\tpain\tDisease\t-1\n"
        "7\t2\t5\tmisplaced\tGene\t5743\n7\tTreats\tMESH:D001241\tMESH:D010146\tNovel\n\n"
    )
    (document,) = table.read_documents(read_file(tmp_path, given_text), "pubtator", pytest.fail)
    assert isinstance(document.origin, Origin)
    assert written("pubtator", document) == given_text
    annotated_document = dataclasses.replace(
        document,
        entities=(*document.entities, Entity("T4", "Disease", 17, 21, 0.9, "ncbi")),
        relations=(Relation("R1", "helps", "T1", "T4", 0.9), Relation("R2", "helps", "T1", "T2", 0.8)),
    )
    # The concept names an entity in a relation, the id of the entity where it has none.
    assert written("pubtator", annotated_document).split("\n")[2:] == [
        "7\t0\t7\tAspirin\tChemical\tMESH:D001241",
        "7\t12\t16\tpain\tDisease\tT2",
        "7\t17\t21\tPain\tDisease\tT4",
        "7\t2\t5\tmisplaced\tGene\t5743",
        "7\tTreats\tMESH:D001241\tMESH:D010146\tNovel",
        "7\thelps\tMESH:D001241\tT4",
        "7\thelps\tMESH:D001241\tT2",
        "",
        "",
    ]


# CoNLL


def test_conll():
    assert written("conll", ABSTRACT) == CONLL


def test_conll_of_several_documents_is_read_as_ner_data(tmp_path):
    text = written("conll", ABSTRACT, EMPTY, ABSTRACT, models=["ncbi"])
    assert text.count("\n-DOCSTART-\tO\n") == 2
    sentences = ner.read_sentences(read_file(tmp_path, text))
    assert [len(sentence.words) for sentence in sentences] == [4, 11, 4, 11]
    assert sentences[3].labels == "O O O O B-Disease I-Disease O B-Disease O O O".split()


def test_conll_of_given_entities():
    assert labels(written("conll", ABSTRACT, models=()))[3] == ["B-Gene"]
    assert labels(written("conll", ABSTRACT, models=["", "ncbi"]))[0] == ["O", "B-Disease"]


def test_conll_gives_a_word_to_the_longest_entity():
    document = conll_document(
        "a b c d e",
        Entity("T1", "Short", 2, 3, 1.0, "m"),
        Entity("T2", "Long", 0, 5, 1.0, "m"),
        Entity("T3", "Later", 4, 7, 1.0, "m"),
        Entity("T4", "Last", 8, 9, 1.0, "m"),
        Entity("T5", "Same", 8, 9, 1.0, "m"),
    )
    assert labels(written("conll", document, models=["m"])) == [["B-Long"], ["I-Long"], ["I-Long"], ["O"], ["B-Last"]]


def test_conll_labels_of_neighbours_parts_of_words_and_types():
    document = conll_document(
        "a bc d e",
        Entity("T1", "cell line", 0, 1, 1.0, "m"),
        Entity("T2", "cell line", 3, 6, 1.0, "m"),
        Entity("T3", "", 7, 8, 1.0, "m"),
    )
    assert labels(written("conll", document, models=["m"])) == [
        ["B-cell_line"],
        ["B-cell_line"],
        ["I-cell_line"],
        ["B"],
    ]


def test_conll_cuts_an_entity_between_sentences():
    document = dataclasses.replace(
        conll_document("a b", Entity("T1", "X", 0, 3, 1.0, "m")), words=(((0, 1),), (), ((2, 3),))
    )
    assert written("conll", document, models=["m"]) == "a\tB-X\n\nb\tB-X\n\n"


def test_conll_words_hold_no_white_space():
    document = Document("1", "a\x85b", ((0, 3),), "x", words=(((0, 3),),))
    assert written("conll", document) == "a\ufffdb\tO\tO\n\n"


def test_conll_needs_words():
    with pytest.raises(ValueError, match="document 1 has no words"):
        written("conll", Document("1", "a", ((0, 1),), "x"))


# All formats


@pytest.mark.parametrize("output_format", ["jsonl", "pubtator", "conll", "bioc_xml", "bioc_json", "html"])
def test_memory_does_not_grow_with_the_documents(output_format):
    class Sink(io.TextIOBase):
        def write(self, text):
            return len(text)

    document = dataclasses.replace(ABSTRACT, text=ABSTRACT.text + 10_000 * "x", paragraphs=((0, 18), (19, 10_068)))
    with table.open_writer(output_format, Sink(), ["ncbi"]) as writer:
        for _ in range(3):
            writer.write(document)
        tracemalloc.start()
        for _ in range(20):
            writer.write(document)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 100_000  # bytes; the texts alone would take 200,000


def test_formats():
    assert table.OUTPUT_FORMATS == ("jsonl", "pubtator", "bioc_xml", "bioc_json", "brat", "conll", "html")
    assert len({table.FORMATS[name].extension for name in table.OUTPUT_FORMATS}) == len(table.OUTPUT_FORMATS)


# Identifiers, and what a format has no place for

GIVEN = dataclasses.replace(
    ABSTRACT,
    entities=tuple(
        dataclasses.replace(entity, identifier=identifier)
        for entity, identifier in zip(ABSTRACT.entities, ["D1", "672|673", "", "MESH:D2", "", ""], strict=True)
    ),
    concept_relations=(Relation("R9", "cause", "672", "D1"),),
)


@pytest.mark.parametrize("output_format", ["pubtator", "bioc_xml", "bioc_json", "brat"])
def test_identifiers_are_read_back(output_format, tmp_path):
    path = str(tmp_path / "out")
    if output_format == "brat":
        with table.open_writer(output_format, path, ()) as writer:
            writer.write(GIVEN)
        (path,) = table.list_inputs(path)
    else:
        pathlib.Path(path).write_text(written(output_format, GIVEN), encoding="utf-8")
    (found,) = table.read_documents(path, output_format, pytest.fail)
    expected = {(e.start, e.end, e.type): e.identifier for e in GIVEN.entities}
    for entity in found.entities:
        given = expected[entity.start, entity.end, entity.type]
        assert entity.identifier == given or not given and re.fullmatch("T[0-9]+", entity.identifier)
    concept_relations = {(r.type, r.first, r.second) for r in found.concept_relations}
    assert (("cause", "672", "D1") in concept_relations) is (output_format != "brat")


# What a terminology gave.
LINKED = dataclasses.replace(
    GIVEN,
    entities=(
        dataclasses.replace(GIVEN.entities[0], identifier_score=0.8125, matched_name="polycystic kidneys"),
        *GIVEN.entities[1:],
    ),
)


@pytest.mark.parametrize("output_format", ["bioc_xml", "bioc_json", "brat"])
def test_scores_and_matched_names_are_read_back(output_format, tmp_path):
    path = str(tmp_path / "out")
    if output_format == "brat":
        with table.open_writer(output_format, path, ()) as writer:
            writer.write(LINKED)
        (path,) = table.list_inputs(path)
    else:
        pathlib.Path(path).write_text(written(output_format, LINKED), encoding="utf-8")
    report = Report()
    (found,) = table.read_documents(path, output_format, pytest.fail, report)
    assert [(e.identifier, e.identifier_score, e.matched_name) for e in found.entities if e.matched_name] == [
        ("D1", 0.8125, "polycystic kidneys")
    ]
    assert not report.other_annotations


def test_jsonl_and_html_show_scores_and_matched_names():
    found = json.loads(written("jsonl", LINKED))["entities"]
    assert (found[0]["identifier_score"], found[0]["matched_name"]) == (0.8125, "polycystic kidneys")
    assert not {"identifier_score", "matched_name"} & found[1].keys()
    page = lxml.html.document_fromstring(written("html", LINKED))
    assert [cell.text_content() for cell in page.xpath("//details//tbody/tr[1]/td")][1:3] == [
        "D1",
        "polycystic kidneys",
    ]
    assert "D1 (polycystic kidneys)" in page.xpath("//p/mark/@title")[0]


@pytest.mark.parametrize(
    ("input_format", "row", "without"),
    [
        ("pubtator", "5\t0\t7\tInsulin\tGene\tG1\n", "5\t0\t7\tInsulin\tGene\t-\n"),
        ("pubtator", "5\t0\t7\tInsulin\tGene\t-1\n", "5\t0\t7\tInsulin\tGene\t-1\n"),
    ],
)
def test_an_identifier_that_is_taken_away_does_not_come_back(tmp_path, input_format, row, without):
    text = "5|t|Insulin in mice.\n5|a|Nothing.\n"
    (document,) = table.read_documents(read_file(tmp_path, text + row), input_format, pytest.fail)
    entity = dataclasses.replace(document.entities[0], identifier="")
    assert written(input_format, dataclasses.replace(document, entities=(entity,))) == f"{text}{without}\n"


@pytest.mark.parametrize("identifier", ["", "X1"])
def test_another_identifier_replaces_those_of_all_terminologies_in_bioc(tmp_path, identifier):
    infons = {"type": "Gene", "MESH": "D007328", "UniProt": "P01308", "note": "seen twice"}
    annotation = {"id": "3", "infons": infons, "text": "Insulin", "locations": [{"offset": 0, "length": 7}]}
    passage = {"offset": 0, "infons": {}, "text": "Insulin.", "sentences": [], "annotations": [annotation]}
    passage["relations"] = []
    document = {"id": "5", "infons": {}, "passages": [passage], "annotations": [], "relations": []}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"source": "", "date": "", "key": "", "infons": {}, "documents": [document]}))
    (found,) = table.read_documents(str(path), "bioc_json", pytest.fail)
    entity = dataclasses.replace(found.entities[0], identifier=identifier)
    back = json.loads(written("bioc_json", dataclasses.replace(found, entities=(entity,))))
    (annotation,) = back["documents"][0]["passages"][0]["annotations"]
    expected = {"type": "Gene", "note": "seen twice", **({"identifier": identifier} if identifier else {})}
    assert annotation["infons"] == expected


def test_jsonl_has_identifiers_and_relations_between_concepts():
    found = json.loads(written("jsonl", GIVEN))
    assert [entity.get("identifier") for entity in found["entities"]] == ["D1", "672|673", None, "MESH:D2", None, None]
    assert found["concept_relations"] == [{"id": "R9", "type": "cause", "first": "672", "second": "D1"}]
    assert "concept_relations" not in json.loads(written("jsonl", ABSTRACT))


@pytest.mark.parametrize(
    ("output_format", "message"),
    [
        ("conll", "conll has no place for what was given: 2 relations, 3 identifiers, 1 relations between concepts"),
        ("html", "html has no place for what was given: 1 relations between concepts"),
        ("jsonl", None),
    ],
)
def test_what_a_format_has_no_place_for_is_counted(output_format, message, caplog):
    document = dataclasses.replace(GIVEN, words=())
    with table.open_writer(output_format, io.StringIO(), ["ncbi"]) as writer:
        writer.write(document)
    assert (message in caplog.text) if message else not caplog.text


def test_a_found_entity_has_not_the_concept_of_one_that_was_left_out(tmp_path):
    text = "5|t|Insulin in polycystic kidney disease.\n5|a|Nothing.\n"
    row = "5\t2\t5\tINS\tGene\t3630\n"
    (document,) = table.read_documents(read_file(tmp_path, text + row), "pubtator", pytest.fail)
    assert document.entities == ()
    new_id = next(unused_ids("T", document))
    found = dataclasses.replace(document, entities=(Entity(new_id, "Disease", 11, 36, 0.9, "ncbi"),))
    found_row = "5\t11\t36\tpolycystic kidney disease\tDisease\t-\n"
    assert written("pubtator", found) == f"{text}{found_row}{row}\n"


def test_ids_of_other_formats_are_no_concepts():
    document = dataclasses.replace(
        ABSTRACT,
        entities=tuple(dataclasses.replace(e, id=str(n), identifier="") for n, e in enumerate(ABSTRACT.entities)),
        relations=(Relation("R1", "cause", "2", "3"),),
    )
    assert written("pubtator", document).splitlines()[-2].split("\t")[1:] == ["cause", "entity_2", "entity_3"]
