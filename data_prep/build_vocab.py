r"""Learns a WordPiece vocabulary of pre-training text, for a BERT that is trained from scratch on it.

    python -m data_prep.build_vocab --input_file='text/*.txt' --output_file=vocab.txt --vocab_size=28996 \
        --do_lower_case=false --compare_vocab=bert-base-cased-vocab.txt

The text has sentences one a line and an empty line between documents. The vocabulary has the layout of BERT's:
`[PAD]`, `[unused1]` ..., `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]`, the characters of ASCII and of the text, each as the
start of a word (`a`) and inside one (`##a`), then the learned wordpieces in the order of their merges. `vocab_size`
of bert_config.json is its number of lines.

Byte pair encoding (Sennrich et al., 2016) by sentencepiece learns the wordpieces. It sees no text but the counts of
its words, as `BasicTokenizer` cuts them: they are exact, and small for a text of any size. A word is written in
code points of the private use planes, one for each character at the start of a word and another for the same
character inside one. So a merge is a wordpiece of WordPiece as it stands, and no character of the text (`▁`, say)
means anything to sentencepiece. The same text gives the same vocabulary in every run.

A report follows: wordpieces per word, the share of unknown words and of those that are one wordpiece, in text that was
not learned from. That is --held_out_file, or a tenth of the input.
"""

import collections
import io

import sentencepiece
from absl import flags, logging

from common.errors import InputError, run
from common.files import check_output_file, write_lines
from common.inputs import expand_patterns
from common.progress import progress
from data_prep.corpus.pretraining_text import TextFiles, decode_line
from data_prep.text.tokenization import (
    CONTINUATION,
    MAX_WORD_CHARS,
    REQUIRED_PIECES,
    UNKNOWN_PIECE,
    BasicTokenizer,
    WordpieceTokenizer,
    load_vocab,
)

# Of 14 MB of abstracts, 0.9999 and ASCII are 114 characters, which leave 0.050 % of other abstracts' words unknown;
# 0.99999 are 155, and 0.014 %, at 0.0007 wordpieces per word more.
CHARACTER_COVERAGE = 0.99999
# The texts of tasks have them all, even if this text is without some: of those abstracts parentheses and brackets
# were taken out, so that 3.3 % of the words of articles would be unknown.
ASCII = tuple(map(chr, range(0x21, 0x7F)))

# Bounds of memory: when there are more different words the rarest are dropped. The peak was 640 MB on 290 MB of text
# with more of them than this.
MAX_STRINGS = 500_000  # between spaces, punctuation and all: some 100 MB
MAX_WORDS = 1_000_000  # some 200 MB
MAX_TRAINING_WORDS = 500_000  # some 450 MB in sentencepiece

# Each tenth block is held out, where a block is a document, or 100 lines of a longer one.
HELD_OUT_BLOCKS = 10
BLOCK_LINES = 100
HELD_OUT_CHARS = 50_000_000  # at most, some 8 million words

FIRST_CODE_POINT = 0xF0000  # of the private use planes: 2 x 65,536 up to the end of Unicode
MAX_ALPHABET = 65_536


