"""Reports: structure of the HTML, tables of the Markdown, escaping, marked spans, commands, figures."""

import re

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from common.errors import InputError
from reproduction.report import Code, Figure, Report, Section, Span, Table, Text, write

HOSTILE = "a|b *c* _d_ <b>e</b> `f` [g](h) \\ & &amp; $i$ ~~j~~ ![k] #l\nm"
HOSTILE_ON_ONE_LINE = "a|b *c* _d_ <b>e</b> `f` [g](h) \\ & &amp; $i$ ~~j~~ ![k] #l m"
# All that is printed, and the white space and control characters that a file may bring.
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text(
    "ab |*_<>`[]()\\&$~!#-+.1:\n\r\t\x00\x85", max_size=40
)


def html_of(tmp_path, *items, **report):
    """The parsed HTML and the text of the Markdown of a report of one section."""
    paths = write(Report("Title", [Section("Section", list(items))], **report), str(tmp_path), "report")
    assert paths == [f"{tmp_path}/report.md", f"{tmp_path}/report.html"]
    markdown, html = ((tmp_path / f"report.{extension}").read_text(encoding="utf-8") for extension in ("md", "html"))
    return lxml.html.document_fromstring(html), markdown


def texts(elements):
    return [element.text_content() for element in elements]


def markdown_rows(markdown):
    """The rows of a Markdown file's tables as a reader of it sees them: lists of the plain text of the cells."""
    rows = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows is not None and token.level == 4:
            assert {child.type for child in token.children} <= {"text", "html_inline"}, token.content
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def test_table_of_the_html(tmp_path):
    table = Table(
        ["Data set", ("BERT", "ours"), ("BERT", "paper"), "time"],
        [["NCBI-disease", "85.10 ± 0.31", "85.63", "1 h 12 min"], ["i2b2-2010", "–", "84.06", ""]],
        caption="Table 6: F1",
        note="Mean ± standard deviation.",
    )
    html, _ = html_of(tmp_path, table)
    assert [texts(row.iterchildren()) for row in html.iter("tr")] == [
        ["Data set", "BERT", "time"],
        ["ours", "paper"],
        ["NCBI-disease", "85.10 ± 0.31", "85.63", "1 h 12 min"],
        ["i2b2-2010", "–", "84.06", ""],
    ]
    group, ours = html.xpath("//thead//th[text()='BERT' or text()='ours']")
    assert (group.get("scope"), group.get("colspan"), ours.get("scope")) == ("colgroup", "2", "col")
    assert [th.get("scope") for th in html.xpath("//tbody//th")] == ["row", "row"]
    assert [cell.get("class") for cell in html.xpath("//tbody/tr")[0]] == ["short", "number", "number", "number"]
    (element,) = html.iter("table")
    assert html.get_element_by_id(element.get("aria-labelledby")).text_content() == "Table 6: F1"
    assert texts(html.xpath("//p[@class='note']")) == ["Mean ± standard deviation."]
    (scroll,) = html.xpath("//div[@class='scroll' and @tabindex='0']")
    assert list(scroll) == [element]


def test_table_of_the_markdown(tmp_path):
    table = Table(
        ["Data set", ("BERT", "ours"), ("BERT", "paper")],
        [["GAD", "85.10 ± 0.31", "85.63"]],
        "Table 6",
        "Note.",
    )
    _, markdown = html_of(tmp_path, table, summary="All is well.")
    assert markdown == (
        "# Title\n\nAll is well.\n\n## Section\n\n**Table 6**\n\n"
        "| Data set | BERT ours | BERT paper |\n| --- | ---: | ---: |\n| GAD | 85.10 ± 0.31 | 85.63 |\n\nNote.\n"
    )


def test_equal_neighbours_of_merged_columns_are_one_cell(tmp_path):
    rows = [["A", "x", "1"], ["A", "x", "2"], ["A", "y", "2"], ["B", "y", "2"]]
    html, markdown = html_of(tmp_path, Table(["set", "model", "seeds"], rows, merge=("set", "model")))
    cells = [[(cell.text_content(), cell.get("rowspan")) for cell in row] for row in html.xpath("//tbody/tr")]
    assert cells == [
        [("A", "3"), ("x", "2"), ("1", None)],
        [("2", None)],
        [("y", None), ("2", None)],
        [("B", None), ("y", None), ("2", None)],
    ]
    assert [len(body) for body in html.iter("tbody")] == [3, 1]
    assert [row.get("class") for row in html.xpath("//tbody/tr")] == ["above", None, "above", "above"]  # lines
    assert html.xpath("//th[@rowspan='3']/@scope") == ["rowgroup"]
    assert markdown_rows(markdown)[1:] == [["A", "x", "1"], ["", "", "2"], ["", "y", "2"], ["B", "y", "2"]]


