"""Annotated documents for the tests of the formats that they are written in."""

import contextlib
import io

from hypothesis import strategies as st

from data_prep.formats.document import Document, Entity, Relation
from data_prep.formats.table import open_writer
from data_prep.text.sentences import trim

# 0: Lung cancer & EGFR   19: Gefitinib inhibits EGFR in lung   51: cancer <NSCLC> 😀.
ABSTRACT = Document(
    id="123",
    text="Lung cancer & EGFR\nGefitinib inhibits EGFR in lung\ncancer <NSCLC> 😀.",
    paragraphs=((0, 18), (19, 68)),
    source="sample.xml, line 2",
    kinds=("title", "abstract"),
    entities=(
        Entity("T1", "Disease", 0, 11, 0.98, "ncbi"),
        Entity("T2", "Gene", 14, 18),
        Entity("T3", "Chemical", 19, 28, 0.99996, "chem"),
        Entity("T4", "Gene", 38, 42),
        Entity("T5", "Disease", 46, 57, 0.9, "ncbi"),
        Entity("T6", "Disease", 59, 64, 0.75, "ncbi"),
    ),
    relations=(Relation("R1", "inhibitor", "T3", "T4", 0.87654), Relation("R2", "target of", "T1", "T2")),
    words=(
        ((0, 4), (5, 11), (12, 13), (14, 18)),
        ((19, 28), (29, 37), (38, 42), (43, 45), (46, 50), (51, 57), (58, 59), (59, 64), (64, 65), (66, 67), (67, 68)),
    ),
)
EMPTY = Document(id="0", text="", paragraphs=(), source="empty", words=())

# What files are known to hold: tabs, all ends of lines, control characters, markup, characters beyond 16 bits.
HOSTILE = "ab \t\r\n\x0b\x0c\x1c\x1f\x85\u2028\x01\x7f\ufffe\ufeff<&>\"'|;/\\{}[]-.é\u0301😀"


@st.composite
def documents(draw):
    """A Document with any text, paragraphs that cover it, and entities that may overlap in any way."""
    text = draw(st.text(HOSTILE, max_size=30))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=3)) | {0, len(text)})
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    entities = []
    for a, b in draw(st.lists(spans, max_size=6)):
        start, end = trim(text, min(a, b), max(a, b))
        if start < end:
            model = draw(st.sampled_from(["", "ncbi"]))
            kind = draw(st.sampled_from(["Gene", "cell line"]))
            entities.append(Entity(f"T{len(entities) + 1}", kind, start, end, 0.5 if model else None, model))
    return Document(
        id=draw(st.text(HOSTILE, min_size=1, max_size=5)),
        text=text,
        paragraphs=tuple(trim(text, a, b) for a, b in zip(cuts, cuts[1:], strict=False) if text[a:b].strip()),
        source="any",
        entities=tuple(entities),
        relations=tuple(Relation("R1", "inhibits", entities[0].id, entity.id, 0.5) for entity in entities[1:2]),
    )


def written(output_format, *documents, models=("ncbi", "chem")):
    """What is in a file of these documents."""
    file = io.StringIO(newline="")
    with open_writer(output_format, file, models) as writer:
        for document in documents:
            writer.write(document)
    return file.getvalue()


class Stopped(Exception):  # noqa: N818
    """An exception that is none of the code under test."""


def write_and_fail(output_format, output):
    """Writes a document, then fails inside the block."""
    with contextlib.suppress(Stopped), open_writer(output_format, output, ()) as writer:
        writer.write(ABSTRACT)
        raise Stopped
