"""The HTML of `inference.web.application`: the form, and what the models found. It looks as html_page's do."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2

from data_prep.formats import html_page
from data_prep.formats.document import Document, Entity

# Made up; the question has its answer in the text.
EXAMPLE = """\
Enalapril reduces relapse rate in families with polycystic kidney disease.

The cellular basis of polycystic kidney disease remains unclear. A missense mutation in EGFR was identified in 41 of \
64 siblings with polycystic kidney disease. Patients with polycystic kidney disease were given enalapril for 12 weeks. \
Serum EGFR levels were higher in polycystic kidney disease than in celiac disease (P < 0.01). No association was \
found between EGFR expression and the risk of stroke."""
QUESTION = "Which drug is used in the treatment of polycystic kidney disease?"

# With the templates of the pages that predict.py writes.
ENVIRONMENT = html_page.environment().overlay(
    loader=jinja2.ChoiceLoader([jinja2.PackageLoader("inference.web", "."), html_page.environment().loader])
)
STYLES = ("page.css", "application.css")

ANSWER_STYLE = "hue3"
LEAST_PROBABILITY = 0.05  # of an answer that is marked in the text; the best always is


@dataclasses.dataclass(frozen=True)
class Result:
    """What was found in a text."""

    document: Document  # annotated, if there is a model for it
    has_entities: bool  # whether there is
    answers: list[Any] | None  # of `question_answering.Answer`; None: there was no question or no model for it
    seconds: float


def render(
    loaded: Mapping[str, Any], text: str, question: str, result: Result | None = None, error: str | None = None
) -> str:
    """The page.

    Args:
      loaded: as of `inference.web.models.Models.describe`.
      text, question: what the form holds.
      result: `Result`, or None.
      error: what was wrong with the request, or None.
    """
    shown: dict[str, Any] = {"title": "Biomedical text", "entities": None, "answers": None}
    if result:
        shown = {
            "title": describe(result, loaded),
            "entities": show_entities(result.document) if result.has_entities else None,
            "answers": None if result.answers is None else show_answers(result.document, result.answers),
        }
    elif error:
        shown["title"] = "Error"
    template = ENVIRONMENT.get_template("application.html")
    values = {"loaded": loaded, "findings": list_findings(loaded), "text": text, "question": question}
    return template.render(**values, result=result, error=error, **shown)


def style() -> str:
    """The style sheet of the page."""
    return "\n".join(ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0] for name in STYLES)


def list_findings(loaded: Mapping[str, Any]) -> list[str]:
    """What there are models for, for the first sentence of the page."""
    names = ", ".join(model["name"] for model in loaded["entities"])
    findings = [f"entities ({names})"] if names else []
    if loaded["relations"]:
        findings.append("relations between them")
    if loaded["answers"]:
        findings.append("answers to questions")
    return findings


def describe(result: Result, loaded: Mapping[str, Any]) -> str:
    """What was found, in a line."""
    counts = []
    if result.has_entities:
        counts += [(len(result.document.entities), "entity", "entities")]
    if loaded["relations"]:
        counts += [(len(result.document.relations), "relation", "relations")]
    if result.answers is not None:
        counts += [(len(result.answers), "answer", "answers")]
    return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts)


def show_entities(document: Document) -> dict[str, Any]:
    """For the template: an annotated document with its legend."""
    styles: dict[str, str] = {}
    html_page.add_styles(styles, document.entities)
    counts = collections.Counter((entity.model, entity.type) for entity in document.entities)
    blocks, entities, numbers = html_page.arrange(document)
    return {
        "document": document,
        "legend": html_page.group_by_model(counts),
        "blocks": blocks,
        "entities": entities,
        "numbers": numbers,
        "styles": styles,
    }


def show_answers(document: Document, answers: Iterable[Any]) -> dict[str, Any]:
    """For the template: the answers, and the paragraphs that hold one.

    An improbable one, and one that overlaps with a better one, is in the table alone.
    """
    marks: list[Entity] = []
    for rank, one in enumerate(answers, 1):
        if one.start is None or (marks and one.probability < LEAST_PROBABILITY):
            continue
        if all(one.end <= mark.start or mark.end <= one.start for mark in marks):
            kind = f"{rank}: {one.probability:.2f}"
            marks.append(Entity(str(rank), kind, one.start, one.end, model="qa"))
    document = dataclasses.replace(document, entities=tuple(marks), relations=())
    blocks, _, _ = html_page.arrange(document)
    return {
        "answers": answers,
        "blocks": [block for block in blocks if any(isinstance(piece, html_page.Mark) for piece in block[1])],
        "numbers": {mark.id: int(mark.id) for mark in marks},
        "styles": {mark.type: ANSWER_STYLE for mark in marks},
    }
