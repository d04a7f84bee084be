"""Files with a word a line, as of CoNLL and as the NER data sets of this project, as documents."""

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.formats.read_source import MAX_DOCUMENT_BYTES, base_name, decode_line, name_of, open_text, raw_lines

DOCUMENT_START = "-DOCSTART-"


def read_conll(path, bad_document):
    """Yields the documents of a file, one at a time in memory.

    The word is the first column; columns are separated by tabs or, in a line without a tab, by spaces (as in
    `data_prep.tasks.ner.read_sentences`). The others, labels too, are ignored. A blank line ends a sentence, and a line
    with the word -DOCSTART- begins a document; a file without it is one document. The text of a document is its
    words with spaces between them and newlines between the sentences, each of which is a paragraph.

    Args:
      path: the file, or "-".
      bad_document: called with what is wrong with a line (no word, a space in the word, not UTF-8, NUL bytes); the
        document it is in is left out.

    Raises:
      InputError: the file cannot be read, is empty or binary, has no word or a document that is too long.
    """
    builder, count = _Builder(path, 0), 0
    with open_text(path) as file:
        for number, raw in raw_lines(file):
            try:
                word = _word(decode_line(raw, number, path), f"{name_of(path)}, line {number}")
            except InputError as error:
                if not builder.is_bad:
                    builder.is_bad = True
                    count += 1
                    bad_document(str(error))
                continue
            if word == DOCUMENT_START:
                if builder.has_words():
                    yield builder.document()
                    count += 1
                builder = _Builder(path, number)
            elif word:
                builder.add_word(word)
            else:
                builder.end_sentence()
    if builder.has_words():
        yield builder.document()
    elif not count:
        raise InputError(f"{name_of(path)}: no word; expected a word a line and blank lines between sentences")


def _word(line, where):
    """The word of a line, "" of a blank one."""
    if not line.strip(" \t"):
        return ""
    columns = [column for column in line.split("\t" if "\t" in line else " ") if column]
    if " " in columns[0]:
        raise InputError(f"{where}: a space in the word {columns[0][:40]!r}; expected a word, maybe a tab and a label")
    return columns[0]


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

    def end_sentence(self):
        if self._words:
            self._sentences.append(tuple(self._words))
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
