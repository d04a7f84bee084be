"""data_prep/jats.py: the text of one article."""

import pytest
from lxml import etree

from common.errors import InputError
from common.xml_elements import SAFE
from data_prep.formats.jats import read_id, read_paragraphs

DOCTYPE = '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.3//EN" "JATS-archivearticle1.dtd">'


def parse(text):
    return etree.fromstring(text, etree.XMLParser(**SAFE))


def paragraphs_of_body(body, back_matter=False):
    text = f'<article xmlns:mml="http://www.w3.org/1998/Math/MathML"><body>{body}</body></article>'
    return read_paragraphs(parse(DOCTYPE + text), back_matter)


ARTICLE = """<article xmlns:xlink="http://www.w3.org/1999/xlink">
<front>
  <journal-meta><journal-title>Journal</journal-title></journal-meta>
  <article-meta>
    <article-id pub-id-type="pmid">22</article-id><article-id pub-id-type="pmc">333</article-id>
    <title-group><article-title>Loss of <italic>p53</italic>
       in CD4<sup>+</sup> cells</article-title><subtitle>A trial</subtitle>
       <alt-title>Running head</alt-title><trans-title-group><trans-title>Titel</trans-title></trans-title-group>
    </title-group>
    <contrib-group><contrib><name><surname>Author</surname></name></contrib><aff>Place</aff></contrib-group>
    <author-notes><corresp>Mail</corresp><fn fn-type="con"><p>Note</p></fn></author-notes>
    <permissions><license><license-p>Licence</license-p></license></permissions>
    <abstract><object-id>10.1/x</object-id><sec><title>Aim</title><p>To test.</p></sec>
      <sec><title>Results</title><p>It fell.</p></sec></abstract>
    <abstract abstract-type="toc"><p>Teaser</p></abstract>
    <abstract abstract-type="summary"><title>Author Summary</title><p>In plain words.</p></abstract>
    <trans-abstract xml:lang="de"><p>Auszug</p></trans-abstract>
    <kwd-group><kwd>keyword</kwd></kwd-group>
  </article-meta>
</front>
<body><sec id="s1"><label>1.</label><title>Methods</title><p>First.</p>
  <sec><title>Mice</title><p>Second.</p></sec></sec></body>
<back>
  <ack><title>Thanks</title><p>To all.</p></ack>
  <glossary><def-list><def-item><term>ES</term><def><p>embryonic stem</p></def></def-item>
    <def-item><term>P</term><def><p>postnatal day</p></def></def-item></def-list></glossary>
  <fn-group><fn fn-type="con"><p>AB wrote it.</p></fn><fn fn-type="COI-statement"><p>None.</p></fn>
    <fn><p>Footnote</p></fn><fn fn-type="other"><p>Other</p></fn></fn-group>
  <sec sec-type="display-objects"><title>Figures</title>
    <fig><label>Figure 1</label><caption><title>Survival</title><p>Bars: SEM.</p></caption>
      <graphic xlink:href="x"><alt-text>picture</alt-text></graphic></fig></sec>
  <app-group><app><title>Appendix</title><p>Proof.</p></app></app-group>
  <ref-list><title>References</title><ref><mixed-citation>Cited</mixed-citation></ref></ref-list>
</back>
<floats-group><table-wrap><label>Table 1</label><caption><p>Doses</p></caption><table><tr><td>cell</td></tr></table>
  <table-wrap-foot><fn><p>Below</p></fn></table-wrap-foot></table-wrap></floats-group>
<sub-article><front-stub><title-group><article-title>Review</article-title></title-group></front-stub>
  <body><p>Reviewed.</p></body></sub-article>
<response><body><p>Answer.</p></body></response>
</article>"""
FRONT_AND_BODY = ["Loss of p53 in CD4+ cells", "A trial", "Aim", "To test.", "Results", "It fell."] + [
    "Author Summary",
    "In plain words.",
    "1. Methods",
    "First.",
    "Mice",
    "Second.",
]
FIGURE = ["Figure 1", "Survival", "Bars: SEM."]
TABLE = ["Table 1", "Doses", "Below"]
BACK = ["Thanks", "To all.", "ES embryonic stem", "P postnatal day", "AB wrote it.", "None.", "Other", "Figures"]


def test_an_article():
    assert list(read_paragraphs(parse(ARTICLE), back_matter=False)) == FRONT_AND_BODY + FIGURE + TABLE


def test_back_matter():
    expected = FRONT_AND_BODY + BACK + FIGURE + ["Appendix", "Proof."] + TABLE
    assert list(read_paragraphs(parse(ARTICLE), back_matter=True)) == expected


