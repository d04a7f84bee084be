"""A page to try models, and the same as a JSON API. Needs Flask and Jinja2: pip install -e '.[serving]'.

    GET  /             the page; POST: its form
    POST /api/annotate {"text": ...} -> what predict.py writes for a document
    POST /api/answer   {"text": ..., "question": ...} -> what predict.py writes for a question
                       {"texts": [...]} in the place of {"text": ...} -> a list of the same
    GET  /api/models   what is loaded, and the limits
    GET  /api/schema   the API in OpenAPI 3.1

A request brings its text and names no file. The page needs no script and nothing from elsewhere. What users send is
neither kept nor logged.
"""

import json
import logging
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import flask
from werkzeug.exceptions import HTTPException, InternalServerError, abort
from werkzeug.wrappers import Response

from data_prep.formats import jsonl
from data_prep.formats.document import Document
from data_prep.formats.text import find_paragraphs
from inference import question_answering
from inference.annotator import Annotator
from inference.web import schema, view
from inference.web.models import MAX_QUESTION, Limits, Models

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with `Origin: null`
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

pages = flask.Blueprint("pages", __name__)


def create_app(
    annotator: Annotator | None,
    reader: question_answering.Reader | None,
    limits: Limits,
    hosts: Collection[str] | None = None,
) -> flask.Flask:
    """Makes the Flask application.

    Args:
      annotator: `inference.annotator.Annotator` for entities and relations, or None.
      reader: `inference.question_answering.Reader`, or None.
      limits: `inference.web.models.Limits`.
      hosts: what the header Host may be; None: anything. A server for its own machine alone has to name its hosts: any
        page could read it otherwise, by a name that is made to lead here (DNS rebinding).
    """
    app = flask.Flask(__name__, static_folder=None, template_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=limits.max_bytes, MAX_FORM_MEMORY_SIZE=limits.max_bytes, HOSTS=hosts)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's own provider
    app.url_map.merge_slashes = False  # // is no address either, and redirects to none
    app.extensions["models"] = Models(annotator, reader, limits)
    app.register_error_handler(Exception, show_error)
    app.register_blueprint(pages)
    return app


def models() -> Models:
    """The `Models` of the application whose request this is."""
    return flask.current_app.extensions["models"]


# Addresses


@pages.get("/")
def show_page() -> str:
    return view.render(models().describe(), view.EXAMPLE, view.QUESTION)


@pages.post("/")
def try_models() -> str | Response:
    if flask.request.mimetype != FORM:
        abort(415, f"expected the content type {FORM}")
    form = {name: flask.request.form.get(name, "") for name in ("text", "question")}
    text = form["text"].replace("\r\n", "\n")  # as it was typed; forms are sent with \r\n
    question = form["question"].strip()
    try:
        result = run_models(text, question)
    except HTTPException as error:
        return answer_error(error, text, question)
    return view.render(models().describe(), text, question, result)


@pages.get("/style.css")
def show_style() -> Response:
    return flask.Response(view.style(), mimetype="text/css")


@pages.post("/api/annotate")
def annotate() -> Response:
    values = read_json("text")
    documents = make_documents(values)
    if not models().annotator:
        abort(404, "no model that finds entities; expected the server started with --ner_model")
    with models().place() as end:
        found = models().annotate(documents, end)
    return show_json(values, [json.dumps(jsonl.to_dict(document), ensure_ascii=False) for document in found])


@pages.post("/api/answer")
def answer() -> Response:
    values = read_json("text", "question")
    documents, question = make_documents(values), values["question"]
    check_question(question)
    if not models().reader:
        abort(404, "no model that answers questions; expected the server started with --qa_model")
    with models().place() as end:
        found = models().answer(question, documents, end)
    return show_json(values, [question_answering.json_line(question, answers) for answers in found])


@pages.get("/api/models")
def describe_models() -> dict[str, Any]:
    return models().describe()


@pages.get("/api/schema")
def show_schema() -> dict[str, Any]:
    return schema.make_schema(models().limits.max_characters, MAX_QUESTION)


def run_models(text: str, question: str) -> view.Result:
    """A `view.Result`. The question may be empty where there are entities to find."""
    document, answers = make_document(text), None
    if question or not models().annotator:
        check_question(question)
    start = time.monotonic()
    with models().place() as end:
        if question and models().reader:
            (answers,) = models().answer(question, [document], end)
        if models().annotator:
            (document,) = models().annotate([document], end)
    return view.Result(document, models().annotator is not None, answers, time.monotonic() - start)


# What comes in


