"""data_prep/relation_corpus.py: a row for each pair of entities in a sentence."""

import re

import pytest

from common.errors import InputError
from data_prep.formats.document import Document, Entity, Relation
from data_prep.formats.placement import Report
from data_prep.relation_corpus import (
    Counts,
    Options,
    make_options,
    make_reader,
    make_rows,
    pairs_path,
    summarize,
    write_rows,
)
from data_prep.tasks.relations import anonymize

CHEMICAL_GENE = Options(("CHEMICAL", "GENE"), {"cpr:4": "cpr:4", "cpr:9": "cpr:9"})


def at_periods(text):
    return [match.span() for match in re.finditer(r"\S[^.]*\.?", text)]


def relation(name, first, second):
    return Relation("R", name, first, second)


def document(marked, relations=(), paragraphs=None, concept_relations=()):
    """A Document from text as `<T1:CHEMICAL Zinc> binds <T2:GENE <T3:CHEMICAL calcium> channels>.`"""
    text, entities, opened = "", [], []
    for part in re.findall(r"<\w+:[-\w/=]+ |>|[^<>]+", marked):
        if part == ">":
            entity_id, entity_type, concepts, start = opened.pop()
            entities.append(Entity(entity_id, entity_type, start, len(text), identifier=concepts))
        elif part.startswith("<"):
            entity_id, name = part[1:-1].split(":")
            entity_type, _, concepts = name.partition("=")
            opened.append((entity_id, entity_type, concepts.replace("/", "|"), len(text)))
        else:
            text += part
    return Document(
        *("7", text, paragraphs or ((0, len(text)),), "corpus, line 1"),
        entities=tuple(entities),
        relations=tuple(relations),
        concept_relations=tuple(concept_relations),
    )


def rows_of(documents, options=CHEMICAL_GENE):
    counts = Counts()
    rows = list(make_rows(documents, at_periods, options, counts))
    return [(row.sentence, row.label) for row in rows], counts


def check_rows(doc, expected, options=CHEMICAL_GENE, **expected_counts):
    """Compares `(sentence, label)` of all rows, and counts."""
    rows, counts = rows_of([doc], options)
    assert rows == expected
    assert {name: getattr(counts, name) for name in expected_counts} == expected_counts


def test_a_row_for_each_pair_of_a_sentence():
    text = (
        "😀 <T1:CHEMICAL Zinc> binds <T2:GENE-Y p53> and <T3:GENE-N kinases>. <T4:CHEMICAL Iron> does not. "
        "<T5:GENE AKT> does."
    )
    relations = [relation("CPR:4", "T1", "T3"), relation("CPR:2", "T1", "T2"), relation("CPR:4", "T4", "T5")]
    expected = [("😀 @CHEMICAL$ binds @GENE$ and kinases.", "false"), ("😀 @CHEMICAL$ binds p53 and @GENE$.", "cpr:4")]
    check_rows(document(text, relations), expected, sentences=1, relations=2, placed=1, across_sentences=1)


def test_rows_say_where_they_come_from():
    doc = document("😀 First. Then <G:GENE p53> and <C:CHEMICAL zinc>.")
    (row,) = make_rows([doc], at_periods, CHEMICAL_GENE, Counts())
    assert (row.document_id, row.first.id, row.second.id) == ("7", "C", "G")
    assert doc.text[slice(*row.span)] == "Then p53 and zinc."


def test_relations_match_in_either_order():
    check_rows(
        document("<T1:CHEMICAL A> <T2:GENE B>.", [relation("cpr:4", "T2", "T1")]), [("@CHEMICAL$ @GENE$.", "cpr:4")]
    )


def test_entities_that_overlap_become_one():
    text = "<T2:GENE <T1:CHEMICAL Calcium> channels> open by <T3:CHEMICAL zinc>."
    expected = [("@CHEM-GENE$ open by zinc.", "cpr:9"), ("@GENE$ open by @CHEMICAL$.", "false")]
    check_rows(document(text, [relation("CPR:9", "T1", "T2")]), expected)
    types = Options(("CHEMICAL", "DISEASE"))
    check_rows(document("<T2:Disease <T1:Chemical Zinc> fever>."), [("@CHEMICAL-DISEASE$.", "false")], types)


