"""Scores named-entity tags chunk by chunk and prints what the CoNLL-2000 script conlleval.pl prints.

  python biocodes/conlleval.py < NER_result_conll.txt

Each input line holds columns of which the last two are the gold and the predicted tag; an empty line or one
whose first column is `-X-` ends a sentence. The output equals that of the version of 2004-01-26 (Erik Tjong
Kim Sang, https://www.clips.uantwerpen.be/conll2000/chunking/) to the last character, its quirks included: a
type named `0` counts as no type, and the line of chunks without a type appears twice if both sides have some.
"""

import argparse
import collections
import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterable, Iterator

BOUNDARY = b"-X-"
OUTSIDE = ("O", "")


@dataclasses.dataclass
class Counts:
    """Chunks in the gold tags, in the predicted tags, and in both (same first and last token, same type)."""

    gold: int = 0
    guessed: int = 0
    correct: int = 0

    @property
    def precision(self) -> float:
        """Percentage of the predicted chunks that are right, 0 if there are none."""
        return 100 * self.correct / self.guessed if self.guessed else 0.0

    @property
    def recall(self) -> float:
        """Percentage of the gold chunks that were found, 0 if there are none."""
        return 100 * self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent."""
        precision, recall = self.precision, self.recall
        # In this order of operations: it decides the last digit.
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclasses.dataclass
class Scores(Counts):
    """Counts over all types; `tokens` and the `correct_tags` among them; `types`: type name -> Counts."""

    tokens: int = 0
    correct_tags: int = 0
    types: dict[str, Counts] = dataclasses.field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Percentage of tokens whose tag and type are right, 0 if there are no tokens."""
        return 100 * self.correct_tags / self.tokens if self.tokens else 0.0


class FormatError(Exception):
    """Input that the evaluation refuses; the message is the original's."""


def split_tag(tag: str) -> tuple[str, str]:
    """`B-Disease` -> ("B", "Disease"); the type may hold hyphens; `0` is no type (false in Perl)."""
    chunk_tag, _, chunk_type = tag.partition("-")
    return chunk_tag, "" if chunk_type == "0" else chunk_type


# Besides B, I and O: E ends a chunk (IOE tagging), [ and ] are chunks of one token, and . is punctuation
# between chunks. Pairs of neighbouring tags between which a chunk ends, and before whose second one starts:
_END_PAIRS = {tuple(pair) for pair in ("BB", "BO", "IB", "IO", "EE", "EI", "EO")}
_START_PAIRS = {tuple(pair) for pair in ("BB", "IB", "OB", "OI", "EE", "EI", "OE")}


