"""Pre-training instances: two segments of text, some wordpieces masked; record for record those of the original.

Which records come out depends on every call to the random generator and on their order. So the functions
here make the same calls as the original's `create_instances_from_document` and
`create_masked_lm_predictions`, but on ids instead of strings, on offsets instead of copied lists, and
with `shuffle` and `below` instead of those of `random`.
"""

import bisect
import dataclasses
import functools

from data_prep.records.example_proto import encode_feature, encode_features
from data_prep.text.tokenization import CONTINUATION

SPECIAL_PIECES = 3  # [CLS] A [SEP] B [SEP]
RANDOM_DOCUMENT_TRIES = 10  # to find another document than the segment A's own
MASK_PROBABILITY = 0.8  # of a wordpiece to predict: replaced by [MASK]
KEEP_PROBABILITY = 0.5  # of the others: left as it is; else replaced by a random wordpiece


@dataclasses.dataclass(frozen=True)
class Options:
    """How instances are made; the names and defaults of the original's flags."""

    max_seq_length: int = 128  # wordpieces, special tokens included
    max_predictions_per_seq: int = 20
    dupe_factor: int = 10  # times that the text is gone through, with other masks
    masked_lm_prob: float = 0.15  # share of the wordpieces to predict
    short_seq_prob: float = 0.1  # share of the documents cut into shorter sequences
    do_whole_word_mask: bool = False  # predict all wordpieces of a word or none

    @property
    def max_pieces(self):
        """Wordpieces of text in a sequence."""
        return self.max_seq_length - SPECIAL_PIECES


class Vocabulary:
    """The ids that masking needs."""

    def __init__(self, vocab):
        """Takes `{piece: id}` as of `tokenization.load_vocab`."""
        self.cls, self.sep, self.mask = vocab["[CLS]"], vocab["[SEP]"], vocab["[MASK]"]
        self.replacements = list(vocab.values())
        self.continuations = {i for piece, i in vocab.items() if piece.startswith(CONTINUATION)}


def below(getrandbits, n):
    """Returns what `random.Random.randrange(n)` does, with the same draws, in a third of the time."""
    bits = n.bit_length()
    number = getrandbits(bits)
    while number >= n:
        number = getrandbits(bits)
    return number


def shuffle(items, getrandbits):
    """Shuffles a list in place as `random.Random.shuffle` does, with the same draws, in half the time."""
    for i in range(len(items) - 1, 0, -1):
        bits = (i + 1).bit_length()
        j = getrandbits(bits)
        while j > i:
            j = getrandbits(bits)
        items[i], items[j] = items[j], items[i]


def create_records(corpus, vocabulary, options, rng, progress=lambda: None):
    """Makes all records of a corpus, in random order. The corpus' documents are shuffled in place.

    Args:
      corpus: a `pretraining_text.Corpus` with at least one document.
      vocabulary: a `Vocabulary`.
      options: `Options`.
      rng: random.Random.
      progress: called after each document.

    Returns:
      (records, wordpieces): list of serialized tf.train.Example with the features of
      `records.pretraining_features`; how many wordpieces they hold, padding left out.
    """
    shuffle(corpus.documents, rng.getrandbits)
    records, pieces = [], 0
    for _ in range(options.dupe_factor):
        for document in range(len(corpus.documents)):
            # `segment_pairs` is a generator: masks are drawn between two pairs, as in the original.
            for a, b, is_random_next in segment_pairs(corpus, document, options, rng):
                ids = [vocabulary.cls, *corpus.ids[slice(*a)].tolist(), vocabulary.sep]
                a_length = len(ids)
                ids += corpus.ids[slice(*b)].tolist()
                ids.append(vocabulary.sep)
                records.append(_encode_instance(ids, a_length, is_random_next, vocabulary, options, rng))
                pieces += len(ids)
            progress()
    shuffle(records, rng.getrandbits)
    return records, pieces


def segment_pairs(corpus, document, options, rng):
    """Yields the pairs of segments of one document, drawing from `rng` as it goes.

    Lines are gathered until they fill a sequence and parted in two at random. In half of the pairs the second
    segment is taken from a random place instead, and the lines that it displaces begin the next sequence.

    Yields:
      (a, b, is_random_next): `a` and `b` are bounds `(start, end)` in `corpus.ids`, at least one wordpiece
      each, together at most `options.max_pieces`.
    """
    random, getrandbits = rng.random, rng.getrandbits
    starts = corpus.starts
    target = options.max_pieces
    if random() < options.short_seq_prob:
        target = 2 + below(getrandbits, options.max_pieces - 1)
    line, last = corpus.documents[document]
    while line < last:
        end = bisect.bisect_left(starts, starts[line] + target, line + 1, last)
        a_end = line + 1
        if end - line > 1:
            a_end += below(getrandbits, end - line - 1)
        a = starts[line], starts[a_end]
        is_random_next = end - line == 1 or random() < 0.5
        if is_random_next:
            b = _random_segment(corpus, document, target - (a[1] - a[0]), getrandbits)
            line = a_end
        else:
            b = starts[a_end], starts[end]
            line = end
        yield *_truncate(a, b, options.max_pieces, random), is_random_next


