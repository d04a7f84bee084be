"""How long the paper's runs take: from the operations of a sequence to days on eight GPUs.

    python -m benchmarks.training_time

First the operations of a training step of BERT-base cased on one sequence, counted by TensorFlow in the graph of the
forward and backward pass, beside those of `modeling.flops`. Then Markdown tables: the utilization (operations of
`modeling.flops` a second, against the peak) that the paper's times and public figures imply, and the days of the
paper's runs, 192 sequences of 512 tokens a step, at that speed and at stated utilizations; and of the longest run with
and without computing on padding.

Nothing here is measured on a GPU. Peaks are those of NVIDIA's data sheets, dense: half-precision products with sums in
float32, and for V100 float32 without tensor cores, since the paper does not name its precision. Its days are of section
3.1 of the paper. The public figures are those for BERT-base on eight V100 16 GB in mixed precision.

Expected (half a minute): TensorFlow's count is `modeling.flops`, 300.5 GFLOP at length 512, but for 0.001 % that
`counted_products` explains. The paper's 23 days for a million steps are 2.9 % of the peak of half precision, 23 % of
that of float32. They are 5.1 days at the public 432 sequences/s, 13.0 % of the peak, and 0.21 on H100 at 40 %.
"""

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import tensorflow as tf

from benchmarks.pretraining_step import BERT_BASE_CASED, Shape, random_features
from common import errors
from modeling import flops
from modeling.heads import PretrainingModel
from run_pretraining import count_masked, pretraining_loss

GPUS = 8
PEAK_TFLOPS = {"V100 SXM2": 125.0, "A100": 312.0, "H100 SXM": 989.0}
V100_FLOAT32_TFLOPS = 15.7
UTILIZATIONS = (0.2, 0.3, 0.4, 0.5)
# What public runs of BERT-large reach, NVIDIA's in TensorFlow 2 at length 512 and MLPerf v4.0 (in FP8, of the peak of
# bfloat16); V100: the public speed of BERT-base below.
REACHED = {"V100 SXM2": 0.13, "A100": 0.31, "H100 SXM": 0.5}
REAL_SHARE = 0.57  # tokens of positions, and masked ones of predictions, in records of abstracts at length 512
BATCH_SIZE, SEQ_LENGTH, PREDICTIONS = 192, 512, 77
RUNS = {  # steps, by the names of Table 2 of the paper
    "PubMed 200K": 200_000,
    "PMC 270K": 270_000,
    "PubMed 200K + PMC 270K": 470_000,
    "v1.1: PubMed 1M": 1_000_000,
}
PAPER_DAYS = {470_000: 10, 1_000_000: 23}  # "more than 10 days", "nearly 23 days"
PUBLIC_SPEEDS = {(512, 77): 432, (128, 20): 2762}  # sequences/s by length and predictions
SECONDS_A_DAY = 24 * 60 * 60


def counted_products(config, seq_length, predictions, training):
    """The operations of the matrix products on one sequence, as TensorFlow counts them in the graph, an int.

    The one-hot rows that pick the segment embeddings need no gradient; `modeling.flops` counts it as it does of every
    product: 2 * sequence length * segments * hidden size operations.
    """
    model = PretrainingModel(config)
    model.build()
    features = random_features(config, Shape(1, seq_length, predictions))

    def loss():
        return pretraining_loss(model, features, None, count_masked(features))[0]

    def gradients():
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            total = loss()
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, variables)]

    graph = tf.function(gradients if training else loss).get_concrete_function().graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
    node = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    count = 0
    while node.children:  # a chain: each type of operation, below it those with fewer
        node = node.children[0]
        if node.name in ("MatMul", "BatchMatMulV2"):
            count += node.float_ops
    return count


def training_flops(seq_length, predictions):
    return flops.training(BERT_BASE_CASED, seq_length, predictions)


def speed_of(steps, number_of_days):
    """Sequences a second."""
    return steps * BATCH_SIZE / (number_of_days * SECONDS_A_DAY)


def days(steps, sequences_per_second):
    return steps * BATCH_SIZE / sequences_per_second / SECONDS_A_DAY