def test_namespaces_make_no_difference():
    text = ARTICLE.replace("<article ", '<article xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/" ')
    assert read_paragraphs(parse(text), True) == read_paragraphs(parse(ARTICLE), True)
    assert read_id(parse(text)) == ("pmc:PMC333", 1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "<p>CD4<sup>+</sup> and H<sub>2</sub>O, <italic>in <bold>vi</bold>vo</italic>.</p>",
            ["CD4+ and H2O, in vivo."],
        ),
        ("<p>seen [<xref>1</xref>,<xref>2</xref>] in <named-content>Mus</named-content>.</p>", ["seen [1,2] in Mus."]),
        ("<p>see <ext-link>www.x.org</ext-link>;\n <email>a@b.org</email></p>", ["see www.x.org; a@b.org"]),
        ("<p>one<break/>two<!-- no --> three<?pi x?> four</p>", ["one two three four"]),
        ("<p>a&#x2009;b&#xa0;c &lt; &#945;&amp;<![CDATA[<d>]]></p>", ["a b c < α&<d>"]),
        ("<p>as <inline-formula><mml:math><mml:mi>x</mml:mi></mml:math></inline-formula>, so</p>", ["as , so"]),
        ("<p>10<inline-formula><tex-math>x</tex-math></inline-formula>cells</p>", ["10 cells"]),
        ("<p>CD4<fn><p>note</p></fn>, <abbrev>ER<def><p>reticulum</p></def></abbrev></p>", ["CD4, ER"]),
        (
            "<p>a <alternatives><inline-graphic/><textual-form>α</textual-form></alternatives> chain</p>",
            ["a α chain"],
        ),
        ("<p>strange <unheard-of>element</unheard-of>s</p>", ["strange elements"]),
        ("<p/><p> </p><sec><title/></sec><p>x</p>", ["x"]),
        # The raised number of a reference is no part of the word, and a sign of a footnote is nothing.
        (
            '<p>cells<sup><xref ref-type="bibr">12</xref></sup> die [<xref ref-type="bibr">3</xref>].</p>',
            ["cells 12 die [3]."],
        ),
        ('<p>cells<xref ref-type="fn">*</xref> die (<xref ref-type="fig">Fig. 1</xref>b)</p>', ["cells die (Fig. 1b)"]),
    ],
)
def test_inline_elements(body, expected):
    assert list(paragraphs_of_body(body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<sec><title>One</title><p>two</p></sec><sec><title>Three</title></sec>", ["One", "two", "Three"]),
        (
            "<p>These:<list><list-item><p>a</p></list-item><list-item><p>b</p></list-item></list>and so on.</p>",
            ["These:", "a", "b", "and so on."],
        ),
        (
            "<list><list-item><label>1.</label><p>a</p><p>b</p></list-item></list><p>c</p>",
            ["1. a", "b", "c"],
        ),
        ("<p>so<disp-formula><label>(1)</label>x=y</disp-formula>where</p>", ["so", "where"]),
        ("<p>thus<disp-formula>x</disp-formula>.</p>", ["thus"]),
        ("<p>said<disp-quote><p>word</p><attrib>Who</attrib></disp-quote>and</p>", ["said", "word", "Who", "and"]),
        (
            "<p>left<fig><label>Fig 1</label><caption>A cell.</caption></fig>right</p>",
            ["left", "Fig 1", "A cell.", "right"],
        ),
        (
            "<p>see<table-wrap><caption><title>T</title></caption><p>body</p><list><list-item><p>of it</p></list-item>"
            "</list></table-wrap>there</p>",
            ["see", "T", "there"],
        ),
        (
            "<boxed-text><label>Box 1</label><caption><title>B</title></caption><p>c</p></boxed-text>",
            ["Box 1", "B", "c"],
        ),
        ("<p>x<preformat>ACGT</preformat>y<array><tbody><tr><td>1</td></tr></tbody></array></p>", ["x", "ACGT", "y"]),
        ("<verse-group><verse-line>a</verse-line><verse-line>b</verse-line></verse-group>", ["a", "b"]),
        ("<statement><label>Theorem 1</label><p>x</p></statement>", ["Theorem 1 x"]),
        ("<speech><speaker>Q:</speaker><p>why</p></speech>", ["Q: why"]),
        ("<media><label>Video 1</label><caption><p>Mice run.</p></caption></media>", ["Video 1", "Mice run."]),
        ("<p>cited<mixed-citation><source>S</source></mixed-citation></p>", ["cited"]),
    ],
)
def test_blocks(body, expected):
    assert list(paragraphs_of_body(body)) == expected


