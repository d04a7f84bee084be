"""The vocabularies that strings were recorded with, by their places in ../shared."""

CASED = "data/vocab/bert-base-cased-vocab.txt"
UNCASED = "data/vocab/bert-base-uncased-vocab.txt"
SMALL = "golden/vocab_small.txt"
# From columns of tokenization.jsonl to vocabulary and `do_lower_case`.
COLUMNS = {
    "cased_lower0": (CASED, False),
    "cased_lower1": (CASED, True),
    "uncased_lower1": (UNCASED, True),
    "small_lower0": (SMALL, False),
    "small_lower1": (SMALL, True),
}
