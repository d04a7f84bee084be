"""Floating-point operations of BERT, by which speed is compared with what a device can do.

Products of matrices count, 2 operations a multiplication; what is small beside them (softmax, GELU, normalization,
dropout, the optimizer) does not, as is usual (Narayanan et al. 2021, appendix).
"""

from modeling.config import BertConfig


def forward(config: BertConfig, seq_length: int, predictions: int, tokens: int | None = None) -> int:
    """Operations of the pre-training model on one sequence.

    Args:
      config: `BertConfig`.
      seq_length: tokens, padding included.
      predictions: masked positions.
      tokens: tokens that are computed, all if None; the products of attention are of `seq_length` in any case.
    """
    tokens = seq_length if tokens is None else tokens
    hidden, intermediate = config.hidden_size, config.intermediate_size
    projections = 4 * hidden * hidden + 2 * hidden * intermediate  # multiplications a token and layer
    attention = 2 * seq_length * hidden  # scores and weighted sums
    encoder = config.num_hidden_layers * (tokens * projections + seq_length * attention)
    segments = tokens * config.type_vocab_size * hidden
    heads = predictions * (hidden * hidden + hidden * config.vocab_size) + hidden * hidden + 2 * hidden
    return 2 * (encoder + segments + heads)


def training(config: BertConfig, seq_length: int, predictions: int, tokens: int | None = None) -> int:
    """As `forward`, with the gradients: of each product two more."""
    return 3 * forward(config, seq_length, predictions, tokens)
