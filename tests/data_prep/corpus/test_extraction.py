"""data_prep/extraction.py: files to sentences on disk, the newest version of each document, resuming."""

import dataclasses
import os
import tarfile

import pytest

from common.errors import InputError
from common.files import locked
from common.parallel import Processes
from data_prep.corpus import external_sort, sources
from data_prep.corpus.external_sort import find_documents, read_in_order, read_texts, select_newest
from data_prep.corpus.extraction import extract, extract_to_file, remove_documents
from data_prep.corpus.sources import Reading, Sources
from data_prep.formats import pubmed_xml

HERE = Processes(1)
PARAGRAPHS = Reading(sentence_splitter="none")


def record(pmid, text, version=1):
    abstract = f"<Abstract><AbstractText>{text}</AbstractText></Abstract>" if text else ""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><Article>'
        f"<ArticleTitle>T{pmid}.</ArticleTitle>{abstract}</Article></MedlineCitation></PubmedArticle>"
    )


def deletion(*pmids):
    return "<DeleteCitation>" + "".join(f'<PMID Version="1">{pmid}</PMID>' for pmid in pmids) + "</DeleteCitation>"


FILES = {
    "pubmed24n0001.xml": record(1, "One old.") + record(2, "Two.") + record(3, "Three.") + record(4, "Four."),
    "pubmed24n0002.xml": record(5, "Five second.", 2) + record(6, ""),
    "pubmed24n0003.xml": record(1, "One new.") + record(5, "Five first.") + record(4, "") + deletion(3, 99),
}


