"""Whatever bytes a file of training data or a vocabulary has: what is in it, or a line that says what is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from data_prep.tasks import bioasq_questions, label_map, ner, questions, relations
from data_prep.text import tokenization, tokenizer_files
from tests.helpers.edits import edited, edits
from tests.helpers.json_edits import edited_json

SQUAD = """{"version": "1", "data": [{"title": "t", "paragraphs": [{"context": "Loss of MECP2 causes it.", "qas": [
{"id": "a_001", "question": "Which gene?", "is_impossible": false, "answers": [{"text": "MECP2", "answer_start": 8}]},
{"id": 7, "question": "Is it?", "answers": "yes"}]}]}]}"""
BIOASQ = """{"questions": [{"id": "q", "type": "factoid", "body": "Which gene?", "exact_answer": [["MECP2", "a"]],
"documents": ["http://www.ncbi.nlm.nih.gov/pubmed/1"], "ideal_answer": ["It."], "snippets": [{"text": "MECP2 is.",
"document": "http://www.ncbi.nlm.nih.gov/pubmed/1", "offsetInBeginSection": 0}]}, {"id": "y", "type": "yesno",
"body": "Is it?", "exact_answer": "yes", "snippets": []}]}"""
WORDS = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\nGene\n"
TOKENIZER = """{"added_tokens": [{"id": 0, "content": "[PAD]", "special": true}], "normalizer": {"lowercase": true},
"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3,
"[MASK]": 4, "the": 5}}}"""
READERS = {
    "NER": ("train.tsv", "Zinc\tB-Chemical\nions\tI-Chemical\n.\tO\n\np53 x B-Gene\n", ner.read_sentences),
    "RE": ("train.tsv", "@GENE$ causes @DISEASE$.\t1\n@GENE$, @DISEASE$.\t0\n", relations.read_examples),
    "RE, test": ("test.tsv", "index\tsentence\tlabel\n0\t@GENE$, @DISEASE$.\t0\n", relations.read_test_examples),
    "QA": ("train.json", SQUAD, questions.read_examples),
    "QA, spans": ("train.json", SQUAD, questions.read_span_examples),
    "QA, yes or no": ("train.json", SQUAD, lambda path: questions.read_yes_no_examples(path, True, 1)),
    "BioASQ": ("golden.json", BIOASQ, lambda path: bioasq_questions.read_questions([path])),
    "labels": (label_map.FILE_NAME, '{"O": 0, "B": 1, "I": 2}', None),
    "vocabulary": ("vocab.txt", WORDS, tokenization.load_vocab),
    "tokenizer": ("tokenizer.json", TOKENIZER, None),
}
OF_DIRECTORIES = {"labels": label_map.read, "tokenizer": tokenizer_files.read}


@pytest.mark.parametrize("what", READERS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_content_is_read_or_refused_in_one_line(what, data, tmp_path_factory):
    name, sample, read = READERS[what]
    directory = tmp_path_factory.getbasetemp() / "any bytes"
    directory.mkdir(exist_ok=True)
    path = directory / name
    contents = edits.map(lambda changes: edited(sample.encode(), changes))
    if name.endswith(".json"):
        contents |= edited_json(json.loads(sample))
    path.write_bytes(data.draw(contents))
    try:
        found = OF_DIRECTORIES[what](str(directory)) if what in OF_DIRECTORIES else read(str(path))
    except InputError as error:
        message = str(error)
        assert message.startswith(str(directory))
        assert "\n" not in message
        assert len(message) <= 2000
    else:
        assert found is not None
    finally:
        path.unlink()
