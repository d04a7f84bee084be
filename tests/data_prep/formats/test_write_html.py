"""The page of annotated documents."""

import dataclasses
import re
from html.parser import HTMLParser

import lxml.html
import pytest
from hypothesis import given, settings

from data_prep.formats.document import Document, Entity, Relation
from data_prep.formats.html_page import Mark, mark_up
from tests.helpers.annotated_samples import ABSTRACT, EMPTY, documents, write_and_fail, written

ARTICLE = """\
<article id="d1" aria-labelledby="d1-name">
<h2 id="d1-name">a&lt;b</h2>
<p dir="auto" class="text title">\
<mark id="d1-e1" class="hue0 stroke0 height1" \
title="Gene &amp; co, confidence 0.96, model m" data-type="Gene &amp; co">\
A <mark id="d1-e2" class="hue1 stroke0" title="Disease, in the input" data-type="Disease">&lt;b&gt;</mark></mark> c</p>
<div class="scroll" role="region" tabindex="0" aria-label="Relations of a&lt;b">
<table>
<caption>Relations (1)</caption>
<thead><tr><th scope="col">Type</th><th scope="col">First</th><th scope="col">Second</th>\
<th scope="col" class="number">Confidence</th></tr></thead>
<tbody>
<tr><th scope="row">causes</th>\
<td><a href="#d1-e1">A &lt;b&gt;</a> <mark class="hue0 stroke0">Gene &amp; co</mark></td>\
<td><a href="#d1-e2">&lt;b&gt;</a> <mark class="hue1 stroke0">Disease</mark></td>\
<td class="number">–</td></tr>
</tbody>
</table>
</div>
<details>
<summary>Entities (2)</summary>
<div class="scroll" role="region" tabindex="0" aria-label="Entities of a&lt;b">
<table>
<thead><tr><th scope="col">Entity</th><th scope="col">Type</th><th scope="col">Model</th>\
<th scope="col" class="number">Confidence</th><th scope="col" class="number">Characters</th></tr></thead>
<tbody>
<tr><th scope="row"><a href="#d1-e1">A &lt;b&gt;</a></th><td><mark class="hue0 stroke0">Gene &amp; co</mark></td>\
<td>m</td><td class="number">0.96</td><td class="number">0–5</td></tr>
<tr><th scope="row"><a href="#d1-e2">&lt;b&gt;</a></th><td><mark class="hue1 stroke0">Disease</mark></td>\
<td>in the input</td><td class="number">–</td><td class="number">2–5</td></tr>
</tbody>
</table>
</div>
</details>
</article>
"""
SMALL = Document(
    "a<b", "A <b> c", ((0, 7),), "x", ("title",),
    (Entity("e1", "Gene & co", 0, 5, 0.956, "m"), Entity("e2", "Disease", 2, 5)),
    (Relation("R1", "causes", "e1", "e2"),),
)  # fmt: skip


def page(*documents):
    return lxml.html.document_fromstring(written("html", *documents))


def outline(document, start=0, end=None):
    """The marked text in brackets: `[` or, where a part goes on, `+`; height and type at the end."""
    found, opened = "", []
    for piece in mark_up(document, start, len(document.text) if end is None else end):
        if isinstance(piece, Mark):
            found += "[" if piece.is_first else "+["
            opened.append(piece)
        elif piece is None:
            mark = opened.pop()
            found += f"|{mark.entity.type}{mark.height or ''}]{'' if mark.is_last else '+'}"
        else:
            found += piece
    assert not opened
    return found


def marked(text, *spans):
    return Document(
        "1", text, ((0, len(text)),), "x", entities=tuple(Entity(f"T{i}", *s) for i, s in enumerate(spans, 1))
    )


def test_an_article():
    text = written("html", SMALL)
    assert text[text.index("<article") : text.index("</main>")] == ARTICLE
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n')
    assert text.endswith("</article>\n</main>\n</body>\n</html>\n")


def test_the_legend_counts_before_the_documents():
    html = page(ABSTRACT, EMPTY, ABSTRACT)
    assert html.xpath("string(//h1/following-sibling::p)") == "3 documents, 12 entities, 4 relations."
    assert [" ".join(row.text_content().split()) for row in html.xpath("//dl/div")] == [
        "ncbi Disease 6",
        "in the input Gene 4",
        "chem Chemical 2",
    ]
    assert [element.tag for element in html.find("body/main")] == ["h1", "p", "dl", "article", "article", "article"]
    assert html.xpath("//h2/text()") == ["123", "0", "123"]


def test_a_page_without_entities_has_no_legend():
    html = page(EMPTY)
    assert html.xpath("string(//p)") == "1 document, 0 entities, 0 relations."
    assert not html.xpath("//dl | //table | //mark")


def test_a_type_has_one_style_and_links_lead_to_entities():
    html = page(ABSTRACT, ABSTRACT)
    styles = {(mark.get("data-type"), mark.get("class")) for mark in html.xpath("//p/mark")}
    assert styles == {("Disease", "hue0 stroke0"), ("Gene", "hue1 stroke0"), ("Chemical", "hue2 stroke0")}
    targets = {f"#{name}": html.get_element_by_id(name).text_content() for name in html.xpath("//@id")}
    links = [(link.text_content(), targets[link.get("href")]) for link in html.iter("a")]
    assert len(links) == 2 * (4 + 6)
    assert all(text == target for text, target in links)


