"""Annotated documents in BioC XML and BioC JSON, through the library `bioc`.

Format: Comeau et al. 2013, "BioC: a minimalist approach to interoperability for biomedical text processing".

A document that was read from BioC is written as it was, what was found added to it. Of any other, each paragraph is a
passage. Offsets count characters.
"""

import bisect
import codecs
import contextlib
import copy
import itertools
import json
import re

import bioc
from bioc import biocjson, biocxml

from data_prep.formats.read_bioc import Origin, holders, locate
from data_prep.formats.write_passages import blocks_of

END_OF_COLLECTION = "]}"  # in JSON
ROLES = ("Arg1", "Arg2")  # of a relation's entities

# All but the characters of XML 1.0, https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@contextlib.contextmanager
def open_bioc_xml(file):
    """Gives a writer of a collection in XML. Characters that XML cannot hold become U+FFFD, so that offsets stay."""
    writer = _XmlWriter(file)
    yield writer
    writer.close()


class _XmlWriter:
    def __init__(self, file):
        self.file = _Utf8Decoder(file)
        self.writer = None  # until the first document, which says what the collection is

    def write(self, document):
        self._begin(document)
        self.writer.write_document(_xml_safe(to_bioc(document)))

    def _begin(self, document):
        if self.writer is None:
            self.writer = biocxml.encoder.BioCXMLDocumentWriter(self.file, encoding="UTF-8")
            collection = _collection(document)
            _make_xml_safe(collection, "source", "date", "key")
            self.writer.write_collection_info(collection)

    def close(self):
        self._begin(None)
        self.writer.close()
        self.file.write(b"\n")


@contextlib.contextmanager
def open_bioc_json(file):
    """Gives a writer of a collection in JSON, a document a line."""
    writer = _JsonWriter(file)
    yield writer
    writer.close()


class _JsonWriter:
    def __init__(self, file):
        self.file = file
        self.is_begun = False

    def write(self, document):
        self._begin(document)
        self.file.write(biocjson.dumps(to_bioc(document), ensure_ascii=False))

    def _begin(self, document):
        """Writes what stands before a document: the library writes a collection only as a whole."""
        if self.is_begun:
            self.file.write(",\n")
        else:
            head = biocjson.dumps(_collection(document), ensure_ascii=False)
            self.file.write(head.removesuffix(END_OF_COLLECTION) + "\n")
        self.is_begun = True

    def close(self):
        if not self.is_begun:
            self._begin(None)
        self.file.write(f"\n{END_OF_COLLECTION}\n")


class _Utf8Decoder:
    """A binary file to write to, whose content goes to a text file."""

    def __init__(self, file):
        self.file = file
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def write(self, data):
        self.file.write(self.decoder.decode(data))


def _collection(document):
    """A collection without documents, described as the one that its first document is from, if that is known."""
    collection = bioc.BioCCollection()
    collection.source, collection.date = "annotated text", ""
    if document and isinstance(document.origin, Origin):
        collection.copy_infon(document.origin.collection)
    return collection


def to_bioc(document):
    """The `BioCDocument` of a `Document`; a new one.

    An annotation is in the passage that holds its beginning, or in the sentence where passages have no text. Its
    infons are `type`, `confidence` and `model`.
    """
    if isinstance(document.origin, Origin):
        result = copy.deepcopy(document.origin.document)
        entities = [entity for entity in document.entities if entity.model]
        relations = [relation for relation in document.relations if relation.confidence is not None]
    else:
        result, entities, relations = _new_document(document), document.entities, document.relations
    taken = {part.id for part in _parts(result) if isinstance(part, bioc.BioCAnnotation | bioc.BioCRelation)}
    names = {}  # of entities found: id here to id there
    for entity in entities:
        names[entity.id] = _new_id(entity.id, taken)
        block, offset, length = _locate(result, document, entity)
        block.add_annotation(_annotation(names[entity.id], entity, offset, length, document.text))
    for relation in relations:
        ends = [names.get(end, end) for end in (relation.first, relation.second)]
        result.add_relation(_relation(_new_id(relation.id, taken), relation, ends))
    return result


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


def _parts(document):
    """Yields a `BioCDocument` and all in it that has infons."""
    for holder in holders(document):
        yield from (holder, *holder.annotations, *holder.relations)


def _annotation(name, entity, offset, length, text):
    annotation = bioc.BioCAnnotation()
    annotation.id = name
    annotation.infons = {"type": entity.type, **_confidence(entity)}
    if entity.model:
        annotation.infons["model"] = entity.model
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


def _confidence(found):
    """Infons are texts, in JSON as well."""
    return {} if found.confidence is None else {"confidence": str(round(found.confidence, 4))}


def _xml_safe(document):
    """Makes XML of all texts of a document possible, in place; what JSON has instead of texts becomes JSON."""
    for part in _parts(document):
        _make_xml_safe(part, "id", "text")
        for node in getattr(part, "nodes", []):
            node.refid, node.role = _xml_text(node.refid), _xml_text(node.role)
    return document


def _make_xml_safe(part, *names):
    part.infons = {_xml_text(key): _xml_text(value) for key, value in part.infons.items()}
    for name in names:
        if hasattr(part, name):
            setattr(part, name, _xml_text(getattr(part, name)))


def _xml_text(value):
    if value is None:
        return ""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value if isinstance(value, str) else json.dumps(value))
