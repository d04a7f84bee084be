"""Fine-tunes and runs BERT for named entity recognition (Lee et al. 2020, section 3.3).

    python run_ner.py --do_train=true --do_eval=true --do_predict=true \
        --vocab_file=$BIOBERT_DIR/vocab.txt --bert_config_file=$BIOBERT_DIR/bert_config.json \
        --init_checkpoint=$BIOBERT_DIR/model.ckpt-1000000 \
        --num_train_epochs=10.0 --data_dir=$NER_DIR --output_dir=$OUTPUT_DIR

reads `train_dev.tsv`, `devel.tsv` and `test.tsv` of `--data_dir` and writes `eval_results.txt`,
`token_test.txt`, `label_test.txt` and checkpoints. Expected with BioBERT v1.1 on NCBI-disease: entity F1
89.71 in the paper (table 6), 87.70 after 10 epochs in the original's README.
"""

import dataclasses
import logging
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

import fine_tuning
from biocodes import conlleval
from common import errors, files
from common import flags as shared_flags
from data_prep import label_map, ner, records
from data_prep.tokenization import FullTokenizer
from modeling import checkpoint, distribution, losses
from modeling.heads import TokenClassifier

FLAGS = flags.FLAGS

NEW_WEIGHTS = ("output_", "bert/pooler/")  # of the head, and of the pooler, which it does not read


def define_flags():
    shared_flags.define_model_flags()
    shared_flags.define_training_flags()
    shared_flags.define_evaluation_flags()
    shared_flags.define_data_flags()
    shared_flags.define_task_flags(num_train_epochs=10.0, do_lower_case=False)
    shared_flags.define_tpu_flags()
    flags.DEFINE_string("task_name", "NER", "Only NER.")
    flags.DEFINE_bool("do_train", True, "Train on train_dev.tsv.")
    flags.DEFINE_bool("do_eval", False, "Evaluate on devel.tsv.")
    flags.DEFINE_bool("do_predict", True, "Label and evaluate test.tsv.")
    flags.DEFINE_enum(
        "long_sentences",
        "windows",
        ["windows", "truncate"],
        "Sentences over --max_seq_length: overlapping windows, or the original's way, cut the rest off.",
    )


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How sentences become records."""

    tokenizer: FullTokenizer
    labels: list
    max_seq_length: int
    truncate: bool  # long sentences, instead of windows
    pad_to: int | None  # every batch; None: to the longest of a batch


@dataclasses.dataclass(frozen=True)
class Split:
    """A part of a data set, as sentences, as pieces and as a file of records, one a window."""

    sentences: list
    pieces: list
    windows: list
    data: records.RecordFile


def main(_):
    if FLAGS.task_name.lower() != "ner":
        raise errors.InputError(f"--task_name={FLAGS.task_name}: expected NER")
    if not (FLAGS.do_train or FLAGS.do_eval or FLAGS.do_predict):
        raise errors.InputError("nothing to do: expected --do_train, --do_eval or --do_predict")
    config, tokenizer = fine_tuning.set_up(FLAGS)

    # All data is read before the training, so that a fault in it is found now.
    train_sentences = ner.read_training_sentences(FLAGS.data_dir) if FLAGS.do_train else None
    labels = choose_labels(train_sentences, FLAGS.data_dir, FLAGS.output_dir, FLAGS.init_checkpoint)
    sentences = read_splits(FLAGS.data_dir, labels, eval=FLAGS.do_eval, predict=FLAGS.do_predict)
    truncate, pad_to = FLAGS.long_sentences == "truncate", fine_tuning.padded_length(FLAGS)
    encoding = Encoding(tokenizer, labels, FLAGS.max_seq_length, truncate, pad_to)

    model = TokenClassifier(config, len(labels))
    model.build()
    if FLAGS.do_train:
        split = prepare(train_sentences, "train", encoding, FLAGS.output_dir)
        label_map.write(FLAGS.output_dir, labels)
        global_step = fine_tuning.fine_tune(
            model, token_loss_fn(encoding), split.data, split.data.count, FLAGS.output_dir, FLAGS, NEW_WEIGHTS
        )
        distribution.leave_to_chief()
    else:
        global_step = checkpoint.load_trained(model, FLAGS.output_dir, FLAGS.init_checkpoint)
    for name, batch_size in [("eval", FLAGS.eval_batch_size), ("predict", FLAGS.predict_batch_size)]:
        if name in sentences:
            split = prepare(sentences[name], name, encoding, FLAGS.output_dir)
            evaluate(model, split, name, encoding, batch_size, global_step, FLAGS.output_dir)


def read_splits(data_dir, labels, eval, predict):
    """The sentences to evaluate and to predict, those that are wanted, by name."""
    wanted = {"eval": ("devel.tsv", eval), "predict": ("test.tsv", predict)}
    return {
        name: ner.read_sentences(os.path.join(data_dir, file), ner.data_labels(labels))
        for name, (file, want) in wanted.items()
        if want
    }


def choose_labels(train_sentences, data_dir, output_dir, init_checkpoint):
    """The labels of the model, in the order of its outputs.

    In this order: 1. when training, those of the training data; 2. those written beside the checkpoint
    that is used; 3. those of whatever the data directory holds.
    """
    if train_sentences is not None:
        labels = ner.make_label_list(train_sentences)
        fine_tuning.check_labels(labels, output_dir)
        return labels
    if written := fine_tuning.labels_of_checkpoint(output_dir, init_checkpoint, ner.REQUIRED_LABELS):
        return written
    paths = [os.path.join(data_dir, f"{name}.tsv") for name in ("train_dev", "train", "devel", "test")]
    return ner.make_label_list([s for path in paths if os.path.exists(path) for s in ner.read_sentences(path)])


def prepare(sentences, name, encoding, output_dir):
    """Writes `NAME.tf_record` with a record for each window of `sentences`; returns the `Split`."""
    pieces = ner.split_words(sentences, encoding.tokenizer)
    windows = ner.make_windows(pieces, encoding.max_seq_length, encoding.truncate)
    serialized = ner.serialize(windows, pieces, sentences, encoding.tokenizer, encoding.labels)
    features = records.token_features(encoding.tokenizer.vocab_size, len(encoding.labels))
    data = records.write_record_file(serialized, os.path.join(output_dir, f"{name}.tf_record"), features)
    logging.info("%s: %d sentences, %d records", data.path, len(sentences), data.count)
    return Split(sentences, pieces, windows, data)


def token_loss_fn(encoding):
    """The loss for `train`."""

    def loss_fn(model, features, dropout_seed, _):
        logits = model(features, dropout_seed=dropout_seed)
        return losses.token_loss(logits, features["label_ids"], loss_weights(features, encoding)), {}

    return loss_fn


def loss_weights(features, encoding):
    """1 for each piece; with every sequence padded to the maximum, the original's way, also for padding."""
    return tf.ones_like(features["input_mask"]) if encoding.pad_to else features["input_mask"]


