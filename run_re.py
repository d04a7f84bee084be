r"""Fine-tunes and runs BERT for relation extraction (Lee et al. 2020, section 3.3).

    python run_re.py --task_name=gad --do_train=true --do_eval=true --do_predict=true \
        --vocab_file=$BIOBERT_DIR/vocab.txt --bert_config_file=$BIOBERT_DIR/bert_config.json \
        --init_checkpoint=$BIOBERT_DIR/model.ckpt-1000000 --max_seq_length=128 --train_batch_size=32 \
        --learning_rate=2e-5 --num_train_epochs=3.0 --do_lower_case=false --data_dir=$RE_DIR --output_dir=$OUTPUT_DIR

reads `train.tsv`, `dev.tsv` and `test.tsv` of `--data_dir` and writes `eval_results.txt`, `test_results.tsv` (class
probabilities), `test_predictions.tsv` (labels and sentences) and checkpoints. With `--cross_validation`, it does so
for each fold `1/`, `2/`, ... of `--data_dir` and adds up the scores. Expected with BioBERT v1.1 on the first fold of
GAD: F1 83.74 in the original's README; over ten folds 79.83 in the paper (table 7).
"""

import dataclasses
import logging
import os
import statistics

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from biocodes import re_eval
from common import errors, files
from common import flags as shared_flags
from data_prep.records import records
from data_prep.tasks import relations
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import tasks, training
from fine_tuning.options import read_options
from modeling import checkpoint, distribution, losses

FLAGS = flags.FLAGS

# The tasks of the original by the labels that they have; any other task has the labels of its data.
TASKS = {
    "gad": "binary",
    "euadr": "binary",
    "polysearch": "binary",
    "mirnadisease": "binary",
    "chemprot": "chemprot",
    "ddi13": "ddi13",
}


def define_flags():
    shared_flags.define_model_flags()
    shared_flags.define_training_flags()
    shared_flags.define_evaluation_flags()
    shared_flags.define_data_flags()
    shared_flags.define_task_flags(tasks.RE.max_seq_length)
    shared_flags.define_tpu_flags()
    flags.DEFINE_string("task_name", None, f"{', '.join(TASKS)}, or any name for data with other labels.")
    flags.DEFINE_list("labels", None, "Labels in the order of the model's outputs; default: the task's or the data's.")
    flags.DEFINE_string("negative_label", None, "Label that says no relation; default: false or 0.")
    flags.DEFINE_bool("do_train", False, "Train on train.tsv.")
    flags.DEFINE_bool("do_eval", False, "Evaluate on dev.tsv.")
    flags.DEFINE_bool("do_predict", False, "Classify test.tsv, and evaluate it if it has labels.")
    flags.DEFINE_enum(
        "long_sentences",
        "keep_entities",
        ["keep_entities", "truncate"],
        "Sentences over --max_seq_length: cut so that the entities stay, or the original's way, at the end.",
    )
    flags.DEFINE_bool("cross_validation", False, "Do so for each of the folds 1/, 2/, ... of --data_dir.")
    flags.mark_flag_as_required("task_name")


