"""Reports of experiments, built from plain data and written as Markdown and as one self-contained HTML file.

    table = Table(["Data set", ("BERT", "ours"), ("BERT", "paper")], [["NCBI-disease", "85.1 ± 0.3", "85.63"]])
    write(Report("Table 6", [Section("NER", [table, Figure("figure2c", "Gain over BERT.")])]), "results", "table6")

Every text is taken literally: what Markdown or HTML would read as markup is escaped. Needs Jinja2:
pip install -e '.[reports]'.
"""

import base64
import dataclasses
import itertools
import os
import re
import sys

from common.errors import InputError
from common.files import atomic_write, make_directory
from reproduction import report_markdown

try:
    import jinja2
except ModuleNotFoundError:  # before hours of training, whose report it would be
    sys.exit("error: reports need Jinja2; expected pip install -e '.[reports]'")

# What a span of a marked sentence is: the sign set before it, so that colour alone never tells, and the legend.
SIGNS = {"same": "", "missed": "−", "spurious": "+", "differs": "≠"}
MEANINGS = {"same": "found by both", "missed": "missed", "spurious": "spurious", "differs": "differs"}

NUMBER = re.compile(
    r"""[<>≤≥≈~]?\s?[-+−±]?\d[\d.,:]*              # 85.63, +1.2, −0.4, 1,234, 1:02:03
        (\s?(±|–|-|/)\s?\d[\d.,:]*)?               # 85.1 ± 0.3, 3-5, 2/3
        (\s?(%|[KMB]|[a-zA-Zµ]{1,3}|words|steps))?  # 12 min, 2.5B, 40 %
        (\s?\d[\d.]*\s?[a-z]{1,3})?                # 1 h 20 min
    """,
    re.VERBOSE,
)
NO_VALUE = {"", "-", "–", "—", "n/a", "not run"}
LONG_TEXT = 40  # characters from which on the cells of a column are broken into lines

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a sentence, `kind` one of SIGNS or empty."""

    text: str
    kind: str = ""

    def __post_init__(self):
        if self.kind and self.kind not in SIGNS:
            raise ValueError(f"unknown kind of span {self.kind!r}; expected one of {', '.join(SIGNS)}")


@dataclasses.dataclass(frozen=True)
class Code:
    """A command. In a table its number stands in the cell, and the numbered commands below the table."""

    text: str


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph: a str, or a list of Span."""

    content: str | list


@dataclasses.dataclass(frozen=True)
class Figure:
    """The picture `stem`.svg and `stem`.png beside the report; `alt` says what it shows to who cannot see it."""

    stem: str
    caption: str
    alt: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; columns of numbers are set right.

    Attributes:
      header: a list of str, or of (group, name) for columns under a common heading.
      rows: lists of cells as long as the header: str, list of Span, or Code.
      caption, note: what stands above and below it.
      merge: columns by their header; a run of equal cells of theirs is one cell, within those of the columns before.
      legend: a dict from kinds of spans to their meaning here, instead of MEANINGS.
    """

    header: list
    rows: list
    caption: str = ""
    note: str = ""
    merge: tuple = ()
    legend: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.header):
                raise ValueError(f"row {number} of a table has {len(row)} cells; expected {len(self.header)}")
        for column in self.merge:
            if column not in self.header:
                raise ValueError(f"column to merge {column!r} is not in the header {self.header}")


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and the Text, Table, Figure and Code under it, in order."""

    title: str
    items: list


@dataclasses.dataclass(frozen=True)
class Report:
    """`summary` is the paragraph under the title: a str or a list of Span."""

    title: str
    sections: list
    summary: str | list = ""


def write(report, directory, name):
    """Writes `name`.md and `name`.html into a directory that holds the figures, each whole or not at all.

    Returns:
      The paths of the two files.

    Raises:
      InputError: the directory cannot be written, or the file of a figure is missing.
    """
    make_directory(directory)
    layout = _layout(report, directory)
    texts = {
        "md": report_markdown.render(layout),
        "html": _ENVIRONMENT.get_template("report_template.html").render(layout),
    }
    paths = []
    for extension, text in texts.items():
        paths.append(os.path.join(directory, f"{name}.{extension}"))
        with atomic_write(paths[-1]) as file:
            file.write(text)
    return paths


def _layout(report, directory):
    """What both formats show of a report: a dict of plain values, commands numbered through, figures read."""
    numbers = itertools.count(1)
    sections = [
        {"title": _clean(section.title), "blocks": [_block(item, directory, numbers) for item in section.items]}
        for section in report.sections
    ]
    return {
        "title": _clean(report.title),
        "summary": _spans(report.summary),
        "sections": sections,
        "signs": SIGNS,
    }


