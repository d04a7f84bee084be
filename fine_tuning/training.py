"""What run_ner.py, run_re.py and run_qa.py share: set-up from the flags, training, passes over records.

A script brings what is its own: how it reads a data set, its model, its loss and what it does with the output.
"""

import contextlib
import dataclasses
import hashlib
import logging
import math
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from common import files
from common.errors import InputError
from data_prep.records import records
from data_prep.tasks import label_map
from data_prep.text.tokenization import FullTokenizer, validate_case_matches_checkpoint
from fine_tuning import model_directory
from fine_tuning.options import Options
from fine_tuning.tasks import Task
from modeling import beginning, checkpoint, distribution, losses, unpadding
from modeling.config import BertConfig
from modeling.heads import NEVER
from modeling.training import length_multiple, run_batches, train, use_xla

PREDICTION_WINDOW = 256  # batches formed together, of records sorted by length
MUCH_UNKNOWN = 0.05  # of the wordpieces; English biomedical text has some 0.01 %
HEAD = ("output_",)  # of labels


def set_up(options: Options, devices: Iterable[Any]) -> tuple[BertConfig, FullTokenizer]:
    """Sets up the devices, checks the options against the model's files, makes the output directory, seeds.

    Args:
      options: `Options`.
      devices: arguments of `distribution.start`.

    Returns:
      `BertConfig` and `FullTokenizer`.
    """
    distribution.start(*devices)
    config = BertConfig.from_json_file(options.bert_config_file)
    config.check_sequence_length(options.max_seq_length)
    if options.init_checkpoint:
        checkpoint.check_config(config, options.init_checkpoint)
    validate_case_matches_checkpoint(options.do_lower_case, options.init_checkpoint)
    tokenizer = FullTokenizer(options.vocab_file, options.do_lower_case)
    config.check_vocabulary(tokenizer.vocab_size, options.vocab_file)
    files.make_directory(options.output_dir)
    keras.utils.set_random_seed(options.seed)
    return config, tokenizer


def new_model(task: Task, config: BertConfig, num_labels: int, seed: int) -> keras.layers.Layer:
    """A built model of a task, with the same initial weights every time."""
    keras.utils.set_random_seed(seed)
    model = task.make_head(config, num_labels)
    model.build()
    return model


def labels_of_checkpoint(
    output_dir: str, init_checkpoint: str | None, required: Iterable[str] = ()
) -> list[str] | None:
    """The labels written beside the checkpoint that a run without training uses; None if there are none."""
    if checkpoint.newest(output_dir):
        return label_map.read(output_dir, required)
    if init_checkpoint:
        return label_map.read(os.path.dirname(checkpoint.find(init_checkpoint)) or ".", required)
    return None


def check_labels(labels: list[str], output_dir: str, init_checkpoint: str | None = None) -> None:
    """Refuses a model of other labels, or of these in another order.

    Args:
      labels: list.
      output_dir: where training goes on, or the checkpoint to predict with may be.
      init_checkpoint: that to predict with if it is not there; None in training, which may start from other labels.

    Raises:
      InputError: the labels beside the checkpoint are others.
    """
    written = labels_of_checkpoint(output_dir, init_checkpoint)
    if written and written != labels:
        newest = checkpoint.newest(output_dir)
        raise InputError(
            f"{newest or init_checkpoint}: a model for the labels {', '.join(written)}, not {', '.join(labels)}; "
            + ("use a new --output_dir" if newest else "use one for these")
        )


def num_steps(num_examples: int, batch_size: int, num_epochs: float) -> int:
    """Training steps of so many passes over the data, the last batch left out where it is not full."""
    return int(num_examples / batch_size * num_epochs)


def epoch_ends(num_examples: int, batch_size: int, num_epochs: float) -> dict[int, int]:
    """The steps at which epochs end, as a dict from step to epoch; an epoch that adds no full batch is left out."""
    ends = {num_steps(num_examples, batch_size, epoch): epoch for epoch in range(int(num_epochs), 0, -1)}
    return {step: epoch for step, epoch in sorted(ends.items()) if step}


def fine_tune(
    model: keras.layers.Layer,
    loss_fn: Callable[..., tuple[Any, dict[str, Any]]],
    data: records.RecordFile,
    num_examples: int,
    options: Options,
    evaluate_at: Container[int] = (),
    evaluate: Callable[[int], dict[str, float]] | None = None,
) -> int:
    """Trains, or resumes from the newest checkpoint in the output directory.

    Args:
      model: as `begin` left it.
      loss_fn: as for `modeling.training.train`.
      data: a `records.RecordFile`.
      num_examples: what an epoch is counted in; a long example may make several records.
      options: `Options`.
      evaluate_at: steps after which to evaluate.
      evaluate: as for `modeling.training.train`.

    Returns:
      The step that was reached.

    Raises:
      InputError: too few examples for a step, or no record.
    """
    batch_size = options.training.batch_size
    num_train_steps = num_steps(num_examples, batch_size, options.num_train_epochs)
    check_enough(data, num_examples, num_train_steps, batch_size)
    run = dataclasses.replace(
        options.training,
        output_dir=options.output_dir,
        num_train_steps=num_train_steps,
        num_warmup_steps=int(num_train_steps * options.warmup_proportion),
        xla=use_xla(options.xla),
        evaluate_at=evaluate_at,
    )
    padding = records.Padding(options.pad_to, length_multiple(run.xla), options.max_seq_length)

    def make_batches(start, batch_size, worker, num_workers):
        share = records.Share(worker, num_workers)
        return records.training_batches([data], batch_size, run.seed, start, padding, share)

    with records.naming_bad_records([data.path], data.features):
        global_step, _ = train(model, loss_fn, losses.count_examples, make_batches, run, evaluate)
    return global_step


