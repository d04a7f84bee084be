"""Annotated documents in brat's standoff format: DOC.txt and DOC.ann.

Format: http://brat.nlplab.org/standoff.html
"""

import itertools
import os
import re

from common.files import make_directory
from inference.formats.write_pubtator import SEPARATORS

MAX_NAME_BYTES = 200  # file systems take 255, of which some are for numbers and `.txt`


class BratWriter:
    """Two files a document: DOC.txt holds its text, unaltered, DOC.ann a line for each of

        T1	Disease 10 21	lung cancer
        R1	CPR:4 Arg1:T1 Arg2:T2
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

    def write(self, document):
        self.documents += 1
        # The names taken are those on disk: a set of them would grow with the documents.
        paths = (
            os.path.join(self.directory, name) for name in _numbered(safe_name(document.id), max(self.documents, 2))
        )
        path = next(path for path in paths if not os.path.exists(f"{path}.txt"))
        with open(f"{path}.txt", "x", encoding="utf-8", newline="") as file:
            file.write(document.text)
        with open(f"{path}.ann", "x", encoding="utf-8", newline="") as file:
            file.writelines(f"{line}\n" for line in _annotation_lines(document))


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
    """A type of annotation: no space. Other signs are spared that brat's configuration or pages could take amiss."""
    return re.sub(r"[^A-Za-z0-9_:-]", "_", name) or "Entity"


def _note(confidence, model):
    parts = [] if confidence is None else [f"confidence {round(confidence, 4)}"]
    return ", ".join([*parts, f"model {SEPARATORS.sub(' ', model)}"] if model else parts)
