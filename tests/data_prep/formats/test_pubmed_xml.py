"""data_prep/pubmed_xml.py: PubMed XML to documents."""

import pytest

from benchmarks.pubmed_xml import write_pubmed_xml
from common.errors import InputError
from data_prep.formats.document import Article
from data_prep.formats.pubmed_xml import Options, file_order, read_articles

DOCTYPE = 'PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.example.org/pubmed.dtd"'
RECORDS = f"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet {DOCTYPE}>
<PubmedArticleSet>
  <PubmedArticle><MedlineCitation><PMID Version="1">11</PMID><Article>
    <ArticleTitle>Loss of <i>BRCA1</i> in
      CD4<sup>+</sup> cells.</ArticleTitle>
    <Abstract><AbstractText Label="AIM">To test p53.</AbstractText>
      <AbstractText Label="RESULTS">It fell (<i>P</i> &lt; 0.05). <!-- note -->None died.</AbstractText>
      <AbstractText/></Abstract>
    </Article><CommentsCorrectionsList><CommentsCorrections><PMID Version="1">99</PMID></CommentsCorrections>
    </CommentsCorrectionsList></MedlineCitation>
    <PubmedData><ReferenceList><Reference><ArticleTitle>Not this.</ArticleTitle></Reference></ReferenceList>
    </PubmedData></PubmedArticle>
  <PubmedArticle><MedlineCitation><PMID Version="1">12</PMID><Article>
    <ArticleTitle>A letter.</ArticleTitle></Article></MedlineCitation></PubmedArticle>
  <PubmedArticle><MedlineCitation><PMID Version="2">13</PMID><Article>
    <ArticleTitle>TNF-&#945;</ArticleTitle><Abstract><AbstractText>One. Two.</AbstractText></Abstract>
    </Article></MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""
EXPECTED = [
    Article("pubmed:11", 1, ("Loss of BRCA1 in CD4+ cells.", "To test p53.", "It fell (P < 0.05). None died.")),
    Article("pubmed:12", 1, (), "without abstract"),
    Article("pubmed:13", 2, ("TNF-α", "One. Two.")),
]
MATH = 'xmlns:mml="http://www.w3.org/1998/Math/MathML"'


@pytest.fixture
def xml(tmp_path):
    """Writes content to a file and returns its path as a string."""

    def write(content, name="x.xml"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(tmp_path / name)

    return write


@pytest.fixture
def read(xml):
    """Reads content as a file: a list of Article."""
    return lambda content, **options: [document for _, document in read_articles(xml(content), Options(**options))]


@pytest.fixture
def read_text(read):
    """Reads the content of an AbstractText."""
    return lambda content: read(article(abstract=f"<AbstractText>{content}</AbstractText>"))[0].paragraphs[1]


def citation(pmid="<PMID>1</PMID>", title="T.", abstract="<AbstractText>A.</AbstractText>", more="", others=""):
    return (
        f"<PubmedArticle><MedlineCitation>{pmid}<Article><ArticleTitle>{title}</ArticleTitle>"
        f"<Abstract>{abstract}</Abstract>{more}</Article>{others}</MedlineCitation></PubmedArticle>"
    )


def articles(*citations):
    return f"<!DOCTYPE PubmedArticleSet {DOCTYPE}><PubmedArticleSet>{''.join(citations)}</PubmedArticleSet>"


def article(**parts):
    return articles(citation(**parts))


# Records


def test_records(xml):
    assert list(read_articles(xml(RECORDS), Options())) == list(enumerate(EXPECTED))


def test_a_file_without_records(read):
    assert read("<PubmedArticleSet/>") == []


def test_titles_in_the_authors_language_and_copyright_are_left_out(read):
    parts = {
        "abstract": "<AbstractText>A.</AbstractText><CopyrightInformation>© All.</CopyrightInformation>",
        "more": "<VernacularTitle>Le T.</VernacularTitle>",
    }
    assert read(article(**parts)) == [Article("pubmed:1", 1, ("T.", "A."))]


@pytest.mark.parametrize("abstract", ["", "<AbstractText/>", "<AbstractText> \n </AbstractText>"])
def test_records_without_abstract(read, abstract):
    content = article(abstract=abstract)
    assert read(content) == [Article("pubmed:1", 1, (), "without abstract")]
    assert read(content, keep_without_abstract=True) == [Article("pubmed:1", 1, ("T.",))]


def test_records_without_title(read):
    assert read(article(title="")) == [Article("pubmed:1", 1, ("A.",))]
    assert read(article(title="[Not Available].")) == [Article("pubmed:1", 1, ("A.",))]
    empty = Article("pubmed:1", 1, (), "without abstract")
    assert read(article(title="", abstract=""), keep_without_abstract=True) == [empty]
    assert read(articles("<PubmedArticle><MedlineCitation><PMID>1</PMID></MedlineCitation></PubmedArticle>")) == [empty]


def test_the_layout_until_2016(read):
    content = (
        "<MedlineCitationSet><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T.</ArticleTitle>"
        "<Abstract><AbstractText>A.</AbstractText></Abstract></Article></MedlineCitation>"
        "<DeleteCitation><PMID>2</PMID></DeleteCitation></MedlineCitationSet>"
    )
    assert read(content) == [Article("pubmed:1", 1, ("T.", "A.")), Article("pubmed:2", 0, (), "deleted")]


# Text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("H<sub>2</sub>O", "H2O"),
        ("<b>In <i>E. coli</i> K<sub>12<sup>a</sup></sub></b> it <u>is</u>.", "In E. coli K12a it is."),
        ("<i>a</i> <i>b</i><i>c</i>", "a bc"),
        (" one\n\ttwo  three\u00a0four\u2009five ", "one two three four five"),
        ("β cell\u2028naïve", "β cell naïve"),
        ("a &lt;b&gt; &amp; &#x3b2; <![CDATA[<i>c</i> &amp;]]>", "a <b> & β <i>c</i> &amp;"),
        ("one<!-- note --> two<?note?> three", "one two three"),
        ("zero\u200bwidth soft\u00adhyphen", "zero\u200bwidth soft\u00adhyphen"),
    ],
)
def test_inline_tags_and_white_space(read_text, content, expected):
    assert read_text(content) == expected


