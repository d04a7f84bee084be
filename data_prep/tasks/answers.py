"""From the scores of a question answering model to answers: n-best lists, their texts, SQuAD's result files.

Devlin et al. 2019, sections 4.2 and 4.3. The original's rules, ties included: those for what is a candidate, for its
place in the list and for its text.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from common.files import atomic_write
from data_prep.tasks.questions import Encoding, Example
from data_prep.text.tokenization import BasicTokenizer

NO_CANDIDATE = "empty"  # the original's answer where no span is allowed
LIST_THRESHOLD = 0.42  # list questions: lowest probability of an answer, by default

_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is a candidate, and how many are listed."""

    n_best_size: int = 20
    max_answer_length: int = 30  # wordpieces
    with_negative: bool = False  # SQuAD 2.0: a question may have no answer
    null_score_diff_threshold: float = 0.0  # no answer where it scores higher than the best one by more than this


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A span of a context's wordpieces, or no answer (`first` is -1)."""

    first: int
    last: int
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        return self.start_logit + self.end_logit


def predict(
    example: Example,
    encoding: Encoding,
    logits: Sequence[tuple[np.ndarray, np.ndarray]],
    options: Options,
    do_lower_case: bool,
) -> tuple[str, list[dict[str, Any]], float | None]:
    """The answer to a question, its n-best list and the score of no answer.

    Args:
      example: `questions.Example`.
      encoding: its `questions.Encoding`.
      logits: for each window the start and the end logits of its sequence, two arrays [F].
      options: `Options`.
      do_lower_case: whether the wordpieces are lower-cased.

    Returns:
      The text, "" for no answer; a list of dicts with `text`, `probability`, `start_logit`, `end_logit`, best first;
      and, with negative answers, the score of none less that of the best one, else None.
    """
    if not encoding.windows:  # a context without text
        return "", [_entry("", 1.0, 0.0, 0.0)], 0.0 if options.with_negative else None
    texts = rank(example, encoding, logits, options, do_lower_case)
    return n_best(texts, null_candidate(logits) if options.with_negative else None, options)


def rank(
    example: Example,
    encoding: Encoding,
    logits: Sequence[tuple[np.ndarray, np.ndarray]],
    options: Options,
    do_lower_case: bool,
) -> dict[str, Candidate]:
    """The best candidates, without that of no answer, of which equal texts are one.

    Args:
      As of `predict`.

    Returns:
      A dict from text to `Candidate`, best first, `n_best_size` at most.
    """
    basic_tokenizer = BasicTokenizer(do_lower_case)
    candidates = sorted(_candidates(encoding, logits, options), key=lambda candidate: -candidate.score)
    return first_of_each_text(
        ((_text(example, encoding, candidate, basic_tokenizer), candidate) for candidate in candidates),
        options.n_best_size,
    )


def first_of_each_text(pairs: Iterable[tuple[str, _Value]], limit: int) -> dict[str, _Value]:
    """A dict of the first pairs of a text and something, each text once, `limit` of them at most."""
    texts: dict[str, _Value] = {}
    for text, value in pairs:
        if len(texts) == limit:
            break
        texts.setdefault(text, value)
    return texts


def n_best(
    texts: dict[str, Candidate], null: Candidate | None, options: Options
) -> tuple[str, list[dict[str, Any]], float | None]:
    """From candidates to what `predict` returns.

    Args:
      texts: dict from text to `Candidate`, as of `rank`.
      null: the `Candidate` for no answer, or None. It is in the list in any case.
      options: `Options`.
    """
    if null is not None:
        pairs = sorted([*texts.items(), ("", null)], key=lambda pair: -pair[1].score)
        texts = dict(pairs[: options.n_best_size])
        texts.setdefault("", null)
    if not texts:
        texts = {NO_CANDIDATE: Candidate(-1, -1, 0.0, 0.0)}
    probabilities = _softmax([candidate.score for candidate in texts.values()])
    entries = [
        _entry(text, probability, candidate.start_logit, candidate.end_logit)
        for (text, candidate), probability in zip(texts.items(), probabilities, strict=True)
    ]
    if null is None:
        return entries[0]["text"], entries, None
    best = next((text for text in texts if text), "")
    difference = null.score - (texts[best].score if best else 0.0)
    return "" if difference > options.null_score_diff_threshold else best, entries, difference


