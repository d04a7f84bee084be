"""What one format gives, another takes and gives back: every pair of formats that are read and written."""

import collections
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.formats import table
from data_prep.formats.document import Document, Entity, Relation

FORMATS = ["pubtator", "bioc_xml", "bioc_json", "brat"]
TEXT = "Lung cancer of EGFR\nGefitinib inhibits α-EGFR, in 2 lungs."
WORDS = [(0, 4), (0, 11), (5, 11), (15, 19), (20, 29), (39, 45), (41, 45), (52, 57)]


@st.composite
def documents(draw):
    """A document with entities, identifiers, and relations between entities and between concepts."""
    spans = draw(st.lists(st.sampled_from(WORDS), max_size=6))
    names = st.sampled_from(["", "MESH:D008175", "D1|D2", "1956"])
    kinds = st.sampled_from(["Disease", "Gene"])
    entities = tuple(
        Entity(f"T{number}", draw(kinds), *span, identifier=draw(names)) for number, span in enumerate(spans, 1)
    )
    concepts = sorted({entity.identifier for entity in entities} - {""})
    ends = [entity.id for entity in entities]
    between = [
        draw(st.lists(st.sampled_from(list(itertools.permutations(each, 2))), max_size=3)) if len(each) > 1 else []
        for each in (ends, concepts)
    ]
    of_entities, of_concepts = (
        tuple(Relation(f"{letter}{number}", "binds", *pair) for number, pair in enumerate(pairs, 1))
        for letter, pairs in zip("RC", between, strict=True)
    )
    paragraphs = ((0, 19), (20, len(TEXT)))
    return Document(
        *("7", TEXT, paragraphs, "any", ("title", "abstract")),
        entities=entities,
        relations=of_entities,
        concept_relations=of_concepts,
    )


def pass_through(output_format, documents_, directory):
    """Writes and reads documents; returns them, and a Counter of what the format has no place for."""
    path, lost = str(directory / output_format), collections.Counter()
    directory.mkdir(parents=True)
    if output_format == "brat":
        with table.open_writer("brat", path, [], lost) as writer:
            for document in documents_:
                writer.write(document)
    else:
        with (
            open(path, "w", encoding="utf-8", newline="") as file,
            table.open_writer(output_format, file, [], lost) as writer,
        ):
            for document in documents_:
                writer.write(document)
    paths = table.list_inputs(path, input_format=output_format)
    return [d for each in paths for d in table.read_documents(each, output_format, pytest.fail)], lost


def entities_of(document):
    return collections.Counter((e.type, e.start, e.end, e.identifier) for e in document.entities)


def relations_of(document):
    """Relations with what their ends are: entities by their place, concepts by their name."""
    places = {e.id: (e.start, e.end) for e in document.entities}
    return collections.Counter((r.type, places[r.first], places[r.second]) for r in document.relations)


def concept_relations_of(document):
    return collections.Counter((r.type, r.first, r.second) for r in document.concept_relations)


@pytest.mark.parametrize("pair", list(itertools.product(FORMATS, FORMATS)), ids="-".join)
@settings(deadline=None, max_examples=15)
@given(document=documents())
def test_nothing_is_lost_without_a_word(pair, document, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pairs")
    expected = {"entities": entities_of(document), "concepts": concept_relations_of(document)}
    relations = relations_of(document)
    found = [document]
    for number, output_format in enumerate(pair):
        found, lost = pass_through(output_format, found, directory / str(number))
        (back,) = found
        assert back.text == TEXT
        if output_format == "pubtator":  # its relations are between concepts, made up where an entity has none
            assert back.relations == ()
            assert len(back.concept_relations) == relations.total() + expected["concepts"].total()
            return
        assert entities_of(back) == expected["entities"]
        assert relations_of(back) == relations
        assert lost[table.CONCEPT_RELATIONS] == (expected["concepts"].total() if output_format == "brat" else 0)
        if output_format == "brat":
            expected["concepts"] = collections.Counter()
        assert concept_relations_of(back) == expected["concepts"]


@pytest.mark.parametrize("name", ["CDR_DevelopmentSet.PubTator.txt", "BioRED_Dev.PubTator", "NCBI_devel.PubTator.txt"])
@pytest.mark.parametrize("output_format", ["bioc_xml", "bioc_json", "brat"])
def test_corpora(shared, tmp_path, name, output_format):
    path = str(shared / f"data/formats/{name}.gz")
    given_ = list(table.read_documents(path, "pubtator", pytest.fail))
    there, lost = pass_through(output_format, given_, tmp_path / "there")
    there.sort(key=lambda document: [each.id for each in given_].index(document.id))
    assert [entities_of(each) for each in there] == [entities_of(each) for each in given_]
    expected = sum((concept_relations_of(each) for each in given_), collections.Counter())
    found = sum((concept_relations_of(each) for each in there), collections.Counter())
    assert found == (collections.Counter() if output_format == "brat" else expected)
    assert lost[table.CONCEPT_RELATIONS] == (expected.total() if output_format == "brat" else 0)


@pytest.mark.parametrize("name", ["CDR_DevelopmentSet.BioC.xml", "BioRED_Dev.BioC.XML"])
def test_corpora_to_pubtator(shared, tmp_path, name):
    given_ = list(table.read_documents(str(shared / f"data/formats/{name}.gz"), "bioc_xml", pytest.fail))
    there, lost = pass_through("pubtator", given_, tmp_path / "there")
    assert [entities_of(each) for each in there] == [entities_of(each) for each in given_]
    assert [concept_relations_of(each) for each in there] == [concept_relations_of(each) for each in given_]
    assert sum(len(each.concept_relations) for each in there) > 1_000
    assert not +lost
