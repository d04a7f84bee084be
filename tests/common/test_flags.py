"""The flags of the fine-tuning scripts: the original's names and defaults, so that its commands run."""

import importlib

import pytest

from tests.helpers import programs

SHARED = {
    "init_checkpoint": None,
    "do_train": False,
    "do_predict": False,
    "train_batch_size": 32,
    "predict_batch_size": 8,
    "learning_rate": 5e-5,
    "warmup_proportion": 0.1,
    "save_checkpoints_steps": 1000,
    "iterations_per_loop": 1000,
    "use_tpu": False,
    "tpu_name": None,
    "tpu_zone": None,
    "gcp_project": None,
    "master": None,
    "num_tpu_cores": 8,
    "bert_config_file": None,
    "vocab_file": None,
    "output_dir": None,
}
DEFAULTS = {
    "run_ner": SHARED
    | {
        "data_dir": None,
        "task_name": "NER",
        "do_lower_case": False,
        "max_seq_length": 128,
        "do_train": True,
        "do_eval": False,
        "do_predict": True,
        "eval_batch_size": 8,
        "num_train_epochs": 10.0,
    },
    "run_re": SHARED
    | {
        "data_dir": None,
        "task_name": None,
        "do_lower_case": True,
        "max_seq_length": 128,
        "do_eval": False,
        "eval_batch_size": 8,
        "num_train_epochs": 3.0,
    },
    "run_qa": SHARED
    | {
        "train_file": None,
        "predict_file": None,
        "do_lower_case": True,
        "max_seq_length": 384,
        "doc_stride": 128,
        "max_query_length": 64,
        "num_train_epochs": 3.0,
        "n_best_size": 20,
        "max_answer_length": 30,
        "verbose_logging": False,
        "version_2_with_negative": False,
        "null_score_diff_threshold": 0.0,
    },
}


@pytest.mark.parametrize("script", sorted(DEFAULTS))
def test_defaults_are_the_original_s(script):
    with programs.flags_of(importlib.import_module(script)) as values:
        assert {name: values[name].default for name in DEFAULTS[script]} == DEFAULTS[script]
