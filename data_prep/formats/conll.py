"""Files with a word a line, as of CoNLL and as the NER data sets of this project: documents, and labelled sentences.

The word is the first column and the label the last, separated by tabs or, in a line without a tab, by spaces; other
Unicode spaces belong to the word. A blank line ends a sentence. Comments before a sentence (`# sent_id = 1`) are passed
over. In CoNLL-U, with ten columns, the word is the second, and there is no label.
"""

import bisect
import contextlib
import re

from common.errors import InputError
from common.inputs import MAX_DOCUMENT_BYTES, base_name, decode_line, name_of, open_text, raw_lines
from data_prep.formats.document import Document
from data_prep.text.words import Spans

DOCUMENT_START = "-DOCSTART-"


NUMBER = re.compile(r"[0-9]+([-.][0-9]+)?")  # of a word in CoNLL-U, of several that are one, of one that is not there
# `# sent_id = 1`, `# newdoc`, or of more than two words, of which the last is no label: a word `#` has one.
COMMENT = re.compile(r"#\s*(\w+\s*=|newdoc\b|newpar\b).*|#.*\s\S+\s+(?!(O|[A-Z]([-_]\S+)?)$)\S+")


def split_columns(line, where, begins_sentence):
    """The columns of a line, none of a blank one; None for a line that is passed over.

    Args:
      line: text.
      where: file and line, for messages.
      begins_sentence: whether no word stands between it and the last blank line.

    Raises:
      InputError: a space or the end of a line in the word.
    """
    if not line.strip(" \t"):
        return []
    if "\r" in line:
        raise InputError(f"{where}: a carriage return inside the line; expected lines that end with \\n")
    if begins_sentence and "\t" not in line and COMMENT.fullmatch(line):
        return None
    columns = [column for column in line.split("\t" if "\t" in line else " ") if column]
    if len(columns) == 10 and "\t" in line and (number := NUMBER.fullmatch(columns[0])):
        return None if number[1] else columns[1:2]
    if " " in columns[0]:
        raise InputError(f"{where}: a space in the word {columns[0][:40]!r}; expected word, tab, label")
    return columns


# Reading


def read(path, bad_document, report):
    """Yields the documents of a file, one at a time in memory.

    All columns but the word, labels too, are ignored. A line with the word -DOCSTART- begins a document; a file without
    it is one document. The text of a document is its words with spaces between them and newlines between the sentences,
    each of which is a paragraph.

    Args:
      path: the file, or "-".
      bad_document: called with what is wrong with a line (no word, a space in the word, not UTF-8, NUL bytes); the
        document it is in is left out.
      report: as for `table.read_documents`.

    Raises:
      InputError: the file cannot be read, is empty or binary, has no word or a document that is too long.
    """
    builder, count = _Builder(path, 0), 0
    with open_text(path) as file:
        for number, raw in raw_lines(file):
            try:
                line = decode_line(raw, number, path)
                columns = split_columns(line, f"{name_of(path)}, line {number}", builder.begins_sentence())
            except InputError as error:
                if not builder.is_bad:
                    builder.is_bad = True
                    count += 1
                    bad_document(str(error))
                continue
            if columns is None:
                continue
            if columns[:1] == [DOCUMENT_START]:
                if builder.has_words():
                    yield builder.document()
                    count += 1
                builder = _Builder(path, number)
            elif columns:
                builder.add_word(columns[0])
            else:
                builder.end_sentence()
    if builder.has_words():
        yield builder.document()
    elif not count:
        raise InputError(f"{name_of(path)}: no word; expected a word a line and blank lines between sentences")


