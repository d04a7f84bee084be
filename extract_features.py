r"""Writes the vectors that BERT's layers give the wordpieces, words or lines of a text.

    python extract_features.py --input_file=input.txt --output_file=output.jsonl \
        --vocab_file=$BIOBERT_DIR/vocab.txt --bert_config_file=$BIOBERT_DIR/bert_config.json \
        --init_checkpoint=$BIOBERT_DIR/model.ckpt-1000000 --do_lower_case=false \
        --layers=-1,-2,-3,-4 --max_seq_length=128 --batch_size=8

takes a sentence, or two as `first ||| second`, a line and writes the original's JSON lines: for each wordpiece the
output of the layers. `--init_checkpoint` may be of any model here, also a directory with a fine-tuned one.

    --vectors=word --combine_layers=mean --output_file=words.h5        for each word the mean of its wordpieces
    --vectors=sentence --layers=-2 --output_file=sentences.npz         for each line the mean of its wordpieces
    --vectors=sentence --pooling=pooler --output_file=sentences.npz    what the pooler makes of [CLS]

.npz and .h5 are for bulk: the same values unrounded, in less than half the space. `inference/vector_files.py`
says what is in each format. Lines over `--max_seq_length` are cut, as in the original, with a warning.
"""

import dataclasses
import logging
import re

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from common import errors, files, inputs
from common.errors import InputError
from common.progress import progress
from data_prep.text.tokenization import FullTokenizer, validate_case_matches_checkpoint
from inference import features, vector_files
from modeling import distribution
from modeling.config import BertConfig

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("input_file", None, "Text files, one or two sentences a line: paths or patterns, with commas.")
    flags.DEFINE_string("output_file", None, "File to write.")
    flags.DEFINE_enum(
        "output_format", None, vector_files.FORMATS, "By default that of the output file's name: .npz, .h5, .hdf5."
    )
    flags.DEFINE_string("bert_config_file", None, "bert_config.json: the architecture of the model.")
    flags.DEFINE_string("init_checkpoint", None, "Checkpoint of the model: its prefix, or its directory.")
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool(
        "do_lower_case", True, "Lower-case and strip accents: true for uncased models, false for cased ones."
    )
    flags.DEFINE_integer("max_seq_length", 128, "Longest sequence, in wordpieces; the rest is cut off.", lower_bound=3)
    flags.DEFINE_integer("batch_size", 32, "Lines of 256 wordpieces per batch; more shorter ones.", lower_bound=1)
    flags.DEFINE_list("layers", "-1,-2,-3,-4", "Layers, counted from 0, or from the last, -1, down.")
    flags.DEFINE_enum(
        "combine_layers",
        features.APART,
        features.COMBINATIONS,
        "Make one vector of those of all --layers; none: keep them apart.",
    )
    flags.DEFINE_enum(
        "vectors",
        features.TOKEN,
        list(features.POOLINGS),
        "Of each wordpiece, of each word between spaces, or of a line.",
    )
    flags.DEFINE_enum(
        "pooling",
        None,
        sorted({name for names in features.POOLINGS.values() for name in names}),
        "How to make one vector of several wordpieces': of words mean, max or first; of sentences, over all wordpieces "
        "with [CLS] and [SEP], mean or max; cls: that of [CLS]; pooler: the tanh layer on it. By default the mean.",
    )
    flags.DEFINE_bool("use_tpu", False, "Accepted for old commands; only false.")
    flags.DEFINE_string("master", None, "Accepted for old commands; only unset.")
    flags.DEFINE_integer("num_tpu_cores", 8, "Accepted for old commands; no effect.")
    flags.DEFINE_bool("use_one_hot_embeddings", False, "Accepted for old commands; no effect.")
    flags.mark_flags_as_required(["input_file", "output_file", "bert_config_file", "init_checkpoint", "vocab_file"])


