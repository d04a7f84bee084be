r"""Turns the labels of wordpieces that run_ner.py wrote back into labels of words, for conlleval.

  python biocodes/ner_detokenize.py --token_test_path=output/token_test.txt \\
      --label_test_path=output/label_test.txt --answer_path=NCBI-disease/test.tsv --output_dir=output
  python biocodes/conlleval.py < output/NER_result_conll.txt

Writes `NER_result_conll.txt`: `word GOLD-MISC PREDICTED-MISC` a line (without `-MISC` where labels have types
of their own, such as B-Disease) and a blank line after each sentence; every word of the gold file once. Where
a sentence was cut to the model's longest sequence, the words beyond the cut get O, and of a word that the cut
goes through only the part before it is printed, as in the original.

Words are followed by counting. A word of the gold file is split by BERT's basic tokenizer into a known number
of basic tokens (`mg/kg`: 3, `BRCA1`: 1, U+200B: 0), and each of these is in token_test.txt one wordpiece without
`##` and any wordpieces with `##` after it. So a word's label is that of its first wordpiece.
"""

import argparse
import contextlib
import dataclasses
import itertools
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

OUTSIDE = "O"
FIRST, LAST, UNKNOWN, CONTINUATION = "[CLS]", "[SEP]", "[UNK]", "##"
# Labels that a model may predict and that say nothing about a word.
NOT_A_LABEL = {"X", "[CLS]", "[SEP]", "[PAD]"}
# Blocks of ideographs, each of which BERT takes for a word.
CJK_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class DataError(Exception):
    """Input that does not fit; the message is one line."""


class AlignmentError(DataError):
    """Wordpieces that are not those of the words; `word` and `piece` are the indices where that shows."""

    def __init__(self, word: int, piece: int, message: str) -> None:
        super().__init__(message)
        self.word = word
        self.piece = piece


@dataclasses.dataclass(frozen=True)
class PredictedSentence:
    """The wordpieces between [CLS] and [SEP] and their labels; `line` is that of [CLS] in the token file."""

    line: int
    pieces: list[str]
    labels: list[str]


@dataclasses.dataclass(frozen=True)
class AlignedWord:
    """A word's predicted label and the text of its wordpieces ("" if it has none); `is_cut`: the last are missing."""

    label: str
    text: str
    is_cut: bool


# Files


def read_lines(path: str) -> list[str]:
    """Returns the lines of a UTF-8 file.

    Only newlines end them, as other Unicode separators may be words; in a file without any, as of an old Mac, carriage
    returns do.
    """
    with open(path, "rb") as file:
        content = file.read()
    raw_lines = content.split(b"\n" if b"\n" in content else b"\r")
    if not raw_lines[-1]:
        raw_lines.pop()  # what is behind the last line's end
    lines = []
    for number, raw in enumerate(raw_lines, 1):
        try:
            lines.append(raw.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r"))
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number}: invalid UTF-8; expected UTF-8 text") from None
    return lines


def read_sentences(path: str) -> list[list[tuple[str, str]]]:
    """Reads a gold file: word, tab, label a line, and blank lines between sentences.

    A line without a tab is split at spaces. The word is the first column, the label the last; no other
    Unicode space separates, as a word may be a no-break space.

    Returns:
      A list of sentences, each a list of `(word, label)`.

    Raises:
      DataError: a line that is not word and label, no sentence at all, invalid UTF-8.
    """
    sentences: list[list[tuple[str, str]]] = [[]]
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip(" \t"):
            sentences.append([])
            continue
        columns = [column for column in line.split("\t" if "\t" in line else " ") if column]
        if len(columns) < 2:
            raise DataError(f"{path}, line {number}: no label in {line!r}; expected word, tab, label")
        word, label = columns[0], columns[-1]
        if " " in word or " " in label:
            # The result is split at spaces when it is evaluated.
            raise DataError(f"{path}, line {number}: space in {line!r}; expected one word, tab, label")
        sentences[-1].append((word, label))
    sentences = [sentence for sentence in sentences if sentence]
    if not sentences:
        raise DataError(f"{path}: no sentence; expected word, tab, label a line")
    return sentences


def read_predictions(token_path: str, label_path: str) -> list[PredictedSentence]:
    """Reads token_test.txt and label_test.txt: a wordpiece and its label a line, [CLS] ... [SEP] a sentence.

    Returns:
      A list of PredictedSentence.

    Raises:
      DataError: the files differ in length, are empty, or a sentence is not between [CLS] and [SEP].
    """
    tokens, labels = read_lines(token_path), read_lines(label_path)
    if len(tokens) != len(labels):
        raise DataError(
            f"{token_path} has {len(tokens)} lines, {label_path} {len(labels)}; expected a label for each token"
        )
    sentences = []
    start = None  # index of the [CLS] of the open sentence
    for index, token in enumerate(tokens):
        # An opening wordpiece is expected outside a sentence, anything else inside one.
        if (token == FIRST) != (start is None):
            expected = FIRST if start is None else f"{LAST} before the next sentence"
            raise DataError(f"{token_path}, line {index + 1}: {token!r}; expected {expected}")
        if token == FIRST:
            start = index
        elif token == LAST:
            first = start + 1  # type: ignore[operator]  # not None: by the check above, a sentence is open
            sentences.append(PredictedSentence(first, tokens[first:index], labels[first:index]))
            start = None
    if start is not None:
        raise DataError(f"{token_path}, line {start + 1}: sentence without {LAST} at its end")
    if not sentences:
        raise DataError(f"{token_path}: empty; expected the tokens that run_ner.py writes")
    return sentences