class _Builder:
    """Puts a document together."""

    def __init__(self, path, line):
        """`line`: of its -DOCSTART-; 0: it has none."""
        self.is_bad = False
        self._path, self._line = path, line
        self._pieces, self._size = [], 0  # of the text
        self._sentences, self._words = [], []

    def add_word(self, word):
        if self._pieces:
            self._pieces.append(" " if self._words else "\n")
            self._size += 1
        self._words.append((self._size, self._size + len(word)))
        self._pieces.append(word)
        self._size += len(word)
        if self._size > MAX_DOCUMENT_BYTES:
            raise InputError(
                f"{name_of(self._path)}: a document of more than {MAX_DOCUMENT_BYTES // 1_000_000} million characters; "
                f"expected lines {DOCUMENT_START} between documents"
            )

    def begins_sentence(self):
        """Whether the next word would be a sentence's first."""
        return not self._words

    def end_sentence(self):
        if self._words:
            self._sentences.append(Spans(self._words))
            self._words = []

    def has_words(self):
        """Whether there is a document to yield."""
        return bool(self._pieces) and not self.is_bad

    def document(self):
        self.end_sentence()
        name, base = name_of(self._path), base_name(self._path)
        return Document(
            id=f"{base}:{self._line}" if self._line else base,
            text="".join(self._pieces),
            paragraphs=tuple((words[0][0], words[-1][1]) for words in self._sentences),
            source=f"{name}, line {self._line}" if self._line else name,
            words=tuple(self._sentences),
        )


# Writing


def open_writer(file, models):
    """See `table.open_writer`."""
    return contextlib.nullcontext(_Writer(file, models))


class _Writer:
    """A word a line with a column of labels for each model, separated by tabs; a blank line after each sentence.

    The labels are those of `label_words`. Before each document but the first there is a line `-DOCSTART-`.

    Args:
      file: text file.
      models: names, one a column; "" stands for the entities of the input. Empty: these alone.
    """

    def __init__(self, file, models):
        self.file = file
        self.models = tuple(models) or ("",)
        self.is_first = True

    def write(self, document):
        """Raises ValueError for a document whose words are not known."""
        if document.words is None:
            raise ValueError(f"document {document.id} has no words; expected it cut into sentences and words")
        if not self.is_first:
            self.file.write("\t".join(["-DOCSTART-", *("O" for _ in self.models)]) + "\n\n")
        self.is_first = False
        entities = ([e for e in document.entities if e.model == model] for model in self.models)
        rows = zip(*(label_words(document.words, each)[0] for each in entities), strict=True)
        for words in document.words:
            for start, end in words:
                self.file.write("\t".join([word_text(document.text[start:end]), *next(rows)]) + "\n")
            if words:
                self.file.write("\n")


def word_text(text):
    """A word as it stands in a column."""
    # Control characters that BERT's tokenizer leaves out of words may be white space to a reader of the columns.
    return re.sub(r"\s", "\N{REPLACEMENT CHARACTER}", text)


def label_words(sentences, entities):
    """Labels words by the entities that they are in, wholly or in part.

    B and I with the entity's type (B-Disease), or alone where it has none, and O. Of entities that share a word, the
    longest has it, then the first; the others label nothing. An entity is cut where a sentence ends.

    Args:
      sentences: of each the spans of its words.
      entities: iterable of `Entity`.

    Returns:
      `(labels, unlabelled)`: a list of str for the words of all sentences together; the entities without a word.
    """
    spans = [span for words in sentences for span in words]
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    begins_sentence = [i == 0 for words in sentences for i in range(len(words))]
    labels, unlabelled = ["O"] * len(spans), []
    for entity in sorted(entities, key=lambda entity: (entity.start - entity.end, entity.start)):
        inside = range(bisect.bisect_right(ends, entity.start), bisect.bisect_left(starts, entity.end))
        if not inside or any(labels[i] != "O" for i in inside):
            unlabelled.append(entity)
            continue
        kind = re.sub(r"\s", "_", entity.type)
        for i in inside:
            prefix = "B" if i == inside[0] or begins_sentence[i] else "I"
            labels[i] = f"{prefix}-{kind}" if kind else prefix
    return labels, unlabelled
