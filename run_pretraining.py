"""Pre-trains BERT on masked language modelling and next sentence prediction, or evaluates it.

    python run_pretraining.py --input_file='shards/*.tfrecord' --output_dir=$OUTPUT_DIR \
        --do_train=true --do_eval=true --bert_config_file=$BERT_DIR/bert_config.json \
        --init_checkpoint=$BERT_DIR/bert_model.ckpt --train_batch_size=32 --max_seq_length=128 \
        --max_predictions_per_seq=20 --num_train_steps=20 --num_warmup_steps=10 --learning_rate=2e-5

reads what `python -m data_prep.create_pretraining_data` wrote, with the same `--max_seq_length` and
`--max_predictions_per_seq`, and writes checkpoints and `eval_results.txt`. Expected after 20 steps on the
original's sample text, as in Google BERT's README: masked_lm_accuracy 0.985, next_sentence_accuracy 1.0.
"""

import logging
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import keras
import tensorflow as tf
from absl import flags

from common import errors, files
from common import flags as shared_flags
from data_prep import manifest, records
from modeling import checkpoint, losses
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
    flags.DEFINE_bool("do_train", False, "Train.")
    flags.DEFINE_bool("do_eval", False, "Evaluate on --input_file.")
    flags.DEFINE_integer("max_seq_length", 128, "Length of the records' sequences.", lower_bound=3)
    flags.DEFINE_integer("max_predictions_per_seq", 20, "Masked positions a record.", lower_bound=1)
    flags.DEFINE_integer("num_train_steps", 100000, "Steps of the whole run.", lower_bound=1)
    flags.DEFINE_integer("num_warmup_steps", 10000, "Steps with rising learning rate.", lower_bound=0)
    flags.DEFINE_integer("max_eval_steps", 100, "Evaluation steps; the data is repeated as needed.", lower_bound=1)
    flags.mark_flag_as_required("input_file")


def main(_):
    if not (FLAGS.do_train or FLAGS.do_eval):
        raise errors.InputError("nothing to do: expected --do_train or --do_eval")
    shared_flags.check_tpu_flags(FLAGS)
    config = BertConfig.from_json_file(FLAGS.bert_config_file)
    config.check_sequence_length(FLAGS.max_seq_length)
    input_files = files.expand_patterns(FLAGS.input_file)
    features = records.pretraining_features(FLAGS.max_seq_length, FLAGS.max_predictions_per_seq, config.vocab_size)
    manifest.check_shards(input_files)
    records.check_files(input_files, features)
    files.make_directory(FLAGS.output_dir)
    keras.utils.set_random_seed(FLAGS.seed)

    model = PretrainingModel(config)
    model.build()
    if FLAGS.do_train:
        if FLAGS.init_checkpoint:
            checkpoint.load_weights(model, FLAGS.init_checkpoint, optional=("cls/",))
        options = TrainingOptions(
            output_dir=FLAGS.output_dir,
            num_train_steps=FLAGS.num_train_steps,
            num_warmup_steps=FLAGS.num_warmup_steps,
            xla=use_xla(FLAGS.xla),
            **shared_flags.training_values(FLAGS),
        )
        global_step = pretrain(model, input_files, features, options)
    else:
        global_step = checkpoint.load_trained(model, FLAGS.output_dir, FLAGS.init_checkpoint)
    if FLAGS.do_eval:
        metrics = evaluate(model, input_files, features, FLAGS.eval_batch_size, FLAGS.max_eval_steps)
        metrics["global_step"] = global_step
        lines = [f"{key} = {metrics[key]}\n" for key in sorted(metrics)]
        print("***** evaluation *****\n" + "".join(lines), end="", flush=True)
        with files.atomic_write(os.path.join(FLAGS.output_dir, "eval_results.txt")) as file:
            file.writelines(lines)


def pretraining_loss(model, features, dropout_seed):
    """The sum of both losses, and each of them."""
    masked_lm_logits, next_sentence_logits = model(features, dropout_seed=dropout_seed)
    masked_lm, _ = losses.masked_lm_loss(masked_lm_logits, features["masked_lm_ids"], features["masked_lm_weights"])
    next_sentence, _ = losses.next_sentence_loss(next_sentence_logits, features["next_sentence_labels"][:, 0])
    scalars = {"masked_lm_loss": masked_lm, "next_sentence_loss": next_sentence}
    return masked_lm + next_sentence, scalars


def pretrain(model, input_files, features, options):
    """Trains on all files; returns the step that was reached."""
    logging.info("training on %d files", len(input_files))

    def make_batches(start_step):
        batches = records.training_batches(input_files, features, options.batch_size, options.seed, start_step)
        return records.checked(batches, input_files, features)

    global_step, _ = train(model, pretraining_loss, make_batches, options)
    return global_step


def evaluate(model, input_files, features, batch_size, max_eval_steps):
    """The original's metrics: means over masked positions and examples, and `loss`, the mean over batches."""
    batches = records.evaluation_batches(input_files, features, batch_size, repeat=True).take(max_eval_steps)

    def sums(batch):
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
    checked = records.checked(batches, input_files, features)
    for batch_sums in run_batches(sums, checked, "eval", max_eval_steps):
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
