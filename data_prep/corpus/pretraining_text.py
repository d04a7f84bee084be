"""Pre-training text: sentences one a line, an empty line between documents; read in parts and tokenized.

All input files together are one text (a document may go on in the next file, as in the original), in which a
byte offset names a place. So a part of it is found by seeking, without reading what is before it.
"""

import bisect
import dataclasses
import itertools
import os

import numpy as np

from common.errors import InputError

MAX_LINE_BYTES = 200_000_000
BATCH_CHARS = 4_000_000  # characters tokenized at once: some 100 MB

# A long line is cut into segments of at most this share of a sequence, which is the length of a sentence. Two
# segments that fill a sequence each would be cut to fit into one: of abstracts as lines, five passes then cover
# 77 % of the wordpieces, with a share of 1/2 99.9 %, with 1/4 100 % (sentences as lines: 99.5 %).
SEGMENTS_A_SEQUENCE = 4


@dataclasses.dataclass
class Counts:
    """What was read, dropped, cut and written; counts of parts add up."""

    documents: int = 0
    lines: int = 0  # that yield wordpieces
    pieces: int = 0
    long_lines: int = 0  # with more wordpieces than a sequence holds
    cut_pieces: int = 0  # of long lines, beyond what a sequence holds
    invalid_bytes: int = 0
    records: int = 0
    record_pieces: int = 0  # in all records, padding left out
    files: int = 0

    def __add__(self, other):
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Counts(*(a + b for a, b in zip(mine, others, strict=True)))


@dataclasses.dataclass
class Corpus:
    """Tokenized documents. None is empty, nor is a line."""

    ids: np.ndarray  # int32 [pieces], all lines one after the other
    starts: list[int]  # [lines + 1]: line i is ids[starts[i]:starts[i + 1]]
    documents: list[tuple[int, int]]  # (first line, line after the last)


def read_line(file, path):
    """Reads a line as bytes, b"" at the end of the file.

    Raises:
      InputError: it is so long that this is no text.
    """
    line = file.readline(MAX_LINE_BYTES)
    if len(line) == MAX_LINE_BYTES:
        raise InputError(f"{path}: a line of more than {MAX_LINE_BYTES // 1_000_000} MB; expected text in lines")
    return line


