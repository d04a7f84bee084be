"""The page and the JSON API of demo_server.py: what they answer and show."""

import dataclasses
import json
import types

import lxml.html
import pytest
import tensorflow as tf

from data_prep.formats.document import Entity, Relation
from data_prep.tasks.answers import Options
from data_prep.text.sentences import load_sentence_splitter
from data_prep.text.tokenization import FullTokenizer
from fine_tuning.model_directory import ModelDirectory
from inference import ner, question_answering, sequences
from inference.annotator import Annotator
from inference.linking import index
from inference.linking.linker import Linker, Terminology
from inference.question_answering import Answer, Reader
from inference.web import application
from inference.web.models import MAX_QUESTION, Limits

LABELS = ["B", "I", "O"]
PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] lung cancer BRCA1 in of what ?".split()
SAID = {"lung": 0, "cancer": 1, "BRCA1": 0}  # the labels of a stand-in for a model; of all else O
TEXT = "\U0001f600 lung cancer"
FORM = {"text": "Of lung\r\n\r\nin BRCA1 <script>alert(1)</script>", "question": 'what "><script>?'}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES))
    return FullTokenizer(str(path), False)


@pytest.fixture(scope="module")
def annotator(tokenizer):
    """Finds what SAID calls an entity."""
    said = tf.constant([SAID.get(piece, 2) for piece in PIECES])

    def label_batch(features):
        labels = tf.gather(said, features["input_ids"])
        return {"labels": labels, "confidences": tf.fill(tf.shape(labels), 0.87654)}

    directory = types.SimpleNamespace(tokenizer=tokenizer, labels=LABELS, max_seq_length=16, path="/secret/place")
    tagger = ner.Tagger("Disease", directory, sequences.compile_function(label_batch))
    return Annotator([tagger], None, load_sentence_splitter("none"), 4)


@pytest.fixture(scope="module")
def reader(tokenizer):
    """Answers "BRCA1" before all else."""

    def score(batch):
        ids = batch["input_ids"]
        scores = tf.where(ids == PIECES.index("BRCA1"), 5.0, -5.0)
        return {"start": scores, "end": scores}

    settings = {"question_type": "factoid", "doc_stride": 4, "max_query_length": 8, "version_2_with_negative": False}
    directory = ModelDirectory("/secret/place", "qa", None, tokenizer, 32, None, settings)
    return Reader(directory, score, Options(n_best_size=2))


@pytest.fixture
def make_client(annotator, reader):
    """Makes a client of an application; all arguments are optional."""

    def make(annotator=annotator, reader=reader, **limits):
        return application.create_app(annotator, reader, Limits(**limits)).test_client()

    return make


@pytest.fixture
def client(make_client):
    return make_client()


def page_of(response):
    assert response.mimetype == "text/html"
    return lxml.html.fromstring(response.text)


def text_of(page, path):
    return [" ".join(found.text_content().split()) for found in page.xpath(path)]


def check_error(response, status, *parts):
    """The status and, as JSON or in the page, one line with these parts."""
    assert response.status_code == status
    if response.mimetype == "application/json":
        assert set(response.json) == {"error"}
        message = response.json["error"]
    else:
        (message,) = (found.text_content() for found in page_of(response).xpath("//*[@role='alert']//p"))
    assert "\n" not in message
    assert "secret" not in response.text
    for part in parts:
        assert part in message


# Results


def test_annotations_are_those_of_predict(client):
    response = client.post("/api/annotate", json={"text": TEXT})
    assert response.status_code == 200
    assert response.text == (
        '{"id": "text", "source": "request", "text": "\U0001f600 lung cancer", "entities": [{"id": "T1", '
        '"type": "Disease", "start": 2, "end": 13, "text": "lung cancer", "confidence": 0.8765, "model": "Disease"}], '
        '"relations": []}\n'
    )


def test_answers_are_those_of_predict(client):
    response = client.post("/api/answer", json={"text": f"{TEXT} BRCA1.", "question": "what?"})
    assert response.status_code == 200
    assert response.json["question"] == "what?"
    assert response.json["answers"][0] == {
        "text": "BRCA1",
        "probability": pytest.approx(1.0, abs=1e-3),
        "document": "text",
        "source": "request",
        "start": 14,
        "end": 19,
        "passage": f"{TEXT} BRCA1.",
    }


