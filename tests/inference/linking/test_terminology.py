"""What is read of terminologies, and what is refused."""

import collections
import gzip

import pytest

from common.errors import InputError
from inference.linking import terminology
from inference.linking.terminology import BROAD, NAME, RELATED, SYNONYM, Name

OBO = r"""format-version: 1.2
data-version: releases/2026-01-01
ontology: example
! a comment

[Term]
id: EX:1
name: lung cancer ! not part of it
def: "A \"cancer\"." [PMID:1]
synonym: "carcinoma of the \"lung\"" EXACT [NCI:C1]
synonym: "lung, \, mass" RELATED []
synonym: "cancer" BROAD [] {source="x"}
synonym: "small" NARROW abbreviation []
is_a: EX:0 ! disease

[Term]
id: EX:2 {a="b"}
name: old name
is_obsolete: true

[Term]
id: A:99

[Typedef]
id: part_of
name: part of

[Term]
id: EX:3
name: A  name\nin two lines
"""
CTD = """# Copyright 2002-2012 MDI Biological Laboratory. All rights reserved.
#
# Report created: Thu Jan 28 10:35:37 EST 2026
#
# Fields:
# COLUMNS
#
"""
DISEASE_COLUMNS = (
    *("DiseaseName", "DiseaseID", "AltDiseaseIDs", "Definition", "ParentIDs", "TreeNumbers"),
    *("ParentTreeNumbers", "Synonyms", "SlimMappings"),
)
CTD_GENES = "# GeneSymbol\tGeneName\tGeneID\tAltGeneIDs\tSynonyms\tBioGRIDIDs\tPharmGKBIDs\tUniProtIDs\n"
PUBTATOR = (
    "1|t|Lung cancer and gefitinib\n1|a|\n1\t0\t11\tLung cancer\tDisease\tD008175\n"
    "1\t16\t25\tgefitinib\tChemical\t-1\n\n2|t|Lung cancer\n2|a|\n2\t0\t11\tLung cancer\tDisease\tD008175\n"
)


def read(path, text, left_out=None):
    path.write_text(text, encoding="utf-8")
    return list(terminology.read(str(path), collections.Counter() if left_out is None else left_out))


def test_obo(tmp_path):
    left_out = collections.Counter()
    assert read(tmp_path / "a.obo", OBO, left_out) == [
        Name("lung cancer", "EX:1", rank=NAME),
        Name('carcinoma of the "lung"', "EX:1", rank=SYNONYM),
        Name("lung, , mass", "EX:1", rank=RELATED),
        Name("cancer", "EX:1", rank=BROAD),
        Name("small", "EX:1", rank=RELATED),
        Name("A name in two lines", "EX:3", rank=NAME),
    ]
    assert left_out == {"obsolete terms": 1, "terms without a name": 1}


@pytest.mark.parametrize("name", ["CTD_diseases.tsv", "CTD_diseases.csv"])
def test_diseases_of_ctd_as_they_are_distributed(tmp_path, name):
    separator = "," if name.endswith("csv") else "\t"
    rows = [
        [
            "10p Deletion Syndrome (Partial)",
            "MESH:C538288",
            "",
            "",
            "MESH:D002872",
            "",
            "",
            "Chromosome 10, 10p- Partial",
        ],
        ["Abscess", "MESH:D000038", "", 'A "pus", so', "", "", "", "Abscesses|Pus  pocket"],
    ]

    def quote(text):
        doubled = text.replace('"', '""')
        return f'"{doubled}"' if separator == "," and "," in text else text

    text = CTD.replace("COLUMNS", separator.join(DISEASE_COLUMNS)) + "".join(
        separator.join([*map(quote, row), "Cancer"]) + "\n" for row in rows
    )
    expected = [
        Name("10p Deletion Syndrome (Partial)", "MESH:C538288"),
        Name("Chromosome 10, 10p- Partial", "MESH:C538288", rank=SYNONYM),
        Name("Abscess", "MESH:D000038"),
        Name("Abscesses", "MESH:D000038", rank=SYNONYM),
        Name("Pus pocket", "MESH:D000038", rank=SYNONYM),
    ]
    assert read(tmp_path / name, text) == expected
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    assert list(terminology.read(str(tmp_path / f"{name}.gz"), collections.Counter())) == expected


