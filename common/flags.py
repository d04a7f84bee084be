"""Flag definitions that several programs share, with the original's names and defaults.

Each function defines a group; a script calls those it needs before absl parses the command line.
"""

from absl import flags

from common.errors import InputError


def define_model_flags():
    flags.DEFINE_string("bert_config_file", None, "bert_config.json: the architecture of the model.")
    flags.DEFINE_string(
        "init_checkpoint",
        None,
        "Checkpoint to start from, usually of a pre-trained BERT: its prefix, with or without step number, "
        "or its directory.",
    )
    flags.DEFINE_string("output_dir", None, "Directory for checkpoints and results.")
    flags.DEFINE_integer("seed", 12345, "Seed of initial weights, data order and dropout.", 0, 2**31 - 2)
    flags.DEFINE_enum(
        "xla",
        "auto",
        ["auto", "true", "false"],
        "Compile the training step with XLA; auto: on a GPU.",
    )
    flags.mark_flags_as_required(["bert_config_file", "output_dir"])


def define_training_flags():
    flags.DEFINE_integer("train_batch_size", 32, "Examples a training step.", lower_bound=1)
    flags.DEFINE_float("learning_rate", 5e-5, "Highest learning rate of Adam.", lower_bound=0.0)
    flags.DEFINE_integer("save_checkpoints_steps", 1000, "Steps between checkpoints.", lower_bound=1)
    flags.DEFINE_integer("keep_checkpoint_max", 5, "Checkpoints to keep.", lower_bound=1)


def training_values(values):
    """The flags of `define_model_flags` and `define_training_flags` that say how to train, by option name."""
    return {
        "learning_rate": values.learning_rate,
        "batch_size": values.train_batch_size,
        "save_checkpoints_steps": values.save_checkpoints_steps,
        "keep_checkpoint_max": values.keep_checkpoint_max,
        "seed": values.seed,
    }


def define_evaluation_flags():
    flags.DEFINE_integer("eval_batch_size", 8, "Examples an evaluation step.", lower_bound=1)


def define_data_flags():
    flags.DEFINE_string("data_dir", None, "Directory of the data set.")
    flags.mark_flag_as_required("data_dir")


def define_task_flags(max_seq_length=128, num_train_epochs=3.0, do_lower_case=True):
    """What the fine-tuning scripts share; the original's defaults differ."""
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool(
        "do_lower_case", do_lower_case, "Lower-case and strip accents: true for uncased models, false for cased ones."
    )
    flags.DEFINE_integer("max_seq_length", max_seq_length, "Longest sequence, in pieces.", lower_bound=3)
    flags.DEFINE_integer("predict_batch_size", 8, "Examples a prediction step.", lower_bound=1)
    flags.DEFINE_float("num_train_epochs", num_train_epochs, "Passes over the training data.", lower_bound=0.0)
    flags.DEFINE_float(
        "warmup_proportion",
        0.1,
        "Share of the steps with rising learning rate.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_bool(
        "pad_to_max_seq_length",
        False,
        "The original's way: pad every sequence to --max_seq_length; in NER and QA its padding counts in the loss.",
    )
    flags.mark_flag_as_required("vocab_file")


def define_tpu_flags():
    """Flags of the original that are accepted so that its commands run; they change nothing here."""
    flags.DEFINE_bool("use_tpu", False, "Accepted for old commands; only false.")
    for name in ("tpu_name", "tpu_zone", "gcp_project", "master"):
        flags.DEFINE_string(name, None, "Accepted for old commands; only unset.")
    flags.DEFINE_integer("num_tpu_cores", 8, "Accepted for old commands; no effect.")
    flags.DEFINE_integer("iterations_per_loop", 1000, "Accepted for old commands; no effect.")


def check_tpu_flags(values):
    """Refuses what `define_tpu_flags` accepts by name but this program cannot do."""
    if values.use_tpu:
        raise InputError("--use_tpu=true: TPUs are not supported; leave it out to run on GPU or CPU")
    for name in ("tpu_name", "tpu_zone", "gcp_project", "master"):
        if getattr(values, name):
            raise InputError(f"--{name}={getattr(values, name)}: TPUs and clusters are not supported; leave it out")
