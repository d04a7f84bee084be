"""The models behind a web application: one request at a time has them, for a limited time."""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from werkzeug.exceptions import abort

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.formats.text import find_paragraphs
from inference import question_answering
from inference.annotator import Annotator

BATCH_SIZE = 16  # sequences; small, since the time is looked at after each batch
ANSWERS = 5  # to a question, as predict.py has by default
MAX_QUESTION = 1_000  # characters
MAX_WAITING = 6  # requests, the one that has the models counted


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    max_characters: int = 50_000  # of the text
    max_seconds: float = 30.0  # from its arrival until the models are done with it

    @property
    def max_bytes(self) -> int:
        """Of a request's body."""
        # A character beyond U+FFFF is 12 bytes of a form (%F0%9F%98%80) and of JSON (\\ud83d\\ude00).
        return 12 * (self.max_characters + MAX_QUESTION) + 1_000


class Models:
    """Either may be None.

    Args:
      annotator: `inference.annotator.Annotator`, made with `BATCH_SIZE`.
      reader: `inference.question_answering.Reader`.
      limits: `Limits`.
    """

    def __init__(self, annotator: Annotator | None, reader: question_answering.Reader | None, limits: Limits) -> None:
        # Any stands for None, which who calls `annotate` or `answer` has ruled out.
        self.annotator: Annotator | Any = annotator
        self.reader: question_answering.Reader | Any = reader
        self.limits = limits
        self._places, self._lock = threading.BoundedSemaphore(MAX_WAITING), threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[Callable[[int], None]]:
        """Waits for the models, which the block then has to itself, and gives the `advance` for what they do.

        Raises:
          werkzeug.exceptions.ServiceUnavailable: it is not this request's turn in time, or too many wait.
          werkzeug.exceptions.GatewayTimeout: by `advance`, once the time is over.
        """
        seconds = self.limits.max_seconds
        end = time.monotonic() + seconds

        def advance(_):
            if time.monotonic() > end:
                abort(504, f"the models took more than {seconds:g} seconds; expected a shorter text")

        if not self._places.acquire(blocking=False):
            abort(503, f"{MAX_WAITING} requests before this one; expected it to be sent again later")
        with contextlib.ExitStack() as stack:
            stack.callback(self._places.release)
            if not self._lock.acquire(timeout=seconds):
                abort(503, f"other requests had the models for {seconds:g} seconds; expected it to be sent again later")
            stack.callback(self._lock.release)
            yield advance

    def annotate(self, document: Document, advance: Callable[[int], object]) -> Document:
        """The document with its entities and relations."""
        return next(self.annotator.annotate([document], advance))

    def answer(
        self, question: str, document: Document, advance: Callable[[int], object]
    ) -> list[question_answering.Answer]:
        """The answers, best first; a question without text that the model could read is a bad request."""
        try:
            found = question_answering.answer(question, [document], self.reader, BATCH_SIZE, advance)
            return question_answering.best_of(found, self.reader, ANSWERS)
        except InputError:
            abort(400, "question: nothing that the model can read; expected text")

    def warm_up(self, text: str, question: str) -> None:
        """Runs the models once: TensorFlow traces them then, which would take the first request some seconds."""
        document = Document("text", text, tuple(find_paragraphs(text)), "request")
        start = time.monotonic()
        if self.annotator:
            self.annotate(document, lambda count: None)
        if self.reader:
            self.answer(question, document, lambda count: None)
        logging.info("first run of the models: %.1f s", time.monotonic() - start)

    def describe(self) -> dict[str, Any]:
        """What is loaded and what a request may ask for, as `/api/models` says it; nothing of the machine."""
        classifier = self.annotator and self.annotator.classifier
        return {
            "entities": [
                {"name": tagger.name, "labels": tagger.directory.labels}
                for tagger in (self.annotator.taggers if self.annotator else [])
            ],
            "relations": {"labels": classifier.directory.labels} if classifier else None,
            "answers": {"question_type": self.reader.directory.settings["question_type"]} if self.reader else None,
            "limits": {
                "characters": self.limits.max_characters,
                "question_characters": MAX_QUESTION,
                "seconds": self.limits.max_seconds,
            },
        }
