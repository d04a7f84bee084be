"""BertConfig: what is accepted, warned about and refused."""

import dataclasses
import json
import logging

import pytest

from common.errors import InputError
from modeling.config import BertConfig
from tests.conftest import TINY


def test_reads_a_published_configuration(tmp_path):
    # BERT-base cased with the pooler keys of the multilingual archives.
    published = TINY | {
        "directionality": "bidi",
        "pooler_fc_size": 768,
        "pooler_type": "first_token_transform",
    }
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(published))
    config = BertConfig.from_json_file(path)
    assert (config.vocab_size, config.hidden_size, config.hidden_act) == (32, 8, "gelu")
    assert json.loads(config.to_json()) == TINY


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("vocab_size", "32", "'vocab_size' is '32'; expected int"),
        ("vocab_size", True, "'vocab_size' is True; expected int"),
        ("num_hidden_layers", 0, "'num_hidden_layers' is 0; expected at least 1"),
        ("hidden_dropout_prob", 1.0, "'hidden_dropout_prob' is 1.0; expected a probability"),
        ("hidden_act", "swish", "'hidden_act' is 'swish'; expected one of gelu"),
        ("hidden_size", 9, "'hidden_size' is 9; expected a multiple of 'num_attention_heads' (2)"),
        ("hidden_dropout_prob", -0.1, "'hidden_dropout_prob' is -0.1; expected a probability"),
        ("attention_probs_dropout_prob", 1, "'attention_probs_dropout_prob' is 1; expected a probability"),
        ("attention_probs_dropout_prob", float("nan"), "is nan...; expected a number of usual size"),
        ("initializer_range", 1e31, "'initializer_range' is 1e+31...; expected a number of usual size"),
        ("initializer_range", 10**400, f"'initializer_range' is 1{'0' * 19}...; expected a number of usual size"),
        ("initializer_range", 0, "'initializer_range' is 0; expected a positive number"),
        ("initializer_range", -1, "'initializer_range' is -1; expected a positive number"),
        ("layer_norm_eps", 1e-5, "'layer_norm_eps' is 1e-05; this model has 1e-12 only"),
    ],
)
def test_names_what_is_wrong(key, value, message):
    with pytest.raises(InputError) as error:
        BertConfig.from_dict(TINY | {key: value}, source="x.json")
    assert message in str(error.value)
    assert str(error.value).startswith("x.json: ")


@pytest.mark.parametrize("key", sorted(TINY))
def test_every_key_is_needed(key):
    with pytest.raises(InputError, match=f"key '{key}' is missing"):
        BertConfig.from_dict({name: value for name, value in TINY.items() if name != key})


def test_warns_about_an_unknown_key(caplog):
    with caplog.at_level(logging.WARNING):
        BertConfig.from_dict(TINY | {"hiden_size": 3, "pooler_type": "x"})
    assert [record.getMessage() for record in caplog.records] == ["configuration: unknown key 'hiden_size' is ignored"]


def test_not_json(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        BertConfig.from_json_file(path)


def test_base_size_of_the_vocabulary_and_length(tiny_config):
    tiny_config.check_vocabulary(32, "vocab.txt")
    tiny_config.check_vocabulary(27, "vocab.txt")  # rows added up to a multiple of 8
    for size, vocab_size in ((33, 32), (28_996, 30_522), (29, 30), (28_000, 30_528)):
        config = dataclasses.replace(tiny_config, vocab_size=vocab_size)
        with pytest.raises(InputError, match=f"vocab.txt: {size} wordpieces, but .* vocab_size is {vocab_size}"):
            config.check_vocabulary(size, "vocab.txt")
    tiny_config.check_sequence_length(16)
    with pytest.raises(InputError, match="--max_seq_length=17: .* at most 16"):
        tiny_config.check_sequence_length(17)
