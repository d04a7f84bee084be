"""Who has the models when: one thread works on what waits for them, on short texts together.

Nothing interrupts a pass of the models, but they call `advance` after each batch. That one text takes long is no reason
for others to wait: at each call of a slow job, those that are not slow get a pass. Slow is what is long, and what takes
more than a share of a request's time. Which of several jobs it is that takes so long, or that makes a pass fail, does
not show: then each of them gets a pass of its own.
"""

import concurrent.futures
import dataclasses
import enum
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from data_prep.formats.document import Document

LARGEST_PASS = 5_000  # characters of texts together: enough to fill a few batches of the models
IDLE_SECONDS = 60.0  # after which the thread ends, so that nobody has to end it; each one costs TensorFlow some memory
PATIENCE = 0.25  # of the time for a request, after which a pass is slow

Advance = Callable[[int], object]  # as of `Annotator.annotate`


class Pace(enum.Enum):
    """How a job is worked on."""

    TOGETHER = enum.auto()  # with others
    ALONE = enum.auto()
    SLOW = enum.auto()  # alone, and others go before


@dataclasses.dataclass(eq=False)
class Job:
    """What one request wants of the models."""

    documents: Sequence[Document]
    question: str | None  # to be answered from each document; None: their entities and relations are wanted
    end: float  # of its time, as of `time.monotonic`
    pace: Pace = dataclasses.field(init=False)
    is_begun: bool = False
    result: concurrent.futures.Future = dataclasses.field(default_factory=concurrent.futures.Future)

    def __post_init__(self) -> None:
        self.pace = Pace.TOGETHER if self.question is None else Pace.ALONE
        if self.size > LARGEST_PASS:
            self.pace = Pace.SLOW

    @property
    def size(self) -> int:
        """Characters."""
        return sum(len(document.text) for document in self.documents)


class Scheduler:
    """Runs jobs one pass at a time.

    Args:
      work: called with the jobs of a pass and `advance`; returns the result of each.
      seconds: that a request has.
    """

    def __init__(self, work: Callable[[Sequence[Job], Advance], Sequence[Any]], seconds: float) -> None:
        self._work, self._patience = work, PATIENCE * seconds
        self._waiting: list[Job] = []
        self._has_thread, self._changed = False, threading.Condition()

    def submit(self, job: Job) -> None:
        """Lets a job wait for its turn. It is not begun, or does not get done, if its time is over before."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
            if not self._has_thread:
                threading.Thread(target=self._serve_all, name="models", daemon=True).start()
                self._has_thread = True

    def _serve_all(self):
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS):
                    self._has_thread = False
                    return
                jobs = self._take()
            if jobs:
                self._serve(jobs)

    def _take(self, with_slow=True):
        """Takes the jobs of the next pass out of those that wait: a slow one first, since it lets others go before."""
        now = time.monotonic()
        self._waiting = [job for job in self._waiting if job.end > now]
        ready = [job for job in self._waiting if with_slow or job.pace is not Pace.SLOW]
        if not ready:
            return []
        chosen = [max(ready, key=lambda job: job.pace is Pace.SLOW)]  # of equals the first
        if chosen[0].pace is Pace.TOGETHER:
            size = chosen[0].size
            for job in ready[1:]:
                if job.pace is Pace.TOGETHER and size + job.size <= LARGEST_PASS:
                    chosen.append(job)
                    size += job.size
        for job in chosen:
            job.is_begun = True
            self._waiting.remove(job)
        return chosen

    def _serve(self, jobs, is_between=False):
        """Makes a pass; `is_between`: at a call of `advance` of a slow one."""
        begin, end = time.monotonic(), max(job.end for job in jobs)

        def advance(_):
            now = time.monotonic()
            is_slow = jobs[0].pace is Pace.SLOW or now - begin > self._patience
            if now > end or (is_slow and (is_between or len(jobs) > 1)):
                raise _GivenUpError
            if is_slow:
                with self._changed:
                    others = self._take(with_slow=False)
                if others:
                    self._serve(others, is_between=True)

        try:
            results = list(zip(jobs, self._work(jobs, advance), strict=True))
        except Exception as error:
            if len(jobs) == 1 and not isinstance(error, _GivenUpError):
                jobs[0].result.set_exception(error)
                return
            for job in jobs:
                job.pace = Pace.SLOW if len(jobs) == 1 else Pace.ALONE
            with self._changed:
                self._waiting[:0] = jobs  # where they are left out once their time is over
        else:
            for job, result in results:
                job.result.set_result(result)


class _GivenUpError(Exception):
    """By `advance`, of a pass."""
