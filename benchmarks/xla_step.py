"""The training step of pre-training as XLA programs, to be timed on a machine that has JAX and no TensorFlow.

    python -m benchmarks.xla_step --write=DIR --input_file=shard_512.tfrecord --batch_sizes=64 --seq_length=512 \\
        --max_predictions_per_seq=77 --precisions=mixed_bfloat16 --ways=padded,unpadded
    python benchmarks/xla_step.py --run=DIR --peak_tflops=989

The first writes for each batch size, precision and way what TensorFlow gives to XLA: forward and backward pass with
dropout, clipping and Adam, with float16 the loss scale, on one device; and the batch, drawn from `--input_file` as
`run_pretraining.py` draws it. Weights are not in it. The second needs JAX alone (tried with 0.10). It compiles each
program for its first device, makes random weights, which is right for timing and wrong for anything else, and runs 20
steps, each on the weights that the one before made. Printed: milliseconds (median), sequences a second; operations of
the model on real tokens a second, and their share of the device's peak; the same with padding counted as work; the
memory that XLA plans for.

With --check, for small models, weights are written as well, and the second program compares loss and norm of the
gradient of the first step with TensorFlow's.
"""

import dataclasses
import glob
import gzip
import json
import os
import re
import statistics
import sys
import time

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags

from common import errors

