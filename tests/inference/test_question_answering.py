"""Questions answered from documents: ranks, places in the untouched text, what run_qa.py answers."""

import dataclasses
import json
import logging
import math
import shutil
import weakref

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.tasks import questions
from data_prep.tasks.answers import Candidate, Options
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import model_directory, tasks
from fine_tuning.model_directory import ModelDirectory
from inference import question_answering, sequences
from inference.question_answering import Answer, Reader
from modeling.heads import SequenceClassifier, SpanClassifier

PIECES = """[PAD] [UNK] [CLS] [SEP] [MASK] which gene ? a b c d e f breast cancer sj ##o ##gren s IL il - , ' ( )
95 1195 mg 10 TNF α ##F aspirin""".split()
LOW = -9.0


@pytest.fixture(scope="module")
def make_tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return lambda do_lower_case=False: FullTokenizer(str(path), do_lower_case)


@pytest.fixture
def make_reader(make_tokenizer):
    """Makes a `Reader` of a model that scores the context's pieces by a table, `(start logit, end logit)` each.

    No answer has the logits `null`, and in a window with the piece f one more each.

    The model notes in `reader.compiled.seen` the pieces of all sequences that it scores.
    """

    def make(
        table,
        options=None,
        question_type="factoid",
        do_lower_case=False,
        max_seq_length=64,
        max_query_length=8,
        null=(LOW, LOW),
    ):
        tokenizer = make_tokenizer(do_lower_case)

        def score(batch):
            ids, segments = batch["input_ids"].numpy(), batch["segment_ids"].numpy()
            scores = np.full([*ids.shape, 2], LOW, np.float32)
            for row, column in np.argwhere(segments == 1):
                scores[row, column] = table.get(PIECES[ids[row, column]], (LOW, LOW))
            scores[:, 0] = null
            scores[(ids == PIECES.index("f")).any(axis=1), 0] += 1
            score.seen.extend(tokenizer.convert_ids_to_tokens(row[row != 0]) for row in ids)
            return {"start": tf.constant(scores[..., 0]), "end": tf.constant(scores[..., 1])}

        settings = {"question_type": question_type, "doc_stride": 4, "max_query_length": max_query_length}
        directory = ModelDirectory("model", "qa", None, tokenizer, max_seq_length, None, settings)
        score.seen = []
        return Reader(directory, score, options or Options())

    return make


def document(*paragraphs, name="1", between="\n"):
    spans, start = [], 0
    for paragraph in paragraphs:
        spans.append((start, start + len(paragraph)))
        start += len(paragraph) + len(between)
    return Document(name, between.join(paragraphs), tuple(spans), f"{name}.txt")


def ask(reader, *documents):
    return question_answering.answer("which gene?", documents, reader, batch_size=4)


# Places


@pytest.mark.parametrize(
    ("text", "first", "last", "lower", "expected"),
    [
        ("a breast\r\ncancer b", "breast", "cancer", False, (2, 16)),
        ("a  breast  \t cancer", "breast", "cancer", False, (3, 19)),
        ("(TNF-α), a", "TNF", "α", False, (1, 6)),
        # A code point is one character, though it is two in UTF-16.
        ("\U0001f48a aspirin", "aspirin", "aspirin", False, (2, 9)),
        # The piece itself, though its text stands in the same word before.
        ("a 1195-95 b", "95", "95", False, (7, 9)),
        ("a Sjögren's b", "sj", "##gren", True, (2, 9)),
        # Where the tokenizer changes the number of characters, the original takes all of the word:
        # a combining accent, white space within a word, a character that the tokenizer drops.
        ("a (Sjo\u0308gren), b", "sj", "##gren", True, (2, 13)),
        ("a 10\u00a0mg b", "10", "10", False, (2, 7)),
        ("a c\u200b,  d e", "c", "d", False, (2, 8)),
        ("il-IL, a", "IL", "IL", False, (3, 5)),
    ],
)
def test_an_answer_s_place_in_the_untouched_text(make_reader, text, first, last, lower, expected):
    table = {first: (2.0, 0.0), last: (0.0, 2.0)} if first != last else {first: (2.0, 2.0)}
    best = ask(make_reader(table, do_lower_case=lower), document(text))[0]
    assert (best.start, best.end) == expected
    assert best.text == text[slice(*expected)]