def test_mathml_is_read_once(read_text):
    content = (
        f"If <mml:math {MATH}><mml:semantics><mml:mrow><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup>"
        "<mml:mo>=</mml:mo><mml:mn>1</mml:mn></mml:mrow>"
        '<mml:annotation encoding="application/x-tex">x^{2}=1</mml:annotation>'
        "<mml:annotation-xml><mml:apply><mml:ci>copy</mml:ci></mml:apply></mml:annotation-xml></mml:semantics>"
        f"</mml:math> holds. <DispFormula><mml:math {MATH}><mml:mi>y</mml:mi></mml:math></DispFormula> too."
    )
    assert read_text(content) == "If x2=1 holds. y too."


def test_named_entities_of_html_are_characters_and_others_stay(read_text):
    assert read_text("TNF-&alpha; &le; <i>&beta;1</i>&nbsp;&foo; end") == "TNF-α ≤ β1 &foo; end"


def test_declared_entities_are_neither_expanded_nor_fetched(read, tmp_path):
    (tmp_path / "secret").write_text("secret")
    entities = f'<!ENTITY lol "lollol"><!ENTITY bomb "&lol;&lol;"><!ENTITY file SYSTEM "{tmp_path}/secret">'
    content = RECORDS.replace(DOCTYPE, f"[{entities}]").replace("TNF-&#945;", "a &bomb; &file; b")
    assert read(content)[-1].paragraphs[0] == "a &bomb; &file; b"


# Sections and other abstracts

SECTIONS = """<AbstractText Label="OBJECTIVE" NlmCategory="BACKGROUND">One.</AbstractText>
<AbstractText Label=" MATERIALS AND&#10;METHODS: " NlmCategory="METHODS">Two.</AbstractText>
<AbstractText Label="UNASSIGNED" NlmCategory="UNASSIGNED">Three.</AbstractText>
<AbstractText Label="" NlmCategory="RESULTS">Four.</AbstractText>
<AbstractText NlmCategory="CONCLUSIONS">Five.</AbstractText>
<AbstractText Label="FUNDING"/>"""
OTHERS = """<OtherAbstract Type="plain-language-summary"><AbstractText Label="WHAT">Plain.</AbstractText>
<CopyrightInformation>Mine.</CopyrightInformation></OtherAbstract>
<OtherAbstract Type="Publisher" Language="fre"><AbstractText>Un.</AbstractText><AbstractText>Deux.</AbstractText>
</OtherAbstract>"""
FRENCH = "<Language>fre</Language>"
BOTH = "<Language>eng</Language><Language>fre</Language>"


