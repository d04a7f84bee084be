"""biocodes/bioasq_eval.py: figures of BioASQ's evaluator, and cases of its rules computed by hand."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocodes import bioasq_eval
from biocodes.bioasq_eval import DataError, evaluate, factoid_scores, list_scores, read_questions
from common.errors import InputError
from data_prep.tasks import bioasq_questions
from tests.helpers.json_edits import check_result_or_one_line, edited_json

SCRIPT = "biocodes/bioasq_eval.py"


def factoid(exact_answer):
    return {"type": "factoid", "exact_answer": exact_answer}


def lists(exact_answer):
    return {"type": "list", "exact_answer": exact_answer}


def yesno(*answers):
    """Questions y0, y1, ... with these answers."""
    return {f"y{number}": {"type": "yesno", "exact_answer": answer} for number, answer in enumerate(answers)}


def warnings_of(golden, predictions):
    return evaluate(golden, predictions).warnings


@pytest.fixture
def run_on(tmp_path, run_script):
    """Writes two files (text, bytes, or a dict from id to question) and runs the program on them."""

    def run(golden, predictions):
        paths = []
        for name, content in (("golden.json", golden), ("answers.json", predictions)):
            if isinstance(content, dict):
                questions = [{"id": identifier, **question} for identifier, question in content.items()]
                content = json.dumps({"questions": questions})
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
            paths.append(path)
        return run_script(SCRIPT, f"--golden_path={paths[0]}", f"--prediction_path={paths[1]}")

    return run


# The evaluator's own figures


def test_figures_of_batch_4b1(shared, run_script):
    process = run_script(
        SCRIPT,
        f"--golden_path={shared / 'data/qa/BioASQ/4B1_golden.json'}",
        f"--prediction_path={shared / 'data/qa/predictions-4b1/BioASQform_BioASQ-answer.json'}",
    )
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert [line.split() for line in lines[1:-1]] == [  # of factoid questions alone, as only those are answered
        ["factoid", "strict", "accuracy", "0.23076923076923078", "23.08", "39"],
        ["factoid", "lenient", "accuracy", "0.5384615384615384", "53.85", "39"],
        ["factoid", "MRR", "0.3491452991452992", "34.91", "39"],
    ]
    assert lines[-1] == "0.0 0.23076923076923078 0.5384615384615384 0.3491452991452992 0.0 0.0 0.0 0.0 0.0 0.0"


@pytest.mark.parametrize(("batch", "counts"), [(1, (28, 39, 11)), (2, (32, 31, 21)), (5, (27, 34, 20))])
def test_golden_answers_are_right(shared, batch, counts):
    golden = read_questions(shared / f"data/qa/BioASQ/4B{batch}_golden.json")
    measures = evaluate(golden, golden)
    assert (measures.yesno_questions, measures.factoid_questions, measures.list_questions) == counts
    assert dataclasses.astuple(measures)[:7] == (1.0,) * 7
    # The one blank answer of the batches.
    blank = ("golden questions whose exact answer is blank: 1 (571e4523bb137a4b0c00000c)",) if batch == 5 else ()
    assert measures.warnings == blank


def test_table_and_last_line(run_on):
    golden = yesno("yes", "yes", "no", "no", "yes")
    golden.update(f=factoid([["a"]]), l=lists([["a"], ["b"], ["c"]]), s={"type": "summary"})
    answers = yesno("Yes", "no", "No.", "yes", "perhaps")
    answers.update(f=factoid([["x"], ["y"], ["A"]]), l=lists([["a"], ["x"]]), s={})
    process = run_on(golden, answers)
    assert (process.returncode, process.stderr) == (0, "")
    third = "0.3333333333333333"
    assert process.stdout.splitlines() == [
        "measure                  value                  percent  questions",
        "yes/no accuracy          0.4                      40.00          5",
        "factoid strict accuracy  0.0                       0.00          1",
        "factoid lenient accuracy 1.0                     100.00          1",
        "factoid MRR              0.3333333333333333       33.33          1",
        "list precision           0.5                      50.00          1",
        "list recall              0.3333333333333333       33.33          1",
        "list F1                  0.4                      40.00          1",
        "yes/no macro F1          0.4                      40.00          5",
        "yes/no F1 of yes         0.4                      40.00          5",
        "yes/no F1 of no          0.4                      40.00          5",
        f"0.4 0.0 1.0 {third} 0.5 {third} 0.4 0.4 0.4 0.4",
    ]


# Factoid questions


@pytest.mark.parametrize(
    ("golden", "answers", "expected"),
    [
        ([["a"]], ["a", "b"], (1.0, 1.0, 1.0)),
        ([["a"]], ["b", "c", "a"], (0.0, 1.0, 1 / 3)),
        ([["a"]], ["b"], (0.0, 0.0, 0.0)),
        ([["a", "synonym"]], ["synonym"], (1.0, 1.0, 1.0)),
        ([["a"], ["other"]], ["b", "other"], (0.0, 1.0, 0.5)),
        ([["a"]], ["b", "a", "a"], (0.0, 1.0, 0.5)),
        ([["a"]], ["b", "b", "a"], (0.0, 1.0, 1 / 3)),
        ([["a"]], ["1", "2", "3", "4", "5", "6", "a"], (0.0, 1.0, 1 / 7)),
        ([["a"]], ["a "], (0.0, 0.0, 0.0)),
        ([["a"]], [], (0.0, 0.0, 0.0)),
        ([], ["a"], (0.0, 0.0, 0.0)),
        ([[" "]], ["a"], (0.0, 0.0, 0.0)),
    ],
    ids=[
        "first",
        "third",
        "wrong",
        "synonym",
        "second_golden_list",
        "right_twice",
        "wrong_twice_takes_two_ranks",
        "seventh_counts",
        "white_space",
        "no_answers",
        "no_golden",
        "blank_golden",
    ],
)
def test_factoid_scores(golden, answers, expected):
    assert factoid_scores(golden, answers) == expected


@pytest.mark.parametrize(
    ("golden", "answer", "expected"),
    [
        ([["BRCA1"]], [["brca1"]], (1.0, 1.0, 1.0)),
        ([["ΣΊΣΥΦΟΣ"]], [["Σίσυφος"]], (1.0, 1.0, 1.0)),
        ([["a"]], [["x", "a"], ["a"]], (0.0, 1.0, 0.5)),  # only the first text of an inner list is read
        ([["a"]], [[], ["a"]], (1.0, 1.0, 1.0)),  # an empty inner list takes no rank
        ([[], ["a"]], [["a"]], (1.0, 1.0, 1.0)),
    ],
    ids=["case", "final_sigma", "no_submitted_synonyms", "empty_inner_list", "empty_golden_list"],
)
def test_reading_of_factoid_answers(golden, answer, expected):
    measures = evaluate({"f": factoid(golden)}, {"f": factoid(answer)})
    found = measures.factoid_strict_accuracy, measures.factoid_lenient_accuracy, measures.factoid_mrr
    assert found == expected


def test_mean_is_summed_one_by_one():
    # Ten times 0.1, each sum rounded as in Java; rounded once it would be 1.
    golden = {f"f{number}": factoid([["a"]]) for number in range(10)}
    answers = {identifier: factoid([["x"]] * 9 + [["a"]]) for identifier in golden}
    assert evaluate(golden, answers).factoid_mrr == 0.9999999999999999 / 10


# List questions


@pytest.mark.parametrize(
    ("golden", "answers", "expected"),
    [
        ([["a"], ["b"]], ["a", "b"], (1.0, 1.0, 1.0)),
        ([["a"], ["b"], ["c"], ["d"]], ["a", "x"], (0.5, 0.25, 1 / 3)),
        ([["a", "s"], ["b"]], ["s"], (1.0, 0.5, 2 / 3)),
        ([["a", "s"]], ["a", "s"], (0.5, 1.0, 2 / 3)),
        ([["a"]], ["a", "a"], (0.5, 1.0, 2 / 3)),
        ([["a"], ["a", "b"]], ["a"], (1.0, 1.0, 1.0)),
        ([["a"], ["a"]], ["a", "a"], (1.0, 1.0, 1.0)),
        ([["a", "b"], ["a"]], ["a", "b"], (0.5, 1.0, 2 / 3)),
        ([["a"], ["b"]], ["x", "y"], (0.0, 0.0, 0.0)),
        ([["a"]], [], (0.0, 0.0, 0.0)),
        ([], ["a"], (0.0, 0.0, 0.0)),
    ],
    ids=[
        "all",
        "some",
        "synonym",
        "two_synonyms_of_one_entry",
        "duplicate",
        "flaw_entry_left_over_is_forgiven",
        "entry_twice",
        "first_entry_is_used_up",
        "none",
        "no_answers",
        "no_golden",
    ],
)
def test_list_scores(golden, answers, expected):
    assert list_scores(golden, answers) == pytest.approx(expected, abs=1e-15)


def test_list_measures_are_means_over_questions():
    golden = {"l0": lists([["A"], ["b"]]), "l1": lists([["c"], ["d"]]), "l2": lists([["e"]])}
    answers = {"l0": lists([["a"], ["B"]]), "l1": lists([["c", "d"], ["x"]]), "l2": lists([])}
    measures = evaluate(golden, answers)
    assert (measures.list_precision, measures.list_recall) == (1.5 / 3, 1.5 / 3)
    assert measures.list_f1 == 1.5 / 3  # not the F1 of the mean precision and recall
    assert measures.list_questions == 3


def test_list_f1_is_the_mean_of_f1():
    golden = {"l0": lists([["a"]]), "l1": lists([["a"], ["b"], ["c"], ["d"]])}
    answers = {"l0": lists([["a"], ["x"], ["y"], ["z"]]), "l1": lists([["a"]])}
    measures = evaluate(golden, answers)
    assert (measures.list_precision, measures.list_recall, measures.list_f1) == (0.625, 0.625, 0.4)


# Yes/no questions


def test_yesno_measures():
    # Three of four yes are found, and one of two no.
    measures = evaluate(yesno("yes", "yes", "yes", "yes", "no", "no"), yesno("yes", "yes", "yes", "no", "yes", "no"))
    assert measures.yesno_accuracy == 4 / 6
    assert measures.yesno_f1_yes == 0.75  # 2 * 3 / (2 * 3 + 1 + 1)
    assert measures.yesno_f1_no == 0.5
    assert measures.yesno_macro_f1 == 0.625


@pytest.mark.parametrize(
    ("answer", "label"),
    [("YES", "yes"), ("yes, it does", "yes"), ("not yes", "yes"), ("No", "no"), ("unknown", "no"), ("maybe", "none")],
)
def test_reading_of_yesno_answers(answer, label):
    measures = evaluate(yesno("yes", "no"), yesno(answer, answer))
    right = {"yes": 0.5, "no": 0.5, "none": 0.0}[label]
    f1 = {"yes": (2 / 3, 0.0), "no": (0.0, 2 / 3), "none": (0.0, 0.0)}[label]
    assert (measures.yesno_accuracy, measures.yesno_f1_yes, measures.yesno_f1_no) == (right, *f1)


def test_f1_of_a_label_that_does_not_occur_is_zero():
    measures = evaluate(yesno("yes", "yes"), yesno("yes", "yes"))
    assert (measures.yesno_accuracy, measures.yesno_macro_f1) == (1.0, 0.5)
    assert (measures.yesno_f1_yes, measures.yesno_f1_no) == (1.0, 0.0)


def test_measures_over_no_questions_are_zero():
    measures = evaluate({"s": {"type": "summary"}}, {"s": {"exact_answer": "ignored"}})
    assert dataclasses.astuple(measures) == (0.0,) * 10 + (0, 0, 0, ())


# Questions of one file only, types


def test_questions_that_the_submission_lacks_do_not_count():
    golden = {f"f{number}": factoid([["a"]]) for number in range(4)}
    measures = evaluate(golden, {"f1": factoid([["a"]]), "f3": factoid([["x"]])})
    assert (measures.factoid_strict_accuracy, measures.factoid_questions) == (0.5, 2)
    assert measures.warnings == ("golden questions that the submission lacks, which do not count: 2 (f0, f2)",)


def test_only_types_that_the_submission_answers_are_missed():
    golden = {"f": factoid([["a"]]), "l": lists([["a"]]), **yesno("no"), "s": {"type": "summary"}}
    assert warnings_of(golden, {"f": factoid([["a"]])}) == ()


def test_warnings_name_five_ids():
    golden = {f"f{number}": factoid([["a"]]) for number in range(8)}
    (warning,) = warnings_of(golden, {"f0": factoid([["a"]])})
    assert warning.endswith(": 7 (f1, f2, f3, f4, f5, ...)")


def test_questions_that_are_not_in_the_golden_file_do_not_count():
    measures = evaluate({"f": factoid([["a"]])}, {"f": factoid([["a"]]), "x": factoid([["x"]])})
    assert (measures.factoid_strict_accuracy, measures.factoid_questions) == (1.0, 1)
    expected = "questions of the submission that are not in the golden file, which do not count: 1 (x)"
    assert measures.warnings == (expected,)


def test_questions_without_an_exact_answer_are_wrong():
    golden = {"f0": factoid([["a"]]), "f1": factoid([["a"]]), "l": lists([["a"]]), **yesno("yes", "no", "maybe")}
    answers = {"f0": factoid([]), "f1": {"type": "factoid"}, "l": lists(None), **yesno("", None, None)}
    measures = evaluate(golden, answers)
    assert dataclasses.astuple(measures)[:13] == (0.0,) * 10 + (3, 2, 1)
    expected = "questions of the submission without an exact answer, which count as wrong: 6 (f0, f1, l, y0, y1, ...)"
    assert measures.warnings == (expected,)


def test_blank_golden_answers_are_named():
    golden = {"f0": factoid([[" "]]), "f1": factoid([]), "f2": factoid([["a"]]), "l": lists([[""]])}
    answers = {identifier: factoid([["a"]]) for identifier in golden}
    assert warnings_of(golden, answers) == ("golden questions whose exact answer is blank: 3 (f0, f1, l)",)


def test_more_than_five_factoid_answers_are_named():
    golden = {"f0": factoid([["a"]]), "f1": factoid([["a"]]), "l": lists([["a"]])}
    answers = {"f0": factoid([["a"]] * 5), "f1": factoid([["a"]] * 6), "l": lists([["a"]] * 6)}
    expected = "factoid questions with more than 5 answers, all of which are read: 1 (f1)"
    assert warnings_of(golden, answers) == (expected,)


def test_the_type_is_that_of_the_golden_file():
    measures = evaluate({"f": factoid([["a"]])}, {"f": lists([["x"], ["a"]])})
    assert (measures.factoid_mrr, measures.list_questions) == (0.5, 0)


def test_warnings_are_lines_of_stderr(run_on):
    process = run_on({"f": factoid([[" "]])}, {"f": factoid([["a"]]), "x": factoid([["a"]])})
    assert process.returncode == 0
    assert process.stderr.splitlines() == [
        "warning: questions of the submission that are not in the golden file, which do not count: 1 (x)",
        "warning: golden questions whose exact answer is blank: 1 (f)",
    ]
    assert process.stdout.splitlines()[-1] == " ".join(["0.0"] * 10)


# Golden files of other years


@pytest.mark.parametrize(
    "answer", [[["BRCA1", "synonym"]], ["BRCA1", "synonym"], [["BRCA1"], "synonym"], [[["synonym", []]], "BRCA1"]]
)
def test_forms_of_a_golden_factoid_answer(answer):
    measures = evaluate({"f": factoid(answer)}, {"f": factoid([["x"], ["Synonym"], ["brca1"]])})
    found = measures.factoid_strict_accuracy, measures.factoid_lenient_accuracy, measures.factoid_mrr
    assert (found, measures.warnings) == ((0.0, 1.0, 0.5), ())


def test_a_golden_factoid_answer_that_is_a_text():
    measures = evaluate({"f": factoid("BRCA1")}, {"f": factoid([["x"], ["y"], ["z"], ["brca1"]])})
    assert (measures.factoid_lenient_accuracy, measures.factoid_mrr, measures.warnings) == (1.0, 0.25, ())


@pytest.mark.parametrize("answer", [[["a", "s"], ["b"]], [["a", "s"], "b"], [None, [["a"], "s"], "b", []]])
def test_forms_of_a_golden_list_answer(answer):
    # A synonym of one of the two items, and a wrong text.
    measures = evaluate({"l": lists(answer)}, {"l": lists([["s"], ["x"]])})
    assert (measures.list_precision, measures.list_recall, measures.list_f1) == (0.5, 0.5, 0.5)


def test_items_of_a_list_are_no_synonyms():
    golden = {"l0": lists(["a", "b", "c", "d"]), "l1": lists("a")}
    measures = evaluate(golden, {"l0": lists([["a"]]), "l1": lists([["a"]])})
    assert (measures.list_precision, measures.list_recall) == (1.0, (0.25 + 1) / 2)


def test_blank_golden_answers_in_other_forms_are_named():
    golden = {"f0": factoid(""), "f1": factoid([" ", ""]), "f2": factoid("a"), "l": lists([None, " "])}
    answers = {identifier: factoid([["a"]]) for identifier in golden}
    assert warnings_of(golden, answers) == ("golden questions whose exact answer is blank: 3 (f0, f1, l)",)


def test_white_space_of_golden_answers_counts_in_all_forms():
    golden = {"f0": factoid([["a "]]), "f1": factoid(["a "]), "f2": factoid("a ")}
    assert evaluate(golden, {name: factoid([["a"]]) for name in golden}).factoid_lenient_accuracy == 0
    assert evaluate(golden, {name: factoid([["a "]]) for name in golden}).factoid_lenient_accuracy == 1


TEXTS = st.sampled_from(["a", "b", "c", "D"])
ANSWERS = st.recursive(st.one_of(TEXTS, TEXTS, st.none(), st.just(1)), lambda inner: st.lists(inner, max_size=3))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["factoid", "list"]), ANSWERS.filter(lambda answer: answer is not None), st.lists(TEXTS))
def test_golden_answers_are_read_as_by_the_rest_of_the_repository(question_type, answer, submitted):
    asked = bioasq_questions.Question("q", question_type, "", [], answer)
    golden = {"q": {"type": question_type, "exact_answer": answer}}
    predictions = {"q": {"exact_answer": [[text] for text in submitted]}}
    try:
        expected = bioasq_questions.exact_answers(asked)
    except InputError:
        with pytest.raises(DataError, match="^golden file, question q: exact_answer is "):
            evaluate(golden, predictions)
    else:
        nested = {"q": {"type": question_type, "exact_answer": expected}}
        assert evaluate(golden, predictions) == evaluate(nested, predictions)


# Bad input


@pytest.mark.parametrize("answer", ["a", ["a"], [["a"], "b"], [["a", 1]], [[["a"]]], [[None]], {"a": 1}, 5])
@pytest.mark.parametrize("question", [factoid, lists])
def test_submitted_answers_are_lists_of_lists_of_strings(question, answer):
    with pytest.raises(DataError, match="^submission, question q: .*expected a list of lists of strings"):
        evaluate({"q": question([["a"]])}, {"q": question(answer)})


@pytest.mark.parametrize("answer", [[["a", 1]], [[None]], [{"a": "b"}], {"a": 1}, 5, True, [["a"], 1.5]])
@pytest.mark.parametrize("question", [factoid, lists])
def test_golden_answers_are_strings_in_lists(question, answer):
    with pytest.raises(DataError, match="^golden file, question q: .*expected a list of lists of strings"):
        evaluate({"q": question(answer)}, {"q": question([["a"]])})


@pytest.mark.parametrize("answer", [["yes"], [["yes"]], True, 1])
def test_yesno_answers_are_strings(answer):
    with pytest.raises(DataError, match='^submission, question y0: .*expected "yes" or "no"'):
        evaluate(yesno("yes"), yesno(answer))


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        ({"q": {"exact_answer": [["a"]]}}, "golden file, question q: no type; expected yesno or factoid or list"),
        ({"q": {"type": "Factoid", "exact_answer": [["a"]]}}, "golden file, question q: type 'Factoid'; expected"),
        ({"q": factoid([["a"]]), "r": {"type": []}}, r"golden file, question r: type \[\]; expected"),
        ({"q": {"type": "factoid"}}, "golden file, question q: no exact_answer; expected one for a factoid question"),
        ({"r": factoid([["a"]])}, "no question of the submission is in the golden file; is it that of another batch"),
    ],
    ids=["no_type", "unknown_type", "type_of_an_unanswered_question", "no_exact_answer", "another_batch"],
)
def test_golden_file_that_does_not_fit(golden, message):
    with pytest.raises(DataError, match=message):
        evaluate(golden, {"q": factoid([["a"]])})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"questions":\n [{]}', ", line 2: malformed JSON"),
        (b'{"questions":\n\n "\xff"}', ", line 3: invalid UTF-8"),
        ("[]", ": no questions; expected"),
        ('{"questions": []}', ": no questions; expected"),
        ('{"questions": [{"id": "a"}, {"type": "list"}]}', ": question number 2 has no id"),
        ('{"questions": ["a"]}', ": question number 1 has no id"),
        ('{"questions": [{"id": 5}]}', ": question number 1 has no id"),
        ('{"questions": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}', ": question a twice"),
        ('{"questions": [{"id": "a\\nb"}, {"id": "a\\nb"}]}', r": question a\nb twice"),
        ('{"questions": ' + "7" * 4301 + "}", ": a number of more than 4300 digits; expected a golden file of BioASQ"),
        ('{"questions": [{"id": "a", "x": -' + "7" * 9999 + "}]}", ": a number of more than 4300 digits"),
        ('{"a":' * 100_000, ": nested too deeply; expected a golden file of BioASQ"),
        ('{"questions": [{"id": "a", "body": "\\uD8ab."}]}', ": half of a character (a lone surrogate) in a text"),
        ('{"questions": null}', ": no questions; expected"),
        ("7", ": no questions; expected"),
        ("", ", line 1: malformed JSON"),
    ],
    ids=[
        *("malformed", "utf8", "array", "empty", "no_id", "no_object", "id_is_number", "twice", "id_of_two_lines"),
        *("digits", "more_digits", "depth", "surrogate", "null", "number", "nothing"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(DataError) as caught:
        read_questions(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_characters_of_two_surrogates_and_long_numbers_are_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"questions": [{"id": "\\ud835\\udefc", "x": ' + "7" * 4300 + "}]}")
    assert list(read_questions(path)) == ["\U0001d6fc"]


def test_deep_answers_are_read(run_on):
    deep = "[" * 600 + '"A"' + "]" * 600
    process = run_on(
        '{"questions": [{"id": "q", "type": "list", "exact_answer": ' + deep + "}]}", {"q": lists([["a"]])}
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.endswith("0.0 0.0 0.0 0.0 1.0 1.0 1.0 0.0 0.0 0.0\n")


@pytest.mark.parametrize(
    ("golden", "predictions", "message"),
    [
        ({"q": factoid([["a"]])}, '{"questions": [', "answers.json, line 1: malformed JSON"),
        ('{"questions": [{"id": "q"}, {"id": "q"}]}', {"q": factoid([["a"]])}, "golden.json: question q twice"),
        ({"q": factoid([["a"]])}, {"r": factoid([["a"]])}, "no question of the submission is in the golden file"),
        ({"q": factoid([["a"]])}, {"q": factoid("a")}, "submission, question q: exact_answer is 'a'"),
    ],
    ids=["malformed", "twice", "another_batch", "type"],
)
def test_errors_are_one_line(run_on, golden, predictions, message):
    process = run_on(golden, predictions)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith("error: ")
    assert process.stderr.count("\n") == 1
    assert message in process.stderr


@pytest.mark.parametrize(
    ("golden", "predictions", "message"),
    [
        ({"q": factoid([["a"]])}, {"q": factoid([[0.5]])}, "answers.json: submission, question q: exact_answer is"),
        ({"q": lists(5)}, {"q": lists([["a"]])}, "golden.json: golden file, question q: exact_answer is 5; expected"),
        ({"q\r\n": {"type": 1}}, {"q": {}}, r"golden.json: golden file, question q\r\n: type 1; expected yesno or"),
    ],
)
def test_the_file_of_a_question_is_named(run_on, tmp_path, golden, predictions, message):
    process = run_on(golden, predictions)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith(f"error: {tmp_path}/{message}")
    assert process.stderr.count("\n") == 1


def test_warnings_are_a_line_each(run_on):
    process = run_on({"f": factoid("a")}, {"f": factoid([["a"]]), "x\ny\u2028": factoid([["a"]])})
    assert process.returncode == 0
    assert process.stderr.splitlines() == [
        r"warning: questions of the submission that are not in the golden file, which do not count: 1 (x\ny\u2028)"
    ]


QUESTIONS = [
    {"id": "f", "type": "factoid", "body": "Which?", "exact_answer": [["a", "b"]], "snippets": [{"offset": 1}]},
    {"id": "l", "type": "list", "exact_answer": [["a"], ["b"]]},
    {"id": "y", "type": "yesno", "exact_answer": "yes"},
    {"id": "s", "type": "summary", "ideal_answer": ["text"]},
]


@pytest.mark.parametrize("edited", ["golden", "predictions"])
def test_any_edit_gives_measures_or_one_line(run_on, edited):
    files = {"golden": {"questions": QUESTIONS}, "predictions": {"questions": QUESTIONS}}

    @settings(max_examples=150, deadline=None)
    @given(edited_json(files[edited]))
    def check(content):
        contents = {name: json.dumps(document) for name, document in files.items()}
        process = run_on(**(contents | {edited: content}))
        check_result_or_one_line(process)
        if process.returncode == 0:
            assert len(process.stdout.splitlines()[-1].split(" ")) == 10

    check()


def test_missing_file_is_named(run_process, tmp_path):
    path = tmp_path / "missing.json"
    process = run_process(SCRIPT, f"--golden_path={path}", f"--prediction_path={path}")
    assert (process.returncode, process.stderr) == (1, f"error: {path}: No such file or directory\n")


def test_table_names_every_measure_once():
    fields = [field.name for field in dataclasses.fields(bioasq_eval.Measures)][:10]
    assert [field for _, field in bioasq_eval.MEASURES] == fields
