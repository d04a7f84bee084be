"""Questions of the BioASQ challenge (task B), as its JSON files have them, and their exact answers."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from common.errors import InputError
from common.inputs import read_json

ID_LENGTH = 24


@dataclasses.dataclass(frozen=True)
class Snippet:
    """A passage; `pmid` is that of the article it is from ("" if its address holds none)."""

    text: str
    pmid: str


@dataclasses.dataclass(frozen=True)
class Question:
    """A question of any type; `exact_answer` as in the file, None if missing."""

    id: str
    type: str
    body: str
    snippets: list[Snippet]
    exact_answer: Any


def _parse_question(entry, where):
    """Returns a Question; `where` names the file and the question's number, for messages."""
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {str(entry)[:40]!r}; expected an object with id, body and type")
    for key in ("id", "body", "type"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            name = f" ({entry['id']})" if isinstance(entry.get("id"), str) else ""
            raise InputError(f"{where}{name}: no {key}; expected id, body and type")
    if len(entry["id"]) != ID_LENGTH:
        raise InputError(f"{where}: id {entry['id']!r} of {len(entry['id'])} characters; expected {ID_LENGTH}")
    snippets = entry.get("snippets") or []
    if not isinstance(snippets, list) or not all(
        isinstance(s, dict) and isinstance(s.get("text"), str) for s in snippets
    ):
        raise InputError(f"{where} ({entry['id']}): snippets without text; expected a list of objects with text")
    return Question(
        id=entry["id"],
        type=entry["type"],
        body=entry["body"],
        snippets=[Snippet(s["text"], _pmid(s.get("document"))) for s in snippets],
        exact_answer=entry.get("exact_answer"),
    )


def _pmid(document):
    """The number at the end of an address such as http://www.ncbi.nlm.nih.gov/pubmed/24392102."""
    match = re.search(r"([0-9]+)/?$", str(document))
    return match.group(1) if match else ""


def read_questions(paths: Iterable[str]) -> tuple[list[Question], list[str]]:
    """Reads the questions of several files.

    Returns:
      `(questions, repeated)`: a list of Question, and the ids of those that came again with the same content, of
      which the first is kept.

    Raises:
      InputError: a file that is not BioASQ's, a question without id, body or type or with an id of another length, an
        id with two different contents.
    """
    found: dict[str, tuple[Question, str]] = {}  # by id, with its path
    repeated: list[str] = []
    for path in paths:
        content = read_json(path, "a file of BioASQ", lone_surrogates=True)
        if not isinstance(content, dict) or not isinstance(content.get("questions"), list):
            raise InputError(f'{path}: no list "questions"; expected a file of BioASQ task B')
        for number, entry in enumerate(content["questions"], 1):
            question = _parse_question(entry, f"{path}, question {number}")
            first, first_path = found.setdefault(question.id, (question, path))
            if first is question:
                continue
            if first != question:
                raise InputError(
                    f"{path}, question {number}: id {question.id} is also that of another question (or version of it) "
                    f"in {first_path}; expected ids once"
                )
            repeated.append(question.id)
    return [question for question, _ in found.values()], repeated


def exact_answers(question: Question) -> list[list[str]]:
    """The exact answers of a factoid or list question, each a list of its synonyms; blank ones are left out.

    A list question has one for each item. A factoid question has one, with all that is given as its synonyms: years
    differ in `[["a", "synonym"]]`, `["a", "synonym"]` and `"a"`.

    Raises:
      InputError: something in it is neither a string nor a list.
    """
    is_list = question.type == "list" and isinstance(question.exact_answer, list)
    items = question.exact_answer if is_list else [question.exact_answer]
    answers = [list(_strings(item, question.id)) for item in items if item is not None]
    return [synonyms for synonyms in answers if synonyms]


def _strings(value, question_id):
    if isinstance(value, list):
        for part in value:
            yield from _strings(part, question_id)
    elif not isinstance(value, str):
        raise InputError(f"question {question_id}: exact answer {str(value)[:40]!r}; expected strings in lists")
    elif value.strip():
        yield value.strip()


def yes_or_no(question: Question) -> str | None:
    """The exact answer of a yes/no question as "yes" or "no" (of "Yes", "yes.", ["yes"] too), None if it is neither."""
    value = question.exact_answer
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    answer = value.strip().rstrip(" .").lower() if isinstance(value, str) else None
    return answer if answer in ("yes", "no") else None
