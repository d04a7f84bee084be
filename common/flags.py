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
    flags.DEFINE_integer("train_batch_size", 32, "Examples per training step.", lower_bound=1)
    flags.DEFINE_float("learning_rate", 5e-5, "Highest learning rate of Adam.", lower_bound=0.0)
    flags.DEFINE_integer("save_checkpoints_steps", 1000, "Steps between checkpoints.", lower_bound=1)
    flags.DEFINE_integer("keep_checkpoint_max", 5, "Checkpoints to keep, the last ones.", lower_bound=1)
    flags.DEFINE_integer(
        "keep_checkpoint_every", 0, "Keep those of steps that this divides as well; 0: none.", lower_bound=0
    )
    flags.DEFINE_list(
        "profile_steps", None, "First and last step to profile for TensorBoard, for instance 20,30; or one step."
    )
    define_distribution_flags()


def define_distribution_flags():
    flags.DEFINE_enum(
        "distribution_strategy",
        "one_device",
        ["one_device", "mirrored", "multi_worker_mirrored", "tpu"],
        "Train on one device, on all of this machine, on those of several (named by TF_CONFIG or Slurm), or on a TPU.",
    )
    flags.DEFINE_integer("num_gpus", 0, "GPUs of this machine to use; 0: all that the strategy can.", lower_bound=0)
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "mixed_float16", "mixed_bfloat16"],
        "Of the computation; weights, optimizer and loss are float32 in each.",
    )
    flags.DEFINE_integer(
        "gradient_accumulation_steps",
        1,
        "Parts in which each device computes its share of --train_batch_size: the same result with less memory.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "recompute_grad", False, "Compute the inside of each layer twice instead of keeping it: less memory, slower."
    )


def distribution_values(values):
    """The flags of `define_distribution_flags` that `modeling.distribution.start` takes, in its order."""
    return values.distribution_strategy, values.num_gpus, values.precision, values.tpu_name


def training_values(values):
    """The flags of `define_model_flags` and `define_training_flags` that say how to train, by option name."""
    return {
        "learning_rate": values.learning_rate,
        "batch_size": values.train_batch_size,
        "save_checkpoints_steps": values.save_checkpoints_steps,
        "keep_checkpoint_max": values.keep_checkpoint_max,
        "keep_checkpoint_every": values.keep_checkpoint_every,
        "profile_steps": _profile_steps(values.profile_steps),
        "accumulation_steps": values.gradient_accumulation_steps,
        "recompute_grad": values.recompute_grad,
        "seed": values.seed,
    }


def _profile_steps(steps):
    if not steps:
        return None
    if len(steps) > 2 or not all(step.isascii() and step.isdigit() for step in steps) or int(steps[0]) > int(steps[-1]):
        raise InputError(f"--profile_steps={','.join(steps)}: expected a step, or the first and the last")
    return int(steps[0]), int(steps[-1])


def define_evaluation_flags():
    flags.DEFINE_integer("eval_batch_size", 8, "Examples an evaluation step.", lower_bound=1)


def define_data_flags():
    flags.DEFINE_string("data_dir", None, "Directory of the data set.")
    flags.mark_flag_as_required("data_dir")


def define_task_flags(max_seq_length, num_train_epochs=3.0, do_lower_case=True):
    """What the fine-tuning scripts share; the original's defaults differ."""
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool(
        "do_lower_case", do_lower_case, "Lower-case and strip accents: true for uncased models, false for cased ones."
    )
    flags.DEFINE_integer("max_seq_length", max_seq_length, "Longest sequence, in wordpieces.", lower_bound=3)
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


def define_annotator_flags():
    """Models that go over new text."""
    flags.DEFINE_multi_string(
        "ner_model",
        [],
        "[NAME=]directory of a model of run_ner.py; may be given several times. NAME, else the directory's own, is the "
        "type of entities whose labels have none.",
    )
    flags.DEFINE_string("re_model", None, "Directory of a model of run_re.py, for the pairs of entities in a sentence.")
    flags.DEFINE_bool(
        "abbreviations",
        True,
        "Make entities of the abbreviations that the text defines for an entity, disease (CKD), and give them its "
        "identifier.",
    )
    flags.DEFINE_multi_string(
        "terminology",
        [],
        "[TYPE=]FILE whose names give entities identifiers: OBO, a table (id, name, synonyms; CTD's files), a PubTator "
        "or BioC corpus. For entities of TYPE, or of several: TYPE,TYPE=FILE; without, of those that a corpus has, or "
        "of all. May be given several times.",
    )
    flags.DEFINE_string(
        "link_by_vectors",
        None,
        "Directory of a model whose vectors compare names with mentions that --terminology does not have: "
        "bert_config.json, vocab.txt and a checkpoint.",
    )
    flags.DEFINE_float(
        "min_linking_score", 0.75, "Similarity that a name must have to give an identifier; 1: the same name.", 0.0, 1.0
    )


def define_tpu_flags():
    """Flags of the original that are accepted so that its commands run; all but the first change nothing here."""
    flags.DEFINE_string("tpu_name", None, "Name or address of the TPU, with --distribution_strategy=tpu.")
    flags.DEFINE_bool("use_tpu", False, "Accepted for old commands; only false.")
    for name in ("tpu_zone", "gcp_project", "master"):
        flags.DEFINE_string(name, None, "Accepted for old commands; only unset.")
    flags.DEFINE_integer("num_tpu_cores", 8, "Accepted for old commands; no effect.")
    flags.DEFINE_integer("iterations_per_loop", 1000, "Accepted for old commands; no effect.")


def check_tpu_flags(values):
    """Refuses what `define_tpu_flags` accepts by name but this program cannot do."""
    if values.use_tpu:
        raise InputError("--use_tpu=true: expected --distribution_strategy=tpu instead, or no such flag for GPU or CPU")
    if values.tpu_name and values.distribution_strategy != "tpu":
        raise InputError(f"--tpu_name={values.tpu_name}: expected --distribution_strategy=tpu with it")
    for name in ("tpu_zone", "gcp_project", "master"):
        if getattr(values, name):
            raise InputError(f"--{name}={getattr(values, name)}: not supported; leave it out")
