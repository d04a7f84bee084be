"""Entities of documents: words and their spans, labels to entities, long sentences, and what run_ner.py predicts."""

import contextlib
import dataclasses
import os
import re
import types

import pytest
import tensorflow as tf

from data_prep.formats import table
from data_prep.formats.document import Document, Entity, Relation
from data_prep.tasks import ner as data
from data_prep.text import words
from data_prep.text.sentences import load_sentence_splitter
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import model_directory, tasks
from inference import ner, sequences
from inference.annotator import Annotator
from tests.helpers.fine_tuning_options import fine_tuning_options

LABELS = ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lung", "cancer", "IL", "2", "and", "of", "-", ".", "##s"]
# What a stand-in for a model says of each piece wherever it stands: label and its probability.
SAID = {"lung": ("B", 0.9), "cancer": ("I", 0.7), "IL": ("B", 0.8), "-": ("X", 0.6), "2": ("X", 0.4), "##s": ("X", 0.1)}


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A model that knows pieces by heart and sequences of at most 8 pieces."""
    vocab = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    vocab.write_text("".join(f"{piece}\n" for piece in PIECES))
    said = [SAID.get(piece, ("O", 0.5)) for piece in PIECES]
    labels, confidences = tf.constant([LABELS.index(label) for label, _ in said]), tf.constant([p for _, p in said])

    def label_batch(features):
        ids = features["input_ids"]
        return {"labels": tf.gather(labels, ids), "confidences": tf.gather(confidences, ids)}

    directory = types.SimpleNamespace(tokenizer=FullTokenizer(str(vocab), False), labels=LABELS, max_seq_length=8)
    return ner.Tagger("Disease", directory, sequences.compile_function(label_batch))


def document(text, **fields):
    return Document("1", text, ((0, len(text)),), "text.txt", **fields)


def annotate(tagger, *documents, splitter="none"):
    annotator = Annotator([tagger], None, load_sentence_splitter(splitter), 4)
    return list(annotator.annotate(documents))


def mentions(annotated):
    return [(annotated.text[e.start : e.end], e.start) for e in annotated.entities]


def test_offsets_are_those_of_the_untouched_text(tagger):
    (found,) = annotate(tagger, document("\ufeffof\r\n\U0001f600 lung\t\xa0cancers, and lung"))
    assert mentions(found) == [("lung\t\xa0cancers", 7), ("lung", 26)]
    assert found.entities[0] == Entity("T1", "Disease", 7, 20, pytest.approx((0.9 + 0.7) / 2), "Disease")
    assert found.entities[1].id == "T2"


def test_a_word_that_the_model_says_goes_on_shares_the_entity(tagger):
    (found,) = annotate(tagger, document("IL-2 and IL - 2"))
    assert mentions(found) == [("IL-2", 0), ("IL", 9)]
    assert found.entities[0].confidence == pytest.approx((0.8 + 0.6 + 0.4) / 3)


def test_ids_that_the_document_has_are_not_given_again(tagger):
    given = (Entity("T1", "Gene", 0, 2), Entity("x", "Gene", 0, 2))
    (found,) = annotate(tagger, document("of lung", entities=given))
    assert [entity.id for entity in found.entities] == ["T1", "x", "T2"]
    assert found.entities[:2] == given


def test_entities_do_not_go_across_sentences(tagger):
    (found,) = annotate(tagger, document("Much of lung. Cancer of cancer and of lung."), splitter="nupunkt")
    assert mentions(found) == [("lung", 8), ("cancer", 24), ("lung", 38)]
    joined = Document("1", "lung\ncancer", ((0, 4), (5, 11)), "text.txt")
    assert mentions(annotate(tagger, joined)[0]) == [("lung", 0), ("cancer", 5)]


def test_a_long_sentence_has_all_its_entities(tagger):
    text = " ".join(["and of lung cancer"] * 50)
    (found,) = annotate(tagger, document(text))
    assert mentions(found) == [("lung cancer", start + 7) for start in range(0, len(text), 19)]
    assert [entity.confidence for entity in found.entities] == pytest.approx([0.8] * 50)


def test_a_sentence_of_any_length_has_all_its_words(tagger, monkeypatch):
    monkeypatch.setattr(words, "LONGEST_STRETCH", 11)
    (found,) = annotate(tagger, document("of lung\ncancer and lung cancer of" + "x" * 30 + ". lung"))
    assert mentions(found) == [("lung\ncancer", 3), ("lung cancer", 19), ("lung", 65)]


def test_documents_come_in_their_order_and_empty_ones_too(tagger):
    texts = ["lung", "", "of lung cancer", " \n", "and"]
    found = annotate(tagger, *(document(text) for text in texts))
    assert [each.text for each in found] == texts
    assert [mentions(each) for each in found] == [[("lung", 0)], [], [("lung cancer", 3)], [], []]


def test_memory_holds_a_part_of_the_documents(tagger):
    read = []

    def documents():
        for number in range(30):
            read.append(number)
            yield document("of lung " * 5_000)

    annotator = Annotator([tagger], None, load_sentence_splitter("none"), 64)
    next(annotator.annotate(documents()))
    assert len(read) == 5  # 40,000 characters each


def test_a_document_of_any_length_is_labelled_a_part_at_a_time(tagger, monkeypatch):
    at_once = []

    def run(compiled, sequences_, *args):
        at_once.append(sum(len(each.ids) for each in sequences_))
        return original(compiled, sequences_, *args)

    original = sequences.run
    monkeypatch.setattr(sequences, "run", run)
    monkeypatch.setattr(sequences, "CHUNK_CHARACTERS", 100)
    text = "lung cancer and of\n" * 50
    paragraphs = tuple((19 * i, 19 * i + 18) for i in range(50))
    (found,) = annotate(tagger, Document("1", text, paragraphs, "text.txt"))
    assert mentions(found) == [("lung cancer", 19 * i) for i in range(50)]
    assert max(at_once) < 100


def test_what_the_same_model_found_before_is_replaced(tagger):
    before = (
        Entity("T1", "Disease", 3, 7, 0.1, "Disease", identifier="D1"),  # lung, found again
        Entity("T2", "Disease", 8, 11, 0.1, "Disease"),  # and
        Entity("T3", "Disease", 0, 2, 0.1, "Disease"),  # of, which a person's relation names
        Entity("T4", "Disease", 12, 18, 0.1, "Other"),
        Entity("T5", "Disease", 12, 18),
    )
    relations = (Relation("R1", "x", "T1", "T2", 0.5), Relation("R2", "x", "T3", "T5"))
    (found,) = annotate(tagger, document("of lung and cancer", entities=before, relations=relations))
    assert found.entities == (
        *(before[2], before[3], before[4]),
        Entity("T1", "Disease", 3, 7, pytest.approx(0.9), "Disease", identifier="D1"),
        Entity("T6", "Disease", 12, 18, pytest.approx(0.7), "Disease"),
    )
    assert found.relations == (relations[1],)


def test_an_entity_is_found_again_whatever_the_format_made_of_its_type(tagger):
    model = ner.Tagger("Cell line", tagger.directory, tagger.compiled)
    before = (Entity("T1", "Cell_line", 3, 7, 0.1, "Cell line", identifier="C:1"),)
    (found,) = annotate(model, document("of lung", entities=before))
    assert found.entities == (Entity("T1", "Cell line", 3, 7, pytest.approx(0.9), "Cell line", identifier="C:1"),)


def test_what_is_there_twice_is_there_once(tagger):
    before = tuple(Entity(name, "Disease", 3, 7, 0.1, "Disease") for name in ("T1", "T2"))
    (found,) = annotate(tagger, document("of lung", entities=before))
    assert [entity.id for entity in found.entities] == ["T1"]


def test_an_abbreviation_found_again_keeps_what_people_added(tagger):
    (first,) = annotate(tagger, document("lung cancer (LC) and LC"))
    entities = tuple(dataclasses.replace(e, identifier="D1") if e.start == 21 else e for e in first.entities)
    relations = (Relation("R1", "same", entities[0].id, entities[2].id, 0.5),)
    (again,) = annotate(tagger, dataclasses.replace(first, entities=entities, relations=relations))
    assert (again.entities, again.relations) == (entities, relations)


def test_what_other_models_found_gives_no_abbreviations(tagger):
    before = (Entity("T1", "Organ", 3, 14, 0.1, "Other"), Entity("T2", "Gene", 16, 18, 0.1, "Other"))
    (found,) = annotate(tagger, document("of aortic valve (AV)", entities=before))
    assert found.entities == before


@pytest.mark.parametrize("output_format", ["bioc_xml", "bioc_json", "brat"])
def test_annotating_an_output_again_changes_nothing(tagger, tmp_path, output_format):
    def write(documents, name):
        path = str(tmp_path / name)
        with contextlib.ExitStack() as stack:
            output = path if output_format == "brat" else stack.enter_context(open(path, "w", encoding="utf-8"))
            writer = stack.enter_context(table.open_writer(output_format, output, ["Disease"]))
            for each in documents:
                writer.write(each)
        return os.path.join(path, "1.ann") if output_format == "brat" else path

    given = document("lung cancer (LC) and IL-2 of LC", entities=(Entity("T1", "Gene", 21, 25),))
    outputs = [write(annotate(tagger, given), "0")]
    for number in ("1", "2"):
        read = list(table.read_documents(outputs[-1], output_format, pytest.fail))
        assert [entity.model for entity in read[0].entities] == ["", *["Disease"] * 4]
        outputs.append(write(annotate(tagger, *read), number))
    first, second, third = ([entity_lines(path)] for path in outputs)
    assert first == second == third


def entity_lines(path):
    with open(path, encoding="utf-8") as file:
        return sorted(re.split(r"(?=<annotation|\{.id.: .T)|\n", file.read()))


@pytest.mark.parametrize(("carry_over", "expected"), [(True, [0, 13, 21]), (False, [0])])
def test_abbreviations_that_the_text_defines(tagger, carry_over, expected):
    annotator = Annotator([tagger], None, load_sentence_splitter("none"), 4, carry_over)
    (found,) = annotator.annotate([document("lung cancer (LC) and LC")])
    assert [entity.start for entity in found.entities] == expected


def test_several_models_go_over_the_text_at_once(tagger):
    other = ner.Tagger("Gene", tagger.directory, tagger.compiled)
    annotator = Annotator([tagger, other], None, load_sentence_splitter("none"), 4)
    (found,) = annotator.annotate([document("lung of cancer")])
    assert [(e.id, e.type, e.model, e.start) for e in found.entities] == [
        ("T1", "Disease", "Disease", 0),
        ("T2", "Gene", "Gene", 0),
        ("T3", "Disease", "Disease", 8),
        ("T4", "Gene", "Gene", 8),
    ]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["O", "I", "I", "O"], [("", 1, 2)]),
        (["B", "B", "I"], [("", 0, 0), ("", 1, 2)]),
        (["B-a", "I-b", "I-b"], [("a", 0, 0), ("b", 1, 2)]),
        (["B-a", "I-a", "O", "I-a"], [("a", 0, 1), ("a", 3, 3)]),
        ([], []),
    ],
)
def test_an_entity_is_what_the_evaluation_counts(labels, expected):
    words = [ner.Word(start, start + 1, label, 1.0) for start, label in enumerate(labels)]
    assert [(kind, start, end - 1) for kind, start, end, _ in ner.find_entities(words)] == expected


def test_labels_equal_the_original_s(shared, tmp_path):
    """The original's run_ner.py from its checkpoint: the words of its test.tsv, and the labels in its output."""
    golden = shared / "golden"
    files = {"bert_config_file": golden / "e2e/ner/bert_config.json", "vocab_file": golden / "vocab_small.txt"}
    model_directory.write(fine_tuning_options(tasks.NER, str(tmp_path), **files, max_seq_length=64))
    (tmp_path / "label_map.json").write_text(str({label: i for i, label in enumerate(LABELS)}).replace("'", '"'))
    for path in (golden / "e2e/ner").glob("model.ckpt.*"):
        (tmp_path / path.name).symlink_to(path)
    tagger = ner.load_tagger("Disease", model_directory.read(str(tmp_path), "ner"))
    detokenized = (golden / "e2e/ner/NER_result_conll.txt").read_text().strip("\n").split("\n\n")
    documents, expected = [], []
    for sentence, block in zip(data.read_sentences(golden / "inputs/NER/test.tsv"), detokenized, strict=True):
        rows = [line.split(" ") for line in block.split("\n")]
        text = " ".join(sentence.words)
        if len(tagger.directory.tokenizer.tokenize(text)) > 62:
            continue  # cut by the original
        starts = [len(" ".join([*sentence.words[:i], ""])) for i in range(len(sentence.words))]
        spans = tuple((start, start + len(word)) for start, word in zip(starts, sentence.words, strict=True))
        documents.append(Document("1", text, (), "test.tsv", words=(spans,)))
        labels = [row[2].split("-")[0] for row in rows]
        begins = [
            label == "B" or (label == "I" and last == "O")
            for last, label in zip(["O", *labels[:-1]], labels, strict=True)
        ]
        expected.append([start for start, begin in zip(starts, begins, strict=True) if begin])
    found = ner.annotate(documents, [tagger], 8)
    assert [[entity.start for entity in each.entities] for each in found] == expected
    assert len(documents) > 20
    assert sum(map(len, expected)) > 20
