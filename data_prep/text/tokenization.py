"""WordPiece tokenization exactly as in the original BERT and BioBERT, with each wordpiece's place in the text.

    tokenizer = FullTokenizer("vocab.txt", do_lower_case=False)
    tokenizer.tokenize("c.248T>C")             # ['c', '.', '248', '##T', '>', 'C']
    tokenizer.tokenize_with_spans("c.248T>C")  # also [(0, 1), (1, 2), (2, 5), (5, 6), (6, 7), (7, 8)]

A text is cleaned of control characters and cut at white space, punctuation and CJK ideographs
(`BasicTokenizer`); each word is cut greedily into the longest wordpieces of the vocabulary
(`WordpieceTokenizer`). Like the original, it asks the running Python's `unicodedata` what a character is.
For text by the megabyte, see `fast_tokenization`.
"""

import logging
import re
import unicodedata

from common.errors import InputError
from common.inputs import read_lines

REQUIRED_PIECES = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
UNKNOWN_PIECE = "[UNK]"
CONTINUATION = "##"
MAX_WORD_CHARS = 200  # a longer word is one unknown wordpiece

# Blocks of ideographs, each of which is a word. Hangul, Hiragana and Katakana are not among them in the
# original: their words are cut at white space.
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

# The published checkpoints whose vocabulary demands or forbids lower-casing, by the name of their directory.
UNCASED_CHECKPOINTS = (
    "uncased_L-24_H-1024_A-16",
    "uncased_L-12_H-768_A-12",
    "multilingual_L-12_H-768_A-12",
    "chinese_L-12_H-768_A-12",
)
CASED_CHECKPOINTS = ("cased_L-12_H-768_A-12", "cased_L-24_H-1024_A-16", "multi_cased_L-12_H-768_A-12")


def validate_case_matches_checkpoint(do_lower_case, init_checkpoint):
    """Checks `do_lower_case` against the name of a published checkpoint, `<name>/bert_model.ckpt`.

    Raises:
      InputError: a cased model with lower-casing, or an uncased one without.
    """
    match = re.search(r"([A-Za-z0-9_-]+)/bert_model\.ckpt", init_checkpoint or "")
    if match is None:
        return
    name = match[1]
    if (do_lower_case and name in CASED_CHECKPOINTS) or (not do_lower_case and name in UNCASED_CHECKPOINTS):
        kind = "cased" if do_lower_case else "uncased"
        raise InputError(
            f"--do_lower_case={do_lower_case} does not fit --init_checkpoint={init_checkpoint}: "
            f"{name} is {kind}; expected --do_lower_case={not do_lower_case}"
        )


def convert_to_unicode(text):
    """Returns `text` as str; bytes are taken for UTF-8, and those which are not are dropped."""
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    raise ValueError(f"expected str or bytes, got {type(text).__name__}")


def printable_text(text):
    """Returns `text` as it is printed or logged: str (see `convert_to_unicode`)."""
    return convert_to_unicode(text)


def load_vocab(vocab_file):
    """Reads a vocabulary, one wordpiece a line, the first with id 0.

    A wordpiece that occurs twice has the id of its last line, as in the original.

    Returns:
      `{piece: id}` in the order of the file.

    Raises:
      InputError: the file cannot be read, is empty, is not UTF-8, or lacks a wordpiece that BERT needs.
    """
    pieces = [piece.strip() for _, piece in read_lines(vocab_file)]
    while pieces and not pieces[-1]:
        pieces.pop()  # a blank line at the end, which has no embedding
    vocab = {piece: number for number, piece in enumerate(pieces)}
    if not vocab:
        raise InputError(f"{vocab_file}: the vocabulary is empty; expected one wordpiece a line")
    missing = [piece for piece in REQUIRED_PIECES if piece not in vocab]
    if missing:
        raise InputError(
            f"{vocab_file}: not a BERT vocabulary, {', '.join(missing)} missing; expected one wordpiece a line"
        )
    return vocab


def is_cased(vocab):
    """Whether a vocabulary has wordpieces with capitals, beside `[CLS]` and the like."""
    return any(piece != piece.lower() for piece in vocab if not (piece.startswith("[") and piece.endswith("]")))


