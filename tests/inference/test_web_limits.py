"""What the page and the JSON API of demo_server.py refuse: limits of size and time, who may ask; what is logged."""

import json
import threading
import time
import types

import pytest

from inference.web import application
from inference.web.models import MAX_WAITING, Limits
from tests.inference.test_web import TEXT, check_error

HOST = "localhost"  # of the test client
FORM = {"text": TEXT}


class Annotator:
    """In the place of an `Annotator` that finds nothing; if slow, it waits to be told."""

    taggers, classifier = [], None

    def __init__(self, is_slow=False):
        self.begun, self.done = threading.Semaphore(0), threading.Event()
        if not is_slow:
            self.done.set()

    def annotate(self, documents, advance):
        self.begun.release()
        self.done.wait(30)
        advance(1)
        yield from documents


# In the place of a `Reader`, which is not asked.
READER = types.SimpleNamespace(directory=types.SimpleNamespace(settings={"question_type": "factoid"}))


def make_client(annotator=None, hosts=frozenset([HOST]), **limits):
    return application.create_app(annotator or Annotator(), READER, Limits(**limits), hosts).test_client()


@pytest.fixture
def client():
    return make_client()


@pytest.mark.parametrize(
    ("values", "status", "part"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"\xff{}", 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        ([], 400, "expected an object with text, question"),
        ({"text": "a"}, 400, "text, question"),
        ({"text": "a", "question": "b", "path": "/etc/passwd"}, 400, "nothing else"),
        ({"text": 1, "question": "b"}, 400, "text: expected a string"),
        ({"text": "a", "question": None}, 400, "question: expected a string"),
        ({"text": "\r\n \t", "question": "b"}, 400, "text: nothing but white space"),
        ({"text": "a", "question": " "}, 400, "question: empty"),
        ({"text": "a\ud800", "question": "b"}, 400, "text: half of a pair"),
        ({"text": "a" * 50_001, "question": "b"}, 413, "text: 50,001 characters; expected at most 50,000"),
        ({"text": "a", "texts": ["a"], "question": "b"}, 400, "or texts in the place of text"),
        ({"texts": "a", "question": "b"}, 400, "texts: expected a list with a text at least"),
        ({"texts": [], "question": "b"}, 400, "texts: expected a list with a text at least"),
        ({"texts": ["a", 1], "question": "b"}, 400, "texts[1]: expected a string"),
        ({"texts": ["a", " "], "question": "b"}, 400, "texts[1]: nothing but white space"),
        ({"texts": ["a" * 25_000, "b" * 25_001], "question": "b"}, 413, "texts: 50,001 characters; expected at most"),
        ({"text": "a", "question": "b" * 1_001}, 413, "question: 1,001 characters"),
    ],
)
def test_bad_json(client, values, status, part):
    data = values if isinstance(values, bytes) else json.dumps(values)
    check_error(client.post("/api/answer", data=data, content_type="application/json"), status, part)


@pytest.mark.parametrize("path", ["/", "/api/annotate"])
def test_other_content_types(client, path):
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        check_error(client.post(path, data="text=a", content_type=kind), 415, "expected the content type application/")


def test_other_addresses_and_methods(client):
    check_error(client.get("/api/nothing"), 404, "no such address")
    for path in ("/nothing", "/../setup.cfg", "/web_page.html", "/api//models", "/static/page.css"):
        check_error(client.get(path), 404, "no such address")
    check_error(client.get("/api/annotate"), 405, "expected POST")
    response = client.delete("/")
    check_error(response, 405, "expected GET or POST")
    assert "POST" in response.headers["Allow"]


def test_a_long_request_is_refused_before_it_is_read(client):
    class Unread:
        def read(self, *_):
            raise AssertionError("read")

    for path, kind in [("/", application.FORM), ("/api/annotate", application.JSON)]:
        body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "613001"}
        response = client.post(path, content_type=kind, environ_overrides=body)
        check_error(response, 413, "more than 613,000 bytes", "at most 50,000 characters")


