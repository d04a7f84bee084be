"""Question answering data sets in SQuAD's JSON layout: questions, their windows of context, records.

    {"data": [{"paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "answers": [{"text": "...", "answer_start": 13}]}]}]}]}

SQuAD 1.1 and 2.0 (`is_impossible`) and BioASQ as released with BioBERT, whose ids are those of BioASQ and of the
snippet, 24 + 4 characters. A yes/no question to train on has `"answers": "yes"` or `"no"`, as in the authors' data of
the seventh BioASQ.

Dimensions: F sequence length (`[CLS]`, question, `[SEP]`, context, `[SEP]`).
"""

import bisect
import collections
import dataclasses
import functools
import logging
import random
import re
from collections.abc import Iterable, Iterator

from common.errors import InputError, name_some
from common.inputs import read_json
from data_prep.records.example_proto import encode_example
from data_prep.text.tokenization import FullTokenizer

# As the original cuts a context into words: no other Unicode space ends one.
WORD = re.compile("[^ \t\r\n\u202f]+")
YES_NO = ("no", "yes")  # answers
FACTOID, LIST, YES_NO_TYPE = TYPES = ("factoid", "list", "yesno")


@dataclasses.dataclass(frozen=True)
class Example:
    """A question on a context, with what is needed to train if it is for training.

    `first_word` and `last_word` are those of the answer, -1 where there is none; `answer` is its text, or yes or no.
    """

    id: str
    question: str
    words: list[str]
    answer: str | None = None
    first_word: int = -1
    last_word: int = -1


@dataclasses.dataclass(frozen=True)
class Context:
    """A text and its words, which all questions on it share; `starts` are their first characters."""

    text: str
    words: list[str]
    starts: list[int]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """An example in wordpieces; `word_of[i]` is the index of the word that wordpiece i of the context belongs to.

    `windows` are stretches `(start, end)` of the context's wordpieces, each of which makes a sequence. The answer is at
    the wordpieces `first` to `last`, both -1 where there is none.
    """

    question: list[str]
    pieces: list[str]
    word_of: list[int]
    windows: list[tuple[int, int]]
    first: int = -1
    last: int = -1

    @property
    def context_start(self) -> int:
        """Where the context begins in a sequence."""
        return len(self.question) + 2  # [CLS] and [SEP]


# Files


def read_examples(path: str, verbose: bool = False) -> list[Example]:
    """Reads questions to answer.

    Raises:
      InputError: the file is not as described, two questions have one id, or there is none.
    """
    examples, empty, seen = [], [], set()
    for question, context in _read_questions(path):
        if question["id"] in seen:
            raise InputError(f"{path}: two questions have the id {question['id']}; expected each once")
        seen.add(question["id"])
        examples.append(Example(question["id"], question["question"], context.words))
        if not context.words:
            empty.append(question["id"])
    _warn(path, "contexts without text, answered with nothing", empty, verbose)
    return examples


def read_span_examples(path: str, with_negative: bool = False, verbose: bool = False) -> list[Example]:
    """Reads questions to train on whose answers are stretches of the context.

    As in the original, an answer that is not in the words around its place is left out, with a warning.

    Args:
      path: the file.
      with_negative: SQuAD 2.0, where some questions are marked impossible; otherwise those are errors.
      verbose: name all questions in warnings.

    Raises:
      InputError: the file is not as described, or a question has not exactly one answer.
    """
    examples, misplaced = [], []
    for question, context in _read_questions(path):
        example = Example(question["id"], question["question"], context.words)
        if with_negative and _is_impossible(path, question):
            examples.append(example)
            continue
        text, start = _single_answer(path, question)
        first = last = -1
        if 0 <= start <= len(context.text) - len(text):
            first, last = _words_at(context, start, start + len(text) - 1)
        if first < 0 or " ".join(text.split()) not in " ".join(context.words[first : last + 1]):
            misplaced.append(example.id)
            continue
        examples.append(dataclasses.replace(example, answer=text, first_word=first, last_word=last))
    _warn(path, "answers are not where answer_start says, left out", misplaced, verbose)
    _warn_of_repeated_ids(path, examples, verbose)
    if not examples:
        raise InputError(f"{path}: no question with an answer to train on")
    return examples


