"""Which names are one."""

import pytest

from inference.linking.names import decisive, normalize

ALIKE = [
    ("kidney tumor", "Tumours of the Kidney", "TUMOR, KIDNEY", "kidney-tumours", "Kidney  Tumor."),
    ("IL2R-α", "IL-2R alpha", "il 2r Alpha", "IL2Rα"),
    ("metastasis", "Metastases"),
    ("disease", "diseases", "DISEASES"),
    ("virus", "viruses"),
    ("headache", "headaches"),
    ("injury", "injuries"),
    ("Down syndrome", "Down's syndrome", "Down\u2019s Syndrome", "Downs syndrome"),
    ("type 2 diabetes mellitus", "Diabetes mellitus, type II", "Diabetes Mellitus Type 2"),
    ("anemia", "Anaemia", "anaemias"),
    ("Sjögren syndrome", "Sjogren's syndrome"),
    ("β-blocker", "beta blockers", "ß".replace("ß", "β") + " blocker"),
    ("µ-opioid", "μ opioid", "mu-opioid"),
]
DIFFERENT = [
    ("AIDS", "aid"),
    ("2-ethyl-3-methyl", "3-ethyl-2-methyl"),
    ("CYP2D6", "CYP6D2"),
    ("type 1 diabetes", "type 2 diabetes"),
    ("vitamin C", "vitamin D"),
    ("abscess", "absces"),
    ("arthritis", "arthriti"),
]


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: names[0])
def test_spellings_of_one_name_have_one_key(names):
    assert len({normalize(name) for name in names}) == 1


@pytest.mark.parametrize("names", DIFFERENT, ids="-".join)
def test_other_names_have_other_keys(names):
    assert normalize(names[0]) != normalize(names[1])


@pytest.mark.parametrize("name", ["", "+", "---", "of the", "\u0301"])
def test_a_name_without_words_has_no_key(name):
    assert normalize(name) == ""


def test_numbers_single_letters_and_negations_decide():
    assert decisive(normalize("non-insulin-dependent diabetes, type 2B")) == ["2", "b", "non"]
    assert decisive(normalize("insulin dependent diabetes")) == []


def test_roman_numerals_are_numbers_that_tell_names_apart():
    assert normalize("diabetes mellitus type I") == normalize("type 1 diabetes mellitus")
    assert normalize("factor V deficiency") == normalize("factor 5 deficiency")
    assert normalize("protein I") != normalize("protein 1")  # iodine, or the letter
    assert decisive(normalize("factor VII deficiency")) == ["7"]
    assert decisive(normalize("factor VIII deficiency")) == ["8"]
