"""The training loop and the passes of evaluation and prediction, for every entry script."""

import contextlib
import dataclasses
import logging
import signal
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.errors import RESUMABLE, InputError, StoppedError
from common.progress import progress
from modeling import checkpoint, distribution, monitoring, unpadding
from modeling.optimization import AdamWeightDecay, LossScale, learning_rate_at

Tensors = dict[str, tf.Tensor]
LossFunction = Callable[[keras.layers.Layer, Tensors, tf.Tensor, Tensors], tuple[tf.Tensor, Tensors]]
CountFunction = Callable[[Tensors], Tensors]
BatchMaker = Callable[[int, int, int, int], tf.data.Dataset]

SUMMARY_EVERY = 10  # steps
ATTENTION_BLOCKS = 2  # of a batch sorted by length, see `unpadding.token_layout`


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a run trains."""

    output_dir: str
    num_train_steps: int
    num_warmup_steps: int
    learning_rate: float  # at the end of the warm-up
    batch_size: int  # of all devices together
    accumulation_steps: int = 1  # parts that each device computes one after the other
    save_checkpoints_steps: int = 1000
    keep_checkpoint_max: int = 5
    keep_checkpoint_every: int = 0  # steps; those that this divides stay for good
    seed: int = 12345  # of dropout and of the order of the data
    xla: bool = False  # compile the forward and backward pass, once a shape
    unpad: bool = True  # compute on the real tokens alone, not on padding
    recompute_grad: bool = False  # keep the output of each layer alone, and compute what is in it twice
    evaluate_at: Container[int] = ()  # the steps after which to evaluate: a range, a set, ...
    profile_steps: tuple[int, int] | None = None  # the first and the last to profile
    flops_per_token: float | None = None  # in training; with
    peak_flops: float | None = None  # of a device, a second: the utilization is reported


def use_xla(choice: str) -> bool:
    """Whether to compile the step, by the flag `--xla`; auto: on GPUs for which this TensorFlow was built.

    On a CPU, oneDNN's products outweigh what fusion gains: `docs/design.md` has figures.
    """
    if choice == "auto":
        return distribution.has_gpus_for_xla()
    return choice == "true"


def length_multiple(xla: bool) -> int:
    """Sequence lengths are rounded up to a multiple of this: few shapes under XLA, little padding without."""
    return 32 if xla else 4


def train(
    model: keras.layers.Layer,
    loss_fn: LossFunction,
    count_fn: CountFunction,
    make_batches: BatchMaker,
    options: TrainingOptions,
    evaluate: Callable[[int], Mapping[str, float]] | None = None,
) -> tuple[int, list[float]]:
    """Trains a model to `options.num_train_steps`, from the newest checkpoint in the output directory if any.

    What a step does is a function of the checkpoint, the data and the options alone: its batch follows from the
    examples seen before, its dropout from the step. So a run that was killed goes on as if it had not been. All devices
    of the current `tf.distribute` strategy train; of several processes, only the chief writes files.

    Args:
      model: a built model, with its initial weights.
      loss_fn: from `(model, features, dropout_seed, totals)` to a scalar loss and a dict of further scalars. The
        features are a part of the batch, with `unpadding.POSITIONS`; over all parts a scalar adds up to the batch's.
      count_fn: from features to a dict of float32 scalars, whose sums over the batch are the `totals`.
      make_batches: from `(start, batch_size, worker, num_workers)` to an endless `tf.data.Dataset` of batches
        of this worker, that begins after `start` examples of its own.
      options: `TrainingOptions`.
      evaluate: from the step to a dict of numbers, called in the chief after each of `options.evaluate_at`. By then
        all checkpoints of earlier steps are on disk, and none of this one: a run that is killed evaluates it again.

    Returns:
      The step that was reached, and the loss of each step that was run, a list.

    Raises:
      InputError: the loss is not finite, the output directory holds another model's checkpoint, or a worker is lost.
      StoppedError: the process was told to end (SIGTERM, Ctrl-C); a checkpoint has been written.
    """
    distribution.check_batch_size(options.batch_size, options.accumulation_steps)
    trainer = Trainer(model, loss_fn, count_fn, options)
    start, examples_seen = trainer.restore()
    total = options.num_train_steps
    if start >= total:
        logging.info("%s is at step %d of %d: nothing to train", options.output_dir, start, total)
        return start, []
    is_chief, losses = distribution.is_chief(), []
    with (
        _termination() as asked_to_stop,  # before there is any sign of a training
        distribution.naming_lost_workers(),
        monitoring.summary_writer(options.output_dir, is_chief),
        progress("train", total, initial=start, disable=not is_chief) as bar,
        trainer.writing(),
        monitoring.Profiler(options, is_chief) as profiler,
    ):
        _check_same_start(start)
        batches = iter(trainer.distribute(make_batches, examples_seen))
        meter = monitoring.Meter(options)
        for step in range(start + 1, total + 1):
            profiler.before(step)
            scalars = trainer.step(batches, step - 1, asked_to_stop())
            profiler.after(step)
            must_stop = scalars.pop("stop") > 0
            trainer.check_finite(step, scalars)
            losses.append(scalars["loss"])
            _show(bar, step, scalars | meter.update(scalars.pop("tokens")))
            if is_chief and step in options.evaluate_at:
                trainer.writer.wait()
                # Who names steps to evaluate at gives the function as well.
                monitoring.report_evaluation(evaluate(step), step)  # type: ignore[misc]
            if is_chief and (step % options.save_checkpoints_steps == 0 or step == total or must_stop):
                trainer.save(step, examples_seen + (step - start) * options.batch_size)
            if must_stop:
                message = f"stopped as told at step {step} of {total}; the same command goes on from there"
                raise StoppedError(message, RESUMABLE if is_chief else 0)  # the chief's is the status of all workers
    return total, losses


def _show(bar, step, scalars):
    """Shows a step that was run on the progress bar and, of every so many and the last, in TensorBoard."""
    bar.set_postfix_str(f"loss {scalars['loss']:.4g}, {scalars['tokens_per_second']:,.0f} tokens/s", refresh=False)
    bar.update()
    if step % SUMMARY_EVERY == 0 or step == bar.total:
        monitoring.write_summary(scalars, step)


class Trainer:
    """The state of a run, and the step on it."""

    def __init__(
        self, model: keras.layers.Layer, loss_fn: LossFunction, count_fn: CountFunction, options: TrainingOptions
    ) -> None:
        self.model, self.loss_fn, self.count_fn, self.options = model, loss_fn, count_fn, options
        self.strategy = tf.distribute.get_strategy()
        model.bert.encoder.recompute_grad = options.recompute_grad
        model.bert.attention_blocks = 1 if _is_compiled(options) else ATTENTION_BLOCKS
        self.optimizer = AdamWeightDecay(model.trainable_variables)
        self.loss_scale = LossScale() if model.dtype_policy.name == distribution.FLOAT16 else None
        self.state = {**checkpoint.model_variables(model), **self.optimizer.slots()}
        if self.loss_scale:
            self.state |= self.loss_scale.state()
        self.writer = checkpoint.StepWriter(
            options.output_dir, options.keep_checkpoint_max, options.keep_checkpoint_every
        )
        self.compiled = tf.function(self._step)

    def restore(self) -> tuple[int, int]:
        """Loads the newest checkpoint of the output directory, if any; returns its step and the examples seen."""
        if distribution.is_chief():
            checkpoint.remove_unfinished(self.options.output_dir)
        optional = self.loss_scale.state() if self.loss_scale else ()
        step, examples_seen = checkpoint.restore(self.options.output_dir, self.state, optional)
        return step, step * self.options.batch_size if examples_seen is None else examples_seen

    def save(self, step: int, examples_seen: int) -> None:
        self.writer.save(step, examples_seen, self.state)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Waits at the end of the block until the last checkpoint is written."""
        try:
            yield
        finally:
            self.writer.wait()

    def distribute(self, make_batches: BatchMaker, examples_seen: int) -> Iterable[dict[str, Any]]:
        """The batches of `make_batches` (see `train`), dealt out to the devices: for each [parts, examples, ...]."""
        options = self.options

        def batches_of_worker(context):
            workers, devices = context.num_input_pipelines, context.num_replicas_in_sync
            # The order of the data counts batches of this size; a run that goes on with another begins a little before.
            size = options.batch_size // workers
            start = examples_seen // workers // size * size
            batches = make_batches(start, size, context.input_pipeline_id, workers)

            def deal_batch(features):
                return deal(features, devices // workers, options)

            endless = (
                batches.map(deal_batch, num_parallel_calls=tf.data.AUTOTUNE)
                .unbatch()
                .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
            )
            return endless.prefetch(tf.data.AUTOTUNE)

        return self.strategy.distribute_datasets_from_function(batches_of_worker)

    def step(self, batches: Iterator[dict[str, Any]], finished_steps: int, stop: bool = False) -> dict[str, float]:
        """One step on the next batch of an iterator.

        Returns:
          Its scalars, floats by name; `stop` is above 0 if any worker was called with `stop`.
        """
        scalars = self.compiled(batches, tf.constant(finished_steps), tf.constant(float(stop)))
        return {name: float(self.strategy.experimental_local_results(x)[0]) for name, x in scalars.items()}

    def _step(self, batches, finished_steps, stop):
        return self.strategy.run(self.replica_step, args=(next(batches), finished_steps, stop))

    def replica_step(self, features: Tensors, finished_steps: tf.Tensor, stop: tf.Tensor) -> Tensors:
        """The step on what a device has of a batch, [parts, examples, ...]."""
        options, context = self.options, tf.distribute.get_replica_context()
        totals = context.all_reduce(tf.distribute.ReduceOp.SUM, self.count_fn(_join(features)))
        loss_scale = tf.identity(distribution.local(self.loss_scale.scale)) if self.loss_scale else 1.0
        gradients, sums = self._add_parts(features, totals, finished_steps, loss_scale)
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        stop = tf.identity(stop)  # on this device, without which several workers cannot reduce it
        scalars = context.all_reduce(tf.distribute.ReduceOp.SUM, {**sums, "stop": stop})
        rate = learning_rate_at(
            finished_steps, options.learning_rate, options.num_train_steps, options.num_warmup_steps
        )
        global_norm = self.optimizer.apply(gradients, rate, loss_scale)
        scalars |= {"learning_rate": rate, "global_norm": global_norm}
        if self.loss_scale:
            scalars["loss_scale"] = loss_scale
            self.loss_scale.update(tf.math.is_finite(global_norm))
        return scalars

    def _add_parts(self, parts, totals, finished_steps, loss_scale):
        """Gradients and scalars of a device, of one part of its examples after the other."""
        options, context = self.options, tf.distribute.get_replica_context()
        count = options.accumulation_steps
        number = finished_steps * self.strategy.num_replicas_in_sync + context.replica_id_in_sync_group
        gradients_of = tf.function(self._gradients, jit_compile=options.xla)

        def part(i):
            dropout_seed = tf.stack([options.seed, number * count + i])
            return gradients_of({name: x[i] for name, x in parts.items()}, totals, dropout_seed, loss_scale)

        sums = part(0)
        if count > 1:
            _, sums = tf.while_loop(
                lambda i, _: i < count,
                lambda i, sums: (i + 1, tf.nest.map_structure(tf.add, sums, part(i))),
                (tf.constant(1), sums),
                parallel_iterations=1,
            )
        return sums

    def _gradients(self, features, totals, dropout_seed, loss_scale):
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            loss, scalars = self.loss_fn(self.model, features, dropout_seed, totals)
            scaled_loss = loss * loss_scale
        # Dense: the gradient of the word embeddings comes as a list of rows.
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(scaled_loss, variables)]
        tokens = tf.cast(tf.reduce_sum(features["input_mask"]), tf.float32)
        return gradients, {"loss": loss, "tokens": tokens, **scalars}

    def check_finite(self, step: int, scalars: Mapping[str, float]) -> None:
        """Raises before a checkpoint of broken weights is written; float16 may overflow, to change the loss scale."""
        if np.isfinite([scalars["loss"], scalars["global_norm"]]).all():
            return
        if scalars.get("loss_scale", 1.0) > 1.0:
            scale = scalars["loss_scale"]
            logging.info("step %d: skipped, its gradients overflow; loss scale %g, now %g", step, scale, scale / 2)
            return
        self.writer.wait()
        raise InputError(
            f"step {step}: the loss is {scalars['loss']}, the gradient's norm {scalars['global_norm']}; "
            f"expected finite numbers. Try a lower --learning_rate; the newest checkpoint, "
            f"{checkpoint.newest(self.options.output_dir)}, was written before"
        )


