r"""Pre-trains BERT on masked language modelling and next sentence prediction, or evaluates it.

    python run_pretraining.py --input_file='shards/*.tfrecord' --output_dir=$OUTPUT_DIR \
        --do_train=true --do_eval=true --bert_config_file=$BERT_DIR/bert_config.json \
        --init_checkpoint=$BERT_DIR/bert_model.ckpt --train_batch_size=32 --max_seq_length=128 \
        --max_predictions_per_seq=20 --num_train_steps=20 --num_warmup_steps=10 --learning_rate=2e-5

reads what `python -m data_prep.create_pretraining_data` wrote, with the same `--max_seq_length` and
`--max_predictions_per_seq`, and writes checkpoints and `eval_results.txt`. Expected after 20 steps on the
original's sample text, as in Google BERT's README: masked_lm_accuracy 0.985, next_sentence_accuracy 1.0.
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import keras
import tensorflow as tf
from absl import flags

from common import errors, files, inputs
from common import flags as shared_flags
from data_prep.corpus import manifest
from data_prep.records import records
from modeling import beginning, checkpoint, distribution, flops, losses, unpadding
from modeling.config import BertConfig
from modeling.heads import PretrainingModel
from modeling.training import TrainingOptions, run_batches, train, use_xla

FLAGS = flags.FLAGS


def define_flags():
    shared_flags.define_model_flags()
    shared_flags.define_training_flags()
    shared_flags.define_evaluation_flags()
    shared_flags.define_tpu_flags()
    flags.DEFINE_string("input_file", None, "TFRecord files: paths or patterns, separated by commas.")
    flags.DEFINE_string("eval_input_file", None, "TFRecord files to evaluate on; --input_file if not given.")
    flags.DEFINE_bool("do_train", False, "Train.")
    flags.DEFINE_bool("do_eval", False, "Evaluate, after the training if any.")
    flags.DEFINE_integer("max_seq_length", 128, "Length of the records' sequences.", lower_bound=3)
    flags.DEFINE_integer("max_predictions_per_seq", 20, "Masked positions per record.", lower_bound=1)
    flags.DEFINE_integer("num_train_steps", 100000, "Steps of the whole run.", lower_bound=1)
    flags.DEFINE_integer("num_warmup_steps", 10000, "Steps with rising learning rate.", lower_bound=0)
    flags.DEFINE_integer("max_eval_steps", 100, "Evaluation steps; the data is repeated as needed.", lower_bound=1)
    flags.DEFINE_integer(
        "eval_every", 0, "Evaluate on --eval_input_file every so many training steps; 0: never.", lower_bound=0
    )
    flags.DEFINE_float(
        "peak_tflops",
        None,
        "What one device can do, in 10^12 operations a second; TensorBoard then shows the share used on real tokens.",
        lower_bound=0.0,
    )
    flags.mark_flag_as_required("input_file")


def main(_):
    if not (FLAGS.do_train or FLAGS.do_eval):
        raise errors.InputError("nothing to do: expected --do_train or --do_eval")
    if FLAGS.eval_every and not FLAGS.eval_input_file:
        raise errors.InputError("--eval_every: expected --eval_input_file with it, files that are not trained on")
    shared_flags.check_tpu_flags(FLAGS)
    distribution.start(*shared_flags.distribution_values(FLAGS))
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    config.check_sequence_length(FLAGS.max_seq_length)
    if FLAGS.init_checkpoint:
        checkpoint.check_config(config, FLAGS.init_checkpoint)
    features = records.pretraining_features(FLAGS.max_seq_length, FLAGS.max_predictions_per_seq, config.vocab_size)
    input_files = find_files(FLAGS.input_file, features)
    eval_files = find_files(FLAGS.eval_input_file, features) if FLAGS.eval_input_file else input_files
    files.make_directory(FLAGS.output_dir)
    keras.utils.set_random_seed(FLAGS.seed)

    model = PretrainingModel(config)
    model.build()
    evaluate_model = functools.partial(
        evaluate, model, eval_files, features, FLAGS.eval_batch_size, FLAGS.max_eval_steps
    )
    with files.locked(FLAGS.output_dir) if distribution.is_chief() else contextlib.nullcontext():
        if FLAGS.do_train:
            begin(model, input_files, FLAGS)
            options = TrainingOptions(
                output_dir=FLAGS.output_dir,
                num_train_steps=FLAGS.num_train_steps,
                num_warmup_steps=FLAGS.num_warmup_steps,
                xla=use_xla(FLAGS.xla),
                evaluate_at=range(0, FLAGS.num_train_steps + 1, FLAGS.eval_every) if FLAGS.eval_every else (),
                flops_per_token=flops.training(config, FLAGS.max_seq_length, FLAGS.max_predictions_per_seq)
                / FLAGS.max_seq_length,
                peak_flops=FLAGS.peak_tflops and FLAGS.peak_tflops * 1e12,
                **shared_flags.training_values(FLAGS),
            )
            global_step = pretrain(model, input_files, features, options, evaluate_model)
        else:
            global_step = checkpoint.load_trained(model, FLAGS.output_dir, FLAGS.init_checkpoint)
        if FLAGS.do_eval and distribution.is_chief():
            metrics = {**evaluate_model(), "global_step": global_step}
            lines = [f"{key} = {metrics[key]}" for key in sorted(metrics)]
            print("***** evaluation *****", *lines, sep="\n", flush=True)
            files.write_lines(os.path.join(FLAGS.output_dir, "eval_results.txt"), lines)


def begin(model, input_files, values):
    """Loads the initial weights; checks and notes in the output directory what the training begins from.

    The files count by names and sizes: they are too large to be read for it, and a manifest has their checksums.
    """
    loaded = ()
    if values.init_checkpoint:
        loaded, _, _ = checkpoint.load_weights(model, values.init_checkpoint, optional=("cls/",))
    names = ("train_batch_size", "learning_rate", "num_train_steps", "num_warmup_steps", "max_seq_length")
    flags_of_result = {name: values[name].value for name in (*names, "max_predictions_per_seq")}
    listed = "\n".join(f"{os.path.basename(path)} {os.path.getsize(path)}" for path in input_files)
    contents = {"input_file": hashlib.sha256(os.fsencode(listed)).hexdigest()}
    now = beginning.describe(model, loaded, values.init_checkpoint, values.seed, flags_of_result, contents)
    now.check(values.output_dir)
    now.write(values.output_dir)


def find_files(patterns, features):
    """The files that `patterns` means, each looked at."""
    paths = inputs.expand_patterns(patterns)
    manifest.check_shards(paths)
    records.check_files(paths, features)
    return paths


def count_masked(features):
    """The loss denominators of a batch."""
    return {**losses.count_examples(features), "masked": tf.reduce_sum(features["masked_lm_weights"])}


def pretraining_loss(model, features, dropout_seed, totals):
    """The sum of both losses, each of them, and the accuracies."""
    features = unpadding.list_masked(features)
    masked_lm_logits, next_sentence_logits = model(features, dropout_seed=dropout_seed)
    ids, weights = features["masked_lm_ids"], features["masked_lm_weights"]
    labels, examples = features["next_sentence_labels"][:, 0], totals["examples"]
    masked_lm, _ = losses.masked_lm_loss(masked_lm_logits, ids, weights, totals["masked"])
    next_sentence, _ = losses.next_sentence_loss(next_sentence_logits, labels, examples)
    scalars = {
        "masked_lm_loss": masked_lm,
        "masked_lm_accuracy": tf.reduce_sum(weights * is_best(masked_lm_logits, ids)) / (totals["masked"] + 1e-5),
        "next_sentence_loss": next_sentence,
        "next_sentence_accuracy": tf.reduce_sum(is_best(next_sentence_logits, labels)) / examples,
    }
    return masked_lm + next_sentence, scalars


def pretrain(model, input_files, features, options, evaluate_model):
    """Trains on all files; returns the step that was reached."""
    logging.info("training on %d files", len(input_files))

    def make_batches(start, batch_size, worker, num_workers):
        data = [records.RecordFile(path, features, None) for path in input_files]
        if start or num_workers > 1:
            data = counted(data)
        share = records.Share(worker, num_workers)
        return records.training_batches(data, batch_size, options.seed, start, share=share)

    with records.naming_bad_records(input_files, features):
        global_step, _ = train(
            model, pretraining_loss, count_masked, make_batches, options, evaluate=lambda _: evaluate_model()
        )
    return global_step


def counted(data):
    """The files with their numbers of records, which are read where no manifest has them."""
    counts = manifest.record_counts([file.path for file in data])
    if None in counts:
        logging.info("counting the records of %d files", counts.count(None))
    return [
        dataclasses.replace(file, count=records.count_records(file.path) if count is None else count)
        for file, count in zip(data, counts, strict=True)
    ]


def evaluate(model, input_files, features, batch_size, max_eval_steps):
    """The original's metrics: means over masked positions and examples, and `loss`, the mean over batches."""
    batches = records.evaluation_batches(input_files, features, batch_size, repeat=True).take(max_eval_steps)

    def sums(batch):
        batch = unpadding.list_masked(unpadding.add_positions(batch))
        ids, weights = batch["masked_lm_ids"], batch["masked_lm_weights"]
        labels = batch["next_sentence_labels"][:, 0]
        masked_lm_logits, next_sentence_logits = model(batch)
        masked_lm, per_position = losses.masked_lm_loss(masked_lm_logits, ids, weights)
        next_sentence, per_example = losses.next_sentence_loss(next_sentence_logits, labels)
        return {
            "masked_lm_accuracy": tf.reduce_sum(weights * is_best(masked_lm_logits, ids)),
            "masked_lm_loss": tf.reduce_sum(weights * per_position),
            "masked": tf.reduce_sum(weights),
            "next_sentence_accuracy": tf.reduce_sum(is_best(next_sentence_logits, labels)),
            "next_sentence_loss": tf.reduce_sum(per_example),
            "examples": tf.cast(tf.size(labels), tf.float32),
            "loss": masked_lm + next_sentence,
            "batches": tf.constant(1.0),
        }

    totals = {}
    with records.naming_bad_records(input_files, features):
        for batch_sums in run_batches(sums, batches, "eval", max_eval_steps):
            totals = {name: totals.get(name, 0.0) + float(value) for name, value in batch_sums.items()}
    counts = {"masked_lm": totals.pop("masked"), "next_sentence": totals.pop("examples")}
    metrics = {"loss": totals.pop("loss") / totals.pop("batches")}
    for name, total in totals.items():
        count = counts["masked_lm" if name.startswith("masked_lm") else "next_sentence"]
        metrics[name] = total / max(count, 1.0)
    return metrics


def is_best(logits, labels):
    """1 where the label has the highest logit."""
    return tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