def check_outputs(outputs: Iterable[str], inputs: Sequence[str]) -> None:
    """Raises DataError for an output that is a directory, or one of the inputs, by whatever name."""
    for path in filter(os.path.exists, outputs):
        if os.path.isdir(path):
            raise DataError(f"{path}: Is a directory")
        if any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
            raise DataError(f"{path}: is an input file as well; expected another output directory")


def write_files(files: Mapping[str, Iterable[str]]) -> None:
    """Writes files whole, or none of them; `files`: path -> its lines."""
    temporary = {path: f"{path}.tmp{os.getpid()}" for path in files}
    try:
        for path, lines in files.items():
            with open(temporary[path], "w", encoding="utf-8", newline="\n") as file:
                file.writelines(line + "\n" for line in lines)
        for path in files:
            os.replace(temporary[path], path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    finally:
        for name in temporary.values():
            if os.path.exists(name):
                os.unlink(name)


# Words


def _clean(char):
    """What BERT makes of a character before it splits at white space."""
    category = unicodedata.category(char)
    if char in "\t\n\r" or category == "Zs":
        return " "
    if category[0] == "C" or char == "\ufffd":
        return ""
    is_cjk = any(first <= ord(char) <= last for first, last in CJK_BLOCKS)
    return f" {char} " if is_cjk else char


def _is_punctuation(char):
    return char.isascii() and not char.isalnum() or unicodedata.category(char)[0] == "P"


def basic_tokens(word: str, lower_case: bool = False) -> list[str]:
    """The tokens of a word under BERT's basic tokenizer: each starts a wordpiece without `##`.

    Args:
      word: a string.
      lower_case: as an uncased model does, lower the case and drop accents. That can change the number: `≠`
        becomes `=`, which is punctuation, and a lone combining accent becomes nothing.

    Returns:
      A list of strings: `mg/kg` -> ["mg", "/", "kg"].
    """
    word = "".join(map(_clean, word))
    if lower_case:
        word = unicodedata.normalize("NFD", word.lower())
        word = "".join(char for char in word if unicodedata.category(char) != "Mn")
    return "".join(f" {char} " if _is_punctuation(char) else char for char in word).split()


def join_pieces(pieces: Iterable[str]) -> list[tuple[int, str]]:
    """Joins wordpieces into basic tokens: ["mg", "/", "k", "##g"] -> [(0, "mg"), (1, "/"), (2, "kg")].

    Returns:
      A list of `(index of the first piece, text)`.
    """
    tokens: list[tuple[int, str]] = []
    for index, piece in enumerate(pieces):
        if piece.startswith(CONTINUATION) and tokens:
            start, text = tokens[-1]
            tokens[-1] = (start, text + piece[len(CONTINUATION) :])
        else:
            tokens.append((index, piece))
    return tokens


def align(
    words: Sequence[str], pieces: Sequence[str], labels: Sequence[str], lower_case: bool = False
) -> list[AlignedWord]:
    """Gives each word the label of its first wordpiece.

    Args:
      words: the words of a sentence.
      pieces: its wordpieces, perhaps cut at the end to the model's longest sequence.
      labels: a label for each wordpiece.
      lower_case: whether the tokenizer was uncased.

    Returns:
      A list of AlignedWord, as far as there are wordpieces: shorter than `words` if the sentence was cut.

    Raises:
      AlignmentError: the wordpieces are not those of the words.
    """
    found = join_pieces(pieces)
    result: list[AlignedWord] = []
    position = 0  # in `found`
    for number, word in enumerate(words):
        expected = basic_tokens(word, lower_case)
        mine = found[position : position + len(expected)]
        if expected and not mine:
            return result
        for (start, text), token in zip(mine, expected, strict=False):
            ends_here = start == found[-1][0] and token.startswith(text)  # a cut inside the word
            if text not in (token, UNKNOWN) and not ends_here:
                raise AlignmentError(number, start, f"word {word!r}, token {text!r}; expected {token!r}")
        label = labels[mine[0][0]] if mine else OUTSIDE
        text = "".join(text for _, text in mine)
        is_cut = UNKNOWN not in text and len(text) < len("".join(expected))
        result.append(AlignedWord(OUTSIDE if label in NOT_A_LABEL else label, text, is_cut))
        position += len(mine)
    if position < len(found):
        start, text = found[position]
        raise AlignmentError(len(words) - 1, start, f"token {text!r} after the last word {words[-1]!r}")
    return result


def _align_all(sentences, predictions, lower_case):
    result = []
    for number, (sentence, prediction) in enumerate(zip(sentences, predictions, strict=True)):
        words = [word for word, _ in sentence]
        try:
            result.append(align(words, prediction.pieces, prediction.labels, lower_case))
        except AlignmentError as error:
            return result, (number, prediction.line + 1 + error.piece, error)
    return result, None


def align_file(
    sentences: Sequence[Sequence[tuple[str, str]]], predictions: Sequence[PredictedSentence], token_path: str
) -> list[list[AlignedWord]]:
    """Aligns all sentences, as those of a cased tokenizer or else of an uncased one.

    Args:
      sentences: from `read_sentences`.
      predictions: from `read_predictions`, one a sentence.
      token_path: for messages.

    Returns:
      For each sentence what `align` returns.

    Raises:
      DataError: neither fits; the message tells where the better of the two fails.
    """
    if len(sentences) != len(predictions):
        raise DataError(
            f"{token_path} has {len(predictions)} sentences, the gold file {len(sentences)}; expected as many"
        )
    failures = []
    for lower_case in (False, True):
        result, failure = _align_all(sentences, predictions, lower_case)
        if failure is None:
            return result
        failures.append(failure)
    number, line, error = max(failures, key=lambda failure: failure[1])
    raise DataError(f"{token_path}, line {line}: sentence {number + 1}, {error}")


# Results


def trimmed_lines(
    sentences: Sequence[Sequence[tuple[str, str]]], aligned: Sequence[Sequence[AlignedWord]]
) -> Iterator[str]:
    """Yields what is said of sentences that lack their last words, in the original's words."""
    for sentence, predicted in zip(sentences, aligned, strict=True):
        missing = [word for word, _ in sentence[len(predicted) :]]
        if missing:
            yield (
                "## The predicted sentence of BioBERT model looks like trimmed. (The Length of the tokenized input "
                "sequence is longer than max_seq_length); Filling O label instead."
            )
            yield f"   -> Showing 10 words near skipped part : {' '.join(missing[:10])}"


def conll_lines(
    sentences: Sequence[Sequence[tuple[str, str]]], aligned: Sequence[Sequence[AlignedWord]]
) -> Iterator[str]:
    """Yields the lines of NER_result_conll.txt."""
    labels = {label for sentence in sentences for _, label in sentence}
    labels.update(word.label for words in aligned for word in words)
    suffix = "" if any("-" in label for label in labels) else "-MISC"
    for sentence, predicted in zip(sentences, aligned, strict=True):
        for (word, gold), found in itertools.zip_longest(sentence, predicted):
            # Of a word that the cut goes through the original prints what is left.
            text = found.text if found and found.is_cut else word
            yield f"{text} {gold}{suffix} {found.label if found else OUTSIDE}{suffix}"
        yield ""


def debug_lines(
    sentences: Sequence[Sequence[tuple[str, str]]], aligned: Sequence[Sequence[AlignedWord]]
) -> Iterator[str]:
    """Yields the lines of NER_result_sent-debug.txt: the words of the gold file, those made of wordpieces."""
    for sentence, predicted in zip(sentences, aligned, strict=True):
        gold_words = [word for word, _ in sentence]
        joined = [word.text for word in predicted if word.text]
        yield f"ANS ({len(gold_words)}): {' '.join(gold_words)}"
        yield f"PRD ({len(joined)}): {' '.join(joined)}"
        yield ""


# Command line


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
    parser = argparse.ArgumentParser(description="Labels of wordpieces back to labels of words.")
    parser.add_argument("--token_test_path", required=True, help="token_test.txt that run_ner.py wrote")
    parser.add_argument("--label_test_path", required=True, help="label_test.txt that run_ner.py wrote")
    parser.add_argument("--answer_path", required=True, help="gold file, such as NCBI-disease/test.tsv")
    parser.add_argument("--output_dir", required=True, help="folder for NER_result_conll.txt")
    parser.add_argument("--debug", action="store_true", help="also write NER_result_sent-debug.txt")
    return parser.parse_args()


def main() -> None:
    """Reads the command line, writes the result."""
    arguments = parse_arguments()
    inputs = [arguments.token_test_path, arguments.label_test_path, arguments.answer_path]
    result = os.path.join(arguments.output_dir, "NER_result_conll.txt")
    debug = [os.path.join(arguments.output_dir, "NER_result_sent-debug.txt")] if arguments.debug else []
    try:
        check_outputs([*debug, result], inputs)
        sentences = read_sentences(arguments.answer_path)
        predictions = read_predictions(arguments.token_test_path, arguments.label_test_path)
        aligned = align_file(sentences, predictions, arguments.token_test_path)
        os.makedirs(arguments.output_dir, exist_ok=True)
        files = {path: debug_lines(sentences, aligned) for path in debug}
        write_files({**files, result: conll_lines(sentences, aligned)})
        said = [*trimmed_lines(sentences, aligned), "NER detokenize done"]
        write_output("".join(line + "\n" for line in said))
    except DataError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