def test_labels_of_sections(read):
    content = article(abstract=SECTIONS)
    assert read(content)[0].paragraphs == ("T.", "One.", "Two.", "Three.", "Four.", "Five.")
    assert read(content, section_labels=True)[0].paragraphs == (
        "T.",
        "OBJECTIVE: One.",
        "MATERIALS AND METHODS: Two.",
        "Three.",
        "Four.",
        "Five.",
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("T.", "A.")),
        ({"other_abstracts": True}, ("T.", "A.", "Plain.", "Un.", "Deux.")),
        ({"other_abstracts": True, "section_labels": True}, ("T.", "A.", "WHAT: Plain.", "Un.", "Deux.")),
        ({"other_abstracts": True, "languages": ("eng",)}, ("T.", "A.", "Plain.")),
        ({"other_abstracts": True, "languages": ("fre",)}, ("T.", "A.", "Un.", "Deux.")),
        ({"other_abstracts": True, "languages": ("eng", "fre")}, ("T.", "A.", "Plain.", "Un.", "Deux.")),
    ],
)
def test_other_abstracts(read, options, expected):
    assert read(article(more=BOTH, others=OTHERS), **options) == [Article("pubmed:1", 1, expected)]


def test_another_abstract_alone(read):
    content = article(abstract="", others=OTHERS)
    assert read(content) == [Article("pubmed:1", 1, (), "without abstract")]
    assert read(content, other_abstracts=True)[0].paragraphs == ("T.", "Plain.", "Un.", "Deux.")


@pytest.mark.parametrize(
    ("more", "languages", "is_kept"),
    [
        (FRENCH, (), True),
        (FRENCH, ("fre",), True),
        (FRENCH, ("eng",), False),
        (BOTH, ("eng",), True),
        (BOTH, ("ger", "fre"), True),
        (BOTH, ("ger",), False),
        ("", (), True),
        ("", ("eng",), False),
    ],
)
def test_languages(read, more, languages, is_kept):
    kept, left_out = Article("pubmed:1", 1, ("T.", "A.")), Article("pubmed:1", 1, (), "other language")
    assert read(article(more=more), languages=languages) == [kept if is_kept else left_out]


# Deletions, versions, books


def test_deletions_follow_the_records(xml):
    content = articles(
        '<DeleteCitation><PMID Version="1">5</PMID><PMID>6</PMID></DeleteCitation>',
        citation(pmid='<PMID Version="3">7</PMID>'),
    )
    assert list(read_articles(xml(content), Options())) == [
        (0, Article("pubmed:7", 3, ("T.", "A."))),
        (1, Article("pubmed:5", 1, (), "deleted")),
        (2, Article("pubmed:6", 0, (), "deleted")),
    ]


CHAPTER = """<BookDocument><PMID Version="1">21</PMID><Book><BookTitle>Book of <i>genes</i></BookTitle></Book>
<ArticleTitle>A chapter</ArticleTitle><Language>eng</Language><Abstract><AbstractText>Ch.</AbstractText></Abstract>
</BookDocument>"""
BOOK = """<BookDocument><PMID Version="2">22</PMID><Book><BookTitle>Book of <i>genes</i></BookTitle></Book>
<Abstract><AbstractText>B.</AbstractText></Abstract></BookDocument>"""
BOOKS = [Article("pubmed:21", 1, ("A chapter", "Ch.")), Article("pubmed:22", 2, ("Book of genes", "B."))]


@pytest.mark.parametrize("root", ["PubmedArticleSet", "PubmedBookArticleSet"])
def test_books(read, root):
    entries = "".join(f"<PubmedBookArticle>{book}<PubmedBookData/></PubmedBookArticle>" for book in (CHAPTER, BOOK))
    assert read(f"<{root}>{entries}</{root}>") == BOOKS


def test_a_set_of_books(read):
    deletion = "<DeleteDocument><PMID>23</PMID></DeleteDocument>"
    content = f"<BookDocumentSet>{CHAPTER}{BOOK}{deletion}</BookDocumentSet>"
    assert read(content) == [*BOOKS, Article("pubmed:23", 0, (), "deleted")]
    assert [document.left_out for document in read(content, languages=("eng",))] == ["", "other language", "deleted"]


