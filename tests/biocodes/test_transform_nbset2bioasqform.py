"""biocodes/transform_nbset2bioasqform.py against the original's files and small cases computed by hand."""

import itertools
import json
import os

import pytest
from hypothesis import given, settings

from biocodes.transform_nbset2bioasqform import DataError, average_yesno, merge, read_nbest, transform
from tests.helpers.json_edits import check_result_or_one_line, edited_json

QUESTION = "0123456789abcdef01234567"
OTHER = "fedcba987654321001234567"
NAMES = ("BioASQform_BioASQ-answer.json", "WithProb_BioASQform_BioASQ-answer.json")


def answer_list(*pairs):
    return [{"text": text, "probability": probability, "start_logit": 1.0} for text, probability in pairs]


def exact_answers(snippets, question_type="factoid", **options):
    """The exact answer to a single question, and the same with probabilities."""
    plain, with_probabilities, _ = transform({QUESTION: snippets}, question_type, **options)
    return plain["questions"][0]["exact_answer"], with_probabilities["questions"][0]["exact_answer"]


@pytest.fixture
def convert(tmp_path, run_script):
    """Writes an n-best file (text or what JSON can hold) and runs the program on it, into tmp_path."""

    def run(content, *options):
        path = tmp_path / "nbest.json"
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        script = "biocodes/transform_nbset2bioasqform.py"
        return run_script(script, f"--nbest_path={path}", f"--output_path={tmp_path}", *options)

    return run