def log_records(data: records.RecordFile, what: str, tokenizer: FullTokenizer) -> None:
    """Says how many records were written of what, and how much of them is unknown to the vocabulary."""
    share = tokenizer.take_unknown_share()
    logging.log(
        logging.WARNING if share > MUCH_UNKNOWN else logging.INFO,
        "%s: %s, %d records, %.2f %% of their wordpieces [UNK]",
        *(data.path, what, data.count, 100 * share),
    )


def check_enough(data: records.RecordFile, num_examples: int, num_train_steps: int, batch_size: int) -> None:
    """Raises `InputError` if a `records.RecordFile` has nothing to train on, or not enough for a step."""
    if num_train_steps < 1 or not data.count:
        raise InputError(
            f"{data.path}: {num_examples} examples, {data.count} records with text in them, make no step of "
            f"{batch_size}; expected more data, more --num_train_epochs or a smaller --train_batch_size"
        )


def takes_head(init_checkpoint: str, labels: Sequence[str] | None) -> bool:
    """Whether a training for some labels begins with the head of its initial checkpoint, if that has one.

    Not where one of the labels beside it is another than here or in another place, or was never learned.
    """
    prefix = checkpoint.find(init_checkpoint)
    before = label_map.read(os.path.dirname(prefix) or ".")
    if before is None or labels is None:
        return True
    reader = checkpoint.open_reader(prefix)
    has_learned = not reader.has_tensor("output_bias") or min(reader.get_tensor("output_bias")) > NEVER
    return before == list(labels) and bool(has_learned)


def digest(examples: Iterable[Any]) -> str:
    """The SHA-256 of examples as they were read: the same whatever the spaces and line ends of their file."""
    found = hashlib.sha256()
    for example in examples:
        found.update(repr(example).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def begin(
    model: keras.layers.Layer,
    options: Options,
    labels: Sequence[str] | None,
    data: Mapping[str, str],
    flags: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
) -> None:
    """Loads the initial weights, checks that the output directory is this training's, and notes there what it is.

    Nothing is written before all is checked.

    Args:
      model: a built model.
      options: `Options`.
      labels: in the order of the model's outputs; None where they are spans.
      data: the digests of what is trained on, from its name.
      flags: those of the script on which the result depends, beside the shared ones.
      settings: what fine_tuning.json holds of the task; None: the directory is not to be one of a model.

    Raises:
      InputError: the initial checkpoint does not fit, or the directory has a model of other labels or another training.
    """
    if labels is not None:
        check_labels(list(labels), options.output_dir)
    loaded: Sequence[str] = ()
    if options.init_checkpoint:
        left_out = () if takes_head(options.init_checkpoint, labels) else HEAD
        loaded, _, _ = checkpoint.load_weights(model, options.init_checkpoint, options.task.head_variables, left_out)
    shared = {
        "do_lower_case": options.do_lower_case,
        "max_seq_length": options.max_seq_length,
        "train_batch_size": options.training.batch_size,
        "learning_rate": options.training.learning_rate,
        "num_train_epochs": options.num_train_epochs,
        "warmup_proportion": options.warmup_proportion,
        "pad_to_max_seq_length": options.pad_to is not None,
    }
    contents = {**data, "vocab_file": files.sha256(options.vocab_file)}
    now = beginning.describe(model, loaded, options.init_checkpoint, options.seed, {**shared, **flags}, contents)
    now.check(options.output_dir)
    model_directory.check(options)
    now.write(options.output_dir)
    if labels is not None:
        label_map.write(options.output_dir, labels)
    if settings is not None:
        model_directory.write(options, **settings)


@contextlib.contextmanager
def holding(output_dir: str) -> Iterator[None]:
    """Holds the output directory, which one training at a time writes; of several workers the chief does.

    Raises:
      InputError: another process holds it.
    """
    with files.locked(output_dir) if distribution.is_chief() else contextlib.nullcontext():
        yield


def run_on_records(
    function: Callable[[dict[str, Any]], dict[str, Any]],
    data: records.RecordFile,
    batch_size: int,
    title: str,
    pad_to: int | None = None,
    in_order: bool = False,
) -> Iterator[dict[str, np.ndarray]]:
    """Applies a function to all records, in batches of similar length.

    Args:
      function: from a batch to a dict of tensors. A batch has each record's `index` in the file.
      data: a `records.RecordFile`.
      batch_size: int.
      title: what the progress bar says.
      pad_to: length of every batch, with padding computed; None: that of the longest sequence in it, without.
      in_order: batches are of records in the order of the file.

    Returns:
      An iterator over the dicts, as arrays.
    """
    window = 1 if in_order else PREDICTION_WINDOW
    batches = records.evaluation_batches([data.path], data.features, batch_size, records.Padding(pad_to), window)

    def run(batch):
        return function(batch if pad_to else unpadding.add_positions(batch))

    num_batches = math.ceil(data.count / batch_size)  # type: ignore[operator]  # who wrote it has counted
    return run_batches(run, batches, title, num_batches)
