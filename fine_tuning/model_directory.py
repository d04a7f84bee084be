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
import json
import os
import shutil

from common.errors import InputError
from common.files import atomic_write
from common.inputs import read_json
from data_prep.tasks import label_map
from data_prep.text.tokenization import FullTokenizer
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import SequenceClassifier, SpanClassifier, TokenClassifier

FILE_NAME = "fine_tuning.json"
CONFIG_FILE, VOCAB_FILE = "bert_config.json", "vocab.txt"
SCRIPTS = {"ner": "run_ner.py", "re": "run_re.py", "qa": "run_qa.py"}
# What fine_tuning.json has to hold, of any task and of each; of relations also negative_label, which may be null.
SETTINGS = {"task": str, "do_lower_case": bool, "max_seq_length": int}
SETTINGS_OF = {
    "ner": {},
    "re": {"entity_pairs": list, "mask_others": bool, "lower_case": bool},
    "qa": {"question_type": str, "doc_stride": int, "max_query_length": int, "version_2_with_negative": bool},
}


@dataclasses.dataclass(frozen=True)
class ModelDirectory:
    """What a directory holds, but for the weights."""

    path: str
    task: str  # ner, re or qa
    config: BertConfig
    tokenizer: FullTokenizer
    max_seq_length: int
    labels: list | None  # in the order of the outputs; None: a span
    settings: dict  # all of fine_tuning.json

    def load(self):
        """The model with its weights, a Keras layer of `modeling.heads`.

        Raises:
          InputError: no checkpoint, or one of another model.
        """
        config = dataclasses.replace(self.config, initializer_range=0.0)  # all weights come from the checkpoint
        if self.task == "ner":
            model = TokenClassifier(config, len(self.labels))
        elif self.labels:
            model = SequenceClassifier(config, len(self.labels))
        else:
            model = SpanClassifier(config)
        model.build()
        checkpoint.load_trained(model, self.path, None)
        return model


def write(directory, values, task, **settings):
    """Writes what a model directory holds beside labels and weights.

    Args:
      directory: path.
      values: the flags of the training: `bert_config_file`, `vocab_file`, `do_lower_case`, `max_seq_length`.
      task: ner, re or qa.
      settings: what else goes into fine_tuning.json.
    """
    for source, name in [(values.bert_config_file, CONFIG_FILE), (values.vocab_file, VOCAB_FILE)]:
        target = os.path.join(directory, name)
        if os.path.realpath(source) != os.path.realpath(target):
            with open(source, "rb") as original, atomic_write(target, "wb") as copy:
                shutil.copyfileobj(original, copy)
    settings = {
        "task": task,
        "do_lower_case": values.do_lower_case,
        "max_seq_length": values.max_seq_length,
        **settings,
    }
    with atomic_write(os.path.join(directory, FILE_NAME)) as file:
        json.dump(settings, file, indent=1)


def read(path, task=None):
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
    _check_settings(file, settings, SETTINGS)
    if settings["task"] not in SCRIPTS or task not in (None, settings["task"]):
        trained = SCRIPTS.get(settings["task"], settings["task"])
        raise InputError(f"{path}: a model of {trained}; expected one of {scripts}")
    task = settings["task"]
    _check_settings(file, settings, SETTINGS_OF[task])
    labels = label_map.read(path)
    if labels is None and (task != "qa" or settings.get("question_type") == "yesno"):
        raise InputError(f"{path}: no {label_map.FILE_NAME}; expected the labels of the model")
    config = BertConfig.from_json_file(os.path.join(path, CONFIG_FILE))
    tokenizer = FullTokenizer(os.path.join(path, VOCAB_FILE), settings["do_lower_case"])
    config.check_vocabulary(tokenizer.vocab_size, os.path.join(path, VOCAB_FILE))
    config.check_sequence_length(settings["max_seq_length"])
    if not checkpoint.newest(path):
        raise InputError(f"{path}: no checkpoint; expected a model whose training has ended")
    return ModelDirectory(path, task, config, tokenizer, settings["max_seq_length"], labels, settings)


def _check_settings(file, settings, expected):
    if not isinstance(settings, dict) or not all(type(settings.get(name)) is kind for name, kind in expected.items()):
        raise InputError(f"{file}: expected {', '.join(expected)}")
