"""BERT as the library transformers writes it: `config.json`, and weights under the names of its PyTorch modules.

Of its classes, those with a counterpart here are read and written:

    BertModel                        the encoder
    BertForPreTraining               with both pre-training heads
    BertForMaskedLM                  with the masked language model alone
    BertForNextSentencePrediction    with the other alone
    BertForTokenClassification       heads.TokenClassifier
    BertForSequenceClassification    heads.SequenceClassifier
    BertForQuestionAnswering         heads.SpanClassifier

What their `config.json` can say and this model cannot do, such as another epsilon, is an error, as the outputs would
differ. Checkpoints here are float32; half-precision weights are read and become that.
"""

import dataclasses
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Container, Sequence

import keras
import numpy as np

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_json
from modeling import checkpoint, weight_files
from modeling.bert import LAYER_NORM_EPSILON
from modeling.config import BertConfig
from modeling.heads import PretrainingModel, SequenceClassifier, SpanClassifier, TokenClassifier

ENCODER, PRETRAINING, MASKED_LM = "BertModel", "BertForPreTraining", "BertForMaskedLM"
NEXT_SENTENCE = "BertForNextSentencePrediction"
TOKENS, SEQUENCES, SPANS = "BertForTokenClassification", "BertForSequenceClassification", "BertForQuestionAnswering"
CLASSIFIERS: dict[str, Callable[[BertConfig, int], keras.layers.Layer]] = {
    TOKENS: TokenClassifier,
    SEQUENCES: SequenceClassifier,
}

# Our names to theirs, one substitution after the other.
_RENAMINGS = [
    (r"^cls/squad/", "qa_outputs/"),
    (r"^output_", "classifier/output_"),
    (r"/output_weights$", "/weight"),
    (r"/output_bias$", "/bias"),
    (r"/(kernel|gamma)$", "/weight"),
    (r"/beta$", "/bias"),
    (r"_embeddings$", "_embeddings/weight"),
    (r"/layer_(\d+)/", r"/layer/\1/"),
    (r"/", "."),
]
# Buffers that older versions saved with the weights: 0, 1, 2, ... and zeros.
_BUFFER = re.compile(r"\.(position_ids|token_type_ids)$")
# Theirs that are one with another tensor, and saved or not, by version.
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
# Parts of a model that a file has whole or not at all.
_OPTIONAL_PARTS = ("bert/pooler/", "cls/predictions/", "cls/seq_relationship/")
# Keys of config.json that change the outputs when they are set.
_UNSUPPORTED = ("is_decoder", "add_cross_attention", "pruned_heads", "quantization_config")


@dataclasses.dataclass(frozen=True)
class Model:
    """A BERT with or without head.

    `architecture` is the class of transformers that it is; `variables` are arrays by our names; `labels` are those of a
    token or sequence classifier, in the order of its outputs, and None for all others.
    """

    config: BertConfig
    architecture: str
    variables: dict[str, np.ndarray]
    labels: list[str] | None = None


def read(directory: str, labels: list[str] | None = None) -> Model:
    """Reads a model that transformers wrote.

    Args:
      directory: with config.json and weights.
      labels: of a classifier, in place of those of config.json.

    Returns:
      `Model`. For token and span classification, transformers keeps no pooler: it becomes zeros, which no output reads.

    Raises:
      InputError: a file is missing or damaged, the model is not a BERT like ours, a tensor is missing or misshapen.
    """
    path = os.path.join(directory, "config.json")
    values = read_json(path, "the config.json of a BERT")
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    _check_supported(path, values)
    config = BertConfig.from_dict(values, path)
    tensors, weights_file = weight_files.read(directory)
    tensors = _merge_tied({_present_name(name): array for name, array in tensors.items()}, weights_file)
    architecture = _architecture(path, values, tensors)
    if architecture not in CLASSIFIERS:
        labels = None
    elif "classifier.bias" in tensors:
        labels = _read_labels(path, values, labels, tensors["classifier.bias"].size, architecture)
    else:
        hint = checkpoint.describe_scope("classifier.bias", tensors)
        raise InputError(f"{weights_file}: tensor classifier.bias is missing; {architecture} has it{hint}")
    variables = _take_variables(build(architecture, config, labels), tensors, weights_file, architecture)
    if architecture not in (TOKENS, SEQUENCES, SPANS):
        architecture = architecture_of(variables)
    return Model(config, architecture, variables, labels)


