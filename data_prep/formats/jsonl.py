"""Annotated documents as lines of JSON, a document a line."""

import contextlib
import json


def open_writer(file, models):
    """See `table.open_writer`; characters stand for themselves, not escaped to ASCII."""
    return contextlib.nullcontext(_Writer(file))


class _Writer:
    def __init__(self, file):
        self.file = file

    def write(self, document):
        self.file.write(json.dumps(to_dict(document), ensure_ascii=False) + "\n")


def to_dict(document):
    """What a line of JSON says of a document; in it `text[start:end]` is the `text` of an entity.

    `confidence` and `model` are left out where there is none, that is, for what was in the input, and so are
    `identifier`, `identifier_score` and `matched_name` (of one that a terminology gave), `abbreviation_of` and
    `concept_relations`.
    """
    return {
        "id": document.id,
        "source": document.source,
        "text": document.text,
        "entities": [_entity_dict(entity, document.text) for entity in document.entities],
        "relations": [_relation_dict(relation) for relation in document.relations],
        **(
            {"concept_relations": [_relation_dict(relation) for relation in document.concept_relations]}
            if document.concept_relations
            else {}
        ),
    }


def _relation_dict(relation):
    return {
        "id": relation.id,
        "type": relation.type,
        "first": relation.first,
        "second": relation.second,
        **_confidence(relation),
    }


def _entity_dict(entity, text):
    return {
        "id": entity.id,
        "type": entity.type,
        "start": entity.start,
        "end": entity.end,
        "text": text[entity.start : entity.end],
        **({"identifier": entity.identifier} if entity.identifier else {}),
        **({} if entity.identifier_score is None else {"identifier_score": round(entity.identifier_score, 4)}),
        **({"matched_name": entity.matched_name} if entity.matched_name else {}),
        **_confidence(entity),
        **({"model": entity.model} if entity.model else {}),
        **({"abbreviation_of": entity.abbreviation_of} if entity.abbreviation_of else {}),
    }


def _confidence(found):
    return {} if found.confidence is None else {"confidence": round(found.confidence, 4)}
