r"""Turns a corpus of entities and relations into rows for relation extraction, two entities anonymized in each.

    python -m data_prep.relation_corpus --input_format=chemprot --output_file=train.tsv \
        --input_file=abstracts.tsv --entities_file=entities.tsv --relations_file=relations.tsv
    python -m data_prep.relation_corpus --input_format=pubtator --output_file=train.tsv \
        --input_file=CDR_TrainingSet.PubTator.txt --entity_types=Chemical,Disease --binary

A row is a sentence and its label, for each pair of an entity of the first type and one of the second that
share a sentence: `Inhibition of @GENE$ by @CHEMICAL$.<tab>cpr:4`. Entities that overlap become one,
`@CHEM-GENE$` in ChemProt, `@CHEMICAL-DISEASE$` elsewhere. A pair is related if the corpus relates it in
either order; of several relations the first in the file counts. Between two of one type there is a row for
each unordered pair. Where relations are between concepts (PubTator), all mentions of the two are related.

`train.pairs.tsv`, beside `train.tsv`, says of each row which entities of which document it is about.
"""

import collections
import dataclasses
import itertools
import os

from absl import flags

from common.errors import InputError, run
from common.files import atomic_write, check_output_file
from common.inputs import expand_patterns
from common.progress import progress
from data_prep.formats import chemprot, table
from data_prep.formats.document import Entity
from data_prep.formats.placement import Report
from data_prep.tasks.relations import ONE_LINE, anonymize
from data_prep.text.sentences import join_across, load_sentence_splitter, split_paragraphs

FLAGS = flags.FLAGS

NEGATIVE_LABEL = "false"
CHEMPROT_LABELS = ["cpr:3", "cpr:4", "cpr:5", "cpr:6", "cpr:9"]  # the groups that are evaluated
CHEMPROT_TYPES = {"GENE-Y": "GENE", "GENE-N": "GENE"}  # whether a database has an entry for the gene
# Starts and ends are characters of the document's text: its paragraphs with one character between them.
PAIRS_HEADER = "document entity1 start1 end1 text1 entity2 start2 end2 text2 sentence_start sentence_end".split()


@dataclasses.dataclass(frozen=True)
class Options:
    """What rows are made."""

    types: tuple  # (A, B), in upper case
    labels: dict | None = None  # relation type in lower case to label; None: each type is its own label
    binary: bool = False  # label 1 instead
    negative_label: str = NEGATIVE_LABEL
    mask_others: bool = False

    def label(self, relation_type):
        """The label of a relation; None if it is not one to learn."""
        label = relation_type.translate(ONE_LINE) if self.labels is None else self.labels.get(relation_type.lower())
        return "1" if self.binary and label is not None else label


@dataclasses.dataclass(frozen=True)
class Row:
    """A pair of entities in a sentence, a span of the document."""

    document_id: str
    first: Entity
    second: Entity
    texts: tuple  # of the two
    span: tuple
    sentence: str
    label: str


@dataclasses.dataclass
class Counts:
    """What was made of the corpus. Relations are those that have a label."""

    sentences: int = 0  # with a pair
    without_relation: int = 0  # documents with a pair
    labels: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # rows
    types: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # entities
    relation_types: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # of all relations
    relations: int = 0
    placed: int = 0  # relations with a row
    without_entity: int = 0
    across_sentences: int = 0
    other_types: int = 0  # relations of other types of entities
    several_labels: int = 0  # pairs