def test_the_place_of_the_text_where_it_is_not_that_of_the_pieces(make_tokenizer):
    # Of two places in a word the original takes the first, which differs in case here.
    one = document("a IL-il b")
    example = questions.Example("1", "which", ["a", "IL-il", "b"])
    encoding = questions.Encoding(["which"], ["a", "il", "-", "il", "b"], [0, 1, 1, 1, 2], [(0, 5)])
    passage, candidate = question_answering.Passage(one, [0, 2, 8], example), Candidate(3, 3, 0.0, 0.0)
    assert question_answering.locate("IL", candidate, passage, encoding, make_tokenizer(True)) == (2, 4)


def test_title_and_abstract_are_one_context(make_reader):
    reader = make_reader({"breast": (2.0, 0.0), "cancer": (0.0, 2.0)})
    best = ask(reader, document("a breast", "cancer b.", "c"))[0]
    assert (best.text, best.start, best.end) == ("breast\ncancer", 2, 15)
    assert (best.passage, best.passage_start) == ("a breast\ncancer b.", 0)
    assert reader.compiled.seen == [
        ["[CLS]", "which", "gene", "?", "[SEP]", *"a breast cancer b [UNK] c".split(), "[SEP]"]
    ]


def test_paragraphs_that_touch_are_not_joined(make_reader):
    reader = make_reader({"a": (2.0, 0.0), "b": (0.0, 2.0)})
    found = {(one.text, one.start, one.end): one.passage for one in ask(reader, document("a", "b", between=""))}
    assert found == {("ab", 0, 2): "ab", ("a", 0, 1): "a", ("b", 1, 2): "b"}


def test_the_passage_is_the_paragraph_or_what_is_around_the_answer(make_reader, monkeypatch):
    reader = make_reader({"c": (2.0, 2.0)})
    best = ask(reader, document("a b", "b c d", "e"))[0]
    assert (best.passage, best.passage_start, best.start) == ("b c d", 4, 6)
    monkeypatch.setattr(question_answering, "SURROUNDINGS", 3)
    best = ask(reader, document("a b", "d e b c a e", "e"))[0]
    assert (best.passage, best.passage_start) == (" b c a ", 7)


def test_an_answer_in_any_window_of_a_long_text(make_reader):
    # A sequence of 12 has room for 6 pieces beside the question's 3.
    text = "a " * 20 + "c d " + "b " * 9
    reader = make_reader({"c": (2.0, 0.0), "d": (0.0, 2.0)}, max_seq_length=12)
    best = ask(reader, document(text))[0]
    assert (best.text, best.start, best.end) == ("c d", 40, 43)
    assert len(reader.compiled.seen) == 8  # windows from 0, 4, ... 28, the last one of which reaches piece 31
    assert all(len(pieces) <= 12 for pieces in reader.compiled.seen)


def test_a_very_long_text_is_several_passages(make_reader, monkeypatch):
    monkeypatch.setattr(question_answering, "LONGEST_PASSAGE", 10)
    monkeypatch.setattr(question_answering, "LONGEST_WORD", 6)
    text = "a b a b a b a breast a b (((((((((c a"
    reader = make_reader({"breast": (2.0, 2.0), "c": (1.0, 1.5)})
    found = ask(reader, document(text))
    assert [(one.text, one.start) for one in found[:2]] == [("breast", 14), ("c", 34)]
    assert len(reader.compiled.seen) > 3


# Ranks


