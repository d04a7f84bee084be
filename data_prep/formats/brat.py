"""brat's standoff format: DOC.txt and DOC.ann, and annotation.conf.

DOC.txt holds a document's text, unaltered, DOC.ann a line for each of

    T1	Disease 10 21	lung cancer                 an entity; `10 14;15 21`: in fragments
    R1	CPR_4 Arg1:T1 Arg2:T2                       a relation
    N1	Reference T1 MESH:D008175	Lung Neoplasms  a concept of an entity, the name that it was found by
    #1	AnnotatorNotes T1	confidence 0.98, model ncbi
    #2	AnnotatorNotes T1	identifier score 0.87

and of what has no place here, and is counted: E, events; A and M, attributes; *, equivalences; #, notes of people.

Formats: http://brat.nlplab.org/standoff.html, http://brat.nlplab.org/configuration.html
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import re

from common.errors import InputError
from common.files import make_directory
from common.inputs import STANDARD_INPUT, decode_line, name_of, open_bytes, raw_lines
from data_prep.formats.document import SEPARATORS, Document, Entity, Relation
from data_prep.formats.placement import Mention, keep_placed, place
from data_prep.formats.text import LINE, read_whole
from data_prep.text.sentences import trim

MAX_NAME_BYTES = 200  # file systems take 255, of which some are for numbers and `.txt`
TEXT_SUFFIX, ANNOTATION_SUFFIX = ".txt", ".ann"
CONFIGURATION_FILE = "annotation.conf"
CONFIGURATION_FILES = (CONFIGURATION_FILE, "visual.conf", "tools.conf", "kb_shortcuts.conf")
NO_DATABASE = "concept"  # before an identifier without a colon, which brat takes for the end of a database's name
SPACES = re.compile(r"\s")
FRAGMENTS = re.compile("[0-9]{1,18} [0-9]{1,18}(;[0-9]{1,18} [0-9]{1,18})*")
# What `_note` writes.
NOTE_OF_MODEL = re.compile(
    r"AnnotatorNotes (\S+)\tconfidence (0\.[0-9]+|1\.0)(?:, abbreviation of T[0-9]+)?(?:, model (.+))?"
)
NOTE_OF_SCORE = re.compile(r"AnnotatorNotes (\S+)\tidentifier score (0\.[0-9]+|1\.0)")


# Reading


def own_inputs(paths):
    """Those of some paths that are documents of their own: of `a.txt` and `a.ann` the second is."""
    annotations = {path for path in paths if path.endswith(ANNOTATION_SUFFIX)}
    directories = {os.path.dirname(path) for path in annotations}
    return [
        path
        for path in paths
        if f"{path.removesuffix(TEXT_SUFFIX)}{ANNOTATION_SUFFIX}" not in annotations - {path}
        and not (os.path.dirname(path) in directories and os.path.basename(path) in CONFIGURATION_FILES)
    ]


def read(path, bad_document, report):
    """Yields one document, with the entities and relations that its `.ann` gives.

    Each line of the text is a paragraph. Fragments with nothing but white space between them, as where a mention goes
    over the end of a line, are one entity; an entity of other fragments is discontinuous, and left out. Normalizations
    are its concepts, notes as above say what a model found. The entities and relations keep their ids.

    Args:
      path: `a.ann`, or `a.txt`, whose annotations are in the other; without one there are none.
      bad_document: not called: the only document is the file.
      report: as for `table.read_documents`.

    Raises:
      InputError: the files cannot be read, the text is missing, empty or no UTF-8; a line that is not brat's.
    """
    if path == STANDARD_INPUT:
        raise InputError("standard input: brat has two files a document; expected the path of one, or a directory")
    base = path.removesuffix(ANNOTATION_SUFFIX) if path.endswith(ANNOTATION_SUFFIX) else path.removesuffix(TEXT_SUFFIX)
    text_path, annotation_path = f"{base}{TEXT_SUFFIX}", f"{base}{ANNOTATION_SUFFIX}"
    if not os.path.exists(text_path):
        raise InputError(f"{name_of(path)}: no {os.path.basename(text_path)} beside it; expected the text there")
    text = read_whole(text_path)
    annotations = _Annotations()
    if os.path.exists(annotation_path):
        with open_bytes(annotation_path) as file:
            for number, raw in raw_lines(file):
                line = decode_line(raw, number, annotation_path)
                if line.strip():
                    annotations.add(line, text, f"{name_of(annotation_path)}, line {number}", report)
    entities, _ = place(text, annotations.mentions(), report)
    paragraphs = tuple(trim(text, *line.span()) for line in LINE.finditer(text) if line[0].strip())
    relations = keep_placed(annotations.relations(), entities, report)
    name = os.path.basename(base).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    yield Document(name, text, paragraphs, name_of(path), (), entities, relations, taken_ids=frozenset(annotations.ids))


class _Annotations:
    """What the lines of a file `.ann` give."""

    def __init__(self):
        self._relations = []
        self.ids = set()  # of all lines
        self._mentions = {}  # id: Mention
        self._concepts = collections.defaultdict(list)  # id of an entity: what it means
        self._names = {}  # id of an entity: the name that its concept was found by
        self._scores = {}  # id of an entity: how well the name fits
        self._found = {}  # id of what a model found: its confidence, and the model of an entity

    def mentions(self):
        """The entities, with what they mean and what found them."""
        return [
            dataclasses.replace(
                mention,
                entity=dataclasses.replace(
                    mention.entity,
                    identifier="|".join(self._concepts[name]),
                    **self._linked(name),
                    **self._found.get(name, {}),
                ),
            )
            for name, mention in self._mentions.items()
        ]

    def _linked(self, name):
        """What a terminology says of an entity beside its identifier."""
        if name not in self._scores:
            return {}
        return {"identifier_score": self._scores[name], "matched_name": self._names.get(name, "")}

    def relations(self):
        """The relations, those that a model found with their confidence."""
        return [
            dataclasses.replace(relation, confidence=self._found.get(relation.id, {}).get("confidence"))
            for relation in self._relations
        ]

    def add(self, line, text, where, report):
        """Adds what a line says; raises InputError if it is none of brat's."""
        name, _, rest = line.partition("\t")
        self.ids.add(name)
        kind, columns = name[:1], rest.split("\t")
        if kind == "T" and len(columns) > 1:
            self._add_entity(name, columns, text, where, report)
        elif kind == "R" and (match := re.fullmatch(r"(\S+) \S+:(\S+) \S+:(\S+)", columns[0].strip())):
            self._relations.append(Relation(name, *match.groups()))
        elif kind == "N" and (match := re.fullmatch(r"\S+ (\S+) (\S+)", columns[0].strip())):
            self._concepts[match[1]].append(match[2].removeprefix(f"{NO_DATABASE}:"))
            self._names[match[1]] = "".join(columns[1:2])
        elif kind == "#" and (match := NOTE_OF_MODEL.fullmatch(rest)):
            self._found[match[1]] = {"confidence": float(match[2]), **({"model": match[3]} if match[3] else {})}
        elif kind == "#" and (match := NOTE_OF_SCORE.fullmatch(rest)):
            self._scores[match[1]] = float(match[2])
        elif kind in tuple("EAM*#"):
            report.other_annotations += 1
        else:
            raise InputError(f"{where}: {line[:40]!r}; expected T1, tab, type start end, tab, text, or a relation R1")

    def _add_entity(self, name, columns, text, where, report):
        entity_type, _, offsets = columns[0].partition(" ")
        if not FRAGMENTS.fullmatch(offsets):
            raise InputError(f"{where}: offsets {offsets[:40]!r}; expected start and end, or several of them: 0 4;9 12")
        if name in self._mentions:
            raise InputError(f"{where}: entity {name} again; expected unique ids")
        spans = [tuple(map(int, fragment.split())) for fragment in offsets.split(";")]
        if any(start >= end for start, end in spans):
            raise InputError(f"{where}: offsets {offsets[:40]!r}; expected start < end")
        gaps = (text[end:start] for (_, end), (start, _) in itertools.pairwise(spans))
        if any(gap.strip() for gap in gaps):
            report.add_discontinuous(where, name, columns[1], len(spans))
            return
        entity = Entity(name, entity_type, spans[0][0], spans[-1][1])
        self._mentions[name] = Mention(entity, columns[1], where)