class TextFiles:
    """Several files as one text."""

    def __init__(self, paths):
        """Raises InputError if there is no text in them."""
        self.paths = paths
        self.ends = list(itertools.accumulate(map(os.path.getsize, paths)))
        self.size = self.ends[-1]
        if not self.size:
            raise InputError(f"{', '.join(paths)}: no text; expected sentences, one a line")

    def lines(self, start, end):
        """Yields `(path, offset in that file, bytes)` of the lines that begin from `start` on, before `end`.

        `start` is the first byte of a line.
        """
        for number in range(bisect.bisect_right(self.ends, start), len(self.paths)):
            file_start = self.ends[number - 1] if number else 0
            if file_start >= end:
                return
            with open(self.paths[number], "rb") as file:
                offset = max(start - file_start, 0)
                file.seek(offset)
                while file_start + offset < end and (line := read_line(file, self.paths[number])):
                    yield self.paths[number], offset, line
                    offset += len(line)

    def line_start(self, offset):
        """Returns where the first line begins that begins at `offset` or later; the size if there is none."""
        number = bisect.bisect_right(self.ends, offset)
        file_start = self.ends[number - 1] if number else 0
        if offset in (file_start, self.size):
            return offset
        with open(self.paths[number], "rb") as file:
            file.seek(offset - file_start - 1)
            return offset + len(file.readline()) - 1

    def document_start(self, offset):
        """Returns where the first document begins that an empty line at `offset` or later precedes.

        It is the size of the text if there is none. The text's own start is a document's start.
        """
        if offset == 0:
            return 0
        position = self.line_start(offset)
        for _, _, line in self.lines(position, self.size):
            position += len(line)
            if not line.decode("utf-8", "ignore").strip():
                return position
        return self.size

    def part(self, index, num_parts):
        """Returns the bounds `(start, end)` of one of `num_parts` contiguous parts, cut between documents.

        The parts are of equal size but for the documents across their bounds; a part inside one long
        document is empty.
        """
        return (
            self.document_start(self.size * index // num_parts),
            self.document_start(self.size * (index + 1) // num_parts) if index + 1 < num_parts else self.size,
        )


def decode_line(path, offset, line, invalid_utf8, number=None):
    """Decodes a line.

    Args:
      path, offset, line: as of `TextFiles.lines`.
      invalid_utf8: "error", or "drop" to leave out the bytes that are not UTF-8.
      number: of the line, from 1; None to count when it is needed.

    Returns:
      (text, dropped): str without white space around it; how many bytes were left out.

    Raises:
      InputError: invalid UTF-8 (unless dropped), with the number of the line in the file.
    """
    try:
        return line.decode("utf-8").strip(), 0
    except UnicodeDecodeError as error:
        if invalid_utf8 == "drop":
            text = line.decode("utf-8", "ignore")
            return text.strip(), len(line) - len(text.encode("utf-8"))
        raise InputError(
            f"{path}, line {number or _line_number(path, offset)}: invalid UTF-8 (byte {error.start + 1} of the line); "
            "expected UTF-8 text, or --invalid_utf8=drop to leave such bytes out"
        ) from None


def _line_number(path, offset):
    """Returns the number, from 1, of the line that begins at `offset`."""
    number = 1
    with open(path, "rb") as file:
        while file.tell() < offset and file.readline():
            number += 1
    return number


def read_corpus(lines, tokenizer, max_pieces, counts, invalid_utf8="error", split_long_lines=False):
    """Reads and tokenizes documents.

    Args:
      lines: iterable as of `TextFiles.lines`.
      tokenizer: a FastTokenizer.
      max_pieces: wordpieces of text that a sequence holds; a longer line is long.
      counts: `Counts`, to which what is read is added.
      invalid_utf8: see `decode_line`.
      split_long_lines: cut long lines into several, see `SEGMENTS_A_SEQUENCE`.

    Returns:
      A `Corpus`. A line without a wordpiece (of control characters, say) is left out.
    """
    ids, lengths, numbers = [], [], []
    for texts, documents in _text_batches(lines, counts, invalid_utf8):
        values, row_splits = tokenizer.tokenize_to_ids(texts)
        batch_lengths = np.diff(row_splits)
        ids.append(values)
        lengths.append(batch_lengths[batch_lengths > 0])
        numbers.append(np.array(documents, np.int64)[batch_lengths > 0])
    ids = np.concatenate([np.zeros(0, np.int32), *ids])
    lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
    numbers = np.concatenate([np.zeros(0, np.int64), *numbers])
    is_long = lengths > max_pieces
    counts.lines += len(lengths)
    counts.pieces += len(ids)
    counts.long_lines += int(is_long.sum())
    if split_long_lines:
        inside_word = _continues_word(tokenizer.vocab)[ids]
        lengths, numbers = _split_lines(lengths, numbers, inside_word, max_pieces)
    else:
        counts.cut_pieces += int((lengths[is_long] - max_pieces).sum())
    bounds = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1)).tolist()
    documents = list(zip(bounds, bounds[1:], strict=False))
    counts.documents += len(documents)
    return Corpus(ids, [0, *np.cumsum(lengths).tolist()], documents)


def _text_batches(lines, counts, invalid_utf8):
    """Yields `(texts, document numbers)` of some MB of lines; an empty line ends a document."""
    texts, documents = [], []
    document = size = 0
    for path, offset, line in lines:
        text, dropped = decode_line(path, offset, line, invalid_utf8)
        counts.invalid_bytes += dropped
        if not text:
            document += 1
            continue
        texts.append(text)
        documents.append(document)
        size += len(text)
        if size >= BATCH_CHARS:
            yield texts, documents
            texts, documents, size = [], [], 0
    if texts:
        yield texts, documents


def _continues_word(vocab):
    """Returns bool [ids]: whether the wordpiece of an id continues a word (`##s`)."""
    continues = np.zeros(max(vocab.values()) + 1, bool)
    continues[[i for piece, i in vocab.items() if piece.startswith("##")]] = True
    return continues


def _split_lines(lengths, numbers, inside_word, max_pieces):
    """Cuts the lines longer than `max_pieces` before words, or anywhere in a word longer than a segment.

    Args:
      lengths: int64 [lines], wordpieces a line.
      numbers: int64 [lines], the document of each.
      inside_word: bool [pieces], whether a wordpiece is not the first of a word.

    Returns:
      New `lengths` and `numbers`, of more lines.
    """
    longest = max(1, max_pieces // SEGMENTS_A_SEQUENCE)
    new_lengths, repeats = [], np.ones(len(lengths), np.int64)
    ends = np.cumsum(lengths)
    done = 0
    for i in np.flatnonzero(lengths > max_pieces):
        new_lengths += lengths[done:i].tolist()
        start, end, first = ends[i] - lengths[i], ends[i], len(new_lengths)
        while end - start > longest:
            words = np.flatnonzero(~inside_word[start + 1 : start + longest + 1])
            length = int(words[-1]) + 1 if len(words) else longest
            new_lengths.append(length)
            start += length
        new_lengths.append(int(end - start))
        repeats[i] = len(new_lengths) - first
        done = i + 1
    new_lengths += lengths[done:].tolist()
    return np.array(new_lengths, np.int64), np.repeat(numbers, repeats)