def make_rows(documents, split_sentences, options, counts):
    """Yields a Row for each pair of entities that share a sentence.

    Args:
      documents: iterable of Document.
      split_sentences: as of `load_sentence_splitter`.
      options: Options.
      counts: Counts, to which is added.
    """
    for document in documents:
        entities = sorted(
            (dataclasses.replace(entity, type=_type_name(entity.type)) for entity in document.entities),
            key=lambda entity: (entity.start, entity.end),
        )
        counts.types.update(entity.type for entity in entities)
        pairs = {}  # frozenset of two ids to (sentence, entities of the sentence, first, second)
        for sentence, inside in _sentences(document, entities, split_sentences, options.types):
            found = _pairs(inside, options.types)
            counts.sentences += bool(found)
            pairs |= {frozenset((a.id, b.id)): (sentence, inside, a, b) for a, b in found}
        counts.without_relation += bool(pairs and not (document.relations or document.concept_relations))
        labels = _label_pairs(document, entities, pairs, options, counts)
        for key, (sentence, inside, first, second) in pairs.items():
            others = [entity for entity in inside if entity.id not in key] if options.mask_others else []
            text = anonymize(document.text, sentence, first, second, others)
            label = labels.get(key, options.negative_label)
            counts.labels[label] += 1
            texts = tuple(document.text[entity.start : entity.end] for entity in (first, second))
            yield Row(document.id, first, second, texts, sentence, text, label)


def _type_name(name):
    name = "-".join(name.upper().split())
    return CHEMPROT_TYPES.get(name, name)


def _sentences(document, entities, split_sentences, types):
    """Yields `(span, entities in it)` of each sentence that has any."""
    if not set(types) <= {entity.type for entity in entities}:
        return
    spans = split_paragraphs(document.text, document.paragraphs, split_sentences)
    spans = join_across(spans, [(entity.start, entity.end) for entity in entities])
    rest = collections.deque(entities)
    for start, end in spans:
        inside = []
        while rest and rest[0].start < end:
            inside.append(rest.popleft())
        if inside:
            yield (start, end), inside


def _pairs(entities, types):
    """Pairs of an entity of the first type and one of the second, in the order of the text."""
    firsts, seconds = ([entity for entity in entities if entity.type == name] for name in types)
    if types[0] == types[1]:
        return list(itertools.combinations(firsts, 2))
    return list(itertools.product(firsts, seconds))


def _label_pairs(document, entities, pairs, options, counts):
    """Returns the label of each related pair, by key, and counts the relations."""
    by_id = {entity.id: [entity] for entity in entities}
    by_concept = collections.defaultdict(list)
    for entity in entities:
        for concept in entity.concepts:
            by_concept[concept].append(entity)
    found = {}
    ends = [(relation, by_id) for relation in document.relations]
    ends += [(relation, by_concept) for relation in document.concept_relations]
    for relation, named in ends:
        counts.relation_types[relation.type] += 1
        label = options.label(relation.type)
        if label is None:
            continue
        counts.relations += 1
        firsts, seconds = named.get(relation.first), named.get(relation.second)
        if not firsts or not seconds:
            counts.without_entity += 1
            continue
        arguments = list(itertools.product(firsts, seconds))
        keys = [key for a, b in arguments if (key := frozenset((a.id, b.id))) in pairs]
        for key in keys:
            found.setdefault(key, []).append(label)
        if keys:
            counts.placed += 1
        elif any(sorted((a.type, b.type)) == sorted(options.types) for a, b in arguments):
            counts.across_sentences += 1
        else:
            counts.other_types += 1
    counts.several_labels += sum(len(set(labels)) > 1 for labels in found.values())
    return {key: labels[0] for key, labels in found.items()}


def pairs_path(output_file):
    """`train.tsv` to `train.pairs.tsv`."""
    return f"{os.path.splitext(output_file)[0]}.pairs.tsv"


