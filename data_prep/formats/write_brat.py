"""Annotated documents in brat's standoff format: DOC.txt and DOC.ann, and annotation.conf.

Formats: http://brat.nlplab.org/standoff.html, http://brat.nlplab.org/configuration.html
"""

import collections
import contextlib
import itertools
import os
import re

from common.files import make_directory
from data_prep.formats.write_pubtator import SEPARATORS

MAX_NAME_BYTES = 200  # file systems take 255, of which some are for numbers and `.txt`


CONFIGURATION_FILE = "annotation.conf"


@contextlib.contextmanager
def open_brat(directory):
    """Opens a `BratWriter`; when the block ends, annotation.conf declares the types of what was written.

    Raises:
      InputError: the directory cannot be written.
    """
    writer = BratWriter(directory)
    yield writer
    with open(os.path.join(directory, CONFIGURATION_FILE), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in writer.configuration_lines())


class BratWriter:
    """Two files a document: DOC.txt holds its text, unaltered, DOC.ann a line for each of

        T1	Disease 10 21	lung cancer
        R1	CPR_4 Arg1:T1 Arg2:T2
        #1	AnnotatorNotes T1	confidence 0.98, model ncbi

    Ids are numbered anew, as the format wants them. A mention may not go across the end of a line: it is then in
    fragments (`10 14;15 21`) whose texts are joined with spaces. DOC is the document's id, made safe as a file name,
    with a number where another document has the same.

    Args:
      directory: where to write; made if it does not exist. Files that are there stay.

    Raises:
      InputError: it cannot be written.
    """

    def __init__(self, directory):
        make_directory(directory)
        self.directory = directory
        self.documents = 0
        self.entity_types = set()
        self.relation_arguments = collections.defaultdict(set)  # of each type: (type of the first, of the second)

    def write(self, document):
        self.documents += 1
        types = {entity.id: _type(entity.type) for entity in document.entities}
        self.entity_types.update(types.values())
        for relation in document.relations:
            self.relation_arguments[_type(relation.type)].add((types[relation.first], types[relation.second]))
        # The names taken are those on disk: a set of them would grow with the documents.
        paths = (
            os.path.join(self.directory, name) for name in _numbered(safe_name(document.id), max(self.documents, 2))
        )
        path = next(path for path in paths if not os.path.exists(f"{path}.txt"))
        with open(f"{path}.txt", "x", encoding="utf-8", newline="") as file:
            file.write(document.text)
        with open(f"{path}.ann", "x", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in _annotation_lines(document))

    def configuration_lines(self):
        """The types so far, as brat wants them declared; entities of several models may overlap."""
        yield from ("[entities]", *sorted(self.entity_types))
        yield from ("[relations]", "<OVERLAP>\tArg1:<ENTITY>, Arg2:<ENTITY>, <OVL-TYPE>:<ANY>")
        for name, pairs in sorted(self.relation_arguments.items()):
            first, second = ("|".join(sorted(set(types))) for types in zip(*pairs, strict=True))
            yield f"{name}\tArg1:{first}, Arg2:{second}"
        yield from ("[events]", "[attributes]")


def _numbered(name, number):
    """Yields a, a.2, a.3, ..."""
    yield name
    yield from (f"{name}.{n}" for n in itertools.count(number))


def safe_name(document_id):
    """A file name of letters, digits and `_.-`, without a dot or hyphen at its start: no path, no hidden file.

    A document called after a text file gets that file's name, `a` from `a.txt`.
    """
    name = re.sub(r"[^\w.-]", "_", document_id).removesuffix(".txt").lstrip(".-")
    return name.encode("utf-8")[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "document"


def _annotation_lines(document):
    entity_ids = {entity.id: f"T{number}" for number, entity in enumerate(document.entities, 1)}
    noted = []
    for entity in document.entities:
        spans = _fragments(document.text, entity.start, entity.end)
        offsets = ";".join(f"{start} {end}" for start, end in spans)
        mention = " ".join(document.text[start:end] for start, end in spans)
        yield f"{entity_ids[entity.id]}\t{_type(entity.type)} {offsets}\t{mention}"
        noted.append((entity_ids[entity.id], entity.confidence, entity.model))
    for number, relation in enumerate(document.relations, 1):
        first, second = entity_ids[relation.first], entity_ids[relation.second]
        yield f"R{number}\t{_type(relation.type)} Arg1:{first} Arg2:{second}"
        noted.append((f"R{number}", relation.confidence, ""))
    numbers = itertools.count(1)
    for annotation, confidence, model in noted:
        if note := _note(confidence, model):
            yield f"#{next(numbers)}\tAnnotatorNotes {annotation}\t{note}"


def _fragments(text, start, end):
    """The spans between what separates lines or columns."""
    cuts = [match.start() for match in SEPARATORS.finditer(text, start, end)]
    bounds = zip([start, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True)
    return [(first, last) for first, last in bounds if first < last]


def _type(name):
    """A type of annotation, of the signs that brat's configuration allows: `CPR:4` is CPR_4."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "Entity"


def _note(confidence, model):
    parts = [] if confidence is None else [f"confidence {round(confidence, 4)}"]
    return ", ".join([*parts, f"model {SEPARATORS.sub(' ', model)}"] if model else parts)
