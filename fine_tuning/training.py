"""What run_ner.py, run_re.py and run_qa.py share: set-up from the flags, training, passes over records.

A script brings what is its own: how it reads a data set, its model, its loss and what it does with the output.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from absl.flags import FlagValues

from common import files, inputs
from common import flags as shared_flags
from common.errors import InputError
from data_prep.records import records
from data_prep.tasks import label_map
from data_prep.text.tokenization import FullTokenizer, validate_case_matches_checkpoint
from fine_tuning.tasks import Task
from modeling import checkpoint, distribution, losses, unpadding
from modeling.config import BertConfig
from modeling.heads import NEVER
from modeling.training import TrainingOptions, length_multiple, run_batches, train, use_xla

PREDICTION_WINDOW = 256  # batches formed together, of records sorted by length
HEAD = ("output_",)  # of labels
BEGINNING_FILE = "initial_weights.json"  # of a training, in its output directory


@dataclasses.dataclass(frozen=True)
class Options:
    """A fine-tuning, as the flags say."""

    task: Task
    output_dir: str
    init_checkpoint: str | None
    bert_config_file: str
    vocab_file: str
    do_lower_case: bool
    max_seq_length: int  # wordpieces
    num_train_epochs: float
    warmup_proportion: float  # of the steps
    pad_to: int | None  # length of every batch, where padding counts in the loss; None: padding is not computed
    xla: str  # auto, true or false
    training: TrainingOptions  # but for its directory and the numbers of steps, which depend on the data

    @property
    def seed(self) -> int:
        return self.training.seed


def read_options(values: FlagValues, task: Task) -> Options:
    """The `Options` that the flags of the scripts say; raises InputError for flags that this program cannot do."""
    shared_flags.check_tpu_flags(values)
    padding_counts = task.padding_counts and values.pad_to_max_seq_length
    return Options(
        task=task,
        output_dir=values.output_dir,
        init_checkpoint=values.init_checkpoint,
        bert_config_file=values.bert_config_file,
        vocab_file=values.vocab_file,
        do_lower_case=values.do_lower_case,
        max_seq_length=values.max_seq_length,
        num_train_epochs=values.num_train_epochs,
        warmup_proportion=values.warmup_proportion,
        pad_to=values.max_seq_length if padding_counts else None,
        xla=values.xla,
        training=TrainingOptions(
            output_dir=values.output_dir,
            num_train_steps=0,
            num_warmup_steps=0,
            unpad=not padding_counts,
            **shared_flags.training_values(values),
        ),
    )


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
    """Trains from the initial checkpoint, or resumes from the newest checkpoint in the output directory.

    Args:
      model: a built model.
      loss_fn: as for `modeling.training.train`.
      data: a `records.RecordFile`.
      num_examples: what an epoch is counted in; a long example may make several records.
      options: `Options`.
      evaluate_at: steps after which to evaluate.
      evaluate: as for `modeling.training.train`.

    Returns:
      The step that was reached.

    Raises:
      InputError: too few examples for a step, no record, or a directory in which another training began.
    """
    batch_size = options.training.batch_size
    num_train_steps = num_steps(num_examples, batch_size, options.num_train_epochs)
    check_enough(data, num_examples, num_train_steps, batch_size)
    loaded: Sequence[str] = ()
    if options.init_checkpoint:
        left_out = () if goes_on_with_head(options.init_checkpoint, options.output_dir) else HEAD
        loaded, _, _ = checkpoint.load_weights(model, options.init_checkpoint, options.task.head_variables, left_out)
    check_beginning(model, loaded, options.output_dir, options.init_checkpoint, options.seed)
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


def check_enough(data: records.RecordFile, num_examples: int, num_train_steps: int, batch_size: int) -> None:
    """Raises `InputError` if a `records.RecordFile` has nothing to train on, or not enough for a step."""
    if num_train_steps < 1 or not data.count:
        raise InputError(
            f"{data.path}: {num_examples} examples, {data.count} records with text in them, make no step of "
            f"{batch_size}; expected more data, more --num_train_epochs or a smaller --train_batch_size"
        )


def goes_on_with_head(init_checkpoint: str, output_dir: str) -> bool:
    """Whether a training begins with the head of its initial checkpoint, if that has one.

    Not where one of the labels beside it is another than here or in another place, or was never learned.
    """
    prefix = checkpoint.find(init_checkpoint)
    before, now = label_map.read(os.path.dirname(prefix) or "."), label_map.read(output_dir)
    if before is None or now is None:
        return True
    reader = checkpoint.open_reader(prefix)
    has_learned = not reader.has_tensor("output_bias") or min(reader.get_tensor("output_bias")) > NEVER
    return before == now and bool(has_learned)


def check_beginning(
    model: keras.layers.Layer, loaded: Iterable[str], output_dir: str, init_checkpoint: str | None, seed: int
) -> None:
    """Records in the output directory what a training begins from; compares with the record where it is resumed.

    What counts are the weights of the initial checkpoint, not where it lies. A directory with checkpoints and without
    a record was made before there were any, and passes.

    Args:
      model: with the weights of the initial checkpoint.
      loaded: names of these.
      output_dir: where the training begins, or goes on if it has a checkpoint.
      init_checkpoint: the flag, or None.
      seed: int, of all that is random.

    Raises:
      InputError: the training in there began from others.
    """
    path = os.path.join(output_dir, BEGINNING_FILE)
    variables = checkpoint.model_variables(model)
    digest = hashlib.sha256()
    for name in sorted(loaded):
        digest.update(name.encode())
        digest.update(variables[name].numpy())
    now = {"init_checkpoint": init_checkpoint, "sha256": digest.hexdigest(), "seed": seed}
    if not checkpoint.newest(output_dir):
        if distribution.is_chief():
            files.write_lines(path, [json.dumps(now, indent=1)])
    elif os.path.exists(path):
        before = inputs.read_json(path, "what the training began from")
        if before["sha256"] != now["sha256"]:
            raise InputError(
                f"--init_checkpoint={init_checkpoint or ''}: other weights than those from which the training in "
                f"{output_dir} began, --init_checkpoint={before['init_checkpoint'] or ''}; use a new --output_dir"
            )
        if before["seed"] != seed:
            raise InputError(
                f"--seed={seed}: the training in {output_dir} began with --seed={before['seed']}; "
                "use a new --output_dir"
            )


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
