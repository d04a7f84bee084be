"""PubMed records and PMC articles, from files, archives and standard input."""

import gzip
import io
import sys
import tarfile

import pytest
from lxml import etree

from common.errors import InputError
from data_prep.formats import table


def read_pmc(path, bad_document):
    return table.read_documents(path, "pmc", bad_document)


def read_pubmed(path, bad_document):
    return table.read_documents(path, "pubmed", bad_document)


RECORD = """<PubmedArticle><MedlineCitation><PMID Version="1">{}</PMID><Article>
<ArticleTitle>{}</ArticleTitle>{}</Article></MedlineCitation></PubmedArticle>"""
ABSTRACT = "<Abstract>{}</Abstract>"
SECTION = "<AbstractText>{}</AbstractText>"
BOOK = """<PubmedBookArticle><BookDocument><PMID>77</PMID><Book><BookTitle>A book</BookTitle></Book>
<Abstract><AbstractText>On <i>genes</i>.</AbstractText></Abstract></BookDocument></PubmedBookArticle>"""
ARTICLE = """<article><front><article-meta>{}<title-group><article-title>A title</article-title></title-group>
</article-meta></front><body><p>The body.</p></body></article>"""
PMC_ID = '<article-id pub-id-type="pmc">1234</article-id>'


@pytest.fixture
def read(tmp_path):
    """Writes a file and reads it; returns documents and messages, without the directory."""

    def run(reader, content, name="a.xml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        messages = []
        documents = list(reader(str(path), messages.append))
        return documents, [message.replace(f"{tmp_path}/", "") for message in messages]

    return run


def pubmed(*records):
    return "<PubmedArticleSet>\n" + "\n".join(records) + "\n</PubmedArticleSet>"


# PubMed


def test_titles_and_sections(read):
    records = (
        RECORD.format(
            11, "IL-2 &amp; <i>E.\n coli</i>.", ABSTRACT.format(SECTION.format("One.") + SECTION.format("β"))
        ),
        RECORD.format(12, "[Not Available].", ABSTRACT.format(SECTION.format("An abstract."))),
        RECORD.format(13, "A title alone", ""),
        RECORD.format(14, "", ""),
        BOOK,
        "<DeleteCitation><PMID>11</PMID></DeleteCitation>",
    )
    documents, messages = read(read_pubmed, pubmed(*records))
    assert [(d.id, d.text, d.paragraphs, d.kinds) for d in documents] == [
        ("11", "IL-2 & E. coli.\nOne.\nβ", ((0, 15), (16, 20), (21, 22)), ("title", "abstract", "abstract")),
        ("12", "An abstract.", ((0, 12),), ("abstract",)),
        ("13", "A title alone", ((0, 13),), ("title",)),
        ("14", "", (), ()),
        ("77", "A book\nOn genes.", ((0, 6), (7, 16)), ("title", "abstract")),
    ]
    assert documents[1].source.endswith("/a.xml, line 5")
    assert not messages


def test_bad_records_are_left_out(read):
    records = (RECORD.format("x", "One", ""), "<PubmedArticle/>", RECORD.format(3, "Three", ""))
    documents, messages = read(read_pubmed, pubmed(*records))
    assert [document.id for document in documents] == ["3"]
    assert messages == [
        "a.xml, line 2: MedlineCitation with PMID 'x'; expected a number",
        "a.xml, line 4: PubmedArticle without a record; expected MedlineCitation or BookDocument",
    ]


def test_a_truncated_file_gives_what_was_before(tmp_path):
    content = pubmed(*(RECORD.format(number, f"Title {number}", "") for number in range(1, 2001)))
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(content[: len(content) // 2].encode()))
    documents = []
    with pytest.raises(InputError, match=r"a\.xml\.gz, line \d+: not well-formed XML"):
        documents.extend(read_pubmed(str(tmp_path / "a.xml.gz"), None))
    assert documents[0].text == "Title 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: not well-formed XML"),
        ("plain text", "line 1: not well-formed XML"),
        ("<html><body/></html>", "root element html; expected PubmedArticleSet or"),
        (b"\x00\x01\x02", "line 1: not well-formed XML"),
    ],
)
def test_a_file_that_is_not_pubmed(read, content, message):
    with pytest.raises(InputError, match=f"a.xml, .*{message}"):
        read(read_pubmed, content)


