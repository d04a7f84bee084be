"""Which identifier an entity gets."""

import dataclasses

import pytest

from data_prep.formats.document import Document, Entity
from inference.linking import index
from inference.linking.linker import Linker, Terminology

TABLE = """\
D1\tlung cancer\tcarcinoma of lung
D2\tacute lymphoblastic leukemia\tALL
D3\tallergy
D4\ttype 1 diabetes mellitus
D5\tstroke\tCVA
D6\tcerebral infarction\tstroke|brain infarct
D7\tcyclophosphamide
D8\tNon-insulin-dependent diabetes
"""
CORPUS = """\
1|t|cold and cold, the cold in CAT and CAT
1|a|
1\t0\t4\tcold\tDisease\tC1
1\t9\t13\tcold\tDisease\tC2
1\t19\t23\tcold\tDisease\tC2
1\t27\t30\tCAT\tGene\tG1
1\t35\t38\tCAT\tSpecies\tS1
"""


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Makes a `Terminology` of a text."""

    def load_text(text=TABLE, types=()):
        path = tmp_path_factory.mktemp("terminology") / "a.txt"
        path.write_text(text)
        return Terminology(index.load(str(path)), frozenset(types))

    return load_text


def link(terminologies, text, *mentions, kind="Disease", given="", **options):
    """Links the mentions, in their order in a text, and returns their entities."""
    entities, end = [], 0
    for mention in mentions:
        start = text.index(mention, end)
        end = start + len(mention)
        entities.append(Entity(f"T{start}", kind, start, end, identifier=given))
    words = (((0, 1), (len(text) - 1, len(text))),)
    document = Document("1", text, ((0, len(text)),), "x", entities=tuple(entities), words=words)
    (linked,) = Linker(terminologies, **options).link([document])
    assert dataclasses.replace(linked, entities=()) == dataclasses.replace(document, entities=())
    return linked.entities


def identifiers(*arguments, **options):
    return [entity.identifier for entity in link(*arguments, **options)]


def test_the_same_name_written_otherwise(load):
    (entity,) = link([load()], "Carcinomas of the Lung", "Carcinomas of the Lung")
    assert (entity.identifier, entity.identifier_score, entity.matched_name) == ("D1", 1.0, "carcinoma of lung")


def test_a_similar_name_with_its_score(load):
    (entity,) = link([load()], "cyclophosphamid.", "cyclophosphamid")
    assert (entity.identifier, entity.matched_name) == ("D7", "cyclophosphamide")
    assert 0.75 < entity.identifier_score < 1
    assert identifiers([load()], "cyclophosphamid", "cyclophosphamid", least_score=0.95) == [""]


@pytest.mark.parametrize(
    "mention", ["type 2 diabetes mellitus", "insulin-dependent diabetes", "pneumothorax", "?", "lung"]
)
def test_what_means_something_else_gets_none(load, mention):
    (entity,) = link([load()], mention, mention)
    assert (entity.identifier, entity.identifier_score, entity.matched_name) == ("", None, "")


def test_of_equal_names_that_written_as_the_mention(load):
    assert identifiers([load("D1\tall\nD2\tALL\n")], "ALL, all, All", "ALL", "all", "All") == ["D2", "D1", "D1"]


def test_a_name_before_a_synonym(load):
    assert identifiers([load()], "stroke", "stroke") == ["D5"]


def test_what_the_document_has_elsewhere(load):
    assert identifiers([load()], "stroke after cerebral infarction", "stroke", "cerebral infarction") == ["D6", "D6"]
    text = "stroke and infarct of the brain"
    assert identifiers([load()], text, "stroke", "infarct of the brain") == ["D6", "D6"]


def test_what_a_corpus_has_more_often(load):
    assert identifiers([load(CORPUS)], "a cold", "cold") == ["C2"]


@pytest.mark.parametrize(("kind", "expected"), [("Gene", "G1"), ("Species", "S1"), ("Disease", ""), ("Chemical", "")])
def test_a_corpus_is_for_the_types_of_its_names(load, kind, expected):
    assert identifiers([load(CORPUS)], "a CAT", "CAT", kind=kind) == [expected]


@pytest.mark.parametrize(
    ("types", "kind", "expected"),
    [(["Gene", "Protein"], "Protein", "G1"), (["Gene", "Protein"], "Gene", "G1"), (["Gene"], "Protein", "")],
)
def test_types_given_are_one(load, types, kind, expected):
    assert identifiers([load(CORPUS, types)], "a CAT", "CAT", kind=kind) == [expected]


def test_a_table_is_for_all_types_or_those_given(load):
    assert identifiers([load()], "allergy", "allergy", kind="Anything") == ["D3"]
    assert identifiers([load(types=["Disease"])], "allergy", "allergy", kind="Anything") == [""]


def test_of_several_terminologies_the_first_counts(load):
    first, second = load("X1\tallergies\n"), load()
    assert identifiers([first, second], "allergies, stroke", "allergies", "stroke") == ["X1", "D5"]
    assert identifiers([second, first], "an allergy, the allergy", "allergy", "allergy") == ["D3", "D3"]


def test_abbreviations_of_the_text_are_looked_up_by_their_long_form(load):
    text = "Cerebral infarction (CI) and ALL. CI and a CI of acute lung lesions (ALL)."
    found = ["Cerebral infarction", "CI", "ALL", "CI"]
    assert identifiers([load()], text, *found) == ["D6", "D6", "D2", "D6"]
    assert identifiers([load()], text, *found, abbreviations=False) == ["D6", "", "D2", ""]
    assert identifiers([load()], "Insulin-independent (II). Lung cancer (LC), an LC.", "LC", "LC") == ["D1", "D1"]


def test_abbreviations_inside_a_mention(load):
    text = "diabetes mellitus (DM), with type 1 DM"
    assert identifiers([load()], text, "type 1 DM") == ["D4"]


def test_identifiers_of_the_input_stay_unless_told_otherwise(load):
    (kept,) = link([load()], "stroke", "stroke", given="X9")
    assert (kept.identifier, kept.identifier_score) == ("X9", None)
    assert identifiers([load()], "stroke, xyz", "stroke", "xyz", given="X9", keep=False) == ["D5", ""]


def test_an_identifier_given_by_a_terminology_is_given_anew(load):
    entity = Entity("T1", "Disease", 0, 6, identifier="OLD", identifier_score=0.9, matched_name="old")
    document = Document("1", "stroke", ((0, 6),), "x", entities=(entity,), words=(((0, 6),),))
    (linked,) = Linker([load()]).link([document])
    assert (linked.entities[0].identifier, linked.entities[0].matched_name) == ("D5", "stroke")


def test_which_entities_it_is_for(load):
    linker = Linker([load(types=["Disease"])])
    disease, gene = Entity("1", "Disease", 0, 1), Entity("2", "Gene", 0, 1)
    assert [linker.is_for(each) for each in (disease, gene)] == [True, False]
    assert not linker.is_for(dataclasses.replace(disease, identifier="X"))
    assert linker.is_for(dataclasses.replace(disease, identifier="X", identifier_score=1.0))