FLAGS = flags.FLAGS
WAYS = {
    "padded": {"unpad": False},
    "unpadded": {},
    "padded_recompute": {"unpad": False, "recompute_grad": True},
    "unpadded_recompute": {"recompute_grad": True},
}
SIZES = {
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
STEPS, WARM_UP = 20, 3


def write(directory, name, config, features, precision, options, check):
    """Writes the program of one way to make a step, `NAME.hlo.gz`, and what `run` needs, `NAME.json` and `NAME.npz`."""
    import keras
    import tensorflow as tf

    from modeling.heads import PretrainingModel
    from modeling.training import Trainer, TrainingOptions
    from run_pretraining import count_masked, pretraining_loss

    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(1)
    model = PretrainingModel(config)
    model.build()
    options = TrainingOptions(directory, 10**6, 0, 1e-4, len(features["input_ids"]), xla=True, **options)
    trainer = Trainer(model, pretraining_loss, count_masked, options)
    dealt = next(iter(trainer.distribute(lambda *_: tf.data.Dataset.from_tensors(features).repeat(), 0)))
    names = sorted(dealt)

    @tf.function(jit_compile=True)
    def step(finished_steps, *values):
        scalars = trainer.replica_step(dict(zip(names, values, strict=True)), finished_steps, tf.constant(0.0))
        return scalars["loss"], scalars["global_norm"]

    inputs = (tf.constant(1), *(dealt[name] for name in names))
    concrete = step.get_concrete_function(*inputs)
    path = os.path.join(directory, name)
    with gzip.open(f"{path}.hlo.gz", "wb") as file:
        file.write(step.experimental_get_compiler_ir(*inputs)(stage="hlo_serialized"))
    values = list(inputs)
    about = {**operations(config, features), "sequences": len(features["input_ids"]), "arguments": len(inputs)}
    if check:
        of_handle = {id(v.handle): v for v in concrete.variables}
        values += [of_handle.get(id(captured), captured) for captured in concrete.captured_inputs]
    np.savez_compressed(f"{path}.npz", **{f"{i:04d}": x.numpy() for i, x in enumerate(values)})
    if check:
        about["loss"], about["global_norm"] = (float(x) for x in step(*inputs))
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(about, file)
    print(f"{path}.hlo.gz: {os.path.getsize(f'{path}.hlo.gz') / 1e6:.1f} MB", flush=True)


def operations(config, features):
    """Operations of a step on the real tokens of a batch, and on all positions, padding included: a dict."""
    from modeling import flops

    lengths, masked = (np.sum(features[name], axis=1) for name in ("input_mask", "masked_lm_weights"))
    count, length = features["input_mask"].shape
    predictions = features["masked_lm_weights"].shape[1]
    return {
        "real_operations": float(sum(flops.training(config, *each) for each in zip(lengths, masked, strict=True))),
        "padded_operations": float(count * flops.training(config, length, predictions)),
    }


def write_all(values):
    """Writes the programs that the flags ask for."""
    import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

    # isort: split
    from benchmarks.pretraining_step import BERT_BASE_CASED
    from data_prep.records import records

    os.makedirs(values.write, exist_ok=True)
    config = dataclasses.replace(BERT_BASE_CASED, **SIZES[values.size])
    if values.layers:
        config = dataclasses.replace(config, num_hidden_layers=values.layers)
    specification = records.pretraining_features(values.seq_length, values.max_predictions_per_seq, config.vocab_size)
    records.check_files([values.input_file], specification)
    data = [records.RecordFile(values.input_file, specification, None)]
    for batch_size in map(int, values.batch_sizes):
        batch = next(iter(records.training_batches(data, batch_size, seed=12345)))
        features = {name: x.numpy() for name, x in batch.items()}
        for precision in values.precisions:
            for way in values.ways:
                name = f"{values.size}_{precision}_{batch_size}x{values.seq_length}_{way}"
                write(values.write, name, config, features, precision, WAYS[way], values.check)


class Program:
    """A program of `write`, compiled for a JAX device, and the arrays to call it with."""

    def __init__(self, path, device):
        import jax
        from jax._src.lib import _jax
        from jax._src.lib import xla_client as xc

        with open(f"{path}.json", encoding="utf-8") as file:
            self.about = json.load(file)
        with gzip.open(f"{path}.hlo.gz", "rb") as file:
            program = xc.XlaComputation(file.read())
        heading = program.as_hlo_text().partition("\n")[0]
        # Which output takes the place of which parameter: the weights and slots.
        self.carried = {int(p): int(o) for o, p in re.findall(r"\{(\d+)\}: \((\d+), \{\}", heading)}
        module = xc._xla.mlir.xla_computation_to_mlir_module(program)
        module = module.encode() if isinstance(module, str) else module
        began = time.perf_counter()
        devices = _jax.DeviceList((device,))
        self.compiled = device.client.compile_and_load(module, devices, xc.CompileOptions())
        self.compile_seconds = time.perf_counter() - began
        shapes = program.program_shape().parameter_shapes()
        with np.load(f"{path}.npz") as saved:
            self.inputs = [saved[name] for name in sorted(saved.files)]
        random = np.random.default_rng(1)
        for shape in shapes[len(self.inputs) :]:
            size, dtype = shape.dimensions(), np.dtype(shape.numpy_dtype())
            # Weights like BERT's; slots, loss scale and its count are none of these, and positive is good for each.
            value = np.abs(random.normal(0.0, 0.02, size)) if len(size) < 2 else random.normal(0.0, 0.02, size)
            self.inputs.append(np.asarray(value, dtype))
        self.inputs = [jax.device_put(x, device) for x in self.inputs]

    def step(self):
        """Runs a step; returns its loss and the norm of its gradient."""
        outputs = self.compiled.execute_sharded(self.inputs).disassemble_into_single_device_arrays()
        outputs = [output[0] for output in outputs]
        self.inputs = [outputs[self.carried[i]] if i in self.carried else x for i, x in enumerate(self.inputs)]
        return float(np.asarray(outputs[0])), float(np.asarray(outputs[1]))

    def memory(self):
        """Bytes that XLA plans for."""
        stats = self.compiled.get_compiled_memory_stats()
        kept = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
        return stats.temp_size_in_bytes + kept


def run_all(directory, peak):
    """Runs and times the programs of a directory."""
    import jax

    device = jax.devices()[0]
    print(f"{device.device_kind}, JAX {jax.__version__}")
    for path in sorted(glob.glob(os.path.join(directory, "*.hlo.gz"))):
        path = path.removesuffix(".hlo.gz")
        program = Program(path, device)
        about = program.about
        loss, norm = program.step()
        if "loss" in about:
            print(f"loss and norm {loss:.8g} {norm:.8g}, in TensorFlow {about['loss']:.8g} {about['global_norm']:.8g}")
        seconds = []
        for _ in range(STEPS):
            began = time.perf_counter()
            program.step()
            seconds.append(time.perf_counter() - began)
        median = statistics.median(seconds[WARM_UP:])
        line = f"{os.path.basename(path):45s} {1000 * median:8.1f} ms {about['sequences'] / median:8.1f} sequences/s"
        for name in ("real", "padded"):
            rate = about[f"{name}_operations"] / median / 1e12
            line += f", {name} {rate:.1f} TFLOP/s" + (f" {rate / peak:.1%}" if peak else "")
        print(f"{line}, {program.memory() / 1e9:.1f} GB, compiled in {program.compile_seconds:.0f} s", flush=True)


def main(_):
    if FLAGS.write:
        write_all(FLAGS)
    elif FLAGS.run:
        run_all(FLAGS.run, FLAGS.peak_tflops)
    else:
        raise errors.InputError("nothing to do: expected --write=DIR or --run=DIR")


if __name__ == "__main__":
    flags.DEFINE_string("write", None, "Directory to write programs into.")
    flags.DEFINE_string("run", None, "Directory with programs to run.")
    flags.DEFINE_string("input_file", None, "With --write: TFRecord file of pre-training that batches are drawn from.")
    flags.DEFINE_integer("seq_length", 128, "Of its records.")
    flags.DEFINE_integer("max_predictions_per_seq", 20, "Of its records.")
    flags.DEFINE_enum("size", "base", list(SIZES), "BERT-base or BERT-large.")
    flags.DEFINE_integer("layers", None, "In place of the size's.")
    flags.DEFINE_list("batch_sizes", ["32"], "Sequences of a step.")
    flags.DEFINE_list("precisions", ["mixed_bfloat16"], "float32, mixed_float16 or mixed_bfloat16.")
    flags.DEFINE_list("ways", ["padded", "unpadded"], f"Of {', '.join(WAYS)}.")
    flags.DEFINE_bool("check", False, "Write the weights and the first loss as well.")
    flags.DEFINE_float("peak_tflops", None, "With --run: what the device can do in this precision.")
    errors.run(main)
