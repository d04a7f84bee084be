"""Converts a BERT in Hugging Face's layout (config.json, model.safetensors, vocab.txt) to a checkpoint.

    python convert.py --input_dir=MODEL_DIR --output_dir=OUTPUT_DIR

writes `bert_config.json`, `vocab.txt` and `bert_model.ckpt.*`, the layout of the published Google BERT
archives, for every script here and for the original code. The encoder and, where present, the pre-training
heads are converted; expected in the log: the number of variables, 103 for a 6-layer encoder with pooler.

    python convert.py --checkpoint=RUN_DIR --input_dir=BERT_DIR --output_dir=OUTPUT_DIR

takes the newest checkpoint of a run of `run_pretraining.py` instead, without what only that run needs (Adam's slots:
two thirds of the file), and writes it as BioBERT was published: `model.ckpt-STEP.*` with the `bert_config.json` and
`vocab.txt` of BERT_DIR. Expected: 206 variables of BERT-base.
"""

import json
import logging
import os
import re
import shutil

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import safetensors
import tensorflow as tf
from absl import flags

from common import errors, files
from modeling import checkpoint, heads
from modeling.config import BertConfig

FLAGS = flags.FLAGS

# Hugging Face's names, below an optional `bert.`, to the original's. Linear layers store [out, in] there;
# `kernel` is [in, out] here.
_RENAMINGS = [
    (r"^(?:bert\.)?(embeddings|encoder|pooler)\.", r"bert/\1/"),
    (r"^cls\.predictions\.bias$", "cls/predictions/output_bias"),
    (r"^cls\.seq_relationship\.weight$", "cls/seq_relationship/output_weights"),
    (r"^cls\.seq_relationship\.bias$", "cls/seq_relationship/output_bias"),
    (r"_embeddings\.weight$", "_embeddings"),
    (r"LayerNorm\.(weight|gamma)$", "LayerNorm/gamma"),
    (r"LayerNorm\.(bias|beta)$", "LayerNorm/beta"),
    (r"encoder/layer\.(\d+)\.", r"encoder/layer_\1/"),
    (r"\.weight$", "/kernel"),
    (r"\.", "/"),
]
# Buffers, and the tied output weights: they are the word embeddings.
_LEFT_OUT = re.compile(r"position_ids$|^cls\.predictions\.decoder\.")


def define_flags():
    flags.DEFINE_string(
        "input_dir",
        None,
        "Directory with config.json, model.safetensors, vocab.txt; with --checkpoint: bert_config.json and vocab.txt.",
    )
    flags.DEFINE_string(
        "checkpoint", None, "Checkpoint of run_pretraining.py, or its directory: convert this, without Adam's slots."
    )
    flags.DEFINE_string("output_dir", None, "Directory for the checkpoint.")
    flags.mark_flags_as_required(["input_dir", "output_dir"])


def main(_):
    if FLAGS.checkpoint:
        prefix = checkpoint.find(FLAGS.checkpoint)
        check_other_directory(prefix, FLAGS.output_dir)
        name = os.path.basename(prefix)
        config, weights = read_checkpoint(FLAGS.input_dir, prefix)
    else:
        name = "bert_model.ckpt"
        config, weights = read_hugging_face(FLAGS.input_dir)
    files.make_directory(FLAGS.output_dir)
    write_checkpoint(config, weights, FLAGS.output_dir, name)
    print(f"{FLAGS.output_dir}: bert_config.json and {name} with {len(weights)} variables")
    copy_vocabulary(FLAGS.input_dir, FLAGS.output_dir)


def copy_vocabulary(input_dir, output_dir):
    source, target = (os.path.join(directory, "vocab.txt") for directory in (input_dir, output_dir))
    if not os.path.exists(source):
        logging.warning("%s: no such file; the scripts need the vocabulary that the model was trained with", source)
    elif os.path.realpath(source) != os.path.realpath(target):
        shutil.copyfile(source, target)


def check_other_directory(prefix, output_dir):
    """Raises `InputError` if a checkpoint would be written over the one that it is made of: its run could not go on."""
    if os.path.realpath(os.path.dirname(prefix)) == os.path.realpath(output_dir):
        raise errors.InputError(f"--output_dir={output_dir}: {prefix} is in there; expected another directory")


def read_checkpoint(directory, prefix):
    """Reads the model of a pre-training checkpoint, of which `directory` has the bert_config.json.

    Returns:
      As `read_hugging_face`, with both pre-training heads.

    Raises:
      InputError: a file is missing or damaged, or the checkpoint is of another model.
    """
    config = BertConfig.from_json_file(os.path.join(directory, "bert_config.json"))
    model = heads.PretrainingModel(config)
    model.build()
    checkpoint.load_weights(model, prefix)
    return config, checkpoint.model_variables(model)


def original_name(name):
    """A Hugging Face parameter's name in the original's checkpoints."""
    for pattern, replacement in _RENAMINGS:
        name = re.sub(pattern, replacement, name)
    return name


def read_hugging_face(directory):
    """Reads a model directory.

    Returns:
      A `BertConfig`, and a dict from the original's names to arrays.

    Raises:
      InputError: a file is missing or damaged, the model is no BERT, a variable is missing or misshapen.
    """
    path = os.path.join(directory, "config.json")
    config = BertConfig.from_json_file(path)
    with open(path, encoding="utf-8") as file:
        model_type = json.load(file).get("model_type", "bert")
    if model_type != "bert":
        raise errors.InputError(f"{path}: model_type is {model_type!r}; expected 'bert'")
    weights_file = os.path.join(directory, "model.safetensors")
    weights = {}
    try:
        with safetensors.safe_open(weights_file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (not a dict)
                if not _LEFT_OUT.search(name):
                    array, name = tensors.get_tensor(name), original_name(name)
                    weights[name] = array.T if name.endswith("/kernel") else array
    except (OSError, safetensors.SafetensorError) as error:
        raise errors.InputError(f"{weights_file}: cannot be read ({error})") from None
    check_weights(weights_file, config, weights)
    return config, weights


def check_weights(weights_file, config, weights):
    """Holds the shapes against those of the model that `config` describes; the heads are optional."""
    model = heads.PretrainingModel(config)
    model.build()
    expected = {name: list(v.shape) for name, v in checkpoint.model_variables(model).items()}
    for name, shape in expected.items():
        if name not in weights and name.startswith("bert/") and "pooler" not in name:
            raise errors.InputError(f"{weights_file}: variable {name} is missing; expected shape {shape}")
        if name in weights and list(weights[name].shape) != shape:
            raise errors.InputError(
                f"{weights_file}: variable {name} has shape {list(weights[name].shape)}, config.json says {shape}"
            )
    for name in sorted(weights.keys() - expected.keys()):
        logging.info("left out, neither encoder nor pre-training head: %s", name)
        del weights[name]


def write_checkpoint(config, weights, output_dir, name):
    with files.atomic_write(os.path.join(output_dir, "bert_config.json")) as file:
        file.write(config.to_json())
    tensors = {name: tf.cast(array, tf.float32) for name, array in weights.items()}
    checkpoint.save(os.path.join(output_dir, name), tensors)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
