"""biocodes/re_eval.py: the original's scores and lines, and where the original misreads labels or rows."""

import subprocess
import warnings

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from biocodes.re_eval import LABELS, format_scores, main, scores, usual_negative

PROGRAM = "biocodes/re_eval.py"
HEADER = "index\tsentence\tlabel\n"
# 3 true positives, 1 missed, 2 false alarms, 4 true negatives.
BINARY_TRUE = "1 1 1 1 0 0 0 0 0 0".split()
BINARY_PREDICTED = "1 1 1 0 1 1 0 0 0 0".split()
BINARY_LINES = "f1 score    : 66.67%\nrecall      : 75.00%\nprecision   : 60.00%\nspecificity : 66.67%\n"
# Of the five classes only two occur in the answers: 3 of 6 predicted relations are right, 3 of 5 are found.
CHEMPROT_TRUE = "cpr:4 cpr:4 cpr:4 cpr:9 cpr:9 false false false false".split()
CHEMPROT_PREDICTED = "cpr:4 cpr:4 false cpr:9 cpr:3 false false cpr:9 cpr:6".split()


def answer_text(labels):
    return HEADER + "".join(f"{i}\t@GENE$ and @DISEASE$ .\t{label}\n" for i, label in enumerate(labels))


def result_text(predicted, labels):
    """Rows in which the predicted label has 0.6 and the others share the rest."""
    rest = 0.4 / (len(labels) - 1)
    return "".join("\t".join(str(0.6 if label == p else rest) for label in labels) + "\n" for p in predicted)


@pytest.fixture
def write_files(tmp_path):
    """Writes the text of test_results.tsv and of test.tsv; returns the arguments that name them."""

    def write(results, answers):
        for name, content in (("test_results.tsv", results), ("test.tsv", answers)):
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return [f"--output_path={tmp_path / 'test_results.tsv'}", f"--answer_path={tmp_path / 'test.tsv'}"]

    return write


@pytest.fixture
def run_program(run_script, write_files):
    """Runs the program as a user does."""
    return lambda results, answers, *options: run_script(PROGRAM, *write_files(results, answers), *options)


@pytest.fixture
def evaluate(write_files, monkeypatch, capsys):
    """The same inside this process, which saves the start of scikit-learn; warnings are errors."""

    def run(results, answers, *options):
        arguments = [PROGRAM, *write_files(results, answers), *options]
        monkeypatch.setattr("sys.argv", arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                main()
                code, error = 0, ""
            except SystemExit as stop:
                code, error = 1, f"{stop.code}\n"
        return subprocess.CompletedProcess(arguments, code, capsys.readouterr().out, error)

    return run


def check_error(result, *parts):
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


# Scores


@pytest.mark.parametrize("options", [[], ["--task=binary"]])
def test_binary(run_program, options):
    result = run_program(result_text(BINARY_PREDICTED, ["0", "1"]), answer_text(BINARY_TRUE), *options)
    assert (result.returncode, result.stdout, result.stderr) == (0, BINARY_LINES, "")


def test_chemprot_with_labels_that_do_not_occur(run_program):
    labels = ["cpr:3", "cpr:4", "cpr:5", "cpr:6", "cpr:9", "false"]
    result = run_program(result_text(CHEMPROT_PREDICTED, labels), answer_text(CHEMPROT_TRUE), "--task=chemprot")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "f1 score    : 54.55%\nrecall      : 60.00%\nprecision   : 50.00%\n"
        "\n"
        "class  precision     recall   f1 score    support\n"
        "cpr:3      0.00%      0.00%      0.00%          0\n"
        "cpr:4    100.00%     66.67%     80.00%          3\n"
        "cpr:5      0.00%      0.00%      0.00%          0\n"
        "cpr:6      0.00%      0.00%      0.00%          0\n"
        "cpr:9     50.00%     50.00%     50.00%          2\n"
        "false     66.67%     50.00%     57.14%          4\n"
    )


def test_ddi(evaluate):
    labels = ["advise", "effect", "mechanism", "int", "false"]
    predicted = ["advise", "int", "mechanism", "false", "false"]
    result = evaluate(
        result_text(predicted, labels),
        answer_text(["advise", "effect", "mechanism", "int", "false"]),
        "--task=ddi13",
    )
    # 2 of 3 predicted relations are right, 2 of 4 are found.
    assert result.stdout.startswith("f1 score    : 57.14%\nrecall      : 50.00%\nprecision   : 66.67%\n\nclass ")


def test_own_labels(evaluate):
    true, predicted = ["up", "down", "none", "none"], ["up", "up", "none", "up"]
    files = result_text(predicted, ["up", "down", "none"]), answer_text(true)
    with_negative = evaluate(*files, "--labels=up,down,none", "--negative_label=none").stdout
    assert with_negative.startswith("f1 score    : 40.00%\nrecall      : 50.00%\nprecision   : 33.33%\n\n")
    without_negative = evaluate(*files, "--labels=up,down,none").stdout
    assert without_negative.startswith("f1 score    : 50.00%\nrecall      : 50.00%\nprecision   : 50.00%\n\n")