def test_the_longest_text_fits(client):
    text = "\U0001f600" * 50_000
    assert client.post("/api/annotate", json={"text": text}).status_code == 200
    assert client.post("/", data={"text": text}).status_code == 200


def test_the_models_have_limited_time():
    slow = Annotator(is_slow=True)
    client = make_client(annotator=slow, max_seconds=1.0)
    check_error(client.post("/api/annotate", json={"text": TEXT}), 504, "more than 1 seconds, waiting included")
    # They are still at work on the first.
    check_error(client.post("/", data={"text": TEXT}), 503, "other requests had the models for 1 seconds")
    slow.done.set()


def test_many_wait_but_not_any_number():
    slow, responses = Annotator(is_slow=True), []
    app = make_client(annotator=slow).application
    threads = [
        threading.Thread(target=lambda: responses.append(app.test_client().post("/api/annotate", json={"text": TEXT})))
        for _ in range(MAX_WAITING + 1)
    ]
    for thread in threads:
        thread.start()
    assert slow.begun.acquire(timeout=30)
    while not responses and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    check_error(responses[0], 503, f"{MAX_WAITING} requests before this one")
    assert not slow.begun.acquire(blocking=False)  # of those that wait
    assert app.test_client().get("/").status_code == 200
    slow.done.set()
    for thread in threads:
        thread.join()
    assert [response.status_code for response in responses] == [503] + [200] * MAX_WAITING


# Who may ask


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:81", ""])
def test_another_host_is_refused(client, host):
    for path in ("/", "/api/models", "/nothing"):
        check_error(client.get(path, headers={"Host": host}), 403, "the header Host; expected localhost")


def test_a_server_for_all_takes_any_host():
    assert make_client(hosts=None).get("/", headers={"Host": "name.example"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:81", "http://[", "[", ""])
def test_pages_from_elsewhere_send_nothing(client, origin):
    check_error(client.post("/", data=FORM, headers={"Origin": origin}), 403, "a page from elsewhere")
    response = client.post("/api/annotate", json={"text": TEXT}, headers={"Origin": origin})
    check_error(response, 403, "a page from elsewhere")


def test_the_page_itself_may_send(client):
    assert client.post("/", data=FORM, headers={"Origin": f"http://{HOST}"}).status_code == 200


def test_headers_of_every_response(client):
    for response in [
        client.get("/"),
        client.post("/", data=FORM),
        client.get("/style.css"),
        client.get("/nothing"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/api/annotate", json={}),
    ]:
        policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["style-src"] == policy["form-action"] == "'self'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in response.headers


# What is logged


def test_the_log_has_no_text_of_users(client, caplog):
    caplog.set_level("INFO")
    client.post("/api/annotate", json={"text": f"{TEXT} secret"})
    client.post("/api/answer", json={"text": "secret", "question": "secret" * 1_000})
    client.post("/?secret=secret", data={"text": "secret"})
    client.post("/api/annotate", json={"texts": ["secret", "secret"]})
    client.get("/secret%0Asecret")
    assert "POST /api/annotate: 200, 20 characters" in caplog.text
    assert "POST /api/annotate: 200, 12 characters" in caplog.text
    assert "GET unknown address: 404" in caplog.text
    assert "secret" not in caplog.text


def test_a_defect_is_told_without_its_message(caplog):
    message = "the text of a user"

    class Broken(Annotator):
        def annotate(self, documents, advance):
            raise ValueError(message)

    client = make_client(annotator=Broken())
    for response in (client.post("/api/annotate", json={"text": TEXT}), client.post("/", data={"text": TEXT})):
        check_error(response, 500, "a defect of the server")
        assert "Traceback" not in response.text
    assert "ValueError" in caplog.text
    assert "in annotate" in caplog.text
    assert message not in caplog.text