def warn_of_case(vocab, vocab_file, do_lower_case):
    """Logs a warning if a vocabulary is of another case than text will be: its words would be unknown, or rare."""
    cased = is_cased(vocab)
    if do_lower_case and cased:
        logging.warning("%s: has wordpieces with capitals, so it is cased; expected --do_lower_case=false", vocab_file)
    if not do_lower_case and not cased:
        logging.warning(
            "%s: no wordpiece has a capital, so it is uncased, and words with one are unknown; expected "
            "--do_lower_case=true",
            vocab_file,
        )


def convert_by_vocab(vocab, items):
    """Maps wordpieces to ids or ids to wordpieces.

    Raises:
      InputError: an item is not in `vocab`.
    """
    try:
        return [vocab[item] for item in items]
    except KeyError as error:
        raise InputError(f"{error.args[0]!r} is not in the vocabulary of {len(vocab)} wordpieces") from None


def whitespace_tokenize(text):
    """Returns the parts of `text` between white space."""
    return text.split()


def is_whitespace(char):
    """Tells whether a character becomes a space: tab, newline, return, or a space of any width."""
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_deleted(char):
    """Tells whether cleaning deletes a character: control, format, private, unassigned; NUL and U+FFFD."""
    return char == "\ufffd" or (unicodedata.category(char)[0] == "C" and char not in "\t\n\r")


def is_punctuation(char):
    """Tells whether a character is a word of its own: punctuation, or any symbol of ASCII (`$`, `+`)."""
    if char.isascii():
        return char.isprintable() and not char.isalnum() and char != " "
    return unicodedata.category(char)[0] == "P"


def is_cjk(char):
    """Tells whether a character is an ideograph."""
    return any(first <= ord(char) <= last for first, last in CJK_BLOCKS)


class _Translation(dict):
    """A table for `str.translate` which asks `rule(char)` once for each character that it meets."""

    def __init__(self, rule):
        super().__init__()
        self._rule = rule

    def __missing__(self, code_point):
        self[code_point] = translated = self._rule(chr(code_point))
        return translated


def _clean_char(char):
    if is_deleted(char):
        return ""
    if is_whitespace(char):
        return " "
    return f" {char} " if is_cjk(char) else char


DELETE = _Translation(lambda char: "" if is_deleted(char) else char)
CLEAN = _Translation(_clean_char)
SPACE_OUT_PUNCTUATION = _Translation(lambda char: f" {char} " if is_punctuation(char) else char)


def strip_accents(text):
    """Returns `text` in canonical decomposition without its combining marks: `é` becomes `e`."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    return "".join([char for char in decomposed if unicodedata.category(char) != "Mn"])


class BasicTokenizer:
    """Cuts a text into words at white space, punctuation and ideographs; cleans and lower-cases it."""

    def __init__(self, do_lower_case=True):
        self.do_lower_case = do_lower_case

    def tokenize(self, text):
        """Returns the words of `text` (str, or bytes of UTF-8)."""
        text = " ".join(whitespace_tokenize(convert_to_unicode(text).translate(CLEAN)))
        if self.do_lower_case:
            text = strip_accents(text.lower())
        return whitespace_tokenize(text.translate(SPACE_OUT_PUNCTUATION))

    def tokenize_with_spans(self, text):
        """Returns `(words, spans)`: for each word the list of its characters' spans `(start, end)`."""
        words = self.tokenize(text)
        spans = self._lower_case_spans(text) if self.do_lower_case else self._kept_spans(text)
        ends = [0]
        for word in words:
            ends.append(ends[-1] + len(word))
        return words, [spans[start:end] for start, end in zip(ends, ends[1:], strict=False)]

    @staticmethod
    def _kept_spans(text):
        """The span in `text` of each character which the words consist of, in order."""
        return [(i, i + 1) for i, char in enumerate(text) if char.translate(CLEAN).strip()]

    @staticmethod
    def _lower_case_spans(text):
        """`_kept_spans` through lower-casing (which may lengthen) and the decomposition of `strip_accents`.

        A mark that is dropped belongs to the character it stands on, so a span covers both.
        """
        spans = []
        marks = []  # (combining class, category, position) of the marks since the last base character

        def flush():
            # The canonical order of marks is by class, and by position within a class. It matters for the
            # few that stay in the text, of category Mc.
            for _, category, i in sorted(marks, key=lambda mark: mark[0]):
                if category != "Mn":
                    spans.append((i, i + 1))
                elif spans and spans[-1][1] in (i, i + 1):
                    spans[-1] = (spans[-1][0], i + 1)
            marks.clear()

        for i, char in enumerate(text):
            cleaned = char.translate(CLEAN)
            if not cleaned.strip():
                if cleaned:
                    flush()
                continue
            for part in unicodedata.normalize("NFD", char.lower()):
                mark = (unicodedata.combining(part), unicodedata.category(part), i)
                if mark[0] == 0:
                    flush()
                marks.append(mark)
        flush()
        return spans