def test_two_own_labels_have_a_specificity(evaluate):
    named = {"0": "no", "1": "yes"}
    files = (
        result_text([named[label] for label in BINARY_PREDICTED], ["yes", "no"]),
        answer_text([named[label] for label in BINARY_TRUE]),
    )
    assert evaluate(*files, "--labels=yes,no", "--negative_label=no").stdout == BINARY_LINES
    assert "specificity" not in evaluate(*files, "--labels=yes,no").stdout


def test_no_example_right(evaluate):
    files = result_text(["b", "a"], ["a", "b", "c"]), answer_text(["a", "b"])
    lines = evaluate(*files, "--labels=a,b,c", "--negative_label=c").stdout.splitlines()
    assert [line.split() for line in lines[-3:]] == [
        ["a", "0.00%", "0.00%", "0.00%", "1"],
        ["b", "0.00%", "0.00%", "0.00%", "1"],
        ["c", "0.00%", "0.00%", "0.00%", "0"],
    ]


@pytest.mark.parametrize("label", ["0", "1"])
def test_one_class_only_has_scores_without_warnings(run_program, label):
    result = run_program(result_text([label] * 3, ["0", "1"]), answer_text([label] * 3))
    assert (result.returncode, result.stderr) == (0, "")
    value, other = ("100.00%", "0.00%") if label == "1" else ("0.00%", "100.00%")
    assert result.stdout == (
        f"f1 score    : {value}\nrecall      : {value}\nprecision   : {value}\nspecificity : {other}\n"
    )


def test_functions_for_other_programs():
    assert LABELS["binary"] == ["0", "1"]
    assert [usual_negative(labels) for labels in LABELS.values()] == ["0", "false", "false"]
    result = scores(BINARY_TRUE, BINARY_PREDICTED, ["0", "1"], "0")
    assert result == pytest.approx({"f1 score": 2 / 3, "recall": 0.75, "precision": 0.6, "specificity": 2 / 3})
    assert format_scores(result) + "\n" == BINARY_LINES
    chemprot = scores(CHEMPROT_TRUE, CHEMPROT_PREDICTED, LABELS["chemprot"], "false")
    assert chemprot == pytest.approx({"f1 score": 6 / 11, "recall": 0.6, "precision": 0.5})


# Against the original's way of computing


def original_lines(results):
    return [f"{name:11s} : {value:.2%}" for name, value in results]


def test_binary_equals_scikit_learn_on_a_test_file(evaluate, shared):
    text = (shared / "golden/inputs/RE/test.tsv").read_text(encoding="utf-8")
    true = [int(line.split("\t")[2]) for line in text.splitlines()[1:]]
    probabilities = np.random.default_rng(1).dirichlet([1, 1], len(true))
    p, r, f, _ = precision_recall_fscore_support(true, probabilities.argmax(axis=1))
    result = evaluate("".join(f"{a}\t{b}\n" for a, b in probabilities), text)
    expected = [("f1 score", f[1]), ("recall", r[1]), ("precision", p[1]), ("specificity", r[0])]
    assert result.stdout.splitlines() == original_lines(expected)


def test_chemprot_equals_scikit_learn_on_a_test_file(evaluate, shared):
    text = (shared / "data/re/chemprot/test.tsv").read_text(encoding="utf-8")
    names = [line.split("\t")[2] for line in text.splitlines()[1:]]
    classes = sorted(set(names))
    assert len(classes) == 6  # what the original needs
    true = [classes.index(name) for name in names]
    probabilities = np.random.default_rng(2).dirichlet([1] * 6, len(true))
    p, r, f, _ = precision_recall_fscore_support(
        true, probabilities.argmax(axis=1), labels=[0, 1, 2, 3, 4], average="micro"
    )
    result = evaluate("".join("\t".join(map(str, row)) + "\n" for row in probabilities), text, "--task=chemprot")
    expected = original_lines([("f1 score", f), ("recall", r), ("precision", p)])
    assert result.stdout.splitlines()[:3] == expected


# Files


def test_quotes_and_odd_characters_are_text(evaluate):
    answers = HEADER + '0\t"@GENE$ in @DISEASE$\t1\n1\tOR = 2" (p\u2028\x0b\x1c5)\t0\n2\t""\t1\n3\t\'\t0\n'
    result = evaluate(result_text(["1", "0", "1", "0"], ["0", "1"]), answers)
    assert result.stdout.count("100.00%") == 4


def test_line_ends_and_empty_lines(evaluate):
    answers = answer_text(BINARY_TRUE).replace("\n", "\r\n") + "\r\n"
    results = result_text(BINARY_PREDICTED, ["0", "1"]).replace("\n", "\r\n").removesuffix("\r\n")
    assert evaluate(results, answers).stdout == BINARY_LINES