def _block(item, directory, numbers):
    if isinstance(item, Table):
        return _table(item, numbers)
    if isinstance(item, Figure):
        return _figure(item, directory)
    if isinstance(item, Code):
        return {"type": "code", "text": _clean_code(item.text)}
    if isinstance(item, Text):
        return {"type": "text", "spans": _spans(item.content)}
    raise TypeError(f"{type(item).__name__} in a section; expected Text, Table, Figure or Code")


def _figure(figure, directory):
    for extension in ("svg", "png"):
        path = os.path.join(directory, f"{figure.stem}.{extension}")
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such file; expected the figure drawn before the report is written")
    with open(os.path.join(directory, f"{figure.stem}.svg"), "rb") as file:
        svg = base64.b64encode(file.read()).decode("ascii")
    caption = _clean(figure.caption)
    return {
        "type": "figure",
        "stem": figure.stem,
        "caption": caption,
        "alt": _clean(figure.alt) or f"Plot: {caption}",
        "source": f"data:image/svg+xml;base64,{svg}",
    }


def _table(table, numbers):
    """A table with its header in one or two rows, its rows in groups, its commands numbered.

    Each cell is a dict: `kind` of its column, `spans`, the number of a `command` or None, `rowspan` (0: part of the
    cell above it).
    """
    codes = {}
    for cell in itertools.chain.from_iterable(table.rows):
        if isinstance(cell, Code) and cell.text not in codes:
            codes[cell.text] = next(numbers)
    kinds = [_column_kind([row[i] for row in table.rows]) for i in range(len(table.header))]
    rows = [[_cell(*pair, codes) for pair in zip(row, kinds, strict=True)] for row in table.rows]
    merged = [table.header.index(column) for column in table.merge]
    _merge(rows, merged)
    header = _header(table.header, kinds)
    used = {span["kind"] for row in rows for cell in row for span in cell["spans"]}
    return {
        "type": "table",
        "caption": _clean(table.caption),
        "note": _clean(table.note),
        "header": header,
        "groups": _groups(rows, merged),
        "has_header": any(column["name"] for part in header for column in part["columns"]),
        "legend": [(kind, _clean({**MEANINGS, **table.legend}[kind])) for kind in SIGNS if kind in used],
        "commands": [(number, _clean_code(text)) for text, number in codes.items()],
    }


def _cell(cell, kind, codes):
    number = codes[cell.text] if isinstance(cell, Code) else None
    return {"kind": kind, "spans": [] if number else _spans(cell), "command": number, "rowspan": 1}


def _merge(rows, columns):
    """Sets the rowspan of cells that equal the one above, as do all of these columns to their left."""
    for i, column in enumerate(columns):
        top = None
        for row in rows:
            key = [dict(row[c], rowspan=None) for c in columns[: i + 1]]
            if top and key == top[0]:
                top[1]["rowspan"] += 1
                row[column]["rowspan"] = 0
            else:
                top = key, row[column]


def _groups(rows, merged):
    """The rows by the merged cells that hold them together: lists of dicts, `cells`, and whether a line is `above`."""
    groups = []
    for row in rows:
        if all(cell["rowspan"] for cell in row):
            groups.append([])
        starts = not merged or any(row[column]["rowspan"] for column in merged)
        groups[-1].append({"cells": row, "above": starts})
    return groups


def _header(header, kinds):
    """A list of dicts: the groups of columns, `group` empty for those in none, and the `columns` under each."""
    pairs = [("", name) if isinstance(name, str) else name for name in header]
    columns = [(group, {"name": _clean(name), "kind": kind}) for (group, name), kind in zip(pairs, kinds, strict=True)]
    return [
        {"group": _clean(group), "columns": [column for _, column in part]}
        for group, part in itertools.groupby(columns, key=lambda column: column[0])
    ]


def _column_kind(cells):
    """How a column is set: as a "number", a "command", "long" text, or "short" text on one line."""
    if any(isinstance(cell, Code) for cell in cells):
        return "command"
    texts = ["".join(span["text"] for span in _spans(cell)) for cell in cells]
    values = [text for text in texts if text not in NO_VALUE]
    if values and all(NUMBER.fullmatch(text) for text in values):
        return "number"
    return "long" if any(len(text) >= LONG_TEXT for text in texts) else "short"


def _spans(content):
    """A list of dicts, `text` and `kind`, the whole without white space around it."""
    spans = [Span(content)] if isinstance(content, str) else content
    spans = [{"text": _visible(span.text), "kind": span.kind} for span in spans if span.text]
    if spans:
        spans[0]["text"] = spans[0]["text"].lstrip()
        spans[-1]["text"] = spans[-1]["text"].rstrip()
    return spans


def _clean(text):
    return _visible(text).strip()


def _visible(text):
    """A text on one line, what neither format may hold replaced."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", re.sub(r"[ \t\n\v\f\r\x85\u2028\u2029]+", " ", text))


def _clean_code(text):
    lines = re.split(r"\r\n|[\n\v\f\r\x85\u2028\u2029]", text.strip())
    return "\n".join(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", line.replace("\t", "    ")) for line in lines)