# Writing


@contextlib.contextmanager
def open_writer(directory, models):
    """See `table.open_writer`. When the block ends, annotation.conf declares the types of what was written.

    Raises:
      InputError: the directory cannot be written.
    """
    writer = _Writer(directory)
    yield writer
    with open(os.path.join(directory, CONFIGURATION_FILE), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in writer.configuration_lines())


class _Writer:
    """Writes two files a document.

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
        long_form = entity_ids.get(entity.abbreviation_of, "")
        noted.append((entity_ids[entity.id], entity.confidence, entity.model, long_form))
    for number, relation in enumerate(document.relations, 1):
        first, second = entity_ids[relation.first], entity_ids[relation.second]
        yield f"R{number}\t{_type(relation.type)} Arg1:{first} Arg2:{second}"
        noted.append((f"R{number}", relation.confidence, "", ""))
    numbers = itertools.count(1)
    for entity in document.entities:
        if entity.identifier:
            identifier = SPACES.sub("_", entity.identifier)
            reference = identifier if ":" in identifier else f"{NO_DATABASE}:{identifier}"
            name = SEPARATORS.sub(" ", entity.matched_name or document.text[entity.start : entity.end])
            yield f"N{next(numbers)}\tReference {entity_ids[entity.id]} {reference}\t{name}"
    numbers = itertools.count(1)
    for annotation, *said in noted:
        if note := _note(*said):
            yield f"#{next(numbers)}\tAnnotatorNotes {annotation}\t{note}"
    for entity in document.entities:
        if entity.identifier_score is not None:
            score = round(entity.identifier_score, 4)
            yield f"#{next(numbers)}\tAnnotatorNotes {entity_ids[entity.id]}\tidentifier score {score}"


def _fragments(text, start, end):
    """The spans between what separates lines or columns."""
    cuts = [match.start() for match in SEPARATORS.finditer(text, start, end)]
    bounds = zip([start, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True)
    return [(first, last) for first, last in bounds if first < last]


def _type(name):
    """A type of annotation, of the signs that brat's configuration allows: `CPR:4` is CPR_4."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "Entity"


def _note(confidence, model, long_form):
    parts = [] if confidence is None else [f"confidence {round(confidence, 4)}"]
    parts += [f"abbreviation of {long_form}"] if long_form else []
    return ", ".join([*parts, f"model {SEPARATORS.sub(' ', model)}"] if model else parts)
