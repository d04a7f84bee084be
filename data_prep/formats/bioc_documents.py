"""Documents of BioC, as objects of the library `bioc`, to `Document` and back; bioc_xml.py and bioc_json.py use it.

BioC: Comeau et al. 2013, "BioC: a minimalist approach to interoperability for biomedical text processing",
doi:10.1093/database/bat064.
"""

import bisect
import collections
import copy
import dataclasses
import itertools
import re

from common.errors import InputError
from data_prep.formats.document import NO_CONCEPTS, Document, Entity, Relation, blocks_of
from data_prep.formats.placement import CODE_UNITS, Mention, keep_placed, place

try:
    import bioc
except ImportError:  # of an extra; `table.check_installed` refuses the formats without it
    bioc = None

RELATION_TYPE_KEYS = ("type", "relation")  # of a relation's infons; the second in BC5CDR
# `breast and ovarian cancer` is a composite mention; BC5CDR has its parts (`breast cancer`) beside it.
ROLE, COMPOSITE, PART = "CompositeRole", "CompositeMention", "IndividualMention"
LINKED = ("identifier_score", "matched_name")
OTHER = ("confidence", "model", "abbreviation_of", *LINKED, ROLE)  # of an annotation's infons: no identifiers
ROLES = ("Arg1", "Arg2")  # of the entities of a relation that is written
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

    document: "bioc.BioCDocument"  # all of it, with given annotations and relations
    collection: "bioc.BioCCollection"  # its source, date, key and infons; without documents
    blocks: tuple  # of Block, in order of `start`, but those without text; each is a paragraph of the Document
    entities: dict  # Entity to the number of its annotation, in the order of the document
    relations: dict  # Relation to its number
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

    Entities are the annotations with one location whose text is there, maybe after a repair, see `placement.place`,
    but for the parts of composite mentions, for which these stand, as they do in PubTator.
    An annotation without an id, or with that of another one, gets a new one. Its `infon type` is the entity's type,
    its identifier is that of `infon identifier` or, without, of the infons that have one for a terminology (BC5CDR's
    `MESH`), which has no white space. Relations are those with two nodes, the ids of annotations. One
    without nodes (BC5CDR), or with the infons `role1` and `role2` (PubTator 3, whose nodes are something else), is
    between the two concepts that its infons name. `origin` (Origin) keeps them all.

    Args:
      decoded: bioc.BioCDocument, which is mended: ids for annotations without one, "" for texts that are None.
      collection: bioc.BioCCollection, for `origin`.
      source: file and line, for messages.
      default_id: for a document that has none.
      report: placement.Report, to which what is left out is added.

    Raises:
      InputError: an offset that is no number from 0 up, a text that is no Unicode string.
    """
    for holder in holders(decoded):
        _check(holder, source)
    text, blocks = _lay_out(decoded)
    entities, unit = place(text, _mentions(decoded, blocks, source, report), report)
    relations, concept_relations = _relations(decoded, entities, report)
    return Document(
        id=decoded.id or default_id,
        text=text,
        paragraphs=tuple((block.start, block.end) for block in blocks),
        source=source,
        kinds=tuple(_kind(decoded.passages[block.passage]) for block in blocks),
        entities=entities,
        relations=relations,
        concept_relations=concept_relations,
        taken_ids=frozenset(_ids_of(decoded)),
        origin=Origin(decoded, collection, blocks, *_numbered(decoded, entities, relations), unit),
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


def _mentions(decoded, blocks, source, report):
    """Returns a Mention for each annotation with one location; counts those with several."""
    of_passage = collections.defaultdict(list)
    for block in blocks:
        of_passage[block.passage].append(block)
    found = [(annotation, blocks) for annotation in decoded.annotations]
    for p, passage in enumerate(decoded.passages):
        found += [(a, of_passage[p]) for holder in (passage, *passage.sentences) for a in holder.annotations]
    ids = _unique_ids([annotation.id for annotation, _ in found], "A")
    composites = _Extents(annotation for annotation, _ in found if annotation.infons.get(ROLE) == COMPOSITE)
    mentions = []
    for (annotation, near), entity_id in zip(found, ids, strict=True):
        annotation.id = annotation.id or entity_id  # so that relations that are found can name it
        if annotation.infons.get(ROLE) == PART and composites.hold(annotation):
            report.parts_of_composites += 1
        elif len(annotation.locations) == 1:
            mentions.append(_mention(annotation, entity_id, near, blocks, source))
        elif annotation.locations:
            report.add_discontinuous(source, entity_id, annotation.text, len(annotation.locations))
    return mentions


def _extent(annotation):
    """The offsets, as the file counts, between which all locations of an annotation are."""
    bounds = [(location.offset, location.offset + location.length) for location in annotation.locations]
    return min((start for start, _ in bounds), default=0), max((end for _, end in bounds), default=0)


class _Extents:
    """Those of the annotations with one location, which are entities."""

    def __init__(self, annotations):
        extents = sorted(_extent(annotation) for annotation in annotations if len(annotation.locations) == 1)
        self._starts = [start for start, _ in extents]
        self._last_ends = list(itertools.accumulate((end for _, end in extents), max))

    def hold(self, annotation):
        """Whether one of them holds an annotation."""
        start, end = _extent(annotation)
        place = bisect.bisect_right(self._starts, start)
        return place > 0 and end <= self._last_ends[place - 1]


def _mention(annotation, entity_id, near, blocks, source):
    """Its offset counts from the block before it: of its passage, or else of any."""
    location = annotation.locations[0]
    before = [block for block in near if block.offset <= location.offset]
    before = before or [block for block in blocks if block.offset <= location.offset]
    block = max(before, key=lambda block: block.offset, default=Block(0, 0, 0, 0, None))
    start = location.offset - block.offset
    infons = {key: _infon_text(value) for key, value in annotation.infons.items()}
    entity_type = infons.pop("type", "")
    own = infons.get("identifier")
    identifiers = [own] if own else [v for k, v in infons.items() if k not in OTHER and not re.search(r"\s", v)]
    identifier = "|".join(value for value in identifiers if value not in NO_CONCEPTS)
    found = (_ratio_of(infons, "confidence"), infons["model"]) if infons.get("model") else ()
    entity = Entity(
        *(entity_id, entity_type, start, start + location.length, *found),
        identifier=identifier,
        identifier_score=_ratio_of(infons, "identifier_score"),
        matched_name=infons.get("matched_name", ""),
    )
    return Mention(entity, annotation.text, source, block.start)


def _infon_text(value):
    """An infon as text; of an object, which JSON may have (PubTator 3), its identifier."""
    if isinstance(value, dict):
        value = value.get("identifier")
    return "" if value is None else str(value).strip()


def _ratio_of(infons, key):
    """A number from 0 to 1 as it is written here; None for anything else."""
    text = infons.get(key, "")
    return float(text) if re.fullmatch(r"0\.[0-9]+|1\.0", text) else None


def _unique_ids(ids, letter):
    """The ids, with a new one for each that is empty or there several times."""
    counts = collections.Counter(ids)
    new = (f"{letter}{n}" for n in itertools.count(1) if f"{letter}{n}" not in counts)
    return [known if known and counts[known] == 1 else next(new) for known in ids]


def _relations(decoded, entities, report):
    """Returns the relations between two entities, and those between two concepts; counts what is neither."""
    given = collections.Counter(annotation.id for holder in holders(decoded) for annotation in holder.annotations)
    unmistakable = [entity for entity in entities if given[entity.id] == 1]
    concepts = frozenset().union(*(entity.concepts for entity in entities))
    relations = [relation for holder in holders(decoded) for relation in holder.relations]
    of_entities, of_concepts = [], []
    for relation, relation_id in zip(relations, _unique_ids([r.id for r in relations], "R"), strict=True):
        infons = {key: _infon_text(value) for key, value in relation.infons.items()}
        relation_type = infons.pop(next((key for key in RELATION_TYPE_KEYS if key in infons), None), "")
        confidence = _ratio_of(infons, "confidence")
        is_of_concepts = not relation.nodes or {"role1", "role2"} <= infons.keys()
        ends = _named_concepts(infons, concepts) if is_of_concepts else [node.refid for node in relation.nodes]
        if len(ends) == 2:
            (of_concepts if is_of_concepts else of_entities).append(
                Relation(relation_id, relation_type, *ends, confidence)
            )
        else:
            report.not_of_two += 1
    return keep_placed(of_entities, unmistakable, report), tuple(of_concepts)


def _named_concepts(infons, concepts):
    """Those of a document's concepts that infons name: `D008750`, or with its type: `Chemical|MESH:D008750`."""
    named = (value if value in concepts else value.partition("|")[2] for value in infons.values())
    return [name for name in named if name in concepts]