def utilization(sequences_per_second, seq_length, predictions, peak_tflops):
    """The share of the peak of all GPUs."""
    return sequences_per_second * training_flops(seq_length, predictions) / (GPUS * peak_tflops * 1e12)


def print_table(header, rows):
    """Prints Markdown."""
    print("\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows]))


def operations_table():
    rows = []
    for seq_length, predictions in PUBLIC_SPEEDS:
        counted = counted_products(BERT_BASE_CASED, seq_length, predictions, training=True)
        ours = training_flops(seq_length, predictions)
        rows.append([f"{seq_length}", f"{counted / 1e9:.3f}", f"{ours / 1e9:.3f}", f"{counted / ours - 1:+.4%}"])
    return ["sequence length", "GFLOP, TensorFlow's count", "`modeling.flops`", "difference"], rows


def implied_table():
    """What utilization the paper's days and the public figures mean on V100."""
    half = PEAK_TFLOPS["V100 SXM2"]

    def row(name, speed, seq_length, predictions, peaks):
        shares = [f"{utilization(speed, seq_length, predictions, peak):.1%}" if peak else "" for peak in peaks]
        return [name, f"{speed:,.0f}", *shares]

    rows = []
    for steps, paper_days in PAPER_DAYS.items():
        name, speed = f"the paper, {steps:,} steps in {paper_days} days", speed_of(steps, paper_days)
        rows.append(row(name, speed, SEQ_LENGTH, PREDICTIONS, [half, V100_FLOAT32_TFLOPS]))
    for (seq_length, predictions), speed in PUBLIC_SPEEDS.items():
        name = f"public, mixed precision, length {seq_length}"
        rows.append(row(name, speed, seq_length, predictions, [half, None]))
    peaks = [f"of {half:g} TFLOP/s, half precision", f"of {V100_FLOAT32_TFLOPS:g} TFLOP/s, float32"]
    return [f"{GPUS} x V100", "sequences/s", *peaks], rows


def days_table():
    """The days of each run at each utilization; a row for each GPU and utilization, and for the known speeds."""
    work = training_flops(SEQ_LENGTH, PREDICTIONS)

    def row(name, speed):
        return [name, f"{speed:,.0f}", *(f"{days(steps, speed):.2f}" for steps in RUNS.values())]

    rows = [
        row(f"{gpu} at {share:.0%} of {peak:g} TFLOP/s", GPUS * peak * 1e12 * share / work)
        for gpu, peak in PEAK_TFLOPS.items()
        for share in UTILIZATIONS
    ]
    rows.append(row("V100, public figure", PUBLIC_SPEEDS[SEQ_LENGTH, PREDICTIONS]))
    paper = [f"{PAPER_DAYS[steps]}" if steps in PAPER_DAYS else "" for steps in RUNS.values()]
    rows.append(["V100, the paper (over 10, nearly 23)", "", *paper])
    return [f"days on {GPUS} x", "sequences/s", *(f"{name} ({steps:,})" for name, steps in RUNS.items())], rows


def padding_table():
    """What leaving out padding saves of the longest run, at the utilization that public runs reach."""
    (name, steps), *_ = sorted(RUNS.items(), key=lambda run: -run[1])
    padded = training_flops(SEQ_LENGTH, PREDICTIONS)
    tokens, masked = round(REAL_SHARE * SEQ_LENGTH), round(REAL_SHARE * PREDICTIONS)
    real = flops.training(BERT_BASE_CASED, SEQ_LENGTH, masked, tokens)
    rows = []
    for gpu, share in REACHED.items():
        speed = GPUS * PEAK_TFLOPS[gpu] * 1e12 * share
        cells = [f"{days(steps, speed / work):.2f}" for work in (padded, real)]
        rows.append([f"{gpu} at {share:.0%}", *cells, f"{real / padded:.2f}"])
    paper = f"the paper, V100: {PAPER_DAYS[steps]} days"
    return [f"{name}, days on {GPUS} x", "padding computed", "real tokens", f"ratio ({paper})"], rows


def main(_):
    tf.get_logger().setLevel("ERROR")  # nothing on the profiler's age
    print_table(*operations_table())
    print_table(*implied_table())
    print_table(*days_table())
    print_table(*padding_table())


if __name__ == "__main__":
    errors.run(main)
