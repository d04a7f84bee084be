"""data_prep/pubmed.py: PubMed XML to sentences."""

import gzip
import io
import re
import sys

import pytest

from common.errors import InputError
from data_prep.pubmed import Counts, Record, read_records, write_text

needs_nupunkt = pytest.mark.skipif(sys.version_info < (3, 11), reason="nupunkt needs Python 3.11")

RECORDS = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.example.org/pubmed.dtd">
<PubmedArticleSet>
  <PubmedArticle><MedlineCitation><PMID Version="1">11</PMID><Article>
    <ArticleTitle>Loss of <i>BRCA1</i> in
      CD4<sup>+</sup> cells.</ArticleTitle>
    <Abstract><AbstractText Label="AIM">To test p53.</AbstractText>
      <AbstractText Label="RESULTS">It fell (<i>P</i> &lt; 0.05). <!-- note -->None died.</AbstractText>
      <AbstractText/></Abstract>
    </Article></MedlineCitation>
    <PubmedData><ReferenceList><Reference><ArticleTitle>Not this.</ArticleTitle></Reference></ReferenceList>
    </PubmedData></PubmedArticle>
  <PubmedArticle><MedlineCitation><PMID Version="1">12</PMID><Article>
    <ArticleTitle>A letter.</ArticleTitle></Article></MedlineCitation></PubmedArticle>
  <PubmedArticle><MedlineCitation><PMID Version="1">13</PMID><Article>
    <ArticleTitle>TNF-&#945;</ArticleTitle><Abstract><AbstractText>One. Two.</AbstractText></Abstract>
    </Article></MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""
EXPECTED = [
    Record("11", "Loss of BRCA1 in CD4+ cells.", ["To test p53.", "It fell (P < 0.05). None died."]),
    Record("12", "A letter.", []),
    Record("13", "TNF-α", ["One. Two."]),
]


@pytest.fixture
def xml(tmp_path):
    """Writes content to a file and returns its path as a string."""

    def write(content, name="x.xml"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(tmp_path / name)

    return write


def test_records(xml):
    assert list(read_records(xml(RECORDS))) == EXPECTED


def test_gzip(xml):
    assert list(read_records(xml(gzip.compress(RECORDS.encode()), "x.xml.gz"))) == EXPECTED


def test_a_file_without_records(xml):
    assert list(read_records(xml("<PubmedArticleSet/>"))) == []


def test_entities_are_neither_expanded_nor_fetched(xml, tmp_path):
    (tmp_path / "secret").write_text("secret")
    entities = f'<!ENTITY lol "lollol"><!ENTITY bomb "&lol;&lol;"><!ENTITY file SYSTEM "{tmp_path}/secret">'
    text = RECORDS.replace(
        'PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.example.org/pubmed.dtd"', f"[{entities}]"
    )
    path = xml(text.replace("TNF-&#945;", "a &bomb; &file; b"))
    title = list(read_records(path))[-1].title
    assert "lollol" not in title
    assert "secret" not in title


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.xml",
            RECORDS.replace("</AbstractText></Abstract>", "</Abstract>"),
            r"x\.xml, line 16: not well-formed XML",
        ),
        ("x.xml", RECORDS[:900], r"x\.xml, line \d+: not well-formed XML"),
        ("x.xml", "", r"x\.xml, line 1: not well-formed XML"),
        ("x.xml", "<html>\n</html>", r"x\.xml, line 1: root element html; expected PubmedArticleSet"),
        ("x.xml.gz", gzip.compress(RECORDS.encode())[:-30], r"x\.xml\.gz: cannot be read \(Compressed file ended"),
        ("x.xml.gz", b"no archive", r"x\.xml\.gz: cannot be read \(Not a gzipped file"),
    ],
)
def test_bad_files(xml, name, content, message):
    with pytest.raises(InputError, match=message):
        list(read_records(xml(content, name)))


def test_a_missing_file():
    with pytest.raises(InputError, match=r"no/such\.xml: cannot be read \(No such file"):
        list(read_records("no/such.xml"))


def test_text_of_records():
    output = io.StringIO()
    counts = write_text(EXPECTED, output, lambda text: [m.span() for m in re.finditer(r"\S.*?(\.(?= |$)|$)", text)])
    assert counts == Counts(documents=2, sentences=7, without_abstract=1)
    assert output.getvalue() == (
        "Loss of BRCA1 in CD4+ cells.\nTo test p53.\nIt fell (P < 0.05).\nNone died.\n\nTNF-α\nOne.\nTwo.\n"
    )


@needs_nupunkt
def test_program(run_script, xml, tmp_path):
    paths = [xml(RECORDS, "a.xml"), xml(gzip.compress(RECORDS.encode()), "b.xml.gz")]
    output = tmp_path / "out.txt"
    result = run_script("-m", "data_prep.pubmed", f"--input_file={','.join(paths)}", f"--output_file={output}")
    assert result.returncode == 0, result.stderr
    assert "2 files: 4 documents, 14 sentences written" in result.stdout
    assert "2 records without abstract left out" in result.stdout
    assert output.read_text(encoding="utf-8").startswith("Loss of BRCA1 in CD4+ cells.\nTo test p53.\nIt fell")
    assert output.read_text(encoding="utf-8").count("\n\n") == 3


@needs_nupunkt
def test_program_keeps_what_was_written(run_script, xml, tmp_path):
    output = tmp_path / "out.txt"
    output.write_text("before")
    path = xml(RECORDS[:900])
    result = run_script("-m", "data_prep.pubmed", f"--input_file={path}", f"--output_file={output}")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {path}, line ")
    assert "Traceback" not in result.stderr
    assert output.read_text() == "before"


def test_a_real_record(shared):
    (record,) = read_records(str(shared / "data/pubmed/pubmed-29768149.xml"))
    assert record.pmid == "29768149"
    assert record.title == "Inhaled Combined Budesonide-Formoterol as Needed in Mild Asthma."
    assert [section.split()[0] for section in record.abstract] == ["In", "We", "A", "In"]
    # In this file a line break stands between the letter and its index.
    assert "fast-acting β 2-agonist may be" in record.abstract[0]


def test_the_sample(repository):
    records = list(read_records(str(repository / "samples/pubmed_sample.xml")))
    assert len(records) == 60
    assert [len(record.abstract) for record in records].count(0) == 1
