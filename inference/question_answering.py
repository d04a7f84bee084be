"""Answers questions from documents with models that run_qa.py trained.

A document is a context as run_qa.py has it, title and abstract together; a long one makes several windows. The spans
of all documents are one list, ordered by their scores, the sums of a start and an end logit. That is how the original
ranks the windows of a context, and how BERTserini (Yang et al. 2019) ranks passages: by a softmax over each document,
the spans of one without an answer would be as probable, together, as those of one with it. The probabilities are a
softmax over the `n_best_size` best of all documents; for one document, texts and probabilities are those of run_qa.py's
`nbest_predictions.json`. No model was trained to compare documents, so that a search engine's best passages serve
better than all there are (Wang et al. 2019, Multi-passage BERT).
"""

import bisect
import dataclasses
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.tasks import answers, questions
from data_prep.text.tokenization import FullTokenizer
from fine_tuning.model_directory import ModelDirectory
from inference import sequences

LONGEST_PASSAGE = 100_000  # characters; so much of a longer document is a document of its own
LONGEST_WORD = 5_000  # characters; a longer one is cut: text without white space (10 MB on a line)
SURROUNDINGS = 2_000  # characters before and after an answer that are shown of a longer paragraph


@dataclasses.dataclass(frozen=True)
class Reader:
    """A model, and what counts as an answer."""

    directory: ModelDirectory
    # As of `sequences.load`: float32 `start` and `end` [B, F], or `probabilities` [B, L] of yes and no.
    compiled: sequences.Compiled
    options: answers.Options


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer to a question: `text` is `document.text[start:end]`, and `passage` the paragraph around it.

    Yes, no, and "" for no answer (SQuAD 2.0) stand in no place.
    """

    text: str
    probability: float
    score: float | None = None  # start plus end logit; None for yes and no
    document_id: str | None = None
    source: str | None = None  # as in `Document`
    start: int | None = None
    end: int | None = None
    passage: str | None = None
    passage_start: int | None = None  # in document.text


@dataclasses.dataclass(frozen=True)
class Passage:
    """A document or a stretch of a long one; `starts` are the places of the example's words in its text."""

    document: Document
    starts: list[int]
    example: questions.Example


@dataclasses.dataclass(frozen=True)
class Found:
    """An answer and the span that it comes from."""

    candidate: answers.Candidate
    answer: Answer


def load_reader(directory: ModelDirectory, options: answers.Options | None = None) -> Reader:
    """Loads the model of a `ModelDirectory`.

    Args:
      directory: `ModelDirectory`.
      options: `answers.Options`, None for its defaults; whether there may be no answer is as in training.
    """
    with_negative = directory.settings["version_2_with_negative"]
    options = dataclasses.replace(options or answers.Options(), with_negative=with_negative)
    return Reader(directory, sequences.load(directory), options)


def answer(
    question: str,
    documents: Iterable[Document],
    reader: Reader,
    batch_size: int,
    advance: Callable[[int], object] = lambda count: None,
) -> list[Answer]:
    """Answers a question from documents, which may be any number: only the best answers are kept.

    Equal texts are one answer, in the place where it scores highest. By the type of questions that the model was
    trained for:

      * factoid: the `n_best_size` best answers of all documents. Where the model was trained with questions that have
        no answer, "" is among them, scored as low as any window scores it, and comes first if there is no answer.
      * list: what run_qa.py lists for each document: answers whose probability among those of their document is over
        the threshold, or the best of all where none is. They are in the order of their scores.
      * yesno: yes and no, with the mean probability over the windows of a document and over the documents.

    Args:
      question: text.
      documents: iterable of `Document`.
      reader: `Reader`.
      batch_size: windows per batch.
      advance: called with the number of windows that are done, after each batch.

    Returns:
      A list of `Answer`, best first; empty if no document has text.

    Raises:
      InputError: a question without text, no document.
    """
    scored = _score(question, documents, reader, batch_size, advance)
    question_type = reader.directory.settings["question_type"]
    if question_type == "yesno":
        return _answer_yes_or_no(scored, reader.directory.labels)
    if question_type == "list":
        return _answer_list(scored, reader)
    return _answer_factoid(scored, reader)


def best_of(found: list[Answer], reader: Reader, count: int) -> list[Answer]:
    """The first `count` answers; to a list question all."""
    return found if reader.directory.settings["question_type"] == "list" else found[:count]