def main(_):
    pooling = choose_pooling(FLAGS.vectors, FLAGS.pooling)
    check_flags(FLAGS, pooling, FLAGS["layers"].present)
    input_files = inputs.expand_patterns(FLAGS.input_file)
    files.check_output_file(FLAGS.output_file, input_files)
    distribution.start("one_device")
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    config.check_sequence_length(FLAGS.max_seq_length)
    layers = None if pooling == features.POOLER else parse_layers(FLAGS.layers, config.num_hidden_layers)
    validate_case_matches_checkpoint(FLAGS.do_lower_case, FLAGS.init_checkpoint)
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)
    config.check_vocabulary(tokenizer.vocab_size, FLAGS.vocab_file)
    total = count_lines(input_files)
    bert = features.load_model(config, FLAGS.init_checkpoint, with_pooler=layers is None)
    extractor = features.Extractor(bert, layers, FLAGS.combine_layers, FLAGS.vectors, pooling)

    cut = Cut()
    lines = encode_lines(input_files, tokenizer, FLAGS.max_seq_length, cut)
    output_format = FLAGS.output_format or vector_files.format_of(FLAGS.output_file)
    with progress("features", total, unit="line") as bar:
        windows = extractor.run(lines, FLAGS.batch_size, bar.update)
        vector_files.write(FLAGS.output_file, output_format, windows, extractor)
    if cut.count:
        logging.warning(
            "%d of %d lines have over %d wordpieces (--max_seq_length) and were cut, the first: %s",
            *(cut.count, total, FLAGS.max_seq_length, cut.first),
        )
    print(f"{FLAGS.output_file}: {total} lines")


def choose_pooling(unit, asked):
    """The pooling asked for, or the default; `InputError` if there is none such for `unit`."""
    possible = features.POOLINGS[unit]
    if asked and asked not in possible:
        raise InputError(
            f"--pooling={asked}: not with --vectors={unit}; expected {', '.join(possible) or 'no --pooling with it'}"
        )
    return asked or next(iter(possible), None)


def check_flags(values, pooling, layers_given):
    """Raises `InputError` for flags that this program, or the pooler, cannot do."""
    if values.use_tpu or values.master:
        flag = f"--master={values.master}" if values.master else "--use_tpu=true"
        raise InputError(f"{flag}: no TPU here; expected no such flag, for GPU or CPU")
    if pooling == features.POOLER and (layers_given or values.combine_layers != features.APART):
        raise InputError("--pooling=pooler: reads the last layer alone; expected no --layers and no --combine_layers")


def parse_layers(texts, num_layers):
    """The indices of layers, ints, as they are given: from 0, or from -1, the last one, down."""
    layers = [int(text) for text in texts if re.fullmatch(r"-?[0-9]{1,9}", text)]
    if not texts or len(layers) < len(texts) or not all(-num_layers <= layer < num_layers for layer in layers):
        raise InputError(
            f"--layers={','.join(texts)}: the model has {num_layers} layers; expected numbers from {-num_layers} to "
            f"{num_layers - 1}, separated by commas"
        )
    return layers


def count_lines(input_files):
    """Reads all input, so that a fault in it is found now; returns the number of lines."""
    total = sum(1 for path in input_files for _ in inputs.read_lines(path))
    if not total:
        raise InputError(f"{input_files[0]}: no line in {len(input_files)} files; expected a sentence a line")
    return total


@dataclasses.dataclass
class Cut:
    """Lines that did not fit into a sequence."""

    count: int = 0
    first: str = ""  # file and line


def encode_lines(input_files, tokenizer, max_seq_length, cut):
    """Yields a `features.Line` for each line, and counts in the `Cut` those that lose wordpieces."""
    for path in input_files:
        for number, text in inputs.read_lines(path):
            line = features.encode_line(text, tokenizer, max_seq_length)
            if line.is_cut:
                cut.count += 1
                cut.first = cut.first or f"{path}, line {number}"
            yield line


if __name__ == "__main__":
    define_flags()
    errors.run(main)
