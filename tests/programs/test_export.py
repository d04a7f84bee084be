"""Exported models: a process with tensorflow-text alone answers over REST what predict.py's functions answer."""

import json
import random
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import export
from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.tasks import relations as relation_data
from data_prep.text.sentences import load_sentence_splitter
from inference import ner, question_answering, relations, sequences
from inference.annotator import Annotator
from inference.graph import saved_model
from tests.helpers.model_directories import make_model_directory

PIECES = """[PAD] [UNK] [CLS] [SEP] [MASK] lung cancer IL il 2 and of - . , ( ) ' ##s ##o ##gren sj @ GENE DISEASE OTHER
$ which ? a b ##a ##b α σ ς ##ς ##σ 1 ##1 mg protein""".split()
LABELS = {
    "ner": ["[PAD]", "B", "B-Gene", "I", "I-Drug", "O", "X", "[CLS]", "[SEP]"],
    "re": ["0", "CPR:3", "CPR:4"],
    "yesno": ["no", "yes"],
}
PAIR = {"entity_pairs": [["@DISEASE$", "@GENE$"]], "negative_label": "0", "mask_others": False}
BATCH_SIZE = 8
SERVED = ("ner", "re", "factoid")

# Words whose pieces, spans or texts one step or another treats in a way of its own.
WORDS = "lung cancer IL-2 il-IL cancer, (lung) sjögren's Sjo\u0308grens of and . , abab ab-ab ΑΣ.α ΣΑΣ 中中 1-1-1 11-1 "
WORDS += "mg 10\u00a0mg lungs \U0001f48a \u200b \u0301 ab\u200bab protein @GENE$ @DISEASE$ @OTHER$ @ $ @@GENE$ @x$ A"
GAPS = [" ", " ", " ", " ", "", "\t", "  ", "\n", "\r\n", "\u202f", "\xa0"]


def make_texts(seed, count, longest):
    rng = random.Random(seed)
    sizes = [rng.randint(0, longest) for _ in range(count)]
    return ["".join(rng.choice(WORDS.split(" ")) + rng.choice(GAPS) for _ in range(size)) for size in sizes]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """From the name of a model to its directory: all tasks and settings that make a difference."""
    path = tmp_path_factory.mktemp("models")

    def make(name, *arguments, **settings):
        return make_model_directory(path / name, PIECES, *arguments, **settings)

    reading = {"max_seq_length": 28, "doc_stride": 5, "max_query_length": 6}
    return {
        "ner": make("ner", "ner", LABELS["ner"], do_lower_case=True),
        "re": make("re", "re", LABELS["re"], lower_case=True, **PAIR),
        "factoid": make(
            "factoid", "qa", do_lower_case=True, question_type="factoid", version_2_with_negative=True, **reading
        ),
        "list": make("list", "qa", question_type="list", version_2_with_negative=False, **reading),
        "yesno": make("yesno", "qa", LABELS["yesno"], question_type="yesno", version_2_with_negative=False, **reading),
    }


@pytest.fixture(scope="module")
def exported(directories, tmp_path_factory):
    """A directory with a directory for each of SERVED, which has version 1."""
    written, moved = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("exported")
    for name in SERVED:
        export.write(directories[name], str(written / name / "1"), "mine", BATCH_SIZE)
        shutil.move(written / name, moved / name)
    return moved


