"""Definitions of abbreviations in a text."""

import pytest

from data_prep.text.abbreviations import find_definitions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patients with chronic kidney disease (CKD) died.", [("CKD", "chronic kidney disease")]),
        ("The CKD (chronic kidney disease) group.", [("CKD", "chronic kidney disease")]),
        # Examples of Schwartz and Hearst 2003: letters inside words, and the nearest beginning of a word.
        ("the heat shock transcription factor (HSF) binds", [("HSF", "heat shock transcription factor")]),
        ("by gcn5-related N-acetyltransferase (GNAT)", [("GNAT", "gcn5-related N-acetyltransferase")]),
        ("A mutant of acetyl transferase (AT; EC 2.3.1)", [("AT", "acetyl transferase")]),
        (
            "adenomatous polyposis coli ( APC ) and familial Mediterranean fever (FMF)",
            [
                ("APC", "adenomatous polyposis coli"),
                ("FMF", "familial Mediterranean fever"),
            ],
        ),
        ("an anti-CD3 antibody (xCD3)", []),  # no word begins with what would be the first letter
        ("seen twice (n = 12) in cancer (Fig. 2) and lung (it was)", []),
        ("The (CKD) is undefined; (12) too; a b c d e f g h i (ai)", []),
        ("CKD (CKD)", []),
        (
            '[chronic "kidney disease" (CKD.)] CKD: (chronic kidney disease)',
            [
                ("CKD", 'chronic "kidney disease'),
                ("CKD", "chronic kidney disease"),
            ],
        ),
        ("()", []),
    ],
)
def test_definitions(text, expected):
    found = [(text[slice(*d.short)], text[slice(*d.long)]) for d in find_definitions(text, [(0, len(text))])]
    assert found == expected


def test_a_definition_is_inside_a_sentence():
    text = "Chronic kidney. Disease (CKD)"
    assert list(find_definitions(text, [(0, 15), (16, len(text))])) == []
