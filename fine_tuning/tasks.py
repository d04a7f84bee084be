"""The tasks, each described in one place for training, prediction, export and conversion.

What a task reads and how its output becomes results is in `data_prep.tasks` (`ner`, `relations`, `questions` and
`answers`); here is what a model of it is.

Dimensions:
  B  batch size
  F  sequence length
  L  number of labels
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from common.inputs import Key
from data_prep.records import records
from data_prep.tasks import questions
from modeling import hugging_face
from modeling.config import BertConfig
from modeling.heads import SequenceClassifier, SpanClassifier, TokenClassifier


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model is fine-tuned for."""

    name: str  # in fine_tuning.json
    script: str  # that trains it
    architecture: str  # the class of transformers with the same head
    # From config, num_labels to a layer of `modeling.heads`, not built.
    make_head: Callable[[BertConfig, int], keras.layers.Layer]
    head_variables: tuple[str, ...]  # prefixes of those that a pre-trained checkpoint may lack
    # From vocab_size, num_labels, max_seq_length to the features of its records.
    make_features: Callable[[int, int, int], dict[str, records.Feature]]
    decode: Callable[[Any], dict[str, tf.Tensor]]  # the head's output, logits, to tensors [B, ...]
    padding_counts: bool  # in the original's loss, which --pad_to_max_seq_length brings back
    max_seq_length: int  # wordpieces, the script's default
    settings: dict[str, Any]  # what fine_tuning.json holds of it beside `COMMON_KEYS`, with defaults
    keys: dict[str, Key]  # what these may be


COMMON_KEYS = {"task": Key(str), "do_lower_case": Key(bool), "max_seq_length": Key(int, low=3)}
QA_KEYS = {
    "question_type": Key(str, choices=questions.TYPES),
    "doc_stride": Key(int, low=1),
    "max_query_length": Key(int, low=1),
    "version_2_with_negative": Key(bool),
}
QA_SETTINGS = {
    "question_type": questions.FACTOID,
    "doc_stride": 128,
    "max_query_length": 64,
    "version_2_with_negative": False,
}


def _label_tokens(logits):
    """From float32 [B, F, L] to int32 and float32 [B, F]."""
    return {
        "labels": tf.argmax(logits, axis=-1, output_type=tf.int32),
        "confidences": tf.reduce_max(tf.nn.softmax(logits), axis=-1),
    }


def _classify(logits):
    """Float32 [B, L] to the same."""
    return {"probabilities": tf.nn.softmax(logits)}


def _score_spans(logits):
    """From two float32 [B, F] to the same."""
    return dict(zip(("start", "end"), logits, strict=True))


NER = Task(
    name="ner",
    script="run_ner.py",
    architecture=hugging_face.TOKENS,
    make_head=TokenClassifier,
    head_variables=("output_", "bert/pooler/"),  # of which it does not read the pooler
    make_features=lambda vocab_size, num_labels, _: records.token_features(vocab_size, num_labels),
    decode=_label_tokens,
    padding_counts=True,
    max_seq_length=128,
    settings={},
    keys={},
)
RE = Task(
    name="re",
    script="run_re.py",
    architecture=hugging_face.SEQUENCES,
    make_head=SequenceClassifier,
    head_variables=("output_", "bert/pooler/"),
    make_features=lambda vocab_size, num_labels, _: records.label_features(vocab_size, num_labels),
    decode=_classify,
    padding_counts=False,
    max_seq_length=128,
    settings={"negative_label": None, "entity_pairs": [], "mask_others": False, "lower_case": False},
    keys={
        "entity_pairs": Key(list),
        "mask_others": Key(bool),
        "lower_case": Key(bool),
        "negative_label": Key(str, needed=False, may_be_null=True),
    },
)
QA = Task(
    name="qa",
    script="run_qa.py",
    architecture=hugging_face.SPANS,
    make_head=lambda config, _: SpanClassifier(config),
    head_variables=("cls/squad/", "bert/pooler/"),
    make_features=lambda vocab_size, _, max_seq_length: records.span_features(vocab_size, max_seq_length),
    decode=_score_spans,
    padding_counts=True,
    max_seq_length=384,
    settings=QA_SETTINGS,
    keys=QA_KEYS,
)
YES_NO = dataclasses.replace(
    RE,
    name=QA.name,
    script=QA.script,
    max_seq_length=QA.max_seq_length,
    settings=QA_SETTINGS | {"question_type": questions.YES_NO_TYPE},
    keys=QA_KEYS,
)
TASKS = (NER, RE, QA, YES_NO)
SCRIPTS = {task.name: task.script for task in TASKS}


def find(settings: Mapping[str, Any]) -> Task | None:
    """The Task that fine_tuning.json's settings are of; None if there is none."""
    is_yes_no = settings.get("question_type") == questions.YES_NO_TYPE
    found = [task for task in TASKS if task.name == settings.get("task")]
    return (found[-1] if is_yes_no else found[0]) if found else None