def test_other_entities_are_masked_but_for_those_that_overlap():
    text = "<a:GENE <b:CHEMICAL Ca> channel>, <c:GENE <d:CHEMICAL Na> channel>, <e:CHEMICAL K>, <f:Cell cell>."
    options = Options(("CHEMICAL", "GENE"), mask_others=True)
    rows, _ = rows_of([document(text)], options)
    assert [row for row, _ in rows] == [
        "@CHEM-GENE$, @OTHER$, @OTHER$, @OTHER$.",  # b and a; c and d, which overlap, are one
        "@CHEMICAL$ channel, @GENE$, @OTHER$, @OTHER$.",  # b and c
        "@GENE$, @CHEMICAL$ channel, @OTHER$, @OTHER$.",  # d and a
        "@OTHER$, @CHEM-GENE$, @OTHER$, @OTHER$.",
        "@GENE$, @OTHER$, @CHEMICAL$, @OTHER$.",
        "@OTHER$, @GENE$, @CHEMICAL$, @OTHER$.",
    ]


def test_a_sentence_does_not_end_inside_an_entity():
    text = "<T1:GENE E. coli ligase> needs <T2:CHEMICAL zinc>. No."
    check_rows(document(text, [relation("CPR:9", "T2", "T1")]), [("@GENE$ needs @CHEMICAL$.", "cpr:9")])


def test_title_and_abstract_are_apart():
    doc = document("<T1:GENE p53> and\n<T2:CHEMICAL zinc>.", [relation("CPR:4", "T2", "T1")], [(0, 7), (8, 13)])
    check_rows(doc, [], across_sentences=1)


def test_a_row_is_one_line():
    text = "a\tb\nc\rd"
    first, second = Entity("1", "A", 0, 1, "a"), Entity("2", "B", 6, 7, "d")
    assert anonymize(text, (0, 7), first, second, []) == "@A$ b c @B$"


def test_the_first_label_of_several_counts():
    relations = [relation(name, "T1", "T2") for name in ("CPR:2", "CPR:9", "CPR:4", "CPR:9")]
    expected = [("@CHEMICAL$ @GENE$.", "cpr:9")]
    check_rows(document("<T1:CHEMICAL A> <T2:GENE B>.", relations), expected, several_labels=1, relations=3, placed=3)


def test_relations_that_have_no_row_are_counted():
    relations = [relation("CPR:4", "T1", "T9"), relation("CPR:4", "T1", "T3"), relation("CPR:4", "T1", "T1")]
    doc = document("<T1:CHEMICAL A> <T2:GENE B> <T3:CHEMICAL C>.", relations)
    rows, counts = rows_of([doc, document("<T1:CHEMICAL A> <T2:GENE B>."), document("No pair.")])
    assert [label for _, label in rows] == ["false"] * 3
    assert (counts.without_entity, counts.other_types, counts.placed, counts.without_relation) == (1, 2, 0, 1)


def test_pairs_of_one_type_are_unordered():
    text = "<T1:Drug A>, <T2:drug B> and <T3:DRUG C>."
    expected = [
        ("@DRUG$, @DRUG$ and C.", "false"),
        ("@DRUG$, B and @DRUG$.", "effect"),
        ("A, @DRUG$ and @DRUG$.", "false"),
    ]
    check_rows(document(text, [relation("effect", "T3", "T1")]), expected, Options(("DRUG", "DRUG")))


def test_relations_between_concepts_hold_for_all_mentions():
    text = (
        "<T1:Chemical=D1 Dopa> or <T2:Chemical=D1/D4 dopas>: <T3:Disease=D2 low mood>, <T4:Disease=D3 fever>. "
        "<T5:Disease=D2 It>."
    )
    relations = [relation("CID", "D1", "D2"), relation("CID", "D4", "D5")]
    expected = [
        ("@CHEMICAL$ or dopas: @DISEASE$, fever.", "CID"),
        ("@CHEMICAL$ or dopas: low mood, @DISEASE$.", "false"),
        ("Dopa or @CHEMICAL$: @DISEASE$, fever.", "CID"),
        ("Dopa or @CHEMICAL$: low mood, @DISEASE$.", "false"),
    ]
    options = Options(("CHEMICAL", "DISEASE"))
    check_rows(
        *(document(text, concept_relations=relations), expected, options), relations=2, placed=1, without_entity=1
    )


def test_labels():
    doc = document("<T1:A a> <T2:B b> <T3:B c>.", [relation("Bind", "T1", "T2"), relation("Part", "T1", "T3")])

    def labels(**flags):
        values = {"entity_types": ["a", "b"], "labels": None, "binary": False, "negative_label": "false"} | flags
        return [label for _, label in rows_of([doc], make_options("bioc", **values, mask_others=False))[0]]

    assert labels() == ["Bind", "Part"]
    assert labels(labels=["BIND"]) == ["BIND", "false"]
    assert labels(labels=["part"], negative_label="none") == ["none", "part"]
    assert labels(binary=True, labels=["Part"]) == ["0", "1"]
    assert labels(binary=True) == ["1", "1"]


