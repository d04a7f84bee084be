"""BioC XML. The library `bioc` turns each document into its objects, see `bioc_documents`. It would parse XML with
entities expanded, so it gets no file from elsewhere, but what `read_elements` has parsed safely, written anew without a
document type.
"""

import codecs
import contextlib
import json
import re

from lxml import etree

from common.errors import InputError
from common.inputs import as_file, base_name, name_of
from common.xml_elements import entity_text, read_elements
from data_prep.formats.bioc_documents import collection_of, describe, make_document, parts_of, to_bioc

try:
    import bioc
    from bioc import biocxml
except ImportError:  # of an extra; `table.check_installed` refuses the format without it
    pass

# Elements that hold nothing but text, and attributes that the DTD does not demand, but the library does.
TEXTS = ("source", "date", "key", "infon", "id", "offset", "text")
COLLECTION_TEXTS = ("source", "date", "key", "infon")
OPTIONAL_ATTRIBUTES = (("annotation", "id"), ("relation", "id"), ("node", "role"))

# All but the characters of XML 1.0, https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# Reading


def read(path, bad_document, report):
    """Yields the documents of a BioC XML file, see `bioc_documents.make_document`.

    Args:
      path: the file, compressed or not, or "-".
      bad_document: called with what is wrong with a document, which is then left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read or is not BioC XML; where it breaks off, after what came before.
    """
    name, collection = name_of(path), None
    with as_file(path, bad_document) as (file, bad_element):
        for count, element in enumerate(read_elements(file, "document", "collection"), 1):
            source = f"{name}, line {element.sourceline}"
            try:
                if collection is None:
                    before = [*element.itersiblings(*COLLECTION_TEXTS, preceding=True)][::-1]
                    collection = _decode_xml(before)
                (decoded,) = _decode_xml([element]).documents
                document = make_document(decoded, collection, source, f"{base_name(path)}:{count}", report)
            except InputError as error:
                bad_element(str(error))
            except Exception as error:  # the library has no error of its own, and ours meets whatever it let pass
                bad_element(f"{source}: not BioC ({describe(error)}); expected offsets, locations, nodes")
            else:
                yield document


def _decode_xml(elements):
    """Returns the BioCCollection of elements that a `collection` holds; they are changed."""
    for element in elements:
        for node in list(element.iter(*TEXTS)):
            text = _text_of(node)
            del node[:]
            node.text = text
        for tag, attribute in OPTIONAL_ATTRIBUTES:
            for node in element.iter(tag):
                node.set(attribute, node.get(attribute, ""))
    xml = "".join(etree.tostring(element, encoding="unicode", with_tail=False) for element in elements)
    decoded = bioc.loads(f"<collection>{xml}</collection>")
    for holder in (decoded, *(part for document in decoded.documents for part in parts_of(document))):
        holder.infons = {key: value or "" for key, value in holder.infons.items()}  # the library has None for ""
    return decoded


def _text_of(element):
    """The text in an element, with the named characters of HTML for its entities."""
    pieces = [element.text or ""]
    for child in element:
        pieces += [entity_text(child) if child.tag is etree.Entity else _text_of(child), child.tail or ""]
    return "".join(pieces)


# Writing


@contextlib.contextmanager
def open_writer(file, models):
    """See `table.open_writer`. Characters that XML cannot hold become U+FFFD, so that offsets stay."""
    writer = _Writer(file)
    yield writer
    writer.close()


class _Writer:
    def __init__(self, file):
        self.file = _Utf8Decoder(file)
        self.writer = None  # until the first document, which says what the collection is

    def write(self, document):
        self._begin(document)
        self.writer.write_document(_xml_safe(to_bioc(document)))

    def _begin(self, document):
        if self.writer is None:
            self.writer = biocxml.encoder.BioCXMLDocumentWriter(self.file, encoding="UTF-8")
            collection = collection_of(document)
            _make_xml_safe(collection, "source", "date", "key")
            self.writer.write_collection_info(collection)

    def close(self):
        self._begin(None)
        self.writer.close()
        self.file.write(b"\n")


class _Utf8Decoder:
    """A binary file to write to, whose content goes to a text file."""

    def __init__(self, file):
        self.file = file
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def write(self, data):
        self.file.write(self.decoder.decode(data))


def _xml_safe(document):
    """Makes XML of all texts of a document possible, in place; what JSON has instead of texts becomes JSON."""
    for part in parts_of(document):
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
