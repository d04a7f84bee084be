"""QA data: SQuAD's layout, windows, and the place of the answer in a record."""

import json

import pytest
import tensorflow as tf

from common.errors import InputError
from data_prep.tasks import questions
from data_prep.tasks.questions import Example


class Pieces:
    """A tokenizer that cuts words at every `-`, which is a piece of its own, and drops `~`; ids are code points."""

    def tokenize(self, text):
        return [piece for piece in text.replace("-", " - ").replace("~", "").split() if piece]

    def convert_tokens_to_ids(self, tokens):
        return [{"[CLS]": 1, "[SEP]": 2}.get(token, ord(token[0])) for token in tokens]


def squad(tmp_path, *entries):
    """A file with a paragraph an entry: context and question dict."""
    paragraphs = [{"context": context, "qas": [question]} for context, question in entries]
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def question(answers=None, id="q1", **more):
    entry = {"id": id, "question": "a b", **more}
    return entry if answers is None else {**entry, "answers": answers}


def answer(text, start):
    return [{"text": text, "answer_start": start}]


def test_only_four_spaces_and_newlines_end_a_word(tmp_path):
    path = squad(tmp_path, ("a\tb\u202fc\xa0d\ne", question()))
    assert questions.read_examples(path) == [Example("q1", "a b", ["a", "b", "c\xa0d", "e"])]


def test_an_answer_is_found_by_its_place(tmp_path):
    path = squad(tmp_path, ("aa bb (cc dd) bb", question(answer("cc dd", 7))))
    (example,) = questions.read_span_examples(path)
    assert (example.first_word, example.last_word, example.answer) == (2, 3, "cc dd")


@pytest.mark.parametrize(("text", "start"), [("bb", 0), ("bb", 99), ("bb", -3), ("xx", 3)])
def test_a_misplaced_answer_is_left_out_with_a_warning(tmp_path, caplog, text, start):
    path = squad(tmp_path, ("aa bb", question(answer(text, start))), ("aa", question(answer("aa", 0), "q2")))
    assert [example.id for example in questions.read_span_examples(path)] == ["q2"]
    assert "answers are not where answer_start says, left out: 1 (q1)" in caplog.text


def test_impossible_questions(tmp_path):
    path = squad(tmp_path, ("aa", question([], is_impossible=True)))
    (example,) = questions.read_span_examples(path, with_negative=True)
    assert (example.first_word, example.last_word, example.answer) == (-1, -1, None)
    with pytest.raises(InputError, match="question q1: 0 answers; .*exactly 1 .or --version_2_with_negative"):
        questions.read_span_examples(path)


def test_contexts_without_text_are_named(tmp_path, caplog):
    entries = [(" \n", question(id=f"q{i}")) for i in range(7)]
    assert len(questions.read_examples(squad(tmp_path, *entries))) == 7
    assert "contexts without text, answered with nothing: 7 (q0, q1, q2, q3, q4, ...)" in caplog.text
    questions.read_examples(squad(tmp_path, *entries), verbose=True)
    assert "7 (q0, q1, q2, q3, q4, q5, q6)" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"data": [\n1,}', "line 2: not JSON"),
        ("[]", "no key 'data'"),
        ('{"data": [{"paragraphs": [{"qas": [{"id": "x", "question": "?"}]}]}]}', "question x: no key 'context'"),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', "at the first question: no key 'qas'"),
        ('{"data": []}', "no question"),
        ('{"data": 3}', "expected SQuAD's layout"),
        ('{"data": [{"paragraphs": [{"context": 5, "qas": [{"id": "x", "question": "?"}]}]}]}', "question x: 5"),
    ],
)
def test_another_layout_is_an_error(tmp_path, text, message):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        questions.read_examples(path)


def test_ids_that_are_numbers_are_their_digits(tmp_path):
    """As COVID-QA has them."""
    path = squad(tmp_path, ("aa", question(answer("aa", 0), 1262)), ("aa", question(answer("aa", 0), 0)))
    for read in (questions.read_examples, questions.read_span_examples):
        assert [example.id for example in read(path)] == ["1262", "0"]


@pytest.mark.parametrize(("id", "shown"), [(True, "True"), (1.5, "1.5"), (None, "None")])
def test_other_ids_than_texts_and_whole_numbers_are_refused(tmp_path, id, shown):
    path = squad(tmp_path, ("aa", question(id=id)))
    with pytest.raises(
        InputError, match=f"^.*: question {shown}: {shown}; expected texts as id, question and context$"
    ):
        questions.read_examples(path)


