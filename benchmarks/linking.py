"""How many mentions of a corpus get the right identifier from a terminology, step by step.

    python -m benchmarks.linking --terminology=CDR_TrainingSet.PubTator.txt.gz \
        --gold_file=CDR_DevelopmentSet.PubTator.txt.gz [--link_by_vectors=MODEL_DIR]

The mentions are given, their identifiers taken away. Printed are the share of mentions whose identifiers the
terminology has at all, and precision, recall and F1 by document and accuracy by mention as of biocodes/linking_eval.py:
with names written as the mention is; with those that are the same when normalized; with the long forms of
abbreviations; with the names most similar in n-grams; and with those most similar by the vectors of a model.

Expected: the table in docs/performance.md, Identifiers.
"""

import collections
import dataclasses
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from biocodes import linking_eval
from common import errors
from data_prep.formats import table
from data_prep.text.sentences import load_sentence_splitter
from inference import ner
from inference.linking.linker import Linker
from inference.linking.loading import load_linker

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_multi_string("terminology", [], "As of predict.py.")
    flags.DEFINE_string("link_by_vectors", None, "As of predict.py.")
    flags.DEFINE_float("min_linking_score", 0.75, "As of predict.py.")
    flags.DEFINE_string("gold_file", None, "PubTator or BioC with identifiers.")
    flags.mark_flags_as_required(["terminology", "gold_file"])


def main(_):
    loaded = load_linker(FLAGS.terminology, FLAGS.link_by_vectors)
    documents = read_documents(FLAGS.gold_file, loaded)
    gold = mentions_of(documents)
    report_coverage(gold, loaded.terminologies)
    least = FLAGS.min_linking_score
    steps = [
        ("the same text", 1.0, False, None),
        ("normalized", 1.0, False, None),
        ("+ abbreviations", 1.0, True, None),
        ("+ n-grams", least, True, None),
    ]
    steps += [("+ vectors", least, True, loaded.encoder)] if loaded.encoder else []
    print(f"{'':16s} precision recall     F1 accuracy  mentions/s")
    for name, least_score, expand, encoder in steps:
        linker = Linker(loaded.terminologies, encoder, least_score, keep=False, abbreviations=expand)
        start = time.perf_counter()
        found = linker.link(documents)
        seconds = time.perf_counter() - start
        predicted = mentions_of(found, only_equal=name == steps[0][0])
        scores = linking_eval.score(gold, predicted)
        values = [scores.precision, scores.recall, scores.f1, scores.accuracy]
        print(
            f"{name:16s} " + " ".join(f"{100 * value:8.2f}" for value in values) + f" {scores.mentions / seconds:9.0f}"
        )


def read_documents(path, linker):
    """The documents, with the entities that the linker is for."""
    split_sentences = load_sentence_splitter()
    documents = table.read_corpus([path], table.AUTO, table.Report())
    return [
        ner.find_words(
            dataclasses.replace(document, entities=tuple(filter(linker.serves, document.entities))), split_sentences
        )
        for document in documents
    ]


def mentions_of(documents, only_equal=False):
    """As `linking_eval.read_mentions`; `only_equal`: of names that are written otherwise, no identifiers."""
    found = collections.defaultdict(dict)
    for document in documents:
        for entity in document.entities:
            is_left_out = only_equal and entity.matched_name != document.text[entity.start : entity.end]
            identifier = "" if is_left_out else entity.identifier
            identifiers = linking_eval.split_identifiers(identifier)
            found[document.id][entity.start, entity.end, entity.type] = identifiers
    return found


def report_coverage(gold, terminologies):
    known = set()
    for one in terminologies:
        for identifier in one.index.identifiers:
            known |= linking_eval.split_identifiers(identifier)
    mentions = [ids for of_document in gold.values() for ids in of_document.values() if ids]
    covered = sum(ids <= known for ids in mentions)
    print(f"{len(mentions):,} mentions with an identifier; the terminology has those of {covered / len(mentions):.2%}")


if __name__ == "__main__":
    define_flags()
    errors.run(main)