@pages.before_app_request
def check_sender() -> None:
    """Refuses what a page from elsewhere sends or wants to read."""
    request, hosts = flask.request, flask.current_app.config["HOSTS"]
    flask.g.start = time.monotonic()
    host = request.headers.get("Host", "").lower()
    if hosts is not None and host not in hosts:
        abort(403, f"the header Host; expected {' or '.join(sorted(hosts))}")
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and origin.lower().partition("://")[2] != host:
        abort(403, "sent by a page from elsewhere; expected one of this server")


def read_json(*names: str) -> dict[str, Any]:
    """A JSON object that has these names and no others, but that `texts` may stand in the place of `text`."""
    if flask.request.mimetype != JSON:
        abort(415, f"expected the content type {JSON}")
    try:
        values = json.loads(flask.request.get_data())
    except (ValueError, RecursionError):
        abort(400, f"no JSON; expected an object with {', '.join(names)}")
    if not isinstance(values, dict) or set(values) not in ({*names}, {"texts", *names} - {"text"}):
        abort(400, f"expected an object with {', '.join(names)} and nothing else, or texts in the place of text")
    return values


def check_string(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        abort(400, f"{name}: expected a string")
    if len(value) > longest:
        abort(413, f"{name}: {len(value):,} characters; expected at most {longest:,}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        abort(400, f"{name}: half of a pair of surrogates; expected whole characters")


def check_question(question: Any) -> None:
    check_string("question", question, MAX_QUESTION)
    if not question.strip():
        abort(400, "question: empty; expected text")


def make_documents(values: Mapping[str, Any]) -> list[Document]:
    """The `Document` of `text`, or of each of `texts`, which together are no longer than one may be."""
    if "text" in values:
        return [make_document(values["text"])]
    texts, longest = values["texts"], models().limits.max_characters
    if not isinstance(texts, list) or not texts:
        abort(400, "texts: expected a list with a text at least")
    documents = [make_document(text, f"texts[{i}]", f"text:{i + 1}") for i, text in enumerate(texts)]
    if flask.g.characters > longest:
        abort(413, f"texts: {flask.g.characters:,} characters; expected at most {longest:,}")
    return documents


def make_document(text: Any, name: str = "text", document_id: str = "text") -> Document:
    """The `Document` of a text that the limits allow."""
    check_string(name, text, models().limits.max_characters)
    flask.g.characters = flask.g.get("characters", 0) + len(text)
    paragraphs = tuple(find_paragraphs(text))
    if not paragraphs:
        abort(400, f"{name}: nothing but white space; expected text")
    return Document(document_id, text, paragraphs, "request")


# What goes out


def show_json(values: Mapping[str, Any], found: Sequence[str]) -> Response:
    """The response to a request with these values: what was found in each text, in JSON already."""
    text = f"[{', '.join(found)}]" if "texts" in values else found[0]
    return flask.Response(f"{text}\n", mimetype=JSON)


def show_error(error: Exception) -> Response:
    """The response to what went wrong, for the API as JSON."""
    if not isinstance(error, HTTPException):
        # Without the message of the error, in which there may be text of the user.
        logging.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        error = InternalServerError()
    return answer_error(error)


def answer_error(error: HTTPException, text: str = "", question: str = "") -> Response:
    """The response to an HTTP error; the page still has in its form what the user sent, if it could be read."""
    response, message = error.get_response(), describe_error(error)
    if flask.request.path.startswith("/api/"):
        response.data, response.mimetype = json.dumps({"error": message}) + "\n", JSON
    else:
        response.data = view.render(models().describe(), text, question, error=message)
    return response


def describe_error(error: HTTPException) -> str:
    """One line; where it is not ours already, in place of the library's, which is meant for a page of its own."""
    if error.description != type(error).description:
        return error.description  # type: ignore[return-value]  # given, hence not None
    limits, methods = models().limits, getattr(error, "valid_methods", None) or ()
    ours: dict[int | None, str] = {
        404: "no such address; expected / or one that /api/schema names",
        405: f"another method; expected {' or '.join(sorted(set(methods) - {'OPTIONS', 'HEAD'}))}",
        413: f"more than {limits.max_bytes:,} bytes; expected a text of at most {limits.max_characters:,} characters",
        500: "a defect of the server, whose log says more",
    }
    return ours.get(error.code, error.name)


@pages.after_app_request
def finish(response: flask.Response) -> flask.Response:
    """Adds the headers, and logs the request without what the user sent."""
    response.headers.update(HEADERS)
    rule = flask.request.url_rule or "unknown address"
    seconds, characters = time.monotonic() - flask.g.start, flask.g.get("characters", 0)
    method = flask.request.method
    logging.info("%s %s: %d, %d characters, %.2f s", method, rule, response.status_code, characters, seconds)
    return response
