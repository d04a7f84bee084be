r"""Fine-tunes and runs BERT for question answering on SQuAD and BioASQ (Lee et al. 2020, section 3.3).

    python run_qa.py --do_train=True --do_predict=True --vocab_file=$BIOBERT_DIR/vocab.txt \
        --bert_config_file=$BIOBERT_DIR/bert_config.json --init_checkpoint=$BIOBERT_DIR/model.ckpt-1000000 \
        --max_seq_length=384 --train_batch_size=12 --learning_rate=5e-6 --doc_stride=128 --num_train_epochs=5.0 \
        --do_lower_case=False --train_file=$QA_DIR/BioASQ-train-factoid-4b.json \
        --predict_file=$QA_DIR/BioASQ-test-factoid-4b-1.json --output_dir=$OUTPUT_DIR

writes `predictions.json`, `nbest_predictions.json` and checkpoints. Expected on BioASQ 4b after training on SQuAD
first: strict accuracy 27.95, lenient accuracy 44.10, MRR 34.72 in the paper (table 8).

`--question_type=list` trains and answers as for factoid questions, and predicts every answer over a threshold;
`--question_type=yesno` has a label for the sequence instead of a span, as the authors had for the seventh BioASQ.
"""

import dataclasses
import logging
import os

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import numpy as np
import tensorflow as tf
from absl import flags

from common import errors, files
from common import flags as shared_flags
from common.progress import progress
from data_prep.records import records
from data_prep.tasks import answers, questions
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import tasks, training
from fine_tuning.options import read_options
from fine_tuning.tasks import Task
from modeling import checkpoint, distribution, losses

FLAGS = flags.FLAGS

MASKED = -1e9  # logit of a padded position


def define_flags():
    shared_flags.define_model_flags()
    shared_flags.define_training_flags()
    shared_flags.define_task_flags(tasks.QA.max_seq_length)
    shared_flags.define_tpu_flags()
    flags.DEFINE_string("train_file", None, "JSON to train on, in SQuAD's layout.")
    flags.DEFINE_string("predict_file", None, "JSON with the questions to answer, in SQuAD's layout.")
    flags.DEFINE_bool("do_train", False, "Train on --train_file.")
    flags.DEFINE_bool("do_predict", False, "Answer --predict_file.")
    defaults = tasks.QA.settings
    flags.DEFINE_enum("question_type", defaults["question_type"], questions.TYPES, "What an answer is.")
    flags.DEFINE_integer(
        "doc_stride", defaults["doc_stride"], "Wordpieces between the windows of a long context.", lower_bound=1
    )
    flags.DEFINE_integer(
        "max_query_length",
        defaults["max_query_length"],
        "Longest question, in wordpieces; the rest is cut.",
        lower_bound=1,
    )
    flags.DEFINE_integer("n_best_size", 20, "Answers in nbest_predictions.json.", lower_bound=1)
    flags.DEFINE_integer("max_answer_length", 30, "Longest answer, in wordpieces.", lower_bound=1)
    flags.DEFINE_bool("version_2_with_negative", False, "SQuAD 2.0: some questions have no answer.")
    flags.DEFINE_float(
        "null_score_diff_threshold", 0.0, "No answer where it scores higher than the best one by more than this."
    )
    flags.DEFINE_float(
        "list_threshold", answers.LIST_THRESHOLD, "List questions: lowest probability of an answer.", 0.0, 1.0
    )
    flags.DEFINE_bool("balance_answers", True, "Yes/no questions: train on as many with yes as with no.")
    flags.DEFINE_bool("verbose_logging", False, "Name all questions in a warning, not just the first five.")


@dataclasses.dataclass(frozen=True)
class Encoder:
    """How questions become records."""

    tokenizer: FullTokenizer
    max_seq_length: int
    doc_stride: int
    max_query_length: int
    task: Task