def test_one_ranking_for_all_documents(make_reader):
    # b 3 in the second document, a 2 in the first, c 1 in the third, of which there is no room.
    table = {"a": (1.0, 1.0), "b": (1.5, 1.5), "c": (0.5, 0.5)}
    found = ask(
        make_reader(table, Options(n_best_size=2, max_answer_length=1)),
        document("d a", name="1"),
        document("e b d", name="2"),
        document("c", name="3"),
    )
    assert [(one.text, one.document_id, one.source, one.start, one.score) for one in found] == [
        ("b", "2", "2.txt", 2, 3.0),
        ("a", "1", "1.txt", 2, 2.0),
    ]
    assert [one.probability for one in found] == pytest.approx([math.e / (math.e + 1), 1 / (math.e + 1)])


def test_equal_texts_are_one_answer_where_it_scores_highest(make_reader):
    table = {"a": (1.0, 1.0), "c": (0.5, 0.0), "d": (0.0, 0.5)}
    found = ask(make_reader(table, Options(3, 2)), document("e a c  d", name="1"), document("a c d", name="2"))
    assert [(one.text, one.document_id) for one in found] == [("a", "1"), ("a c", "1"), ("c  d", "1")]


def test_documents_are_read_one_after_the_other_and_not_kept(make_reader, monkeypatch):
    monkeypatch.setattr(sequences, "CHUNK_CHARACTERS", 20)  # ten documents
    references = []

    def stream():
        for number in range(300):
            alive = sum(reference() is not None for reference in references)
            assert alive < 2 * 10 + 5  # those before, those to come, the best
            one = document("c" if number == 200 else "a", name=str(number))
            references.append(weakref.ref(one))
            yield one

    reader = make_reader({"a": (1.0, 1.0), "c": (2.0, 2.0)}, Options(n_best_size=5))
    found = question_answering.answer("which gene?", stream(), reader, batch_size=64)
    assert [(one.text, one.document_id) for one in found] == [("c", "200"), ("a", "0")]


def test_what_a_caller_hears_of_the_progress(make_reader):
    counts = []
    documents = [document("a") for _ in range(500)]
    question_answering.answer("which", documents, make_reader({"a": (1.0, 1.0)}), 2, counts.append)
    assert len(counts) > 2
    assert sum(counts) == 500


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.0, ["", "b", "a"]), (0.5, ["b", "", "a"]), (-4.0, ["", "b", "a"])]
)
def test_no_answer_among_the_answers(make_reader, threshold, expected):
    # No answer scores 3.5 in the second document and 5.5 in the others, the best answer 3.
    options = Options(3, 1, with_negative=True, null_score_diff_threshold=threshold)
    reader = make_reader({"a": (1.0, 1.0), "b": (1.5, 1.5)}, options, null=(2.0, 1.5))
    found = ask(reader, document("f b", name="1"), document("a", name="2"), document("f", name="3"))
    assert [one.text for one in found] == expected
    by_text = {one.text: one for one in found}
    assert by_text[""] == Answer("", pytest.approx(1 / (1 + math.exp(-0.5) + math.exp(-1.5))), 3.5)
    assert sum(one.probability for one in found) == pytest.approx(1)


def test_a_list_has_what_is_probable_in_its_document(make_reader):
    # b 2 and c 1.9 share their document; a has its own, d shares another with two others of about its score.
    table = {"a": (0.5, 0.5), "b": (1.0, 1.0), "c": (1.0, 0.9), "d": (3.0, 3.0), "e": (3.0, 2.9), "f": (3.0, 2.8)}
    reader = make_reader(table, Options(max_answer_length=1), "list")
    found = ask(reader, document("a", name="1"), document("b c", name="2"), document("d e f", name="3"))
    share = 1 / (1 + math.exp(-0.1))
    assert [(one.text, one.document_id) for one in found] == [("b", "2"), ("c", "2"), ("a", "1")]
    assert [one.probability for one in found] == pytest.approx([share, 1 - share, 1])
    # Where none is over the threshold, the best.
    assert [one.text for one in ask(reader, document("d e f"), document(""))] == ["d"]


