"""BioC JSON. The library `bioc` turns each document into its objects, see `bioc_documents`; its reader needs all of a
file in memory, so the library `ijson` takes that apart.
"""

import contextlib
import copy
from codecs import BOM_UTF8

from common.errors import InputError
from common.inputs import base_name, decode_line, name_of, open_text, raw_lines
from data_prep.formats.bioc_documents import collection_of, describe, make_document, to_bioc

try:
    import ijson
    from bioc import biocjson
    from bioc.biocjson.decoder import parse_collection
    from ijson.common import ObjectBuilder

    NOT_JSON = (ijson.JSONError, ValueError, ArithmeticError, RecursionError)
except ImportError:  # of an extra; `table.check_installed` refuses the format without it
    pass

MAX_DEPTH = 100  # of objects and lists in each other; BioC has some ten

# JSON: keys of a list of documents, the second in PubTator 3's export; what may be left out, but the library demands.
DOCUMENT_LISTS = ("documents", "PubTator3")
DEFAULTS = {
    "document": {"id": "", "infons": {}, "annotations": [], "relations": []},
    "passages": {"infons": {}, "text": "", "sentences": [], "annotations": [], "relations": []},
    "sentences": {"infons": {}, "text": "", "annotations": [], "relations": []},
    "annotations": {"id": "", "infons": {}, "text": "", "locations": []},
    "relations": {"id": "", "infons": {}, "nodes": []},
    "locations": {},
    "nodes": {"refid": "", "role": ""},
}


def looks_like(head):
    """Whether bytes begin like a JSON file of BioC."""
    return head.startswith((b"{", b"[")) and (b'"passages"' in head or b'"documents"' in head)


# Reading


def read(path, bad_document, report):
    """Yields the documents of a BioC JSON file, see `bioc_documents.make_document`.

    The file holds collections, lists of them, documents, or PubTator 3's export, one or several, as JSON lines too. If
    its name ends in `.jsonl`, what is after a line that is not JSON is read as well.

    Args:
      path: the file, compressed or not, or "-".
      bad_document: called with what is wrong with a document, or a line, which is then left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read, is empty, or not JSON; where it breaks off, after what came before.
    """
    name = name_of(path)
    is_lines = path.lower().removesuffix(".gz").endswith(".jsonl")
    with open_text(path) as file:
        values = _values_of_lines(file, path, bad_document) if is_lines else _values_of_file(file, path)
        for count, (information, value, place) in enumerate(values, 1):
            source = f"{name}, {place or f'document {count}'}"
            try:
                decoded, collection = _decode_json(value, information)
                document = make_document(decoded, collection, source, f"{base_name(path)}:{count}", report)
            except InputError as error:
                bad_document(str(error))
            except Exception as error:  # the library has no error of its own, and ours meets whatever it let pass
                bad_document(f"{source}: not BioC ({describe(error)}); expected BioC JSON")
            else:
                yield document


def _values_of_lines(file, path, bad_document):
    """Yields `(information on the collection, document, line)`."""
    for number, raw in raw_lines(file):
        place = f"line {number}"
        try:
            line = decode_line(raw, number, path)
            if line.strip():
                events = ijson.basic_parse(line.encode(), use_float=True)
                yield from ((*pair, place) for pair in _read_values(events))
        except InputError as error:
            bad_document(str(error))
        except NOT_JSON as error:
            bad_document(f"{name_of(path)}, {place}: cannot be read as JSON ({_first_line(error)}); expected BioC JSON")


def _values_of_file(file, path):
    """Yields `(information on the collection, document, "")`."""
    if file.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
        file.read(len(BOM_UTF8))
    try:
        events = ijson.basic_parse(file, multiple_values=True, use_float=True)
        yield from ((*pair, "") for pair in _read_values(events))
    except NOT_JSON as error:
        raise InputError(
            f"{name_of(path)}: cannot be read as JSON ({_first_line(error)}); expected BioC JSON"
        ) from None


def _first_line(error):
    """The message of a JSONError, which may be bytes, without the picture of the place."""
    message = error.args[0] if error.args else ""
    message = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    return message.strip().split("\n")[0].rstrip(".")


def _read_values(events):
    """Yields `(information on the collection, document)` of the values of a JSON file, or of the lists that they are.

    Args:
      events: iterator of ijson's `(event, value)`.
    """
    for event, value in events:
        if event == "start_map":
            yield from _read_object(events)
        elif event not in ("start_array", "end_array"):
            yield {}, value


def _read_object(events):
    """Yields `(information, document)` of a collection, or of a document, after its `start_map`."""
    builder, key, depth, is_collection = ObjectBuilder(), None, 1, False
    builder.event("start_map", None)
    while depth:
        event, value = next(events)
        if event == "map_key" and depth == 1:
            key = value
        elif event == "start_array" and depth == 1 and key in DOCUMENT_LISTS:
            is_collection = True
            builder.event("null", None)  # in place of the list
            while (first := next(events))[0] != "end_array":
                yield builder.value, _read_value(first, events)
            continue
        builder.event(event, value)
        depth = _change_depth(depth, event)
    if not is_collection:
        yield {}, builder.value


def _read_value(first, events):
    """Returns the value that begins with the event `first`."""
    builder = ObjectBuilder()
    builder.event(*first)
    depth = _change_depth(0, first[0])
    while depth:
        event, value = next(events)
        builder.event(event, value)
        depth = _change_depth(depth, event)
    return builder.value


def _change_depth(depth, event):
    depth += event.startswith("start") - event.startswith("end")
    if depth > MAX_DEPTH:
        raise ijson.JSONError("nested too deeply")
    return depth


def _decode_json(value, information):
    """Returns `(BioCDocument, BioCCollection without documents)`."""
    if not isinstance(value, dict) or not isinstance(value.get("passages"), list):
        raise ValueError("no passages")
    decoded = biocjson.fromJSON(_complete(value, "document"), "BioCDocument")
    texts = {key: str(information.get(key) or "") for key in ("source", "date", "key")}
    infons = information.get("infons") or {}
    if not isinstance(infons, dict):
        raise ValueError(f"infons {str(infons)[:40]!r} of the collection")
    return decoded, parse_collection({**texts, "infons": infons, "documents": []})


def _complete(value, kind):
    """Returns an object of JSON with what the library demands, also in the objects that it holds.

    Args:
      value: the object.
      kind: a key of DEFAULTS: the name of the list that it is in.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:40]!r} among the {kind}")
    value = copy.deepcopy(DEFAULTS[kind]) | {key: part for key, part in value.items() if part is not None}
    if not isinstance(value.get("infons", {}), dict):
        raise ValueError(f"infons {str(value['infons'])[:40]!r}")
    for key in value.keys() & DEFAULTS.keys():
        value[key] = [_complete(part, key) for part in value[key]]
    return value


# Writing


@contextlib.contextmanager
def open_writer(file, models):
    """See `table.open_writer`. The collection has a document a line."""
    writer = _Writer(file)
    yield writer
    writer.close()


END_OF_COLLECTION = "]}"


class _Writer:
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
            head = biocjson.dumps(collection_of(document), ensure_ascii=False)
            self.file.write(head.removesuffix(END_OF_COLLECTION) + "\n")
        self.is_begun = True

    def close(self):
        if not self.is_begun:
            self._begin(None)
        self.file.write(f"\n{END_OF_COLLECTION}\n")
