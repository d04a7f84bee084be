r"""Fine-tunes and runs BERT for named entity recognition (Lee et al. 2020, section 3.3).

    python run_ner.py --do_train=true --do_eval=true --do_predict=true \
        --vocab_file=$BIOBERT_DIR/vocab.txt --bert_config_file=$BIOBERT_DIR/bert_config.json \
        --init_checkpoint=$BIOBERT_DIR/model.ckpt-1000000 \
        --num_train_epochs=10.0 --data_dir=$NER_DIR --output_dir=$OUTPUT_DIR

reads `train_dev.tsv`, `devel.tsv` and `test.tsv` of `--data_dir` and writes `eval_results.txt`,
`token_test.txt`, `label_test.txt` and checkpoints. Expected with BioBERT v1.1 on NCBI-disease: entity F1
89.71 in the paper (table 6), 87.70 after 10 epochs in the original's README.

With `--select_best_on_dev`, it trains on `train.tsv` in `selection/` of the output directory, keeps the weights of the
epoch with the best entity F1 on `devel.tsv`, and uses these; with `--retrain_on_train_dev`, it trains from the start
for as many epochs, on `train_dev.tsv`, in `retraining/`. The weights chosen are the checkpoint of the output directory.
"""

import dataclasses
import functools
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from biocodes import conlleval
from common import errors, files
from common import flags as shared_flags
from data_prep.records import records
from data_prep.tasks import label_map, ner
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import model_directory, tasks, training
from fine_tuning.options import read_options
from modeling import checkpoint, distribution, losses, selection

FLAGS = flags.FLAGS

SELECTION, RETRAINING = "selection", "retraining"  # directories of the trainings behind the output directory's model


def define_flags():
    shared_flags.define_model_flags()
    shared_flags.define_training_flags()
    shared_flags.define_evaluation_flags()
    shared_flags.define_data_flags()
    shared_flags.define_task_flags(tasks.NER.max_seq_length, num_train_epochs=10.0, do_lower_case=False)
    shared_flags.define_tpu_flags()
    flags.DEFINE_string("task_name", "NER", "Only NER.")
    flags.DEFINE_bool("do_train", True, "Train on train_dev.tsv.")
    flags.DEFINE_bool(
        "select_best_on_dev",
        False,
        "Train on train.tsv alone and use the weights of the epoch with the best entity F1 on devel.tsv.",
    )
    flags.DEFINE_bool(
        "retrain_on_train_dev",
        False,
        "With --select_best_on_dev: then train from the start on train_dev.tsv, for as many epochs as were best.",
    )
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
    """A part of a data set, as sentences, as wordpieces and as a file of records, one a window."""

    sentences: list
    pieces: list
    windows: list
    data: records.RecordFile


def main(_):
    check_flags(FLAGS)
    options = read_options(FLAGS, tasks.NER)
    config, tokenizer = training.set_up(options, shared_flags.distribution_values(FLAGS))

    # All data is read before the training, so that a fault in it is found now.
    select, retrain = FLAGS.select_best_on_dev, FLAGS.retrain_on_train_dev
    train_sentences = read_training_data(FLAGS.data_dir, select, retrain) if FLAGS.do_train else None
    labels = choose_labels(train_sentences, FLAGS.data_dir, options.output_dir, options.init_checkpoint)
    sentences = read_splits(FLAGS.data_dir, labels, eval=FLAGS.do_eval, predict=FLAGS.do_predict)
    truncate = FLAGS.long_sentences == "truncate"
    encoding = Encoding(tokenizer, labels, options.max_seq_length, truncate, options.pad_to)
    new_model = functools.partial(training.new_model, tasks.NER, config, len(labels), options.seed)

    with training.holding(options.output_dir):
        if FLAGS.do_train and select:
            model, global_step = train_and_select(
                new_model, train_sentences, encoding, options, FLAGS.eval_batch_size, retrain
            )
        elif FLAGS.do_train:
            model, global_step = train(new_model, train_sentences, "train_dev", encoding, options, settings={})
        else:
            model = new_model()
            global_step = checkpoint.load_trained(model, options.output_dir, options.init_checkpoint)
        distribution.leave_to_chief()
        for name, batch_size in [("eval", FLAGS.eval_batch_size), ("predict", FLAGS.predict_batch_size)]:
            if name in sentences:
                split = prepare(sentences[name], name, encoding, options.output_dir)
                evaluate(model, split, name, encoding, batch_size, global_step, options.output_dir)


