"""Converts a BERT from Hugging Face's layout (transformers, PyTorch) to a checkpoint and back.

    python convert.py --input_dir=MODEL_DIR --output_dir=OUTPUT_DIR

reads `config.json`, `model.safetensors` or `pytorch_model.bin`, and `vocab.txt` or `tokenizer.json`, and writes
`bert_config.json`, `vocab.txt` and `bert_model.ckpt.*`, the layout of the published Google BERT archives, for every
script here and for the original code. The encoder and, where present, the pre-training heads or the head of a task are
converted; of a task also its labels, `label_map.json`, and `fine_tuning.json`, so that run_ner.py, run_re.py, run_qa.py
and predict.py can use the model. Expected in the output: the number of variables, 103 for a 6-layer encoder with its
pooler.

    python convert.py --to=hugging_face --input_dir=MODEL_DIR --output_dir=OUTPUT_DIR

is the way back, from any checkpoint of ours: all files that `from_pretrained` of transformers needs. Weights, labels
and vocabulary come back as they were, in both directions.

    python convert.py --checkpoint=RUN_DIR --input_dir=BERT_DIR --output_dir=OUTPUT_DIR

takes the newest checkpoint of a run, without what only that run needs (Adam's slots: two thirds of the file), and
writes it as BioBERT was published: `model.ckpt-STEP.*` with the `bert_config.json` and `vocab.txt` of BERT_DIR.
Expected: 206 variables of BERT-base with its pre-training heads.
"""

import dataclasses
import json
import logging
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from biocodes import re_eval
from common import errors, files, inputs
from data_prep.tasks import label_map, ner
from data_prep.text import tokenizer_files
from fine_tuning import tasks
from fine_tuning.model_directory import CONFIG_FILE, FILE_NAME
from modeling import checkpoint, hugging_face
from modeling.config import BertConfig
from modeling.heads import NEVER

FLAGS = flags.FLAGS

CHECKPOINT, HUGGING_FACE = "checkpoint", "hugging_face"  # what to convert to


def define_flags():
    flags.DEFINE_string(
        "input_dir",
        None,
        "Directory with config.json, weights, vocab.txt; with --checkpoint or --to=hugging_face: bert_config.json and "
        "vocab.txt.",
    )
    flags.DEFINE_string(
        "checkpoint", None, "Checkpoint of a run, or its directory: convert this, without Adam's slots."
    )
    flags.DEFINE_string("output_dir", None, "Directory for what comes of it.")
    flags.DEFINE_enum("to", CHECKPOINT, [CHECKPOINT, HUGGING_FACE], "Layout to write.")
    flags.DEFINE_list(
        "labels", None, "Labels in the order of the model's outputs; default: those of config.json or label_map.json."
    )
    flags.DEFINE_bool(
        "do_lower_case",
        None,
        "The model is uncased; default: what fine_tuning.json, tokenizer_config.json or else the vocabulary says.",
    )
    flags.mark_flags_as_required(["input_dir", "output_dir"])


def main(_):
    convert(FLAGS)


def convert(values):
    """Converts a model, by the flags `values`."""
    to_hugging_face = values.to == HUGGING_FACE
    if values.checkpoint or to_hugging_face:
        prefix = checkpoint.find(values.checkpoint or values.input_dir)
        if not to_hugging_face:
            check_other_directory(prefix, values.output_dir)
        name, model_dir = os.path.basename(prefix), os.path.dirname(prefix) or "."
        model = read_checkpoint(values.input_dir, prefix, values.labels)
    else:
        name, model_dir = "bert_model.ckpt", values.input_dir
        model = read_hugging_face(values.input_dir, values.labels)
    tokenizer = tokenizer_files.read(values.input_dir)
    model.config.check_vocabulary(len(tokenizer.pieces), tokenizer.vocabulary_file)
    settings = read_settings(model_dir)
    lower_case, reason = choose_lower_case(values.do_lower_case, settings, tokenizer)
    found = [task for task in tasks.TASKS if task.architecture == model.architecture]  # that it can be for
    has_settings = bool(found) and (settings is not None or not to_hugging_face)
    if has_settings:
        settings = complete_settings(settings, found, model, lower_case, model_dir)

    files.make_directory(values.output_dir)
    if to_hugging_face:
        write_hugging_face(model, tokenizer, lower_case, values.output_dir)
    else:
        write_checkpoint(model, name, values.output_dir)
    tokenizer_files.write_vocabulary(values.output_dir, tokenizer.pieces)
    if has_settings:
        write_settings(settings, values.output_dir)
    print(f"{values.output_dir}: for --do_lower_case={str(lower_case).lower()}, by {reason}")


