"""Relations between the entities of a sentence: which pairs, what the model reads, what comes of it."""

import dataclasses
import types

import pytest
import tensorflow as tf

from common.errors import InputError
from data_prep.formats.document import Document, Entity, Relation
from data_prep.tasks.relations import Example, describe_text, lower_case
from data_prep.text.tokenization import FullTokenizer
from inference import relations, sequences

PAIRS = [["@DISEASE$", "@GENE$"]]
SETTINGS = {"entity_pairs": PAIRS, "mask_others": False, "lower_case": False, "negative_label": "0"}


def document(text, mentions, **fields):
    """A document of one sentence a line; mentions are (type, text), of which the first occurrence counts."""
    entities = tuple(
        Entity(f"T{number}", kind, text.index(mention), text.index(mention) + len(mention), 0.9, "model")
        for number, (kind, mention) in enumerate(mentions, 1)
    )
    words, start = [], 0
    for line in text.split("\n"):
        words.append(tuple((start + i, start + i + 1) for i, char in enumerate(line) if char != " "))
        start += len(line) + 1
    return Document("1", text, ((0, len(text)),), "text.txt", entities=entities, words=tuple(words), **fields)


def sentences(*arguments, **settings):
    return [pair.sentence for pair in relations.find_pairs(document(*arguments), {**SETTINGS, **settings})]


def test_a_pair_is_a_sentence_with_two_entities_made_anonymous():
    text = "BRCA1 causes cancer.\nTP53 does not."
    (pair,) = relations.find_pairs(
        document(text, [("Gene", "BRCA1"), ("disease", "cancer"), ("Gene", "TP53")]), SETTINGS
    )
    assert pair.sentence == "@GENE$ causes @DISEASE$."
    assert (pair.first.id, pair.second.id) == ("T2", "T1")  # as in the pair that the model was trained on


def test_types_that_the_model_does_not_know_make_no_pair():
    assert sentences("BRCA1 and aspirin", [("Gene", "BRCA1"), ("Chemical", "aspirin")]) == []
    assert sentences("BRCA1 and TP53", [("Gene", "BRCA1"), ("Gene", "TP53")]) == []
    same = sentences("BRCA1 and TP53", [("Gene", "BRCA1"), ("Gene", "TP53")], entity_pairs=[["@GENE$", "@GENE$"]])
    assert same == ["@GENE$ and @GENE$"]


@pytest.mark.parametrize(
    ("types", "possible"),
    [(["gene", "Disease"], True), (["Gene"], False), (["ncbi", "bc2gm"], False), ([], False)],
)
def test_types_of_which_a_pair_can_be_made(types, possible):
    assert relations.can_relate(types, SETTINGS) == possible


def test_a_pair_of_one_type_needs_two_entities():
    settings = SETTINGS | {"entity_pairs": [["@PROTEIN$", "@PROTEIN$"]]}
    assert [relations.can_relate(["Protein"] * count, settings) for count in (0, 1, 2)] == [False, False, True]


def test_text_looks_as_in_training():
    text, mentions = "BRCA1 and TP53 cause Cancer", [("Gene", "BRCA1"), ("Gene", "TP53"), ("Disease", "Cancer")]
    assert sentences(text, mentions) == ["@GENE$ and TP53 cause @DISEASE$", "BRCA1 and @GENE$ cause @DISEASE$"]
    assert sentences(text, mentions, mask_others=True, lower_case=True) == [
        "@GENE$ and @OTHER$ cause @DISEASE$",
        "@OTHER$ and @GENE$ cause @DISEASE$",
    ]


def test_overlapping_entities_make_no_pair_and_the_same_mention_counts_once():
    assert sentences("BRCA1 cancer gene", [("Gene", "BRCA1"), ("Disease", "BRCA1 cancer")]) == []
    twice = [("Gene", "BRCA1"), ("Gene", "BRCA1"), ("Disease", "cancer")]
    assert len(sentences("BRCA1 in cancer", twice)) == 1


def test_an_entity_across_a_line_joins_the_sentences():
    assert sentences("BRCA1 in lung\ncancer", [("Gene", "BRCA1"), ("Disease", "lung\ncancer")]) == [
        "@GENE$ in @DISEASE$"
    ]


def test_text_without_sentences_does_not_make_long_ones():
    far = "BRCA1 " + "x " * 3_000 + "cancer"
    assert sentences(far, [("Gene", "BRCA1"), ("Disease", "cancer")]) == []
    (near,) = sentences("x " * 9_000 + "BRCA1 in cancer" + " x" * 9_000, [("Gene", "BRCA1"), ("Disease", "cancer")])
    assert "@GENE$ in @DISEASE$" in near
    assert len(near) < 11_000


def test_relations_have_the_label_and_its_probability(tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "@", "GENE", "$", "DISEASE", "causes", "not"]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))

    def classify(features):  # related, unless the sentence says not
        is_not = tf.reduce_any(features["input_ids"] == pieces.index("not"), axis=1)
        return {"probabilities": tf.where(is_not[:, tf.newaxis], [[0.8, 0.2]], [[0.1, 0.9]])}

    directory = types.SimpleNamespace(
        tokenizer=FullTokenizer(str(tmp_path / "vocab.txt"), False),
        max_seq_length=32,
        labels=["0", "1"],
        settings=SETTINGS,
    )
    classifier = relations.Classifier(directory, sequences.compile_function(classify))
    known = (Relation("R1", "given", "T1", "T2"),)
    yes = document("BRCA1 causes cancer", [("Gene", "BRCA1"), ("Disease", "cancer")], relations=known)
    no = document("BRCA1 not cancer", [("Gene", "BRCA1"), ("Disease", "cancer")])
    related, unrelated = relations.relate([yes, no], classifier, 8)
    assert related.relations == (*known, Relation("R2", "1", "T2", "T1", pytest.approx(0.9)))
    assert unrelated.relations == ()
    found_before = tuple(dataclasses.replace(each, confidence=0.5) for each in related.relations)
    (again,) = relations.relate([dataclasses.replace(related, relations=(*known, *found_before))], classifier, 8)
    assert again.relations == related.relations


@pytest.mark.parametrize("pairs", [[], [["@GENE$"]], [["GENE", "DISEASE"]], [[1, 2]], ["@A$@B$"], [["@OTHER$", "@A$"]]])
def test_a_model_that_does_not_say_what_stands_for_the_entities(pairs):
    directory = types.SimpleNamespace(path="model", settings=SETTINGS | {"entity_pairs": pairs})
    with pytest.raises(InputError, match=r"model/fine_tuning\.json: entity_pairs is .*; expected .*@GENE"):
        relations.load_classifier(directory)


def test_what_training_data_looks_like():
    texts = ["@GENE$ and @OTHER$ in @DISEASE$", "@DISEASE$ by @GENE$", "@DRUG$ with @DRUG$", "@GENE$ alone"]
    found = describe_text([Example("0", text, "1") for text in texts])
    assert found.entity_pairs == [["@DISEASE$", "@GENE$"], ["@DRUG$", "@DRUG$"]]
    assert (found.mask_others, found.lower_case) == (True, True)
    plain = describe_text([Example("0", "The @GENE$ in @DISEASE$", "1")])
    assert (plain.mask_others, plain.lower_case) == (False, False)


def test_lower_casing_leaves_what_stands_for_entities():
    assert lower_case("In A@B, @GENE$ and @OTHER$ Rise") == "in a@b, @GENE$ and @OTHER$ rise"
