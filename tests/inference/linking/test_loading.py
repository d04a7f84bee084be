"""What the flags for terminologies load."""

import numpy as np
import pytest

from common.errors import InputError
from inference import features
from inference.linking.encoder import load_encoder
from inference.linking.loading import load_linker, split_value
from modeling.config import BertConfig
from tests.helpers.model_directories import make_model_directory

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] lung cancer of the kidney".split()
CORPUS = "1|t|CAT\n1|a|\n1\t0\t3\tCAT\tGene\tG1\n1\t0\t3\tCAT\tSpecies\tS1\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A directory with a model of random weights."""
    path = tmp_path_factory.mktemp("model") / "ner"
    make_model_directory(path, PIECES, "ner", ["[PAD]", "O", "X", "B", "[CLS]", "[SEP]", "I"])
    return path


def test_the_vector_of_a_text_is_the_mean_of_the_last_layer(model):
    encoder = load_encoder(str(model))
    texts = ["lung cancer", "cancer of the kidney", "lung"]
    found = encoder.encode(texts)
    config = BertConfig.from_json_file(str(model / "bert_config.json"))
    bert = features.load_model(config, str(model), with_pooler=False)
    tokens = features.Extractor(bert, [-1], features.APART, features.TOKEN, None)
    lines = [features.encode_line(text, encoder.tokenizer, 24) for text in texts]
    (window,) = tokens.run(lines, 8)
    for row, (line, vectors) in zip(found, window, strict=True):
        assert vectors.shape[0] == len(line.tokens)
        np.testing.assert_allclose(row, vectors[:, 0].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("piece", "expected"), [("Lung", "[UNK]"), ("lung", "lung")])
def test_without_settings_the_vocabulary_tells_the_case(tmp_path, piece, expected):
    """With a capital in it, a text that has another one is not lower-cased."""
    path = tmp_path / "model"
    make_model_directory(path, [*PIECES[:5], piece, *PIECES[6:]], "ner", ["[PAD]", "O", "B"], do_lower_case=False)
    (path / "fine_tuning.json").unlink()
    assert load_encoder(str(path)).tokenizer.tokenize("LUNG") == [expected]


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="bert_config.json"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("value", "types", "path"),
    [
        ("a.obo", set(), "a.obo"),
        ("Disease=a.obo", {"Disease"}, "a.obo"),
        ("Gene, Protein=a=b.tsv", {"Gene", "Protein"}, "a=b.tsv"),
    ],
)
def test_types_and_files(value, types, path):
    assert split_value(value) == (types, path)


def test_a_file_may_have_the_sign_in_its_name(tmp_path):
    (tmp_path / "a=b").write_text("")
    assert split_value(f"{tmp_path}/a=b") == (frozenset(), f"{tmp_path}/a=b")


@pytest.mark.parametrize("value", ["=a.obo", "Disease="])
def test_half_a_value_is_refused(value):
    with pytest.raises(InputError, match=f"--terminology={value}: expected TYPE=FILE"):
        split_value(value)


def test_a_type_without_names_is_refused(tmp_path):
    (tmp_path / "a.pubtator").write_text(CORPUS)
    with pytest.raises(InputError, match="no name for entities of type Cell; expected Gene, Species, or several"):
        load_linker([f"Cell={tmp_path}/a.pubtator"], None)
    assert load_linker([f"Cell,Gene={tmp_path}/a.pubtator"], None)
    assert load_linker([], None) is None
