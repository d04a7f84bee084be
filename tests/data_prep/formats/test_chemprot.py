"""The tables of ChemProt: documents of three files, and what is wrong with them."""

import pytest

from common.errors import InputError
from data_prep.formats.chemprot import read
from data_prep.formats.document import Document, Entity, Relation
from data_prep.formats.placement import Report

ABSTRACTS = "7\tSodium 😀 channel.\tNa enters. End.\n8\tNo entity.\t\n"
ENTITIES = "7\tT1\tCHEMICAL\t0\t6\tSodium\n7\tT2\tGENE-N\t9\t16\tchannel\n7\tT3\tCHEMICAL\t18\t20\tNa\n"
RELATIONS = "7\tCPR:4\tY \tINHIBITOR\tArg1:T1\tArg2:T2\n7\tCPR:2\tN \tREGULATOR\tArg1:T3\tArg2:T9\n"


def test_chemprot(write):
    report, paths = Report(), write(ABSTRACTS, ENTITIES, RELATIONS)
    documents = list(read(*paths, report))
    assert documents == [
        Document(
            "7",
            "Sodium 😀 channel.\nNa enters. End.",
            ((0, 17), (18, 33)),
            f"{paths[0]}, line 1",
            ("title", "abstract"),
            (
                Entity("T1", "CHEMICAL", 0, 6),
                Entity("T2", "GENE-N", 9, 16),
                Entity("T3", "CHEMICAL", 18, 20),
            ),
            (Relation("R1", "CPR:4", "T1", "T2"),),
        ),
        Document("8", "No entity.\n", ((0, 10), (11, 11)), f"{paths[0]}, line 2", ("title", "abstract")),
    ]
    assert report == Report(documents=2, entities=3, without_entity={"CPR:2": 1})


def test_chemprot_gold_standard_and_no_relations(write):
    gold = "7\tCPR:4\tArg1:T1\tArg2:T2\n"
    assert next(read(*write(ABSTRACTS, ENTITIES, gold), Report())).relations == (Relation("R1", "CPR:4", "T1", "T2"),)
    assert next(read(*write(ABSTRACTS, ENTITIES), None, Report())).relations == ()


def test_chemprot_rows_of_unknown_documents(write):
    report = Report()
    paths = write(ABSTRACTS, ENTITIES + "9\tT1\tCHEMICAL\t0\t6\tSodium\n", RELATIONS + "10\tCPR:4\tArg1:T1\tArg2:T2\n")
    assert len(list(read(*paths, report))) == 2
    assert report.rows_of_unknown_documents == 2


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (("7\tNo abstract.\n", ENTITIES, RELATIONS), r"a\.txt, line 1: 2 columns; expected 3"),
        ((ABSTRACTS + "7\tAgain.\t\n", ENTITIES, RELATIONS), r"a\.txt, line 3: document 7 again"),
        ((ABSTRACTS, ENTITIES + "7\tT4\tGENE\t1\t2\n", RELATIONS), r"b\.txt, line 4: 5 columns; expected 6"),
        ((ABSTRACTS, ENTITIES + "7\tT3\tGENE\t0\t6\tSodium\n", RELATIONS), r"b\.txt, line 4: entity T3 again"),
        ((ABSTRACTS, "7\tT1\tGENE\t6\t6\tx\n", RELATIONS), r"b\.txt, line 1: offsets '6', '6'; expected"),
        ((ABSTRACTS, "7\tT1\tGENE\t0\t6.0\tx\n", RELATIONS), r"b\.txt, line 1: offsets '0', '6.0'; expected"),
        ((ABSTRACTS, ENTITIES, "7\tCPR:4\tY \tArg1:T1\tArg2:T2\n"), r"c\.txt, line 1: 5 columns; expected 4 or 6"),
        ((ABSTRACTS, ENTITIES, "7\tCPR:4\tT1\tT2\n"), r"c\.txt, line 1: arguments 'T1', 'T2'; expected Arg1:T1"),
        ((ABSTRACTS, "9\tT1\tGENE\t0\t6\tx\n", ""), r"b\.txt: none of its documents is in .*a\.txt"),
        ((ABSTRACTS, ENTITIES, "9\tCPR:4\tArg1:T1\tArg2:T2\n"), r"c\.txt: none of its documents is in .*a\.txt"),
    ],
)
def test_bad_chemprot(write, contents, message):
    with pytest.raises(InputError, match=message):
        list(read(*write(*contents), Report()))


def test_the_part_of_chemprot(shared):
    report = Report()
    paths = [str(shared / f"data/re/chemprot/raw/chemprot_training_{n}.tsv") for n in ("abstracts", "entities")]
    documents = list(read(*paths, None, report))
    assert report == Report(documents=1020, entities=2000)
    with open(paths[1], encoding="utf-8") as file:
        given = {(row[0], row[1]): row[5] for row in (line.rstrip("\n").split("\t") for line in file)}
    mentions = {(d.id, entity.id): d.text[entity.start : entity.end] for d in documents for entity in d.entities}
    assert mentions == given