def test_of_several_texts_each_is_answered_as_one_alone(client):
    texts = [f"{TEXT} BRCA1.", "of", "BRCA1 in lung"]
    for path, values in [("/api/annotate", {}), ("/api/answer", {"question": "what?"})]:
        found = client.post(path, json={"texts": texts} | values)
        assert found.status_code == 200
        assert found.text.endswith("]\n")
        alone = [client.post(path, json={"text": text} | values).text for text in texts]
        for number in range(3):  # what differs is only what they are called by
            alone[number] = json.loads(alone[number].replace('"text",', f'"text:{number + 1}",'))
        assert found.json == alone


def test_what_is_loaded_is_told_without_its_place(client, make_client):
    assert client.get("/api/models").json == {
        "entities": [{"name": "Disease", "labels": LABELS}],
        "relations": None,
        "answers": {"question_type": "factoid"},
        "limits": {"characters": 50_000, "question_characters": MAX_QUESTION, "seconds": 30.0},
    }
    assert make_client(annotator=None, reader=None).get("/api/models").json["answers"] is None


def test_the_schema_is_openapi_and_describes_what_comes(client):
    import jsonschema
    import openapi_spec_validator

    schema = client.get("/api/schema").json
    openapi_spec_validator.OpenAPIV31SpecValidator(schema).validate()
    both = {"text": f"{TEXT} BRCA1", "question": "what?"}
    for method, path, values in [
        ("post", "/api/annotate", {"text": TEXT}),
        ("post", "/api/annotate", {"text": " "}),
        ("post", "/api/annotate", {"text": TEXT * 10_000}),
        ("post", "/api/annotate", {"texts": [TEXT, "of"]}),
        ("post", "/api/answer", both),
        ("post", "/api/answer", {"texts": [TEXT, "of"], "question": "what?"}),
        ("get", "/api/models", None),
    ]:
        response = client.open(path, method=method, json=values)
        described = schema["paths"][path][method]["responses"][str(response.status_code)]
        expected = described["content"]["application/json"]["schema"] | {"components": schema["components"]}
        jsonschema.validate(response.json, expected, jsonschema.Draft202012Validator)
    body = schema["paths"]["/api/answer"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    several = {"texts": ["a", "b"], "question": "what?"}
    for right in (both, several):
        jsonschema.validate(right, body)
    for wrong in (
        *({"text": "a"}, both | {"more": 1}, both | {"text": 1}, both | {"question": " "}),
        *(both | several, several | {"texts": []}, several | {"texts": ["a", " "]}),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, body)


def test_identifiers_come_with_scores_and_names(make_client, annotator, tmp_path):
    import jsonschema

    (tmp_path / "a.tsv").write_text("D1\tcancers of lung\n")
    linker = Linker([Terminology(index.load(str(tmp_path / "a.tsv")), frozenset())])
    client = make_client(annotator=dataclasses.replace(annotator, linker=linker))
    text = "lung cancer (LC) in LC"
    response = client.post("/api/annotate", json={"text": text})
    linked = {"identifier": "D1", "identifier_score": 1.0, "matched_name": "cancers of lung"}
    found = response.json["entities"]
    assert [{key: entity.get(key) for key in linked} for entity in found] == [linked] * 3
    assert [entity.get("abbreviation_of") for entity in found] == [None, "T1", "T1"]
    schema = client.get("/api/schema").json
    described = schema["paths"]["/api/annotate"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(
        response.json, described | {"components": schema["components"]}, jsonschema.Draft202012Validator
    )
    page = page_of(client.post("/", data={"text": text, "question": ""}))
    assert "D1" in text_of(page, "//details//tbody/tr[1]/td")
    assert "D1 (cancers of lung)" in page.xpath("//mark/@title")[0]


# The page


def test_the_form_comes_with_an_example_and_a_label_for_each_field(client):
    page = page_of(client.get("/"))
    for field in page.xpath("//textarea | //input"):
        assert page.xpath(f"//label[@for='{field.get('id')}']")
    assert "kidney" in page.xpath("//textarea")[0].text
    assert page.xpath("//form/@method") == ["post"]
    assert page.xpath("//@lang") == ["en"]
    assert not page.xpath("//script | //*[@style] | //@src")
    assert all(link.startswith("/") for link in page.xpath("//@href"))


def test_the_page_marks_entities_and_answers(client):
    page = page_of(client.post("/", data=FORM))
    entities = page.xpath("//section[@aria-labelledby='entities']")[0]
    assert text_of(entities, ".//p/mark") == ["lung", "BRCA1"]
    assert text_of(entities, ".//dl//span") == ["Disease 2"]
    # A form is sent with \r\n; characters are counted as the text was typed.
    assert text_of(entities, ".//tbody/tr[1]/*") == ["lung", "Disease", "Disease", "0.88", "3–7"]
    assert text_of(entities, ".//tbody/tr[2]/*[5]") == ["12–17"]
    answers = page.xpath("//section[@aria-labelledby='answers']")[0]
    assert text_of(answers, ".//p") == ["in BRCA1 <script>alert(1)</script>"]
    assert answers.xpath(".//p/mark/@data-type") == ["1: 1.00"]
    assert text_of(answers, ".//tbody/tr[1]/*") == ["1", "BRCA1", "1.00", "12–17"]
    for link in page.xpath("//td//a/@href | //th//a/@href"):
        assert page.xpath(f"//*[@id='{link[1:]}']")
    assert "2 entities, 1 answer · " in page.xpath("//title")[0].text


def test_what_is_sent_stays_in_the_form_as_text(client):
    response = client.post("/", data=FORM)
    assert "<script" not in response.text
    page = page_of(response)
    assert page.xpath("//textarea")[0].text.removeprefix("\n") == FORM["text"].replace("\r\n", "\n")
    assert page.xpath("//input[@name='question']/@value") == [FORM["question"]]


def test_the_page_has_relations(make_client, annotator):
    found = (Entity("T1", "Gene", 0, 5, 0.9, "g"), Entity("T2", "Disease", 9, 13, 0.8, "d"))

    class Related(Annotator):
        def annotate(self, documents, advance):
            for document in documents:
                relations = (Relation("R1", "causes", "T1", "T2", 0.7),)
                yield dataclasses.replace(document, entities=found, relations=relations)

    related = Related([], annotator.taggers[0], None, 4)
    client = make_client(annotator=related)
    page = page_of(client.post("/", data={"text": "BRCA1 in lung", "question": ""}))
    cells = text_of(page, "//table[caption='Relations (1)']/tbody/tr/*")
    assert cells == ["causes", "BRCA1 Gene", "lung Disease", "0.70"]
    assert "2 entities, 1 relation · " in page.xpath("//title")[0].text
    assert text_of(page, "//h2") == ["Entities and relations"]


def test_the_page_without_findings_says_so(client):
    page = page_of(client.post("/", data={"text": "of in", "question": ""}))
    assert text_of(page, "//section[@id='results']//section/p") == ["No entity found.", "of in"]
    assert not page.xpath("//mark | //section[@aria-labelledby='answers']")


def test_answers_without_a_place(client, monkeypatch):
    found = [Answer("yes", 0.75), Answer("", 0.2)]
    monkeypatch.setattr(question_answering, "answer", lambda *_: found)
    page = page_of(client.post("/", data=FORM))
    cells = text_of(page, "//section[@aria-labelledby='answers']//tbody/tr/*")
    assert cells == ["1", "yes", "0.75", "–", "2", "no answer", "0.20", "–"]


def test_answers_that_overlap_or_are_improbable_are_not_marked(client, monkeypatch):
    places = [(3, 7, 0.5), (0, 7, 0.3), (12, 17, 0.15), (9, 11, 0.01)]
    found = [Answer("x", p, 0.0, "text", "request", start, end) for start, end, p in places]
    monkeypatch.setattr(question_answering, "answer", lambda *_: found)
    page = page_of(client.post("/", data=FORM))
    assert page.xpath("//section[@aria-labelledby='answers']//mark/@data-type") == ["1: 0.50", "3: 0.15"]
    assert len(page.xpath("//section[@aria-labelledby='answers']//tbody/tr")) == 4


def test_an_error_keeps_the_form(make_client):
    response = make_client(max_characters=4).post("/", data={"text": "lungs", "question": "what"})
    check_error(response, 413, "text: 5 characters; expected at most 4")
    page = page_of(response)
    assert page.xpath("//textarea")[0].text.strip() == "lungs"
    assert page.xpath("//input[@name='question']/@value") == ["what"]
    assert "Error" in page.xpath("//title")[0].text


def test_a_question_without_words(client):
    response = client.post("/api/answer", json={"text": TEXT, "question": "\0"})
    check_error(response, 400, "question: nothing that the model can read")


def test_a_server_of_one_model(make_client):
    answers_only = make_client(annotator=None)
    check_error(answers_only.post("/api/annotate", json={"text": TEXT}), 404, "--ner_model")
    check_error(answers_only.post("/", data={"text": TEXT, "question": ""}), 400, "question: empty")
    assert text_of(page_of(answers_only.get("/")), "//button") == ["Answer"]
    entities_only = make_client(reader=None)
    check_error(entities_only.post("/api/answer", json={"text": TEXT, "question": "what"}), 404, "--qa_model")
    page = page_of(entities_only.post("/", data={"text": TEXT}))
    assert text_of(page, "//p/mark") == ["lung cancer"]
    assert not page.xpath("//input")