def check_other_directory(prefix, output_dir):
    """Raises `InputError` if a checkpoint would be written over the one that it is made of: its run could not go on."""
    if os.path.realpath(os.path.dirname(prefix)) == os.path.realpath(output_dir):
        raise errors.InputError(f"--output_dir={output_dir}: {prefix} is in there; expected another directory")


# Reading


def read_hugging_face(directory, labels=None):
    """Reads a model directory of transformers, see `hugging_face.read`; gives NER the labels that run_ner.py needs.

    Raises:
      InputError: a file is missing or damaged, or the model is another one than we have.
    """
    model = hugging_face.read(directory, labels)
    if model.architecture == hugging_face.TOKENS:
        model = add_special_labels(model, os.path.join(directory, "config.json"))
    return model


def read_checkpoint(directory, prefix, labels=None):
    """Reads the model of a checkpoint of ours.

    Args:
      directory: has its bert_config.json.
      prefix: of the checkpoint; label_map.json and fine_tuning.json are beside it.
      labels: in place of those of label_map.json.

    Returns:
      `hugging_face.Model`.

    Raises:
      InputError: a file is missing or damaged, or the checkpoint is of another model.
    """
    config = BertConfig.from_json_file(os.path.join(directory, CONFIG_FILE))
    shapes = checkpoint.open_reader(prefix).get_variable_to_shape_map()
    beside = os.path.dirname(prefix) or "."
    if "output_weights" in shapes:
        source = "--labels" if labels else os.path.join(beside, label_map.FILE_NAME)
        labels = labels or label_map.read(beside) or []
        count = shapes["output_weights"][0]
        if len(labels) != count:
            raise errors.InputError(
                f"{source}: {len(labels)} labels; expected {count}, one for each output of {prefix}"
            )
    else:
        labels = None
    architecture = hugging_face.architecture_of(shapes, is_token_classifier(beside, labels))
    model = hugging_face.build(architecture, config, labels)
    _, initialized, _ = checkpoint.load_weights(model, prefix, optional=hugging_face.absent_parts(shapes))
    variables = {
        name: np.asarray(variable)
        for name, variable in checkpoint.model_variables(model).items()
        if name not in initialized
    }
    return hugging_face.Model(config, architecture, variables, labels)


def is_token_classifier(directory, labels):
    """Tells NER from what labels whole sequences; the two have the same variables."""
    settings = read_settings(directory)
    if settings is not None:
        return settings.get("task") == "ner"
    return labels is not None and set(ner.SPECIAL_LABELS) <= set(labels)


def read_settings(directory):
    """What fine_tuning.json holds; None if there is none."""
    path = os.path.join(directory, FILE_NAME)
    if not os.path.exists(path):
        return None
    settings = inputs.read_json(path, "what a model was fine-tuned for")
    if not isinstance(settings, dict):
        raise errors.InputError(f"{path}: expected a JSON object, found {type(settings).__name__}")
    return settings


def choose_lower_case(given, settings, tokenizer):
    """Whether text is to be lower-cased, and what says so."""
    if given is not None:
        return given, "the flag"
    if settings and isinstance(settings.get("do_lower_case"), bool):
        return settings["do_lower_case"], FILE_NAME
    return tokenizer.do_lower_case, tokenizer.reason