def test_more_types_than_hues():
    html = page(marked("x" * 30, *((f"type{i}", i, i + 1) for i in range(30))))
    classes = [mark.get("class") for mark in html.xpath("//p/mark")]
    assert classes[7:9] == ["hue7 stroke0", "hue0 stroke1"]
    assert len(set(classes)) == 24


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("A", 0, 3), ("B", 6, 9)], "[abc|A]def[ghi|B]"),
        ([("A", 0, 9)], "[abcdefghi|A]"),
        ([("A", 3, 5), ("B", 0, 9)], "[abc[de|A]fghi|B1]"),
        ([("A", 0, 3), ("B", 3, 6)], "[abc|A][def|B]ghi"),
        ([("A", 0, 3), ("B", 0, 3)], "[[abc|B]|A1]defghi"),
        ([("A", 0, 5), ("B", 3, 9)], "[abc[de|B]+|A1]+[fghi|B]"),
        ([("A", 0, 4), ("B", 2, 6), ("C", 3, 9)], "[ab[c[d|C]+|B1]+|A2]+[+[ef|B]ghi|C1]"),
        ([("A", 0, 9), ("B", 1, 8), ("C", 2, 7), ("D", 3, 6), ("E", 4, 5)], "[a[b[c[d[e|E]f|D1]g|C2]h|B3]i|A3]"),
    ],
)
def test_nested_and_crossing_entities(spans, expected):
    assert outline(marked("abcdefghi", *spans)) == expected


def test_an_entity_that_goes_across_paragraphs():
    document = marked("ab\ncd", ("A", 1, 4))
    assert outline(document, 0, 2) == "a[b|A]+"
    assert outline(document, 3, 5) == "+[c|A]d"


class Marks(HTMLParser):
    """What a browser shows: the text of each paragraph, and that of each mention, its parts joined."""

    def __init__(self):
        super().__init__()
        self.paragraphs, self.inside, self.mentions = [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "p" and attributes["class"].startswith("text"):
            self.paragraphs.append("")
            self.inside.append(None)
        elif self.inside and tag == "mark":
            self.inside.append("")
            self.mentions.append([attributes["title"], ""])
            self.inside[-1] = self.mentions[-1]

    def handle_endtag(self, tag):
        if self.inside and tag in ("p", "mark"):
            self.inside.pop()

    def handle_data(self, data):
        if self.inside:
            self.paragraphs[-1] += data
        for mention in filter(None, self.inside):
            mention[1] += data


def shown(text):
    """Text as the page has it: control characters but for white space are replaced."""
    return re.sub("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]", "\ufffd", text)


@given(document=documents())
@settings(max_examples=100, deadline=None)
def test_any_text(document):
    text = written("html", document)
    parser = Marks()
    parser.feed(text)
    blocks = [document.text[start:end] for start, end in document.paragraphs]
    assert parser.paragraphs == [shown(block) for block in blocks if block.strip()]
    length = sum(min(e.end, b) - max(e.start, a) for e in document.entities for a, b in document.paragraphs
                 if e.start < b and e.end > a)  # fmt: skip
    assert sum(len(mention) for _, mention in parser.mentions) == length
    for index in range(1, len(document.entities) + 1):
        assert text.count(f'<mark id="d1-e{index}"') == 1


def test_text_is_not_markup():
    evil = "<script>alert(1)</script><img src=x onerror=y> {{ 7*7 }} \" ' &amp;"
    document = Document(
        evil, evil, ((0, len(evil)),), evil, (evil,), (Entity("T1", evil, 0, 8, 0.5, evil),),
        (Relation("R1", evil, "T1", "T1", 0.5),),
    )  # fmt: skip
    html = page(document)
    assert not html.xpath("//script | //img | //@onerror | //link")
    assert html.xpath("string(//article/p)") == evil
    assert html.xpath("string(//h2)") == evil
    assert html.xpath("//p/mark/@data-type") == [evil]
    assert html.xpath("//dt/text()") == [evil]


def test_the_page_needs_nothing_from_elsewhere():
    text = written("html", ABSTRACT)
    assert "default-src 'none'" in text
    assert not re.findall(r"https?:|url\(|@import|src=|<link|<script", text)


def test_nothing_is_written_after_a_failure(tmp_path):
    with open(tmp_path / "page.html", "w", encoding="utf-8") as file:
        write_and_fail("html", file)
    assert (tmp_path / "page.html").read_text() == ""


def contrast(first, second):
    """The contrast of two colours #rrggbb, from 1 to 21 (WCAG 2.1)."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_of_colours(theme):
    roots = re.findall(r":root \{(.*?)\}", written("html"), re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6});", roots[theme]))
    for hue in range(8):
        assert contrast(colours["text"], colours[f"hue{hue}"]) >= 7  # level AAA
        assert contrast(colours[f"name{hue}"], colours[f"hue{hue}"]) >= 5.5  # AA has 4.5; the names are small
        assert contrast(colours[f"name{hue}"], colours["page"]) >= 3
    assert contrast(colours["quiet"], colours["page"]) >= 4.5
    assert contrast(colours["link"], colours["page"]) >= 4.5


def test_confidence_of_the_input_is_not_made_up():
    entities = (dataclasses.replace(ABSTRACT.entities[1], confidence=0.5, model="m"), ABSTRACT.entities[3])
    titles = page(dataclasses.replace(ABSTRACT, entities=entities, relations=())).xpath("//p/mark/@title")
    assert titles == ["Gene, confidence 0.50, model m", "Gene, in the input"]
