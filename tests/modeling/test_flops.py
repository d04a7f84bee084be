"""The counts of `modeling.flops` against TensorFlow's of the graph."""

import pytest

from benchmarks.training_time import counted_products
from modeling import flops
from modeling.config import BertConfig
from tests.conftest import TINY

# No two sizes are equal, so that none can stand for another.
CONFIG = TINY | {
    "vocab_size": 97,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
}


@pytest.mark.parametrize(("seq_length", "predictions"), [(20, 5), (31, 7)])
def test_operations_of_a_sequence_are_those_of_the_graph(seq_length, predictions):
    config = BertConfig.from_dict(CONFIG)
    counted = counted_products(config, seq_length, predictions, training=False)
    assert flops.forward(config, seq_length, predictions) == counted
    counted = counted_products(config, seq_length, predictions, training=True)
    left_out = 2 * seq_length * 2 * 24  # the gradient of the one-hot segments, which is not needed
    assert flops.training(config, seq_length, predictions) == counted + left_out


def test_operations_of_bert_base():
    """By hand: 12 layers of 12 x 768^2 weights and 2 x 512 x 768 for the attention, a piece; 77 masked pieces."""
    layers = 12 * 512 * (12 * 768**2 + 2 * 512 * 768)
    heads = 77 * (768**2 + 768 * 28_996) + 768**2 + 2 * 768
    config = BertConfig.from_dict(
        CONFIG
        | {
            "vocab_size": 28_996,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
        }
    )
    assert flops.training(config, 512, 77) == 6 * (layers + heads + 512 * 2 * 768)
