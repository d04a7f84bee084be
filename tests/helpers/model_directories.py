"""Directories of tiny fine-tuned models with random weights, for the tests of what uses models."""

import json

import numpy as np

from data_prep.tasks import label_map
from fine_tuning import model_directory
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import SequenceClassifier, SpanClassifier, TokenClassifier

CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}


def make_model_directory(path, pieces, task, labels=None, do_lower_case=False, max_seq_length=24, **settings):
    """Writes a model whose weights make for varied predictions, and reads its `ModelDirectory`."""
    path.mkdir()
    config = {**CONFIG, "vocab_size": len(pieces)}
    settings = {"task": task, "do_lower_case": do_lower_case, "max_seq_length": max_seq_length, **settings}
    (path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    (path / "bert_config.json").write_text(json.dumps(config))
    (path / "fine_tuning.json").write_text(json.dumps(settings))
    if labels:
        label_map.write(str(path), labels)
        model = (TokenClassifier if task == "ner" else SequenceClassifier)(BertConfig.from_dict(config), len(labels))
    else:
        model = SpanClassifier(BertConfig.from_dict(config))
    model.build()
    rng = np.random.default_rng(1)
    tensors = {
        name: (rng.normal(0, 0.3, variable.shape) + name.endswith("gamma")).astype(np.float32)
        for name, variable in checkpoint.model_variables(model).items()
    }
    checkpoint.save(str(path / "model.ckpt-1"), tensors)
    return model_directory.read(str(path), task)
