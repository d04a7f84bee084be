"""Contextual vectors of wordpieces, words and sentences: the outputs of BERT's layers for lines of text.

A line is one text, or two, `first ||| second`, which become `[CLS] first [SEP] second [SEP]`; what does not fit into a
sequence is cut off as in the original.

Dimensions:
  B  batch size
  F  sequence length
  L  layers chosen
  D  hidden size
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from data_prep.text.tokenization import DELETE, FullTokenizer
from inference import sequences
from modeling import checkpoint, heads
from modeling.bert import BertModel
from modeling.config import BertConfig

TOKEN, WORD, SENTENCE = "token", "word", "sentence"
POOLER = "pooler"
POOLINGS = {TOKEN: (), WORD: ("mean", "max", "first"), SENTENCE: ("mean", "max", "cls", POOLER)}  # defaults first

APART = "none"
COMBINATIONS = (APART, "concat", "mean", "sum")

# What stands between the characters that the tokenizer takes for white space (see `tokenization.CLEAN`).
_WORDS = re.compile(r"[^\t\n\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_MAX_WORD_CHARS = 100_000  # read of a word; more than that without a space is no text and would fill the memory
_PAIR = re.compile(r"(.*) \|\|\| (.*)")
_NO_SPAN = (0, 0)  # of [CLS] and [SEP]
_REDUCTIONS: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda x: x.mean(axis=0),
    "max": lambda x: x.max(axis=0),
}
_WINDOW_BYTES = 64 << 20  # of vectors that are held in memory, so that batches are of similar length


@dataclasses.dataclass(frozen=True)
class Line:
    """A line in wordpieces. Spans count characters of the line, the end exclusive."""

    sequence: sequences.Sequence
    tokens: list[str]  # wordpieces, [CLS] and [SEP] included
    token_spans: list[tuple[int, int]]
    words: list[str]  # what stands between white space; those without a wordpiece, or cut off, are left out
    word_spans: list[tuple[int, int]]
    word_tokens: list[tuple[int, int]]  # for each word its first token and the one after its last
    is_cut: bool  # wordpieces are left out at the end


def encode_line(text: str, tokenizer: FullTokenizer, max_seq_length: int) -> Line:
    """Makes a `Line` of at most `max_seq_length` wordpieces.

    Of two texts that do not fit, the longer one loses wordpieces until they do, the second if they are of one length.
    """
    found = [
        list(itertools.islice(_pieces(text, *span, tokenizer), max_seq_length)) for span in split_pair(text)
    ]  # more than fits is enough to know what is cut
    found = [found[0], *filter(None, found[1:])]
    kept = _truncate(found, max_seq_length - 1 - len(found))  # [CLS], and [SEP] for each
    tokens, token_spans, words, word_spans, word_tokens = ["[CLS]"], [_NO_SPAN], [], [], []
    for segment in kept:
        for word_span, pieces in itertools.groupby(segment, lambda piece: piece[2]):
            start = len(tokens)
            for token, span, _ in pieces:
                tokens.append(token)
                token_spans.append(span)
            words.append(text[slice(*word_span)].translate(DELETE))
            word_spans.append(word_span)
            word_tokens.append((start, len(tokens)))
        tokens.append("[SEP]")
        token_spans.append(_NO_SPAN)
    second = len(kept[0]) + 2 if len(kept) > 1 else None
    sequence = sequences.Sequence(tokenizer.convert_tokens_to_ids(tokens), second)
    is_cut = sum(map(len, kept)) < sum(map(len, found))
    return Line(sequence, tokens, token_spans, words, word_spans, word_tokens, is_cut)


def split_pair(text: str) -> list[tuple[int, int]]:
    """The span of a line's text, or of both texts in `first ||| second`, without white space around them."""
    start = len(text) - len(text.lstrip())
    stripped = text.strip()
    match = _PAIR.fullmatch(stripped)
    groups = [match.span(1), match.span(2)] if match else [(0, len(stripped))]
    return [(start + first, start + end) for first, end in groups]


def _pieces(text, start, end, tokenizer):
    """Yields the wordpieces of `text[start:end]`, their spans and those of their words."""
    for word in _WORDS.finditer(text, start, end):
        offset = word.start()
        beginning = text[offset : min(word.end(), offset + _MAX_WORD_CHARS)]
        for piece, (first, last) in zip(*tokenizer.tokenize_with_spans(beginning), strict=True):
            yield piece, (offset + first, offset + last), word.span()