def check_flags(values):
    """Raises `InputError` if the flags do not go together, or not with what the output directory holds."""
    if values.task_name.lower() != "ner":
        raise errors.InputError(f"--task_name={values.task_name}: expected NER")
    if not (values.do_train or values.do_eval or values.do_predict):
        raise errors.InputError("nothing to do: expected --do_train, --do_eval or --do_predict")
    if values.retrain_on_train_dev and not values.select_best_on_dev:
        raise errors.InputError("--retrain_on_train_dev: expected --select_best_on_dev with it")
    if values.retrain_on_train_dev and values.distribution_strategy == "multi_worker_mirrored":
        raise errors.InputError(
            "--retrain_on_train_dev: not with several workers; expected a second command without "
            "--select_best_on_dev, with the best number as --num_train_epochs"
        )
    if values.select_best_on_dev and (values.num_train_epochs < 1 or values.num_train_epochs % 1):
        raise errors.InputError(
            f"--num_train_epochs={values.num_train_epochs:g}: expected a whole number with --select_best_on_dev"
        )
    if values.do_train:
        check_selection(values.select_best_on_dev, values.output_dir)


def check_selection(select, output_dir):
    """Raises `InputError` if the model in the output directory was trained the other way, with selection or without."""
    selected = os.path.isdir(os.path.join(output_dir, SELECTION))
    if selected != select and (selected or checkpoint.newest(output_dir)):
        raise errors.InputError(
            f"--select_best_on_dev={str(select).lower()}: the model in {output_dir} was trained the other way; use a "
            "new --output_dir"
        )


def read_training_data(data_dir, select, retrain):
    """The sentences to train on and to score epochs on, by file."""
    sentences = {}
    if select:
        for name in ("train", "devel"):
            sentences[name] = ner.read_sentences(os.path.join(data_dir, f"{name}.tsv"))
    if retrain or not select:
        sentences["train_dev"] = ner.read_training_sentences(data_dir)
    return sentences


def train(new_model, sentences, name, encoding, options, settings=None):
    """Trains a model on one file, or resumes, in the output directory of some `training.Options`.

    Returns:
      The model and the step that was reached.
    """
    model = begin(new_model, sentences, [name], encoding, options, settings)
    data = prepare(sentences[name], "train", encoding, options.output_dir).data
    return model, training.fine_tune(model, token_loss_fn(encoding), data, data.count, options)


def train_and_select(new_model, sentences, encoding, options, eval_batch_size, retrain):
    """Trains with `--select_best_on_dev`, and writes the weights that come of it as the output directory's checkpoint.

    Args:
      new_model: from nothing to a built model, always of the same weights.
      sentences: as of `read_training_data`.
      encoding: `Encoding`.
      options: `training.Options`.
      eval_batch_size: int.
      retrain: train again, on train_dev.tsv, for as many epochs as were best.

    Returns:
      The model and the step of its weights.
    """
    output_dir = options.output_dir
    here = dataclasses.replace(options, output_dir=os.path.join(output_dir, SELECTION))
    model, best = select_epoch(new_model, sentences, encoding, here, eval_batch_size)
    model_directory.write(options)
    global_step = best.step
    if retrain:
        directory = os.path.join(output_dir, RETRAINING)
        here = dataclasses.replace(options, output_dir=directory, num_train_epochs=best.epoch)
        model, global_step = train(new_model, sentences, "train_dev", encoding, here)
    label_map.write(output_dir, encoding.labels)
    selection.write_weights(output_dir, global_step, checkpoint.model_variables(model))
    selection.keep_only(output_dir, [global_step])
    return model, global_step


def select_epoch(new_model, sentences, encoding, options, eval_batch_size):
    """Trains on train.tsv and scores each epoch on devel.tsv; returns the best weights and `Epoch`."""
    directory = options.output_dir
    model = begin(new_model, sentences, ["train", "devel"], encoding, options)
    data = prepare(sentences["train"], "train", encoding, directory).data
    devel = prepare(sentences["devel"], "eval", encoding, directory)
    ends = training.epoch_ends(data.count, options.training.batch_size, options.num_train_epochs)
    selected = selection.Selection(directory, ends)
    label_batch = tf.function(label_fn(model, encoding))  # traced once, not once an epoch

    def score(step):
        merged, metrics = predict(label_batch, devel, "eval", encoding, eval_batch_size)
        entities = entity_scores(devel, merged, encoding.labels)
        scores = {name: getattr(entities, name) for name in ("precision", "recall", "f1")}
        scores["loss"] = float(metrics["loss"])
        selected.add(step, scores, checkpoint.model_variables(model))
        return scores

    training.fine_tune(model, token_loss_fn(encoding), data, data.count, options, evaluate_at=ends, evaluate=score)
    distribution.leave_to_chief()
    checkpoint.load_weights(model, selected.finish())
    label_map.write(os.path.join(directory, selection.BEST), encoding.labels)
    table = selection.format_table(selected.epochs)
    print("***** entity-level results on devel.tsv by epoch *****", table, sep="\n", flush=True)
    return model, selected.best()