def _entry(text, probability, start_logit, end_logit):
    return {"text": text, "probability": probability, "start_logit": start_logit, "end_logit": end_logit}


def _candidates(encoding, logits, options):
    """The allowed spans between the `n_best_size` best starts and the best ends of each window."""
    owner = _windows_with_most_context(encoding.windows, len(encoding.pieces))
    result = []
    for number, ((begin, end), (start_logits, end_logits)) in enumerate(zip(encoding.windows, logits, strict=True)):
        shift = begin - encoding.context_start  # from a place in the sequence to a wordpiece of the context
        ends = [place + shift for place in _best(end_logits, options.n_best_size)]
        for first in (place + shift for place in _best(start_logits, options.n_best_size)):
            if not begin <= first < end or owner[first] != number:
                continue
            for last in ends:
                if first <= last < min(end, first + options.max_answer_length):
                    scores = float(start_logits[first - shift]), float(end_logits[last - shift])
                    result.append(Candidate(first, last, *scores))
    return result


def _best(logits, count):
    """Places of the highest logits, best first; of equal ones the first."""
    return np.argsort(-logits, kind="stable")[:count].tolist()


def _windows_with_most_context(windows, num_pieces):
    """For each wordpiece the number of the window in which it has most context on its shorter side.

    A longer window counts a little more: 0.01 a wordpiece.
    """
    best, owner = np.full(num_pieces, -np.inf), np.zeros(num_pieces, int)
    for number, (begin, end) in enumerate(windows):
        left = np.arange(end - begin)
        score = np.minimum(left, left[::-1]) + 0.01 * (end - begin)
        better = score > best[begin:end]
        owner[begin:end][better] = number
        best[begin:end] = np.maximum(best[begin:end], score)
    return owner


def null_candidate(logits: Iterable[tuple[np.ndarray, np.ndarray]]) -> Candidate:
    """No answer, with the lowest of the scores that the windows give it, at `[CLS]`."""
    scores = [(float(start_logits[0]), float(end_logits[0])) for start_logits, end_logits in logits]
    return Candidate(-1, -1, *min(scores, key=sum))


def _text(example, encoding, candidate, basic_tokenizer):
    pieces = encoding.pieces[candidate.first : candidate.last + 1]
    words = example.words[encoding.word_of[candidate.first] : encoding.word_of[candidate.last] + 1]
    piece_text = " ".join(" ".join(pieces).replace(" ##", "").replace("##", "").split())
    return recover_text(piece_text, " ".join(words), basic_tokenizer)


def recover_text(piece_text: str, source: str, basic_tokenizer: BasicTokenizer) -> str:
    """The part of a source that a text of joined wordpieces stands for, as the original finds it.

    Both are compared without spaces, character by character: `steve smith` in `Steve Smith's` is `Steve Smith`. Where
    that fails (the tokenizer dropped or added characters, or an unknown wordpiece stands in the text), it is all of it.

    Args:
      piece_text: wordpieces, joined to words.
      source: the words of the context that the wordpieces are from, joined by spaces.
      basic_tokenizer: the `BasicTokenizer` that the wordpieces were made with.
    """
    tokenized = " ".join(basic_tokenizer.tokenize(source))
    start = tokenized.find(piece_text)
    places = [i for i, char in enumerate(source) if char != " "]
    if start < 0 or not piece_text or len(places) != len(tokenized.replace(" ", "")):
        return source
    first = len(tokenized[:start].replace(" ", ""))
    size = len(piece_text.replace(" ", ""))
    return source[places[first] : places[first + size - 1] + 1]


def _softmax(scores):
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [x / sum(exponentials) for x in exponentials]


def write_json(directory: str, name: str, value: object) -> None:
    """Writes a result file with the original's layout."""
    with atomic_write(os.path.join(directory, name)) as file:
        file.write(json.dumps(value, indent=4) + "\n")
