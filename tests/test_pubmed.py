"""PubMed XML to sentences."""

import gzip

import pytest

from common.errors import InputError
from data_prep import pubmed

XML = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://example.org/pubmed.dtd">
<PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID Version="1">11</PMID><Article>
<ArticleTitle>Loss of <i>BRCA1</i>
 in mice.</ArticleTitle>
<Abstract>
<AbstractText Label="AIM">Uptake of Ca<sup>2+</sup> &lt; 5 mM.</AbstractText>
<AbstractText Label="RESULT">It rose. It fell.</AbstractText>
<AbstractText/>
</Abstract></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID Version="1">12</PMID><Article>
<ArticleTitle>Without abstract.</ArticleTitle></Article></MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""


@pytest.fixture
def xml(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(XML)
    return path


def test_title_and_sections_with_their_inline_text(xml, tmp_path):
    expected = [
        pubmed.Record("11", "Loss of BRCA1 in mice.", ["Uptake of Ca2+ < 5 mM.", "It rose. It fell."]),
        pubmed.Record("12", "Without abstract.", []),
    ]
    assert list(pubmed.read_records(str(xml))) == expected
    compressed = tmp_path / "a.xml.gz"
    compressed.write_bytes(gzip.compress(xml.read_bytes()))
    assert list(pubmed.read_records(str(compressed))) == expected


def test_a_sentence_a_line_and_a_blank_line_after_each_record(xml, tmp_path, run_script):
    output = tmp_path / "out.txt"
    result = run_script("-m", "data_prep.pubmed", f"--input_file={xml}", f"--output_file={output}")
    assert result.returncode == 0, result.stderr
    assert output.read_text() == "Loss of BRCA1 in mice.\nUptake of Ca2+ < 5 mM.\nIt rose.\nIt fell.\n\n"
    assert "1 records, 4 sentences; 1 records without an abstract left out" in result.stdout


def test_a_real_record(shared):
    (record,) = pubmed.read_records(str(shared / "data/pubmed/pubmed-29768149.xml"))
    assert record.pmid == "29768149"
    assert record.title.startswith("Inhaled Combined Budesonide-Formoterol as Needed in Mild Asthma")
    assert record.abstract
    assert not any("<" in text or "\n" in text for text in (record.title, *record.abstract))


def message(path):
    with pytest.raises(InputError) as error:
        list(pubmed.read_records(str(path)))
    return str(error.value)


def test_says_what_is_wrong_where(xml, tmp_path):
    broken = tmp_path / "broken.xml"
    broken.write_text(XML.replace("</Abstract>", ""))
    assert message(broken).startswith(f"{broken}, line 11: not well-formed XML")
    truncated = tmp_path / "a.xml.gz"
    truncated.write_bytes(gzip.compress(XML.encode())[:-30])
    assert f"{truncated}" in message(truncated)
    assert "cannot be read" in message(tmp_path / "missing.xml")


def test_entities_are_not_expanded(tmp_path):
    path = tmp_path / "bomb.xml"
    path.write_text(
        '<!DOCTYPE x [<!ENTITY a "AAAA"><!ENTITY f SYSTEM "file:///etc/hostname">]><PubmedArticleSet>'
        "<PubmedArticle><ArticleTitle>b&a;c&f;d</ArticleTitle></PubmedArticle></PubmedArticleSet>"
    )
    (record,) = pubmed.read_records(str(path))
    assert "AAAA" not in record.title
    assert record.title.startswith("b")
    assert record.title.endswith("d")