@pytest.fixture
def pubmed(tmp_path):
    """Sources of three PubMed files: the second version of some records, and a deletion."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(f"<PubmedArticleSet>{content}</PubmedArticleSet>")
    return Sources(pubmed_files=tuple(str(tmp_path / name) for name in FILES), reading=PARAGRAPHS)


EXPECTED = ["T2.\nTwo.\n", "T5.\nFive second.\n", "T1.\nOne new.\n"]


def test_the_newest_version_counts_across_files(pubmed, tmp_path):
    summary = extract_to_file(pubmed, str(tmp_path / "out.txt"), num_processes=1)
    assert (tmp_path / "out.txt").read_text() == "\n".join(EXPECTED)
    assert summary == (
        f"3 files: 3 documents, 6 sentences written to {tmp_path}/out.txt; left out: replaced by a newer version (3), "
        "withdrawn (1), without abstract (2)"
    )


def test_two_processes_and_small_runs_make_the_same(pubmed, tmp_path, monkeypatch):
    monkeypatch.setattr(external_sort, "RUN_BYTES", 10)  # in this process only
    monkeypatch.setattr(external_sort, "IDS_AT_A_TIME", 2)
    for num_processes in (1, 2):
        output = tmp_path / f"{num_processes}.txt"
        extract_to_file(pubmed, str(output), num_processes)
        assert output.read_text() == "\n".join(EXPECTED)


def test_shards_part_the_documents(pubmed, tmp_path):
    work = str(tmp_path / "work")
    runs = extract(pubmed, work, HERE).runs
    assert select_newest(runs) == (3, sum(map(len, EXPECTED)), 3, 1)
    in_shards = [document for shard in range(5) for document in find_documents(runs, shard, shard + 1, 5)]
    assert sorted(text.decode() for _, text in read_texts(in_shards)) == sorted(EXPECTED)
    assert {(document.sentences, document.words) for document in in_shards} == {(2, 2), (2, 3)}
    assert in_shards == find_documents(runs, 0, 5, 5)


def test_finished_units_are_not_read_again(pubmed, tmp_path, monkeypatch):
    work = str(tmp_path / "work")
    extract(pubmed, work, HERE)
    before = list(read_in_order_of(pubmed, work))

    def fail(path, options):
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(pubmed_xml, "read_articles", fail)
    assert list(read_in_order_of(pubmed, work)) == before


def read_in_order_of(told, work):
    runs = extract(told, work, HERE).runs
    select_newest(runs)
    return read_in_order(runs)


def test_a_file_that_has_changed_is_read_again(pubmed, tmp_path):
    work = str(tmp_path / "work")
    extract(pubmed, work, HERE)
    path = pubmed.pubmed_files[1]
    with open(path, "w") as file:
        file.write(f"<PubmedArticleSet>{record(7, 'Seven.')}</PubmedArticleSet>")
    os.utime(path, ns=(1, 1))
    texts = [text.decode() for text in read_in_order_of(pubmed, work)]
    assert texts == ["T2.\nTwo.\n", "T7.\nSeven.\n", "T1.\nOne new.\n", "T5.\nFive first.\n"]


def test_with_more_files_these_alone_are_read(pubmed, tmp_path, monkeypatch):
    work = str(tmp_path / "work")
    extract(dataclasses.replace(pubmed, pubmed_files=pubmed.pubmed_files[1:]), work, HERE)
    read = []

    def note(path, options, original=pubmed_xml.read_articles):
        read.append(path)
        return original(path, options)

    monkeypatch.setattr(pubmed_xml, "read_articles", note)
    assert [text.decode() for text in read_in_order_of(pubmed, work)] == EXPECTED
    assert read == [pubmed.pubmed_files[0]]


def test_documents_that_were_read_otherwise_are_not_gone_on_with(pubmed, tmp_path):
    work = str(tmp_path / "work")
    extract(pubmed, work, HERE)
    other = dataclasses.replace(pubmed, reading=Reading(sentence_splitter="nupunkt"))
    expected = 'work: its documents were read with sentence_splitter "none", not "nupunkt"; expected'
    with pytest.raises(InputError, match=expected):
        extract(other, work, HERE)


def test_other_files_in_the_work_directory_are_left_alone(pubmed, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="work: holds other files .thesis.tex"):
        extract(pubmed, str(tmp_path / "work"), HERE)
    remove_documents(str(tmp_path / "work"))
    assert (tmp_path / "work" / "thesis.tex").exists()


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_a_damaged_file_of_the_work_directory(pubmed, tmp_path, suffix):
    work = str(tmp_path / "work")
    runs = extract(pubmed, work, HERE).runs
    select_newest(runs)
    damaged = f"{runs[0].path}{suffix}"
    os.truncate(damaged, 3)
    with pytest.raises(InputError, match=f"{damaged}: damaged; expected that the directory {work} is removed"):
        list(read_texts(find_documents(runs, 0, 1, 1)))


def test_bad_files_stop_or_are_skipped(pubmed, tmp_path):
    with open(pubmed.pubmed_files[1], "w") as file:
        file.write(f"<PubmedArticleSet>{record(7, 'Seven.')}")
    output = str(tmp_path / "out.txt")
    with pytest.raises(InputError, match=r"pubmed24n0002\.xml, line 1: not well-formed"):
        extract_to_file(pubmed, output, 1)
    assert not os.path.exists(output)
    # Nothing of the bad file is taken; and what was done before is not lost.
    skipping = Sources(pubmed_files=pubmed.pubmed_files, reading=Reading(sentence_splitter="none", skip_bad_files=True))
    assert "bad files (1)" in extract_to_file(skipping, output, 1)
    assert (tmp_path / "out.txt").read_text() == "T2.\nTwo.\n\nT1.\nOne new.\n\nT5.\nFive first.\n"


def test_articles_of_an_archive_in_parts(tmp_path, monkeypatch):
    names = [f"PMC{number}.nxml" for number in range(1, 10)]
    for name in names:
        (tmp_path / name).write_text(f"<article><body><p>Text {name[3:-5]}.</p></body></article>")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in names:
            archive.add(tmp_path / name, arcname=name)
    monkeypatch.setattr(sources, "ARCHIVE_PART_BYTES", os.path.getsize(tmp_path / "a.tar.gz") // 3)
    told = Sources(pmc_files=(str(tmp_path / "a.tar.gz"),), reading=PARAGRAPHS)
    assert len(sources.list_units(told)) == 4
    extract_to_file(told, str(tmp_path / "out.txt"), 1)
    documents = (tmp_path / "out.txt").read_text().split("\n\n")
    assert sorted(document.strip() for document in documents) == [f"Text {number}." for number in range(1, 10)]


def test_a_library_that_is_missing_is_no_bad_file(pubmed, tmp_path, monkeypatch):
    def fail(name):
        raise InputError(f"{name} is not installed")

    monkeypatch.setattr(sources, "_load_splitter", fail)
    skipping = dataclasses.replace(pubmed, reading=Reading(sentence_splitter="blingfire", skip_bad_files=True))
    with pytest.raises(InputError, match="blingfire is not installed"):
        extract_to_file(skipping, str(tmp_path / "out.txt"), 1)


def test_what_was_skipped_is_an_error_without_the_flag(pubmed, tmp_path):
    with open(pubmed.pubmed_files[1], "w") as file:
        file.write("<html/>")
    work = str(tmp_path / "work")
    extract(dataclasses.replace(pubmed, reading=Reading(sentence_splitter="none", skip_bad_files=True)), work, HERE)
    with pytest.raises(InputError, match=r"pubmed24n0002\.xml, line 1: root element html"):
        extract(pubmed, work, HERE)


def test_of_a_bad_text_nothing_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "TEXT_PART_BYTES", 20)
    (tmp_path / "bad.txt").write_bytes(b"The first document.\n\nThe second document.\n\nThe th\xffrd document.\n")
    (tmp_path / "good.txt").write_bytes(b"Good.\n")
    files = (str(tmp_path / "bad.txt"), str(tmp_path / "missing.txt"), str(tmp_path / "good.txt"))
    skipping = Sources(text_files=files, reading=Reading(sentence_splitter="none", skip_bad_files=True))
    assert len(sources.list_units(skipping)) == 6
    extracted = extract(skipping, str(tmp_path / "work"), HERE)
    (bad, missing) = extracted.bad_files
    assert "bad.txt, line 5: invalid UTF-8" in bad
    assert "missing.txt: " in missing
    select_newest(extracted.runs)
    assert list(read_in_order(extracted.runs)) == [b"Good.\n"]


def test_of_several_articles_in_a_file_the_last_version_counts(tmp_path):
    number = '<front><article-meta><article-id pub-id-type="pmc">7</article-id></article-meta></front>'
    articles = [f"<article>{number}<body><p>Version {i}.</p></body></article>" for i in range(6)]
    (tmp_path / "set.xml").write_text(f"<articles>{''.join(articles)}</articles>")
    told = Sources(pmc_files=(str(tmp_path / "set.xml"),), reading=PARAGRAPHS)
    extract_to_file(told, str(tmp_path / "out.txt"), 1)
    assert (tmp_path / "out.txt").read_text() == "Version 5.\n"


def test_bad_outputs(pubmed, tmp_path):
    with pytest.raises(InputError, match="is an input file as well"):
        extract_to_file(pubmed, pubmed.pubmed_files[1], 1)
    with pytest.raises(InputError, match="is a directory"):
        extract_to_file(pubmed, str(tmp_path), 1)


def test_a_directory_is_worked_in_by_one_process(tmp_path):
    work = str(tmp_path / "work")
    with locked(work), pytest.raises(InputError, match="work: another process works there"), locked(work):
        pass
    with locked(work):
        assert os.path.isdir(work)