class WordCounts:
    """Counts the words of a text, and its characters, in bounded memory."""

    def __init__(self, do_lower_case):
        self._tokenizer = BasicTokenizer(do_lower_case)
        self._strings = collections.Counter()
        self._words = collections.Counter()
        self._chars = collections.Counter()
        self.number = 0  # of words, once `totals` is called

    def add(self, text):
        # A cut at spaces changes no word, so each different string is tokenized once: 2.7 times as fast.
        self._strings.update(text.split(" "))
        if len(self._strings) > MAX_STRINGS:
            self._count_strings()

    def totals(self):
        """Returns two Counters, of words and of characters; the first lacks the rarest of over a million words."""
        self._count_strings()
        return self._words, self._chars

    def _count_strings(self):
        for string, count in self._strings.items():
            for word in self._tokenizer.tokenize(string):
                self._words[word] += count
                self.number += count
                for char in word:
                    self._chars[char] += count
        self._strings.clear()
        if len(self._words) > MAX_WORDS:
            self._words = collections.Counter(dict(self._words.most_common(MAX_WORDS // 2)))


def read_texts(paths, title, invalid_utf8="error"):
    """Yields the lines of text files as str without white space around them, under a progress bar.

    Raises:
      InputError: no text, or invalid UTF-8 (see `pretraining_text.decode_line`).
    """
    files = TextFiles(paths)
    dropped = 0
    with progress(title, total=files.size, unit="B") as bar:
        for path, offset, line in files.lines(0, files.size):
            text, dropped_here = decode_line(path, offset, line, invalid_utf8)
            dropped += dropped_here
            bar.update(len(line))
            yield text
    if dropped:
        logging.warning("%d bytes that are not UTF-8 were left out", dropped)


def number_blocks(texts):
    """Yields `(number of the block, text)` of the texts that are not empty; an empty one ends a document."""
    block = lines = 0
    for text in texts:
        if lines and (not text or lines == BLOCK_LINES):
            block += 1
            lines = 0
        if text:
            lines += 1
            yield block, text


def count_words(texts, do_lower_case, hold_out):
    """Counts words, apart in what is to learn from and what is held out.

    Args:
      texts: iterable of str, lines; an empty one ends a document.
      do_lower_case: bool.
      hold_out: whether to hold out each tenth block.

    Returns:
      (training, held_out): two `WordCounts`.
    """
    training, held_out = WordCounts(do_lower_case), WordCounts(do_lower_case)
    chars = 0
    for block, text in number_blocks(texts):
        if hold_out and block % HELD_OUT_BLOCKS == HELD_OUT_BLOCKS - 1 and chars < HELD_OUT_CHARS:
            held_out.add(text)
            chars += len(text)
        else:
            training.add(text)
    return training, held_out


def choose_alphabet(chars, do_lower_case):
    """Returns ASCII and the most frequent characters, which together are 99.999 % of all, by code point.

    Args:
      chars: `{character: count}`.
      do_lower_case: bool; if so, capitals of ASCII are left out.
    """
    to_cover = CHARACTER_COVERAGE * sum(chars.values())
    alphabet = {char.lower() if do_lower_case else char for char in ASCII}
    for char, count in sorted(chars.items(), key=lambda item: (-item[1], item[0]))[: MAX_ALPHABET - len(ASCII)]:
        if to_cover <= 0:
            break
        alphabet.add(char)
        to_cover -= count
    return sorted(alphabet)


def learn_pieces(words, alphabet, number):
    """Learns wordpieces of two characters or more.

    Args:
      words: `{word: count}`.
      alphabet: list of characters. A word with another is unknown whatever its wordpieces, so none is learned of it.
      number: int, how many.

    Returns:
      list of at most `number` different wordpieces in the order of their merges; fewer if every word is one wordpiece.
    """
    starts = {ord(char): FIRST_CODE_POINT + i for i, char in enumerate(alphabet)}
    insides = {char: code_point + len(alphabet) for char, code_point in starts.items()}
    chars = set(alphabet)
    usable = [word for word in words if 1 < len(word) <= MAX_WORD_CHARS and chars.issuperset(word)]
    usable = sorted(usable, key=lambda word: (-words[word], word))[:MAX_TRAINING_WORDS]
    if not usable or not number:
        return []
    encoded = ((word[0].translate(starts) + word[1:].translate(insides), words[word]) for word in usable)
    merges = _merge_pairs(encoded, number, 2 * len(alphabet))
    originals = {code_point: char for table in (starts, insides) for char, code_point in table.items()}
    last_start = FIRST_CODE_POINT + len(alphabet) - 1
    pieces = [(CONTINUATION if ord(merge[0]) > last_start else "") + merge.translate(originals) for merge in merges]
    # Once every word is one wordpiece, sentencepiece goes on with pairs that are no longer in any.
    position = {piece: i for i, piece in enumerate(pieces)}
    return pieces[: 1 + max(position.get(word, len(pieces)) for word in usable)]


def _merge_pairs(words, number, num_chars):
    """Returns a list of at most `number` merges, each the string of its characters.

    Args:
      words: iterable of `(word, count)`, of at most `num_chars` different characters, none of which is white space
        or special to sentencepiece.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(f"{word}\t{count}" for word, count in words),
        input_format="tsv",  # word and count
        model_writer=model,
        model_type="bpe",
        vocab_size=number + num_chars + 2,  # it counts characters and its special tokens
        hard_vocab_limit=False,
        max_sentencepiece_length=MAX_WORD_CHARS,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        split_by_unicode_script=False,
        split_by_number=False,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        minloglevel=2,  # errors, which it raises as well
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = map(processor.id_to_piece, range(1, len(processor)))  # 0 is <unk>
    return [piece for piece in pieces if len(piece) > 1][:number]


def build_vocab(words, chars, vocab_size, do_lower_case, num_unused=99):
    """Makes a vocabulary in the layout of BERT's.

    Args:
      words, chars: `{word: count}` and `{character: count}` of the text, see `WordCounts`.
      vocab_size: int, wordpieces.
      do_lower_case: bool, whether the text is lower-cased.
      num_unused: int, wordpieces `[unused1]` and so on, for later use.

    Returns:
      list of `vocab_size` different wordpieces.

    Raises:
      InputError: `vocab_size` is too small for the alphabet or too large for the text.
    """
    alphabet = choose_alphabet(chars, do_lower_case)
    unused = [f"[unused{i}]" for i in range(1, num_unused + 1)]
    vocab = ["[PAD]", *unused, *REQUIRED_PIECES, *alphabet, *(CONTINUATION + char for char in alphabet)]
    if vocab_size < len(vocab):
        raise InputError(
            f"--vocab_size={vocab_size}: too small; the special tokens are {1 + len(REQUIRED_PIECES)}, the unused ones "
            f"{num_unused}, the characters 2 x {len(alphabet)}; expected at least {len(vocab)}"
        )
    vocab += learn_pieces(words, alphabet, vocab_size - len(vocab))
    if len(vocab) < vocab_size:
        raise InputError(
            f"--vocab_size={vocab_size}: too large; expected at most {len(vocab)}, which is all that the text yields"
        )
    return vocab


def measure(vocab, words):
    """Tells how a vocabulary cuts words.

    Args:
      vocab: `{piece: id}`.
      words: `{word: count}`, not empty.

    Returns:
      (wordpieces per word, share of unknown words, share of words that are one wordpiece and known): three floats.
    """
    tokenizer = WordpieceTokenizer(vocab)
    pieces = unknown = whole = 0
    for word, count in words.items():
        cut = tokenizer.tokenize(word)
        pieces += count * len(cut)
        if cut == [UNKNOWN_PIECE]:
            unknown += count
        elif len(cut) == 1:
            whole += count
    total = sum(words.values())
    return pieces / total, unknown / total, whole / total


def report(vocabs, words):
    """Returns the lines of a table of `measure`.

    Args:
      vocabs: `{name: vocabulary}`.
      words: `{word: count}`.
    """
    width = max(len("vocabulary"), *map(len, vocabs))
    lines = [f"{'vocabulary':{width}}  wordpieces  wordpieces per word  unknown words  whole words"]
    for name, vocab in vocabs.items():
        pieces, unknown, whole = measure(vocab, words)
        lines.append(f"{name:{width}}  {len(vocab):10,}  {pieces:19.3f}  {unknown:13.3%}  {whole:11.1%}")
    return lines


def define_flags():
    flags.DEFINE_string("input_file", None, "Text files: paths and patterns, separated by commas.")
    flags.DEFINE_string("output_file", None, "vocab.txt to write.")
    flags.DEFINE_integer("vocab_size", 28996, "Wordpieces, all kinds together.", lower_bound=1, upper_bound=10_000_000)
    flags.DEFINE_bool("do_lower_case", True, "Lower-case and strip accents: true for uncased models.")
    flags.DEFINE_integer(
        "num_unused", 99, "Wordpieces [unused1] and so on, for words to be added later.", lower_bound=0
    )
    flags.DEFINE_string("compare_vocab", None, "Another vocab.txt, to be in the report.")
    flags.DEFINE_string(
        "held_out_file", None, "Text files to report on; unset: a tenth of the input, which is not learned from."
    )
    flags.DEFINE_enum("invalid_utf8", "error", ["error", "drop"], "What to do with bytes that are not UTF-8.")
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    values = flags.FLAGS
    input_files = expand_patterns(values.input_file)
    held_out_files = expand_patterns(values.held_out_file) if values.held_out_file else []
    compared_files = [values.compare_vocab] if values.compare_vocab else []
    check_output_file(values.output_file, input_files + held_out_files + compared_files)
    compared = {path: load_vocab(path) for path in compared_files}

    texts = read_texts(input_files, "words", values.invalid_utf8)
    training, held_out = count_words(texts, values.do_lower_case, hold_out=not held_out_files)
    measured_on = f"held out of the input, every {HELD_OUT_BLOCKS}th document or {BLOCK_LINES} lines of a longer one"
    if held_out_files:
        texts = read_texts(held_out_files, "held-out words", values.invalid_utf8)
        held_out, _ = count_words(texts, values.do_lower_case, hold_out=False)
        measured_on = f"of --held_out_file={values.held_out_file}"
    words, chars = training.totals()
    measured, _ = held_out.totals()
    for counted, paths in ((words, input_files), (measured, held_out_files)):
        if paths and not counted:
            raise InputError(f"{', '.join(paths)}: no text in any line; expected sentences, one a line")
    if not measured:
        measured, measured_on = words, "learned from; the input is too short to hold any out"

    vocab = build_vocab(words, chars, values.vocab_size, values.do_lower_case, values.num_unused)
    write_lines(values.output_file, vocab)
    print(f"{len(vocab):,} wordpieces, learned from {training.number:,} words, written to {values.output_file}")
    print(f"In {sum(measured.values()):,} words ({measured_on}):")
    print("\n".join(report({values.output_file: load_vocab(values.output_file)} | compared, measured)))


if __name__ == "__main__":
    define_flags()
    run(main)