def test_options_of_chemprot():
    options = make_options("chemprot", None, None, False, "false", False)
    assert options.types == ("CHEMICAL", "GENE")
    assert [options.label(f"CPR:{i}") for i in range(1, 11)] == [
        None, None, "cpr:3", "cpr:4", "cpr:5", "cpr:6", None, None, "cpr:9", None
    ]  # fmt: skip


@pytest.mark.parametrize("types", [None, ["Chemical"], ["a", "b", "c"]])
def test_two_types_are_needed(types):
    with pytest.raises(InputError, match=r"--entity_types=.*: \d types; expected two"):
        make_options("bioc", types, None, False, "false", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bioc", "{file}", "{file}", None, False), "--input_format=chemprot only"),
        (("chemprot", "{file}", None, "{file}", False), "an --entities_file"),
        (("chemprot", "{file},{file}", "{file}", "{file}", False), "expected one --input_file"),
        (("chemprot", "{file}", "{file}", None, False), "no --relations_file, so no labels"),
        (("bioc", "no/such.xml", None, None, False), "no such file"),
    ],
)
def test_files_that_do_not_fit(tmp_path, arguments, message):
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match=message):
        make_reader(*(a.format(file=tmp_path / "x") if isinstance(a, str) else a for a in arguments))


def write(directory, output_format):
    counts = Counts()
    doc = document("<T1:CHEMICAL A\tB> <T2:GENE p53> <T3:GENE AKT>.", [relation("cpr:4", "T1", "T3")])
    path = str(directory / "out.tsv")
    write_rows(make_rows([doc], at_periods, CHEMICAL_GENE, counts), counts, path, output_format)
    return (directory / "out.tsv").read_text(encoding="utf-8")


def test_output_formats(tmp_path):
    first, second = "@CHEMICAL$ @GENE$ AKT.", "@CHEMICAL$ p53 @GENE$."
    assert write(tmp_path, "train") == f"{first}\tfalse\n{second}\tcpr:4\n"
    assert write(tmp_path, "test") == f"index\tsentence\tlabel\n0\t{first}\tfalse\n1\t{second}\tcpr:4\n"
    assert write(tmp_path, "predict") == f"index\tsentence\n0\t{first}\n1\t{second}\n"
    assert (tmp_path / "out.pairs.tsv").read_text(encoding="utf-8").split("\n") == [
        "document\tentity1\tstart1\tend1\ttext1\tentity2\tstart2\tend2\ttext2\tsentence_start\tsentence_end",
        "7\tT1\t0\t3\tA B\tT2\t4\t7\tp53\t0\t12",
        "7\tT1\t0\t3\tA B\tT3\t8\t11\tAKT\t0\t12",
        "",
    ]


def test_nothing_is_written_without_a_pair(tmp_path):
    counts = Counts()
    doc = document("<T1:CHEMICAL A> <T2:Cell B>.")
    with pytest.raises(InputError, match=r"no sentence holds a pair; .* in the corpus: CELL, CHEMICAL"):
        write_rows(make_rows([doc], at_periods, CHEMICAL_GENE, counts), counts, str(tmp_path / "out.tsv"), "train")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_no_relation_has(tmp_path):
    doc, counts = document("<T1:CHEMICAL A> <T2:GENE B>.", [relation("cpr:2", "T1", "T2")]), Counts()
    with pytest.raises(InputError, match=r"no relation has a label to learn; expected --labels .* corpus: cpr:2"):
        write_rows(make_rows([doc], at_periods, CHEMICAL_GENE, counts), counts, str(tmp_path / "out.tsv"), "train")
    assert list(tmp_path.iterdir()) == []


def test_binary_labels_are_not_named():
    with pytest.raises(InputError, match="--negative_label=none with --binary"):
        make_options("bioc", ["A", "B"], None, True, "none", False)


@pytest.mark.parametrize(
    ("path", "pairs"), [("a.b/train.tsv", "a.b/train.pairs.tsv"), ("a.b/train", "a.b/train.pairs.tsv")]
)
def test_pairs_path(path, pairs):
    assert pairs_path(path) == pairs


