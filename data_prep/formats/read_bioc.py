"""Documents of BioC, as objects of the library `bioc`, to `Document`, and places in the one to places in the other.

BioC: Comeau et al. 2013, doi:10.1093/database/bat064.
"""

import bisect
import collections
import dataclasses
import itertools

import bioc

from common.errors import InputError
from data_prep.formats import placement
from data_prep.formats.annotated import RELATION_TYPE_KEYS
from data_prep.formats.document import Document, Relation
from data_prep.formats.placement import CODE_UNITS, Mention
from data_prep.formats.read_entities import place_entities

MAX_GAP = 10_000  # characters that are filled in between two passages; with more between them, something is wrong


@dataclasses.dataclass(frozen=True)
class Block:
    """A passage's text, or that of a sentence in a passage that has sentences instead: `document.text[start:end]`."""

    start: int
    end: int
    offset: int  # of its first character, as the file counts
    passage: int  # its place among the document's passages
    sentence: int | None  # its place among the passage's sentences; None: it is the passage


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a BioC file has of a document."""

    document: bioc.BioCDocument  # all of it, with given annotations and relations
    collection: bioc.BioCCollection  # its source, date, key and infons; without documents
    blocks: tuple  # of Block, in order of `start`, but those without text; each is a paragraph of the Document
    unit: str | None  # what offsets count, one of CODE_UNITS; None: characters


def locate(document, start, end):
    """Where a span of the text of a document that comes from BioC is in its file.

    Returns:
      `(passage, sentence, offset, length)`: the places of the passage and of the sentence in it (None: the passage
      has text itself) in which the span begins; offset and length as the file counts them.
    """
    origin = document.origin
    block = origin.blocks[bisect.bisect_right(origin.blocks, start, key=lambda block: block.start) - 1]
    before, inside = document.text[block.start : start], document.text[start:end]
    return block.passage, block.sentence, block.offset + _size(before, origin.unit), _size(inside, origin.unit)


def _size(text, unit):
    if unit is None:
        return len(text)
    encoding, unit_bytes = CODE_UNITS[unit]
    return len(text.encode(encoding)) // unit_bytes


def make_document(decoded, collection, source, default_id, report):
    """Returns the Document of a BioCDocument.

    The text is that of the passages (of their sentences where a passage has none), each at the offset that it has in
    the file, so that offsets in it are the file's; what is not in the file between them is filled in: a newline (a
    space between sentences), then spaces. Where that is not possible, since offsets overlap or are far apart, the
    passages are joined with newlines; `locate` tells the offsets in the file. It does so too where those count bytes
    or UTF-16 code units.

    Entities are the annotations with one location whose text is there, maybe after a repair, see
    `data_prep.formats.placement.place`. An annotation without an id, or with that of another one, gets a new one.
    Relations are those of two entities. `origin` (Origin) keeps them all.

    Args:
      decoded: bioc.BioCDocument, which is mended: ids for annotations without one, "" for texts that are None.
      collection: bioc.BioCCollection, for `origin`.
      source: file and line, for messages.
      default_id: for a document that has none.
      report: data_prep.formats.placement.Report, to which entities left out are added.

    Raises:
      InputError: an offset that is no number from 0 up, a text that is no Unicode string.
    """
    for holder in holders(decoded):
        _check(holder, source)
    text, blocks = _lay_out(decoded)
    mentions = _mentions(decoded, blocks, source)
    entities, unit = place_entities(text, mentions, report)
    return Document(
        id=decoded.id or default_id,
        text=text,
        paragraphs=tuple((block.start, block.end) for block in blocks),
        source=source,
        kinds=tuple(_kind(decoded.passages[block.passage]) for block in blocks),
        entities=entities,
        relations=tuple(_relations(decoded, entities)),
        origin=Origin(decoded, collection, blocks, unit),
    )


def holders(decoded):
    """Yields the document, its passages and their sentences: what may hold annotations and relations."""
    yield decoded
    for passage in decoded.passages:
        yield passage
        yield from passage.sentences


def _kind(passage):
    kind = str(passage.infons.get("type", "")).lower()
    return "title" if kind == "front" else kind  # as PMC has it


# Checks


def _check(holder, source):
    """Mends and checks a document, passage or sentence and its annotations and relations, but not those inside it."""
    holder.text = _checked_text(holder.text, source)
    if isinstance(holder, bioc.BioCDocument):
        holder.id = _checked_text(holder.id, source)
    else:
        _check_offset(holder.offset, source)
    for annotation in holder.annotations:
        annotation.id = _checked_text(annotation.id, source)
        annotation.text = _checked_text(annotation.text, source)
        for location in annotation.locations:
            _check_offset(location.offset, source)
            _check_offset(location.length, source)
    for relation in holder.relations:
        relation.id = _checked_text(relation.id, source)
        for node in relation.nodes:
            node.refid = _checked_text(node.refid, source)


def _checked_text(text, source):
    """The text, or an id that may be a number in JSON; "" for None."""
    if text is None or isinstance(text, int):
        text = "" if text is None else str(text)
    if not isinstance(text, str):
        raise InputError(f"{source}: {str(text)[:40]!r} as a text or an id; expected a string")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{source}: half of a character (a lone surrogate) in a text; expected Unicode") from None
    return text


def _check_offset(offset, source):
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise InputError(f"{source}: {str(offset)[:40]!r} as an offset or length; expected a number from 0 up")


# Text


def _lay_out(decoded):
    """Returns the text of a document and a tuple of its Blocks."""
    parts = []
    for p, passage in enumerate(decoded.passages):
        if passage.text:
            parts.append((passage.text, passage.offset, p, None))
        else:
            parts += [(sentence.text, sentence.offset, p, s) for s, sentence in enumerate(passage.sentences)]
    parts = [part for part in parts if part[0]]
    keep_offsets = _are_usable(parts)
    pieces, blocks, end = [], [], 0
    for text, offset, passage, sentence in parts:
        gap = offset - end if keep_offsets else int(end > 0)
        mark = " " if blocks and blocks[-1].passage == passage else "\n"
        pieces += [(mark + " " * (gap - 1))[:gap], text]
        start = end + gap
        end = start + len(text)
        blocks.append(Block(start, end, offset, passage, sentence))
    return "".join(pieces), tuple(blocks)


def _are_usable(parts):
    """Whether each part can stand at its offset."""
    end = 0
    for text, offset, _, _ in parts:
        if not 0 <= offset - end <= MAX_GAP:
            return False
        end = offset + len(text)
    return True


# Annotations and relations


def _mentions(decoded, blocks, source):
    """Returns a Mention for each annotation with one location."""
    of_passage = collections.defaultdict(list)
    for block in blocks:
        of_passage[block.passage].append(block)
    found = [(annotation, blocks) for annotation in decoded.annotations]
    for p, passage in enumerate(decoded.passages):
        found += [(a, of_passage[p]) for holder in (passage, *passage.sentences) for a in holder.annotations]
    ids = _unique_ids([annotation.id for annotation, _ in found], "A")
    for (annotation, _), entity_id in zip(found, ids, strict=True):
        annotation.id = annotation.id or entity_id  # so that relations that are found can name it
    return [
        _mention(annotation, entity_id, near, blocks, source)
        for (annotation, near), entity_id in zip(found, ids, strict=True)
        if len(annotation.locations) == 1
    ]


def _mention(annotation, entity_id, near, blocks, source):
    """Its offset counts from the block before it: of its passage, or else of any."""
    location = annotation.locations[0]
    before = [block for block in near if block.offset <= location.offset]
    before = before or [block for block in blocks if block.offset <= location.offset]
    block = max(before, key=lambda block: block.offset, default=Block(0, 0, 0, 0, None))
    start = location.offset - block.offset
    entity_type = str(annotation.infons.get("type", ""))
    entity = placement.Entity(entity_id, entity_type, start, start + location.length, annotation.text)
    return Mention(entity, source, block.start)


def _unique_ids(ids, letter):
    """The ids, with a new one for each that is empty or there several times."""
    counts = collections.Counter(ids)
    new = (f"{letter}{n}" for n in itertools.count(1) if f"{letter}{n}" not in counts)
    return [known if known and counts[known] == 1 else next(new) for known in ids]


def _relations(decoded, entities):
    """Yields the relations whose two nodes are entities."""
    given = collections.Counter(annotation.id for holder in holders(decoded) for annotation in holder.annotations)
    known = {entity.id for entity in entities if given[entity.id] == 1}
    relations = [relation for holder in holders(decoded) for relation in holder.relations]
    for relation, relation_id in zip(relations, _unique_ids([r.id for r in relations], "R"), strict=True):
        nodes = [node.refid for node in relation.nodes]
        # With both infons (PubTator 3) it is between concepts, and its nodes are something else.
        if len(nodes) == 2 and known.issuperset(nodes) and not {"role1", "role2"} <= relation.infons.keys():
            keys = (key for key in RELATION_TYPE_KEYS if key in relation.infons)
            yield Relation(relation_id, str(relation.infons.get(next(keys, None), "")), *nodes)
