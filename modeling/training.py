"""The training loop and the passes of evaluation and prediction, for every entry script."""

import dataclasses
import logging
import time

import numpy as np
import tensorflow as tf

from common.errors import InputError
from common.progress import progress
from modeling import checkpoint
from modeling.optimization import AdamWeightDecay, learning_rate_at

SUMMARY_EVERY = 10  # steps


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a run trains."""

    output_dir: str
    num_train_steps: int
    num_warmup_steps: int
    learning_rate: float  # at the end of the warm-up
    batch_size: int
    save_checkpoints_steps: int = 1000
    keep_checkpoint_max: int = 5
    seed: int = 12345  # of dropout and of the order of the data
    xla: bool = False  # compile the forward and backward pass, once a shape


def use_xla(choice):
    """Whether to compile the step, by the flag `--xla`; auto: on a GPU.

    On a CPU, oneDNN's products outweigh what fusion gains: `docs/design.md` has figures.
    """
    if choice == "auto":
        return bool(tf.config.list_physical_devices("GPU"))
    return choice == "true"


def length_multiple(xla):
    """Sequence lengths are rounded up to a multiple of this: few shapes under XLA, little padding without."""
    return 32 if xla else 4


def train(model, loss_fn, make_batches, options):
    """Trains a model to `options.num_train_steps`, from the newest checkpoint in the output directory if any.

    What a step does is a function of the checkpoint, the data and the options alone: it takes the first
    batch of `make_batches(step)` and seeds its dropout with the step. A run that was killed therefore
    goes on exactly as if it had not been.

    Args:
      model: a built model, with its initial weights.
      loss_fn: from `(model, features, dropout_seed)` to a scalar loss and a dict of further scalars.
      make_batches: from a start step to an endless iterable of batches.
      options: `TrainingOptions`.

    Returns:
      The step that was reached, and the loss of each step that was run, a list.

    Raises:
      InputError: the loss is not finite, or the output directory holds another model's checkpoint.
    """
    trainer = Trainer(model, loss_fn, options)
    start, total = trainer.restore(), options.num_train_steps
    if start >= total:
        logging.info("%s is at step %d of %d: nothing to train", options.output_dir, start, total)
        return start, []
    losses = []
    writer = tf.summary.create_file_writer(options.output_dir)
    with writer.as_default(), progress("train", total, initial=start) as bar:
        meter = _TokenMeter()
        for step, features in enumerate(make_batches(start), start + 1):
            scalars = {name: x.numpy() for name, x in trainer.step(features, step - 1).items()}
            _check_finite(step, scalars, options.output_dir)
            losses.append(float(scalars["loss"]))
            scalars["tokens_per_second"] = meter.update(scalars.pop("tokens"))
            bar.set_postfix_str(
                f"loss {scalars['loss']:.4g}, {scalars['tokens_per_second']:,.0f} tokens/s", refresh=False
            )
            bar.update()
            if step % SUMMARY_EVERY == 0 or step == total:
                for name, value in scalars.items():
                    tf.summary.scalar(name, value, step=step)
            if step % options.save_checkpoints_steps == 0 or step == total:
                trainer.save(step)
            if step == total:
                break
    writer.close()
    return total, losses


class Trainer:
    """The state of a run, and the step on it."""

    def __init__(self, model, loss_fn, options):
        self.model, self.loss_fn, self.options = model, loss_fn, options
        self.optimizer = AdamWeightDecay(model.trainable_variables)
        self.state = {**checkpoint.model_variables(model), **self.optimizer.slots()}
        self.gradients = None  # compiled at the first batch, which tells the features
        # The update is a few operations on every weight: compiled, it passes over memory once.
        self.update = tf.function(self.optimizer.apply, jit_compile=True)

    def restore(self):
        """Loads the newest checkpoint of the output directory, if any; returns its step."""
        checkpoint.remove_unfinished(self.options.output_dir)
        prefix = checkpoint.newest(self.options.output_dir)
        if prefix is None:
            return 0
        logging.info("resuming from %s", prefix)
        return checkpoint.restore(self.state, prefix)

    def save(self, step):
        checkpoint.save_step(self.options.output_dir, step, self.state, self.options.keep_checkpoint_max)

    def step(self, features, finished_steps):
        """One step on a batch; returns its scalars."""
        options = self.options
        if self.gradients is None:
            signature = [any_shape(features), tf.TensorSpec([2], tf.int32)]
            self.gradients = tf.function(self._gradients, input_signature=signature, jit_compile=options.xla)
        rate = learning_rate_at(
            finished_steps, options.learning_rate, options.num_train_steps, options.num_warmup_steps
        )
        gradients, scalars = self.gradients(features, tf.constant([options.seed, finished_steps], tf.int32))
        return {**scalars, "learning_rate": rate, "global_norm": self.update(gradients, rate)}

    def _gradients(self, features, dropout_seed):
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            loss, scalars = self.loss_fn(self.model, features, dropout_seed)
        # Dense: the gradient of the word embeddings comes as a list of rows.
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        return gradients, {"loss": loss, "tokens": tf.reduce_sum(features["input_mask"]), **scalars}


def any_shape(features):
    """The signature of a function of batches, whatever their sizes: it is traced once, not once a length."""
    return {name: tf.TensorSpec([None] * x.shape.rank, x.dtype) for name, x in features.items()}


class _TokenMeter:
    """Pieces a second, padding left out, over the last steps."""

    def __init__(self):
        self.last, self.rate = time.perf_counter(), None

    def update(self, tokens):
        now = time.perf_counter()
        rate = tokens / (now - self.last)
        self.rate = rate if self.rate is None else 0.9 * self.rate + 0.1 * rate
        self.last = now
        return self.rate


def _check_finite(step, scalars, output_dir):
    """Raises before a checkpoint of broken weights is written."""
    if not np.isfinite([scalars["loss"], scalars["global_norm"]]).all():
        raise InputError(
            f"step {step}: the loss is {scalars['loss']}, the gradient's norm {scalars['global_norm']}; "
            f"expected finite numbers. Try a lower --learning_rate; the newest checkpoint, "
            f"{checkpoint.newest(output_dir)}, was written before"
        )


def run_batches(function, batches, title, total=None):
    """Applies a function of TensorFlow operations to every batch, for evaluation and prediction.

    Args:
      function: from a batch, a dict of tensors, to a dict of tensors.
      batches: an iterable of batches.
      title: what the progress bar says.
      total: number of batches, if known.

    Yields:
      For each batch a dict of NumPy arrays: what the function returned.
    """
    compiled = None
    with progress(title, total) as bar:
        for batch in batches:
            compiled = compiled or tf.function(function, input_signature=[any_shape(batch)])
            yield {name: x.numpy() for name, x in compiled(batch).items()}
            bar.update()
