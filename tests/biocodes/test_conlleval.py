"""biocodes/conlleval.py against what the Perl script conlleval.pl of 2004-01-26 printed."""

import random
import re

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score

from biocodes.conlleval import Counts, evaluate, format_report, perl_split

# Options, input, and the script's output, each run once with Perl 5.
CASES = [
    pytest.param(
        [],
        "w B-A B-A\nw I-B I-A\nw I-B O\nw O I-B\nw I-A I-A\n",
        (
            "processed 5 tokens with 3 phrases; found: 3 phrases; correct: 1.\n"
            "accuracy:  40.00%; precision:  33.33%; recall:  33.33%; FB1:  33.33\n"
            "                A: precision:  50.00%; recall:  50.00%; FB1:  50.00  2\n"
            "                B: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
        ),
        id="type_changes_and_missing_b",
    ),
    pytest.param(
        [],
        "\n\n",
        ("processed 0 tokens with 0 phrases; found: 0 phrases; correct: 0.\n"),
        id="only_empty_lines",
    ),
    pytest.param(
        [],
        "w B B\nw I O\nw B-0 B-0\nw B-A B\n",
        (
            "processed 4 tokens with 3 phrases; found: 3 phrases; correct: 1.\n"
            "accuracy:  50.00%; precision:  33.33%; recall:  33.33%; FB1:  33.33\n"
            "                 : precision:  33.33%; recall:  50.00%; FB1:  40.00  3\n"
            "                 : precision:  33.33%; recall:  50.00%; FB1:  40.00  3\n"
            "                A: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
        ),
        id="empty_type_listed_twice",
    ),
    pytest.param(
        [],
        "w B-0 B-0\nw I-00 I-0\n",
        (
            "processed 2 tokens with 2 phrases; found: 1 phrases; correct: 0.\n"
            "accuracy:  50.00%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
            "                 : precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "                 : precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "               00: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
        ),
        id="zero_type",
    ),
    pytest.param(
        [],
        "w B-a-b B-a-b\nw I-a-b I-a-b\nw I-a-c I-a\n",
        (
            "processed 3 tokens with 2 phrases; found: 2 phrases; correct: 1.\n"
            "accuracy:  66.67%; precision:  50.00%; recall:  50.00%; FB1:  50.00\n"
            "                a: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "              a-b: precision: 100.00%; recall: 100.00%; FB1: 100.00  1\n"
            "              a-c: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
        ),
        id="hyphens_in_types",
    ),
    pytest.param(
        [],
        "w I-A I-A\nw E-A E-A\nw E-A I-A\nw [-A [-A\nw ]-A ]-A\nw .-A O\nw E-B ]-B\n",
        (
            "processed 7 tokens with 5 phrases; found: 5 phrases; correct: 4.\n"
            "accuracy:  57.14%; precision:  80.00%; recall:  80.00%; FB1:  80.00\n"
            "                A: precision:  75.00%; recall:  75.00%; FB1:  75.00  4\n"
            "                B: precision: 100.00%; recall: 100.00%; FB1: 100.00  1\n"
        ),
        id="ioe_and_brackets",
    ),
    pytest.param(
        [],
        "w B-A B-A\n-X- B-A B-A\nw I-A I-A\n\nw I-A I-A\n",
        (
            "processed 3 tokens with 3 phrases; found: 3 phrases; correct: 3.\n"
            "accuracy: 100.00%; precision: 100.00%; recall: 100.00%; FB1: 100.00\n"
            "                A: precision: 100.00%; recall: 100.00%; FB1: 100.00  3\n"
        ),
        id="boundary_field",
    ),
    pytest.param(
        [],
        "w B-µm B-µm\nw B-b O\nw O B-Z\nw B-a_very_long_type_name B-µm\n",
        (
            "processed 4 tokens with 3 phrases; found: 3 phrases; correct: 1.\n"
            "accuracy:  25.00%; precision:  33.33%; recall:  33.33%; FB1:  33.33\n"
            "                Z: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "a_very_long_type_name: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
            "                b: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
            "              µm: precision:  50.00%; recall: 100.00%; FB1:  66.67  2\n"
        ),
        id="bytes_and_order",
    ),
    pytest.param(
        [],
        "w B-A B-A\nw .-A .-A\nw I-B I-B\nw I-B I-B\n",
        (
            "processed 4 tokens with 2 phrases; found: 2 phrases; correct: 1.\n"
            "accuracy: 100.00%; precision:  50.00%; recall:  50.00%; FB1:  50.00\n"
            "                A: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "                B: precision: 100.00%; recall: 100.00%; FB1: 100.00  1\n"
        ),
        id="match_goes_on_after_dot",
    ),
    pytest.param(
        ["-r"],
        "w A A\nw A A\nw O A\nw B O\n\nw A B\n",
        (
            "processed 5 tokens with 4 phrases; found: 4 phrases; correct: 2.\n"
            "accuracy:  40.00%; precision:  50.00%; recall:  50.00%; FB1:  50.00\n"
            "                A: precision:  66.67%; recall:  66.67%; FB1:  66.67  3\n"
            "                B: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
        ),
        id="raw",
    ),
    pytest.param(
        ["-r", "-o", "X"],
        "w A A\nw X A\nw B X\nw O X\n",
        (
            "processed 4 tokens with 2 phrases; found: 2 phrases; correct: 1.\n"
            "accuracy:  50.00%; precision:  50.00%; recall:  50.00%; FB1:  50.00\n"
            "                A: precision:  50.00%; recall: 100.00%; FB1:  66.67  2\n"
            "                B: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
        ),
        id="raw_outside_tag",
    ),
    pytest.param(
        ["-l"],
        "w B-MISC B-MISC\nw I-MISC O\nw B-A O\nw O B-longer_name\n",
        (
            "        & Precision &  Recall  & F$_{\\beta=1} \\\\\\hline\n"
            "A       &    0.00\\% &   0.00\\% &   0.00 \\\\\n"
            "MISC    &    0.00\\% &   0.00\\% &   0.00 \\\\\n"
            "longer_name &    0.00\\% &   0.00\\% &   0.00 \\\\\\hline\n"
            "Overall &    0.00\\% &   0.00\\% &   0.00 \\\\\\hline\n"
        ),
        id="latex",
    ),
    pytest.param(
        ["-d", "\t+"],
        "w x\t\tB-A\tB-A\nw x\tI-A\tO\n",
        (
            "processed 2 tokens with 1 phrases; found: 1 phrases; correct: 0.\n"
            "accuracy:  50.00%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
            "                A: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
        ),
        id="delimiter",
    ),
    pytest.param(
        [],
        "w B-A B-A \nw I-A I-A  \n \nw B-A B-A\n",
        (
            "processed 3 tokens with 2 phrases; found: 2 phrases; correct: 2.\n"
            "accuracy: 100.00%; precision: 100.00%; recall: 100.00%; FB1: 100.00\n"
            "                A: precision: 100.00%; recall: 100.00%; FB1: 100.00  2\n"
        ),
        id="trailing_delimiter_dropped",
    ),
    pytest.param(
        ["-d", ""],
        "wBB\nwIO\nwOI\n",
        (
            "processed 3 tokens with 1 phrases; found: 2 phrases; correct: 0.\n"
            "accuracy:  33.33%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
            "                 : precision:   0.00%; recall:   0.00%; FB1:   0.00  2\n"
            "                 : precision:   0.00%; recall:   0.00%; FB1:   0.00  2\n"
        ),
        id="empty_delimiter",
    ),
    pytest.param(
        [],
        "B-A B-A\nI-A O\n",
        (
            "processed 2 tokens with 1 phrases; found: 1 phrases; correct: 0.\n"
            "accuracy:  50.00%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
            "                A: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
        ),
        id="two_columns",
    ),
    pytest.param(
        [],
        "w B-A B-A\r\nw O O\r\n",
        (
            "processed 2 tokens with 1 phrases; found: 2 phrases; correct: 0.\n"
            "accuracy:   0.00%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
            "                 : precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
            "                A: precision:   0.00%; recall:   0.00%; FB1:   0.00  0\n"
            "               A\r: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
        ),
        id="carriage_returns",
    ),
]
ERRORS = [
    pytest.param("w O O\nw x O O\n", "unexpected number of features: 4 (3)", id="columns"),
    pytest.param("w\nx\n", "conlleval: unexpected number of features in line w", id="one_column"),
]