def test_yes_or_no_by_the_mean_of_windows_and_documents(make_reader):
    def classify(batch):
        # 0.9 for yes if there is an a in the window, else 0.4.
        yes = np.where((batch["input_ids"].numpy() == PIECES.index("a")).any(axis=1), 0.9, 0.4)
        return {"probabilities": tf.constant(np.stack([1 - yes, yes], axis=1))}

    base = make_reader({}, question_type="yesno", max_seq_length=12).directory
    directory = ModelDirectory("model", "qa", None, base.tokenizer, 12, ["no", "yes"], base.settings)
    reader = Reader(directory, classify, Options())
    # The first document's windows are a b b b b b and b b b b b: 0.65 for yes, the second's 0.4.
    documents = [document("a " + "b " * 8), document("b"), document("")]
    assert ask(reader, *documents) == [Answer("yes", pytest.approx(0.525)), Answer("no", pytest.approx(0.475))]
    assert ask(reader, document("")) == []


# What goes in and out


def test_a_long_question_is_cut_as_in_training(make_reader, caplog):
    reader = make_reader({"a": (1.0, 1.0)}, max_query_length=2)
    with caplog.at_level(logging.WARNING):
        best = ask(reader, document("a"))[0]
    assert reader.compiled.seen == [["[CLS]", "which", "gene", "[SEP]", "a", "[SEP]"]]
    assert best.text == "a"
    assert "the question has 3 wordpieces, of which the model reads the first 2" in caplog.text


def test_documents_without_text_are_counted(make_reader, caplog):
    reader = make_reader({"a": (1.0, 1.0)})
    empty = [document("", name="1"), Document("2", "\u200b", ((0, 1),), "2"), Document("3", "a", (), "3")]
    with caplog.at_level(logging.WARNING):
        found = ask(reader, *empty, document("a", name="4"))
    assert [(one.text, one.document_id) for one in found] == [("a", "4")]
    assert "3 of 4 documents without text" in caplog.text
    assert ask(reader, *empty) == []


@pytest.mark.parametrize("question", ["", " \n", "\u200b"])
def test_a_question_without_text_is_an_error(make_reader, question):
    with pytest.raises(InputError, match="no text in the question; expected some"):
        question_answering.answer(question, [document("a")], make_reader({}), 1)


def test_no_document_is_an_error(make_reader):
    with pytest.raises(InputError, match="no document to find an answer in; expected at least one"):
        ask(make_reader({}))


@dataclasses.dataclass(frozen=True)
class Untrained(ModelDirectory):
    """A directory with a model."""

    model: object = None

    def load(self):
        return self.model


@pytest.mark.parametrize(("question_type", "negative"), [("factoid", True), ("list", False), ("yesno", False)])
def test_a_model_is_called_as_its_type_of_question_needs(make_tokenizer, tiny_config, question_type, negative):
    config = dataclasses.replace(tiny_config, vocab_size=len(PIECES))
    yes_no = question_type == "yesno"
    model = SequenceClassifier(config, 2) if yes_no else SpanClassifier(config)
    model.build()
    model.trainable_variables[0].assign(model.trainable_variables[0] * 50)  # so that the logits differ
    settings = {
        "question_type": question_type,
        "doc_stride": 4,
        "max_query_length": 8,
        "version_2_with_negative": negative,
    }
    labels = ["no", "yes"] if yes_no else None
    directory = Untrained(
        "model", tasks.find({"task": "qa"} | settings), config, make_tokenizer(), 16, labels, settings, model
    )
    reader = question_answering.load_reader(directory)
    assert reader.options == Options(with_negative=negative)
    ids = [PIECES.index(piece) for piece in "[CLS] which gene ? [SEP] a b [SEP]".split()]
    features = {"input_ids": [ids], "input_mask": [[1] * 8], "segment_ids": [[0] * 5 + [1] * 3]}
    logits = model({name: tf.constant(values) for name, values in features.items()})
    found = ask(reader, document("a b"))
    if yes_no:
        no, yes = np.exp(logits[0]) / np.exp(logits[0]).sum()
        assert {one.text: one.probability for one in found} == pytest.approx({"yes": yes, "no": no}, abs=1e-6)
        return
    start, end = (np.asarray(x[0]) for x in logits)
    scores = {"a": start[5] + end[5], "a b": start[5] + end[6], "b": start[6] + end[6]}
    if negative:
        scores[""] = start[0] + end[0]
        assert {one.text: one.score for one in found} == pytest.approx(scores, abs=1e-5)
    assert found[0].text == max(scores, key=scores.get)