# Bad files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "<eFetchResult/>",
            "root element eFetchResult; expected PubmedArticleSet or",
        ),
        (RECORDS.replace("</AbstractText></Abstract>", "</Abstract>"), "not well-formed XML: Opening and ending tag"),
        (RECORDS.replace("utf-8", "klingon-8"), "not well-formed XML: .*klingon-8$"),
    ],
)
def test_bad_files(xml, content, message):
    with pytest.raises(InputError, match=rf"x\.xml, line \d+: {message}"):
        list(read_articles(xml(content), Options()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (article(pmid=""), "MedlineCitation with PMID ''; expected a number"),
        (article(pmid="<PMID>x1</PMID>"), "MedlineCitation with PMID 'x1'; expected a number"),
        (article(pmid='<PMID Version="b">1</PMID>'), "MedlineCitation with PMID 1, version 'b'; expected a number"),
        (
            article(pmid=f'<PMID Version="{10**20}">1</PMID>'),
            f"MedlineCitation with PMID 1, version '{10**20}'; expected",
        ),
        (articles("<DeleteCitation><PMID/></DeleteCitation>"), "DeleteCitation with PMID ''; expected a number"),
        (articles("<PubmedArticle/>"), "PubmedArticle without a record; expected MedlineCitation or BookDocument"),
        (articles(citation(), "<PubmedBookArticle/>"), "PubmedBookArticle without a record"),
    ],
)
def test_bad_records(xml, content, message):
    with pytest.raises(InputError, match=rf"x\.xml, line 2: {message}"):
        list(read_articles(xml("\n" + content), Options()))


# Files


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            ["up/pubmed24n1220.xml.gz", "base/pubmed24n0002.xml.gz", "medline17n1300.xml", "base/pubmed24n0001.xml"],
            ["medline17n1300.xml", "base/pubmed24n0001.xml", "base/pubmed24n0002.xml.gz", "up/pubmed24n1220.xml.gz"],
        ),
        (["pubmed24n9999.xml", "pubmed24n10000.xml"], ["pubmed24n9999.xml", "pubmed24n10000.xml"]),
        (["b/pubmed24n0001.xml", "a/pubmed24n0001.xml"], ["b/pubmed24n0001.xml", "a/pubmed24n0001.xml"]),
        (["pubmed24n0002.xml", "medsamp2016a.xml", "pubmed24n0001.xml"], None),
        (["pubmed24n0002.xml", "pubmed24n0001.xml.gz.md5"], None),
        ([], None),
    ],
)
def test_order_of_files(paths, expected):
    assert file_order(paths) == (paths if expected is None else expected)


# Real and sample records


def test_a_real_record(shared):
    path = str(shared / "data/pubmed/pubmed-29768149.xml")
    ((number, document),) = read_articles(path, Options(section_labels=True, languages=("eng",)))
    title, *sections = document.paragraphs
    assert (number, document.id, document.version, document.left_out) == (0, "pubmed:29768149", 1, "")
    assert title == "Inhaled Combined Budesonide-Formoterol as Needed in Mild Asthma."
    assert [s.split()[:2] for s in sections] == [
        ["BACKGROUND:", "In"],
        ["METHODS:", "We"],
        ["RESULTS:", "A"],
        ["CONCLUSIONS:", "In"],
    ]
    # In this file a line break stands between the letter and its index.
    assert "fast-acting β 2-agonist may be" in sections[0]


def test_the_sample(repository):
    documents = [d for _, d in read_articles(str(repository / "samples/pubmed_sample.xml"), Options())]
    assert len(documents) == 60
    assert [d.left_out for d in documents].count("without abstract") == 1
    assert documents[0].paragraphs[0] == "KRAS and the risk of arthropathy."


def test_the_benchmarks_file(tmp_path):
    path, again = (str(tmp_path / name) for name in ("a.xml.gz", "b.xml"))
    abstracts = ["A title. One sentence of <it> & more. Two."] * 40
    for name in (path, again):
        assert write_pubmed_xml(name, abstracts, seed=1, first_pmid=100, num_deleted=3) == 40
    documents = list(read_articles(path, Options()))
    assert documents == list(read_articles(again, Options()))
    assert [d.id for _, d in documents][:2] == ["pubmed:100", "pubmed:101"]
    assert [d.left_out for _, d in documents].count("deleted") == 3
    kept = [d.paragraphs for _, d in documents if not d.left_out]
    assert 25 <= len(kept) < 40
    assert {" ".join(paragraphs) for paragraphs in kept} == {"A title. One sentence of <it> & more. Two."}