@pytest.mark.parametrize(("options", "text", "expected"), CASES)
def test_prints_what_the_script_prints(run_script, options, text, expected):
    result = run_script("biocodes/conlleval.py", *options, input=text)
    # A return in the output reaches the test as a newline.
    assert (result.returncode, result.stdout) == (0, expected.replace("\r", "\n"))


@pytest.mark.parametrize(("text", "expected"), ERRORS)
def test_columns_that_do_not_fit(run_script, text, expected):
    result = run_script("biocodes/conlleval.py", input=text)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected + "\n")


def test_reads_a_file_that_is_not_utf8(run_script, tmp_path):
    (tmp_path / "tags.txt").write_bytes(b"w B-\xe9\xff B-\xe9\xff\n")
    result = run_script("biocodes/conlleval.py", tmp_path / "tags.txt", errors="surrogateescape")
    assert result.stdout.splitlines()[2].startswith(" " * 15 + "\udce9\udcff: precision: 100.00%")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/file"], "error: no/such/file: No such file or directory"),
        (["-d", "("], "error: -d '(' is not a regular expression"),
    ],
)
def test_bad_arguments(run_script, arguments, message):
    result = run_script("biocodes/conlleval.py", *arguments, input="")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_golden_result(run_script, golden):
    folder = golden / "e2e/ner"
    result = run_script("biocodes/conlleval.py", folder / "NER_result_conll.txt")
    assert result.stdout == (folder / "conlleval.txt").read_text()