def main(_):
    check_flags(FLAGS)
    task = tasks.YES_NO if FLAGS.question_type == questions.YES_NO_TYPE else tasks.QA
    yes_no = task is tasks.YES_NO
    options = read_options(FLAGS, task)
    config, tokenizer = training.set_up(options, shared_flags.distribution_values(FLAGS))
    encoder = Encoder(tokenizer, options.max_seq_length, FLAGS.doc_stride, FLAGS.max_query_length, task)

    # All data is read before the training, so that a fault in it is found now.
    train_examples = read_train_examples(FLAGS) if FLAGS.do_train else None
    predict_examples = questions.read_examples(FLAGS.predict_file, FLAGS.verbose_logging) if FLAGS.do_predict else None

    labels = list(questions.YES_NO) if yes_no else None
    model = training.new_model(task, config, len(questions.YES_NO), options.seed)
    with training.holding(options.output_dir):
        if FLAGS.do_train:
            settings = {name: FLAGS[name].value for name in task.settings}
            flags = settings | ({"balance_answers": FLAGS.balance_answers} if yes_no else {})
            training.begin(model, options, labels, {"train_file": files.sha256(FLAGS.train_file)}, flags, settings)
            data, _ = write_records(train_examples, "train", encoder, options.output_dir, keep_encodings=False)
            loss_fn = yes_no_loss if yes_no else span_loss_fn(padding_counts=options.pad_to is not None)
            # As in the original, an epoch is counted in questions, though a long context makes several records.
            training.fine_tune(model, loss_fn, data, len(train_examples), options)
            distribution.leave_to_chief()
        else:
            if yes_no:
                training.check_labels(labels, options.output_dir, options.init_checkpoint)
            checkpoint.load_trained(model, options.output_dir, options.init_checkpoint)
        if FLAGS.do_predict:
            predict(model, predict_examples, encoder, options, FLAGS)


def predict(model, examples, encoder, options, values):
    """Answers questions and writes the answers, as the flags `values` say."""
    data, encodings = write_records(examples, "eval", encoder, options.output_dir)
    if encoder.task is tasks.YES_NO:
        predict_yes_no(model, data, examples, encodings, values.predict_batch_size, options.output_dir)
        return
    logits = span_logits(model, data, values.predict_batch_size, options.pad_to)
    answer_options = answers.Options(
        values.n_best_size,
        values.max_answer_length,
        values.version_2_with_negative,
        values.null_score_diff_threshold,
    )
    threshold = values.list_threshold if values.question_type == questions.LIST else None
    write_answers(examples, encodings, logits, answer_options, options.do_lower_case, threshold, options.output_dir)


def check_flags(values):
    if not (values.do_train or values.do_predict):
        raise errors.InputError("nothing to do: expected --do_train or --do_predict")
    for action, file in [("do_train", "train_file"), ("do_predict", "predict_file")]:
        if getattr(values, action) and not getattr(values, file):
            raise errors.InputError(f"--{action} without --{file}; expected a JSON file in SQuAD's layout")
    if values.max_seq_length <= values.max_query_length + 3:
        raise errors.InputError(
            f"--max_seq_length={values.max_seq_length} leaves no room for a context; expected more than "
            f"--max_query_length={values.max_query_length} and 3"
        )
    if values.version_2_with_negative and values.question_type != questions.FACTOID:
        raise errors.InputError(f"--version_2_with_negative: not with --question_type={values.question_type}")


def read_train_examples(values):
    if values.question_type == questions.YES_NO_TYPE:
        return questions.read_yes_no_examples(
            values.train_file, values.balance_answers, values.seed, values.verbose_logging
        )
    return questions.read_span_examples(values.train_file, values.version_2_with_negative, values.verbose_logging)


def write_records(examples, name, encoder, output_dir, keep_encodings=True):
    """Writes `NAME.tf_record` with a record a window.

    Returns:
      Its `RecordFile`, and the encodings of the examples if they are kept (SQuAD's training set is large).
    """
    tokenizer, kept = encoder.tokenizer, []

    def encodings():
        encoded = questions.encode(
            examples, tokenizer, encoder.max_seq_length, encoder.doc_stride, encoder.max_query_length
        )
        with progress(f"encode {name}", len(examples), unit="question") as bar:
            for encoding in encoded:
                if keep_encodings:
                    kept.append(encoding)
                yield encoding
                bar.update()

    path = os.path.join(output_dir, f"{name}.tf_record")
    if encoder.task is tasks.YES_NO:
        serialized = questions.serialize_yes_no(examples, encodings(), tokenizer)
    else:
        serialized = questions.serialize_spans(encodings(), tokenizer)
    features = encoder.task.make_features(tokenizer.vocab_size, len(questions.YES_NO), encoder.max_seq_length)
    data = records.write_record_file(serialized, path, features)
    training.log_records(data, f"{len(examples)} questions", tokenizer)
    return data, kept