@pytest.mark.parametrize(
    "values",
    [["85.63", "–"], ["+1.20", "−0.4"], ["85.1 ± 0.3"], ["1,234"], ["2.5B"], ["40 %"], ["1:02:03"], ["12 min", "n/a"]],
)
def test_columns_of_numbers_are_set_right(tmp_path, values):
    html, markdown = html_of(tmp_path, Table(["name", "value"], [["x", value] for value in values]))
    assert {cell.get("class") for cell in html.iter("td")} == {"number"}
    assert "| --- | ---: |" in markdown


@pytest.mark.parametrize("values", [["WT1"], ["–", ""], ["5 of the mutations"], ["85.63", "see note"]])
def test_columns_of_text_are_set_left(tmp_path, values):
    html, markdown = html_of(tmp_path, Table(["name", "value"], [["x", value] for value in values]))
    assert {cell.get("class") for cell in html.iter("td")} == {"short"}
    assert "| --- | --- |" in markdown


def test_differences_are_marked_by_sign_and_named_in_a_legend(tmp_path):
    sentence = [Span("non-"), Span("ataxia", "same"), Span("s of "), Span("tumour", "missed"), Span("s", "spurious")]
    table = Table(["model", "sentence"], [["BERT", sentence]], legend={"missed": "found by the other alone"})
    html, markdown = html_of(tmp_path, table)
    assert texts(html.xpath("//td")) == ["non-ataxias of −\N{NO-BREAK SPACE}tumour+\N{NO-BREAK SPACE}s"]
    assert html.xpath("//td/mark/@class") == ["same", "missed", "spurious"]
    (legend,) = texts(html.xpath("//p[@class='note']"))
    assert legend.replace("\N{NO-BREAK SPACE}", " ") == "Marked: found by both; − found by the other alone; + spurious."
    assert markdown_rows(markdown)[1] == ["BERT", "non-<b>[ataxia]</b>s of <b>[− tumour]</b><b>[+ s]</b>"]
    assert "Marked: <b>\\[found by both\\]</b>; <b>\\[− found by the other alone\\]</b>; " in markdown
    style = next(html.iter("style")).text
    assert len({re.search(f"mark.{kind} .*underline (\\w+)", style)[1] for kind in ("same", "missed", "spurious")}) == 3


def test_commands_of_a_table_are_numbered_through_and_listed_once(tmp_path):
    first, second = Code("python run_ner.py --x=1"), Code("python run_re.py \\\n  --y='a|b'\n```\n--z")
    tables = Table(["row", "command"], [["1", first], ["2", first]]), Table(["row", "command"], [["3", second]])
    html, markdown = html_of(tmp_path, *tables)
    links = html.xpath("//td/a")
    assert [(a.get("href"), a.text) for a in links] == [("#command-1", "1"), ("#command-1", "1"), ("#command-2", "2")]
    listed = [(li.get("id"), li.get("value"), li.text_content()) for li in html.xpath("//details/ol/li")]
    assert listed == [("command-1", "1", first.text), ("command-2", "2", second.text)]
    assert markdown_rows(markdown) == [["row", "command"], ["1", "1"], ["2", "1"], ["row", "command"], ["3", "2"]]
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    assert [token.content for token in tokens if token.type == "fence"] == [f"{first.text}\n", f"{second.text}\n"]
    assert [token.info for token in tokens if token.type == "list_item_open"] == ["1", "2"]


def test_paragraphs_commands_and_figures_stand_in_order(tmp_path):
    (tmp_path / "figure 2.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (tmp_path / "figure 2.png").write_bytes(b"")
    html, markdown = html_of(tmp_path, Text("1. One."), Code("ls\n"), Figure("figure 2", "F1 rises.", "From 40 to 60."))
    (section,) = html.iter("section")
    assert [(child.tag, child.text_content().strip()) for child in section] == [
        ("h2", "Section"),
        ("p", "1. One."),
        ("pre", "ls"),
        ("figure", "F1 rises."),
    ]
    (image,) = html.iter("img")
    assert image.get("alt") == "From 40 to 60."
    source = "PHN2ZyB4bWxucz0naHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmcnLz4="
    assert image.get("src") == f"data:image/svg+xml;base64,{source}"
    assert markdown.split("## Section\n\n")[1] == (
        "1\\. One.\n\n```\nls\n```\n\n[![From 40 to 60.](figure%202.png)](figure%202.svg)\n\nF1 rises.\n"
    )


def test_the_html_needs_nothing_else(tmp_path):
    html, _ = html_of(tmp_path, Text("text"))
    assert not html.xpath("//script | //link | //iframe | //*[@onclick]")
    assert html.xpath("//meta[@http-equiv='Content-Security-Policy']/@content") == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    ]
    style = next(html.iter("style")).text
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert html.xpath("/html/@lang") == ["en"]
    assert html.xpath("//meta[@name='viewport']")


