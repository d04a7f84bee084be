"""Speed of a pre-training step of BERT-base on a CPU, and where its time goes.

    python -m benchmarks.pretraining_step [--torch_python=PYTHON]

Trains from random weights on random wordpieces, without padding, at 8 x 128 (sequences x wordpieces, 20 predictions
each) and 2 x 512 (77): the step of `run_pretraining.py`, with dropout, without and with XLA, and the same without
dropout. In the same turns it times TensorFlow's own matrix products, those of the step and large squares; the fastest
are the machine's peak. Printed for each shape, medians of the turns: seconds a step, sequences a second, the share of
the peak (operations of `modeling.flops` by second, against the peak), and the shares of the step that would be enough
for its products at the peak, that the optimizer's update and dropout take, and the rest: small operations, and products
slower than the peak. How slow these are is said too: the time of all products of the step, each alone.

The peer, where PYTHON has PyTorch and transformers: BertForPreTraining, gradients clipped, AdamW, the same batch. It
computes the logits of all wordpieces, not of the masked ones alone: at 8 x 128 a fifth more operations.

Expected (2 cores with AVX-512, 12 minutes), seconds a step without and with XLA: 4.2 and 4.0 at 8 x 128 (PyTorch 6.1),
62 and 65 % of a peak of 213 GFLOP/s; 4.8 and 5.4 at 2 x 512 (PyTorch 8.4), 61 and 55 %. The products of the step, each
alone, take 3.4 and 3.8 s, so that 85 % of the peak, which only large squares reach, is out of reach: at 8 x 128 they
would be 76 % of it if nothing else were computed.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import math
import subprocess
import tempfile
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from common import errors
from modeling import flops
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from modeling.training import Trainer, TrainingOptions
from run_pretraining import count_masked, pretraining_loss

FLAGS = flags.FLAGS

BERT_BASE_CASED = BertConfig(
    vocab_size=28_996,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    hidden_act="gelu",
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    max_position_embeddings=512,
    type_vocab_size=2,
    initializer_range=0.02,
)
SQUARES = (2048, 3072)

# The peer: makes a step for each line of standard input, and prints its seconds.
TORCH_PROGRAM = """
import json, sys, time
import torch, transformers
config, batch, length, predictions = json.loads(sys.argv[1])
torch.manual_seed(1)
model = transformers.BertForPreTraining(transformers.BertConfig(**config)).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, eps=1e-6, weight_decay=0.01)
ids = torch.randint(config["vocab_size"], (batch, length))
labels = torch.full_like(ids, -100)
labels[:, :predictions] = ids[:, :predictions]
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    optimizer.zero_grad()
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels,
                   next_sentence_label=torch.zeros(batch, dtype=torch.long))
    output.loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    output.loss.item()
    print(time.perf_counter() - start, flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of a batch."""

    batch_size: int
    seq_length: int
    predictions: int  # masked positions per sequence

    def __str__(self):
        return f"{self.batch_size} x {self.seq_length}"


SHAPES = (Shape(8, 128, 20), Shape(2, 512, 77))


def random_features(config, shape):
    """A batch of random wordpieces without padding: a dict of int32 or float32 [batch size, length]."""
    random = np.random.default_rng(1)
    batch, length, count = shape.batch_size, shape.seq_length, shape.predictions
    ids = random.integers(config.vocab_size, size=[batch, length])
    positions = np.sort(random.permuted(np.tile(np.arange(length), [batch, 1]), axis=1)[:, :count])
    features = {
        "input_ids": ids,
        "input_mask": np.ones_like(ids),
        "segment_ids": np.tile(np.arange(length) >= length // 2, [batch, 1]),
        "masked_lm_positions": positions,
        "masked_lm_ids": np.take_along_axis(ids, positions, axis=1),
        "next_sentence_labels": random.integers(2, size=[batch, 1]),
    }
    features = {name: x.astype(np.int32) for name, x in features.items()}
    return features | {"masked_lm_weights": np.ones([batch, count], np.float32)}


class Training:
    """A run of pre-training from random weights, under the current strategy, on one batch.

    `features` are the batch, random wordpieces without padding if None; `options` those of `TrainingOptions`.
    """

    def __init__(self, config, shape, directory, features=None, **options):
        model = PretrainingModel(config)
        model.build()
        options = TrainingOptions(directory, 10**6, 0, 1e-5, batch_size=shape.batch_size, **options)
        self.trainer = Trainer(model, pretraining_loss, count_masked, options)
        features = features or random_features(config, shape)

        def make_batches(start, batch_size, worker, num_workers):
            one = {name: x[:batch_size] for name, x in features.items()}
            return tf.data.Dataset.from_tensors(one).repeat()

        self.batches = iter(self.trainer.distribute(make_batches, 0))
        self.steps = itertools.count()

    def step(self):
        """Returns the seconds of a step."""
        return seconds(lambda: self.trainer.step(self.batches, next(self.steps)))

    def update_timer(self):
        """A function that returns the seconds of the optimizer's update alone."""
        optimizer = self.trainer.optimizer
        gradients = [tf.random.normal(v.shape, stddev=1e-3) for v in optimizer.variables]
        update = tf.function(optimizer.apply, jit_compile=True)
        return lambda: seconds(lambda: update(gradients, tf.constant(1e-5)))


def seconds(function):
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def products(config, shape):
    """The matrix products of a forward pass, but for the heads of two outputs and the segments.

    Returns:
      A dict from (how many are computed in one, m, k, n), of [m, k] by [k, n], to their number in the pass.
    """
    batch, length, hidden = shape.batch_size, shape.seq_length, config.hidden_size
    tokens, masked = batch * length, batch * shape.predictions
    heads = config.num_attention_heads
    layers = {
        (1, tokens, hidden, hidden): 4,
        (1, tokens, hidden, config.intermediate_size): 1,
        (1, tokens, config.intermediate_size, hidden): 1,
        (batch * heads, length, hidden // heads, length): 1,
        (batch * heads, length, length, hidden // heads): 1,
    }
    counts = {product: count * config.num_hidden_layers for product, count in layers.items()}
    return counts | {(1, masked, hidden, hidden): 1, (1, masked, hidden, config.vocab_size): 1}


def product_timer(product):
    """A function that returns the seconds of a product and of its two gradients, [3], as many operations each."""
    count, m, k, n = product
    left, right, gradient = (
        tf.random.normal(shape if count == 1 else [count, *shape]) for shape in ([m, k], [k, n], [m, n])
    )
    # One function each: the products of one function would run at the same time.
    multiply = tf.function(tf.matmul)
    calls = [
        lambda: multiply(left, right),
        lambda: multiply(gradient, right, transpose_b=True),
        lambda: multiply(left, gradient, transpose_a=True),
    ]
    return lambda: np.array([seconds(call) for call in calls])


class SteppingProcess:
    """A program that makes a step for each line of its standard input, and prints a line at its start and after each.

    In the meantime it does nothing, so that others can be measured.
    """

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self._read_line()
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def step(self):
        """Returns the seconds of a step, which the program prints."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._read_line())

    def _read_line(self):
        line = self.process.stdout.readline()
        if not line:
            raise errors.InputError(f"{self.process.args[0]}: the program has failed, see above")
        return line


def take_turns(timers, turns):
    """Calls all timers, functions without arguments, in turns; returns the median of what each returned."""
    measured = collections.defaultdict(list)
    for turn in range(turns + 1):
        for name, timer in timers.items():
            value = timer()
            if turn:  # the first traces and compiles
                measured[name].append(value)
    return {name: np.median(values, axis=0) for name, values in measured.items()}


def measure(config, shape, turns, torch_python):
    """The medians of everything for a shape, by name; of products an array [3], for their keys in `products`."""
    without_dropout = dataclasses.replace(config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        timers = {
            (way, dropout): Training(config if dropout else without_dropout, shape, directory, xla=way == "XLA").step
            for way in ("no XLA", "XLA")
            for dropout in (True, False)
        }
        timers["update"] = Training(config, shape, directory).update_timer()
        squares = [(1, size, size, size) for size in SQUARES]
        timers |= {product: product_timer(product) for product in [*products(config, shape), *squares]}
        if torch_python:
            arguments = json.dumps([dataclasses.asdict(config), *dataclasses.astuple(shape)])
            peer = SteppingProcess(torch_python, "-c", TORCH_PROGRAM, arguments)
            timers["PyTorch"] = stack.enter_context(peer).step
        return take_turns(timers, turns)


def report(config, shape, medians):
    """Prints the speed of each way, and the parts of its step."""
    counts = products(config, shape)
    rates = {name: 2 * math.prod(name) / np.min(s) for name, s in medians.items() if np.ndim(s)}
    fastest = max(rates, key=rates.get)
    peak = rates[fastest]
    operations = shape.batch_size * flops.training(config, shape.seq_length, shape.predictions)
    alone = sum(count * medians[product].sum() for product, count in counts.items())
    print(
        f"{shape}, {shape.predictions} predictions: {operations / 1e12:.3f} TFLOP a step, {operations / peak:.2f} s at "
        f"the peak of {peak / 1e9:.0f} GFLOP/s ({' x '.join(map(str, fastest[-3:]))}); its products alone {alone:.2f} s"
    )
    print(" " * 10 + "s a step  sequences/s  of peak  =  products at peak + update + dropout + rest")
    for way in ("no XLA", "XLA"):
        step = medians[way, True]
        parts = [operations / peak, medians["update"], step - medians[way, False]]
        shares = [part / step for part in [*parts, step - sum(parts)]]
        print_row(way, step, shape, operations / step / peak, *shares)
    if "PyTorch" in medians:
        print_row("PyTorch", medians["PyTorch"], shape)


def print_row(way, step, shape, *shares):
    columns = zip(shares, (9, 21, 9, 10, 7), strict=False)
    print(f"{way:8s}{step:10.3f}{shape.batch_size / step:13.2f}" + "".join(f"{x:{width}.1%}" for x, width in columns))


def main(_):
    tf.get_logger().setLevel("ERROR")  # nothing on functions that are traced for every shape
    config = BertConfig.from_json_file(FLAGS.bert_config_file) if FLAGS.bert_config_file else BERT_BASE_CASED
    for shape in SHAPES:
        report(config, shape, measure(config, shape, FLAGS.turns, FLAGS.torch_python))


if __name__ == "__main__":
    flags.DEFINE_string("bert_config_file", None, "bert_config.json; BERT-base cased if not given.")
    flags.DEFINE_string("torch_python", None, "A Python with PyTorch and transformers, for the peer.")
    flags.DEFINE_integer("turns", 5, "Steps of each kind.", lower_bound=1)
    errors.run(main)
