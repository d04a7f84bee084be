"""data_prep/pubmed.py: the program from PubMed XML to sentences; its parts are tested by themselves."""

import gzip

import pytest

from tests.data_prep.formats.test_pubmed_xml import BOTH, OTHERS, RECORDS, SECTIONS, articles, citation


@pytest.fixture
def pubmed(run_script, tmp_path):
    """Runs the program on files, given as `{name: content}`, and returns the finished process."""

    def run(files, *flags):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        paths = ",".join(str(tmp_path / name) for name in files)
        return run_script(
            "-m", "data_prep.pubmed", f"--input_file={paths}", f"--output_file={tmp_path}/out.txt", *flags
        )

    return run


def test_sentences(pubmed, tmp_path):
    result = pubmed({"a.xml": RECORDS})
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == (
        "Loss of BRCA1 in CD4+ cells.\nTo test p53.\nIt fell (P < 0.05).\nNone died.\n\nTNF-α\nOne.\nTwo.\n"
    )
    assert result.stdout == (
        f"1 files: 2 documents, 7 sentences written to {tmp_path}/out.txt; left out: without abstract (1)\n"
    )


def test_baseline_and_updates(pubmed, tmp_path):
    """Given in the wrong order; the names of NLM say which is newer."""
    update = citation(pmid='<PMID Version="1">11</PMID>', title="New.") + (
        '<DeleteCitation><PMID Version="2">13</PMID></DeleteCitation>'
    )
    files = {"pubmed24n1220.xml": articles(update), "pubmed24n0001.xml.gz": gzip.compress(RECORDS.encode())}
    result = pubmed(files, "--num_processes=2")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.txt").read_text() == "New.\nA.\n"
    assert "left out: replaced by a newer version (1), withdrawn (1), without abstract (1)" in result.stdout


def test_what_was_written_before_is_kept(pubmed, tmp_path):
    (tmp_path / "out.txt").write_text("before")
    result = pubmed({"a.xml": RECORDS, "b.xml": RECORDS[:900]})
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {tmp_path}/b.xml, line ")
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out.txt").read_text() == "before"


def test_bad_files_are_skipped_and_named(pubmed, tmp_path):
    files = {"a.xml.gz": gzip.compress(RECORDS.encode())[:-20], "b.xml": articles(citation()), "c.xml": "<html/>"}
    result = pubmed(files, "--bad_files=skip")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.txt").read_text() == "T.\nA.\n"
    assert "left out: bad files (2)" in result.stdout
    assert f"skipped: {tmp_path}/a.xml.gz: cannot be read" in result.stderr
    assert f"skipped: {tmp_path}/c.xml, line 1: root element html" in result.stderr


def test_flags(pubmed, tmp_path):
    content = articles(citation(abstract=SECTIONS, more=BOTH, others=OTHERS), citation("<PMID>2</PMID>", abstract=""))
    given = "--section_labels", "--other_abstracts", "--languages=fre,spa", "--keep_without_abstract"
    result = pubmed({"a.xml": content}, *given)
    assert result.returncode == 0, result.stderr
    assert "1 files: 1 documents, 8 sentences written" in result.stdout
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[:2] == ["T.", "OBJECTIVE: One."]
    assert lines[-2:] == ["Un.", "Deux."]
    result = pubmed({"a.xml": content}, "--languages=en")
    assert result.returncode == 1
    assert "expected codes of three small letters as PubMed has them, such as eng,fre" in result.stderr