def read_yes_no_examples(path: str, balance: bool, seed: int, verbose: bool = False) -> list[Example]:
    """Reads yes/no questions to train on.

    Args:
      path: the file.
      balance: leave out examples of the more frequent answer, at random, until there are as many of both.
      seed: int, for that.
      verbose: name all questions in warnings.

    Raises:
      InputError: the file is not as described, an answer is neither yes nor no, or one of them does not occur.
    """
    by_answer: dict[str, list[Example]] = {answer: [] for answer in YES_NO}
    empty = []
    for question, context in _read_questions(path):
        answer = question.get("answers")
        if answer not in YES_NO:
            raise InputError(f'{path}: question {question["id"]}: answers {answer!r:.80}; expected "yes" or "no"')
        if context.words:
            by_answer[answer].append(Example(question["id"], question["question"], context.words, answer))
        else:
            empty.append(question["id"])
    _warn(path, "contexts without text, left out", empty, verbose)
    _warn_of_repeated_ids(path, by_answer["no"] + by_answer["yes"], verbose)
    counts = {answer: len(examples) for answer, examples in by_answer.items()}
    if not all(counts.values()):
        raise InputError(f"{path}: {counts['yes']} questions with yes, {counts['no']} with no; expected some of both")
    rng = random.Random(seed)
    kept = min(counts.values()) if balance else None
    logging.info("%s: %d yes, %d no%s", path, counts["yes"], counts["no"], f", {kept} of each kept" if balance else "")
    return [example for examples in by_answer.values() for example in rng.sample(examples, kept or len(examples))]


def _read_questions(path):
    """Yields each question, a dict, with its `Context`."""
    document = read_json(path, "SQuAD's layout", lone_surrogates=True)
    if not isinstance(document, dict) or "data" not in document:
        raise InputError(f"{path}: no key 'data'; expected SQuAD's layout")
    count, last_id = 0, None
    try:
        for entry in document["data"]:
            for paragraph in entry["paragraphs"]:
                context = None
                for question in paragraph["qas"]:
                    if type(question["id"]) is int:  # COVID-QA has such; the original's predictions have texts
                        question = {**question, "id": str(question["id"])}
                    last_id = question["id"]
                    _check_texts(path, question["id"], question["question"], paragraph["context"])
                    context = context or _cut_into_words(paragraph["context"])
                    yield question, context
                    count += 1
    except (KeyError, TypeError) as error:
        place = f"after question {last_id}" if last_id else "at the first question"
        raise InputError(f"{path}: {place}: {_describe(error)}; expected SQuAD's layout") from None
    if not count:
        raise InputError(f"{path}: no question; expected SQuAD's layout with some")


def _cut_into_words(text):
    words = list(WORD.finditer(text))
    return Context(text, [word[0] for word in words], [word.start() for word in words])


def _describe(error):
    return f"no key {error}" if isinstance(error, KeyError) else str(error)


def _check_texts(path, *texts):
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise InputError(f"{path}: question {texts[0]}: {wrong[0]!r:.80}; expected texts as id, question and context")


def _is_impossible(path, question):
    impossible = question.get("is_impossible")
    if not isinstance(impossible, bool):
        raise InputError(
            f"{path}: question {question['id']}: is_impossible is {impossible!r}; with --version_2_with_negative "
            "expected true or false"
        )
    return impossible


def _single_answer(path, question):
    """The text of the only answer and its place in the context."""
    where, answers = f"{path}: question {question['id']}", question.get("answers")
    if not isinstance(answers, list) or len(answers) != 1:
        found = len(answers) if isinstance(answers, list) else repr(answers)
        hint = " (or --version_2_with_negative)" if question.get("is_impossible") else ""
        hint = " (or --question_type=yesno)" if answers in YES_NO else hint
        raise InputError(f"{where}: {found} answers; for training expected exactly 1{hint}")
    text, start = (answers[0].get(key) if isinstance(answers[0], dict) else None for key in ("text", "answer_start"))
    if not isinstance(text, str) or not text or not isinstance(start, int):
        raise InputError(f"{where}: answer {answers[0]!r:.80}; expected text and answer_start")
    return text, start


