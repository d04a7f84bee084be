"""Checkpoints in TensorFlow 1's format, under the original's variable names.

The format is the tensor bundle of `tf.train.Saver` (V2): `PREFIX.index` and `PREFIX.data-00000-of-00001`.
The published Google BERT and BioBERT archives load as they are; what is written here loads in the original
code. All that a run needs to resume is in one: variables, Adam slots, `global_step`, `examples_seen` (the place in the
data) and, for float16, the loss scale.
"""

import concurrent.futures
import contextlib
import glob
import logging
import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.errors import InputError
from common.files import atomic_write
from modeling.config import BertConfig

GLOBAL_STEP = "global_step"
EXAMPLES_SEEN = "examples_seen"
STATE_FILE = "checkpoint"  # names the newest checkpoint of a directory
_READ_ERRORS = (tf.errors.OpError, RuntimeError, ValueError, LookupError)  # what the reader raises on damage
_TEMPORARY = re.compile(r"\.tmp\d+$")
_SLOT = re.compile(r"/adam_[mv]$")


class DamagedError(InputError):
    """A checkpoint that cannot be read."""


def checkpoint_name(variable: keras.Variable) -> str:
    """A Keras variable's path below its model, for instance `bert/pooler/dense/bias`."""
    return variable.path.split("/", 1)[1]


def model_variables(model: keras.layers.Layer) -> dict[str, keras.Variable]:
    """All variables of a model by checkpoint name."""
    return {checkpoint_name(v): v for v in model.variables}


# Finding


def all_checkpoints(directory: str) -> list[str]:
    """Prefixes of the complete checkpoints of a directory, oldest step first."""
    prefixes = [path.removesuffix(".index") for path in glob.glob(os.path.join(glob.escape(directory), "*.index"))]
    named = [p for p in prefixes if ".ckpt" in os.path.basename(p) and not _TEMPORARY.search(p)]
    complete = [p for p in named if _data_files(p)]
    return sorted(complete, key=lambda prefix: (_step_of(prefix), prefix))


def find(path: str | os.PathLike[str]) -> str:
    """The prefix of the checkpoint that `path` means.

    Args:
      path: a prefix (`.../model.ckpt-1000000`), one without its step number (`.../model.ckpt`), one of
        the checkpoint's files, or a directory, of which the newest is meant.

    Raises:
      InputError: nothing there, or only part of a checkpoint.
    """
    path = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", str(path))
    if os.path.isdir(path):
        candidates = all_checkpoints(path)
    elif os.path.exists(path + ".index"):
        candidates = [path] if _data_files(path) else []
    else:
        candidates = [p for p in all_checkpoints(os.path.dirname(path) or ".") if p.startswith(f"{path}-")]
        candidates = [p for p in candidates if p[len(path) + 1 :].isdecimal()]
    if not candidates:
        raise InputError(f"{path}: no checkpoint there; expected {path}.index and {path}.data-00000-of-00001")
    return candidates[-1]


def newest(directory: str) -> str | None:
    """The prefix of the newest complete checkpoint of a directory, or None."""
    candidates = all_checkpoints(directory)
    return candidates[-1] if candidates else None


def _data_files(prefix):
    return glob.glob(glob.escape(prefix) + ".data-*-of-*")


def _step_of(prefix):
    match = re.search(r"-(\d+)$", prefix)
    return int(match[1]) if match else -1


# Reading


def open_reader(prefix: str) -> Any:
    """Opens a checkpoint for `get_tensor` and `get_variable_to_shape_map`.

    Raises:
      DamagedError: it cannot be read.
    """
    try:
        return tf.train.load_checkpoint(prefix)
    except _READ_ERRORS as error:
        raise DamagedError(f"{prefix}: not a readable checkpoint ({_first_line(error)})") from None


def describe_scope(name: str, known: Iterable[str]) -> str:
    """For a message that a variable is missing: the scope or prefix under which there is one of that name, or ""."""
    ends = sorted(other for other in known if other.endswith(("/" + name, "." + name)))
    if not ends:
        return ""
    return f"; there is {ends[0]}, without {ends[0].removesuffix(name)} it would fit: rename the variables so"


def check_config(config: BertConfig, path: str | os.PathLike[str]) -> None:
    """Compares sizes with a checkpoint before a model of them is built, which may not fit into the memory.

    Raises:
      InputError: no checkpoint, or one of another size, with the name of a variable and both shapes.
    """
    prefix = find(path)
    shapes = open_reader(prefix).get_variable_to_shape_map()
    width = config.hidden_size
    expected = {
        "bert/embeddings/word_embeddings": [config.vocab_size, width],
        "bert/embeddings/position_embeddings": [config.max_position_embeddings, width],
        "bert/embeddings/token_type_embeddings": [config.type_vocab_size, width],
        "bert/encoder/layer_0/intermediate/dense/kernel": [width, config.intermediate_size],
        f"bert/encoder/layer_{config.num_hidden_layers - 1}/output/dense/kernel": [config.intermediate_size, width],
    }
    for name, shape in expected.items():
        _check_shape(prefix, name, shapes, shape)
    if f"bert/encoder/layer_{config.num_hidden_layers}/output/dense/kernel" in shapes:
        logging.warning("%s: has more than the %d layers of bert_config.json", prefix, config.num_hidden_layers)