class WordpieceTokenizer:
    """Cuts words into wordpieces of the vocabulary, from the left, always the longest wordpiece that fits."""

    def __init__(self, vocab, unk_token=UNKNOWN_PIECE, max_input_chars_per_word=MAX_WORD_CHARS):
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._longest_piece = max(map(len, vocab), default=0)

    def tokenize(self, text):
        """Returns the wordpieces of all words of `text`, which `BasicTokenizer` has cut at white space."""
        return [piece for word in whitespace_tokenize(convert_to_unicode(text)) for piece in self._pieces(word)]

    def _pieces(self, word):
        if len(word) > self.max_input_chars_per_word:
            return [self.unk_token]
        pieces = []
        start = 0
        while start < len(word):
            prefix = CONTINUATION if start else ""
            for end in range(min(len(word), start + self._longest_piece), start, -1):
                piece = prefix + word[start:end]
                if piece in self.vocab:
                    break
            else:
                return [self.unk_token]
            pieces.append(piece)
            start = end
        return pieces


class FullTokenizer:
    """Text to wordpieces to ids, and back."""

    def __init__(self, vocab_file, do_lower_case=True):
        """Raises InputError if the vocabulary is unfit (see `load_vocab`)."""
        self.vocab = load_vocab(vocab_file)
        warn_of_case(self.vocab, vocab_file, do_lower_case)
        self.num_ids = self.num_unknown = 0  # of what was made into ids so far
        self.inv_vocab = {i: piece for piece, i in self.vocab.items()}
        self.basic_tokenizer = BasicTokenizer(do_lower_case=do_lower_case)
        self.wordpiece_tokenizer = WordpieceTokenizer(vocab=self.vocab)

    @property
    def vocab_size(self):
        """Lines of the vocabulary: ids are below it."""
        return max(self.inv_vocab) + 1

    def tokenize(self, text):
        """Returns the wordpieces of `text` (str, or bytes of UTF-8)."""
        return self.wordpiece_tokenizer.tokenize(" ".join(self.basic_tokenizer.tokenize(text)))

    def tokenize_with_spans(self, text):
        """Tells where in the untouched text (str) each wordpiece comes from.

        Returns:
          (pieces, spans): `spans[i] = (start, end)` in characters; `text[start:end]` is what wordpiece i was made
          of, with the deleted characters inside it and without those around it. An unknown wordpiece has the
          span of its word. Two wordpieces share a character that decomposes into parts of both.
        """
        pieces, spans = [], []
        for word, char_spans in zip(*self.basic_tokenizer.tokenize_with_spans(text), strict=True):
            start = 0
            for piece in self.wordpiece_tokenizer.tokenize(word):
                length = len(piece) - (len(CONTINUATION) if start else 0)
                end = len(word) if piece == UNKNOWN_PIECE else start + length
                pieces.append(piece)
                spans.append((min(char_spans[start:end])[0], max(last for _, last in char_spans[start:end])))
                start = end
        return pieces, spans

    def convert_tokens_to_ids(self, tokens):
        """Raises InputError for a token that is not a wordpiece of the vocabulary."""
        self.num_ids += len(tokens)
        self.num_unknown += tokens.count(UNKNOWN_PIECE)
        return convert_by_vocab(self.vocab, tokens)

    def take_unknown_share(self):
        """The share of [UNK] in what was made into ids since this was asked last; 0 of nothing."""
        share = self.num_unknown / max(self.num_ids, 1)
        self.num_ids = self.num_unknown = 0
        return share

    def convert_ids_to_tokens(self, ids):
        """Raises InputError for an id beyond the vocabulary."""
        return convert_by_vocab(self.inv_vocab, ids)