def _words_at(context, first_char, last_char):
    """Indices of the words at two characters; a space belongs to the word before it, -1 if there is none."""
    return (bisect.bisect_right(context.starts, char) - 1 for char in (first_char, last_char))


def _warn(path, what, ids, verbose):
    if ids:
        logging.warning("%s: %s: %s", path, what, name_some(ids, None if verbose else 5))


def _warn_of_repeated_ids(path, examples, verbose):
    counts = collections.Counter(example.id for example in examples)
    _warn(path, "ids of several questions, all trained on", [x for x in counts if counts[x] > 1], verbose)


# Wordpieces, windows and records


def encode(
    examples: Iterable[Example], tokenizer: FullTokenizer, max_seq_length: int, doc_stride: int, max_query_length: int
) -> Iterator[Encoding]:
    """Yields the `Encoding` of each example.

    A question is cut to `max_query_length` wordpieces. A context that does not fit into the rest of the sequence
    makes several windows, `doc_stride` wordpieces apart.
    """
    tokenize = functools.lru_cache(100_000)(tokenizer.tokenize)
    for example in examples:
        question = tokenizer.tokenize(example.question)[:max_query_length]
        pieces: list[str] = []
        word_of: list[int] = []
        starts = []
        for index, word in enumerate(example.words):
            starts.append(len(pieces))
            pieces += tokenize(word)
            word_of += [index] * (len(pieces) - len(word_of))
        windows = _windows(len(pieces), max_seq_length - len(question) - 3, doc_stride)  # [CLS], [SEP], [SEP]
        first = last = -1
        if example.first_word >= 0:
            starts.append(len(pieces))
            first, last = starts[example.first_word], starts[example.last_word + 1] - 1
            first, last = _improve_span(pieces, first, last, tokenizer.tokenize(example.answer))
        yield Encoding(question, pieces, word_of, windows, first, last)


def _windows(count, room, stride):
    windows, start = [], 0
    while start < count:
        windows.append((start, min(start + room, count)))
        if windows[-1][1] == count:
            break
        start += min(room, stride)
    return windows


def _improve_span(pieces, first, last, answer):
    """Narrows a span of whole words to the answer itself where its wordpieces are among theirs.

    For instance `( 1895 - 1943 ) .` to `1895`; leftmost match first, as in the original.
    """
    size = len(answer)
    for start in range(first, last + 2 - size) if size else ():
        if pieces[start : start + size] == answer:
            return start, start + size - 1
    return first, last


def serialize_spans(encodings: Iterable[Encoding], tokenizer: FullTokenizer) -> Iterator[bytes]:
    """Yields a record a window, as of `records.span_features`.

    Where the answer is not wholly inside, both positions are 0, that of `[CLS]`.
    """
    for encoding in encodings:
        for (start, end), features in _sequences(encoding, tokenizer):
            inside = encoding.first >= start and encoding.last < end
            shift = encoding.context_start - start
            features["start_positions"] = [encoding.first + shift if inside else 0]
            features["end_positions"] = [encoding.last + shift if inside else 0]
            yield encode_example(features)


def serialize_yes_no(
    examples: Iterable[Example], encodings: Iterable[Encoding], tokenizer: FullTokenizer
) -> Iterator[bytes]:
    """Yields a record a window, as of `records.label_features`, with the answer of its example if it has one."""
    for example, encoding in zip(examples, encodings, strict=True):
        label = YES_NO.index(example.answer or YES_NO[0])
        for _, features in _sequences(encoding, tokenizer):
            yield encode_example({**features, "label_ids": [label]})


def _sequences(encoding, tokenizer):
    """Yields each window and its features: `input_ids`, `input_mask`, `segment_ids`."""
    question = ["[CLS]", *encoding.question, "[SEP]"]
    for window in encoding.windows:
        context = [*encoding.pieces[slice(*window)], "[SEP]"]
        yield (
            window,
            {
                "input_ids": tokenizer.convert_tokens_to_ids(question + context),
                "input_mask": [1] * (len(question) + len(context)),
                "segment_ids": [0] * len(question) + [1] * len(context),
            },
        )
