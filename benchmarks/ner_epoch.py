r"""How long an epoch of NER training takes on real tokens alone, and padded to 128.

    python -m benchmarks.ner_epoch --bert_config_file=bert_config.json \
        --vocab_file=vocab.txt --do_lower_case=true --data_dir=NCBI-disease

Trains from random weights, on batches drawn at random, each way in turn, `--steps` steps a turn. Printed: the median
seconds a step, what an epoch takes at that, and the ratio. Padded sequences have one shape, so that XLA
may compile the step: measured both ways. Expected (2 cores, 6-layer MiniLM, NCBI-disease): a ratio of 0.3 or less.
"""

import itertools
import os
import statistics
import tempfile
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

import run_ner
from common import errors
from data_prep.records import records
from data_prep.tasks import ner
from data_prep.text.tokenization import FullTokenizer
from modeling import losses
from modeling.config import BertConfig
from modeling.heads import TokenClassifier
from modeling.training import Trainer, TrainingOptions, length_multiple

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("bert_config_file", None, "bert_config.json.")
    flags.DEFINE_string("vocab_file", None, "vocab.txt.")
    flags.DEFINE_bool("do_lower_case", False, "As for run_ner.py.")
    flags.DEFINE_string("data_dir", None, "Directory of the data set.")
    flags.DEFINE_integer("steps", 24, "Steps a turn.")
    flags.DEFINE_integer("turns", 3, "Turns of each way.")
    flags.mark_flags_as_required(["bert_config_file", "vocab_file", "data_dir"])


def main(_):
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)
    sentences = ner.read_training_sentences(FLAGS.data_dir)
    labels = ner.make_label_list(sentences)
    ways = {"real tokens": (None, False), "padded to 128": (128, False), "padded to 128, XLA": (128, True)}
    with tempfile.TemporaryDirectory() as directory:
        steps, num_records = {}, 0
        for way, (pad_to, xla) in ways.items():
            encoding = run_ner.Encoding(tokenizer, labels, 128, False, pad_to)
            split = run_ner.prepare(sentences, "train", encoding, directory)
            num_records = split.data.count
            steps[way] = training_steps(config, split, encoding, xla, os.path.join(directory, "output"))
            next(steps[way])  # traces and compiles
        seconds = {way: [] for way in ways}
        for _ in range(FLAGS.turns):
            for way, measured in seconds.items():
                measured += itertools.islice(steps[way], FLAGS.steps)
    base = statistics.median(seconds["real tokens"])
    for way, measured in seconds.items():
        step = statistics.median(measured)
        epoch = step * num_records / 32
        print(f"{way:20s} {step:6.3f} s a step  {epoch:7.1f} s an epoch  real tokens take {base / step:.2f} of it")


def training_steps(config, split, encoding, xla, output_dir):
    """Trains on batches of 32; yields the seconds of each step."""
    model = TokenClassifier(config, len(encoding.labels))
    model.build()
    options = TrainingOptions(output_dir, 10**6, 0, 1e-5, batch_size=32, xla=xla, unpad=encoding.pad_to is None)
    trainer = Trainer(model, run_ner.token_loss_fn(encoding), losses.count_examples, options)
    padding = records.Padding(encoding.pad_to, length_multiple(xla), 128)

    def make_batches(start, batch_size, worker, num_workers):
        share = records.Share(worker, num_workers)
        return records.training_batches([split.data], batch_size, 1, start, padding, share)

    batches = iter(trainer.distribute(make_batches, 0))
    for step in itertools.count():
        start = time.perf_counter()
        trainer.step(batches, step)
        yield time.perf_counter() - start


if __name__ == "__main__":
    define_flags()
    errors.run(main)