def begin(new_model, sentences, names, encoding, options, settings=None):
    """Makes a directory to train in, or to resume in, see `training.begin`; returns the model."""
    files.make_directory(options.output_dir)
    model = new_model()
    data = {f"{name}.tsv": training.digest(sentences[name]) for name in names}
    flags = {"long_sentences": "truncate" if encoding.truncate else "windows"}
    training.begin(model, options, encoding.labels, data, flags, settings)
    return model


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
    if train_sentences:
        return ner.make_label_list([sentence for part in train_sentences.values() for sentence in part])
    if written := training.labels_of_checkpoint(output_dir, init_checkpoint, ner.REQUIRED_LABELS):
        return ner.in_bio(written, f"{label_map.FILE_NAME} beside the checkpoint")
    paths = [os.path.join(data_dir, f"{name}.tsv") for name in ("train_dev", "train", "devel", "test")]
    return ner.make_label_list([s for path in paths if os.path.exists(path) for s in ner.read_sentences(path)])


def prepare(sentences, name, encoding, output_dir):
    """Writes `NAME.tf_record` with a record for each window of `sentences`; returns the `Split`."""
    pieces = ner.split_words(sentences, encoding.tokenizer)
    windows = ner.make_windows(pieces, encoding.max_seq_length, encoding.truncate)
    serialized = ner.serialize(windows, pieces, sentences, encoding.tokenizer, encoding.labels)
    features = tasks.NER.make_features(encoding.tokenizer.vocab_size, len(encoding.labels), encoding.max_seq_length)
    data = records.write_record_file(serialized, os.path.join(output_dir, f"{name}.tf_record"), features)
    training.log_records(data, f"{len(sentences)} sentences", encoding.tokenizer)
    return Split(sentences, pieces, windows, data)


def token_loss_fn(encoding):
    """The loss for `train`."""

    def loss_fn(model, features, dropout_seed, _):
        logits = model(features, dropout_seed=dropout_seed)
        return losses.token_loss(logits, features["label_ids"], loss_weights(features, encoding)), {}

    return loss_fn


def loss_weights(features, encoding):
    """1 for each wordpiece; with every sequence padded to the maximum, the original's way, also for padding."""
    return tf.ones_like(features["input_mask"]) if encoding.pad_to else features["input_mask"]


def evaluate(model, split, name, encoding, batch_size, global_step, output_dir):
    """Labels a split, reports token-level and entity-level scores, and writes the result files."""
    merged, metrics = predict(label_fn(model, encoding), split, name, encoding, batch_size)
    metrics["global_step"] = global_step
    lines = [f"{key} = {metrics[key]}" for key in sorted(metrics)]
    print(f"***** {name}: token-level results *****", *lines, sep="\n")

    report = conlleval.format_report(entity_scores(split, merged, encoding.labels))
    print(f"***** {name}: entity-level results *****", report, sep="\n", flush=True)

    if name == "eval":
        files.write_lines(os.path.join(output_dir, "eval_results.txt"), lines)
    else:
        ner.write_predictions(output_dir, split.pieces, merged, encoding.labels)
    files.write_lines(os.path.join(output_dir, f"{name}_entity_results.txt"), [report.rstrip("\n")])


def label_fn(model, encoding):
    """The function with which `predict` labels a batch."""

    def label_batch(features):
        logits = model(features)
        weights = loss_weights(features, encoding)
        return {
            "index": features["index"],
            "length": tf.reduce_sum(features["input_mask"], axis=1),
            "predicted": tasks.NER.decode(logits)["labels"],
            "label_ids": features["label_ids"],
            "input_mask": features["input_mask"],
            "weights": weights,
            "loss": losses.token_loss(logits, features["label_ids"], weights),
        }

    return label_batch


def predict(label_batch, split, name, encoding, batch_size):
    """Predicts label indices, `[CLS]`, wordpieces, `[SEP]` of each sentence; and the original's token-level metrics."""
    predictions = [None] * len(split.windows)
    confusion = np.zeros([len(encoding.labels)] * 2, np.int64)
    losses_of_batches = []
    for result in training.run_on_records(label_batch, split.data, batch_size, name, encoding.pad_to):
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

    `confusion` [L, L] counts wordpieces, true label by predicted label.
    """
    entity = [i for i, name in enumerate(labels) if name not in (ner.OUTSIDE, *ner.SPECIAL_LABELS)]
    hits = np.diag(confusion)[entity]
    precision = hits / np.maximum(confusion.sum(axis=0)[entity], 1)
    recall = hits / np.maximum(confusion.sum(axis=1)[entity], 1)
    f1 = 2 * precision * recall / np.where(hits, precision + recall, 1)
    return {"eval_precision": precision.mean(), "eval_recall": recall.mean(), "eval_f": f1.mean()}


def entity_scores(split, merged, labels):
    """The CoNLL scores of predicted wordpieces, a `conlleval.Scores`."""
    parts = zip(split.sentences, split.pieces, merged, strict=True)
    return conlleval.evaluate(scored_rows(split.sentences, [ner.word_labels(*each, labels) for each in parts]))


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