def evaluate(model, split, name, encoding, batch_size, global_step, output_dir):
    """Labels a split, reports token-level and entity-level scores, and writes the result files."""
    merged, metrics = predict(model, split, name, encoding, batch_size)
    metrics["global_step"] = global_step
    lines = [f"{key} = {metrics[key]}" for key in sorted(metrics)]
    print(f"***** {name}: token-level results *****", *lines, sep="\n")

    word_labels = [
        ner.word_labels(*parts, encoding.labels) for parts in zip(split.sentences, split.pieces, merged, strict=True)
    ]
    report = conlleval.format_report(conlleval.evaluate(scored_rows(split.sentences, word_labels)))
    print(f"***** {name}: entity-level results *****", report, sep="\n", flush=True)

    if name == "eval":
        files.write_lines(os.path.join(output_dir, "eval_results.txt"), lines)
    else:
        ner.write_predictions(output_dir, split.pieces, merged, encoding.labels)
    files.write_lines(os.path.join(output_dir, f"{name}_entity_results.txt"), [report.rstrip("\n")])


def predict(model, split, name, encoding, batch_size):
    """Predicts label indices, `[CLS]`, pieces, `[SEP]` of each sentence; and the original's token-level metrics."""

    def label_batch(features):
        logits = model(features)
        weights = loss_weights(features, encoding)
        return {
            "index": features["index"],
            "length": tf.reduce_sum(features["input_mask"], axis=1),
            "predicted": tf.argmax(logits, axis=-1, output_type=tf.int32),
            "label_ids": features["label_ids"],
            "input_mask": features["input_mask"],
            "weights": weights,
            "loss": losses.token_loss(logits, features["label_ids"], weights),
        }

    predictions = [None] * len(split.windows)
    confusion = np.zeros([len(encoding.labels)] * 2, np.int64)
    losses_of_batches = []
    for result in fine_tuning.run_on_records(label_batch, split.data, batch_size, encoding.pad_to, name):
        for index, length, predicted in zip(result["index"], result["length"], result["predicted"], strict=True):
            predictions[index] = predicted[:length]
        padding_counted = (result["weights"] > 0) & (result["input_mask"] == 0)
        count_labels(confusion, result["label_ids"][padding_counted], result["predicted"][padding_counted])
        losses_of_batches.append(float(result["loss"]))
    merged = ner.merge_windows(split.windows, predictions, split.pieces)
    for *parts, predicted in zip(split.pieces, split.sentences, merged, strict=True):
        true = ner.label_pieces(*parts, encoding.labels)
        count_labels(confusion, [*true[: len(predicted) - 1], true[-1]], predicted)
    return merged, {**token_scores(confusion, encoding.labels), "loss": np.mean(losses_of_batches)}


def count_labels(confusion, true, predicted):
    """Adds pairs of label indices to a table [L, L]."""
    np.add.at(confusion, (true, predicted), 1)


def token_scores(confusion, labels):
    """The original's token-level scores: means over the entity labels (B, I) of each one's P, R and F1.

    `confusion` [L, L] counts pieces, true label by predicted label.
    """
    entity = [i for i, name in enumerate(labels) if name not in (ner.OUTSIDE, *ner.SPECIAL_LABELS)]
    hits = np.diag(confusion)[entity]
    precision = hits / np.maximum(confusion.sum(axis=0)[entity], 1)
    recall = hits / np.maximum(confusion.sum(axis=1)[entity], 1)
    f1 = 2 * precision * recall / np.where(hits, precision + recall, 1)
    return {"eval_precision": precision.mean(), "eval_recall": recall.mean(), "eval_f": f1.mean()}


def scored_rows(sentences, word_labels):
    """Pairs of true and predicted label for `conlleval`, None between sentences."""
    for sentence, predicted in zip(sentences, word_labels, strict=True):
        for pair in zip(sentence.labels, predicted, strict=True):
            yield tuple(conlleval_tag(label) for label in pair)
        yield None


def conlleval_tag(label):
    """Labels without a type get the type that `biocodes/ner_detokenize.py` gives them."""
    return label if "-" in label else f"{label}-MISC"


if __name__ == "__main__":
    define_flags()
    errors.run(main)