@pytest.mark.parametrize(
    ("delimiter", "line", "fields"),
    [
        (b" ", b"", []),
        (b" ", b" a  b  ", [b"", b"a", b"", b"b"]),
        (b"", b"abc", [b"a", b"b", b"c"]),
        (b" *", b"a b", [b"a", b"b"]),
        (b"(-)|,", b"a-b,c", [b"a", b"-", b"b", b"", b"c"]),
        (b"(?=b)", b"abb", [b"a", b"b", b"b"]),
    ],
)
def test_splits_as_perl_does(delimiter, line, fields):
    assert perl_split(re.compile(delimiter), line) == fields


def test_scores_of_rows():
    scores = evaluate([("B-D", "B-D"), ("I-D", "I-D"), None, ("B-C", "I-D"), ("O", "O")])
    assert (scores.tokens, scores.correct_tags) == (4, 3)
    assert (scores.gold, scores.guessed, scores.correct) == (2, 2, 1)
    assert (scores.precision, scores.recall, scores.f1, scores.accuracy) == (50.0, 50.0, 50.0, 75.0)
    assert scores.types == {"D": Counts(1, 2, 1), "C": Counts(1, 0, 0)}
    assert format_report(scores).startswith("processed 4 tokens with 2 phrases; found: 2 phrases; correct: 1.\n")


def test_equals_seqeval():
    """seqeval's default mode is an independent implementation of the same rules for B, I and O."""
    generator = random.Random(1)
    tags = ["B-A", "I-A", "B-B", "I-B", "O"]
    for _ in range(200):
        gold = [[generator.choice(tags) for _ in range(12)] for _ in range(4)]
        guess = [[generator.choice([tag, *tags]) for tag in sentence] for sentence in gold]
        pairs = zip(gold, guess, strict=True)
        rows = [row for pair in pairs for row in [*zip(*pair, strict=True), None]]
        scores = evaluate(rows)
        assert scores.precision == pytest.approx(100 * precision_score(gold, guess, zero_division=0))
        assert scores.recall == pytest.approx(100 * recall_score(gold, guess, zero_division=0))
        assert scores.f1 == pytest.approx(100 * f1_score(gold, guess, zero_division=0))