def load_weights(
    model: keras.layers.Layer,
    path: str | os.PathLike[str],
    optional: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> tuple[list[str], list[str], list[str]]:
    """Gives a model the variables of a checkpoint, by name, and logs what became of each.

    Args:
      model: a built model.
      path: see `find`.
      optional: prefixes of names that may be absent from the checkpoint and keep their initial value,
        such as the head of a new task.
      left_out: prefixes of names that keep their initial value even if the checkpoint has them.

    Returns:
      The names loaded, initialized and ignored, three lists.

    Raises:
      InputError: a needed variable is absent, or a shape differs, with its name and both shapes.
    """
    prefix = find(path)
    reader = open_reader(prefix)
    shapes = reader.get_variable_to_shape_map()
    variables = model_variables(model)
    loaded, initialized = [], []
    for name, variable in variables.items():
        if name.startswith(tuple(left_out)) or (name not in shapes and name.startswith(tuple(optional))):
            initialized.append(name)
            continue
        _check_shape(prefix, name, shapes, variable.shape)
        loaded.append(name)
    for name in loaded:  # only now, so that an error leaves the model as it was
        variables[name].assign(tf.cast(_get(reader, prefix, name), variables[name].dtype))
    ignored = sorted(set(shapes) - set(loaded))
    _log_loading(prefix, loaded, initialized, ignored)
    return loaded, initialized, ignored


def restore(
    directory: str, variables: Mapping[str, keras.Variable | tf.Variable], optional: Container[str] = ()
) -> tuple[int, int | None]:
    """Gives every one of `variables` (a dict by name) its value in the newest checkpoint of a run that can be read.

    Args:
      directory: of the run.
      variables: a dict by name.
      optional: names that may be absent from the checkpoint and then keep their value.

    Returns:
      The values of `global_step` and `examples_seen`, ints; (0, 0) if there is no checkpoint. A checkpoint
      without the latter gives None for it.

    Raises:
      InputError: the checkpoint is of another model, or there are only damaged ones.
    """
    prefixes = all_checkpoints(directory)
    for prefix in reversed(prefixes):
        try:
            return _restore(prefix, variables, optional)
        except DamagedError as error:
            logging.warning("%s; going back to the checkpoint before", error)
    if prefixes:
        raise InputError(f"{directory}: all its {len(prefixes)} checkpoints are damaged; remove them to begin anew")
    return 0, 0


def _restore(prefix, variables, optional):
    logging.info("resuming from %s", prefix)
    reader = open_reader(prefix)
    shapes = reader.get_variable_to_shape_map()
    present = {name: variable for name, variable in variables.items() if name in shapes or name not in optional}
    try:
        for name, variable in {**present, GLOBAL_STEP: tf.constant(0)}.items():
            _check_shape(prefix, name, shapes, variable.shape)
    except InputError as error:
        raise InputError(
            f"{error}. The output directory holds a checkpoint of another model: use a new --output_dir"
        ) from None
    for name, variable in present.items():
        variable.assign(tf.cast(_get(reader, prefix, name), variable.dtype))
    examples = int(_get(reader, prefix, EXAMPLES_SEEN)) if EXAMPLES_SEEN in shapes else None
    return int(_get(reader, prefix, GLOBAL_STEP)), examples


def load_trained(model: keras.layers.Layer, output_dir: str, init_checkpoint: str | None) -> int:
    """Gives a model the weights to evaluate or predict with, head included.

    In this order: 1. the newest checkpoint in `output_dir`; 2. `init_checkpoint`.

    Returns:
      The `global_step` of that checkpoint.

    Raises:
      InputError: neither is there, or it lacks a variable.
    """
    path = newest(output_dir) or init_checkpoint
    if not path:
        raise InputError(f"{output_dir}: no checkpoint there and no --init_checkpoint; train first or give one")
    load_weights(model, path)
    return global_step(find(path))


def global_step(prefix: str) -> int:
    """The step at which a checkpoint was written; 0 where it does not say."""
    reader = open_reader(prefix)
    return int(_get(reader, prefix, GLOBAL_STEP)) if reader.has_tensor(GLOBAL_STEP) else 0


def _get(reader, prefix, name):
    dtype = reader.get_variable_to_dtype_map()[name]
    try:
        # Not by the reader, whose arrays cost BERT-base 160 MB that are not given back.
        return tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[dtype])[0]
    except _READ_ERRORS as error:
        raise DamagedError(f"{prefix}: variable {name} cannot be read ({_first_line(error)})") from None