# Writing


def collection_of(document):
    """A collection without documents, described as the one that its first document is from, if that is known."""
    collection = bioc.BioCCollection()
    collection.source, collection.date = "annotated text", ""
    if document and isinstance(document.origin, Origin):
        collection.copy_infon(document.origin.collection)
    return collection


def to_bioc(document):
    """The `BioCDocument` of a `Document`; a new one.

    An annotation is in the passage that holds its beginning, or in the sentence where passages have no text. Its
    infons are `type`, `identifier`, `confidence` and `model`. Of a document that comes from BioC all that is as it was
    read stays as it is.
    """
    origin = document.origin if isinstance(document.origin, Origin) else None
    result = copy.deepcopy(origin.document) if origin else _new_document(document)
    same = _keep(result, document) if origin else {}
    taken = set(_ids_of(result))
    names = {}  # of entities found: id here to id there
    new = [entity for entity in document.entities if entity.id not in same]
    for entity in new:
        names[entity.id] = _new_id(entity.id, taken)
    for entity in document.entities:
        long_form = names.get(entity.abbreviation_of, entity.abbreviation_of)
        if entity.id in same:
            _update(*same[entity.id], entity, long_form)
        else:
            block, offset, length = _locate(result, document, entity)
            block.add_annotation(_annotation(names[entity.id], entity, long_form, offset, length, document.text))
    for relation in () if origin else document.concept_relations:
        result.add_relation(_concept_relation(_new_id(relation.id, taken), relation))
    for relation in document.relations:
        if not (origin and relation in origin.relations):
            ends = [names.get(end, end) for end in (relation.first, relation.second)]
            result.add_relation(_relation(_new_id(relation.id, taken), relation, ends))
    return result