def test_the_record_of_pubmed(shared):
    path = str(shared / "data/pubmed/pubmed-29768149.xml")
    (document,) = read_pubmed(path, None)
    article = etree.parse(path).find(".//Article")
    texts = [" ".join("".join(e.itertext()).split()) for e in article.iter("ArticleTitle", "AbstractText")]
    assert document.id == "29768149"
    assert [document.text[start:end] for start, end in document.paragraphs] == texts


# PMC


def test_articles_of_a_file(read):
    articles = f"<articles>{ARTICLE.format(PMC_ID)}{ARTICLE.format('')}</articles>"
    documents, _ = read(read_pmc, articles, "a.nxml")
    assert [(d.id, d.text, d.paragraphs) for d in documents] == [
        ("PMC1234", "A title\nThe body.", ((0, 7), (8, 17))),
        ("a.nxml:2", "A title\nThe body.", ((0, 7), (8, 17))),
    ]


def test_an_article_in_the_envelope_of_pmc_s_oai_service(tmp_path):
    jats = '<article xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/">'
    (tmp_path / "a.xml").write_text(
        '<?xml version="1.0"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>2026-01-01T00:00:00Z'
        '</responseDate><request verb="GetRecord">https://pmc.ncbi.nlm.nih.gov/api/oai/v1/mh/</request><GetRecord>'
        "<record><header><identifier>oai:pubmedcentral.nih.gov:1234</identifier></header><metadata>"
        f"{jats}{ARTICLE.format(PMC_ID).removeprefix('<article>')}"
        "</metadata></record></GetRecord></OAI-PMH>"
    )
    (document,) = table.read_documents(str(tmp_path / "a.xml"), "auto", pytest.fail)
    assert (document.id, document.text) == ("PMC1234", "A title\nThe body.")


def test_a_bad_article_of_an_archive_is_left_out(read):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in (("a.nxml", ARTICLE.format("")[:-9]), ("b.nxml", ARTICLE.format(PMC_ID))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    documents, messages = read(read_pmc, buffer.getvalue(), "a.tar.gz")
    assert [document.id for document in documents] == ["PMC1234"]
    assert len(messages) == 1
    assert messages[0].startswith("a.tar.gz, a.nxml, line 2: not well-formed XML")
    documents, messages = read(read_pmc, buffer.getvalue()[:-20], "a.tar.gz")
    assert messages[-1].startswith("a.tar.gz: truncated or corrupt archive")


def test_a_file_that_is_no_article(read):
    with pytest.raises(InputError, match="a.nxml, line 1: root element html; expected article"):
        read(read_pmc, "<html/>", "a.nxml")


def test_an_article_of_pmc(shared):
    (document,) = read_pmc(str(shared / "data/pmc/PMC1084331.nxml"), None)
    paragraphs = [document.text[start:end] for start, end in document.paragraphs]
    assert document.text == "\n".join(paragraphs)
    plain = (shared / "data/pmc/PMC1084331.txt").read_text()
    assert paragraphs[0] == plain.split("\n")[0]  # CRAFT's text, made of the same article by others
    assert sum(paragraph in plain for paragraph in paragraphs) > 0.5 * len(paragraphs)


# Standard input


def test_standard_input(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))

    give(gzip.compress(pubmed(RECORD.format(1, "One", ""), RECORD.format("x", "", "")).encode()))
    messages = []
    (document,) = read_pubmed("-", messages.append)
    assert (document.text, document.source) == ("One", "standard input, line 2")
    assert messages == ["standard input, line 4: MedlineCitation with PMID 'x'; expected a number"]
    give(b"<PubmedArticleSet>")
    with pytest.raises(InputError, match="^standard input, line 1: not well-formed XML"):
        list(read_pubmed("-", None))