def json_line(question: str, found: Iterable[Answer]) -> str:
    """A question and its answers as a line of JSON, without the end of the line; what an answer lacks is left out."""
    return json.dumps({"question": question, "answers": [_as_dict(one) for one in found]}, ensure_ascii=False)


def _as_dict(found):
    values = {
        "text": found.text,
        "probability": round(found.probability, 4),
        "document": found.document_id,
        "source": found.source,
        "start": found.start,
        "end": found.end,
        "passage": found.passage,
    }
    return {key: value for key, value in values.items() if value is not None}


# From text to scores


def _score(question, documents, reader, batch_size, advance):
    """Yields each `Passage` with text, its `questions.Encoding` and for each window a dict of its rows."""
    directory, settings = reader.directory, reader.directory.settings
    tokenizer, longest = directory.tokenizer, settings["max_query_length"]
    size = len(tokenizer.tokenize(question))
    if not size:
        raise InputError(f"{question!r:.80}: no text in the question; expected some")
    if size > longest:
        logging.warning("the question has %d wordpieces, of which the model reads the first %d", size, longest)
    passages = (passage for document in documents for passage in _passages(document, question))
    total = empty = 0
    for chunk in sequences.in_chunks(passages, _size, sequences.CHUNK_CHARACTERS):
        examples = [passage.example for passage in chunk]
        encodings = list(
            questions.encode(examples, tokenizer, directory.max_seq_length, settings["doc_stride"], longest)
        )
        encoded = [sequence for encoding in encodings for sequence in _sequences(encoding, tokenizer)]
        rows = iter(sequences.run(reader.compiled, encoded, batch_size, advance))
        for passage, encoding in zip(chunk, encodings, strict=True):
            if encoding.windows:
                yield passage, encoding, [next(rows) for _ in encoding.windows]
        total += len(chunk)
        empty += sum(not encoding.windows for encoding in encodings)
    if not total:
        raise InputError("no document to find an answer in; expected at least one")
    if empty:
        logging.warning("%d of %d documents without text, in which no answer is looked for", empty, total)


def _size(passage):
    return sum(map(len, passage.example.words)) + 1  # 1: there may be any number without text


def _passages(document, question):
    """Yields a document as `Passage`s, one unless it is very long."""
    starts: list[int] = []
    words: list[str] = []
    for start, word in _words(document):
        if starts and start + len(word) - starts[0] > LONGEST_PASSAGE:
            yield Passage(document, starts, questions.Example(document.id, question, words))
            starts, words = [], []
        starts.append(start)
        words.append(word)
    yield Passage(document, starts, questions.Example(document.id, question, words))


def _words(document):
    """Yields start and text of the words that run_qa.py cuts a context into; none goes across two paragraphs."""
    for paragraph in document.paragraphs:
        for match in questions.WORD.finditer(document.text, *paragraph):
            for start in range(match.start(), match.end(), LONGEST_WORD):
                yield start, document.text[start : min(start + LONGEST_WORD, match.end())]


def _sequences(encoding, tokenizer):
    """Yields the `sequences.Sequence` of each window."""
    for start, end in encoding.windows:
        pieces = ["[CLS]", *encoding.question, "[SEP]", *encoding.pieces[start:end], "[SEP]"]
        yield sequences.Sequence(tokenizer.convert_tokens_to_ids(pieces), encoding.context_start)


# From scores to answers


def _answer_factoid(scored, reader):
    options = reader.options
    found: dict[str, Found] = {}
    null: Any = None  # then an `answers.Candidate`
    for passage, encoding, rows in scored:
        logits = _logits(encoding, rows)
        found = _merge(found, _find(passage, encoding, logits, reader), options.n_best_size)
        if options.with_negative:
            nulls = [answers.null_candidate(logits), *([null] if null else [])]
            null = min(nulls, key=lambda candidate: candidate.score)
    if not found and null is None:
        return []
    candidates = {text: one.candidate for text, one in found.items()}
    predicted, entries, _ = answers.n_best(candidates, null, options)
    entries.sort(key=lambda entry: entry["text"] != predicted)  # no answer may have to score higher by a threshold
    return [
        dataclasses.replace(found[entry["text"]].answer, probability=entry["probability"])
        if entry["text"]
        else Answer("", entry["probability"], null.score)
        for entry in entries
    ]