def _numbered(decoded, entities, relations):
    """The dicts of an `Origin`."""
    annotations, related = (
        [each for holder in holders(decoded) for each in getattr(holder, name)] for name in ("annotations", "relations")
    )
    numbers = (
        {each: number for number, each in enumerate(_unique_ids([part.id for part in parts], letter))}
        for parts, letter in ((annotations, "A"), (related, "R"))
    )
    return [{each: ids[each.id] for each in found} for ids, found in zip(numbers, (entities, relations), strict=True)]


def _keep(result, document):
    """Takes out of a copy of a document's origin what the document has no more.

    What a relation names that stays is not taken out.

    Returns:
      From the id of an entity that stayed in its place to its annotation and to the Entity that was read.
    """
    origin = document.origin
    spans = {entity.id: (entity.start, entity.end) for entity in document.entities}
    stay = {entity for entity in origin.entities if spans.get(entity.id) == (entity.start, entity.end)}
    numbered = [each for holder in holders(result) for each in holder.annotations]
    same = {entity.id: (numbered[origin.entities[entity]], entity) for entity in stay}
    gone = {id(numbered[number]) for entity, number in origin.entities.items() if entity not in stay}
    related = [each for holder in holders(result) for each in holder.relations]
    now = set(document.relations)
    gone |= {id(related[number]) for each, number in origin.relations.items() if each not in now}
    named = {node.refid for relation in related if id(relation) not in gone for node in relation.nodes}
    for holder in holders(result) if gone else ():
        holder.annotations = [each for each in holder.annotations if id(each) not in gone or each.id in named]
        holder.relations = [each for each in holder.relations if id(each) not in gone]
    return same


