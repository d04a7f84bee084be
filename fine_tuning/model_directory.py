"""A directory that holds a fine-tuned model and all that is needed to use it.

    fine_tuning.json    {"task": "ner", "do_lower_case": false, "max_seq_length": 128}
    bert_config.json    the architecture
    vocab.txt           the wordpieces
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
from common.inputs import check_keys, read_json
from data_prep.tasks import label_map, ner
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import tasks
from fine_tuning.options import Options
from fine_tuning.tasks import COMMON_KEYS, SCRIPTS, Task
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
        checkpoint.check_config(self.config, self.path)
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
    common = {name: getattr(options, name) for name in COMMON_KEYS if name != "task"}
    with atomic_write(os.path.join(options.output_dir, FILE_NAME)) as file:
        json.dump({"task": options.task.name, **common, **settings}, file, indent=1)


def check(options: Options) -> None:
    """Compares options with the model of the output directory, if there is one.

    Raises:
      InputError: it was trained with another case, length, vocabulary or architecture.
    """
    directory = options.output_dir
    path = os.path.join(directory, FILE_NAME)
    if not checkpoint.newest(directory) or not os.path.exists(path):
        return
    settings = read_json(path, "what a model was fine-tuned for")
    check_keys(settings, COMMON_KEYS, path)
    for name in ("do_lower_case", "max_seq_length"):
        if settings[name] != getattr(options, name):
            now, before = (json.dumps(value) for value in (getattr(options, name), settings[name]))
            raise InputError(
                f"--{name}={now}: the model in {directory} was trained with --{name}={before}; use a new --output_dir"
            )
    for flag, file in (("vocab_file", VOCAB_FILE), ("bert_config_file", CONFIG_FILE)):
        there = os.path.join(directory, file)
        if os.path.exists(there) and sha256(there) != sha256(getattr(options, flag)):
            raise InputError(
                f"--{flag}={getattr(options, flag)}: another content than {there}, which the model there was trained "
                "with; use a new --output_dir"
            )


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
    check_keys(settings, COMMON_KEYS, file)
    found = tasks.find(settings)
    if not found or task not in (None, found.name):
        trained = SCRIPTS.get(settings["task"], settings["task"])
        raise InputError(f"{path}: a model of {trained}; expected one of {scripts}")
    check_keys(settings, found.keys, file)
    room = settings["max_seq_length"] - settings.get("max_query_length", 0)
    if "max_query_length" in found.keys and room <= 3:
        raise InputError(
            f"{file}: max_seq_length is {settings['max_seq_length']}; expected more than max_query_length and 3"
        )
    labels = label_map.read(path)
    if labels is None and found is not tasks.QA:
        raise InputError(f"{path}: no {label_map.FILE_NAME}; expected the labels of the model")
    negative = settings.get("negative_label")
    if negative is not None and negative not in (labels or []):
        raise InputError(f"{file}: negative_label is {negative!r}; expected one of {', '.join(labels or [])}, or null")
    config = BertConfig.from_json_file(os.path.join(path, CONFIG_FILE))
    tokenizer = FullTokenizer(os.path.join(path, VOCAB_FILE), settings["do_lower_case"])
    config.check_vocabulary(tokenizer.vocab_size, os.path.join(path, VOCAB_FILE))
    config.check_sequence_length(settings["max_seq_length"], f"{file}: max_seq_length")
    if not checkpoint.newest(path):
        raise InputError(f"{path}: no checkpoint; expected a model whose training has ended")
    if labels and found is tasks.NER:
        labels = ner.in_bio(labels, os.path.join(path, label_map.FILE_NAME))
    return ModelDirectory(path, found, config, tokenizer, settings["max_seq_length"], labels, settings)


def digest(path: str) -> str:
    """A digest of a model: of its files but the weights, of which the index of their checkpoint has checksums."""
    names = [FILE_NAME, CONFIG_FILE, VOCAB_FILE, label_map.FILE_NAME]
    files = [os.path.join(path, name) for name in names] + [f"{checkpoint.newest(path)}.index"]
    return hashlib.sha256("".join(sha256(file) for file in files if os.path.exists(file)).encode()).hexdigest()
