"""A directory that holds a fine-tuned model and all that is needed to use it.

    fine_tuning.json    {"task": "ner", "do_lower_case": false, "max_seq_length": 128}
    bert_config.json    the architecture
    vocab.txt           the pieces
    label_map.json      from label to output; not where a model answers by a span
    model.ckpt-N.*      the weights; the newest count

`fine_tuning.json` has besides, of RE: `negative_label`, and what `tasks.relations.TextDescription` says of the
training data, such as `"entity_pairs": [["@DISEASE$", "@GENE$"]]`; of QA: `question_type`, `doc_stride`,
`max_query_length`, `version_2_with_negative`.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from typing import Any

import keras

from common.errors import InputError
from common.files import atomic_write, sha256
from common.inputs import read_json
from data_prep.tasks import label_map, ner
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import tasks
from fine_tuning.options import Options
from fine_tuning.tasks import COMMON_SETTINGS, SCRIPTS, Task
from modeling import checkpoint
from modeling.config import BertConfig

FILE_NAME = "fine_tuning.json"
CONFIG_FILE, VOCAB_FILE = "bert_config.json", "vocab.txt"


@dataclasses.dataclass(frozen=True)
class ModelDirectory:
    """What a directory holds, but for the weights."""

    path: str
    task: Task
    config: BertConfig
    tokenizer: FullTokenizer
    max_seq_length: int
    # In the order of the outputs; None: a span, whose users do not ask for labels (hence Any).
    labels: list[str] | Any
    settings: dict[str, Any]  # all of fine_tuning.json

    def load(self) -> keras.layers.Layer:
        """The model with its weights, a Keras layer of `modeling.heads`.

        Raises:
          InputError: no checkpoint, or one of another model.
        """
        config = dataclasses.replace(self.config, initializer_range=0.0)  # all weights come from the checkpoint
        model = self.task.make_head(config, len(self.labels or ()))
        model.build()
        checkpoint.load_trained(model, self.path, None)
        return model


def write(options: Options, **settings: Any) -> None:
    """Writes what a model directory holds beside labels and weights.

    Args:
      options: `training.Options`.
      settings: those of the task.
    """
    for source, name in [(options.bert_config_file, CONFIG_FILE), (options.vocab_file, VOCAB_FILE)]:
        target = os.path.join(options.output_dir, name)
        if os.path.realpath(source) != os.path.realpath(target):
            with open(source, "rb") as original, atomic_write(target, "wb") as copy:
                shutil.copyfileobj(original, copy)
    common = {name: getattr(options, name) for name in COMMON_SETTINGS if name != "task"}
    with atomic_write(os.path.join(options.output_dir, FILE_NAME)) as file:
        json.dump({"task": options.task.name, **common, **settings}, file, indent=1)


def read(path: str, task: str | None = None) -> ModelDirectory:
    """Reads a `ModelDirectory`.

    Args:
      path: the directory.
      task: ner, re or qa; None for any.

    Raises:
      InputError: it is none, it is of another task, or a file in it is damaged.
    """
    scripts = SCRIPTS[task] if task else " or ".join(SCRIPTS.values())
    if not os.path.isdir(path):
        raise InputError(f"{path}: no such directory; expected one that {scripts} trained a model in")
    file = os.path.join(path, FILE_NAME)
    if not os.path.exists(file):
        hint = ""
        if checkpoint.newest(path):
            hint = "; the command that trained the model, given once more, adds what is missing and trains no more"
        raise InputError(f"{path}: no {FILE_NAME}; expected a directory that {scripts} trained a model in{hint}")
    settings = read_json(file, "what a model was fine-tuned for")
    _check_settings(file, settings, COMMON_SETTINGS)
    found = tasks.find(settings)
    if not found or task not in (None, found.name):
        trained = SCRIPTS.get(settings["task"], settings["task"])
        raise InputError(f"{path}: a model of {trained}; expected one of {scripts}")
    _check_settings(file, settings, {name: type(value) for name, value in found.settings.items() if value is not None})
    labels = label_map.read(path)
    if labels is None and found is not tasks.QA:
        raise InputError(f"{path}: no {label_map.FILE_NAME}; expected the labels of the model")
    config = BertConfig.from_json_file(os.path.join(path, CONFIG_FILE))
    tokenizer = FullTokenizer(os.path.join(path, VOCAB_FILE), settings["do_lower_case"])
    config.check_vocabulary(tokenizer.vocab_size, os.path.join(path, VOCAB_FILE))
    config.check_sequence_length(settings["max_seq_length"])
    if not checkpoint.newest(path):
        raise InputError(f"{path}: no checkpoint; expected a model whose training has ended")
    if labels and found is tasks.NER:
        labels = ner.in_bio(labels)
    return ModelDirectory(path, found, config, tokenizer, settings["max_seq_length"], labels, settings)


def digest(path: str) -> str:
    """A digest of a model: of its files but the weights, of which the index of their checkpoint has checksums."""
    names = [FILE_NAME, CONFIG_FILE, VOCAB_FILE, label_map.FILE_NAME]
    files = [os.path.join(path, name) for name in names] + [f"{checkpoint.newest(path)}.index"]
    return hashlib.sha256("".join(sha256(file) for file in files if os.path.exists(file)).encode()).hexdigest()


def _check_settings(file, settings, expected):
    if not isinstance(settings, dict) or not all(type(settings.get(name)) is kind for name, kind in expected.items()):
        raise InputError(f"{file}: expected {', '.join(expected)}")
