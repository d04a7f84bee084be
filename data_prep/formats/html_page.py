"""Annotated documents as one self-contained HTML page: entities highlighted, a legend, relations in tables.

The page needs no script and nothing from elsewhere. Needs Jinja2: pip install -e '.[reports]'.
"""

import collections
import contextlib
import dataclasses
import functools
import os
import re
import shutil
import tempfile

from data_prep.formats.document import Entity, blocks_of

# As page.css has them: colours, underlines, and how many marks inside one another get room of their own.
HUES, STROKES, MAX_HEIGHT = 8, 3, 3

# Control characters but for white space, and halves of characters, which HTML may not hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@functools.cache
def environment():
    """What makes pages of the templates here; imported late, since Jinja2 comes with an extra."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _printable(value) if type(value) is str else value,  # but not in what is HTML already
    )


def _printable(text):
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclasses.dataclass
class Mark:
    """A part of a mention, all of it where no other crosses its borders: elements of HTML can only be nested."""

    entity: Entity
    is_first: bool  # of the mention's parts
    is_last: bool = True
    height: int = 0  # how many marks lie in each other inside this one


@contextlib.contextmanager
def open_writer(file, models):
    """See `table.open_writer`. The page is written when the block succeeds, since the counts of its legend come first.

    Until then the documents are in a temporary file: memory holds the number of entities of each type.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as body:
        writer = _Writer(file, body)
        yield writer
        writer.close()


class _Writer:
    def __init__(self, file, body):
        self.file, self.body = file, body
        self.template = environment().get_template("page.html").module
        self.documents = self.relations = 0
        self.counts = collections.Counter()  # of (model, type)
        self.styles = {}  # type: CSS classes

    def write(self, document):
        self.documents += 1
        self.relations += len(document.relations)
        self.counts.update((entity.model, entity.type) for entity in document.entities)
        add_styles(self.styles, document.entities)
        self.body.write(self.template.article(self.documents, document, *arrange(document), self.styles))

    def close(self):
        legend = group_by_model(self.counts)
        totals = [(self.documents, "document"), (self.counts.total(), "entity"), (self.relations, "relation")]
        self.file.write(self.template.begin(totals, legend, self.styles))
        self.body.seek(0)
        shutil.copyfileobj(self.body, self.file)
        self.file.write(self.template.end())


def add_styles(styles, entities):
    """Gives each type of entity that is not in the dict its CSS classes."""
    for entity in entities:
        number = len(styles)
        styles.setdefault(entity.type, f"hue{number % HUES} stroke{number // HUES % STROKES}")


def group_by_model(counts):
    """For the legend: from a `Counter` of (model, type) to a dict from model to (type, count)."""
    legend = collections.defaultdict(list)
    for (model, kind), count in counts.items():
        legend[model].append((kind, count))
    return legend


def arrange(document):
    """What page.html needs of a document to show its text and tables.

    Returns:
      For each block of the text its kind and what `mark_up` makes of it; from id to entity; from id to number.
    """
    waiting = collections.deque(sorted(document.entities, key=lambda entity: entity.start))
    near, blocks = [], []
    for start, end, kind in blocks_of(document):
        while waiting and waiting[0].start < end:
            near.append(waiting.popleft())
        near = [entity for entity in near if entity.end > start]
        blocks.append((kind, mark_up(dataclasses.replace(document, entities=tuple(near)), start, end)))
    entities = {entity.id: entity for entity in document.entities}
    return blocks, entities, {id_: number for number, id_ in enumerate(entities, 1)}


def mark_up(document, start, end):
    """A stretch of the text with its entities.

    Where the borders of two mentions cross, the second is cut in two. The longer of those with one start is outside.

    Returns:
      A list of str, text; `Mark`, where one begins; and None, where the last of those that are open ends.
    """
    entities = [entity for entity in document.entities if entity.start < end and entity.end > start]
    waiting = collections.deque(sorted(entities, key=lambda entity: (entity.start, -entity.end)))
    pieces, opened, position = [], [], start
    while waiting or opened:
        borders = [mark.entity.end for mark in opened] + ([waiting[0].start] if waiting else [])
        border = min(max(min(borders), position), end)
        pieces.append(document.text[position:border])
        position = border
        ended = [index for index, mark in enumerate(opened) if min(mark.entity.end, end) == position]
        closed = opened[ended[0] :] if ended else []
        del opened[len(opened) - len(closed) :]
        pieces += [None] * len(closed)
        for mark in closed:
            mark.is_last = mark.entity.end == position
        to_open = [Mark(mark.entity, False) for mark in closed if min(mark.entity.end, end) > position]
        while waiting and max(waiting[0].start, start) == position:
            to_open.append(Mark(waiting[0], waiting.popleft().start == position))
        for mark in sorted(to_open, key=lambda mark: -mark.entity.end):
            pieces.append(mark)
            opened.append(mark)
            for index, outer in enumerate(opened):
                outer.height = min(max(outer.height, len(opened) - 1 - index), MAX_HEIGHT)
    return [piece for piece in [*pieces, document.text[position:end]] if piece != ""]