def _answer_list(scored, reader):
    options = reader.options
    best: dict[str, Found] = {}
    over: dict[str, Found] = {}
    for passage, encoding, rows in scored:
        found = _find(passage, encoding, _logits(encoding, rows), reader)
        if not found:
            continue
        _, entries, _ = answers.n_best({text: one.candidate for text, one in found.items()}, None, options)
        found = {
            text: Found(one.candidate, dataclasses.replace(one.answer, probability=entry["probability"]))
            for (text, one), entry in zip(found.items(), entries, strict=True)
        }
        best = _merge(best, found, 1)
        found = {text: one for text, one in found.items() if one.answer.probability > answers.LIST_THRESHOLD}
        over = _merge(over, found, options.n_best_size)
    return [one.answer for one in (over or best).values()]


def _answer_yes_or_no(scored, labels):
    count = 0
    totals: Any = 0.0  # then float32 [L]
    for _, _, rows in scored:
        totals = totals + sum(row["probabilities"] for row in rows) / len(rows)
        count += 1
    found = [Answer(label, float(total / count)) for label, total in zip(labels, totals, strict=True)] if count else []
    # Of equal probabilities yes comes first, as in run_qa.py.
    return sorted(found, key=lambda one: (-one.probability, one.text == "no"))


def _logits(encoding, rows):
    """For each window start and end logits, without those of padding."""
    lengths = [encoding.context_start + end - start + 1 for start, end in encoding.windows]  # 1: the last [SEP]
    return [(row["start"][:length], row["end"][:length]) for row, length in zip(rows, lengths, strict=True)]


def _find(passage, encoding, logits, reader):
    """From text to `Found`, best first; the probabilities are still unknown. Of the text, spaces are as run_qa.py's."""
    tokenizer = reader.directory.tokenizer
    lower_case = tokenizer.basic_tokenizer.do_lower_case
    ranked = answers.rank(passage.example, encoding, logits, reader.options, lower_case)
    return {
        text: Found(candidate, _make_answer(passage, candidate, locate(text, candidate, passage, encoding, tokenizer)))
        for text, candidate in ranked.items()
    }


def _merge(kept, new, limit):
    """The best of two dicts from text to `Found`; of equal scores those in `kept`."""
    pairs = sorted([*kept.items(), *new.items()], key=lambda pair: -pair[1].candidate.score)
    return answers.first_of_each_text(pairs, limit)


def _make_answer(passage, candidate, span):
    document, (start, end) = passage.document, span
    first, last = (
        bisect.bisect_right(document.paragraphs, place, key=lambda paragraph: paragraph[0]) - 1
        for place in (start, end - 1)
    )
    begin = max(document.paragraphs[first][0], start - SURROUNDINGS)
    stop = min(document.paragraphs[last][1], end + SURROUNDINGS)
    return Answer(
        text=document.text[start:end],
        probability=0.0,
        score=candidate.score,
        document_id=document.id,
        source=document.source,
        start=start,
        end=end,
        passage=document.text[begin:stop],
        passage_start=begin,
    )


def locate(
    text: str,
    candidate: answers.Candidate,
    passage: Passage,
    encoding: questions.Encoding,
    tokenizer: FullTokenizer,
) -> tuple[int, int]:
    """Where an answer is in its document.

    The place is that of its wordpieces. Where the original takes more or other text than these (see
    `data_prep.tasks.answers.recover_text`), it is that of the text, whose words are joined by single spaces.

    Returns:
      Start and end in the document's text.
    """
    start, _ = _piece_span(candidate.first, passage, encoding, tokenizer)
    _, end = _piece_span(candidate.last, passage, encoding, tokenizer)
    if " ".join(questions.WORD.findall(passage.document.text[start:end])) == text:
        return start, end
    first, last = encoding.word_of[candidate.first], encoding.word_of[candidate.last]
    words, starts = passage.example.words[first : last + 1], passage.starts[first : last + 1]
    begin = " ".join(words).find(text)
    return _place(begin, words, starts), _place(begin + len(text), words, starts)


def _piece_span(piece, passage, encoding, tokenizer):
    """Where a wordpiece of the context, by its index, is in the document's text."""
    word = encoding.word_of[piece]
    number = piece - bisect.bisect_left(encoding.word_of, word)  # among the wordpieces of its word
    _, spans = tokenizer.tokenize_with_spans(passage.example.words[word])
    return tuple(passage.starts[word] + place for place in spans[number])


def _place(position, words, starts):
    """From a position in words joined by single spaces to that in the document's text."""
    for word, start in zip(words, starts, strict=True):
        if position <= len(word):
            return start + position
        position -= len(word) + 1
    raise ValueError("a position behind the last word")