FOOT = """<table-wrap><label>Table 1</label><table><tr><td>1<sup>a</sup></td></tr></table><table-wrap-foot>
    <fn id="a"><label>a</label><p>Only x<sup>2</sup> men.</p></fn>
    <fn><p><sup><italic>b</italic></sup>All <sup>3</sup>H.</p></fn>
    <p>ND, not done.</p><fn-group><fn><label/><p>Third.</p><p>Fourth.</p></fn></fn-group>{more}
    </table-wrap-foot></table-wrap>
    <p>CD4<sup>+</sup>: <sup>3</sup>H.<fn><label>9</label><p>Note</p></fn></p><p><sup>14</sup>C.</p>"""


def test_notes_below_a_table_are_read_without_their_marks():
    """Footnotes to the text are not."""
    expected = ["Table 1", "Only x2 men.", "All 3H.", "ND, not done.", "Third.", "Fourth.", "CD4+: 3H.", "14C."]
    assert list(paragraphs_of_body(FOOT.format(more=""))) == expected
    inner = "<fig><label>Figure 1</label></fig><fn><label>c</label><p>Last.</p></fn>"
    assert list(paragraphs_of_body(FOOT.format(more=inner))) == [*expected[:6], "Figure 1", "Last.", *expected[6:]]


def test_supplements():
    body = """<sec><title>Supplement</title><supplementary-material><label>Video S1</label>
        <caption><title>Running</title><p>Mice run.</p></caption>
        <media><caption><p>Click here</p></caption></media></supplementary-material></sec>"""
    assert list(paragraphs_of_body(body)) == ["Supplement"]
    assert list(paragraphs_of_body(body, back_matter=True)) == ["Supplement", "Video S1", "Running", "Mice run."]


def test_named_entities_of_the_dtd():
    assert paragraphs_of_body("<p>TNF-&alpha;<italic>&eacute;t&eacute;</italic>&nbsp;&plusmn; 2</p>") == (
        "TNF-αété ± 2",
    )


@pytest.mark.parametrize(
    ("subset", "entity", "message"),
    [
        ("", "&nosuch;", "line 2: entity &nosuch; is unknown"),
        (
            '[<!ENTITY lol "lollol"><!ENTITY bomb "&lol;&lol;">]',
            "&bomb;",
            "line 2: entity &bomb; is declared",
        ),
        ('[<!ENTITY alpha "lollol">]', "&alpha;", "line 2: entity &alpha; is declared"),
        ('[<!ENTITY file SYSTEM "file:///etc/hostname">]', "&file;", "line 2: entity &file; is declared"),
    ],
)
def test_other_entities_are_refused(subset, entity, message):
    doctype = DOCTYPE.replace(">", f"{subset}>") if subset else DOCTYPE
    article = parse(f"{doctype}\n<article><body><p>a {entity} b</p></body></article>")
    with pytest.raises(InputError, match=message):
        read_paragraphs(article, False)


def test_an_article_of_another_format():
    with pytest.raises(InputError, match="line 1: article without front and body; expected JATS"):
        read_paragraphs(parse("<article><section>DocBook</section></article>"), False)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([("pmid", "7"), ("pmc", "123")], ("pmc:PMC123", 1)),
        ([("pmc", "PMC123"), ("pmid", "7")], ("pmc:PMC123", 1)),
        ([("pmcid", "PMC123"), ("pmcid-ver", "PMC123.2"), ("pmcaid", "123"), ("pmcaiid", "456")], ("pmc:PMC123", 2)),
        ([("doi", "10.1/AbC"), ("pmid", " 7 ")], ("pmid:7", 1)),
        ([("publisher-id", "x"), ("doi", "10.1/AbC")], ("doi:10.1/abc", 1)),
        ([("publisher-id", "x")], ("", 1)),
        ([], ("", 1)),
    ],
)
def test_ids(ids, expected):
    elements = "".join(f'<article-id pub-id-type="{kind}">{value}</article-id>' for kind, value in ids)
    assert read_id(parse(f"<article><front><article-meta>{elements}</article-meta></front></article>")) == expected


def test_boxes_and_portraits_in_the_back_are_back_matter():
    back = (
        "<app-group><app><boxed-text><p>Box</p></boxed-text><fig><caption><p>Caption</p></caption></fig></app></app-group>"
        "<bio><fig><caption><p>Portrait</p></caption></fig></bio>"
    )
    article = parse(f"<article><body><p>Text.</p></body><back>{back}</back></article>")
    assert read_paragraphs(article, back_matter=False) == ("Text.", "Caption")
    assert read_paragraphs(article, back_matter=True) == ("Text.", "Box", "Caption", "Portrait")
