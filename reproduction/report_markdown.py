"""The Markdown of a report (GitHub's flavour: tables with `|`); see report.py."""

import re
import urllib.parse

# All that starts markup inside a line; "$" is mathematics on GitHub.
_INLINE = re.compile(r"([\\`*_{}\[\]<>|~&$!])")
# What makes a line a heading, a list, a rule or an underline of a heading.
_BLOCK = re.compile(r"^(\d{0,9})([-+=#.)])")


def render(layout):
    """The Markdown of what report.py lays out: a str."""
    blocks = [f"# {_escape(layout['title'])}", _paragraph(layout["summary"], layout["signs"])]
    for section in layout["sections"]:
        blocks.append(f"## {_escape(section['title'])}")
        for block in section["blocks"]:
            blocks += _block(block, layout["signs"])
    return "\n\n".join(filter(None, blocks)) + "\n"


def _block(block, signs):
    """The paragraphs of a block, a list of str."""
    if block["type"] == "text":
        return [_paragraph(block["spans"], signs)]
    if block["type"] == "code":
        return [_fenced(block["text"])]
    if block["type"] == "figure":
        stem = urllib.parse.quote(block["stem"])
        return [f"[![{_escape(block['alt'])}]({stem}.png)]({stem}.svg)", _escape_line(block["caption"])]
    return _table(block, signs)


def _table(table, signs):
    columns = [(part["group"], column) for part in table["header"] for column in part["columns"]]
    names = [" ".join(filter(None, (group, column["name"]))) for group, column in columns]
    rule = ["---:" if column["kind"] == "number" else "---" for _, column in columns]
    rows = [[_cell(cell, signs) for cell in row["cells"]] for group in table["groups"] for row in group]
    lines = [[_escape(name) for name in names], rule, *rows]
    legend = "; ".join(_marked({"text": meaning, "kind": kind}, signs) for kind, meaning in table["legend"])
    return [
        f"**{_escape(table['caption'])}**" if table["caption"] else "",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        legend and f"Marked: {legend}.",
        _escape_line(table["note"]),
        "Commands:" if table["commands"] else "",
        "\n".join(_list_item(number, _fenced(text)) for number, text in table["commands"]),
    ]


def _cell(cell, signs):
    if not cell["rowspan"]:
        return ""
    if cell["command"]:
        return str(cell["command"])
    return _inline(cell["spans"], signs)


def _paragraph(spans, signs):
    return _BLOCK.sub(r"\1\\\2", _inline(spans, signs))


def _inline(spans, signs):
    return "".join(_marked(span, signs) for span in spans)


def _marked(span, signs):
    """A span in brackets after its sign. <b>, as `**` does not hold beside letters, and entities begin inside words."""
    text = _escape(span["text"])
    if not span["kind"]:
        return text
    sign = f"{signs[span['kind']]} " if signs[span["kind"]] else ""
    return f"<b>\\[{sign}{text}\\]</b>"


def _escape_line(text):
    return _BLOCK.sub(r"\1\\\2", _escape(text))


def _escape(text):
    return _INLINE.sub(r"\\\1", text)


def _list_item(number, text):
    start = f"{number}. "
    return start + text.replace("\n", "\n" + " " * len(start))


def _fenced(text):
    """A block of code in a fence longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