@pytest.fixture(scope="module")
def server(exported, repository):
    """A process that serves them and cannot see this repository; what it said when it was ready."""
    command = [sys.executable, "-I", str(repository / "tests/helpers/saved_model_server.py")]
    command += [f"{name}={exported / name}" for name in SERVED]
    with subprocess.Popen(command, cwd=exported, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture(scope="module")
def post(server):
    """Sends a request to a model; returns the answer."""

    def post(name, request):
        url = f"http://127.0.0.1:{server['port']}/v1/models/{name}:predict"
        with urllib.request.urlopen(url, json.dumps(request).encode()) as response:
            return json.loads(response.read())

    return post


def as_document(text):
    return Document("1", text, ((0, len(text)),), "text.txt")


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_nothing_of_ours_is_loaded(server, repository):
    ours = [path for path in server["modules"] if path.startswith(str(repository)) and "site-packages" not in path]
    assert set(ours) == {str(repository / "tests/helpers/saved_model_server.py")}


@pytest.mark.parametrize("name", SERVED)
def test_every_operation_is_one_of_tensorflow_or_of_tensorflow_text(exported, name):
    """TensorFlow Serving is built with both: SUPPORTED_TENSORFLOW_OPS in tensorflow_serving/model_servers/BUILD."""
    model = saved_model_pb2.SavedModel.FromString((exported / name / "1/saved_model.pb").read_bytes())
    (graph,) = (each.graph_def for each in model.meta_graphs)
    functions = graph.library.function
    used = {node.op for nodes in (graph.node, *(each.node_def for each in functions)) for node in nodes}
    used -= {each.signature.name for each in functions}
    assert {each for each in used if not hasattr(tf.raw_ops, each)} == {"FastWordpieceTokenizeWithOffsets"}
    assert not {each for each in used if "PyFunc" in each}  # what would run in the process that made it alone


def test_entities(directories, post):
    texts = ["", " \u0301", *make_texts(1, 40, 40), *make_texts(2, 1, 300)]
    annotator = Annotator(
        [ner.load_tagger("mine", directories["ner"])], None, load_sentence_splitter("none"), BATCH_SIZE
    )
    total = 0
    rows = post("ner", {"instances": texts})["predictions"]
    for text, row, document in zip(texts, rows, annotator.annotate(map(as_document, texts)), strict=True):
        found = list(zip(row["starts"], row["ends"], row["types"], row["texts"], strict=True))
        entities = [(e.start, e.end, e.type, text[e.start : e.end]) for e in document.entities]
        assert found[: row["count"]] == entities, ascii(text)
        assert set(found[row["count"] :]) <= {(-1, -1, "", "")}
        assert_close(row["confidences"][: row["count"]], [entity.confidence for entity in document.entities])
        total += row["count"]
    assert total > 50


def test_relations(directories, post):
    directory = directories["re"]
    texts = ["", "@GENE$ of @DISEASE$", *make_texts(3, 40, 30)]
    classifier = relations.load_classifier(directory)
    encoded = [relations.encode(relation_data.lower_case(text), directory) for text in texts]
    for row, expected in zip(
        post("re", {"instances": texts})["predictions"],
        sequences.run(classifier.compiled, encoded, BATCH_SIZE),
        strict=True,
    ):
        assert_close(row["probabilities"], expected["probabilities"])
        assert row["labels"] == LABELS["re"]
        assert row["label"] == LABELS["re"][np.argmax(expected["probabilities"])]


def assert_answers_equal(directory, predict):
    """Compares `predict`, from questions and contexts to outputs by column, with what predict.py answers."""
    contexts = [*make_texts(4, 30, 60), "abab-" * 50, "which " + "abab-il-IL " * 20]
    contexts += ["il-IL", "Lung-lung a", "1-1- 1"]  # the text of a piece's word begins before it, with other letters
    questions = [f"which {text}" for text in make_texts(5, len(contexts), 6)]
    reader = question_answering.load_reader(directory)
    outputs = predict(questions, contexts)
    for i, (question, context, count) in enumerate(zip(questions, contexts, outputs["count"], strict=True)):
        answers = question_answering.answer(question, [as_document(context)], reader, BATCH_SIZE)
        expected = [(a.text, -1 if a.start is None else a.start, -1 if a.end is None else a.end) for a in answers]
        found = list(zip(*(outputs[name][i] for name in ("texts", "starts", "ends")), strict=True))
        assert found[:count] == expected, ascii((question, context))
        assert set(found[count:]) <= {("", -1, -1)}
        assert_close(outputs["probabilities"][i][:count], [answer.probability for answer in answers])
    assert sum(outputs["count"]) > len(contexts) * 0.9


def test_answers(directories, post):
    assert_answers_equal(
        directories["factoid"],
        lambda question, context: post("factoid", {"inputs": {"question": question, "context": context}})["outputs"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["list", "yesno"])
def test_answers_of_other_types(directories, name):
    signature = saved_model.make_signature(directories[name], "", BATCH_SIZE)

    def predict(*inputs):
        outputs = {name: values.numpy().tolist() for name, values in signature(*map(tf.constant, inputs)).items()}
        return {**outputs, "texts": [[text.decode() for text in row] for row in outputs["texts"]]}

    assert_answers_equal(directories[name], predict)


def test_no_answers_without_text(post):
    asked = {"question": ["which", "", "which"], "context": ["a b", "a b", " \t"]}
    outputs = post("factoid", {"inputs": asked})["outputs"]
    assert outputs["count"] == [4, 0, 0]  # a, b, a b and none
    assert outputs["texts"][1] == [""] * 4


def test_rows_and_columns_say_the_same(post):
    texts = make_texts(6, 5, 20)
    rows = post("ner", {"instances": [{"text": text} for text in texts]})["predictions"]
    columns = post("ner", {"inputs": texts})["outputs"]
    assert [row["starts"] for row in rows] == columns["starts"]
    assert sorted(columns) == ["confidences", "count", "ends", "starts", "texts", "types"]


def test_a_wrong_request_is_answered(post):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post("factoid", {"instances": ["no question"]})


def test_another_number_of_questions_than_of_contexts_is_refused(directories):
    signature = saved_model.make_signature(directories["factoid"], "", BATCH_SIZE)
    for questions, contexts in ((["which", "what"], ["a b"]), (["which"], ["a b", "a b"]), ([], ["a b"])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="as many questions as contexts are expected"):
            signature(tf.constant(questions, tf.string), tf.constant(contexts))


def test_script(directories, tmp_path, run_script):
    output = tmp_path / "new" / "1"
    done = run_script("export.py", f"--model_dir={directories['ner'].path}", f"--output_dir={output}")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{output}: a SavedModel of a model of run_ner.py" in done.stderr
    assert [path.name for path in output.parent.iterdir()] == ["1"]
    assert (output / "saved_model.pb").exists()


def test_a_directory_with_something_in_it_stays(directories, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"1: there is something already; expected a new or empty directory"):
        export.write(directories["ner"], str(tmp_path / "1"), "", BATCH_SIZE)
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["mine.txt"]


def test_what_fails_leaves_nothing(directories, tmp_path, monkeypatch):
    def fail(_, path, *__):
        with open(f"{path}/saved_model.pb", "w"):
            raise OSError("no space")

    monkeypatch.setattr(saved_model, "save", fail)
    with pytest.raises(OSError, match="no space"):
        export.write(directories["ner"], str(tmp_path / "1"), "", BATCH_SIZE)
    assert list(tmp_path.iterdir()) == []