def span_loss_fn(padding_counts):
    """The loss for `train`; in the original's way, padding can be taken for the answer."""

    def loss_fn(model, features, dropout_seed, totals):
        logits = model(features, dropout_seed=dropout_seed)
        if not padding_counts:
            logits = [tf.where(features["input_mask"] > 0, x, MASKED) for x in logits]
        positions = (features[name][:, 0] for name in ("start_positions", "end_positions"))
        return losses.span_loss(*logits, *positions, totals["examples"]), {}

    return loss_fn


def yes_no_loss(model, features, dropout_seed, totals):
    """The loss for `train`."""
    logits = model(features, dropout_seed=dropout_seed)
    return losses.sequence_loss(logits, features["label_ids"][:, 0], totals["examples"]), {}


def span_logits(model, data, batch_size, pad_to):
    """Start and end logits of each record, two arrays, as long as its sequence or as `pad_to`."""

    def score_batch(features):
        length = tf.reduce_sum(features["input_mask"], axis=1)
        return {"index": features["index"], "length": length, **tasks.QA.decode(model(features))}

    logits = [None] * data.count
    for result in training.run_on_records(score_batch, data, batch_size, "predict", pad_to):
        for index, length, start, end in zip(*(result[x] for x in ("index", "length", "start", "end")), strict=True):
            kept = slice(pad_to or length)
            logits[index] = start[kept], end[kept]
    return logits


def write_answers(examples, encodings, logits, options, do_lower_case, list_threshold, output_dir):
    """Writes `predictions.json`, `nbest_predictions.json` and, with negative answers, `null_odds.json`.

    With a `list_threshold`, a prediction is a list of all answers over it, at least the best.
    """
    predictions, n_best_lists, null_odds = {}, {}, {}
    remaining = iter(logits)
    for example, encoding in zip(examples, encodings, strict=True):
        windows = [next(remaining) for _ in encoding.windows]
        text, n_best, difference = answers.predict(example, encoding, windows, options, do_lower_case)
        n_best_lists[example.id] = n_best
        if list_threshold is not None:
            over = [entry["text"] for entry in n_best if entry["probability"] > list_threshold]
            predictions[example.id] = over or [text]
        else:
            predictions[example.id] = text
        if difference is not None:
            null_odds[example.id] = difference
    answers.write_json(output_dir, "predictions.json", predictions)
    answers.write_json(output_dir, "nbest_predictions.json", n_best_lists)
    if options.with_negative:
        answers.write_json(output_dir, "null_odds.json", null_odds)
    logging.info("%s: answers to %d questions", os.path.join(output_dir, "predictions.json"), len(examples))


def predict_yes_no(model, data, examples, encodings, batch_size, output_dir):
    """Writes `predictions.json` and `nbest_predictions.json`, with the mean probability over a question's windows."""

    def classify_batch(features):
        return {"index": features["index"], **tasks.YES_NO.decode(model(features))}

    rows = np.zeros([data.count, len(questions.YES_NO)])
    for result in training.run_on_records(classify_batch, data, batch_size, "predict"):
        rows[result["index"]] = result["probabilities"]
    predictions, n_best_lists, end = {}, {}, 0
    for example, encoding in zip(examples, encodings, strict=True):
        start, end = end, end + len(encoding.windows)
        # A context without text says nothing either way.
        means = rows[start:end].mean(axis=0) if end > start else np.full(len(questions.YES_NO), 0.5)
        entries = [{"text": text, "probability": float(p)} for text, p in zip(questions.YES_NO, means, strict=True)]
        # Of equal probabilities yes comes first, as in transform_nbset2bioasqform.py.
        n_best_lists[example.id] = sorted(entries, key=lambda entry: (-entry["probability"], entry["text"] == "no"))
        predictions[example.id] = n_best_lists[example.id][0]["text"]
    answers.write_json(output_dir, "predictions.json", predictions)
    answers.write_json(output_dir, "nbest_predictions.json", n_best_lists)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
