"""Scores the class probabilities that run_re.py wrote (test_results.tsv) against the labels of a test file.

  python biocodes/re_eval.py --output_path=output/test_results.tsv --answer_path=GAD/1/test.tsv
  python biocodes/re_eval.py --output_path=... --answer_path=chemprot/test.tsv --task=chemprot
  python biocodes/re_eval.py --output_path=... --answer_path=test.tsv --labels=up,down,none --negative_label=none

With two labels, one of them negative: F1, recall and precision of the other, and specificity (the recall of the
negative label). With more labels: the micro average over those that are not negative, as in ChemProt (Mehryary et
al., 2018) and DDI, and below it a table of the classes. A ratio without a denominator counts as 0.

The columns of test_results.tsv are the labels in the order of `LABELS` or `--labels`. The order and the scores do
not depend on which labels occur in the answers.
"""

import argparse
import collections
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

# Labels of each task in the order of the model's classes.
LABELS = {
    "binary": ["0", "1"],
    "chemprot": ["cpr:3", "cpr:4", "cpr:5", "cpr:6", "cpr:9", "false"],
    "ddi13": ["advise", "effect", "mechanism", "int", "false"],
}
USUAL_NEGATIVES = ("false", "0")

LABEL_COLUMN = "label"
# Probabilities are written with about 7 digits; whatever misses 1 by more than this is no distribution.
SUM_TOLERANCE = 1e-3


class DataError(Exception):
    """Input that does not fit; the message is one line."""


# Files