@pytest.mark.parametrize("folder", ["data/qa/predictions-4b1", "golden/e2e/qa"])
def test_files_equal_the_originals(shared, run_script, tmp_path, folder):
    nbest = shared / folder / "nbest_predictions.json"
    process = run_script("biocodes/transform_nbset2bioasqform.py", f"--nbest_path={nbest}", f"--output_path={tmp_path}")
    assert (process.returncode, process.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (shared / folder / name).read_bytes()


def test_form_of_the_files(convert, tmp_path):
    process = convert({f"{QUESTION}_000": answer_list(("TNF-α", 0.75))})
    assert process.returncode == 0
    # Keys in this order, indented by two, non-ASCII escaped, no newline at the end.
    assert (tmp_path / NAMES[0]).read_bytes() == (
        b'{\n  "questions": [\n    {\n      "type": "factoid",\n      "id": "0123456789abcdef01234567",\n'
        b'      "ideal_answer": "Dummy",\n      "exact_answer": [\n        [\n          "TNF-\\u03b1"\n'
        b"        ]\n      ]\n    }\n  ]\n}"
    )
    with_probabilities = json.loads((tmp_path / NAMES[1]).read_text())
    assert with_probabilities["questions"][0]["exact_answer"] == [["TNF-α", 0.75]]


def test_output_path_as_file_name(convert, tmp_path):
    process = convert({f"{QUESTION}_000": answer_list(("a", 0.75))}, f"--output_path={tmp_path / 'answer'}")
    assert process.returncode == 0
    assert json.loads((tmp_path / "answer").read_text())["questions"][0]["exact_answer"] == [["a"]]
    assert json.loads((tmp_path / "answer_WithProb").read_text())["questions"][0]["exact_answer"] == [["a", 0.75]]


def test_snippets_of_a_question_are_joined_and_questions_keep_their_order(tmp_path):
    path = tmp_path / "nbest.json"
    snippets = {
        f"{OTHER}_000": answer_list(("x", 0.5)),
        f"{QUESTION}_000": answer_list(("a", 0.25)),
        f"{OTHER}_001": answer_list(("y", 0.75)),
    }
    path.write_text(json.dumps(snippets))
    questions = read_nbest(path)
    assert list(questions) == [OTHER, QUESTION]
    plain, _, _ = transform(questions)
    assert [entry["exact_answer"] for entry in plain["questions"]] == [[["y"], ["x"]], [["a"]]]


def test_texts_that_differ_in_case_are_added_up_under_the_most_probable():
    snippets = [[("brca1", 0.25), ("TP53", 0.375)], [("BRCA1", 0.3125), ("Brca1", 0.125)]]
    assert exact_answers(snippets) == ([["BRCA1"], ["TP53"]], [["BRCA1", 0.6875], ["TP53", 0.375]])


def test_white_space_and_punctuation_keep_texts_apart():
    assert exact_answers([[("a", 0.5), ("a ", 0.25), ("a.", 0.125)]])[0] == [["a"], ["a "], ["a."]]


def test_empty_and_long_texts_are_left_out():
    snippets = [[("", 0.5), ("x" * 101, 0.25), ("y" * 100, 0.125)]]
    assert exact_answers(snippets)[0] == [["y" * 100]]


def test_factoid_has_five_answers_and_twenty_with_probability():
    snippets = [[(f"answer {number}", 1 / (number + 2)) for number in range(25)]]
    plain, with_probabilities = exact_answers(snippets)
    assert plain == [["answer 0"], ["answer 1"], ["answer 2"], ["answer 3"], ["answer 4"]]
    assert [pair[0] for pair in with_probabilities] == [f"answer {number}" for number in range(20)]


def test_equal_probabilities_keep_the_order_of_the_input():
    snippets = [[("b", 0.25), ("a", 0.25)], [("C", 0.25), ("A", 0.25), ("c", 0.25)]]
    # a and c have the same sum; a comes first in the input, and so does its spelling.
    assert exact_answers(snippets)[1] == [["a", 0.5], ["C", 0.5], ["b", 0.25]]


def test_sums_are_added_in_order_of_probability():
    # (0.3 + 0.2) + 0.1 = 0.6, but (0.1 + 0.2) + 0.3 = 0.6000000000000001.
    assert exact_answers([[("a", 0.1)], [("a", 0.2)], [("a", 0.3)]])[1] == [["a", 0.6]]


def test_list_keeps_answers_over_the_threshold():
    snippets = [[("a", 0.3), ("b", 0.42), ("c", 0.25)], [("A", 0.5), ("c", 0.25)]]
    # 0.42 itself is not over 0.42; neither text is twice within a snippet.
    plain, with_probabilities = exact_answers(snippets, "list")
    assert plain == [["A"], ["c"]]
    assert with_probabilities == [["A", 0.8], ["c", 0.5], ["b", 0.42]]
    assert exact_answers(snippets, "list", threshold=0.6)[0] == [["A"]]


def test_list_divides_by_the_frequency_in_the_first_snippet():
    twice = [("a", 0.5), ("A", 0.25), ("b", 0.125)]
    assert exact_answers([twice], "list")[0] == [["a"]]  # 0.75 / 2 is under 0.42; a is kept as the best
    assert exact_answers([[*twice, ("c", 0.5)]], "list")[0] == [["c"]]  # 0.75 / 2 again; now c is over it
    # The later snippet has `a` once more: (0.75 + 0.25) / 2.
    assert exact_answers([[*twice, ("c", 0.5)], [("a", 0.25)]], "list")[0] == [["a"], ["c"]]
    # With the snippets the other way round the frequency is 1, that of the snippet with `a` alone.
    assert merge([[("a", 0.25)], twice])[0].frequency == 1


def test_list_may_have_more_than_five_answers():
    snippets = [[(f"answer {number}", 0.5)] for number in range(7)]
    assert len(exact_answers(snippets, "list")[0]) == 7


@pytest.mark.parametrize(
    ("snippets", "expected"),
    [
        ([[("yes", 0.75), ("no", 0.25)], [("no", 0.5), ("yes", 0.5)]], ("yes", [["yes", 0.625], ["no", 0.375]])),
        ([[("yes", 0.75), ("no", 0.25)], [("no", 1.0), ("yes", 0.0)]], ("no", [["no", 0.625], ["yes", 0.375]])),
        ([[("no", 0.5), ("yes", 0.5)]], ("yes", [["yes", 0.5], ["no", 0.5]])),
    ],
    ids=["yes", "no", "tie_is_yes"],
)
def test_yesno_is_the_mean_over_the_snippets(snippets, expected):
    assert exact_answers(snippets, "yesno") == expected


@pytest.mark.parametrize("texts", [["yes"], ["yes", "yes"], ["yes", "no", "maybe"], []])
def test_yesno_needs_one_yes_and_one_no(texts):
    with pytest.raises(DataError, match=f"question {QUESTION}: .*expected one yes and one no"):
        average_yesno(QUESTION, [[("yes", 0.5), ("no", 0.5)], [(text, 0.5) for text in texts]])


def test_yesno_and_list_by_the_command_line(convert, tmp_path):
    process = convert({f"{QUESTION}_000": answer_list(("yes", 0.25), ("no", 0.75))}, "--question_type=yesno")
    assert process.returncode == 0
    written = json.loads((tmp_path / NAMES[0]).read_text())
    expected = {"type": "yesno", "id": QUESTION, "ideal_answer": "Dummy", "exact_answer": "no"}
    assert written == {"questions": [expected]}
    nbest = {f"{QUESTION}_000": answer_list(("a", 0.375), ("b", 0.25))}
    assert convert(nbest, "--question_type=list", "--threshold=0.125").returncode == 0
    written = json.loads((tmp_path / NAMES[0]).read_text())
    assert written["questions"][0]["type"] == "list"
    assert written["questions"][0]["exact_answer"] == [["a"], ["b"]]


@pytest.mark.parametrize("question_type", ["factoid", "list"])
def test_questions_without_a_usable_answer_are_named(convert, tmp_path, question_type):
    nbest = {
        f"{QUESTION}_000": answer_list(("", 0.5), ("x" * 101, 0.25)),
        f"{OTHER}_000": answer_list(("a", 0.5)),
    }
    process = convert(nbest, f"--question_type={question_type}")
    assert process.returncode == 0
    assert process.stderr == f"warning: questions without a usable answer: 1 ({QUESTION})\n"
    written = json.loads((tmp_path / NAMES[0]).read_text())["questions"]
    assert [entry["exact_answer"] for entry in written] == [[], [["a"]]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"short": answer_list(("a", 0.5))}, "id 'short': 5 characters; expected 28"),
        ({QUESTION: answer_list(("a", 0.5))}, f"id '{QUESTION}': 24 characters; expected 28"),
        ({f"{QUESTION}_000": {"text": "a"}}, f"id {QUESTION}_000: {{'text': 'a'}}; expected a list of answers"),
        ({f"{QUESTION}_000": [{"text": "a"}]}, "expected an answer with `text` and `probability`"),
        ({f"{QUESTION}_000": [{"text": 1, "probability": 0.5}]}, "expected an answer with `text` and `probability`"),
        (f'{{"{QUESTION}_000": [{{"text": "a", "probability": NaN}}]}}', "expected an answer with"),
        ('{"a": [],\n "b": [}', "nbest.json, line 2: malformed JSON"),
        (b'{"a":\n "\xff"}', "nbest.json, line 2: invalid UTF-8"),
        ([], "no answers; expected an object of ids"),
        (f'{{"{QUESTION}_000": {"7" * 4301}}}', "nbest.json: a number of more than 4300 digits; expected nbest_pred"),
        (f'{{"{QUESTION}_000":{"[" * 100_000}', "nbest.json: nested too deeply; expected nbest_predictions.json"),
        (f'{{"{QUESTION}_000": [{{"text": "\\udc00"}}]}}', "nbest.json: half of a character (a lone surrogate)"),
        (f'{{"{QUESTION}\\n000": 5}}', f"id {QUESTION}\\n000: 5; expected a list of answers"),
        ({f"{QUESTION}_000": None}, f"id {QUESTION}_000: None; expected a list of answers"),
        ({f"{QUESTION}_000": [[]]}, "expected an answer with `text` and `probability`"),
        ({f"{QUESTION}_000": [None]}, f"id {QUESTION}_000: None; expected an answer with `text` and `probability`"),
    ],
    ids=[
        *("short", "no_suffix", "no_list", "no_probability", "text", "nan", "malformed", "utf8", "array"),
        *("digits", "depth", "surrogate", "id_of_two_lines", "null", "answer_is_list", "answer_is_null"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(convert, tmp_path, content, message):
    process = convert(content)
    assert process.returncode == 1
    assert process.stderr.startswith("error: ")
    assert process.stderr.count("\n") == 1
    assert message in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["nbest.json"]


@pytest.mark.parametrize(
    "probability",
    ["NaN", "Infinity", "-Infinity", "1e999", "-0.25", "1.5", "1e308", "9" * 400, "true", '"0.5"', "null", "[0.5]"],
)
def test_what_is_no_probability_is_refused(convert, tmp_path, probability):
    content = (
        f'{{"{QUESTION}_000": [{{"text": "a", "probability": 0.5}}, {{"text": "b", "probability": {probability}}}]}}'
    )
    process = convert(content)
    assert (process.returncode, process.stderr.count("\n")) == (1, 1)
    assert process.stderr.startswith(f"error: {tmp_path}/nbest.json, id {QUESTION}_000: ")
    assert "expected an answer with `text` and `probability`, from 0 to 1" in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["nbest.json"]


def test_probabilities_may_be_whole_or_rounded(convert, tmp_path):
    content = [("a", 1), ("b", 0), ("c", 1.0000001), ("d", 5e-324)]
    process = convert({f"{QUESTION}_000": answer_list(*content)})
    assert (process.returncode, process.stderr) == (0, "")
    written = json.loads((tmp_path / NAMES[1]).read_text())["questions"][0]["exact_answer"]
    assert written == [["c", 1.0000001], ["a", 1], ["d", 5e-324], ["b", 0]]


@pytest.mark.parametrize("threshold", ["nan", "inf", "-inf"])
def test_a_threshold_is_finite(convert, tmp_path, threshold):
    process = convert({f"{QUESTION}_000": answer_list(("a", 0.5))}, f"--threshold={threshold}")
    assert (process.returncode, process.stderr) == (1, f"error: --threshold={threshold}: expected a finite number\n")
    assert [path.name for path in tmp_path.iterdir()] == ["nbest.json"]


def test_the_file_of_a_yesno_question_is_named(convert, tmp_path):
    process = convert({f"{QUESTION}_000": answer_list(("yes", 0.5))}, "--question_type=yesno")
    expected = f"error: {tmp_path}/nbest.json, question {QUESTION}: answers ['yes']; expected one yes and one no\n"
    assert (process.returncode, process.stderr) == (1, expected)


@pytest.mark.parametrize("question_type", ["factoid", "list", "yesno"])
def test_any_edit_gives_answers_or_one_line_and_old_files(convert, tmp_path, question_type):
    nbest = {
        f"{QUESTION}_000": answer_list(("yes", 0.75), ("no", 0.25)),
        f"{QUESTION}_001": answer_list(("no", 0.5), ("yes", 0.5)),
        f"{OTHER}_000": answer_list(("yes", 0.5), ("no", 0.5)),
    }

    @settings(max_examples=150, deadline=None)
    @given(edited_json(nbest))
    def check(content):
        for name in NAMES:
            (tmp_path / name).write_text("old")
        process = convert(content, f"--question_type={question_type}")
        check_result_or_one_line(process)
        for name in NAMES:
            written = (tmp_path / name).read_text()
            if process.returncode:
                assert written == "old"
            else:
                assert "exact_answer" in json.loads(written, parse_constant=pytest.fail)["questions"][0]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*NAMES, "nbest.json"])

    check()