def write_rows(rows, counts, output_file, output_format):
    """Writes the rows, and beside them which pairs they are about.

    Args:
      rows: iterable of Row.
      counts: Counts, which `rows` fills in.
      output_file: path.
      output_format: "train": sentence, label; "test": a header, then index, sentence, label; "predict": as
        "test", without label.

    Raises:
      InputError: no row, or for training relations of which none is to be learned; nothing is written.
    """
    header = {"train": None, "test": "index\tsentence\tlabel", "predict": "index\tsentence"}[output_format]
    index = -1
    with atomic_write(output_file) as file, atomic_write(pairs_path(output_file)) as pairs_file:
        if header:
            file.write(header + "\n")
        pairs_file.write("\t".join(PAIRS_HEADER) + "\n")
        for index, row in enumerate(rows):
            columns = [row.sentence] if output_format == "predict" else [row.sentence, row.label]
            file.write("\t".join([str(index), *columns] if header else columns) + "\n")
            pairs_file.write("\t".join(_pair_columns(row)) + "\n")
        if index < 0:
            types = ", ".join(sorted(counts.types)) or "none"
            raise InputError(f"no sentence holds a pair; expected --entity_types of those in the corpus: {types}")
        if output_format == "train" and counts.relation_types and not counts.relations:
            types = ", ".join(sorted(counts.relation_types))
            raise InputError(f"no relation has a label to learn; expected --labels of those in the corpus: {types}")


def _pair_columns(row):
    entities = [
        (entity.id, entity.start, entity.end, text)
        for entity, text in zip((row.first, row.second), row.texts, strict=True)
    ]
    return [str(value).translate(ONE_LINE) for value in (row.document_id, *entities[0], *entities[1], *row.span)]


def summarize(report, counts, output_file, output_format):
    """Yields the lines that tell the user what was made, and what could not be placed."""
    predict = output_format == "predict"
    labels = "no labels" if predict else ", ".join(f"{name} {number}" for name, number in counts.labels.most_common())
    types = ", ".join(f"{name} {number}" for name, number in counts.types.most_common())
    yield (
        f"{report.documents} documents, {counts.sentences} sentences with a pair: {counts.labels.total()} rows "
        f"({labels}) written to {output_file}, what they are about to {pairs_path(output_file)}"
    )
    yield (
        f"entities: {report.entities} in place ({types}), {report.shifted} of them moved to their text, "
        f"{report.spelled_otherwise} spelled otherwise there; left out: {report.misplaced} whose text is elsewhere, "
        f"{report.discontinuous} in several parts, {report.parts_of_composites} parts of composite mentions"
    )
    for unit, number in report.other_units.items():
        yield f"entities: the offsets of {number} documents count {unit}"
    if not predict:
        yield (
            f"relations to learn: {counts.placed} of {counts.relations} in rows; left out: "
            f"{counts.across_sentences} across sentences, {counts.without_entity} without their entities, "
            f"{counts.other_types} of other types, {report.not_of_two} not between two"
        )
        yield (
            f"{counts.several_labels} pairs with several labels, of which the first in the file is written; "
            f"{counts.without_relation} documents with pairs and no relation at all"
        )
    if report.other_annotations:
        yield f"{report.other_annotations} annotations that are neither entities nor relations are left out"
    if report.rows_of_unknown_documents:
        yield f"{report.rows_of_unknown_documents} rows of the tables are of documents that are not in the corpus"
    yield from report.examples


def define_flags():
    flags.DEFINE_enum("input_format", None, ["chemprot", *table.ANNOTATED], "Format of the corpus; bioc: in XML.")
    flags.DEFINE_string(
        "input_file", None, "The corpus (ChemProt: abstracts): files, directories and patterns, comma-separated."
    )
    flags.DEFINE_string("entities_file", None, "ChemProt's table of entities.")
    flags.DEFINE_string("relations_file", None, "ChemProt's table of relations. None: with --output_format=predict.")
    flags.DEFINE_string("output_file", None, "File to write; what its rows are about goes to <name>.pairs.tsv.")
    flags.DEFINE_enum(
        "output_format",
        "train",
        ["train", "test", "predict"],
        "Columns: sentence and label (train); with a header, index, sentence and label (test) or index and sentence.",
    )
    flags.DEFINE_list("entity_types", None, "The two types of a pair (ChemProt: CHEMICAL,GENE), in any case.")
    flags.DEFINE_list(
        "labels", None, "Relations to learn, in any case. None: every one (ChemProt: cpr:3, 4, 5, 6 and 9)."
    )
    flags.DEFINE_bool("binary", False, "Label 1 for a pair that has one of the relations, 0 for any other.")
    flags.DEFINE_string("negative_label", NEGATIVE_LABEL, "Label of a pair without relation.")
    flags.DEFINE_bool("mask_others", False, "Replace the other entities of the sentence with @OTHER$.")
    flags.mark_flags_as_required(["input_format", "input_file", "output_file"])