def test_a_line_of_json():
    found = [Answer("α", 0.123456, 2.5, "7", "x.txt", 2, 3, "a α", 0), Answer("", 0.25, 1.0)]
    line = question_answering.json_line("which gene?", found)
    assert line == (
        '{"question": "which gene?", "answers": [{"text": "α", "probability": 0.1235, "document": "7", '
        '"source": "x.txt", "start": 2, "end": 3, "passage": "a α"}, {"text": "", "probability": 0.25}]}'
    )


# The original's answers


@pytest.fixture(scope="module")
def golden_reader(shared, tmp_path_factory):
    """The reader of a model directory with the original's checkpoint."""
    golden, path = shared / "golden", tmp_path_factory.mktemp("model")
    shutil.copy(golden / "vocab_small.txt", path / "vocab.txt")
    shutil.copy(golden / "e2e/qa/bert_config.json", path)
    for part in ("index", "data-00000-of-00001"):
        shutil.copy(golden / f"e2e/qa/model.ckpt.{part}", path / f"model.ckpt-1.{part}")
    settings = {
        "task": "qa",
        "do_lower_case": False,
        "max_seq_length": 128,
        "question_type": "factoid",
        "doc_stride": 48,
        "max_query_length": 64,
        "version_2_with_negative": False,
    }
    (path / "fine_tuning.json").write_text(json.dumps(settings))
    return question_answering.load_reader(model_directory.read(str(path), "qa"))


@pytest.fixture(scope="module")
def golden_questions(shared):
    """Id, question, document and the original's n-best list of each question."""
    n_best = json.loads((shared / "golden/e2e/qa/nbest_predictions.json").read_text(encoding="utf-8"))
    data = json.loads((shared / "golden/inputs/QA/test.json").read_text(encoding="utf-8"))
    return [
        (question["question"], document(paragraph["context"], name=question["id"]), n_best[question["id"]])
        for entry in data["data"]
        for paragraph in entry["paragraphs"]
        for question in paragraph["qas"]
    ]


def test_answers_equal_the_original_s(golden_reader, golden_questions):
    assert len(golden_questions) == 27
    for question, context, expected in golden_questions:
        found = question_answering.answer(question, [context], golden_reader, batch_size=8)
        assert [" ".join(questions.WORD.findall(one.text)) for one in found] == [entry["text"] for entry in expected]
        probabilities = [entry["probability"] for entry in expected]
        assert [one.probability for one in found] == pytest.approx(probabilities, abs=1e-5)
        assert all(one.text == context.text[one.start : one.end] for one in found)


def test_several_documents_are_ranked_as_the_original_ranks_each(golden_reader, golden_questions):
    # The first question has two snippets: of both, the best 20 texts by the original's logits.
    question = golden_questions[0][0]
    entries = [[(entry, context.id) for entry in entries] for _, context, entries in golden_questions[:2]]
    best = {}
    for entry, name in sorted(sum(entries, []), key=lambda pair: -pair[0]["start_logit"] - pair[0]["end_logit"]):
        best.setdefault(entry["text"], (name, entry["start_logit"] + entry["end_logit"]))
    best = list(best.items())[:20]
    contexts = [context for _, context, _ in golden_questions[:2]]
    found = question_answering.answer(question, iter(contexts), golden_reader, batch_size=8)
    assert [(one.text, one.document_id) for one in found] == [(text, name) for text, (name, _) in best]
    assert {name for _, (name, _) in best} == {context.id for context in contexts}
    total = sum(math.exp(score) for _, (_, score) in best)
    expected = [math.exp(score) / total for _, (_, score) in best]
    assert [one.probability for one in found] == pytest.approx(expected, abs=1e-5)