def _random_segment(corpus, document, target, getrandbits):
    """Returns the bounds of lines that hold `target` wordpieces or reach the end of a random document."""
    for _ in range(RANDOM_DOCUMENT_TRIES):
        other = below(getrandbits, len(corpus.documents))
        if other != document:
            break
    first, last = corpus.documents[other]
    line = first + below(getrandbits, last - first)
    start = corpus.starts[line]
    return start, corpus.starts[bisect.bisect_left(corpus.starts, start + target, line + 1, last)]


def _truncate(a, b, max_pieces, random):
    """Takes single wordpieces off the longer segment, from its front or its back, until both fit."""
    a_start, a_end = a
    b_start, b_end = b
    for _ in range(a_end - a_start + b_end - b_start - max_pieces):
        is_front = random() < 0.5
        if a_end - a_start > b_end - b_start:
            if is_front:
                a_start += 1
            else:
                a_end -= 1
        elif is_front:
            b_start += 1
        else:
            b_end -= 1
    return (a_start, a_end), (b_start, b_end)


def _encode_instance(ids, a_length, is_random_next, vocabulary, options, rng):
    """Masks wordpieces of `ids` in place (list of int, special tokens included) and returns the record.

    `a_length` counts [CLS], the first segment and its [SEP].
    """
    labels = _mask(ids, a_length, vocabulary, options, rng)
    positions = sorted(labels)
    length, num_labels = options.max_seq_length, options.max_predictions_per_seq
    unused = [0] * (num_labels - len(positions))
    # In the order in which the original's files have them.
    return encode_features(
        [
            encode_feature("masked_lm_ids", [labels[i] for i in positions] + unused),
            encode_feature("input_ids", ids + [0] * (length - len(ids))),
            encode_feature("masked_lm_positions", positions + unused),
            _encode_runs("next_sentence_labels", (int(is_random_next), 1)),
            _encode_runs("input_mask", (1, len(ids)), (0, length - len(ids))),
            _encode_runs("masked_lm_weights", (1.0, len(positions)), (0.0, len(unused))),
            _encode_runs("segment_ids", (0, a_length), (1, len(ids) - a_length), (0, length - len(ids))),
        ]
    )


@functools.lru_cache(maxsize=1 << 14)  # some MB; there are that many pairs of segment lengths up to 180
def _encode_runs(name, *runs):
    """Returns the feature of values that repeat, given as pairs `(value, times)`."""
    return encode_feature(name, [value for value, times in runs for _ in range(times)])


def _mask(ids, a_length, vocabulary, options, rng):
    """Replaces the wordpieces to predict in `ids`, and returns `{position: original id}`."""
    random, getrandbits = rng.random, rng.getrandbits
    num_to_predict = min(options.max_predictions_per_seq, max(1, int(round(len(ids) * options.masked_lm_prob))))
    candidates = [*range(1, a_length - 1), *range(a_length, len(ids) - 1)]
    if options.do_whole_word_mask:
        words = _words(ids, candidates, vocabulary.continuations)
        shuffle(words, getrandbits)
        candidates = _fill(words, num_to_predict)
    else:
        shuffle(candidates, getrandbits)
    labels = {}
    for i in candidates[:num_to_predict]:
        labels[i] = ids[i]
        if random() < MASK_PROBABILITY:
            ids[i] = vocabulary.mask
        elif random() >= KEEP_PROBABILITY:
            ids[i] = vocabulary.replacements[below(getrandbits, len(vocabulary.replacements))]
    return labels


def _words(ids, candidates, continuations):
    """Groups positions by word. As in the original, a segment's first may join the last of the one before."""
    words = []
    for i in candidates:
        if words and ids[i] in continuations:
            words[-1].append(i)
        else:
            words.append([i])
    return words


def _fill(words, num_to_predict):
    """Returns positions of whole words, leaving out a word that would exceed the number to predict."""
    chosen = []
    for word in words:
        if len(chosen) + len(word) <= num_to_predict:
            chosen += word
    return chosen
