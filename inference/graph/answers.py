"""`inference.question_answering` inside a graph: questions and contexts in, answers out.

Dimensions in shape comments: B questions, P wordpieces of all contexts, N windows, F sequence length, H best starts and
ends of a window, Q candidates, A answers, L labels.
"""

import dataclasses

import keras
import tensorflow as tf

from data_prep.tasks.answers import LIST_THRESHOLD, Options
from fine_tuning.model_directory import ModelDirectory
from inference.graph.answer_texts import AnswerTexts
from inference.graph.sequences import BatchedModel
from inference.graph.tokenizer import GraphTokenizer
from inference.graph.vectors import cut_strings, pad_rows, ranges, row_sizes, row_starts


@dataclasses.dataclass(frozen=True)
class Windows:
    """Stretches of contexts that fit into a sequence, all int32 [N]."""

    text_of: tf.Tensor  # index of the context
    starts: tf.Tensor  # among all wordpieces
    ends: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Found:
    """Answers, those to a question together and best first."""

    text_of: tf.Tensor  # int32 [A], index of the question
    scores: tf.Tensor  # float64 [A]
    starts: tf.Tensor  # int32 [A], characters of the context; -1 for no answer
    ends: tf.Tensor

    def gather(self, places: tf.Tensor) -> "Found":
        return Found(*(tf.gather(values, places) for values in vars(self).values()))

    def local_places(self, count: tf.Tensor) -> tf.Tensor:
        """The number of each answer among those to its question, of so many, from 0."""
        counts = tf.math.bincount(self.text_of, minlength=count, maxlength=count)
        return tf.range(tf.size(self.text_of)) - tf.gather(tf.cumsum(counts, exclusive=True), self.text_of)