def test_two_questions_of_one_id(tmp_path):
    path = squad(tmp_path, ("a", question()), ("b", question()))
    with pytest.raises(InputError, match="two questions have the id q1"):
        questions.read_examples(path)


def test_two_questions_of_one_id_are_both_trained_on(tmp_path, caplog):
    path = squad(tmp_path, ("aa", question(answer("aa", 0))), ("bb", question(answer("bb", 0))))
    assert [example.words for example in questions.read_span_examples(path)] == [["aa"], ["bb"]]
    assert "ids of several questions, all trained on: 1 (q1)" in caplog.text


def test_a_yes_no_file_as_one_of_spans(tmp_path):
    with pytest.raises(InputError, match="question q1: 'yes' answers; .* --question_type=yesno"):
        questions.read_span_examples(squad(tmp_path, ("aa", question("yes"))))


def test_training_takes_one_answer_each(tmp_path):
    path = squad(tmp_path, ("aa bb", question(answer("aa", 0) + answer("bb", 3))))
    with pytest.raises(InputError, match="question q1: 2 answers; for training expected exactly 1"):
        questions.read_span_examples(path)


def test_yes_no_examples_are_balanced(tmp_path):
    entries = [("a", question("yes", f"y{i}")) for i in range(9)] + [("a", question("no", f"n{i}")) for i in range(4)]
    path = squad(tmp_path, *entries)
    kept = questions.read_yes_no_examples(path, balance=True, seed=1)
    assert [example.answer for example in kept] == ["no"] * 4 + ["yes"] * 4
    assert len({example.id for example in kept}) == 8
    assert len(questions.read_yes_no_examples(path, balance=False, seed=1)) == 13


@pytest.mark.parametrize(
    ("given", "message"),
    [("maybe", 'question q1: answers \'maybe\'; expected "yes" or "no"'), ("yes", "1 questions with yes, 0 with no")],
)
def test_wrong_yes_no_answers(tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        questions.read_yes_no_examples(squad(tmp_path, ("a", question(given))), balance=True, seed=1)


def encode(context, length, stride=2, query=2, answer=None, first_word=-1, last_word=-1):
    example = Example("q1", "x y z", context.split(), answer, first_word, last_word)
    (encoding,) = questions.encode([example], Pieces(), length, stride, query)
    return encoding


def test_windows_of_a_long_context():
    encoding = encode("a b c d e f g", length=9)  # room for 9 - 2 - 3 pieces
    assert encoding.question == ["x", "y"]
    assert encoding.windows == [(0, 4), (2, 6), (4, 7)]
    assert encode("a b", length=9).windows == [(0, 2)]
    assert encode("", length=9).windows == []
    assert encode("a b c d e f g h i j", length=9, stride=7).windows == [(0, 4), (4, 8), (8, 10)]


def test_pieces_know_their_word():
    assert encode("a-b ~ c", length=20).word_of == [0, 0, 0, 2]


def test_an_answer_is_narrowed_to_its_pieces():
    # The word is `1895-1943`, the answer its first part.
    encoding = encode("in 1895-1943 x", length=20, answer="1895", first_word=1, last_word=1)
    assert (encoding.first, encoding.last) == (1, 1)
    # Where the answer's pieces are not among the word's, the whole word is the answer.
    encoding = encode("in 1895-1943 x", length=20, answer="189", first_word=1, last_word=1)
    assert (encoding.first, encoding.last) == (1, 3)


def test_records_of_a_span():
    encoding = encode("a b c d e", length=8, stride=2, answer="d", first_word=3, last_word=3)
    records = [tf.train.Example.FromString(r).features.feature for r in questions.serialize_spans([encoding], Pieces())]
    values = [{name: list(feature.int64_list.value) for name, feature in record.items()} for record in records]
    x, y, a, b, c, d, e = map(ord, "xyabcde")
    # Windows a b c, where the answer is not, and c d e.
    assert [v["input_ids"] for v in values] == [[1, x, y, 2, a, b, c, 2], [1, x, y, 2, c, d, e, 2]]
    assert [v["segment_ids"] for v in values] == [[0, 0, 0, 0, 1, 1, 1, 1]] * 2
    assert [(v["start_positions"], v["end_positions"]) for v in values] == [([0], [0]), ([5], [5])]


def test_every_window_has_the_label_of_its_question():
    examples = [Example("1", "x", list("abcd"), "yes"), Example("2", "x", ["a"], "no"), Example("3", "x", ["a"])]
    encodings = list(questions.encode(examples, Pieces(), 7, 2, 2))
    records = questions.serialize_yes_no(examples, encodings, Pieces())
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    assert [list(f["label_ids"].int64_list.value) for f in features] == [[1], [1], [0], [0]]