@pytest.mark.parametrize("last", ["\r", ""])
def test_lines_of_an_old_mac(evaluate, last):
    """Its lines end with a return alone; as one line, the first of these files had a header and no example."""
    answers = answer_text(BINARY_TRUE).replace("\n", "\r").removesuffix("\r") + last
    results = result_text(BINARY_PREDICTED, ["0", "1"]).replace("\n", "\r").removesuffix("\r") + last
    assert evaluate(results, answers).stdout == BINARY_LINES


def test_lines_that_end_with_returns_are_counted(evaluate):
    results = result_text(["1", "0"], ["0", "1"])
    check_error(
        evaluate(results, HEADER.replace("\n", "\r") + "0\ta\t1\r1\tb\t2\r"), "test.tsv, line 3: unknown label '2'"
    )
    check_error(evaluate("0.5\t0.5\r\r0.5\thigh\r", answer_text("10")), "test_results.tsv, line 3: '0.5 high'")


def test_a_return_in_a_line_is_text_where_newlines_end_lines(evaluate):
    answers = HEADER + "0\ta\rb\t1\n1\tc\rd\t0\r\n"
    assert evaluate(result_text(["1", "0"], ["0", "1"]), answers).stdout.count("100.00%") == 4


def test_other_columns_and_other_order(evaluate):
    answers = "label\tindex\tsource\tsentence\n" + "".join(f"{label}\t0\tx\ty\n" for label in BINARY_TRUE)
    assert evaluate(result_text(BINARY_PREDICTED, ["0", "1"]), answers).stdout == BINARY_LINES


def test_different_numbers_of_rows(run_program):
    result = run_program(result_text(["1"] * 3, ["0", "1"]), answer_text(["1"] * 4))
    check_error(result, "test_results.tsv has 3 rows", "test.tsv 4 examples")


@pytest.mark.parametrize(
    ("answers", "parts"),
    [
        (HEADER + "0\ta\t1\n1\tb\tcpr:3\n", ["test.tsv, line 3: unknown label 'cpr:3'", "0, 1"]),
        ("index\tsentence\n0\ta\n", ["test.tsv, line 1: no column 'label'", "for prediction only"]),
        ("0\ta\t1\n1\tb\t0\n", ["line 1: no column 'label' in '0 a 1'", "header"]),
        ("", ["line 1: no column 'label'"]),
        (HEADER, ["test.tsv: no example"]),
        (HEADER + "0\ta\n", ["test.tsv, line 2: 2 columns; expected 3"]),
        (HEADER + "0\ta\tb\t1\n", ["test.tsv, line 2: 4 columns; expected 3"]),
        (HEADER.encode() + b"0\t\xff\t1\n", ["test.tsv, line 2: invalid UTF-8"]),
    ],
)
def test_bad_answers(evaluate, answers, parts):
    check_error(evaluate("0.5\t0.5\n", answers), *parts)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ("0.2\t0.3\t0.5", "3 columns; expected 2 probabilities, of 0, 1"),
        ("1", "1 columns; expected 2"),
        ("0.5\thigh", "'0.5 high'; expected probabilities"),
        ("0.5\t", "'0.5 '; expected probabilities"),
        ("nan\t1.0", "'nan 1.0'; expected probabilities from 0 to 1"),
        ("inf\t0.0", "expected probabilities from 0 to 1"),
        ("-0.5\t1.5", "expected probabilities from 0 to 1"),
        ("0.5\t0.502", "expected probabilities from 0 to 1 with the sum 1"),
        ("2.5\t-1.1", "expected probabilities from 0 to 1"),
    ],
)
def test_bad_predictions(evaluate, row, part):
    check_error(evaluate(f"0.5\t0.5\n{row}\n", answer_text("10")), "test_results.tsv, line 2: ", part)


def test_sum_may_be_rounded(evaluate):
    assert evaluate("0.4995\t0.5\n", answer_text("1")).returncode == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--negative_label=0"], "--negative_label=0: only with --labels"),
        (["--labels=a"], "--labels=a: expected two or more"),
        (["--labels=a,b,a"], "--labels=a,b,a: expected two or more different"),
        (["--labels=a,,b"], "--labels=a,,b: expected"),
        (["--labels=a,b", "--negative_label=c"], "--negative_label=c: expected one of --labels, a, b"),
        (["--task=binary", "--labels=a,b"], "--task=binary and --labels=a,b: expected one of them"),
    ],
)
def test_contradicting_arguments(evaluate, options, part):
    check_error(evaluate("0.5\t0.5\n", answer_text("1"), *options), part)


def test_missing_file(run_process, tmp_path):
    missing = tmp_path / "none.tsv"
    result = run_process(PROGRAM, f"--output_path={missing}", f"--answer_path={missing}")
    check_error(result, f"{missing}: No such file or directory")