def _check_shape(prefix, name, shapes, expected):
    expected = list(expected)
    if name not in shapes:
        hint = describe_scope(name, shapes)
        raise InputError(f"{prefix}: variable {name} is missing; the model needs it with shape {expected}{hint}")
    if list(shapes[name]) != expected:
        hint = ""
        if name.endswith("word_embeddings") and shapes[name][1:] == expected[1:]:
            hint = f"; its vocabulary has {shapes[name][0]} wordpieces, bert_config.json says {expected[0]}"
        raise InputError(f"{prefix}: variable {name} has shape {list(shapes[name])}, the model needs {expected}{hint}")


def _log_loading(prefix, loaded, initialized, ignored):
    slots = [name for name in ignored if _SLOT.search(name)]
    logging.info("%s: loaded %d variables", prefix, len(loaded))
    for name in loaded:
        logging.info("  loaded: %s", name)
    for name in initialized:
        logging.info("  initialized, not from the checkpoint: %s", name)
    for name in sorted(set(ignored) - set(slots)):
        logging.info("  ignored, not in the model: %s", name)
    if slots:
        logging.info("  ignored, optimizer slots of the run that wrote it: %d", len(slots))


def _first_line(error):
    return str(getattr(error, "message", error)).strip().splitlines()[0]


# Writing


def save(prefix: str, tensors: Mapping[str, Any]) -> None:
    """Writes a checkpoint under temporary names, then renames; `PREFIX.index`, the last, makes it whole.

    Args:
      prefix: path and name, without `.index`.
      tensors: a dict from variable name to tensor or variable.
    """
    temporary = f"{prefix}.tmp{os.getpid()}"
    names = sorted(tensors)
    try:
        tf.raw_ops.SaveV2(
            prefix=temporary,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(tensors[name]) for name in names],
        )
        for part in (".data-00000-of-00001", ".index"):
            with open(temporary + part, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary + part, prefix + part)
    except tf.errors.OpError as error:
        _remove(temporary)
        raise InputError(f"{prefix}: cannot be written ({_first_line(error)})") from None
    except OSError:
        _remove(temporary)
        raise


class StepWriter:
    """Writes the checkpoints of a run in the background, while it goes on.

    Args:
      directory: of the run.
      keep: how many of the last ones stay.
      keep_every: those of steps that this divides stay as well; 0 for none.
    """

    def __init__(self, directory: str, keep: int, keep_every: int = 0) -> None:
        self.directory, self.keep, self.keep_every = directory, keep, keep_every
        self.executor = concurrent.futures.ThreadPoolExecutor(1)
        self.unfinished: concurrent.futures.Future[None] | None = None

    def save(self, step: int, examples_seen: int, variables: Mapping[str, keras.Variable | tf.Variable]) -> None:
        """Copies `variables`, a dict by name, and begins to write `DIRECTORY/model.ckpt-STEP`.

        Raises:
          InputError: the one before could not be written.
        """
        self.wait()
        with tf.device("CPU"):  # from a GPU a copy; on the CPU none, as an update leaves a tensor that was read alone
            tensors = {name: tf.identity(tf.convert_to_tensor(variable)) for name, variable in variables.items()}
        tensors[GLOBAL_STEP], tensors[EXAMPLES_SEEN] = np.int64(step), np.int64(examples_seen)
        self.unfinished = self.executor.submit(self._write, step, tensors)

    def wait(self) -> None:
        """Returns when all is written, or raises what went wrong."""
        unfinished, self.unfinished = self.unfinished, None
        if unfinished:
            unfinished.result()

    def _write(self, step, tensors):
        save(os.path.join(self.directory, f"model.ckpt-{step}"), tensors)
        steps = sorted(_step_of(path) for path in all_checkpoints(self.directory) if _is_of_a_step(path))
        kept = [old for old in steps if old in steps[-self.keep :] or (self.keep_every and old % self.keep_every == 0)]
        for old in set(steps) - set(kept):
            _remove(os.path.join(self.directory, f"model.ckpt-{old}"))
        write_state(self.directory, [f"model.ckpt-{old}" for old in kept])


def _is_of_a_step(prefix):
    return re.fullmatch(r"model\.ckpt-\d+", os.path.basename(prefix))


def write_state(directory: str, names: Sequence[str]) -> None:
    """Writes the `checkpoint` file, by which TensorFlow 1 finds the newest of `names`, the last."""
    with atomic_write(os.path.join(directory, STATE_FILE)) as file:
        file.write(f'model_checkpoint_path: "{names[-1]}"\n')
        file.writelines(f'all_model_checkpoint_paths: "{name}"\n' for name in names)


def remove_unfinished(directory: str) -> None:
    """Removes what a run that was killed while writing a checkpoint left in its output directory."""
    for path in glob.glob(os.path.join(glob.escape(directory), "model.ckpt-*.tmp*")):
        os.unlink(path)


def _remove(prefix):
    for path in [
        f"{prefix}.index",
        *_data_files(prefix),
        *glob.glob(glob.escape(prefix) + ".data-*tempstate*"),
    ]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
