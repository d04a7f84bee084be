"""The architecture of a BERT model, as `bert_config.json` gives it."""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from typing import Any, Self

from common.errors import InputError
from common.inputs import read_json

MAX_PADDING = 1024  # rows of embeddings beyond the vocabulary: 128 for each of 8 parts of a split model
# The largest sizes that make sense; what is far beyond is damaged, and would fill the memory.
LIMITS = {
    "vocab_size": 10_000_000,
    "hidden_size": 100_000,
    "num_hidden_layers": 1000,
    "num_attention_heads": 10_000,
    "intermediate_size": 1_000_000,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 10_000,
}
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")

# Keys of published configurations (Google's multilingual and cased archives, Hugging Face) without
# meaning for this model.
_MEANINGLESS_KEYS = frozenset(
    """directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head
    pooler_type _name_or_path _num_labels architectures attn_implementation bos_token_id classifier_dropout
    do_sample dtype embedding_size eos_token_id finetuning_task gradient_checkpointing id2label
    is_decoder label2id language model_type name num_labels output_attentions output_hidden_states
    output_past pad_token_id problem_type pruned_heads sep_token_id tie_word_embeddings torch_dtype
    torchscript transformers_version use_bfloat16 use_cache add_cross_attention cross_attention_hidden_size
    ln_type""".split()
)
# Keys that mean something, for which this model has one value.
_FIXED_VALUES = {"layer_norm_eps": 1e-12, "position_embedding_type": "absolute"}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The hyperparameters of `BertModel` (Devlin et al. 2019, table 6 and appendix A.2).

    All are needed in `bert_config.json`; BERT-base cased has the values given here.
    """

    vocab_size: int  # wordpieces in the vocabulary, 28,996
    hidden_size: int  # width of every layer, 768
    num_hidden_layers: int  # 12
    num_attention_heads: int  # 12, divides hidden_size
    intermediate_size: int  # width of the feed-forward layer, 3,072
    hidden_act: str  # "gelu": the exact one, by the error function
    hidden_dropout_prob: float  # 0.1
    attention_probs_dropout_prob: float  # 0.1
    max_position_embeddings: int  # longest sequence, 512
    type_vocab_size: int  # segments, 2
    initializer_range: float  # standard deviation of the truncated normal initializer, 0.02

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Checks a dictionary and makes a config of it.

        Args:
          values: what `bert_config.json` holds.
          source: how error messages call it.

        Raises:
          InputError: a missing key, a wrong type or an impossible value, by name.
        """
        fields: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(cls)}
        if missing := [name for name in fields if name not in values]:
            raise InputError(f"{source}: key {missing[0]!r} is missing; expected all of {', '.join(fields)}")
        for name, expected in fields.items():
            _check_value(source, name, values[name], expected)
        if values["hidden_size"] % values["num_attention_heads"]:
            raise InputError(
                f"{source}: 'hidden_size' is {values['hidden_size']}; expected a multiple of "
                f"'num_attention_heads' ({values['num_attention_heads']})"
            )
        for name in values.keys() - fields.keys():
            if name in _FIXED_VALUES and values[name] != _FIXED_VALUES[name]:
                raise InputError(f"{source}: {name!r} is {values[name]!r}; this model has {_FIXED_VALUES[name]!r} only")
            if name not in _FIXED_VALUES and name not in _MEANINGLESS_KEYS:
                logging.warning("%s: unknown key %r is ignored", source, name)
        return cls(**{name: fields[name](values[name]) for name in fields})

    @classmethod
    def from_json_file(cls, path: str | os.PathLike[str]) -> Self:
        """Reads `bert_config.json`; see `from_dict`."""
        values = read_json(path, "bert_config.json")
        if not isinstance(values, dict):
            raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
        return cls.from_dict(values, source=str(path))

    def check_vocabulary(self, size: int, vocab_file: str) -> None:
        """Raises InputError if a vocabulary of so many wordpieces is not this model's.

        A model may have some more rows, so that their number is a multiple of 8 or more.
        """
        padding = self.vocab_size - size
        if padding < 0 or padding >= MAX_PADDING or (padding and self.vocab_size % 8):
            raise InputError(
                f"{vocab_file}: {size} wordpieces, but the model's vocab_size is {self.vocab_size}; "
                "expected the vocabulary that the model was trained with"
            )
        if padding:
            logging.info("%s: %d wordpieces; the model's other %d rows are not used", vocab_file, size, padding)

    def check_sequence_length(self, length: int, what: str = "--max_seq_length") -> None:
        """Raises InputError if sequences of `length` wordpieces, given by `what`, are too long for the model."""
        if length > self.max_position_embeddings:
            raise InputError(
                f"{what}={length}: the model was made for at most "
                f"{self.max_position_embeddings} (max_position_embeddings)"
            )

    def to_json(self) -> str:
        """The text of a `bert_config.json`, with the keys in alphabetical order as the published ones."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"


def _check_value(source, name, value, expected):
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise InputError(f"{source}: {name!r} is {value!r}; expected {expected.__name__}")
    if expected is float and not -1e30 < value < 1e30:
        raise InputError(f"{source}: {name!r} is {value!r:.20}...; expected a number of usual size")
    if expected is int and value < 1:
        raise InputError(f"{source}: {name!r} is {value}; expected at least 1")
    if expected is int and value > LIMITS[name]:
        raise InputError(f"{source}: {name!r} is {value}; expected at most {LIMITS[name]}")
    if name.endswith("dropout_prob") and not 0 <= value < 1:
        raise InputError(f"{source}: {name!r} is {value}; expected a probability from 0 to below 1")
    if name == "initializer_range" and not 0 < value < float("inf"):
        raise InputError(f"{source}: {name!r} is {value}; expected a positive number")
    if name == "hidden_act" and value not in ACTIVATIONS:
        raise InputError(f"{source}: {name!r} is {value!r}; expected one of {', '.join(ACTIVATIONS)}")
