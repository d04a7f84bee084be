r"""Turns an annotated corpus into a file to train or test NER: a word and its label a line.

    python -m data_prep.ner_corpus --input_file=CDR_TrainingSet.PubTator.txt --entity_types=Disease \
        --output_file=BC5CDR-disease/train.tsv
    python -m data_prep.ner_corpus --input_file=corpus_in_brat --output_file=genes_and_diseases/train.tsv

A blank line is behind each sentence. The words are those that `predict.py` cuts a text into, and no sentence ends
inside an entity. Labels are B-Disease, I-Disease, O; of one type B, I, O, as in the data sets of BioBERT. A word has
one label. Of entities that share a word the longest has it; the others, and entities in several parts, are left out and
counted.
"""

import collections
import dataclasses

from absl import flags

from common.errors import InputError, run
from common.files import atomic_write, check_output_file
from common.progress import progress
from data_prep.formats import table
from data_prep.formats.conll import label_words, word_text
from data_prep.formats.placement import Report
from data_prep.text.sentences import SPLITTERS, load_sentence_splitter
from data_prep.text.words import find_words

FLAGS = flags.FLAGS


@dataclasses.dataclass
class Counts:
    """What was made of the corpus."""

    sentences: int = 0
    words: int = 0
    of_other_types: int = 0  # entities
    labelled: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # entities, by type
    overlapping: int = 0  # entities that share a word with a longer one, or an equally long one before
    inside_words: int = 0  # labelled entities that begin or end inside a word


def make_rows(documents, split_sentences, types, plain, counts):
    """Yields for each sentence of documents a list of `(word, label)`.

    Args:
      documents: iterable of `Document`.
      split_sentences: as of `load_sentence_splitter`.
      types: those of the entities to label, as the corpus has them; None: all.
      plain: labels are B and I whatever the type.
      counts: Counts, to which is added.
    """
    for document in documents:
        entities = [entity for entity in document.entities if types is None or entity.type in types]
        counts.of_other_types += len(document.entities) - len(entities)
        unbroken = [(entity.start, entity.end) for entity in entities]
        sentences = find_words(document.text, document.paragraphs, split_sentences, unbroken)
        named = [dataclasses.replace(entity, type="") for entity in entities] if plain else entities
        labels, overlapping = label_words(sentences, named)
        _count(counts, sentences, entities, {entity.id for entity in overlapping})
        rest = iter(labels)
        for words in sentences:
            yield [(word_text(document.text[start:end]), next(rest)) for start, end in words]


def _count(counts, sentences, entities, overlapping):
    counts.sentences += len(sentences)
    counts.words += sum(map(len, sentences))
    counts.overlapping += len(overlapping)
    starts = {start for words in sentences for start, _ in words}
    ends = {end for words in sentences for _, end in words}
    labelled = [entity for entity in entities if entity.id not in overlapping]
    counts.labelled.update(entity.type for entity in labelled)
    counts.inside_words += sum(entity.start not in starts or entity.end not in ends for entity in labelled)


def write_rows(sentences, counts, output_file):
    """Writes the sentences of `make_rows`; raises InputError, and writes nothing, if no entity is labelled."""
    with atomic_write(output_file) as file:
        for rows in sentences:
            file.writelines(f"{word}\t{label}\n" for word, label in rows)
            file.write("\n")
        if not counts.labelled:
            raise InputError(
                f"no entity to label ({counts.of_other_types} of other types); expected --entity_types of those in the "
                "corpus"
            )


def summarize(report, counts, output_file):
    """Yields the lines that tell the user what was made, and what could not be placed."""
    types = ", ".join(f"{name or 'without type'} {number:,}" for name, number in counts.labelled.most_common())
    size = f"{counts.sentences:,} sentences, {counts.words:,} words"
    yield f"{report.documents:,} documents, {size} written to {output_file}"
    yield (
        f"entities labelled: {counts.labelled.total():,} ({types}), {counts.inside_words} of which begin or end inside "
        f"a word, which is labelled whole; {report.shifted} were moved to their text, {report.spelled_otherwise} are "
        "spelled otherwise there"
    )
    yield (
        f"left out: {counts.overlapping} without a word of their own, {report.parts_of_composites} parts of "
        f"composite mentions, {report.discontinuous} in several parts, {report.misplaced} whose text is elsewhere, "
        f"{counts.of_other_types} of other types"
    )
    for unit, number in report.other_units.items():
        yield f"the offsets of {number} documents count {unit}"
    yield from report.examples


def define_flags():
    flags.DEFINE_string("input_file", None, "The corpus: files, directories and patterns, comma-separated.")
    flags.DEFINE_enum("input_format", "auto", ["auto", *table.ANNOTATED], "Format of the corpus.")
    flags.DEFINE_string("output_file", None, "File to write.")
    flags.DEFINE_list("entity_types", None, "Types of the entities to label, as the corpus has them. None: all.")
    flags.DEFINE_bool("plain_labels", None, "Label B and I whatever the type. None: if --entity_types has one type.")
    flags.DEFINE_enum("sentence_splitter", "nupunkt", SPLITTERS, "Library that finds the sentences.")
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    types = FLAGS.entity_types and set(FLAGS.entity_types)
    plain = len(types or ()) == 1 if FLAGS.plain_labels is None else FLAGS.plain_labels
    paths = table.list_inputs(FLAGS.input_file, input_format=FLAGS.input_format)
    check_output_file(FLAGS.output_file, paths)
    split_sentences = load_sentence_splitter(FLAGS.sentence_splitter)
    report, counts = Report(), Counts()
    with progress("documents", unit="document") as bar:
        documents = (bar.update() or document for document in table.read_corpus(paths, FLAGS.input_format, report))
        write_rows(make_rows(documents, split_sentences, types, plain, counts), counts, FLAGS.output_file)
    print("\n".join(summarize(report, counts, FLAGS.output_file)))


if __name__ == "__main__":
    define_flags()
    run(main)
