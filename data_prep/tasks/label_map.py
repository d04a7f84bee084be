"""The labels of a model, index by index, as a file beside its checkpoints: `label_map.json`, from label to index."""

import json
import os
from collections.abc import Iterable

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_json

FILE_NAME = "label_map.json"


def write(directory: str, labels: Iterable[str]) -> None:
    with atomic_write(os.path.join(directory, FILE_NAME)) as file:
        json.dump({label: index for index, label in enumerate(labels)}, file, indent=1)


def read(directory: str, required: Iterable[str] = ()) -> list[str] | None:
    """The labels that a model in `directory` was trained with; None if it does not say.

    Raises:
      InputError: the file is damaged, or lacks one of the labels that are required.
    """
    path = os.path.join(directory, FILE_NAME)
    if not os.path.exists(path):
        return None
    label_map = read_json(path, "a label map, JSON from label to index")
    try:
        labels = sorted(label_map, key=label_map.get)
        if [label_map[label] for label in labels] != list(range(len(labels))):
            raise ValueError("indices are not 0, 1, 2, ...")
        if split := [label for label in labels if len(label.splitlines()) != 1 or "\t" in label]:
            raise ValueError(f"{split[0]!r}, where a label is part of a line")
        if missing := [label for label in required if label not in labels]:
            raise ValueError(f"no {missing[0]}")
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a label map ({error}); expected JSON from label to index") from None
    return labels
