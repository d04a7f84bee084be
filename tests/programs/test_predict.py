"""predict.py as a user runs it, with small models of random weights."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import predict
from common.errors import InputError, StoppedError
from common.files import locked
from inference import outputs
from inference.annotator import name_models
from tests.helpers import programs
from tests.helpers.model_directories import make_model_directory
from tests.helpers.programs import check_error

LABELS = ["[PAD]", "O", "X", "B", "[CLS]", "[SEP]", "I"]
TEXT = "Mutations of BRCA1 cause breast cancer.\r\n\r\nAspirin inhibits COX2 in \U0001f42d mice.\n"


@pytest.fixture(scope="module")
def models(repository, tmp_path_factory):
    """Directories of models for each task; the one for entities gives every label to some word."""
    directory = tmp_path_factory.mktemp("models")
    pieces = (repository / "samples/vocab.txt").read_text().splitlines()
    text = {
        "entity_pairs": [["@DISEASE$", "@GENE$"]],
        "mask_others": False,
        "lower_case": False,
        "negative_label": None,
    }
    span = {"question_type": "factoid", "doc_stride": 32, "max_query_length": 16, "version_2_with_negative": False}
    make_model_directory(directory / "ner", pieces, "ner", LABELS, max_seq_length=64)
    make_model_directory(directory / "re", pieces, "re", ["0", "1"], max_seq_length=64, **text)
    make_model_directory(directory / "qa", pieces, "qa", max_seq_length=64, **span)
    return directory


@pytest.fixture
def run(models, run_script):
    """Runs predict.py in this process, where TensorFlow is loaded."""
    return lambda *arguments, model="ner", **options: run_script(
        "predict.py", f"--{model}_model={models}/{model}", *arguments, **options
    )


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_standard_input_to_standard_output(models, run_process):
    result = run_process("predict.py", f"--ner_model={models}/ner", input=TEXT)
    assert result.returncode == 0, result.stderr
    (document,) = lines_of(result.stdout)
    assert document["text"] == TEXT
    assert document["entities"]
    for entity in document["entities"]:
        assert entity["text"] == TEXT[entity["start"] : entity["end"]]
        assert (entity["type"], entity["model"]) == ("ner", "ner")
        assert 0 < entity["confidence"] <= 1
    assert "1 documents, 0 left out" in result.stderr


def test_several_models_and_relations_in_one_pass(run, models, tmp_path):
    (tmp_path / "a.txt").write_text("The gene BRCA1 causes breast cancer in mice. " * 20)
    others = [f"--ner_model={name}={models}/ner" for name in ("Disease", "Gene")]
    result = run(*others, f"--input={tmp_path}/a.txt", model="re")
    assert result.returncode == 0, result.stderr
    (document,) = lines_of(result.stdout)
    assert {entity["model"] for entity in document["entities"]} == {"Disease", "Gene"}
    kinds = {entity["id"]: entity["type"] for entity in document["entities"]}
    assert document["relations"]
    for relation in document["relations"]:
        assert (kinds[relation["first"]], kinds[relation["second"]]) == ("Disease", "Gene")
        assert relation["type"] in ("0", "1")
    assert "expected --ner_model=NAME=DIR" not in result.stderr


def test_entities_that_no_relation_is_between_are_warned_of(run, models, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, newline="")
    result = run(
        f"--input={tmp_path}/a.txt", f"--ner_model=Disease={models}/ner", f"--ner_model={models}/ner", model="re"
    )
    assert result.returncode == 0, result.stderr
    assert "re: relates @DISEASE$ and @GENE$, but the models find Disease, ner; expected --ner_model=" in result.stderr


def test_relations_between_the_entities_of_the_input(run, tmp_path):
    entities = "7\t0\t5\tBRCA1\tGene\t1\n7\t13\t19\tcancer\tDisease\t2\n7\t24\t31\taspirin\tChemical\t3\n"
    (tmp_path / "a.pubtator").write_text(f"7|t|BRCA1 causes cancer and aspirin.\n7|a|\n{entities}\n")
    result = run(f"--input={tmp_path}/a.pubtator", "--output_format=pubtator", model="re")
    assert result.returncode == 0, result.stderr
    assert entities in result.stdout
    (relation,) = [line.split("\t") for line in result.stdout.splitlines()[5:] if line]
    assert relation[0] == "7"
    assert relation[1] in ("relation_0", "relation_1")  # a number there would be an offset


@pytest.mark.parametrize(("kind", "found"), [("Chemical", "Chemical 2, Gene 1"), ("Gene", "Gene 3"), ("Disease", "")])
def test_input_without_a_pair_that_the_model_relates_is_warned_of(run, tmp_path, kind, found):
    rows = [("7", 0, 5, "BRCA1", "Gene"), ("7", 10, 16, "cancer", kind), ("7", 21, 28, "aspirin", kind)]
    entities = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "a.pubtator").write_text(f"7|t|BRCA1 and cancer and aspirin.\n7|a|\n{entities}\n")
    result = run(f"--input={tmp_path}/a.pubtator", model="re")
    assert result.returncode == 0, result.stderr
    expected = (
        "no document had a pair of entities of types that the model of relations knows (DISEASE and GENE); found: "
    )
    assert re.findall("no document had a pair.*", result.stderr) == [expected + found][: bool(found)]


def test_types_of_a_pair_in_two_documents_are_no_pair(run, tmp_path):
    (tmp_path / "a.pubtator").write_text(
        "7|t|BRCA1.\n7|a|\n7\t0\t5\tBRCA1\tGene\n\n8|t|Cancer.\n8|a|\n8\t0\t6\tCancer\tDisease\n"
    )
    result = run(f"--input={tmp_path}/a.pubtator", model="re")
    assert "no document had a pair of entities of types that the model of relations knows" in result.stderr
    assert "found: Gene 1, Disease 1" in result.stderr


@pytest.mark.parametrize("flag", ["output_dir", "output_file"])
def test_what_the_output_has_no_place_for_is_counted_once(run, tmp_path, flag):
    for name in "ab":
        text = f"{name}|t|BRCA1 causes cancer.\n{name}|a|\n{name}\t0\t5\tBRCA1\tGene\t672\n\n"
        (tmp_path / f"{name}.pubtator").write_text(text)
    result = run(f"--input={tmp_path}/*.pubtator", "--output_format=conll", f"--{flag}={tmp_path}/out")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("has no place for") == 1
    assert "conll has no place for what was given: 2 identifiers are left out" in result.stderr


CORPUS = (
    "1|t|Cancers of the breast, BRCA1.\n1|a|\n1\t0\t21\tCancers of the breast\tDisease\tMESH:D001943\n"
    "1\t23\t28\tBRCA1\tGene\t672\n\n"
)
MENTIONS = "7|t|Breast cancer and BRCA-1, XYZ.\n7|a|\n" + "".join(
    f"7\t{start}\t{start + len(text)}\t{text}\t{kind}\t{given}\n"
    for start, text, kind, given in [(0, "Breast cancer", "Disease", "X9"), (18, "BRCA-1", "Gene", "-")]
)


@pytest.fixture
def link(run_script, tmp_path):
    """Runs predict.py without a model, with a corpus as terminology."""
    (tmp_path / "corpus.pubtator").write_text(CORPUS)
    (tmp_path / "a.pubtator").write_text(MENTIONS)
    terminology = f"--terminology={tmp_path}/corpus.pubtator"
    return lambda *flags: run_script("predict.py", f"--input={tmp_path}/a.pubtator", terminology, *flags)


def test_entities_of_the_input_get_identifiers(link):
    result = link()
    assert result.returncode == 0, result.stderr
    disease, gene = lines_of(result.stdout)[0]["entities"]
    assert disease["identifier"] == "X9"
    assert "matched_name" not in disease
    assert (gene["identifier"], gene["identifier_score"], gene["matched_name"]) == ("672", 1.0, "BRCA1")
    assert "corpus.pubtator: 2 concepts, 2 names" in result.stderr
    assert "identifiers for 1 of 1 entities: Gene 1 of 1; 1 have one of the input, which stays" in result.stderr


def test_identifiers_are_written_in_pubtator(link):
    result = link("--keep_identifiers=false", "--output_format=pubtator")
    assert [row.split("\t")[5] for row in result.stdout.splitlines() if "\t" in row] == ["MESH:D001943", "672"]
    assert "identifiers for 2 of 2 entities: Disease 1 of 1, Gene 1 of 1" in result.stderr


def test_a_terminology_that_finds_nothing_is_said(link, run_script, tmp_path):
    result = link(f"--terminology=Cell={tmp_path}/other.tsv")
    check_error(result, f"{tmp_path}/other.tsv", "no such file")
    (tmp_path / "other.tsv").write_text("D1\tzebra\n")
    arguments = ["predict.py", f"--input={tmp_path}/a.pubtator", "--keep_identifiers=false"]
    result = run_script(*arguments, f"--terminology={tmp_path}/other.tsv")
    assert "identifiers for 0 of 2 entities" in result.stderr
    result = run_script(*arguments, f"--terminology=Cell={tmp_path}/other.tsv")
    assert "no entity that --terminology is for: found Disease 1, Gene 1" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"), [("D1\tx\nD2\n", "other.tsv, line 2: 1 columns"), ("id\tname\n", "no name of a concept")]
)
def test_a_bad_terminology_is_one_line(run_script, tmp_path, text, message):
    (tmp_path / "other.tsv").write_text(text)
    (tmp_path / "a.pubtator").write_text(MENTIONS)
    result = run_script("predict.py", f"--input={tmp_path}/a.pubtator", f"--terminology={tmp_path}/other.tsv")
    check_error(result, message)


def test_vectors_find_what_is_written_quite_differently(link, models, tmp_path):
    flags = ["--keep_identifiers=false", f"--link_by_vectors={models}/ner", "--min_linking_score=0"]
    result = link(*flags)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "corpus.pubtator.vectors").exists()
    assert [entity["identifier"] for entity in lines_of(result.stdout)[0]["entities"]] == ["MESH:D001943", "672"]
    check_error(link(f"--link_by_vectors={tmp_path}"), str(tmp_path), "bert_config.json")


def test_an_output_directory_has_the_identifiers_of_one_terminology(link, tmp_path):
    assert link(f"--output_dir={tmp_path}/out").returncode == 0
    (tmp_path / "corpus.pubtator").write_text(CORPUS.replace("672", "673"))
    check_error(link(f"--output_dir={tmp_path}/out"), "made with the terminology", "corpus.pubtator")


def test_answers_have_their_place(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, newline="")
    (tmp_path / "b.txt").write_text("Nothing here. " * 50)
    question = "--question=Which gene causes cancer?"
    result = run(f"--input={tmp_path}", question, "--question=And then?", "--num_answers=3", model="qa")
    assert result.returncode == 0, result.stderr
    first, second = lines_of(result.stdout)
    assert (first["question"], second["question"]) == ("Which gene causes cancer?", "And then?")
    assert len(first["answers"]) == 3
    for answer in first["answers"]:
        text = pathlib.Path(answer["source"]).read_bytes().decode()
        assert text[answer["start"] : answer["end"]] == answer["text"]
        assert answer["text"] in answer["passage"]
    probabilities = [answer["probability"] for answer in first["answers"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1


def test_a_directory_has_a_file_for_each_input_and_is_gone_on_with(run, tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text(TEXT, newline="")
    (source / "deep/b.txt").write_text("Lung cancer. " * 40)
    arguments = [f"--input={source}", f"--output_dir={output}"]
    assert run(*arguments).returncode == 0
    written = [output / "a.txt.jsonl", output / "deep/b.txt.jsonl"]
    assert [lines_of(path.read_text())[0]["source"] for path in written] == [f"{source}/a.txt", f"{source}/deep/b.txt"]

    (source / "c.txt").write_text("Asthma.")
    written[0].write_text("what is done is not done again")
    result = run(*arguments)
    assert "2 inputs done before, 1 left" in result.stderr
    assert written[0].read_text() == "what is done is not done again"
    assert lines_of((output / "c.txt.jsonl").read_text())[0]["text"] == "Asthma."

    check_error(run(*arguments, "--output_format=html"), output, "made with --output_format: jsonl, now it is html")
    (source / "a.txt").write_text("Another text.")  # so that it is annotated again, the others not
    assert "2 inputs done before, 1 left" in run(*arguments).stderr
    assert lines_of(written[0].read_text())[0]["text"] == "Another text."


def test_a_stopped_run_leaves_whole_files_and_goes_on(models, run, tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(40):
        (source / f"{number:02}.txt").write_text("The gene BRCA1 causes breast cancer in mice. " * 200)
    arguments = [f"--input={source}", f"--output_dir={output}"]
    process = programs.start_process("predict.py", f"--ner_model={models}/ner", *arguments)
    while process.poll() is None and not list(output.glob("??.txt.jsonl*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, messages
    assert "goes on" in messages
    files = sorted(path.name for path in output.iterdir())
    assert "done.jsonl" in files
    assert not [name for name in files if ".tmp" in name]
    assert len(files) < 41
    (output / "done.jsonl").open("a").write('{"input": "3')  # killed while it wrote this
    (output / "39.txt.jsonl.tmp123").write_text("killed while it wrote this, too")
    with locked(output):
        check_error(run(*arguments), output, "another process works there")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert not list(output.glob("*.tmp*"))
    for number in range(40):
        (document,) = lines_of((output / f"{number:02}.txt.jsonl").read_text())
        assert len(document["text"]) == 9_000


def test_a_stop_inside_tensorflow_is_a_stop():
    def trace():
        try:
            signal.raise_signal(signal.SIGTERM)
        except StoppedError as error:
            raise RuntimeError("in user code:\n\n    Arguments received by Dense.call()") from error

    message = "^stopped by SIGTERM; of an --output_dir the same command goes on$"
    with pytest.raises(StoppedError, match=message), predict.stopped_in_order():
        trace()


def test_what_cannot_be_read_is_counted_and_the_rest_is_annotated(run, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.txt").write_text("Asthma.")
    (source / "b.txt").write_bytes(b"Asth\xffma")
    (source / "c.txt").write_bytes(b"\x00\x01\x02" * 100)
    (source / "d.unknown").write_text("?")
    result = run(f"--input={source}", f"--output_dir={tmp_path}/out")
    assert result.returncode == 0, result.stderr
    for name in ("b.txt", "c.txt", "d.unknown"):
        assert f"left out: {source}/{name}" in result.stderr
    assert "1 documents, 3 left out" in result.stderr
    done = [line["input"] for line in lines_of((tmp_path / "out/done.jsonl").read_text())[1:]]
    assert done == ["a.txt"]
    check_error(run(f"--input={source}/b.txt"), source / "b.txt", "UTF-8")


def test_names_that_are_not_utf8_are_annotated(run, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    pathlib.Path(os.fsdecode(os.fsencode(source) + b"/a\xff.txt")).write_text("Asthma.")
    for _ in range(2):  # the second finds it done
        result = run(f"--input={source}", f"--output_dir={tmp_path}/out")
        assert result.returncode == 0, result.stderr
    assert "1 inputs done before" in result.stderr
    (written,) = (tmp_path / "out").glob("a*")
    (document,) = lines_of(written.read_text())
    assert (document["id"], document["source"]) == ("a\ufffd.txt", f"{source}/a\ufffd.txt")


def test_inputs_with_the_same_output_are_refused(tmp_path):
    directory = outputs.Directory(str(tmp_path), "jsonl", [], None)
    assert directory.usable(["a/x.txt", "a/y.txt"], pytest.fail) == ["a/x.txt", "a/y.txt"]
    with pytest.raises(InputError, match="a/x.txt and b/x.txt would both be x.txt"):
        directory.usable(["a/x.txt", "b/x.txt"], pytest.fail)
    with pytest.raises(InputError, match="a/done: its output would be done.jsonl, which is taken"):
        directory.usable(["a/done"], pytest.fail)
    (tmp_path / "done.jsonl").touch()
    with pytest.raises(InputError, match="done.jsonl: empty"):
        directory.begin({})


def test_closed_standard_streams_are_said_plainly(models, repository):
    for stream in ("<&-", ">&-"):
        command = f"exec '{sys.executable}' predict.py '--ner_model={models}/ner' {stream}"
        check_error(
            subprocess.run(
                ["bash", "-c", command], cwd=repository, input="Asthma.", capture_output=True, text=True, check=False
            ),
            "standard",
            "closed",
        )


def test_a_model_that_was_trained_again_needs_another_directory(models, run_script, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    shutil.copytree(models / "ner", tmp_path / "ner")
    command = ["predict.py", f"--ner_model={tmp_path}/ner", f"--input={tmp_path}/a.txt", f"--output_dir={tmp_path}/out"]
    assert run_script(*command).returncode == 0
    settings = tmp_path / "ner/fine_tuning.json"
    settings.write_text(settings.read_text().replace("false", "true"))
    check_error(run_script(*command), f"made with the model in {tmp_path}/ner: ", "now it is")


def test_an_input_is_never_replaced(run, tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_bytes(TEXT.encode())
    link.symlink_to(path)
    for output in (path, link):
        check_error(run(f"--input={path}", f"--output_file={output}"), output, "is an input file as well")
    assert path.read_bytes() == TEXT.encode()


def test_a_run_that_fails_keeps_the_earlier_output(run, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff")
    (tmp_path / "out.jsonl").write_text("before")
    check_error(run(f"--input={tmp_path}/a.txt", f"--output_file={tmp_path}/out.jsonl"), "a.txt", "UTF-8")
    assert (tmp_path / "out.jsonl").read_text() == "before"


def test_what_is_no_file_and_names_that_are_too_long_are_counted(run, tmp_path):
    source, long = tmp_path / "in", "n" * 246
    source.mkdir()
    for name in ("a", long, "z"):
        (source / f"{name}.txt").write_text("Asthma.")
    (source / "nowhere.txt").symlink_to("/no/such")
    (source / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(source / "pipe.txt")
    result = run(f"--input={source}", f"--output_dir={tmp_path}/out")
    assert result.returncode == 0, result.stderr
    for name in (
        "nowhere.txt: a link that leads",
        "loop.txt: a link that leads",
        "pipe.txt: no regular",
        f"{long}.txt",
    ):
        assert f"left out: {source}/{name}" in result.stderr
    assert "2 documents, 4 left out" in result.stderr
    assert {path.name for path in (tmp_path / "out").glob("*.txt.jsonl")} == {"a.txt.jsonl", "z.txt.jsonl"}


def test_brat_and_html_are_whole(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT, newline="")
    result = run(f"--input={tmp_path}/a.txt", "--output_format=brat", f"--output_file={tmp_path}/brat")
    assert result.returncode == 0, result.stderr
    (annotations,) = (tmp_path / "brat").glob("*.ann")
    assert annotations.with_suffix(".txt").read_bytes().decode() == TEXT
    assert annotations.read_text().startswith("T1\tner ")
    result = run(f"--input={tmp_path}/a.txt", "--output_format=html", f"--output_file={tmp_path}/a.html")
    assert result.returncode == 0, result.stderr
    assert "BRCA1" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--ner_model=a", "--output_format=brat"], ["brat", "--output_dir"]),
        (["--ner_model=a", "--output_file=x", "--output_dir=y"], ["expected one of them"]),
        (["--ner_model=a", "--re_model=b", "--output_format=conll"], ["conll", "no place for relations"]),
        (["--qa_model=a"], ["--question"]),
        (["--question=?", "--ner_model=a"], ["--qa_model and --question"]),
        (["--qa_model=a", "--question=?", "--ner_model=b"], ["--ner_model", "not with --qa_model"]),
        (["--qa_model=a", "--question=?", "--output_format=html"], ["html", "expected jsonl"]),
        (["--qa_model=a", "--question=?", "--question=??"], ["standard input can be read once"]),
        ([], ["nothing to do"]),
        (["--qa_model=a", "--question=?", "--terminology=b"], ["--terminology", "not with --qa_model"]),
        (["--ner_model=a", "--link_by_vectors=b"], ["--link_by_vectors", "expected one"]),
    ],
)
def test_flags_that_do_not_go_together(run_script, flags, parts):
    check_error(run_script("predict.py", *flags), *parts)


def test_models_have_names():
    assert name_models(["a/b/", "Gene=c"]) == {"b": "a/b/", "Gene": "c"}
    with pytest.raises(InputError, match="a second model called b"):
        name_models(["a/b", "b=c"])
    for value in ("=a", "Gene="):
        with pytest.raises(InputError, match="expected NAME=DIR"):
            name_models([value])