def _update(annotation, before, entity, long_form):
    """Writes into an annotation what its entity has got since it was read."""
    if entity == before:
        return
    annotation.infons |= {"type": entity.type, **_confidence(entity)}
    if entity.identifier != before.identifier:
        for key in [key for key in annotation.infons if key != "type" and key not in OTHER]:
            if _infon_text(annotation.infons[key]) in before.identifier.split("|"):
                del annotation.infons[key]
        annotation.infons |= {"identifier": entity.identifier} if entity.identifier else {}
    for key in LINKED:
        annotation.infons.pop(key, None)
    annotation.infons |= _linked(entity)
    annotation.infons.pop("abbreviation_of", None)
    if long_form:
        annotation.infons["abbreviation_of"] = long_form


def _new_id(name, taken):
    """Returns an id that is not yet `taken`, `name` if possible, and adds it there."""
    numbered = (f"{name}.{number}" for number in itertools.count(2))
    new = next(candidate for candidate in itertools.chain([name], numbered) if candidate not in taken)
    taken.add(new)
    return new


def _new_document(document):
    result = bioc.BioCDocument()
    result.id = document.id
    for start, end, kind in blocks_of(document):
        passage = bioc.BioCPassage.of_text(document.text[start:end], start)
        if kind:
            passage.infons["type"] = kind
        result.add_passage(passage)
    return result


def _locate(result, document, entity):
    """Returns the `BioCPassage` or `BioCSentence` that an entity is in, its offset and its length."""
    if isinstance(document.origin, Origin):
        passage, sentence, offset, length = locate(document, entity.start, entity.end)
        block = result.passages[passage]
        return (block if sentence is None else block.sentences[sentence]), offset, length
    block = result.passages[bisect.bisect_right(result.passages, entity.start, key=lambda block: block.offset) - 1]
    return block, entity.start, entity.end - entity.start


def parts_of(document):
    """Yields a `BioCDocument` and all in it that has infons."""
    for holder in holders(document):
        yield from (holder, *holder.annotations, *holder.relations)


def _ids_of(document):
    """Yields the ids of the annotations and relations of a `BioCDocument`."""
    for holder in holders(document):
        yield from (each.id for each in (*holder.annotations, *holder.relations))


def _annotation(name, entity, long_form, offset, length, text):
    annotation = bioc.BioCAnnotation()
    annotation.id = name
    annotation.infons = {"type": entity.type, **({"identifier": entity.identifier} if entity.identifier else {})}
    annotation.infons |= {**_linked(entity), **_confidence(entity)}
    if entity.model:
        annotation.infons["model"] = entity.model
    if entity.abbreviation_of:
        annotation.infons["abbreviation_of"] = long_form
    annotation.add_location(bioc.BioCLocation(offset, length))
    annotation.text = text[entity.start : entity.end]
    return annotation


def _relation(name, relation, ends):
    result = bioc.BioCRelation()
    result.id = name
    result.infons = {"type": relation.type, **_confidence(relation)}
    for role, end in zip(ROLES, ends, strict=True):
        result.add_node(bioc.BioCNode(end, role))
    return result


def _concept_relation(name, relation):
    """As in BioRED."""
    result = bioc.BioCRelation()
    result.id = name
    result.infons = {"type": relation.type, "entity1": relation.first, "entity2": relation.second}
    return result


def _linked(entity):
    """What a terminology says of an entity, beside its identifier."""
    score = {} if entity.identifier_score is None else {LINKED[0]: str(round(entity.identifier_score, 4))}
    return score | ({LINKED[1]: entity.matched_name} if entity.matched_name else {})


def _confidence(found):
    """Infons are texts, in JSON as well."""
    return {} if found.confidence is None else {"confidence": str(round(found.confidence, 4))}


def describe(error):
    """What the library misses, in words: a KeyError says no more than the key."""
    return f"no {error}" if isinstance(error, KeyError) else str(error)
