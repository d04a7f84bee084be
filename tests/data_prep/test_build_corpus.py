"""data_prep/build_corpus.py: files of a corpus to shards, with a manifest that is true."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from common.errors import InputError
from common.parallel import Processes
from data_prep.build_corpus import build
from data_prep.corpus import manifest, shards
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_records import Settings
from data_prep.corpus.sources import Reading, Sources
from data_prep.corpus.text_documents import Options as TextOptions
from data_prep.records.records import check_file, pretraining_features
from data_prep.text.tokenization import FullTokenizer
from tests.data_prep.corpus.test_extraction import deletion, record

LENGTH = 32


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, repository):
    """Sources of each kind with 12, 2 and 301 documents, two of which have the same text; Settings."""
    directory = tmp_path_factory.mktemp("corpus")
    records = "".join(record(number, f"Number {number} is high. It fell.") for number in range(1, 13))
    (directory / "p.xml").write_text(f"<PubmedArticleSet>{records}{record(1, 'New.')}</PubmedArticleSet>")
    for number in (1, 2):
        (directory / f"{number}.nxml").write_text(
            f"<article><body><p>Body {number} here.</p><p>More of it.</p></body></article>"
        )
    text = (repository / "samples/abstracts.txt").read_text()
    (directory / "t.txt").write_text(text.rstrip() + "\n\nTwice the same.\n\nTwice the same.\n")
    sources = Sources(
        pubmed_files=(str(directory / "p.xml"),),
        pmc_files=(str(directory / "1.nxml"), str(directory / "2.nxml")),
        text_files=(str(directory / "t.txt"),),
        reading=Reading(text=TextOptions("sentences"), sentence_splitter="blingfire"),
    )
    options = Options(max_seq_length=LENGTH, max_predictions_per_seq=5, dupe_factor=2)
    return sources, Settings(str(repository / "samples/vocab.txt"), False, split_long_lines=True, options=options)


@pytest.fixture(scope="module")
def built(corpus, tmp_path_factory):
    """A finished build in 4 shards: its directory and manifest."""
    directory = str(tmp_path_factory.mktemp("built"))
    return directory, build(*corpus, directory, num_shards=4)


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(directory).iterdir()) if path.is_file()}


def test_the_manifest_is_true(corpus, built):
    directory, content = built
    assert json.loads((pathlib.Path(directory) / "manifest.json").read_text()).items() >= content.items()
    counts = {name: content["corpora"][name]["documents"] for name in content["corpora"]}
    assert counts == {"pmc": 2, "pubmed": 12, "text": 301}
    assert content["corpora"]["pmc"] == {"documents": 2, "sentences": 4, "words": 12}
    # Eleven of "T2." and "Number 2 is high." and "It fell.", one of "T1." and "New."
    assert content["corpora"]["pubmed"] == {"documents": 12, "sentences": 35, "words": 11 * 7 + 2}
    assert content["duplicates"] == 1
    assert content["left_out"] == {"replaced by a newer version": 1}
    for shard in content["shards"]:
        path = pathlib.Path(directory) / shard["name"]
        assert path.stat().st_size == shard["size"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
        features = pretraining_features(LENGTH, 5, len(FullTokenizer(corpus[1].vocab_file, False).vocab))
        assert check_file(str(path), features) == shard["records"]
    (pubmed, text, articles) = content["inputs"]
    assert pubmed["sha256"] == hashlib.sha256(pathlib.Path(pubmed["path"]).read_bytes()).hexdigest()
    assert text["size"] == os.path.getsize(text["path"])
    assert articles["files"] == 2
    names = ("1.nxml", "2.nxml")
    hashes = [hashlib.sha256((pathlib.Path(articles["path"]) / name).read_bytes()).hexdigest() for name in names]
    lines = "".join(f"{digest}  {name}\n" for digest, name in zip(hashes, names, strict=True))
    assert articles["sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_wordpieces_and_fill_rate(corpus, built):
    directory, content = built
    filled = total = 0
    for shard in content["shards"]:
        for serialized in tf.data.TFRecordDataset(os.path.join(directory, shard["name"])):
            mask = tf.train.Example.FromString(serialized.numpy()).features.feature["input_mask"].int64_list.value
            filled += sum(mask)
            total += len(mask)
    assert content["fill_rate"] == pytest.approx(filled / total, abs=5e-5)
    tokenizer = FullTokenizer(corpus[1].vocab_file, do_lower_case=False)
    text = pathlib.Path(corpus[0].text_files[0]).read_text().removesuffix("Twice the same.\n")
    others = ["T1. New. Body 1 here. More of it. Body 2 here. More of it."]
    others += [f"T{number}. Number {number} is high. It fell." for number in range(2, 13)]
    assert content["wordpieces"] == sum(len(tokenizer.tokenize(t)) for t in (text, *others))


def test_documents_of_each_corpus_are_in_all_shards(corpus, tmp_path):
    from data_prep.corpus.external_sort import find_documents, select_newest
    from data_prep.corpus.extraction import extract

    runs = extract(corpus[0], str(tmp_path), Processes(1)).runs
    select_newest(runs)
    for shard in range(3):
        assert {0, 2} <= {document.corpus for document in find_documents(runs, shard, shard + 1, 3)}


def test_more_processes_make_the_same(corpus, built, tmp_path):
    build(*corpus, str(tmp_path), num_shards=4, workers=Processes(2))
    assert contents(tmp_path) == contents(built[0])


def test_the_order_of_files_does_not_matter(corpus, built, tmp_path):
    sources, settings = corpus
    build(dataclasses.replace(sources, pmc_files=sources.pmc_files[::-1]), settings, str(tmp_path), 4)
    for shard in built[1]["shards"]:
        assert (tmp_path / shard["name"]).read_bytes() == (pathlib.Path(built[0]) / shard["name"]).read_bytes()


def test_bad_files_and_updates(corpus, tmp_path, monkeypatch):
    """Parts of a text, one of them bad; a deletion; a shard without documents; the number of shards found out."""
    (tmp_path / "1.xml").write_text(f"<PubmedArticleSet>{record(1, 'One.')}{record(2, 'Two.')}</PubmedArticleSet>")
    (tmp_path / "2.xml").write_text(f"<PubmedArticleSet>{record(2, '')}{deletion(1)}{record(3, 'Three.')}")
    (tmp_path / "3.xml").write_text(
        f"<PubmedArticleSet>{record(2, '')}{deletion(1)}{record(4, 'F.')}</PubmedArticleSet>"
    )
    (tmp_path / "bad.txt").write_bytes(b"The first document.\n\nThe second document.\n\nThe th\xffrd document.\n")
    monkeypatch.setattr("data_prep.corpus.sources.TEXT_PART_BYTES", 20)
    sources = Sources(
        pubmed_files=tuple(str(tmp_path / f"{number}.xml") for number in (1, 2, 3)),
        text_files=(str(tmp_path / "bad.txt"),),
        reading=Reading(sentence_splitter="none", skip_bad_files=True),
    )
    for num_shards in (3, 0):
        content = build(sources, corpus[1], str(tmp_path / f"in {num_shards}"), num_shards)
        assert content["corpora"] == {"pubmed": {"documents": 1, "sentences": 2, "words": 2}}
        expected = {"bad files": 2, "replaced by a newer version": 1, "withdrawn": 1, "without abstract": 1}
        assert content["left_out"] == expected


@pytest.fixture
def updated(tmp_path):
    """Sources before and after an update: new documents, new versions with other and the same text, a deletion."""
    baseline = [record(number, f"Number {number} is high. It fell.") for number in range(1, 400)]
    (tmp_path / "pubmed26n0001.xml").write_text(f"<PubmedArticleSet>{''.join(baseline)}</PubmedArticleSet>")
    update = [record(500, "It rose. It is new."), record(7, "It is other."), record(8, "Number 8 is high. It fell.")]
    (tmp_path / "pubmed26n0002.xml").write_text(f"<PubmedArticleSet>{''.join(update)}{deletion(9)}</PubmedArticleSet>")
    (tmp_path / "t.txt").write_text("A text. It has two sentences.\n")
    files = [str(tmp_path / f"pubmed26n000{number}.xml") for number in (1, 2)]
    reading = Reading(sentence_splitter="none")
    before = Sources(pubmed_files=(files[0],), text_files=(str(tmp_path / "t.txt"),), reading=reading)
    return before, dataclasses.replace(before, pubmed_files=tuple(files))


def shards_of(directory):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(directory).glob("*.tfrecord"))}


def test_an_update_makes_the_shards_of_a_build_from_scratch(corpus, updated, tmp_path):
    build(updated[0], corpus[1], str(tmp_path / "updated"), 20)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "updated").glob("*.tfrecord")}
    content = build(updated[1], corpus[1], str(tmp_path / "updated"), 20)
    scratch = build(updated[1], corpus[1], str(tmp_path / "scratch"), 20)
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")
    names = {"history", "version"}
    assert {name: content[name] for name in {*content} - names} == {name: scratch[name] for name in {*scratch} - names}
    assert content["corpora"]["pubmed"]["documents"] == 399  # one more, one withdrawn
    assert content["left_out"] == {"replaced by a newer version": 2, "withdrawn": 1}
    # The texts of 500, 7 (before and after) and 9 are in four shards at most; that of 8 is the same.
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert 1 <= len(changed) <= 4
    assert content["version"] == 2
    assert content["history"][0] == {"version": 1, "files": 2, "records": 0, "shards_changed": 20} | {
        "records": content["history"][0]["records"]
    }
    (update,) = content["history"][1:]
    assert update["new_files"] == [updated[1].pubmed_files[1]]
    assert update["shards_changed"] == len(changed)


def test_the_same_command_with_more_files_is_an_update(corpus, updated, run_script, tmp_path):
    def command(*more):
        return (
            *("-m", "data_prep.build_corpus", f"--pubmed_files={tmp_path}/pubmed26n*.xml", "--sentence_splitter=none"),
            *(f"--output_dir={tmp_path}/updated", f"--vocab_file={corpus[1].vocab_file}", "--do_lower_case=false"),
            *(f"--max_seq_length={LENGTH}", "--max_predictions_per_seq=5", "--dupe_factor=2", *more),
        )

    later = tmp_path / "pubmed26n0002.xml"
    later.rename(tmp_path / "not yet")
    result = run_script(*command())
    assert result.returncode == 0, result.stderr
    assert "399 documents" in result.stdout
    (tmp_path / "not yet").rename(later)
    result = run_script(*command("--num_shards=7"))
    assert result.returncode == 1
    assert "holds shards that were finished with other flags" in result.stderr.splitlines()[-1]
    result = run_script(*command("--keep_documents=false"))
    assert result.returncode == 0, result.stderr
    assert "399 documents" in result.stdout
    assert "left out: replaced by a newer version (2), withdrawn (1)" in result.stdout
    assert not (tmp_path / "updated" / "documents").exists()
    build(dataclasses.replace(updated[1], text_files=()), corpus[1], str(tmp_path / "scratch"))
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")
    later.unlink()
    result = run_script(*command())
    assert result.returncode == 1
    assert "and not the documents that they were made of (--keep_documents)" in result.stderr.splitlines()[-1]


def test_records_of_blocks_that_have_not_changed_are_not_made_again(corpus, updated, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "BLOCK_DOCUMENTS", 8)
    build(updated[0], corpus[1], str(tmp_path / "updated"), 1)
    made = []

    def note(*arguments, original=shards.make_records):
        made.append(original(*arguments))
        return made[-1]

    monkeypatch.setattr(shards, "make_records", note)
    content = build(updated[1], corpus[1], str(tmp_path / "updated"), 1)
    assert 1 <= len(made) <= 4  # of 64
    assert content["records"] > 10 * sum(len(records) for records, _ in made)
    build(updated[1], corpus[1], str(tmp_path / "scratch"), 1)
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")


def test_records_of_an_altered_shard_are_made_again(corpus, updated, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "BLOCK_DOCUMENTS", 8)
    build(updated[0], corpus[1], str(tmp_path / "updated"), 1)
    (path,) = (tmp_path / "updated").glob("*.tfrecord")
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    build(updated[1], corpus[1], str(tmp_path / "updated"), 1)
    build(updated[1], corpus[1], str(tmp_path / "scratch"), 1)
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")


def test_files_that_go_take_their_documents_along(corpus, updated, tmp_path):
    build(updated[1], corpus[1], str(tmp_path / "updated"), 3)
    content = build(updated[0], corpus[1], str(tmp_path / "updated"), 3)
    assert content["history"][1]["files_gone"] == [updated[1].pubmed_files[1]]
    assert len(list((tmp_path / "updated" / "documents").glob("unit-*.txt"))) == 2
    build(updated[0], corpus[1], str(tmp_path / "scratch"), 3)
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")


def test_an_update_with_a_bad_file_leaves_the_corpus_as_it_is(corpus, updated, tmp_path):
    build(updated[0], corpus[1], str(tmp_path / "updated"), 3)
    before = contents(tmp_path / "updated")
    pathlib.Path(updated[1].pubmed_files[1]).write_text("<PubmedArticleSet>")
    with pytest.raises(InputError, match="pubmed26n0002.xml, line 1: not well-formed"):
        build(updated[1], corpus[1], str(tmp_path / "updated"), 3)
    assert contents(tmp_path / "updated") == before


def test_an_update_that_was_stopped_goes_on(corpus, updated, tmp_path, monkeypatch):
    build(updated[0], corpus[1], str(tmp_path / "updated"), 3)
    with monkeypatch.context() as patch:
        stop_before_the_manifest(patch)
        with pytest.raises(StoppedError):
            build(updated[1], corpus[1], str(tmp_path / "updated"), 3)
    with pytest.raises(InputError, match="its shards are not finished; run data_prep.build_corpus again"):
        manifest.check_shards([str(next((tmp_path / "updated").glob("*.tfrecord")))])
    content = build(updated[1], corpus[1], str(tmp_path / "updated"), 3)
    assert content["version"] == 2
    build(updated[1], corpus[1], str(tmp_path / "scratch"), 3)
    assert shards_of(tmp_path / "updated") == shards_of(tmp_path / "scratch")


class StoppedError(Exception):
    """Stands for a kill."""


def stop_before_the_manifest(monkeypatch):
    def stop(*_):
        raise StoppedError

    monkeypatch.setattr(manifest, "write", stop)


@pytest.mark.parametrize("change", ["flags", "files", "shards"])
def test_a_stopped_build_goes_on_with_what_has_changed(corpus, built, tmp_path, monkeypatch, change):
    """Shards that were finished with other flags, of other text or in another number are not taken for these."""
    sources, settings = corpus
    before, num_shards = settings, 4
    text = pathlib.Path(sources.text_files[0])
    original = text.read_text()
    if change == "flags":
        before = dataclasses.replace(settings, random_seed=1)
    elif change == "files":
        text.write_text(original.replace("Twice the same.", "Once."))
    else:
        num_shards = 7
    try:
        with monkeypatch.context() as patch:
            stop_before_the_manifest(patch)
            with pytest.raises(StoppedError):
                build(sources, before, str(tmp_path), num_shards)
    finally:
        text.write_text(original)
    build(sources, settings, str(tmp_path), 4)
    assert contents(tmp_path) == contents(built[0])


def arguments(sources, settings, output_dir, *more):
    return (
        "-m",
        "data_prep.build_corpus",
        f"--pubmed_files={sources.pubmed_files[0]}",
        f"--pmc_files={','.join(sources.pmc_files)}",
        f"--text_files={sources.text_files[0]}",
        "--text_format=sentences",
        "--sentence_splitter=blingfire",
        f"--output_dir={output_dir}",
        f"--vocab_file={settings.vocab_file}",
        "--do_lower_case=false",
        f"--max_seq_length={LENGTH}",
        "--max_predictions_per_seq=5",
        *more,
    )


def test_a_killed_build_goes_on(corpus, built, run_script, repository, tmp_path):
    command = arguments(*corpus, tmp_path, "--num_shards=4", "--dupe_factor=2")
    process = subprocess.Popen([sys.executable, *command], cwd=repository, stderr=subprocess.DEVNULL)
    first = tmp_path / built[1]["shards"][0]["name"]
    while not (tmp_path / "documents" / f"{first.name}.json").exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "manifest.json").exists()
    (tmp_path / "documents" / "unit-000000-0000.txt.tmp1").write_text("half")  # what a kill during a write leaves
    before = first.stat().st_mtime_ns
    result = run_script(*command)
    assert result.returncode == 0, result.stderr
    assert first.stat().st_mtime_ns == before  # not made again
    assert contents(tmp_path) == contents(built[0])
    assert "left out: replaced by a newer version (1), equal texts (1)" in result.stdout
    # And once more: there is nothing left to do.
    result = run_script(*command, "--verify", "--report")
    assert result.returncode == 0, result.stderr
    assert first.stat().st_mtime_ns == before
    assert "all 4 shards are as they were made" in result.stdout
    result = run_script(*command, "--dupe_factor=3")
    assert result.returncode == 1
    assert "holds shards that were finished with other flags" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes; expected"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff"), "its SHA-256 is not that of manifest.json"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_a_bad_shard_is_found(built, tmp_path, change, message):
    shutil.copytree(built[0], tmp_path / "shards")
    assert manifest.verify(tmp_path / "shards", num_processes=2) == 4
    name = built[1]["shards"][2]["name"]
    change(tmp_path / "shards" / name)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        manifest.verify(tmp_path / "shards")


def test_the_trainer_finds_a_shard_that_ends_early(built, run_script, repository, sample_model, tmp_path):
    shutil.copytree(built[0], tmp_path / "shards")
    shard = tmp_path / "shards" / built[1]["shards"][1]["name"]
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(shard))]
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for serialized in records[:-1]:  # cut between two records, the file is whole in its own eyes
            writer.write(serialized)
    config = next(flag for flag in sample_model if "config" in flag)
    result = run_script(
        "run_pretraining.py",
        f"--input_file={tmp_path}/shards/*.tfrecord",
        f"--output_dir={tmp_path}/out",
        config,
        "--do_train=true",
        f"--max_seq_length={LENGTH}",
        "--max_predictions_per_seq=5",
        "--num_train_steps=1",
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"error: {shard}: ")
    assert "truncated or altered" in result.stderr


def test_shards_that_are_not_of_the_manifest_are_found(built, tmp_path):
    shutil.copytree(built[0], tmp_path / "shards")
    other = tmp_path / "shards" / "pretraining-00000-of-00009.tfrecord"
    other.write_bytes(b"")
    with pytest.raises(InputError, match="00000-of-00009.tfrecord: not in manifest.json"):
        manifest.verify(tmp_path / "shards")
    with pytest.raises(InputError, match="00000-of-00009.tfrecord: not one of the shards"):
        manifest.check_shards([str(other)])
    (tmp_path / "shards" / "manifest.json").unlink()
    with pytest.raises(InputError, match="shards: its shards are not finished"):
        manifest.check_shards([str(other)])
    shutil.rmtree(tmp_path / "shards" / "documents")
    manifest.check_shards([str(other)])  # files of create_pretraining_data have no manifest


MANIFEST = (
    '{{"format": "BERT pre-training shards, version 1", "flags": {{}}, "inputs": [], "shards": [{}], '
    '"corpora": {{{}}}}}'
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1: not JSON"),
        ('{"name": "web app"}', "no manifest of pre-training shards"),
        (
            '{"format": "BERT pre-training shards, version 1", "shards": [{"name": "x"}]}',
            "manifest.json: no corpora; expected corpora, flags, inputs, shards",
        ),
        (MANIFEST.format('{"name": "x"}', ""), "manifest.json, shard 1: no size; expected name, size, sha256"),
        (
            MANIFEST.format('{"name": "x", "size": "1", "sha256": ""}', ""),
            'shard 1: size is "1"; expected a whole number',
        ),
        (MANIFEST.format("", '"pubmed": {"documents": 1}'), "manifest.json, corpus pubmed: no sentences; expected"),
    ],
)
def test_a_bad_manifest(tmp_path, content, message):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=message):
        manifest.read(tmp_path)


def test_the_manifest_of_another_program_is_not_written_over(corpus, run_script, tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    result = run_script(*arguments(*corpus, tmp_path))
    assert result.returncode == 1
    assert "holds a manifest.json of something else" in result.stderr.splitlines()[-1]
    assert contents(tmp_path) == {"manifest.json": b'{"name": "web app"}'}


def test_a_finished_build_that_lost_a_shard_is_not_called_finished(corpus, built, run_script, tmp_path):
    shutil.copytree(built[0], tmp_path / "shards")
    lost = tmp_path / "shards" / built[1]["shards"][1]["name"]
    lost.unlink()
    result = run_script(*arguments(*corpus, tmp_path / "shards", "--num_shards=4", "--dupe_factor=2"))
    assert result.returncode == 1
    expected = f"error: {lost}: missing; remove manifest.json and build the shards again"
    assert result.stderr.splitlines()[-1] == expected


def test_names_that_are_not_utf8(corpus, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(path, "wb") as file:
        file.write(b"A document.\n")
    sources = Sources(text_files=(os.fsdecode(path),), reading=Reading(sentence_splitter="none"))
    (tmp_path / "out").mkdir()
    content = build(sources, corpus[1], str(tmp_path / "out"), 1)
    assert manifest.read(tmp_path / "out")["inputs"] == content["inputs"]
    assert os.fsencode(content["inputs"][0]["path"]) == path


def test_table_1(built):
    lines = manifest.report(built[1]).splitlines()
    assert lines[0].split() == ["Corpus", "words", "here", "in", "the", "paper", "domain"]
    assert lines[1].split() == ["English", "Wikipedia", "-", "2.5B", "General"]
    assert lines[3].split() == ["PubMed", "Abstracts", "79", "4.5B", "Biomedical"]
    assert lines[4].split() == ["PMC", "Full-text", "articles", "12", "13.5B", "Biomedical"]


def test_a_number_of_shards_of_a_handy_size():
    from data_prep.corpus.shards import Layout, choose_layout

    assert choose_layout(10, 1000, 10) == Layout(1, 1)
    # 30 GB of text, gone through 5 times, with about twice the bytes in records: 300 GB in files of some 100 MB, in
    # blocks of some 64 documents; nothing changes where a little is added.
    layout = choose_layout(25_000_000, 30e9, 5)
    assert 1500 <= layout.num_shards <= 6000
    assert 40 <= 25_000_000 / layout.num_shards / layout.num_blocks <= 100
    assert choose_layout(25_100_000, 30.1e9, 5) == layout


@pytest.mark.parametrize(("text", "is_warned_of"), [("One.\n\nTwo.\n", True), ("One.\n\nTwo.\nThree.\n", False)])
def test_documents_of_a_single_line_are_warned_of(corpus, run_script, tmp_path, text, is_warned_of):
    (tmp_path / "t.txt").write_text(text)
    result = run_script(
        *("-m", "data_prep.build_corpus", f"--text_files={tmp_path}/t.txt", "--text_format=sentences"),
        *(f"--vocab_file={corpus[1].vocab_file}", "--do_lower_case=false", "--split_long_lines=false"),
        *(f"--output_dir={tmp_path}/out", "--num_processes=1"),
    )
    assert result.returncode == 0, result.stderr
    assert ("all 2 documents are a single line" in result.stderr) == is_warned_of


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "nothing to do: expected --pubmed_files, --pmc_files or --text_files"),
        (("--verify",), "manifest.json: no manifest of pre-training shards"),
        (("--text_files=no/such*",), "no/such*: no such file"),
        (("--text_files=README.md",), "--vocab_file: expected the vocab.txt"),
        (
            ("--text_files=README.md", "--vocab_file=samples/vocab.txt", "--scheduler=no/file"),
            "--scheduler=no/file: no such",
        ),
    ],
)
def test_bad_commands(run_script, tmp_path, flags, message):
    result = run_script("-m", "data_prep.build_corpus", f"--output_dir={tmp_path}", *flags)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
