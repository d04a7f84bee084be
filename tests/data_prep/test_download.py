"""data_prep/download.py and data_prep/published.py: weights and data sets by name, into their places."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from common.errors import InputError
from data_prep.download import check_arguments, obtain
from data_prep.published.catalogue import CATALOGUE, DATA, MODELS, File, Registration, Release
from data_prep.published.fetching import is_web_address
from tests.data_prep.published.test_archives import make_archive, tree
from tests.helpers.file_server import ranged, stalling, whole

TSV = b"p53\tB\nfell\tO\n\n"
NER_SETS = "BC2GM BC4CHEMD BC5CDR-chem BC5CDR-disease JNLPBA NCBI-disease linnaeus s800".split()
NER_FILES = [f"{name}/{part}.tsv" for name in NER_SETS for part in ("train", "devel", "test")]
RE_FILES = [f"{name}/{n}/{part}.tsv" for name in ("GAD", "euadr") for n in range(1, 11) for part in ("train", "test")]
LARGE = {
    "bert_config_bio_58k_large.json": b"{}",
    "vocab_cased_pubmed_pmc_30k.txt": b"[PAD]\n",
    "bio_bert_large_1000k.ckpt.index": b"index",
    "bio_bert_large_1000k.ckpt.data-00000-of-00001": b"weights",
}


@pytest.fixture
def download(run_script, tmp_path):
    """Runs the program with the directories `models` and `datasets` in `tmp_path`; returns the finished process."""
    return lambda *arguments: run_script(
        "-m",
        "data_prep.download",
        *arguments,
        f"--models_dir={tmp_path}/models",
        f"--data_dir={tmp_path}/datasets",
    )


@pytest.fixture
def publish(server, tmp_path):
    """Serves an archive made of `{name: content}`, or given bytes."""

    def run(name, content):
        if not isinstance(content, bytes):
            content = make_archive(tmp_path / name, content.items()).read_bytes()
            os.unlink(tmp_path / name)
        server.answers[f"/mirror/{name}"] = [ranged(content)]
        return content

    return run


def check_failed(result, message):
    """Exit status 1, and a last line that says why; no traceback."""
    assert result.returncode == 1, result.stdout
    assert re.search(message, result.stderr.splitlines()[-1]), result.stderr
    assert "Traceback" not in result.stderr


# The catalogue


def test_entries_are_well_formed():
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.title
        assert entry.licence
        assert entry.base in (MODELS, DATA)
        assert entry.contents
    names = [file.name for file in all_files()]
    assert len(set(names)) == len(names), "a mirror has one directory for all"
    targets = [(entry.base, entry.directory) for entry in CATALOGUE.values()]
    assert len(set(targets)) == len(targets)


def all_files():
    return [file for entry in CATALOGUE.values() if isinstance(entry, Release) for file in entry.files]


def test_addresses():
    for file in all_files():
        assert is_web_address(file.url)
        assert os.path.basename(file.url) == os.path.basename(file.name)
        assert "drive.google" not in file.url, "shows a page that asks for confirmation"
        assert file.browser is None or is_web_address(file.browser)
    for entry in CATALOGUE.values():
        if isinstance(entry, Registration):
            assert re.search(r"https?://\S+", " ".join(entry.steps))
            assert "{target}" in " ".join(entry.steps)


def test_digests():
    digests = [digest for entry in CATALOGUE.values() for digest in known_digests(entry)]
    assert len(digests) == 4 + 4 + 1 + 18 + 2  # BERT-base and -large, v1.2, BioASQ, SQuAD
    for digest in digests:
        assert re.fullmatch("sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}", digest)


def known_digests(entry):
    return [digest for digest in getattr(entry, "files", ()) and entry.contents.values() if digest]


def test_the_papers_models_and_data_are_there():
    models = (
        "bert_base_cased bert_large_cased biobert_v1.0_pubmed biobert_v1.0_pmc biobert_v1.0_pubmed_pmc biobert_v1.1"
    )
    models += " biobert_v1.2 biobert_large_v1.1"
    data = "ner re qa squad i2b2_2010 chemprot bioasq_golden"
    assert " ".join(CATALOGUE) == f"{models} {data}"


def test_published_digests_are_those_of_the_real_files(shared):
    vocabulary = (shared / "data/vocab/bert-base-cased-vocab.txt").read_bytes()
    expected = f"sha256:{hashlib.sha256(vocabulary).hexdigest()}"
    assert CATALOGUE["bert_base_cased"].contents["vocab.txt"] == expected
    for batch in range(1, 6):
        name = f"BioASQ/BioASQ-test-factoid-4b-{batch}.json"
        content = (shared / "data/qa" / name).read_bytes()
        assert CATALOGUE["qa"].contents[name] == f"sha1:{hashlib.sha1(content).hexdigest()}"


# The program


def test_list(download, tmp_path):
    put(tmp_path / "datasets/RE/chemprot/test.tsv", "x")
    lines = download("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    assert re.match(rf"chemprot +{tmp_path}/datasets/RE/chemprot +lacks 1 of 2 files +ChemProt: ", lines[-2])


def test_an_unknown_name(download):
    result = download("biobert_v2", "ner")
    check_failed(result, "^error: biobert_v2: not known; expected names of bert_base_cased, .*, bioasq_golden$")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], None, None), "^no names; expected some of bert_base_cased, "),
        ((["ner"], "http://host", "."), "^--mirror and --from_dir; expected one of them$"),
        ((["ner"], "ftp://host", None), "^--mirror=ftp://host: expected an address that begins with http"),
        ((["ner"], None, "nowhere"), "^--from_dir=nowhere: no such directory$"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        check_arguments(*arguments)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@pytest.mark.parametrize("above", ["", "NERdata/"], ids=["flat", "in_a_directory"])
def test_data_from_a_mirror(download, publish, server, tmp_path, above):
    """Beside what the user put there before."""
    archive = publish("NERdata.zip", {f"{above}{name}": TSV for name in [*NER_FILES, "BC2GM/train_dev.tsv"]})
    put(tmp_path / "datasets/NER/i2b2-2010/train.tsv", "mine")
    result = download("ner", f"--mirror={server.address}/mirror/")
    assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "datasets/NER") == {
        **dict.fromkeys([*NER_FILES, "BC2GM/train_dev.tsv"], TSV),
        "i2b2-2010/train.tsv": b"mine",
    }
    assert os.listdir(tmp_path / "datasets") == ["NER"]
    assert "\n  licence: Apache License 2.0 with the authors' disclaimer" in result.stdout
    assert f"sha256 {hashlib.sha256(archive).hexdigest()} of NERdata.zip: none is published" in result.stdout
    assert result.stdout.endswith(f"  in place: {tmp_path}/datasets/NER (24 files)\n")

    requests = len(server.requests)
    result = download("ner", f"--mirror={server.address}/mirror")
    assert result.returncode == 0
    assert result.stdout.endswith(f"  already in place: {tmp_path}/datasets/NER (24 files)\n")
    assert len(server.requests) == requests


def test_weights_from_a_directory(download, tmp_path):
    """The files of the large model get the names that all others have."""
    (tmp_path / "fetched").mkdir()
    archive = tmp_path / "fetched/biobert_large_v1.1_pubmed.tar.gz"
    make_archive(archive, [("biobert_large/", b""), *((f"biobert_large/{n}", c) for n, c in LARGE.items())])
    result = download("biobert_large_v1.1", f"--from_dir={tmp_path}/fetched")
    assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "models") == {
        "biobert_large_v1.1/bert_config.json": b"{}",
        "biobert_large_v1.1/vocab.txt": b"[PAD]\n",
        "biobert_large_v1.1/bio_bert_large_1000k.ckpt.index": b"index",
        "biobert_large_v1.1/bio_bert_large_1000k.ckpt.data-00000-of-00001": b"weights",
    }
    assert archive.exists()
    result = download("biobert_v1.1", f"--from_dir={tmp_path}/fetched")
    check_failed(
        result, "fetched/biobert_v1.1_pubmed.tar.gz: no such file; expected it, from https://github.com/naver/"
    )


def test_what_fails_does_not_stop_the_others(download, publish, server, tmp_path):
    publish("REdata.zip", dict.fromkeys(RE_FILES, b"x\t1\n"))
    result = download("qa", "re", "i2b2_2010", f"--mirror={server.address}/mirror")
    check_failed(result, "^error: 2 of 3 not in place: qa, i2b2_2010$")
    assert re.search(
        r"error: http://\S+/mirror/QA.zip: answers 404 .*; fetch it by a browser from https://drive.google.com/\S+ and "
        "give --from_dir=DIRECTORY with QA.zip in it\n",
        result.stderr,
    )
    assert len(tree(tmp_path / "datasets/RE")) == 40


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><title>Sign in</title>", "REdata.zip: a web page; expected REdata.zip; fetch it by "),
        (b"something else", "REdata.zip: 14 bytes, but no archive; expected REdata.zip; "),
        (b"PK\x03\x04 and no more", "REdata.zip: damaged, or no archive "),
        ({"REdata/GAD/1/train.tsv": b"x"}, "REdata.zip: lacks 39 \\(GAD/1/test.tsv, .*\\); expected GAD and EU-ADR"),
        ({**dict.fromkeys(RE_FILES, b"x"), "../../evil": b"x"}, "member '../../evil' leads out of the archive"),
    ],
    ids=["page", "other", "cut", "lacking", "evil"],
)
def test_a_wrong_file_is_removed(publish, server, tmp_path, content, message):
    """And the right one is fetched the next time."""
    place = (CATALOGUE["re"], str(tmp_path / "datasets/RE"), str(tmp_path / "datasets"), f"{server.address}/mirror")
    publish("REdata.zip", content)
    with pytest.raises(InputError, match=f"{message}.*; removed$") as caught:
        obtain(*place)
    assert "\n" not in str(caught.value)
    assert set(tree(tmp_path)) <= {"datasets/.download/re/.lock"}
    publish("REdata.zip", dict.fromkeys(RE_FILES, b"x"))
    obtain(*place)
    assert len(tree(tmp_path / "datasets")) == 40


def test_another_squad(download, server, tmp_path):
    """Of another length, and of the same."""
    server.answers["/mirror/train-v1.1.json"] = [whole(b"{}"), whole(b" " * 30_288_272)]
    result = download("squad", f"--mirror={server.address}/mirror")
    check_failed(
        result, r"/mirror/train-v1.1.json: a file of 2 bytes; expected 30,288,272; if you have it, give --from"
    )
    result = download("squad", f"--mirror={server.address}/mirror")
    check_failed(result, r"train-v1.1.json: sha256 is [0-9a-f]{64}; expected 352766398.*; removed$")
    assert set(tree(tmp_path)) <= {"datasets/.download/squad/.lock"}


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_stopped_while_downloading(download, server, repository, tmp_path, stop):
    make_archive(tmp_path / "REdata.zip", [(name, os.urandom(10_000)) for name in RE_FILES])
    content = (tmp_path / "REdata.zip").read_bytes()
    going_on = threading.Event()
    server.answers["/mirror/REdata.zip"] = [stalling(content, 200_000, going_on), ranged(content)]
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep.download", "re", f"--mirror={server.address}/mirror"]
        + [f"--data_dir={tmp_path}/datasets"],
        cwd=repository,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = tmp_path / "datasets/.download/re/REdata.zip.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 65_536) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(stop)
    said = process.communicate()[1]
    going_on.set()
    if stop == signal.SIGINT:
        assert said.splitlines()[-1] == "error: interrupted; the same command goes on where it stopped"
        assert "Traceback" not in said
    there = part.stat().st_size
    assert 65_536 <= there <= 200_000
    assert download("re", f"--mirror={server.address}/mirror").returncode == 0
    assert server.requests[-1][1]["Range"] == f"bytes={there}-"
    assert len(tree(tmp_path / "datasets")) == 40


# Putting in place


TINY = Release(
    "tiny",
    "a model of two files",
    "none",
    MODELS,
    "tiny",
    (File("tiny.zip", "http://weights.invalid/tiny.zip"),),
    {"vocab.txt": f"sha256:{hashlib.sha256(b'[PAD]').hexdigest()}", "model.ckpt.index": None},
)
TINY_FILES = {"top/vocab.txt": b"[PAD]", "top/model.ckpt.index": b"1"}


@pytest.fixture
def get_tiny(publish, server, tmp_path):
    """Puts `tiny` in place from an archive of the files given; returns what is there."""

    def run(files=TINY_FILES):
        publish("tiny.zip", files)
        root = tmp_path / "models"
        obtain(TINY, str(root / "tiny"), str(root), mirror=f"{server.address}/mirror")
        return tree(root)

    return run


def test_digests_of_what_is_in_an_archive(get_tiny, tmp_path):
    with pytest.raises(InputError, match="vocab.txt: sha256 is .*; not what was published; removed"):
        get_tiny({**TINY_FILES, "top/vocab.txt": b"[UNK]"})
    assert not (tmp_path / "models/tiny").exists()
    assert get_tiny() == {"tiny/vocab.txt": b"[PAD]", "tiny/model.ckpt.index": b"1"}


def test_killed_while_unpacking(get_tiny, tmp_path):
    """What lies in the hidden directory is not taken for unpacked; the archive is not fetched again."""
    put(tmp_path / "models/.download/tiny/unpacked/top/vocab.txt", "[P")
    assert get_tiny() == {"tiny/vocab.txt": b"[PAD]", "tiny/model.ckpt.index": b"1"}


def test_killed_before_unpacking(get_tiny, server, tmp_path):
    (tmp_path / "models/.download/tiny").mkdir(parents=True)
    make_archive(tmp_path / "models/.download/tiny/tiny.zip", TINY_FILES.items())
    assert get_tiny() == {"tiny/vocab.txt": b"[PAD]", "tiny/model.ckpt.index": b"1"}
    assert server.requests == []


def test_what_is_lacking_is_added(get_tiny, tmp_path):
    put(tmp_path / "models/tiny/vocab.txt", "[PAD]")
    put(tmp_path / "models/tiny/notes.txt", "mine")
    assert get_tiny() == {
        "tiny/vocab.txt": b"[PAD]",
        "tiny/notes.txt": b"mine",
        "tiny/model.ckpt.index": b"1",
    }


@pytest.mark.parametrize("complete", [False, True])
def test_what_differs_is_not_overwritten(get_tiny, tmp_path, complete):
    put(tmp_path / "models/tiny/vocab.txt", "mine")
    if complete:
        put(tmp_path / "models/tiny/model.ckpt.index", "1")
    with pytest.raises(InputError, match="models/tiny/vocab.txt: .*; move it away "):
        get_tiny()
    assert (tmp_path / "models/tiny/vocab.txt").read_text() == "mine"


# Data that one registers for


def test_where_to_register(download, tmp_path):
    result = download("i2b2_2010")
    check_failed(result, f"^error: {tmp_path}/datasets/NER/i2b2-2010: lacks 3 \\(train.tsv, devel.tsv, test.tsv\\); ")
    assert "  licence: data use agreement" in result.stdout
    assert "  1. register and sign at https://portal.dbmi.hms.harvard.edu/projects/n2c2-nlp/ " in result.stdout
    assert f"put train.tsv, devel.tsv and test.tsv into {tmp_path}/datasets/NER/i2b2-2010\n" in result.stdout


def check_registered_data(download, tmp_path, name, files):
    """Puts files in place, which the program must accept; returns a function that checks what it says of another."""
    directory = tmp_path / "datasets" / CATALOGUE[name].directory
    for file, content in files.items():
        put(directory / file, content)
    result = download(name)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"  in place: {directory} ({len(files)} files, read without error)\n")

    def check_refused(file, content, message):
        put(directory / file, content)
        with pytest.raises(InputError, match=f"^{directory}/{file}{message}"):
            CATALOGUE[name].check(str(directory))

    return check_refused


def test_i2b2(download, tmp_path):
    typed = "cough\tB-problem\nfell\tO\n\n"
    files = {"train.tsv": typed, "devel.tsv": typed, "test.tsv": typed}
    check_refused = check_registered_data(download, tmp_path, "i2b2_2010", files)
    check_refused("test.tsv", "x-ray\tB-test\n", ", line 1: unknown label 'B-test'")
    check_refused("devel.tsv", "cough\tproblem\n", ", line 1: label 'problem'; expected O, and labels such as")


def test_chemprot(download, tmp_path):
    files = {"train.tsv": "@CHEMICAL$ on @GENE$\tCPR:3\n", "test.tsv": "index\tsentence\tlabel\n0\t@GENE$\tCPR:3\n"}
    check_refused = check_registered_data(download, tmp_path, "chemprot", files)
    check_refused("test.tsv", "0\t@GENE$\tCPR:3\n", ", line 1: no column 'sentence'")
    check_refused("train.tsv", "\n", ": empty; expected sentence, tab, label a line$")


def golden(**more):
    question = {"id": "5" * 24, "body": "Which gene?", "type": "factoid", "documents": [], "snippets": [], **more}
    return json.dumps({"questions": [question]})


def test_golden_files(download, tmp_path):
    files = {f"{n}B{batch}_golden.json": golden(exact_answer=[["p53"]]) for n in (4, 5, 6) for batch in range(1, 6)}
    check_refused = check_registered_data(download, tmp_path, "bioasq_golden", files)
    check_refused("6B2_golden.json", golden(), ": no factoid question with an exact_answer; ")
    check_refused("4B3_golden.json", "[]", ': no list "questions"; expected a file of BioASQ task B$')


def test_real_data_pass_the_checks(shared):
    CATALOGUE["i2b2_2010"].check(str(shared / "data/ner/NCBI-disease"))
    CATALOGUE["chemprot"].check(str(shared / "data/re/GAD/1"))