def test_genes_of_ctd_have_a_symbol_a_name_and_synonyms(tmp_path):
    found = read(tmp_path / "g.tsv", CTD_GENES + "BRCA1\tBRCA1 DNA repair associated\t672\t\tRNF53|PSCP\t\t\tP38398\n")
    assert [(name.text, name.identifier) for name in found] == [
        ("BRCA1", "672"),
        ("BRCA1 DNA repair associated", "672"),
        ("RNF53", "672"),
        ("PSCP", "672"),
    ]


@pytest.mark.parametrize("header", ["", "id\tname\tsynonyms\n", "# ID\tName\tSynonyms\n", "# no header\n"])
def test_a_table(tmp_path, header):
    found = read(tmp_path / "a.txt", f"{header}D1\tlung cancer\tcarcinoma of lung| lung tumour |\n\nD2\tstroke\n")
    assert [(name.text, name.identifier, name.rank) for name in found] == [
        ("lung cancer", "D1", NAME),
        ("carcinoma of lung", "D1", SYNONYM),
        ("lung tumour", "D1", SYNONYM),
        ("stroke", "D2", NAME),
    ]


def test_columns_are_found_by_the_header(tmp_path):
    assert read(tmp_path / "a.tsv", "name\tnote\tidentifier\nstroke\tx\tD2\n") == [Name("stroke", "D2")]


def test_mentions_of_a_corpus(tmp_path):
    left_out = collections.Counter()
    found = read(tmp_path / "a.txt", PUBTATOR, left_out)
    assert found == [Name("Lung cancer", "D008175", "Disease")] * 2
    assert left_out == {"mentions without an identifier": 1}


BAD = {
    "a.obo": [
        ("format-version: 1.2\n\n[Term]\nid: A:1\nname: x\ngarbage\n", "line 6: 'garbage'"),
        ("format-version: 1.2\n\n[Term]\nname: x\n", "line 3: a term without an id"),
        (
            "format-version: 1.2\n\n[Term]\nid: A:1\nname: x\nsynonym: tumour EXACT []\n",
            "line 6: synonym 'tumour EXACT",
        ),
        ("format-version: 1.2\n\n[Term]\nid: A:1\nname: x\nis_obsolete: true\n", "no name of a concept"),
        ("format-version: 1.2\n", "no name of a concept"),
    ],
    "a.tsv": [
        ("id\tname\nD1\tx\nD2\n", "line 3: 1 columns; expected 2, as in the header"),
        ("D1\tx\ty\tz\n", "line 1: 4 columns; expected id, name, synonyms"),
        ("D1\tx\n\t y\n", "line 2: no id"),
        ("D1\tx\nD2\t \n", "line 2: no name"),
        ("Lung cancer\tD1\n", "line 1: 'Lung cancer' as an id; expected the id before the name"),
        ("# id\tname\n", "no name of a concept"),
        ("", "empty"),
        ("<html><body>not found</body></html>\n", "line 1: 1 columns"),
    ],
    "a.csv": [('id,name\nD1,"x\n', "line 2: unexpected end of data")],
    "a.pubtator": [
        ("1|t|Lung cancer\n1|a|\n1\t0\t4\tLung\tDisease\t-\n", "no name of a concept in it, read as pubtator"),
        ("1|t|Lung cancer\n1|a|\n1\t0\tx\tLung\tDisease\tD1\n", "line 3"),
    ],
}


@pytest.mark.parametrize(("name", "text", "message"), [(name, *case) for name, cases in BAD.items() for case in cases])
def test_what_is_wrong_is_refused_with_its_line(tmp_path, name, text, message):
    with pytest.raises(InputError) as raised:
        read(tmp_path / name, text)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(terminology.read(str(tmp_path / "none.obo"), collections.Counter()))