class QuestionAnswerer:
    """Answers questions, each from its own context."""

    def __init__(self, directory: ModelDirectory, model: keras.layers.Layer, batch_size: int) -> None:
        """Takes a `ModelDirectory`, its Keras layer and the number of windows per batch."""
        settings = directory.settings
        lower_case = directory.tokenizer.basic_tokenizer.do_lower_case
        self._tokenizer = GraphTokenizer(directory.tokenizer.vocab, lower_case)
        self._model = BatchedModel(directory, model, batch_size)
        self._max_seq_length, self._max_query_length = directory.max_seq_length, settings["max_query_length"]
        self._doc_stride, self._type, self._labels = settings["doc_stride"], settings["question_type"], directory.labels
        self._options = Options(with_negative=settings["version_2_with_negative"])

    def __call__(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers questions.

        Args:
          question, context: string [B] each.

        Returns:
          A dict, best answer first: `texts` string, `probabilities` float32, `starts` and `ends` int32 in characters of
          the context, all [B, A] with -1 or "" behind the last answer, and `count` int32 [B]: 0 where question or
          context has no text. Yes, no and "" for no answer stand in no place, -1.

        Raises:
          tf.errors.InvalidArgumentError: another number of questions than of contexts.
        """
        count = tf.size(question)
        message = "as many questions as contexts are expected: one question and its context a row"
        with tf.control_dependencies([tf.debugging.assert_equal(count, tf.size(context), message)]):
            question, context = tf.identity(question), tf.identity(context)
        asked = self._tokenizer.tokenize(question).ids[:, : self._max_query_length]
        words = self._tokenizer.basic_tokenizer.split(context)
        pieces = self._tokenizer.cut(words, count)
        windows = self._make_windows(asked, pieces.ids)
        inside = ranges(windows.starts, windows.ends)
        inside = inside.with_flat_values(tf.gather(pieces.ids.flat_values, inside.flat_values))
        asked = tf.gather(asked, windows.text_of)
        ids, context_start = self._model.add_special_pieces(asked, inside), row_sizes(asked) + 2  # [CLS] and [SEP]
        if self._type == "yesno":
            return self._answer_yes_or_no(self._model.classify(ids, context_start), windows, count)
        logits = self._model.score_spans(ids, context_start)  # [N, F] each
        texts = AnswerTexts(context, words, pieces, self._tokenizer.unknown_id)
        found = self._rank(*self._candidates(logits, windows, context_start), texts, count)
        if self._type == "list":
            probabilities = _softmax(found, count)
            chosen = tf.where((probabilities > LIST_THRESHOLD) | (found.local_places(count) == 0))[:, 0]
            return _describe(found.gather(chosen), tf.gather(probabilities, chosen), context)
        if self._options.with_negative:
            found = self._add_null(found, logits, windows, count)
        return _describe(found, _softmax(found, count), context)

    def _make_windows(self, asked, ids):
        """`Windows` of contexts, ragged [B, P of the context]; none where the question or the context is empty."""
        count = row_sizes(ids)  # [B]
        room = self._max_seq_length - row_sizes(asked) - 3  # [CLS], [SEP], [SEP]
        stride = tf.minimum(room, self._doc_stride)
        numbers = 1 + (tf.maximum(count - room, 0) + stride - 1) // stride
        numbers = tf.where((count > 0) & (row_sizes(asked) > 0), numbers, 0)
        text_of = tf.repeat(tf.range(tf.size(numbers)), numbers)
        number = tf.range(tf.size(text_of)) - tf.gather(tf.cumsum(numbers, exclusive=True), text_of)
        starts = number * tf.gather(stride, text_of)
        ends = tf.minimum(starts + tf.gather(room, text_of), tf.gather(count, text_of))
        first = tf.gather(row_starts(ids), text_of)
        return Windows(text_of, first + starts, first + ends)

    def _candidates(
        self, logits: list[tf.Tensor], windows: Windows, context_start: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """`answers._candidates`: question, first and last wordpiece (int32 [Q], among the P), score (float64 [Q])."""
        lengths = context_start + windows.ends - windows.starts + 1  # 1: the last [SEP]
        is_piece = tf.sequence_mask(lengths, self._max_seq_length)
        size = min(self._options.n_best_size, self._max_seq_length)
        (start_logits, firsts), (end_logits, lasts) = (
            tf.math.top_k(tf.where(is_piece, values, float("-inf")), size) for values in logits
        )  # [N, H]
        shift = (windows.starts - context_start)[:, tf.newaxis]
        firsts, lasts = firsts + shift, lasts + shift
        starts, ends = windows.starts[:, tf.newaxis], windows.ends[:, tf.newaxis]
        owner = _windows_with_most_context(windows)
        is_first = (firsts >= starts) & (firsts < ends)
        owner = tf.gather(owner, tf.where(is_first, firsts, starts))
        is_first &= owner == tf.range(tf.size(windows.text_of))[:, tf.newaxis]
        limit = tf.minimum(ends, firsts + self._options.max_answer_length)[:, :, tf.newaxis]
        lasts_of = lasts[:, tf.newaxis]  # [N, 1, H]
        allowed = is_first[:, :, tf.newaxis] & (lasts_of >= firsts[:, :, tf.newaxis]) & (lasts_of < limit)
        window, start, end = tf.unstack(tf.where(allowed), axis=1)
        start, end = tf.stack([window, start], 1), tf.stack([window, end], 1)
        scores = [
            tf.cast(tf.gather_nd(values, places), tf.float64)
            for values, places in ((start_logits, start), (end_logits, end))
        ]
        text_of = tf.gather(windows.text_of, window)
        return text_of, tf.gather_nd(firsts, start), tf.gather_nd(lasts, end), tf.add_n(scores)

    def _rank(self, text_of, first, last, scores, texts, count):
        """`answers.rank`: the best candidates, of which equal texts are one, as `Found`."""
        order = _best_first(text_of, scores)
        text_of, first, last = (tf.gather(values, order) for values in (text_of, first, last))
        starts, ends, keys = texts.find(text_of, first, last)
        unique, number = tf.unique(keys)
        once = tf.math.unsorted_segment_min(tf.range(tf.size(number)), number, tf.size(unique))
        found = Found(text_of, tf.gather(scores, order), starts, ends).gather(once)
        return found.gather(tf.where(found.local_places(count) < self._options.n_best_size)[:, 0])

    def _add_null(self, found, logits, windows, count):
        """Adds no answer, scored as low as any window scores it at `[CLS]`, see `answers.n_best`."""
        scores = tf.add_n([tf.cast(values[:, 0], tf.float64) for values in logits])
        text_of, number = tf.unique(windows.text_of)  # in ascending order
        scores = tf.math.unsorted_segment_min(scores, number, tf.size(text_of))
        nowhere = tf.fill(tf.shape(text_of), -1)
        null = Found(text_of, scores, nowhere, nowhere)
        both = Found(*(tf.concat(pair, 0) for pair in zip(vars(found).values(), vars(null).values(), strict=True)))
        both = both.gather(_best_first(both.text_of, both.scores))
        kept = (both.local_places(count) < self._options.n_best_size) | (both.starts < 0)
        return both.gather(tf.where(kept)[:, 0])

    def _answer_yes_or_no(self, probabilities, windows, count):
        """From the probabilities [N, L] of windows to what `__call__` returns."""
        order = sorted(range(len(self._labels)), key=lambda i: self._labels[i] == "no")  # of equal ones yes is first
        means = tf.math.unsorted_segment_mean(tf.gather(probabilities, order, axis=1), windows.text_of, count)  # [B, L]
        answered = tf.unique(windows.text_of).y
        best, places = tf.math.top_k(tf.gather(means, answered), len(order))
        labels = tf.gather(tf.constant([self._labels[i] for i in order]), places)
        nowhere = tf.fill([tf.size(best)], -1)
        found = {
            "texts": tf.reshape(labels, [-1]),
            "probabilities": tf.reshape(best, [-1]),
            "starts": nowhere,
            "ends": nowhere,
        }
        return pad_rows(found, tf.repeat(answered, len(order)), count)


def _windows_with_most_context(windows):
    """`answers._windows_with_most_context`: for each wordpiece the number of its best window, int32 [P]."""
    inside = ranges(windows.starts, windows.ends)
    piece, window_of = inside.flat_values, tf.cast(inside.value_rowids(), tf.int32)
    size = tf.gather(row_sizes(inside), window_of)
    left = tf.range(tf.size(piece)) - tf.gather(row_starts(inside), window_of)
    score = tf.cast(tf.minimum(left, size - 1 - left), tf.float64) + 0.01 * tf.cast(size, tf.float64)
    count = tf.reduce_max(tf.concat([windows.ends, [0]], 0))
    best = tf.math.unsorted_segment_max(score, piece, count)
    is_best = score == tf.gather(best, piece)
    return tf.math.unsorted_segment_min(tf.boolean_mask(window_of, is_best), tf.boolean_mask(piece, is_best), count)


def _best_first(text_of, scores):
    """The order of answers by question, then by score; equal ones stay in order."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    return tf.gather(order, tf.argsort(tf.gather(text_of, order), stable=True))


def _softmax(found, count):
    """The probabilities, float64 [A], of the answers among those to the same question."""
    best = tf.math.unsorted_segment_max(found.scores, found.text_of, count)
    exponentials = tf.exp(found.scores - tf.gather(best, found.text_of))
    return exponentials / tf.gather(tf.math.unsorted_segment_sum(exponentials, found.text_of, count), found.text_of)


def _describe(found, probabilities, context):
    described = {
        "texts": cut_strings(context, found.text_of, found.starts, found.ends),
        "probabilities": tf.cast(probabilities, tf.float32),
        "starts": found.starts,
        "ends": found.ends,
    }
    return pad_rows(described, found.text_of, tf.size(context))
