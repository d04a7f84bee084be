"""What models found, carried over to the abbreviations of a text."""

import dataclasses

from data_prep.formats.document import Document, Entity
from inference.abbreviations import carry_over

TEXT = "CKD is chronic kidney disease (CKD). Of CKD and CKD4, not the CKD group: CKD."


def document(*entities, text=TEXT):
    words = (tuple((start, start + 1) for start in (0, text.find(".") - 1)), ((37, 38), (len(text) - 1, len(text))))
    return Document("1", text, ((0, len(text)),), "x", entities=entities, words=words)


def found(text, start, kind="Disease", model="m", **fields):
    return Entity(f"T{start}", kind, start, start + len(text), 0.9, model, **fields)


LONG = found("chronic kidney disease", 7, identifier="D1")


def test_later_mentions_are_what_the_long_form_is():
    annotated = carry_over(document(LONG))
    assert annotated.entities == (
        LONG,
        *(
            dataclasses.replace(LONG, id=name, start=start, end=start + 3, abbreviation_of="T7")
            for name, start in [("T1", 31), ("T2", 40), ("T3", 62), ("T4", 73)]
        ),
    )


def test_what_is_there_gets_the_type_or_stays():
    same, longer = found("CKD", 40, "Gene"), found("CKD group", 62)
    of_other = found("CKD", 73, "Gene", "other")
    annotated = carry_over(document(LONG, same, longer, of_other))
    by_place = {(entity.start, entity.model): entity for entity in annotated.entities}
    assert by_place[40, "m"] == dataclasses.replace(same, type="Disease", identifier="D1", abbreviation_of="T7")
    assert by_place[62, "m"] == longer
    assert by_place[73, "other"] == of_other
    assert by_place[73, "m"].abbreviation_of == "T7"


def test_a_longer_entity_gives_its_type_without_its_identifier():
    annotated = carry_over(document(found("is chronic kidney disease", 4, identifier="D9")))
    assert {(entity.type, entity.identifier) for entity in annotated.entities[1:]} == {("Disease", "")}


def test_what_no_model_found_gives_nothing():
    given = document(dataclasses.replace(LONG, model="", confidence=None), found("kidney disease", 15))
    assert carry_over(given) == given


def test_the_last_definition_counts():
    text = "Aortic valve (AV). AV is avian virus (AV), so AV."
    first, second = found("Aortic valve", 0, "Organ"), found("avian virus", 25, "Species")
    words = (((0, 6), (7, 18)), ((19, 21), (46, len(text))))
    annotated = carry_over(Document("1", text, ((0, 49),), "x", entities=(first, second), words=words))
    assert [(entity.start, entity.type) for entity in annotated.entities[2:]] == [
        *((14, "Organ"), (19, "Organ")),
        *((38, "Species"), (46, "Species")),
    ]