def read_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yields `(line_number, columns)` of a tab-separated UTF-8 file, without its empty lines.

    Quotes are ordinary characters, and only newlines end a line; in a file without any, as of an old Mac, carriage
    returns do.

    Raises:
      DataError: invalid UTF-8.
    """
    with open(path, "rb") as file:
        content = file.read()
    for number, raw in enumerate(content.split(b"\n" if b"\n" in content else b"\r"), 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r")
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number}: invalid UTF-8; expected UTF-8 text") from None
        if line:
            yield number, line.split("\t")


def read_answers(path: str, labels: Sequence[str]) -> list[str]:
    """Reads the labels of a test file with the header `index`, `sentence`, `label`.

    Args:
      path: the file.
      labels: the labels that may occur.

    Returns:
      A list of labels, one an example.

    Raises:
      DataError: no label column, a row of another number of columns than the header, an unknown label, no example.
    """
    rows = read_rows(path)
    number, header = next(rows, (1, []))
    if LABEL_COLUMN not in header:
        raise DataError(
            f"{path}, line {number}: no column {LABEL_COLUMN!r} in {' '.join(header)[:80]!r}; expected the header "
            "index, sentence, label (a test file without labels is for prediction only)"
        )
    column = header.index(LABEL_COLUMN)
    answers = []
    for number, columns in rows:
        if len(columns) != len(header):
            raise DataError(f"{path}, line {number}: {len(columns)} columns; expected {len(header)}, as in the header")
        if columns[column] not in labels:
            raise DataError(
                f"{path}, line {number}: unknown label {columns[column]!r}; expected one of {', '.join(labels)}"
            )
        answers.append(columns[column])
    if not answers:
        raise DataError(f"{path}: no example after the header; expected index, sentence, label a line")
    return answers


def read_predictions(path: str, labels: Sequence[str]) -> list[str]:
    """Reads class probabilities and takes the most probable label of each row (of equal ones the first).

    Args:
      path: a file with a row an example, without header, and a column a label.
      labels: the labels, in the order of the columns.

    Returns:
      A list of labels, one an example.

    Raises:
      DataError: a row of another number of columns, or one that is not a distribution.
    """
    predicted = []
    for number, columns in read_rows(path):
        if len(columns) != len(labels):
            raise DataError(
                f"{path}, line {number}: {len(columns)} columns; expected {len(labels)} probabilities, "
                f"of {', '.join(labels)}"
            )
        try:
            probabilities = np.array([float(column) for column in columns])
        except ValueError:
            raise DataError(f"{path}, line {number}: {' '.join(columns)[:80]!r}; expected probabilities") from None
        # Written so that NaN fails too.
        if not (np.all(probabilities >= 0) and abs(probabilities.sum() - 1) <= SUM_TOLERANCE):
            raise DataError(
                f"{path}, line {number}: {' '.join(columns)[:80]!r}; expected probabilities from 0 to 1 with the sum 1"
            )
        predicted.append(labels[int(np.argmax(probabilities))])
    return predicted


def check_counts(answers: Sequence[str], predicted: Sequence[str], answer_path: str, output_path: str) -> None:
    """Refuses a result of another test file, as far as the number of examples tells."""
    if len(answers) != len(predicted):
        raise DataError(
            f"{output_path} has {len(predicted)} rows, {answer_path} {len(answers)} examples; expected a row for each "
            "example"
        )


# Scores


def usual_negative(labels: Sequence[str]) -> str | None:
    """The label that means no relation where nothing else is said: `false`, else `0`, else None."""
    return next((label for label in USUAL_NEGATIVES if label in labels), None)


def scores(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], negative: str | None
) -> dict[str, float]:
    """The scores of a task.

    Args:
      true: list of labels, one an example.
      predicted: list of labels, as long.
      labels: all labels of the task; they need not all occur.
      negative: the label that means no relation, left out of the micro average; None if there is none.

    Returns:
      A dict of "f1 score", "recall" and "precision", from 0 to 1, micro-averaged over the labels that are not
      negative; with two labels of which one is negative also "specificity", the recall of the negative one.
    """
    positive = [label for label in labels if label != negative]
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, predicted, labels=positive, average="micro", zero_division=0
    )
    results = {"f1 score": f1, "recall": recall, "precision": precision}
    if len(labels) == 2 and len(positive) == 1:
        results["specificity"] = precision_recall_fscore_support(
            true, predicted, labels=[negative], average="micro", zero_division=0
        )[1]
    return {name: float(value) for name, value in results.items()}


def format_scores(results: Mapping[str, float]) -> str:
    """The result of `scores` as the original prints it, a line a score, without a newline at the end."""
    return "\n".join(f"{name:11s} : {value:.2%}" for name, value in results.items())


def format_report(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], negative: str | None) -> str:
    """The scores and, with more than two labels, a table of the classes; arguments as of `scores`."""
    report = format_scores(scores(true, predicted, labels, negative))
    return f"{report}\n\n{format_class_table(true, predicted, labels)}" if len(labels) > 2 else report


def format_class_table(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> str:
    """A table of precision, recall, F1 and number of examples of each label; arguments as of `scores`."""
    columns = precision_recall_fscore_support(true, predicted, labels=labels, average=None, zero_division=0)[:3]
    counts = collections.Counter(true)
    width = max(len("class"), *map(len, labels))
    lines = [f"{'class':{width}s} {'precision':>10s} {'recall':>10s} {'f1 score':>10s} {'support':>10s}"]
    for label, precision, recall, f1 in zip(labels, *columns, strict=True):
        lines.append(f"{label:{width}s} {precision:10.2%} {recall:10.2%} {f1:10.2%} {counts[label]:10d}")
    return "\n".join(lines)


# Command line


def choose_labels(task: str | None, labels: str | None, negative: str | None) -> tuple[list[str], str | None]:
    """The labels and the negative label (or None) that the command line means.

    Args:
      task: a key of `LABELS`, or None.
      labels: names, comma-separated, in place of a task; or None.
      negative: one of these names, or None.

    Raises:
      DataError: the arguments contradict each other.
    """
    if labels is None:
        if negative is not None:
            raise DataError(f"--negative_label={negative}: only with --labels; a --task has its own negative label")
        task = task or "binary"
        return LABELS[task], usual_negative(LABELS[task])
    if task is not None:
        raise DataError(f"--task={task} and --labels={labels}: expected one of them")
    names = labels.split(",")
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise DataError(f"--labels={labels}: expected two or more different labels, separated by commas")
    if negative is not None and negative not in names:
        raise DataError(f"--negative_label={negative}: expected one of --labels, {', '.join(names)}")
    return names, negative or usual_negative(names)


def write_output(text: str) -> None:
    """Writes a text to standard output, all of it; where its reader has left (`| head`), ends the program quietly.

    Raises:
      DataError: it is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise DataError("standard output: closed; expected it open")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # A character that the terminal's encoding lacks is escaped.
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries again when it ends, and reports that
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        raise DataError(f"standard output: {error.strerror}; expected one that can be written") from None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores of relation extraction.")
    parser.add_argument("--output_path", required=True, help="test_results.tsv that run_re.py wrote")
    parser.add_argument("--answer_path", required=True, help="test.tsv with labels")
    parser.add_argument("--task", choices=LABELS, help="default: binary")
    parser.add_argument("--labels", help="in place of --task: labels in the order of the columns, comma-separated")
    parser.add_argument("--negative_label", help="of --labels, out of the average; default: false or 0")
    return parser.parse_args()


def main() -> None:
    """Reads the command line and the files, prints the scores."""
    arguments = parse_arguments()
    try:
        labels, negative = choose_labels(arguments.task, arguments.labels, arguments.negative_label)
        answers = read_answers(arguments.answer_path, labels)
        predicted = read_predictions(arguments.output_path, labels)
        check_counts(answers, predicted, arguments.answer_path, arguments.output_path)
        write_output(format_report(answers, predicted, labels, negative) + "\n")
    except DataError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
