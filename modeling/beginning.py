"""What a training begins from, noted in its output directory, so that another one does not go on there.

    {"init_checkpoint": "bert/model.ckpt", "sha256": "...", "seed": 1,
     "flags": {"train_batch_size": 32, ...}, "files": {"train_dev.tsv": "...", ...}}

`sha256` is of the weights of the initial checkpoint, wherever that lies, and so are those of `files` of their content.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from common import files, inputs
from common.errors import InputError
from common.inputs import Key
from modeling import checkpoint, distribution

FILE_NAME = "initial_weights.json"
# Without the last two, the directory was made before they were noted.
KEYS = {
    "init_checkpoint": Key(str, may_be_null=True),
    "sha256": Key(str),
    "seed": Key(int),
    "flags": Key(dict, needed=False),
    "files": Key(dict, needed=False),
}


@dataclasses.dataclass(frozen=True)
class Beginning:
    """What a training begins from, and what its result depends on."""

    init_checkpoint: str | None  # the flag
    sha256: str
    seed: int
    flags: Mapping[str, Any]  # by name
    files: Mapping[str, str]  # from what it is called to the SHA-256 of its content

    def check(self, output_dir: str) -> None:
        """Compares with what is noted in a directory that has a checkpoint.

        A directory with checkpoints and without a note was made before there were any, and passes.

        Raises:
          InputError: the training in there began otherwise.
        """
        path = os.path.join(output_dir, FILE_NAME)
        if not checkpoint.newest(output_dir) or not os.path.exists(path):
            return
        before = inputs.read_json(path, "what the training began from", lone_surrogates=True)
        inputs.check_keys(before, KEYS, path)
        if before["sha256"] != self.sha256:
            raise InputError(
                f"--init_checkpoint={self.init_checkpoint or ''}: other weights than those from which the training in "
                f"{output_dir} began, --init_checkpoint={before['init_checkpoint'] or ''}; use a new --output_dir"
            )
        for name, digest in before.get("files", {}).items():
            if name in self.files and self.files[name] != digest:
                raise InputError(
                    f"{name}: other content than that with which the training in {output_dir} began (SHA-256 "
                    f"{self.files[name][:12]}, then {str(digest)[:12]}); use a new --output_dir"
                )
        flags = {"seed": self.seed, **self.flags}
        for name, value in {"seed": before["seed"], **before.get("flags", {})}.items():
            if name in flags and flags[name] != value:
                raise InputError(
                    f"--{name}={_show(flags[name])}: the training in {output_dir} began with --{name}={_show(value)}; "
                    "use a new --output_dir"
                )

    def write(self, output_dir: str) -> None:
        """Notes it in a directory without a checkpoint; in one with, the note is there. One worker of several does."""
        if distribution.is_chief() and not checkpoint.newest(output_dir):
            lines = [json.dumps(dataclasses.asdict(self), indent=1)]
            files.write_lines(os.path.join(output_dir, FILE_NAME), lines)


def describe(
    model: keras.layers.Layer,
    loaded: Iterable[str],
    init_checkpoint: str | None,
    seed: int,
    flags: Mapping[str, Any],
    contents: Mapping[str, str],
) -> Beginning:
    """The `Beginning` of a training.

    Args:
      model: with the weights of the initial checkpoint.
      loaded: names of these.
      init_checkpoint: the flag, or None.
      seed: of all that is random.
      flags: others on which the result depends, by name.
      contents: the SHA-256 of the data, from what they are called.
    """
    variables = checkpoint.model_variables(model)
    digest = hashlib.sha256()
    for name in sorted(loaded):
        digest.update(name.encode())
        digest.update(variables[name].numpy())
    return Beginning(init_checkpoint, digest.hexdigest(), seed, flags, contents)


def _show(value):
    """A flag as it is typed."""
    return json.dumps(value) if isinstance(value, bool) else str(value)
