"""The evaluation programs where standard output or standard error is closed or full, or its reader has left."""

import json
import os
import shlex
import subprocess
import sys

import pytest

# What each program reads, by the name of the file, and its arguments.
FILES = {
    "tags.txt": "w B-A B-A\nw O O\n",
    "tokens.txt": "[CLS]\na\n[SEP]\n",
    "labels.txt": "[CLS]\nO\n[SEP]\n",
    "words.tsv": "a\tO\nα\tO\n",  # the sentence was cut: its second word is printed
    "results.tsv": "0.25\t0.75\n",
    "results_of_three.tsv": "0.25\t0.75\t0\n",
    "relations.tsv": "index\tsentence\tlabel\n0\ta\t1\n",
    "golden.json": json.dumps({"questions": [{"id": "q", "type": "factoid", "exact_answer": "a"}]}),
    "answers.json": json.dumps({"questions": [{"id": "q", "exact_answer": [["A"]]}, {"id": "r"}]}),
    "concepts.pubtator": "1|t|Cancer\n1\t0\t6\tCancer\tDisease\tD1\n",
    "nbest.json": json.dumps({f"{'q' * 24}_000": []}),
}
PRINTING = {
    "conlleval": ["tags.txt"],
    "ner_detokenize": [
        *("--token_test_path=tokens.txt", "--label_test_path=labels.txt", "--answer_path=words.tsv"),
        "--output_dir=out",
    ],
    "re_eval": ["--output_path=results.tsv", "--answer_path=relations.tsv", "--labels=α,1"],
    "linking_eval": ["--gold_file=concepts.pubtator", "--predicted_file=concepts.pubtator"],
    "bioasq_eval": ["--golden_path=golden.json", "--prediction_path=answers.json"],
}
ALL = {**PRINTING, "transform_nbset2bioasqform": ["--nbest_path=nbest.json", "--output_path=answers"]}
FIRST_LINES = {
    "conlleval": "processed 2 tokens with 1 phrases; found: 1 phrases; correct: 1.",
    "ner_detokenize": (
        "## The predicted sentence of BioBERT model looks like trimmed. (The Length of the tokenized input "
        "sequence is longer than max_seq_length); Filling O label instead."
    ),
    "re_eval": "f1 score    : 100.00%",
    "linking_eval": "by document: precision 100.00%, recall 100.00%, F1 100.00%",
    "bioasq_eval": "measure                  value                  percent  questions",
    "transform_nbset2bioasqform": "",
}


@pytest.fixture
def run(repository, tmp_path):
    """Runs a program in a shell that redirects its streams; returns what `subprocess.run` does."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def run_program(name, redirections="", arguments=(), stdout=subprocess.PIPE, **environment):
        command = [sys.executable, str(repository / f"biocodes/{name}.py"), *(arguments or ALL[name])]
        return subprocess.run(
            ["bash", "-c", f"exec {shlex.join(command)} {redirections}"],
            check=False,
            cwd=tmp_path,
            encoding="utf-8",
            env=os.environ | environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    return run_program


@pytest.mark.parametrize("program", PRINTING)
@pytest.mark.parametrize(
    ("redirections", "message"),
    [
        (">&-", "closed; expected it open"),
        (">/dev/full", "No space left on device; expected one that can be written"),
    ],
    ids=["closed", "full"],
)
def test_standard_output_that_takes_nothing(run, tmp_path, program, redirections, message):
    result = run(program, redirections)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert (result.returncode, lines) == (1, [f"error: standard output: {message}"])
    if program == "ner_detokenize":  # its result is a file, which is whole
        assert (tmp_path / "out/NER_result_conll.txt").read_text() == "a O-MISC O-MISC\nα O-MISC O-MISC\n\n"
        assert os.listdir(tmp_path / "out") == ["NER_result_conll.txt"]


@pytest.mark.parametrize("program", PRINTING)
def test_a_reader_that_has_left(run, program):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = run(program, stdout=writer)
    finally:
        os.close(writer)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert (result.returncode, lines) == (1, [])


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", "2>&- <&-"], ids=["closed", "full", "no_input"])
def test_the_work_needs_no_standard_error(run, program, redirections):
    result = run(program, redirections)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.partition("\n")[0] == FIRST_LINES[program]
    assert "warning" not in result.stdout


@pytest.mark.parametrize("program", ["conlleval", "bioasq_eval", "ner_detokenize", "transform_nbset2bioasqform"])
def test_bad_input_without_streams(run, program):
    """Status 1, and what was wrong is not written to another file that got the number of a closed stream."""
    arguments = [argument.split("=")[0] + "=missing" if "=" in argument else "missing" for argument in ALL[program]]
    result = run(program, "2>&-", arguments)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "")
    result = run(program, ">&-", arguments)
    assert (result.returncode, result.stderr) == (1, "error: missing: No such file or directory\n")


def test_standard_input_that_is_closed(run):
    result = run("conlleval", "<&-", ["-r"])
    expected = "error: standard input: closed; expected it open, or a file\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)


@pytest.mark.parametrize(("program", "escaped"), [("ner_detokenize", r": \u03b1"), ("re_eval", r"\u03b1")])
def test_characters_that_standard_output_lacks(run, program, escaped):
    arguments = (
        ["--output_path=results_of_three.tsv", "--answer_path=relations.tsv", "--labels=α,1,2"]
        if program == "re_eval"
        else ()
    )
    result = run(program, "", arguments, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert escaped in result.stdout
