"""What computing on real tokens alone saves of a pre-training step of BERT-base, and how evenly work is dealt out.

    python -m benchmarks.unpadding --input_file=shard_512.tfrecord --seq_length=512 --max_predictions_per_seq=77 \\
        --batch_size=8
    python -m benchmarks.unpadding --input_file=shard_128.tfrecord --seq_length=128 --max_predictions_per_seq=20 \\
        --batch_size=32

Trains from random weights on batches of `--input_file`, which `data_prep.create_pretraining_data` wrote, drawn as
`run_pretraining.py` draws them; in turns with padding, without it, and without it with attention in one block. Each way
sees the same batches. Printed: the median seconds a step and their ratio to the padded step; the share of real tokens.
Then, from the lengths of all records, by how much the busiest of 8 devices with 24 sequences each is over the mean, if
sequences are dealt at random and as they are (`training.deal`).

`docs/performance.md` has what to expect.
"""

import itertools
import tempfile

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import keras
import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks.pretraining_step import BERT_BASE_CASED, seconds, take_turns
from common import errors
from data_prep.records import records
from modeling import training
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from run_pretraining import count_masked, pretraining_loss

FLAGS = flags.FLAGS
DEVICES, SEQUENCES = 8, 24


def stepper(config, data, batch_size, directory, blocks=training.ATTENTION_BLOCKS, **options):
    """A function that makes a step on the next batch and returns its seconds."""
    keras.utils.set_random_seed(1)
    model = PretrainingModel(config)
    model.build()
    options = training.TrainingOptions(directory, 10**6, 0, 1e-5, batch_size, **options)
    trainer = training.Trainer(model, pretraining_loss, count_masked, options)
    model.bert.attention_blocks = blocks
    batches = iter(trainer.distribute(lambda *_: records.training_batches(data, batch_size, options.seed), 0))
    numbers = itertools.count()
    return lambda: seconds(lambda: trainer.step(batches, next(numbers)))


def busiest(tokens):
    """By how much the busiest device is over the mean, averaged over batches: tokens [batches, devices]."""
    return np.mean(tokens.max(axis=1) / tokens.mean(axis=1)) - 1


def shares(lengths, seq_length):
    """Tokens of each device, [batches, devices], of sequences of given lengths, at random and as dealt."""
    size = DEVICES * SEQUENCES
    batches = np.random.default_rng(1).permutation(lengths)[: len(lengths) // size * size].reshape(-1, size)
    options = training.TrainingOptions("", 1, 0, 1e-4, size)

    def dealt(row):
        mask = tf.constant(np.arange(seq_length) < row[:, np.newaxis], tf.int32)
        return training.deal({"input_mask": mask}, DEVICES, options)["input_mask"].numpy().sum(axis=(1, 2, 3))

    return batches.reshape(-1, DEVICES, SEQUENCES).sum(axis=2), np.stack([dealt(row) for row in batches])


def main(_):
    config = BertConfig.from_json_file(FLAGS.bert_config_file) if FLAGS.bert_config_file else BERT_BASE_CASED
    features = records.pretraining_features(FLAGS.seq_length, FLAGS.max_predictions_per_seq, config.vocab_size)
    records.check_files([FLAGS.input_file], features)
    data = [records.RecordFile(FLAGS.input_file, features, None)]
    lengths = np.concatenate(
        [batch["input_mask"].numpy().sum(1) for batch in records.evaluation_batches([FLAGS.input_file], features, 1000)]
    )
    print(f"{len(lengths):,} records, {lengths.mean() / FLAGS.seq_length:.1%} of the positions are real tokens")
    with tempfile.TemporaryDirectory() as directory:
        ways = {
            "padded": stepper(config, data, FLAGS.batch_size, directory, unpad=False, xla=FLAGS.xla),
            "unpadded": stepper(config, data, FLAGS.batch_size, directory, xla=FLAGS.xla),
        }
        if not FLAGS.xla:
            ways["unpadded, attention in one block"] = stepper(config, data, FLAGS.batch_size, directory, blocks=1)
        medians = take_turns(ways, FLAGS.turns)
    for way, median in medians.items():
        print(f"{way:35s}{median:8.2f} s a step, {median / medians['padded']:.2f} of the padded step")
    if len(lengths) >= DEVICES * SEQUENCES:
        random, dealt = (busiest(tokens) for tokens in shares(lengths, FLAGS.seq_length))
        print(
            f"{DEVICES} devices x {SEQUENCES} sequences: the busiest is {random:.1%} over the mean if dealt at random, "
            f"{dealt:.1%} as they are dealt"
        )


if __name__ == "__main__":
    flags.DEFINE_string("input_file", None, "TFRecord file.", required=True)
    flags.DEFINE_integer("seq_length", 512, "Of its records.")
    flags.DEFINE_integer("max_predictions_per_seq", 77, "Of its records.")
    flags.DEFINE_integer("batch_size", 8, "Sequences of a step.", lower_bound=1)
    flags.DEFINE_integer("turns", 5, "Steps of each kind.", lower_bound=1)
    flags.DEFINE_bool("xla", False, "Compile the steps; then attention is in one block.")
    flags.DEFINE_string("bert_config_file", None, "bert_config.json; BERT-base cased if not given.")
    errors.run(main)