def test_reports_of_many_sections_have_contents(tmp_path):
    write(Report("T", [Section(name, []) for name in ("A", "B & C", "D")]), str(tmp_path), "r")
    html = lxml.html.parse(str(tmp_path / "r.html"))
    links = html.xpath("//nav//a")
    assert texts(links) == ["A", "B & C", "D"]
    assert [html.xpath(f"//*[@id='{a.get('href')[1:]}']/h2")[0].text for a in links] == ["A", "B & C", "D"]


def test_markup_in_texts_is_shown_as_it_is(tmp_path):
    table = Table([HOSTILE], [[HOSTILE], [[Span(HOSTILE, "same")]]], HOSTILE, HOSTILE)
    report = Report(HOSTILE, [Section(HOSTILE, [Text(HOSTILE), table, Code(HOSTILE)])], HOSTILE)
    write(report, str(tmp_path), "r")
    html = lxml.html.parse(str(tmp_path / "r.html"))
    for path in ("//title", "//h1", "//h2", "//p", "//thead//th", "//tbody//th", "//mark", "//figcaption"):
        assert HOSTILE_ON_ONE_LINE in texts(html.xpath(path)), path
    assert texts(html.xpath("//pre")) == [HOSTILE]
    assert not html.xpath("//b | //em | //a")
    markdown = (tmp_path / "r.md").read_text(encoding="utf-8")
    header, cell, marked = markdown_rows(markdown)
    assert (header, cell, marked) == ([HOSTILE_ON_ONE_LINE], [HOSTILE_ON_ONE_LINE], [f"<b>[{HOSTILE_ON_ONE_LINE}]</b>"])
    shown = [token for token in MarkdownIt("commonmark").enable("table").parse(markdown) if token.type == "inline"]
    plain = ["".join(child.content for child in token.children) for token in shown]
    assert plain.count(HOSTILE_ON_ONE_LINE) == 8  # title, summary, section, paragraph, caption, header, cell, note


@settings(max_examples=150, deadline=None)
@given(cell=ANY_TEXT, paragraph=ANY_TEXT, command=ANY_TEXT)
def test_any_text_survives(tmp_path_factory, cell, paragraph, command):
    directory = tmp_path_factory.mktemp("report")
    items = [Text(f"{paragraph}x"), Table(["a", "b"], [[cell, "1"]]), Code(f"{command}x")]
    write(Report("T", [Section("S", items)]), str(directory), "r")
    html = lxml.html.parse(str(directory / "r.html"))

    def visible(text):
        """What HTML and Markdown show of white space and of what they may not hold."""
        return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", re.sub("[ \t\n\v\f\r\x85\u2028\u2029]+", " ", text)).strip()

    assert texts(html.xpath("//tbody//th")) == [visible(cell)]
    assert texts(html.xpath("//section/p")) == [visible(f"{paragraph}x")]
    markdown = (directory / "r.md").read_text(encoding="utf-8")
    assert [row[-2:] for row in markdown_rows(markdown)] == [["a", "b"], [visible(cell), "1"]]
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    assert [token.type for token in tokens if token.level == 0 and not token.type.endswith("_close")] == [
        *("heading_open", "heading_open", "paragraph_open", "table_open", "fence")
    ]
    assert "".join(child.content for child in tokens[7].children) == visible(f"{paragraph}x")


def test_a_missing_figure_is_an_error_and_writes_nothing(tmp_path):
    (tmp_path / "curve.svg").write_text("<svg/>", encoding="utf-8")
    with pytest.raises(InputError, match=r"curve\.png: no such file; expected the figure drawn before"):
        write(Report("T", [Section("S", [Figure("curve", "caption")])]), str(tmp_path), "r")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.svg"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Table(["a", "b"], [["1", "2"], ["1"]]), "row 2 of a table has 1 cells; expected 2"),
        (lambda: Table(["a"], [], merge=("b",)), "column to merge 'b' is not in the header"),
        (lambda: Span("a", "wrong"), "unknown kind of span 'wrong'; expected one of same, missed, spurious, differs"),
    ],
)
def test_mistakes_in_the_data_are_said_where_they_are_made(build, message):
    with pytest.raises(ValueError, match=message):
        build()
