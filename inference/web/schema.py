"""The JSON API of `inference.web.application` in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""

from typing import Any

ERRORS = {
    "400": "Not JSON, or not what is expected in it",
    "403": "Another host, or sent by a page from elsewhere",
    "404": "No model for this",
    "413": "Too long",
    "415": "Another content type",
    "503": "Other requests had the models all the time, or too many wait",
    "504": "The models took too long",
}


def make_schema(max_characters: int, max_question: int) -> dict[str, Any]:
    """The description of the API as a dict.

    Args:
      max_characters, max_question: the longest text and question.
    """
    text = {"type": "string", "minLength": 1, "maxLength": max_characters, "pattern": r"\S"}
    question = {"type": "string", "minLength": 1, "maxLength": max_question, "pattern": r"\S"}
    texts = _array(text) | {"minItems": 1, "description": f"At most {max_characters:,} characters together"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Entities, relations and answers in biomedical text",
            "version": "1.2.0",
            "description": "Offsets count characters (Unicode code points), the end exclusive.",
        },
        "paths": {
            "/api/annotate": _post("annotate", "Entities and relations of a text", "Document", text, texts),
            "/api/answer": _post("answer", "Answers to a question", "Answers", text, texts, question=question),
            "/api/models": _get("describeModels", "What is loaded, and the limits", _reference("Models")),
            "/api/schema": _get("showSchema", "This description", {"type": "object"}),
        },
        "components": {"schemas": _SCHEMAS},
    }


def _get(operation, summary, schema):
    return {"get": {"operationId": operation, "summary": summary, "responses": {"200": _response(summary, schema)}}}


def _post(operation, summary, name, text, texts, **properties):
    """Of a text, or of each of several, with a list of the same for an answer."""
    one, several = _object({"text": text} | properties), _object({"texts": texts} | properties)
    body = {"required": True, "content": {"application/json": {"schema": {"oneOf": [one, several]}}}}
    found = {"oneOf": [_reference(name), _array(_reference(name)) | {"description": "Of texts, in their order"}]}
    responses = {"200": _response(summary, found)}
    responses |= {code: _response(description, _reference("Error")) for code, description in ERRORS.items()}
    return {"post": {"operationId": operation, "summary": summary, "requestBody": body, "responses": responses}}


def _response(description, schema):
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(name):
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties, optional=()):
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _array(items):
    return {"type": "array", "items": items}


_STRING, _PLACE = {"type": "string"}, {"type": "integer", "minimum": 0}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_LABELS = _object({"labels": _array(_STRING)})
_NONE = {"type": "null"}
_SCHEMAS = {
    "Document": _object(
        {
            "id": _STRING,
            "source": _STRING,
            "text": _STRING,
            "entities": _array(_reference("Entity")),
            "relations": _array(_reference("Relation")),
        }
    ),
    "Entity": _object(
        {
            "id": _STRING,
            "type": _STRING,
            "start": _PLACE,
            "end": _PLACE,
            "text": {"type": "string", "description": "text[start:end] of the document"},
            "confidence": _PROBABILITY,
            "model": _STRING,
            "identifier": {"type": "string", "description": "Of the concept, in a terminology"},
            "identifier_score": {**_PROBABILITY, "description": "How similar the matched name is"},
            "matched_name": {"type": "string", "description": "The name in the terminology"},
            "abbreviation_of": {"type": "string", "description": "id of the entity whose long form the text defines"},
        },
        optional=("identifier", "identifier_score", "matched_name", "abbreviation_of"),
    ),
    "Relation": _object(
        {
            "id": _STRING,
            "type": _STRING,
            "first": {"type": "string", "description": "id of an entity"},
            "second": {"type": "string", "description": "id of an entity"},
            "confidence": _PROBABILITY,
        }
    ),
    "Answers": _object({"question": _STRING, "answers": _array(_reference("Answer"))}),
    "Answer": _object(
        {
            "text": {"type": "string", "description": "text[start:end] of the document; yes, no; empty: no answer"},
            "probability": _PROBABILITY,
            "document": _STRING,
            "source": _STRING,
            "start": _PLACE,
            "end": _PLACE,
            "passage": {"type": "string", "description": "The paragraph around the answer"},
        },
        optional=("document", "source", "start", "end", "passage"),  # of yes, no and no answer
    ),
    "Models": _object(
        {
            "entities": _array(_object({"name": _STRING, "labels": _array(_STRING)})),
            "relations": {"anyOf": [_LABELS, _NONE]},
            "answers": {
                "anyOf": [_object({"question_type": {"type": "string", "enum": ["factoid", "list", "yesno"]}}), _NONE]
            },
            "limits": _object(
                {
                    "characters": {"type": "integer"},
                    "question_characters": {"type": "integer"},
                    "seconds": {"type": "number"},
                }
            ),
        }
    ),
    "Error": _object({"error": {"type": "string", "description": "What is wrong; what was expected"}}),
}