# An output that is the input


@pytest.mark.parametrize("suffix", ["", "_WithProb"])
def test_neither_output_replaces_the_input(run_script, tmp_path, suffix):
    nbest, link, hard_link = (tmp_path / f"{name}{suffix}" for name in ("nbest", "link", "hard_link"))
    content = json.dumps({f"{QUESTION}_000": answer_list(("a", 0.5))})
    nbest.write_text(content)
    link.symlink_to(nbest)
    os.link(nbest, hard_link)
    names = [nbest, link, hard_link, tmp_path / ".." / tmp_path.name / nbest.name]
    for given_input, output in itertools.product(names, names):
        arguments = [f"--nbest_path={given_input}", f"--output_path={str(output).removesuffix(suffix)}"]
        process = run_script("biocodes/transform_nbset2bioasqform.py", *arguments)
        expected = f"error: {output}: is an input file as well; expected another output file\n"
        assert (process.returncode, process.stderr) == (1, expected)
    assert nbest.read_text() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([nbest.name, link.name, hard_link.name])


def test_an_output_in_a_directory_replaces_no_input(run_script, tmp_path):
    for name in NAMES:
        nbest = tmp_path / name
        content = json.dumps({f"{QUESTION}_000": answer_list(("a", 0.5))})
        nbest.write_text(content)
        arguments = [f"--nbest_path={nbest}", f"--output_path={tmp_path}"]
        process = run_script("biocodes/transform_nbset2bioasqform.py", *arguments)
        expected = f"error: {nbest}: is an input file as well; expected another output file\n"
        assert (process.returncode, process.stderr) == (1, expected)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert nbest.read_text() == content
        nbest.unlink()