def _truncate(segments, room):
    """The beginnings of one or two lists that together have at most `room` items; an empty second one is left out."""
    if len(segments) == 1:
        return [segments[0][:room]]
    first, second = segments
    second = second[: max(room - len(first), room // 2)]
    first = first[: room - len(second)]
    return [first, second] if second else [first]


class _Encoder(keras.layers.Layer):
    """Holds BERT, so that its variables have their names in checkpoints."""

    def __init__(self, config):
        super().__init__(name="encoder")
        self.bert = BertModel(config)

    def build(self, *_):
        self.bert.build(None)


def load_model(config: BertConfig, path: str, with_pooler: bool) -> BertModel:
    """BERT with the weights of a checkpoint, whatever heads that has.

    Args:
      config: `BertConfig`.
      path: as for `checkpoint.find`.
      with_pooler: the pooler's weights are needed.

    Raises:
      InputError: no checkpoint, or one of another model.
    """
    encoder = _Encoder(config)
    encoder.build()
    checkpoint.load_weights(encoder, path, optional=() if with_pooler else ("bert/pooler/",))
    return encoder.bert


def _first(vectors):
    """What `first`, `cls` and the pooler take."""
    return vectors[0]


class Extractor:
    """A model, and what to make of its layers.

    Args:
      bert: `BertModel`.
      layers: their indices, also negative ones; None for the pooler's output.
      combination: one of `COMBINATIONS`: what to make of several layers' vectors of a wordpiece.
      unit: `TOKEN`; `WORD`, over a word's wordpieces; `SENTENCE`, over all of the line with [CLS] and [SEP], but not
        padding, as in Sentence-BERT (Reimers and Gurevych 2019).
      pooling: one of `POOLINGS[unit]`; None for tokens.

    A line's vectors are float32 [tokens, words or 1, L, D], without the axis L if the layers are not kept apart, and
    with L * D values where they are concatenated.
    """

    def __init__(
        self, bert: BertModel, layers: list[int] | None, combination: str, unit: str, pooling: str | None
    ) -> None:
        self.layers, self.unit, self.pooling = layers, unit, pooling
        self.layers_apart = layers is not None and combination == APART
        self.values_per_piece = bert.config.hidden_size * (len(layers) if layers else 1)

        def compute(features):
            outputs = heads.encode(bert, features, None)
            if layers is None:
                return {"vectors": outputs["pooled_output"][:, tf.newaxis]}  # [B, 1, D]
            return {"vectors": _combine([outputs["all_layers"][index] for index in layers], combination)}

        self.compiled = sequences.compile_function(compute)

    def run(
        self, lines: Iterable[Line], batch_size: int, advance: Callable[[int], object] = lambda count: None
    ) -> Iterator[list[tuple[Line, np.ndarray]]]:
        """Computes vectors in batches of similar length, and hands them out in the order of the lines.

        Args:
          lines: an iterable of `Line`; so many are read at once as memory is set aside for.
          batch_size: lines per batch.
          advance: called with the number of lines that are done, after each batch.

        Yields:
          Lists of pairs: a `Line` and its vectors.
        """
        pieces = _WINDOW_BYTES // (4 * self.values_per_piece)
        for window in sequences.in_chunks(lines, lambda line: len(line.tokens), pieces, batch_size):
            yield self._run_window(window, batch_size, advance)

    def _run_window(self, window, batch_size, advance):
        rows = sequences.run(self.compiled, [line.sequence for line in window], batch_size, advance)
        return [(line, self._pool(line, row["vectors"])) for line, row in zip(window, rows, strict=True)]

    def _pool(self, line, vectors):
        """Float32 [F, ...], padding included, or [1, D] of the pooler, to [tokens, words or 1, ...]."""
        if self.unit == TOKEN:
            return vectors[: len(line.tokens)]
        slices = line.word_tokens if self.unit == WORD else [(0, len(line.tokens))]
        pooled = [_REDUCTIONS.get(self.pooling, _first)(vectors[start:end]) for start, end in slices]
        return np.reshape(pooled, [len(pooled), *vectors.shape[1:]]).astype(np.float32)


def _combine(layers, combination):
    """A list of [B, F, D] to [B, F, L, D], [B, F, L * D] or [B, F, D]."""
    if combination == "concat":
        return tf.concat(layers, axis=-1)
    stacked = tf.stack(layers, axis=2)
    if combination == APART:
        return stacked
    return (tf.reduce_mean if combination == "mean" else tf.reduce_sum)(stacked, axis=2)