def ends_chunk(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    """Whether a chunk ends between two neighbouring (tag, type) pairs."""
    (previous_tag, previous_type), (tag, chunk_type) = previous, current
    if previous_tag in ("[", "]") or (previous_tag, tag) in _END_PAIRS:
        return True
    return previous_tag not in ("O", ".") and previous_type != chunk_type


def starts_chunk(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    """Whether a chunk starts with the second of two neighbouring (tag, type) pairs."""
    (previous_tag, previous_type), (tag, chunk_type) = previous, current
    if tag in ("[", "]") or (previous_tag, tag) in _START_PAIRS:
        return True
    return tag not in ("O", ".") and previous_type != chunk_type


def evaluate(rows: Iterable[tuple[str, ...] | None]) -> Scores:
    """Counts chunks.

    Args:
      rows: iterable of `(gold_tag, predicted_tag)`, such as `("B-Disease", "O")`, or None between sentences.

    Returns:
      Scores.
    """
    scores = Scores()
    types: collections.defaultdict[str, Counts] = collections.defaultdict(Counts)
    previous_gold = previous_guess = OUTSIDE
    matching = False  # inside a gold and a predicted chunk that began together and have agreed so far
    for row in rows:
        gold, guess = (split_tag(row[0]), split_tag(row[1])) if row else (OUTSIDE, OUTSIDE)
        same_type = gold[1] == guess[1]
        if matching:
            ends = ends_chunk(previous_gold, gold), ends_chunk(previous_guess, guess)
            types[previous_gold[1]].correct += all(ends)
            scores.correct += all(ends)
            matching = same_type and not any(ends)
        gold_starts = starts_chunk(previous_gold, gold)
        guess_starts = starts_chunk(previous_guess, guess)
        matching = matching or (gold_starts and guess_starts and same_type)
        types[gold[1]].gold += gold_starts
        types[guess[1]].guessed += guess_starts
        scores.gold += gold_starts
        scores.guessed += guess_starts
        if row:
            scores.tokens += 1
            scores.correct_tags += gold == guess
        previous_gold, previous_guess = gold, guess
    types[previous_gold[1]].correct += matching
    scores.correct += matching
    # Names seen only outside chunks are no types; a name can even have matches without a start (after `.`).
    scores.types = {name: counts for name, counts in types.items() if counts.gold or counts.guessed}
    return scores


def _to_bytes(name):
    # Undoes the decoding in `read_rows`: bytes that are not UTF-8 come out as they came in.
    return name.encode("utf-8", "surrogateescape")


def _listed_types(scores):
    """Yields (name, counts) in the order of the report: by bytes, the empty name perhaps twice."""
    for name in sorted(scores.types, key=_to_bytes):
        counts = scores.types[name]
        yield name, counts
        if name == "" and counts.gold and counts.guessed:
            yield name, counts


def _pad(name, width):
    # The original's fields are padded by bytes: µ takes two of the 17 columns.
    return " " * (width - len(_to_bytes(name)))


def format_report(scores: Scores) -> str:
    """The report as text: the overall lines, then one line a type; each line ends with a newline."""
    lines = [
        f"processed {scores.tokens} tokens with {scores.gold} phrases; "
        f"found: {scores.guessed} phrases; correct: {scores.correct}."
    ]
    if scores.tokens:
        lines.append(
            f"accuracy: {scores.accuracy:6.2f}%; precision: {scores.precision:6.2f}%; "
            f"recall: {scores.recall:6.2f}%; FB1: {scores.f1:6.2f}"
        )
    for name, counts in _listed_types(scores):
        lines.append(
            f"{_pad(name, 17)}{name}: precision: {counts.precision:6.2f}%; "
            f"recall: {counts.recall:6.2f}%; FB1: {counts.f1:6.2f}  {counts.guessed}"
        )
    return "".join(line + "\n" for line in lines)


def format_latex(scores: Scores) -> str:
    """The rows of a LaTeX table: a head, one row a type, overall."""

    def cells(counts):
        return f"&  {counts.precision:6.2f}\\% & {counts.recall:6.2f}\\% & {counts.f1:6.2f} \\\\"

    text = "        & Precision &  Recall  & F$_{\\beta=1} \\\\\\hline"
    for name, counts in _listed_types(scores):
        text += f"\n{name}{_pad(name, 7)} {cells(counts)}"
    return f"{text}\\hline\nOverall {cells(scores)}\\hline\n"


def perl_split(delimiter: re.Pattern[bytes], line: bytes) -> list[bytes]:
    """Splits as Perl's `split(/delimiter/, line)`.

    Unlike `re.split`: no field from an empty match where a field begins, and no empty fields at the end.

    Args:
      delimiter: a compiled pattern over bytes; what its groups match become fields as well.
      line: bytes.

    Returns:
      A list of bytes, empty for an empty line.
    """
    fields = []
    start = 0
    for match in delimiter.finditer(line):
        if match.end() > start:
            fields.append(line[start : match.start()])
            fields.extend(group or b"" for group in match.groups())
            start = match.end()
    fields.append(line[start:])
    while fields and not fields[-1]:
        fields.pop()
    return fields


def read_rows(
    lines: Iterable[bytes], delimiter: re.Pattern[bytes], raw: bool = False, outside_tag: bytes = b"O"
) -> Iterator[tuple[str, ...] | None]:
    """Yields what `evaluate` takes.

    Args:
      lines: iterable of bytes, with their newlines.
      delimiter: compiled pattern over bytes between columns.
      raw: tags come without B- and I-; every token not outside is a chunk of its own.
      outside_tag: with `raw`, the tag (bytes) that stands for O.

    Raises:
      FormatError: a line with another number of columns than the first, or with a single one.
    """
    columns = 0
    for line in lines:
        line = line.removesuffix(b"\n")
        fields = perl_split(delimiter, line)
        if not columns:
            columns = len(fields)
        elif fields and len(fields) != columns:
            raise FormatError(f"unexpected number of features: {len(fields)} ({columns})")
        if not fields or fields[0] == BOUNDARY:
            yield None
            continue
        if len(fields) < 2:
            text = line.decode("utf-8", "surrogateescape")
            raise FormatError(f"conlleval: unexpected number of features in line {text}")
        tags = fields[-2:]
        if raw:
            tags = [b"O" if tag in (outside_tag, b"O") else b"B-" + tag for tag in tags]
        yield tuple(tag.decode("utf-8", "surrogateescape") for tag in tags)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Chunk precision, recall and F1 as conlleval.pl gives.")
    parser.add_argument("file", nargs="?", help="tagged text; standard input if left out")
    parser.add_argument("-l", dest="latex", action="store_true", help="print rows of a LaTeX table")
    parser.add_argument("-r", dest="raw", action="store_true", help="tags without B- and I-: one token a chunk")
    parser.add_argument("-d", dest="delimiter", default=" ", help="regular expression between columns")
    parser.add_argument("-o", dest="outside_tag", default="O", help="with -r: the tag outside chunks (O)")
    return parser.parse_args()


def write_output(report: bytes) -> int:
    """Writes the report to standard output, all of it; returns the exit status, 1 if that fails.

    Where the reader of standard output has left (`| head`), nothing is said.
    """
    if sys.stdout is None:
        return fail(b"error: standard output: closed; expected it open")
    try:
        sys.stdout.buffer.write(report)
        sys.stdout.buffer.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries again when it ends, and reports that
        if isinstance(error, BrokenPipeError):
            return 1
        return fail(_to_bytes(f"error: standard output: {error.strerror}; expected one that can be written"))
    return 0


def fail(message: bytes) -> int:
    """Writes a line to standard error, if it is open; returns the exit status 1."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.buffer.write(message + b"\n")
            sys.stderr.buffer.flush()
    return 1


def main() -> int:
    """Reads the command line and the input, prints the report."""
    arguments = parse_arguments()
    if not arguments.file and sys.stdin is None:
        return fail(b"error: standard input: closed; expected it open, or a file")
    try:
        delimiter = re.compile(_to_bytes(arguments.delimiter))
        outside_tag = _to_bytes(arguments.outside_tag)
        with open(arguments.file, "rb") if arguments.file else sys.stdin.buffer as lines:
            scores = evaluate(read_rows(lines, delimiter, arguments.raw, outside_tag))
    except FormatError as error:
        return fail(_to_bytes(str(error)))
    except re.error as error:
        return fail(_to_bytes(f"error: -d {arguments.delimiter!r} is not a regular expression: {error}"))
    except OSError as error:
        return fail(_to_bytes(f"error: {arguments.file or 'standard input'}: {error.strerror}"))
    return write_output(_to_bytes(format_latex(scores) if arguments.latex else format_report(scores)))


if __name__ == "__main__":
    sys.exit(main())
