"""The models behind a web application, and what a request may ask of them."""

import contextlib
import dataclasses
import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from werkzeug.exceptions import abort

from common.errors import InputError
from data_prep.formats.document import Document
from data_prep.formats.text import find_paragraphs
from inference import question_answering
from inference.annotator import Annotator
from inference.web.scheduler import Advance, Job, Scheduler

BATCH_SIZE = 16  # sequences; small, since the time is looked at after each batch
ANSWERS = 5  # to a question, as predict.py has by default
MAX_QUESTION = 1_000  # characters
MAX_WAITING = 200  # requests, those that are worked on counted; each has a thread


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
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._scheduler = Scheduler(self._work, limits.max_seconds)

    @contextlib.contextmanager
    def place(self) -> Iterator[float]:
        """Holds a place among the requests that wait, and gives the `end` for what the block wants of the models.

        Raises:
          werkzeug.exceptions.ServiceUnavailable: too many wait.
        """
        if not self._places.acquire(blocking=False):
            abort(503, f"{MAX_WAITING} requests before this one; expected it to be sent again later")
        try:
            yield time.monotonic() + self.limits.max_seconds
        finally:
            self._places.release()

    def annotate(self, documents: Sequence[Document], end: float) -> list[Document]:
        """The documents with their entities and relations.

        Args:
          documents: sequence of `Document`.
          end: by when, of `place`.

        Raises:
          werkzeug.exceptions.ServiceUnavailable: the models are not to be had in time.
          werkzeug.exceptions.GatewayTimeout: they do not get done in time.
        """
        return self._run(Job(documents, None, end))

    def answer(self, question: str, documents: Sequence[Document], end: float) -> list[list[question_answering.Answer]]:
        """From each document the answers, best first.

        Args:
          question: text; without any that the model could read, it is a bad request.
          documents, end: as for `annotate`.

        Raises:
          werkzeug.exceptions.BadRequest: see `question`.
          werkzeug.exceptions.HTTPException: as `annotate`.
        """
        try:
            return self._run(Job(documents, question, end))
        except InputError:
            abort(400, "question: nothing that the model can read; expected text")

    def _run(self, job: Job) -> Any:
        self._scheduler.submit(job)
        try:
            return job.result.result(job.end - time.monotonic())
        except TimeoutError:
            seconds = f"{self.limits.max_seconds:g} seconds"
            if job.is_begun:
                abort(504, f"the models took more than {seconds}, waiting included; expected a shorter text")
            abort(503, f"other requests had the models for {seconds}; expected it to be sent again later")

    def _work(self, jobs: Sequence[Job], advance: Advance) -> list[Any]:
        """What the models find for each of some jobs, of which one with a question is the only one."""
        question = jobs[0].question
        if question is not None:
            return [[self._answer(question, document, advance) for document in jobs[0].documents]]
        found = self.annotator.annotate([document for job in jobs for document in job.documents], advance)
        return [list(itertools.islice(found, len(job.documents))) for job in jobs]

    def _answer(self, question: str, document: Document, advance: Advance) -> list[question_answering.Answer]:
        found = question_answering.answer(question, [document], self.reader, BATCH_SIZE, advance)
        return question_answering.best_of(found, self.reader, ANSWERS)

    def warm_up(self, text: str, question: str) -> None:
        """Runs the models once: TensorFlow traces them then, which would take the first request some seconds."""
        documents = [Document("text", text, tuple(find_paragraphs(text)), "request")]
        start = time.monotonic()
        if self.annotator:
            self._work([Job(documents, None, math.inf)], lambda count: None)
        if self.reader:
            self._work([Job(documents, question, math.inf)], lambda count: None)
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