def test_summary_names_what_is_left_out():
    counts = Counts(relations=9, placed=5, without_entity=1, across_sentences=2, other_types=1, several_labels=3)
    report = Report(other_units={"UTF-8 bytes": 4}, misplaced=6, rows_of_unknown_documents=8, examples=["x, line 1: y"])
    text = "\n".join(summarize(report, counts, "train.tsv", "train"))
    for expected in (
        "6 whose text is elsewhere",
        "offsets of 4 documents count UTF-8 bytes",
        "5 of 9 in rows; left out: 2 across sentences, 1 without their entities, 1 of other types",
        "3 pairs with several labels",
        "8 rows of the tables are of documents that are not in the corpus",
        "x, line 1: y",
    ):
        assert expected in text


PUBTATOR = """1|t|Dopa and depression
1|a|Dopa causes low mood. E. coli 😀 dies.
1\t0\t4\tDopa\tChemical\tD1
1\t9\t19\tdepression\tDisease\tD2
1\t20\t24\tDopa\tChemical\tD1
1\t32\t40\tlow mood\tDisease\tD2
1\tCID\tD1\tD2
"""


def test_program(run_process, tmp_path):
    (tmp_path / "corpus.txt").write_text(PUBTATOR, encoding="utf-8")
    command = ["-m", "data_prep.relation_corpus", "--input_format=pubtator", "--entity_types=Chemical,Disease"]
    files = [f"--input_file={tmp_path}/corpus.txt", f"--output_file={tmp_path}/new/test.tsv"]
    result = run_process(*command, *files, "--output_format=test", "--binary")
    assert result.returncode == 0, result.stderr
    assert "1 documents, 2 sentences with a pair: 2 rows (1 2) written to" in result.stdout
    assert (tmp_path / "new/test.tsv").read_text(encoding="utf-8") == (
        "index\tsentence\tlabel\n0\t@CHEMICAL$ and @DISEASE$\t1\n1\t@CHEMICAL$ causes @DISEASE$.\t1\n"
    )


def test_program_on_a_bad_corpus(run_script, tmp_path):
    (tmp_path / "corpus.txt").write_text(PUBTATOR + "1\t0\t0\tx\tDisease\tD2\n", encoding="utf-8")
    command = ["-m", "data_prep.relation_corpus", "--input_format=pubtator", "--entity_types=Chemical,Disease"]
    result = run_script(*command, f"--input_file={tmp_path}/corpus.txt", f"--output_file={tmp_path}/train.tsv")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"error: {tmp_path}/corpus.txt, line 8: offsets '0', '0'; expected"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_the_part_of_chemprot(run_script, shared, tmp_path):
    raw = shared / "data/re/chemprot/raw"
    names = {"input_file": "abstracts", "entities_file": "entities", "relations_file": "relations"}
    files = [f"--{flag}={raw}/chemprot_training_{name}.tsv" for flag, name in names.items()]
    output = tmp_path / "train.tsv"
    command = ["-m", "data_prep.relation_corpus", "--input_format=chemprot", "--mask_others"]
    result = run_script(*command, *files, f"--output_file={output}")
    assert result.returncode == 0, result.stderr
    assert "287 sentences with a pair: 1474 rows" in result.stdout
    assert "entities: 2000 in place" in result.stdout
    # Counted from the tables by other means: 137 relations of the five groups are of the 25 abstracts in all three
    # tables, 33 of these lack an entity, none is across sentences.
    assert "104 of 1295 in rows; left out: 0 across sentences, 1191 without their entities" in result.stdout
    with (raw / "chemprot_training_relations.tsv").open(encoding="utf-8") as file:
        related = {line.split("\t")[0] for line in file}
    with output.open(encoding="utf-8") as file, (tmp_path / "train.pairs.tsv").open(encoding="utf-8") as pairs:
        next(pairs)
        rows = [fold(row) for row, pair in zip(file, pairs, strict=True) if pair.split("\t")[0] in related]
    # These abstracts as others prepared them: lower-cased, cut into words, without the pairs that overlap.
    released = {}
    for name in ("train", "dev"):
        with (shared / f"data/re/chemprot/{name}.tsv").open(encoding="utf-8") as file:
            released.update(map(fold, file))
    known = [(sentence, label) for sentence, label in rows if sentence in released]
    assert (len(rows), len(known)) == (398, 360)
    assert all(released[sentence] == label for sentence, label in known)


def fold(row):
    """A row's letters, digits and labels, `(sentence, label)`."""
    sentence, label = row.rstrip("\n").split("\t")
    return re.sub(r"[^a-z0-9@$]", "", sentence.lower()), label