def deal(features: Tensors, devices: int, options: TrainingOptions) -> Tensors:
    """Deals the examples of a batch out: [B, ...] to [devices, accumulation steps, examples, ...].

    Each share gets as many examples and about as many tokens, so that no device waits for another: from the longest to
    the shortest, the shares have their turn, there and back.
    """
    shares = devices * options.accumulation_steps
    order = tf.argsort(tf.reduce_sum(features["input_mask"], axis=1), direction="DESCENDING", stable=True)
    turns = tf.reshape(order, [-1, shares])
    is_back = tf.range(tf.shape(turns)[0])[:, tf.newaxis] % 2 == 1
    order = tf.transpose(tf.where(is_back, turns[:, ::-1], turns))
    dealt = {name: tf.gather(x, order) for name, x in features.items()}
    if options.unpad:
        dealt = unpadding.add_positions(dealt, _is_compiled(options), shares)
    return {
        name: tf.reshape(x, tf.concat([[devices, options.accumulation_steps], tf.shape(x)[1:]], 0))
        for name, x in dealt.items()
    }


def _is_compiled(options):
    """Whether each shape of a batch costs a compilation."""
    return options.xla or distribution.on_tpu()


def _join(parts):
    """[parts, examples, ...] to [parts x examples, ...]."""
    return {name: tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0)) for name, x in parts.items()}


