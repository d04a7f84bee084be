"""What models found, carried over to the abbreviations of a text."""

import collections
import dataclasses

import pytest

from data_prep.formats import table
from data_prep.formats.document import Document, Entity
from data_prep.text.abbreviations import find_definitions
from data_prep.text.sentences import load_sentence_splitter
from data_prep.text.words import find_words
from inference.abbreviations import carry_over

TEXT = "CKD is chronic kidney disease (CKD). Of CKD and CKD4, not the CKD group: CKD."


def find(*found, text=TEXT, words=None):
    words = words or (((0, 3), (34, 35)), ((37, 38), (len(text) - 1, len(text))))
    return carry_over(Document("1", text, ((0, len(text)),), "x", words=words), found)


def entity(text, start, kind="Disease", model="m", **fields):
    return Entity(f"T{start}", kind, start, start + len(text), 0.9, model, **fields)


LONG = entity("chronic kidney disease", 7, identifier="D1")


def test_later_mentions_are_what_the_long_form_is():
    long, *short = find(LONG)
    assert long == LONG
    assert len({each.id for each in short}) == 4
    assert [dataclasses.replace(each, id="") for each in short] == [
        dataclasses.replace(LONG, id="", start=start, end=start + 3, abbreviation_of="T7") for start in (31, 40, 62, 73)
    ]


def test_what_is_there_gets_the_type_or_stays():
    same, longer = entity("CKD", 40, "Gene"), entity("CKD group", 62)
    of_other = entity("CKD", 73, "Gene", "other")
    by_place = {(each.start, each.model): each for each in find(LONG, same, longer, of_other)}
    assert by_place[40, "m"] == dataclasses.replace(same, type="Disease", identifier="D1", abbreviation_of="T7")
    assert by_place[62, "m"] == longer
    assert by_place[73, "other"] == of_other
    assert by_place[73, "m"].abbreviation_of == "T7"


def test_a_longer_entity_gives_its_type_without_its_identifier():
    found = find(entity("is chronic kidney disease", 4, identifier="D9"))
    assert {(each.type, each.identifier) for each in found[1:]} == {("Disease", "")}


def test_a_part_of_the_long_form_gives_nothing():
    assert find(entity("kidney disease", 15)) == [entity("kidney disease", 15)]


def test_the_last_definition_counts():
    text = "Aortic valve (AV). AV is avian virus (AV), so AV."
    first, second = entity("Aortic valve", 0, "Organ"), entity("avian virus", 25, "Species")
    found = find(first, second, text=text, words=(((0, 6), (16, 18)), ((19, 21), (48, 49))))
    assert [(each.start, each.type) for each in found[2:]] == [
        *((14, "Organ"), (19, "Organ")),
        *((38, "Species"), (46, "Species")),
    ]


def test_the_longest_short_form_counts():
    text = "interleukin (IL) and interleukin 2 (IL-2) then IL-2"
    first, second = entity("interleukin", 0), entity("interleukin 2", 21)
    found = find(first, second, text=text, words=(((0, 11), (50, 51)),))
    assert [text[each.start : each.end] for each in found[2:]] == ["IL", "IL-2", "IL-2"]


@pytest.mark.parametrize("name", ["Development", "Training"])
def test_in_bc5cdr_later_mentions_mean_what_the_long_form_means(shared, name):
    """People annotated both: the long forms are given, the rest is compared. `pytest -s` prints the counts."""
    split_sentences, counts = load_sentence_splitter(), collections.Counter()
    path = str(shared / f"data/formats/CDR_{name}Set.PubTator.txt.gz")
    for read in table.read_documents(path, "pubtator", pytest.fail):
        words = find_words(read.text, read.paragraphs, split_sentences)
        long_ends = {d.long[1] for d in find_definitions(read.text, [(each[0][0], each[-1][1]) for each in words])}
        given = [dataclasses.replace(e, model="m") for e in read.entities if e.end in long_ends]
        gold = {(e.start, e.end): e for e in read.entities}
        for added in carry_over(dataclasses.replace(read, words=words), given)[len(given) :]:
            there = gold.get((added.start, added.end))
            is_same = there and (there.type, there.identifier) == (added.type, added.identifier or there.identifier)
            counts["same" if is_same else "other" if there else "none"] += 1
    print(name, dict(counts))
    assert counts["same"] > 700
    assert counts["same"] > 0.95 * counts.total()