@dataclasses.dataclass(frozen=True)
class Relations:
    """The labels of a task, in the order of the model's outputs, and the one that says no relation, or None."""

    labels: list
    negative: str | None


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How sentences become records."""

    tokenizer: FullTokenizer
    max_seq_length: int
    truncate: bool  # long sentences, the original's way


def main(_):
    if not (FLAGS.do_train or FLAGS.do_eval or FLAGS.do_predict):
        raise errors.InputError("nothing to do: expected --do_train, --do_eval or --do_predict")
    options = read_options(FLAGS, tasks.RE)
    config, tokenizer = training.set_up(options, shared_flags.distribution_values(FLAGS))
    folds = relations.find_folds(FLAGS.data_dir) if FLAGS.cross_validation else ["."]
    data_dirs, output_dirs = (
        [os.path.normpath(os.path.join(directory, fold)) for fold in folds]
        for directory in (FLAGS.data_dir, options.output_dir)
    )
    # All data is read before the training, so that a fault in it is found now.
    trained = None if FLAGS.do_train else training.labels_of_checkpoint(output_dirs[0], options.init_checkpoint)
    task = choose_relations(FLAGS.task_name, FLAGS.labels, FLAGS.negative_label, trained, data_dirs)
    data = [read_splits(path, task.labels, FLAGS.do_train, FLAGS.do_eval, FLAGS.do_predict) for path in data_dirs]
    if FLAGS.cross_validation:
        check_folds(data_dirs, data)

    encoding = Encoding(tokenizer, options.max_seq_length, FLAGS.long_sentences == "truncate")
    batch_sizes = {"eval": FLAGS.eval_batch_size, "predict": FLAGS.predict_batch_size}
    results = []
    with training.holding(options.output_dir):
        for splits, output_dir in zip(data, output_dirs, strict=True):
            logging.info("%s: labels %s", output_dir, ", ".join(task.labels))
            model = training.new_model(tasks.RE, config, len(task.labels), options.seed)  # a fold alone gives the same
            here = dataclasses.replace(options, output_dir=output_dir)
            results.append(run(model, splits, task, encoding, here, batch_sizes))
        distribution.leave_to_chief()
        if FLAGS.cross_validation and FLAGS.do_predict:
            report = summarize(folds, results, task)
            print("***** cross-validation *****", report, sep="\n", flush=True)
            files.write_lines(os.path.join(options.output_dir, "cross_validation_results.txt"), [report])


def choose_relations(task_name, labels, negative, trained, data_dirs):
    """The labels of the model.

    In this order: 1. `labels`, as given; 2. those of the task; 3. `trained`, those of the checkpoint that is used;
    4. those of the data.

    Raises:
      InputError: fewer than two labels, one of them twice, or a negative label that is none of them.
    """
    task = TASKS.get(task_name.lower())
    labels = labels or (re_eval.LABELS[task] if task else None) or trained or labels_of_data(data_dirs)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise errors.InputError(f"--labels={','.join(labels)}: expected two or more, each once")
    negative = negative or re_eval.usual_negative(labels)
    if negative is not None and negative not in labels:
        raise errors.InputError(f"--negative_label={negative}: expected one of {', '.join(labels)}")
    return Relations(labels, negative)


def labels_of_data(data_dirs):
    """The labels that occur in the training data of all folds."""
    paths = [os.path.join(directory, "train.tsv") for directory in data_dirs]
    labels = relations.labels_of([example for path in paths for example in relations.read_examples(path)])
    if len(labels) < 2:
        raise errors.InputError(f"{paths[0]}: labels {', '.join(labels) or '(none)'}; expected two or more")
    return labels


def read_splits(data_dir, labels, train, eval, predict):
    """The examples to train on, evaluate and predict, those that are wanted, by name."""
    splits = {}
    if train:
        path = os.path.join(data_dir, "train.tsv")
        splits["train"] = relations.read_examples(path, labels)
        if not splits["train"]:
            raise errors.InputError(f"{path}: no example; expected sentence, tab, label a line")
    if eval:
        path = os.path.join(data_dir, "dev.tsv")
        examples = relations.read_examples(path, labels)
        if examples:
            splits["eval"] = examples
        else:
            logging.warning("%s: empty, as in the released data; nothing to evaluate on", path)
    if predict:
        splits["predict"] = relations.read_test_examples(os.path.join(data_dir, "test.tsv"), labels)
    return splits


def check_folds(directories, data):
    for directory, splits in zip(directories, data, strict=True):
        if any(example.label is None for example in splits.get("predict", [])):
            raise errors.InputError(f"{directory}/test.tsv: no column 'label'; a cross-validation needs it")


def run(model, splits, task, encoding, options, batch_sizes):
    """Trains, evaluates and predicts; returns true and predicted labels of the test examples.

    Args:
      model: built.
      splits: as of `read_splits`.
      task: `Relations`.
      encoding: `Encoding`.
      options: `training.Options`; without a split to train on, the model is that of the newest checkpoint.
      batch_sizes: of the other splits, by name.
    """
    output_dir, is_training = options.output_dir, "train" in splits
    files.make_directory(output_dir)
    features = tasks.RE.make_features(encoding.tokenizer.vocab_size, len(task.labels), encoding.max_seq_length)

    def write(name):
        serialized = relations.serialize(
            splits[name], encoding.tokenizer, task.labels, encoding.max_seq_length, encoding.truncate
        )
        data = records.write_record_file(serialized, os.path.join(output_dir, f"{name}.tf_record"), features)
        training.log_records(data, f"{len(splits[name])} sentences", encoding.tokenizer)
        return data

    if is_training:
        settings = {"negative_label": task.negative, **dataclasses.asdict(relations.describe_text(splits["train"]))}
        flags = {"long_sentences": "truncate" if encoding.truncate else "keep_entities"}
        training.begin(model, options, task.labels, {"train.tsv": training.digest(splits["train"])}, flags, settings)
        data = write("train")
        global_step = training.fine_tune(model, relation_loss, data, data.count, options)
        if not distribution.is_chief():  # it may be needed for the next fold
            return None
    else:
        training.check_labels(task.labels, output_dir, options.init_checkpoint)
        global_step = checkpoint.load_trained(model, output_dir, options.init_checkpoint)
    if "eval" in splits:
        probabilities, metrics = classify(model, write("eval"), batch_sizes["eval"], "eval", in_order=True)
        write_evaluation(splits["eval"], probabilities, {**metrics, "global_step": global_step}, task, output_dir)
    if "predict" not in splits:
        return None
    probabilities, _ = classify(model, write("predict"), batch_sizes["predict"], "predict")
    return write_predictions(splits["predict"], probabilities, task, output_dir)


def relation_loss(model, features, dropout_seed, totals):
    """The loss for `train`."""
    logits = model(features, dropout_seed=dropout_seed)
    return losses.sequence_loss(logits, features["label_ids"][:, 0], totals["examples"]), {}


def classify(model, data, batch_size, title, in_order=False):
    """Class probabilities [examples, L], and the original's metrics.

    `eval_loss` is the mean over the examples, `loss` that over the batches: the original's if they are `in_order`.
    """

    def classify_batch(features):
        logits = model(features)
        labels = features["label_ids"][:, 0]
        return {
            "index": features["index"],
            **tasks.RE.decode(logits),
            "losses": losses.cross_entropy(logits, labels),
            "hits": tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels,
        }

    probabilities = [None] * data.count
    example_losses, batch_losses, hits = [], [], 0
    for result in training.run_on_records(classify_batch, data, batch_size, title, in_order=in_order):
        for index, row in zip(result["index"], result["probabilities"], strict=True):
            probabilities[index] = row
        example_losses.extend(result["losses"])
        batch_losses.append(np.mean(result["losses"]))
        hits += int(np.sum(result["hits"]))
    metrics = {
        "eval_accuracy": hits / data.count,
        "eval_loss": float(np.mean(example_losses)),
        "loss": float(np.mean(batch_losses)),
    }
    return np.array(probabilities), metrics


def write_evaluation(examples, probabilities, metrics, task, output_dir):
    """Prints and writes the metrics on dev.tsv, `eval_results.txt`, and its scores, `eval_scores.txt`."""
    lines = [f"{key} = {metrics[key]}" for key in sorted(metrics)]
    print("***** eval *****", *lines, sep="\n")
    files.write_lines(os.path.join(output_dir, "eval_results.txt"), lines)
    write_scores(*label_pairs(examples, probabilities, task), task, "eval", output_dir)


def write_predictions(examples, probabilities, task, output_dir):
    """Writes `test_results.tsv` and `test_predictions.tsv`, and the scores if the examples have labels.

    Returns:
      The labels and the predicted labels, two lists.
    """
    rows = ("\t".join(str(probability) for probability in row) for row in probabilities)
    files.write_lines(os.path.join(output_dir, "test_results.tsv"), rows)
    true, predicted = label_pairs(examples, probabilities, task)
    rows = ["index\tlabel\tpredicted\tprobability\tsentence"]
    for example, label, row in zip(examples, predicted, probabilities, strict=True):
        rows.append("\t".join([example.index, example.label or "", label, f"{row.max():.4f}", example.sentence]))
    files.write_lines(os.path.join(output_dir, "test_predictions.tsv"), rows)
    if None not in true:
        write_scores(true, predicted, task, "predict", output_dir)
    return true, predicted


def label_pairs(examples, probabilities, task):
    """True and predicted labels, two lists."""
    return [example.label for example in examples], [task.labels[i] for i in np.argmax(probabilities, axis=1)]


def write_scores(true, predicted, task, name, output_dir):
    """Prints and writes the scores of `biocodes/re_eval.py`, `NAME_scores.txt`."""
    report = re_eval.format_report(true, predicted, task.labels, task.negative)
    print(f"***** {name}: scores *****", report, sep="\n", flush=True)
    files.write_lines(os.path.join(output_dir, f"{name}_scores.txt"), [report])


def summarize(folds, results, task):
    """A table: the scores of each fold, their mean and standard deviation, and those of all folds as one.

    Args:
      folds: names.
      results: for each fold its true and its predicted labels, two lists.
      task: `Relations`.

    Returns:
      Lines of text.
    """
    pooled = [[label for result in results for label in result[side]] for side in (0, 1)]
    scores = [re_eval.scores(*result, task.labels, task.negative) for result in results]
    columns = list(scores[0])
    rows = [(f"fold {fold}", values) for fold, values in zip(folds, scores, strict=True)]
    for title, function in [("mean", statistics.mean), ("standard deviation", statistics.stdev)]:
        rows.append((title, {column: function([values[column] for values in scores]) for column in columns}))
    rows.append(("pooled", re_eval.scores(*pooled, task.labels, task.negative)))
    lines = [f"{'':18s}" + "".join(f"{column:>13s}" for column in columns)]
    lines += [f"{title:18s}" + "".join(f"{values[column]:13.2%}" for column in columns) for title, values in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
