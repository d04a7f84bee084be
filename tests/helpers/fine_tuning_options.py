"""Options of a fine-tuning as `main` would build them."""

from fine_tuning.options import Options
from modeling.training import TrainingOptions


def fine_tuning_options(task, output_dir, training=None, **changes):
    """`Options` of a small training; `training` changes its `TrainingOptions`, `changes` the rest."""
    steps = {"num_train_steps": 0, "num_warmup_steps": 0}  # which depend on the data
    values = {"learning_rate": 1e-3, "batch_size": 16, "seed": 3} | (training or {})
    defaults = {
        "init_checkpoint": None,
        "bert_config_file": "bert_config.json",
        "vocab_file": "vocab.txt",
        "do_lower_case": False,
        "max_seq_length": 16,
        "num_train_epochs": 4.0,
        "warmup_proportion": 0.1,
        "pad_to": None,
        "xla": "false",
    }
    options = TrainingOptions(output_dir=output_dir, **steps, **values)
    return Options(task=task, output_dir=output_dir, training=options, **defaults | changes)