def complete_settings(settings, possible, model, lower_case, directory):
    """What fine_tuning.json has to hold for a model of a task.

    Args:
      settings: those read from `directory`, kept as they are but for the case; None if there were none.
      possible: the tasks of such a model, the first where nothing says which.
      model: `hugging_face.Model`.
      lower_case: bool.
      directory: path, for messages.

    Raises:
      InputError: the settings are of another task, or the model is too small for it.
    """
    if settings is not None:
        if settings.get("task") not in [task.name for task in possible]:
            path = os.path.join(directory, FILE_NAME)
            names = " or ".join(task.name for task in possible)
            raise errors.InputError(
                f"{path}: task is {settings.get('task')!r}; expected {names} for {model.architecture}"
            )
        return settings | {"do_lower_case": lower_case}
    task = possible[0]
    length = min(task.max_seq_length, model.config.max_position_embeddings)
    settings = {"task": task.name, "do_lower_case": lower_case, "max_seq_length": length, **task.settings}
    if "max_query_length" in settings:
        if length < 5:  # [CLS] and two times [SEP] around a wordpiece of each
            raise errors.InputError(
                f"{directory}: a model of {length} positions; expected at least 5 for questions with contexts"
            )
        settings["max_query_length"] = min(settings["max_query_length"], (length - 3) // 2)  # of a tiny model
    if task is tasks.RE:
        logging.warning("%s: predict.py needs there what stands for the entities of a pair, as entity_pairs", FILE_NAME)
        settings["negative_label"] = re_eval.usual_negative(model.labels)
    return settings


# The labels of token classifiers


def add_special_labels(model, source):
    """Gives a token classifier the labels beside the data's that run_ner.py needs: [PAD] first, X, [CLS], [SEP] last.

    It never predicts them: their output weights are 0 and their bias is `NEVER`. So the loss that run_ner.py prints for
    it, which counts them, means nothing.

    Raises:
      InputError: there is no label for what is outside of entities.
    """
    labels = model.labels
    if ner.OUTSIDE not in labels:
        raise errors.InputError(
            f"{source}: labels {', '.join(labels)}; expected one that is {ner.OUTSIDE}, for what is no entity: name "
            "all with --labels, in this order"
        )
    front = [label for label in (ner.PADDING,) if label not in labels]
    back = [label for label in (ner.CONTINUATION, ner.CLS, ner.SEP) if label not in labels]
    rows = (len(front), len(back))
    weights, bias = model.variables["output_weights"], model.variables["output_bias"]
    variables = model.variables | {
        "output_weights": np.pad(weights, [rows, (0, 0)]),
        "output_bias": np.pad(bias, rows, constant_values=NEVER),
    }
    return dataclasses.replace(model, variables=variables, labels=[*front, *labels, *back])


def drop_special_labels(model):
    """Undoes `add_special_labels`. A model that was trained here keeps its special labels: it has learned them."""
    weights, bias = model.variables["output_weights"], model.variables["output_bias"]
    special = np.array([label in ner.SPECIAL_LABELS for label in model.labels])
    kept = ~(special & (bias == NEVER) & ~weights.any(axis=1))
    variables = model.variables | {"output_weights": weights[kept], "output_bias": bias[kept]}
    labels = [label for label, keep in zip(model.labels, kept, strict=True) if keep]
    return dataclasses.replace(model, variables=variables, labels=labels)


# Writing


def write_checkpoint(model, name, output_dir):
    with files.atomic_write(os.path.join(output_dir, CONFIG_FILE)) as file:
        file.write(model.config.to_json())
    if model.labels:
        label_map.write(output_dir, model.labels)
    tensors = {name: tf.cast(array, tf.float32) for name, array in model.variables.items()}
    checkpoint.save(os.path.join(output_dir, name), tensors)
    print(f"{output_dir}: {CONFIG_FILE} and {name} with {len(tensors)} variables")


def write_hugging_face(model, tokenizer, lower_case, output_dir):
    if model.architecture == hugging_face.TOKENS:
        model = drop_special_labels(model)
    hugging_face.write(output_dir, model, tokenizer.pad_token_id)
    tokenizer_files.write_config(output_dir, lower_case, model.config.max_position_embeddings)
    print(f"{output_dir}: config.json and model.safetensors of a {model.architecture}")


def write_settings(settings, output_dir):
    with files.atomic_write(os.path.join(output_dir, FILE_NAME)) as file:
        json.dump(settings, file, indent=1)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