def write(directory: str, model: Model, pad_token_id: int = 0) -> None:
    """Writes `config.json` and `model.safetensors`, what `read` reads.

    The tied output weights of the masked language model are left out, as transformers does. The pooler of a token or
    span classifier is kept, unless it is zeros, though transformers makes no use of it.

    Args:
      directory: path.
      model: `Model`.
      pad_token_id: index of `[PAD]` in the vocabulary.
    """
    variables = dict(model.variables)
    pooler = [name for name in variables if name.startswith("bert/pooler/")]
    if model.architecture in (TOKENS, SPANS) and not any(np.any(variables[name]) for name in pooler):
        for name in pooler:
            del variables[name]
    tensors = {
        their_name(name): array.T if name.endswith("/kernel") else array for name, array in sorted(variables.items())
    }
    if model.architecture == ENCODER:
        tensors = {name.removeprefix("bert."): array for name, array in tensors.items()}
    weight_files.write(directory, tensors)
    with atomic_write(os.path.join(directory, "config.json")) as file:
        file.write(json.dumps(_config_values(model, pad_token_id), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def architecture_of(names: Container[str], is_token_classifier: bool = False) -> str:
    """The class of transformers for a model with variables of these (our) names.

    Token and sequence classifiers have the same ones, so `is_token_classifier` decides.
    """
    if "cls/squad/output_weights" in names:
        return SPANS
    if "output_weights" in names:
        return TOKENS if is_token_classifier else SEQUENCES
    has_lm, has_next_sentence = "cls/predictions/output_bias" in names, "cls/seq_relationship/output_weights" in names
    if has_lm and has_next_sentence and "bert/pooler/dense/kernel" in names:
        return PRETRAINING
    if has_lm:
        return MASKED_LM
    return NEXT_SENTENCE if has_next_sentence else ENCODER


def build(architecture: str, config: BertConfig, labels: Sequence[str] | None = None) -> keras.layers.Layer:
    """The built Keras model whose variables a class of transformers has, or more: all but tasks' have both heads."""
    if architecture in CLASSIFIERS:
        model = CLASSIFIERS[architecture](config, len(labels))  # type: ignore[arg-type]  # a classifier has labels
    else:
        model = SpanClassifier(config) if architecture == SPANS else PretrainingModel(config)
    model.build()
    return model


def absent_parts(names: Collection[str]) -> tuple[str, ...]:
    """The parts of a model that may be absent and of which these (our) names have none, as prefixes."""
    return tuple(part for part in _OPTIONAL_PARTS if not any(name.startswith(part) for name in names))


def their_name(name: str) -> str:
    """The name in transformers of one of our variables, below `bert.` for the encoder."""
    for pattern, replacement in _RENAMINGS:
        name = re.sub(pattern, replacement, name)
    return name


def _present_name(name):
    """A tensor's name as transformers has it today: below `bert.`, and not `gamma` and `beta` as once."""
    name = re.sub(r"^(?=(embeddings|encoder|pooler)\.)", "bert.", name)
    return re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda m: {"gamma": "weight", "beta": "bias"}[m[0]], name)


def _check_supported(path, values):
    model_type = values.get("model_type", "bert")
    if model_type != "bert":
        raise InputError(f"{path}: model_type is {model_type!r}; expected 'bert'")
    for key in _UNSUPPORTED:
        if values.get(key):
            raise InputError(f"{path}: {key!r} is {values[key]!r}; expected a BERT without, this model cannot do it")


def _architecture(path, values, tensors):
    """The class of config.json; `BertModel` for one without counterpart here, whose encoder can still be used."""
    names = values.get("architectures")
    if not names and "classifier.weight" in tensors:
        raise InputError(f"{path}: no architectures; expected {TOKENS} or {SEQUENCES} there, or another for the head")
    if not names:
        return SPANS if "qa_outputs.weight" in tensors else ENCODER
    name = names[0] if isinstance(names, list) else names
    if name in (ENCODER, PRETRAINING, MASKED_LM, NEXT_SENTENCE, TOKENS, SEQUENCES, SPANS):
        return name
    logging.warning("%s: no counterpart of %r here; its head, if any, is left out", path, name)
    return ENCODER


def _merge_tied(tensors, weights_file):
    """Leaves out the tensors that are one with another; raises InputError if they are not."""
    merged = {name: array for name, array in tensors.items() if name not in _TIED}
    for name in _TIED.keys() & tensors.keys():
        other = merged.setdefault(_TIED[name], tensors[name])
        if not np.array_equal(other, tensors[name], equal_nan=True):
            raise InputError(f"{weights_file}: {name} and {_TIED[name]} differ; this model has one for both")
    return merged


def _read_labels(path, values, given, count, architecture):
    """The labels of a classifier with `count` outputs."""
    single = values.get("problem_type") in (None, "single_label_classification")
    if architecture == SEQUENCES and not (single and count > 1):
        raise InputError(
            f"{path}: problem_type is {values.get('problem_type')!r} with {count} outputs; "
            "expected a classifier with one label a sequence, of two or more"
        )
    if given:
        if len(given) != count or len(set(given)) < count:
            raise InputError(f"--labels={','.join(given)}: expected {count} labels, one for each output of the model")
        return list(given)
    # transformers leaves id2label out where it holds the names that it gives by default.
    names = values.get("id2label") or {str(i): f"LABEL_{i}" for i in range(count)}
    labels = [names.get(str(i)) for i in range(count)] if isinstance(names, dict) and len(names) == count else []
    if not labels or not all(isinstance(label, str) and label for label in labels) or len(set(labels)) < count:
        raise InputError(
            f"{path}: id2label is {json.dumps(names, ensure_ascii=False)[:200]}; expected {count} different labels, "
            f"for 0 to {count - 1}"
        )
    return labels


def _take_variables(model, tensors, weights_file, architecture):
    """The arrays of a file by our names, held against the variables of a model."""
    names = {name: their_name(name) for name in checkpoint.model_variables(model)}
    absent = absent_parts([ours for ours, theirs in names.items() if theirs in tensors])
    if architecture == SEQUENCES:  # its head reads the pooler
        absent = ()
    variables = {}
    for name, variable in checkpoint.model_variables(model).items():
        shape = list(variable.shape)
        if not name.startswith(absent):
            array = _take(tensors, names[name], shape[::-1] if name.endswith("/kernel") else shape, weights_file)
            variables[name] = array.T if name.endswith("/kernel") else array
        elif architecture in (TOKENS, SPANS):
            variables[name] = np.zeros(shape, np.float32)
    for name in sorted(tensors.keys() - set(names.values())):
        if not _BUFFER.search(name):
            logging.warning("%s: %s is left out, it is no part of a %s", weights_file, name, architecture)
    return variables


def _take(tensors, name, shape, weights_file):
    if name not in tensors:
        hint = checkpoint.describe_scope(name, tensors)
        raise InputError(f"{weights_file}: tensor {name} is missing; expected shape {shape}{hint}")
    array = tensors[name]
    if list(array.shape) != shape:
        raise InputError(f"{weights_file}: tensor {name} has shape {list(array.shape)}, config.json says {shape}")
    if array.dtype != np.float32:
        raise InputError(f"{weights_file}: tensor {name} is of type {array.dtype}; expected floating-point numbers")
    return array


def _config_values(model, pad_token_id):
    """What config.json holds."""
    values = dataclasses.asdict(model.config) | {
        "architectures": [model.architecture],
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "model_type": "bert",
        "pad_token_id": pad_token_id,
        "position_embedding_type": "absolute",
    }
    if model.labels:
        values["id2label"] = {str(index): label for index, label in enumerate(model.labels)}
        values["label2id"] = {label: index for index, label in enumerate(model.labels)}
    return values
