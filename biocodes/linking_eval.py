"""Scores the identifiers (concepts) in a PubTator file against those of a gold standard.

  python biocodes/linking_eval.py --gold_file=CDR_TestSet.PubTator.txt --predicted_file=found.pubtator --type=Disease

By document, as in BioCreative V (Wei et al. 2016, doi:10.1093/database/baw032): precision, recall and F1 of the
different identifiers of each document, micro-averaged. By mention: the share of the gold standard's mentions with an
identifier whose offsets, type and identifiers are predicted; identifiers of a mention are a set (`D1|D2`), all of which
count.

`MESH:D001` is `D001`; `-`, `-1` and nothing are no identifier. A ratio without a denominator counts as 0.
"""

import argparse
import contextlib
import dataclasses
import re
import sys
from collections.abc import Mapping

NONE = {"", "-", "-1"}
TEXT = re.compile(r"([^|\t]+)\|[ta]\|")

Mention = tuple[int, int, str]  # start, end, type


class DataError(Exception):
    """Input that does not fit; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Ratios from 0 to 1, and what they are of."""

    precision: float
    recall: float
    f1: float
    accuracy: float  # of mentions
    mentions: int  # of the gold standard, with an identifier
    found: int  # of these, those predicted with offsets and type


# Files


def read_mentions(path: str, kind: str | None = None) -> dict[str, dict[Mention, frozenset[str]]]:
    """Reads a PubTator file.

    Args:
      path: the file, UTF-8.
      kind: the type of the mentions that count; None: all.

    Returns:
      For each document, by id, a dict from mention to its identifiers. Those of one that is there twice are joined.

    Raises:
      DataError: invalid UTF-8, a row that is neither text nor entity nor relation, no document.
    """
    documents: dict[str, dict[Mention, frozenset[str]]] = {}
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"{path}, line {number}"
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                raise DataError(f"{where}: invalid UTF-8; expected UTF-8 text") from None
            if match := TEXT.match(line):
                documents.setdefault(match[1], {})
            elif line.strip():
                _add_row(documents, line.split("\t"), kind, where)
    if not documents:
        raise DataError(f"{path}: no document; expected PubTator: id|t|title first")
    return documents


def _add_row(documents, columns, kind, where):
    if columns[0] not in documents:
        raise DataError(f"{where}: {columns[0][:40]!r}, which no title has; expected id|t|title before")
    if len(columns) in (4, 5) and not columns[1].isdecimal():
        return  # a relation
    if len(columns) < 5 or not (columns[1].isdecimal() and columns[2].isdecimal()):
        raise DataError(f"{where}: {len(columns)} columns; expected id, start, end, text, type, concept")
    if kind in (None, columns[4]):
        mentions, mention = documents[columns[0]], (int(columns[1]), int(columns[2]), columns[4])
        mentions[mention] = mentions.get(mention, frozenset()) | split_identifiers("".join(columns[5:6]))


def split_identifiers(text: str) -> frozenset[str]:
    """The identifiers of a mention: `MESH:D1|D2` is {D1, D2}."""
    parts = (re.sub("^mesh:", "", part.strip(), flags=re.IGNORECASE) for part in re.split(r"[|;,+]", text))
    return frozenset(parts) - NONE


# Scores


def score(
    gold: Mapping[str, Mapping[Mention, frozenset[str]]], predicted: Mapping[str, Mapping[Mention, frozenset[str]]]
) -> Scores:
    """The scores of predicted mentions, as of `read_mentions`; a document that was not predicted has none."""
    true, guessed = (
        {(name, each) for name, mentions in documents.items() for ids in mentions.values() for each in ids}
        for documents in (gold, predicted)
    )
    both = len(true & guessed)
    known = [(name, mention, ids) for name, mentions in gold.items() for mention, ids in mentions.items() if ids]
    found = [(ids, predicted[name][mention]) for name, mention, ids in known if mention in predicted.get(name, {})]
    return Scores(
        precision=_ratio(both, len(guessed)),
        recall=_ratio(both, len(true)),
        f1=_ratio(2 * both, len(true) + len(guessed)),
        accuracy=_ratio(sum(ids == there for ids, there in found), len(known)),
        mentions=len(known),
        found=len(found),
    )


def _ratio(part, whole):
    return part / whole if whole else 0.0


def format_scores(scores: Scores) -> str:
    """Lines of text, without a newline at the end."""
    return (
        f"by document: precision {scores.precision:.2%}, recall {scores.recall:.2%}, F1 {scores.f1:.2%}\n"
        f"by mention: accuracy {scores.accuracy:.2%} of {scores.mentions} mentions, {scores.found} of which were found"
    )


# Command line


def write_output(text: str) -> None:
    """Writes a text to standard output, all of it; where its reader has left (`| head`), ends the program quietly.

    Raises:
      DataError: it is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise DataError("standard output: closed; expected it open")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries again when it ends, and reports that
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        raise DataError(f"standard output: {error.strerror}; expected one that can be written") from None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores of entity linking.")
    parser.add_argument("--gold_file", required=True, help="PubTator file with the right identifiers")
    parser.add_argument("--predicted_file", required=True, help="PubTator file to score")
    parser.add_argument("--type", help="of the mentions that count; default: all")
    return parser.parse_args()


def main() -> None:
    """Reads the command line and the files, prints the scores."""
    arguments = parse_arguments()
    try:
        gold = read_mentions(arguments.gold_file, arguments.type)
        predicted = read_mentions(arguments.predicted_file, arguments.type)
        if strange := predicted.keys() - gold.keys():
            raise DataError(
                f"{arguments.predicted_file}: document {min(strange)}, which {arguments.gold_file} has not; expected "
                "documents of the gold standard"
            )
        scores = score(gold, predicted)
        if not scores.mentions:
            raise DataError(
                f"{arguments.gold_file}: no mention{f' of type {arguments.type}' if arguments.type else ''} with an "
                "identifier; expected some"
            )
        missing = len(gold.keys() - predicted.keys())
        write_output(format_scores(scores) + "\n" + (f"{missing} documents were not predicted\n" if missing else ""))
    except DataError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