def make_options(input_format, entity_types, labels, binary, negative_label, mask_others):
    """Options as the flags say; raises InputError."""
    chemprot = input_format == "chemprot"
    types = tuple(map(_type_name, entity_types or (["CHEMICAL", "GENE"] if chemprot else [])))
    if len(types) != 2:
        raise InputError(f"--entity_types={','.join(types)}: {len(types)} types; expected two, as Chemical,Disease")
    if binary and negative_label != NEGATIVE_LABEL:
        raise InputError(
            f"--negative_label={negative_label} with --binary: its labels are 0 and 1; expected one of the flags"
        )
    labels = labels or (CHEMPROT_LABELS if chemprot else None)
    labels = {label.lower(): label for label in labels} if labels else None
    return Options(types, labels, binary, "0" if binary else negative_label, mask_others)


def make_reader(input_format, input_file, entities_file, relations_file, predict):
    """Returns the files of a corpus, and a function from a Report to an iterable of its Documents.

    Raises:
      InputError: flags that do not fit, or a file that is not there.
    """
    if input_format != "chemprot":
        if entities_file or relations_file:
            raise InputError("--entities_file, --relations_file: expected with --input_format=chemprot only")
        name = table.ANNOTATED[input_format]
        table.check_installed(name, f"--input_format={input_format}")
        paths = table.list_inputs(input_file, input_format=name)
        return paths, lambda report: table.read_corpus(paths, input_format, report)
    paths = expand_patterns(input_file)
    if len(paths) != 1 or not entities_file:
        raise InputError("--input_format=chemprot: expected one --input_file (abstracts) and an --entities_file")
    if not relations_file and not predict:
        raise InputError("no --relations_file, so no labels; expected it, or --output_format=predict")
    files = [*paths, entities_file, *([relations_file] if relations_file else [])]
    return files, lambda report: chemprot.read(paths[0], entities_file, relations_file, report)


def _watched(documents, report, options, counts, bar):
    """The documents; at their end counts the relations that a reader left out for want of their entities."""
    for document in documents:
        bar.update()
        yield document
    counts.relation_types.update(report.without_entity)
    missing = sum(number for name, number in report.without_entity.items() if options.label(name) is not None)
    counts.relations += missing
    counts.without_entity += missing


def main(_):
    options = make_options(
        FLAGS.input_format, FLAGS.entity_types, FLAGS.labels, FLAGS.binary, FLAGS.negative_label, FLAGS.mask_others
    )
    input_files, read_documents = make_reader(
        FLAGS.input_format,
        FLAGS.input_file,
        FLAGS.entities_file,
        FLAGS.relations_file,
        predict=FLAGS.output_format == "predict",
    )
    split_sentences = load_sentence_splitter()
    for path in (FLAGS.output_file, pairs_path(FLAGS.output_file)):
        check_output_file(path, input_files)
    report, counts = Report(), Counts()
    with progress("documents", unit="document") as bar:
        rows = make_rows(
            _watched(read_documents(report), report, options, counts, bar), split_sentences, options, counts
        )
        write_rows(rows, counts, FLAGS.output_file, FLAGS.output_format)
    print("\n".join(summarize(report, counts, FLAGS.output_file, FLAGS.output_format)))


if __name__ == "__main__":
    define_flags()
    run(main)
