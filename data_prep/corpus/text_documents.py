"""Plain text files, compressed or not, as documents."""

import dataclasses

from absl import flags

from common.errors import InputError
from common.inputs import READ_ERRORS, fold, is_compressed, open_bytes, read_error
from data_prep.corpus.pretraining_text import TextFiles, decode_line, read_line
from data_prep.formats.document import Article

MAX_DOCUMENT_CHARS = 50_000_000  # a book has a million
FORMATS = ("paragraphs", "lines", "sentences")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a text is read."""

    text_format: str = "paragraphs"  # one of FORMATS
    invalid_utf8: str = "error"  # or "drop": leave out bytes that are not UTF-8


def define_reader_flags():
    flags.DEFINE_enum(
        "text_format",
        Options.text_format,
        FORMATS,
        "Plain text: paragraphs or sentences a line with a blank line between documents, or lines, each a document.",
    )


def reader_options(values):
    """Returns the Options that the flags of `define_reader_flags` and `--invalid_utf8` mean."""
    return Options(values.text_format, values.invalid_utf8)


def read_articles(path, options, part=0, parts=1, dropped=lambda count: None):
    """Yields the documents of a text file, or of one of several parts of it.

    Args:
      path: the file.
      options: `Options`.
      part, parts: which of how many parts of about equal size; one if the file is compressed.
      dropped: called with the number of bytes that were left out of a line.

    Yields:
      (offset, Article): the offset of the document's first line in the (uncompressed) file.

    Raises:
      InputError: the file cannot be read, or is not UTF-8 (with the line).
    """
    document, start, size, is_empty = [], 0, 0, parts == 1
    for offset, text in _read_lines(path, options, part, parts, dropped):
        is_empty &= not text
        if text:
            start, size = (start, size + len(text)) if document else (offset, len(text))
            document.append(text)
            if size > MAX_DOCUMENT_CHARS:
                raise InputError(
                    f"{path}: a document of more than {MAX_DOCUMENT_CHARS // 1_000_000} million characters; expected "
                    "an empty line between documents, or --text_format=lines"
                )
        if document and (not text or options.text_format == "lines"):
            yield start, Article("", 1, tuple(document))
            document = []
    if document:
        yield start, Article("", 1, tuple(document))
    if is_empty:
        raise InputError(f"{path}: no text in any line")


def _read_lines(path, options, part, parts, dropped):
    """Yields `(offset, text)` of each line, without white space around it."""
    try:
        for number, offset, line in _raw_lines(path, options, part, parts):
            text, count = decode_line(path, offset, line, options.invalid_utf8, number)
            if count:
                dropped(count)
            if offset == 0:
                text = text.removeprefix("\ufeff")
            # A sentence stays as it is, for the tokenizer: what is white space to it is a question of its own.
            yield offset, text if options.text_format == "sentences" else fold(text)
    except READ_ERRORS as error:
        raise read_error(path, error) from None


def _raw_lines(path, options, part, parts):
    """Yields `(number or None, offset, bytes)` of each line."""
    if not is_compressed(path):
        for offset, line in _part_lines(path, options, part, parts):
            yield None, offset, line
        return
    offset = 0
    with open_bytes(path) as file:
        for number, line in enumerate(iter(lambda: read_line(file, path), b""), 1):
            yield number, offset, line
            offset += len(line)


def _part_lines(path, options, part, parts):
    text = TextFiles([path])
    if options.text_format == "lines":
        start, end = (text.line_start(text.size * number // parts) for number in (part, part + 1))
    else:
        start, end = text.part(part, parts)
    for _, offset, line in text.lines(start, end):
        yield offset, line
