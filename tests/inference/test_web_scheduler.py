"""Who has the models when, with a stand-in for the models and a time of its own."""

import threading
import types

import pytest

from data_prep.formats.document import Document
from inference.web import scheduler
from inference.web.scheduler import LARGEST_PASS, Job, Scheduler

SECONDS = 40  # for a request: what takes more than 10 of them is slow
LONG = "l" * (LARGEST_PASS + 1)


def make_job(text, question=None, end=SECONDS):
    return Job([Document("text", text, ((0, len(text)),), "request")], question, end)


class Models:
    """What the scheduler has for `work`: notes the texts of each pass; the result of a job is its text in capitals.

    `steps` are, by the text, what happens before the calls of `advance`: lists of functions.
    """

    def __init__(self):
        self.now, self.passes, self.steps, self.thread = 0.0, [], {}, None
        self.scheduler = Scheduler(self, SECONDS)

    def __call__(self, jobs, advance):
        self.thread = threading.current_thread()
        texts = [job.documents[0].text for job in jobs]
        self.passes.append(texts)
        for text in texts:
            for step in self.steps.get(text, []):
                step()
                advance(1)
        return [text.upper() for text in texts]

    def submit(self, *jobs):
        for job in jobs:
            self.scheduler.submit(job)

    def wait(self, seconds):
        self.now += seconds

    def run(self, *jobs):
        """Submits jobs while another has the models; returns once there is nothing left to do."""
        self.passes.clear()
        self.steps["first"] = [lambda: self.submit(*jobs)]
        first = make_job("first")
        self.submit(first)
        assert first.result.result(60) == "FIRST"
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert self.passes.pop(0) == ["first"]


@pytest.fixture
def models(monkeypatch):
    models = Models()
    monkeypatch.setattr(scheduler, "time", types.SimpleNamespace(monotonic=lambda: models.now))
    monkeypatch.setattr(scheduler, "IDLE_SECONDS", 0.0)
    return models


def results(jobs):
    """What is known of jobs that are no longer worked on: a result, the type of an error, or None."""
    return [
        (type(job.result.exception()) if job.result.exception() else job.result.result()) if job.result.done() else None
        for job in jobs
    ]


def test_what_waits_is_worked_on_together(models):
    jobs = [make_job(f"t{i}") for i in range(20)]
    models.run(*jobs)
    assert models.passes == [[f"t{i}" for i in range(20)]]
    assert results(jobs) == [f"T{i}" for i in range(20)]


def test_a_pass_has_a_bounded_size(models):
    texts = [letter * (LARGEST_PASS * 2 // 5) for letter in "abcd"]
    models.run(*map(make_job, [*texts, "e"]))
    assert models.passes == [[texts[0], texts[1], "e"], texts[2:]]


def test_a_question_is_alone(models):
    models.run(make_job("a"), make_job("b", "?"), make_job("c", "?"), make_job("d"))
    assert models.passes == [["a", "d"], ["b"], ["c"]]


def test_what_fails_takes_no_other_down(models):
    def fail():
        raise ValueError("bad")

    models.steps["b"] = [fail]
    jobs = [make_job(text) for text in "abc"]
    models.run(*jobs)
    assert models.passes == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert results(jobs) == ["A", ValueError, "C"]


def test_what_takes_too_long_takes_no_other_down(models):
    models.steps["b"] = [lambda: models.wait(3)] * 20
    jobs = [make_job(text) for text in "abc"]
    models.run(*jobs)
    # Given up after 12 seconds; `b` goes on from 12 to 24, when it lets `c` in, and is given up after 40.
    assert models.passes == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert results(jobs) == ["A", None, "C"]
    assert jobs[1].is_begun
    assert models.now == 42


def test_alone_a_slow_one_may_use_its_time(models):
    models.steps["a"] = [lambda: models.wait(3)] * 13
    job = make_job("a")
    models.run(job)
    assert models.passes == [["a"]]
    assert results([job]) == ["A"]


def test_others_go_before_a_long_one(models):
    before = [make_job("a"), make_job("b"), make_job("c", "?")]
    known = []
    models.steps[LONG] = [lambda: models.submit(*before), lambda: known.append(results(before)), lambda: None]
    long = make_job(LONG)
    models.run(make_job("z"), long)
    assert models.passes == [[LONG], ["z", "a", "b"], ["c"]]
    assert known == [["A", "B", None]]
    assert results([*before, long]) == ["A", "B", "C", LONG.upper()]


def test_what_turns_out_to_be_slow_waits_for_the_long_one(models):
    models.steps[LONG] = [lambda: None] * 3
    models.steps["a"] = [lambda: models.wait(3)] * 5
    jobs = [make_job(LONG), make_job("a"), make_job("b")]
    models.run(*jobs)
    # Given up with `b` and then alone, after 12 seconds each; after the long one it has its 15 seconds.
    assert models.passes == [[LONG], ["a", "b"], ["a"], ["b"], ["a"]]
    assert models.now == 39
    assert results(jobs) == [LONG.upper(), "A", "B"]


def test_what_has_no_time_left_is_not_begun(models):
    models.steps["a"] = [lambda: models.wait(5)]
    jobs = [make_job("a", "?"), make_job("b", end=5), make_job("c", end=6)]
    models.run(*jobs)
    assert models.passes == [["a"], ["c"]]
    assert [job.is_begun for job in jobs] == [True, False, True]


def test_the_work_goes_on_after_a_pause(models):
    for _ in range(2):
        job = make_job("a")
        models.run(job)
        assert results([job]) == ["A"]