def _check_same_start(step):
    """Raises `InputError` if another worker begins at another step: it does not see the same checkpoints."""
    if distribution.num_workers() == 1:
        return

    def add_up():
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(float(step)))

    strategy = tf.distribute.get_strategy()
    total = strategy.experimental_local_results(tf.function(strategy.run)(add_up))[0]
    if float(total) != step * strategy.num_replicas_in_sync:
        raise InputError(
            f"this worker found a checkpoint of step {step}, another one of another step; expected an --output_dir "
            "that all workers share"
        )


@contextlib.contextmanager
def _termination():
    """Yields a function that says whether the process was told to end since, as a preempted job or by Ctrl-C.

    A second signal does what it did before, so that a training that hangs can be ended.
    """
    received: list[bool] = []
    before: dict[int, Any] = {}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(*_):
        received.append(True)
        restore()

    before.update({number: signal.signal(number, receive) for number in (signal.SIGTERM, signal.SIGINT)})
    try:
        yield lambda: bool(received)
    finally:
        restore()


def any_shape(features: Tensors) -> dict[str, tf.TensorSpec]:
    """The signature of a function of batches, whatever their sizes: it is traced once, not once a length."""
    return {name: tf.TensorSpec([None] * x.shape.rank, x.dtype) for name, x in features.items()}


def run_batches(
    function: Callable[[Tensors], Tensors], batches: Iterable[Tensors], title: str, total: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
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