def test_missing_files_are_named(run_script, convert, tmp_path):
    missing = tmp_path / "missing.json"
    process = run_script(
        "biocodes/transform_nbset2bioasqform.py", f"--nbest_path={missing}", f"--output_path={tmp_path}"
    )
    assert (process.returncode, process.stderr) == (1, f"error: {missing}: No such file or directory\n")
    target = tmp_path / "nowhere" / "answer"
    process = convert({f"{QUESTION}_000": answer_list(("a", 0.5))}, f"--output_path={target}")
    assert (process.returncode, process.stderr) == (1, f"error: {target}: No such file or directory\n")


def test_a_directory_in_the_place_of_an_output(convert, tmp_path):
    (tmp_path / NAMES[0]).mkdir()
    (tmp_path / NAMES[1]).write_text("old")
    process = convert({f"{QUESTION}_000": answer_list(("a", 0.5))})
    assert (process.returncode, process.stderr) == (1, f"error: {tmp_path / NAMES[0]}: Is a directory\n")
    assert (tmp_path / NAMES[1]).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*NAMES, "nbest.json"])


def test_a_failed_write_leaves_the_old_files(convert, tmp_path):
    (tmp_path / "answer").write_text("old")
    (tmp_path / "answer_WithProb").mkdir()  # cannot be replaced by a file
    process = convert({f"{QUESTION}_000": answer_list(("a", 0.5))}, f"--output_path={tmp_path / 'answer'}")
    assert process.returncode == 1
    assert process.stderr == f"error: {tmp_path / 'answer_WithProb'}: Is a directory\n"
    assert (tmp_path / "answer").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer", "answer_WithProb", "nbest.json"]
