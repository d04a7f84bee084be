"""Which epoch of a training scored best on held-out data, and its weights.

In a directory of the training:

    epochs.tsv              scores after each epoch
    best/model.ckpt-STEP.*  weights after the best one, the first of equals, without the optimizer's

Both are written before the training's own checkpoint of that step. What they say up to the newest of these is settled;
what they say of later steps, a training that was killed says again when it goes on. The best of the settled epochs is
therefore kept until a later one is settled.
"""

import dataclasses
import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from common import files, inputs
from common.errors import InputError
from modeling import checkpoint

TABLE, BEST = "epochs.tsv", "best"


@dataclasses.dataclass(frozen=True)
class Epoch:
    """A row of the table: scores after an epoch."""

    epoch: int
    step: int
    precision: float  # in percent, like the next two
    recall: float
    f1: float
    loss: float


COLUMNS: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Epoch)}


class Selection:
    """Takes the scores after each epoch and keeps the weights of the best one.

    Args:
      directory: of the training.
      epoch_ends: a dict from step to epoch.

    Raises:
      InputError: the directory has scores of a training whose epochs end at other steps.
    """

    def __init__(self, directory: str, epoch_ends: Mapping[int, int]) -> None:
        self.directory, self.epoch_ends = directory, epoch_ends
        self.epochs = read_table(os.path.join(directory, TABLE))
        for row in self.epochs:
            if epoch_ends.get(row.step) != row.epoch:
                raise InputError(
                    f"{os.path.join(directory, TABLE)}: epoch {row.epoch} ended at step {row.step}; by this data, "
                    "--train_batch_size and --num_train_epochs it does not; use a new --output_dir"
                )

    def add(self, step: int, scores: Mapping[str, float], variables: Mapping[str, Any]) -> None:
        """Takes scores, a dict, at the end of an epoch, and the model's variables, a dict by name."""
        row = Epoch(self.epoch_ends[step], step, **scores)
        self.epochs = [*self._until(step - 1), row]
        if self.best() == row:
            write_weights(os.path.join(self.directory, BEST), step, variables)
        write_table(os.path.join(self.directory, TABLE), self.epochs)
        newest = checkpoint.newest(self.directory)
        settled = self._until(checkpoint.global_step(newest)) if newest else []
        self._keep({self.best(), best(settled)})

    def best(self) -> Epoch | None:
        """The `Epoch` of highest F1, the first of equals."""
        return best(self.epochs)

    def finish(self) -> str:
        """Removes all weights but the best; returns the prefix of their checkpoint.

        Raises:
          InputError: the training has ended without scores.
        """
        chosen = self.best()
        if not chosen:
            path = os.path.join(self.directory, TABLE)
            raise InputError(f"{path}: no scores, although the training has ended; use a new --output_dir")
        self._keep({chosen})
        return os.path.join(self.directory, BEST, checkpoint_name(chosen.step))

    def _until(self, step):
        return [row for row in self.epochs if row.step <= step]

    def _keep(self, rows):
        keep_only(os.path.join(self.directory, BEST), [row.step for row in rows if row])


def best(rows: Iterable[Epoch]) -> Epoch | None:
    """The one of highest F1, the first of equals; None of none."""
    return max(rows, key=lambda row: row.f1, default=None)


# The table


def read_table(path: str) -> list[Epoch]:
    """The rows of an `epochs.tsv`, a list of `Epoch`; none if there is no such file.

    Raises:
      InputError: it is no such table.
    """
    if not os.path.exists(path):
        return []
    rows = []
    for number, line in inputs.read_lines(path):
        fields = line.split("\t")
        try:
            if number > 1:
                rows.append(Epoch(*(convert(text) for convert, text in zip(COLUMNS.values(), fields, strict=True))))
            elif fields != list(COLUMNS):
                raise ValueError
        except ValueError:
            raise InputError(
                f"{path}, line {number}: {line!r}; expected {' '.join(COLUMNS)}, separated by tabs"
            ) from None
    return rows


def write_table(path: str, rows: Iterable[Epoch]) -> None:
    """Numbers are written in full, so that they are read as they were."""
    lines = ["\t".join(str(value) for value in dataclasses.astuple(row)) for row in rows]
    files.write_lines(path, ["\t".join(COLUMNS), *lines])


def format_table(rows: Sequence[Epoch]) -> str:
    """The rows for reading, the best of them marked."""
    lines = ["epoch    step  precision  recall      F1        loss"]
    for row in rows:
        mark = "  best" if row == best(rows) else ""
        scores = f"{row.precision:11.2f}{row.recall:8.2f}{row.f1:8.2f}"
        lines.append(f"{row.epoch:5d}{row.step:8d}{scores}{row.loss:12.4g}{mark}")
    return "\n".join(lines)


# Weights


def checkpoint_name(step: int) -> str:
    return f"model.ckpt-{step}"


def write_weights(directory: str, step: int, variables: Mapping[str, Any]) -> None:
    """Writes a checkpoint of a model's variables, a dict by name, without what training needs besides."""
    files.make_directory(directory)
    checkpoint.save(
        os.path.join(directory, checkpoint_name(step)), {**variables, checkpoint.GLOBAL_STEP: np.int64(step)}
    )


def keep_only(directory: str, steps: Iterable[int]) -> None:
    """Removes the checkpoints of all other steps from a directory, and what was left of unfinished ones."""
    names = [checkpoint_name(step) for step in sorted(steps)]
    paths = glob.glob(os.path.join(glob.escape(directory), "model.ckpt-*"))
    for path in sorted(paths, reverse=True):  # .index, without which a checkpoint is none, before .data
        if not re.fullmatch(rf"({'|'.join(map(re.escape, names))})\.(index|data-\d+-of-\d+)", os.path.basename(path)):
            os.unlink(path)
    checkpoint.write_state(directory, names)
