"""data_prep/corpus/cluster.py: work done by the workers of a Dask cluster of several processes."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from common.errors import InputError
from data_prep.build_corpus import build
from data_prep.corpus import cluster, sources
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_records import Settings
from data_prep.corpus.sources import Reading, Sources
from tests.data_prep.corpus.test_extraction import record

FILES, RECORDS, SHARDS = 12, 150, 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, repository):
    """Sources, Settings, and the files of a build by this process."""
    directory = tmp_path_factory.mktemp("corpus")
    for number in range(1, FILES + 1):
        records = (record(1000 * number + i, f"Number {i} of {number}. It fell.") for i in range(RECORDS))
        (directory / f"pubmed26n{number:04d}.xml").write_text(
            f"<PubmedArticleSet>{''.join(records)}</PubmedArticleSet>"
        )
    files = tuple(str(path) for path in sorted(directory.glob("*.xml")))
    told = Sources(pubmed_files=files, reading=Reading(sentence_splitter="none"))
    options = Options(max_seq_length=32, max_predictions_per_seq=5, dupe_factor=4)
    settings = Settings(str(repository / "samples/vocab.txt"), False, split_long_lines=True, options=options)
    build(told, settings, str(directory / "built"), SHARDS)
    return told, settings, contents(directory / "built")


def contents(directory):
    return {path.name: path.read_bytes() for path in pathlib.Path(directory).iterdir() if path.is_file()}


class Dask:
    """A scheduler and workers, each a process with a directory of its own."""

    def __init__(self, directory, repository):
        self.directory, self.repository = directory, repository
        self.file = directory / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port=0", "--no-dashboard", f"--scheduler-file={self.file}")
        while not self.file.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.1)
        self.workers = [self._start_worker(number) for number in (1, 2)]

    def _start_worker(self, number):
        own = self.directory / f"worker {number}"
        own.mkdir()
        options = ("--nthreads=1", "--no-nanny", "--no-dashboard", "--death-timeout=60", f"--local-directory={own}")
        return self._start("worker", f"--scheduler-file={self.file}", *options, cwd=own)

    def _start(self, program, *options, cwd=None):
        path = {"PYTHONPATH": str(self.repository)}
        return subprocess.Popen(
            [sys.executable, "-m", "dask", program, *options],
            env={**os.environ, **path},
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def build(self, corpus, output_dir, repository):
        """Starts the command, relative paths and all."""
        told, settings, _ = corpus
        command = [
            *(sys.executable, "-m", "data_prep.build_corpus", f"--scheduler={self.file}"),
            *(f"--pubmed_files={','.join(told.pubmed_files)}", "--sentence_splitter=none"),
            *(f"--output_dir={os.path.relpath(output_dir, repository)}", "--do_lower_case=false"),
            *(f"--vocab_file={settings.vocab_file}", f"--num_shards={SHARDS}", "--max_seq_length=32"),
            *("--max_predictions_per_seq=5", "--dupe_factor=4"),
        ]
        return subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path, repository):
    started = Dask(tmp_path, repository)
    yield started
    started.stop()


def wait_for(pattern, directory, process):
    while not list(directory.glob(pattern)):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)


@pytest.mark.parametrize("phase", ["documents/unit-*.json", "*.tfrecord"])
def test_a_worker_that_is_lost_is_replaced_by_the_other(corpus, dask, repository, tmp_path, phase):
    process = dask.build(corpus, tmp_path / "shards", repository)
    wait_for(phase, tmp_path / "shards", process)
    dask.workers[0].send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"{FILES * RECORDS:,} documents" in out
    assert contents(tmp_path / "shards") == corpus[2]


def test_a_scheduler_that_is_lost_ends_the_command_and_the_next_goes_on(corpus, dask, repository, tmp_path):
    process = dask.build(corpus, tmp_path / "shards", repository)
    wait_for("documents/unit-*.json", tmp_path / "shards", process)
    dask.scheduler.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: --scheduler={dask.file}: the scheduler was lost")
    assert "Traceback" not in err
    build(*corpus[:2], str(tmp_path / "shards"), SHARDS)
    assert contents(tmp_path / "shards") == corpus[2]


def test_a_bad_file_is_said_as_by_this_machine(corpus, dask, repository, tmp_path):
    bad = tmp_path / "pubmed26n0099.xml"
    bad.write_text("<PubmedArticleSet>")
    with_bad = sources.Sources(pubmed_files=(*corpus[0].pubmed_files, str(bad)), reading=corpus[0].reading)
    process = dask.build((with_bad, corpus[1], None), tmp_path / "shards", repository)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: {bad}, line 1: not well-formed")
    assert "Traceback" not in err


class Workers:
    """Stands for the client of a cluster with a worker that sees no files, or has other libraries."""

    def __init__(self, seen, version):
        self.answers = [{"tcp://other:1": seen}, {"tcp://other:1": {"lxml": version}}]

    def wait_for_workers(self, *_, **__):
        pass

    def nthreads(self):
        return {"tcp://other:1": 1}

    def run(self, *_):
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("seen", "version", "message"),
    [
        (False, "6", "worker tcp://other:1: does not see {}; expected shared files"),
        (True, "5", "worker tcp://other:1: has lxml 5; expected 6, as here"),
    ],
)
def test_a_worker_that_is_not_like_this_machine(tmp_path, seen, version, message):
    workers = cluster.Cluster(Workers(seen, version), "tcp://other:2")
    with pytest.raises(InputError, match=message.format(tmp_path)):
        workers.check(str(tmp_path), lambda: {"lxml": "6"})


def test_no_scheduler_answers(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(InputError, match="--scheduler=tcp://127.0.0.1:9: no Dask scheduler answers"),
        cluster.connect("tcp://127.0.0.1:9"),
    ):
        pass


SRUN = """#!/usr/bin/env bash
# Two tasks; the options before the command are of srun.
while [[ $1 == --* ]]; do shift; done
trap 'kill $(jobs -p)' TERM
"$@" & "$@" &
wait
wait
"""


def start_job(corpus, repository, tmp_path):
    """Starts scripts/build_corpus.slurm where `srun` runs two tasks here and `scontrol` notes what it is asked."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "srun").write_text(SRUN)
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    told, settings, _ = corpus
    flags = [
        *(f"--pubmed_files={','.join(told.pubmed_files)}", "--sentence_splitter=none", "--do_lower_case=false"),
        *(f"--output_dir={tmp_path}/shards", f"--vocab_file={settings.vocab_file}", f"--num_shards={SHARDS}"),
        *("--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=4"),
    ]
    (tmp_path / "shards").mkdir(exist_ok=True)
    return subprocess.Popen(
        ["bash", "scripts/build_corpus.slurm", *flags],
        cwd=repository,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_slurm_job_that_is_stopped_goes_back_into_the_queue_and_on(corpus, repository, tmp_path):
    job = start_job(corpus, repository, tmp_path)
    wait_for("documents/unit-*.json", tmp_path / "shards", job)
    job.send_signal(signal.SIGTERM)
    job.communicate()
    assert job.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    assert not list(tmp_path.glob("shards.dask*"))
    job = start_job(corpus, repository, tmp_path)
    _, err = job.communicate()
    assert job.returncode == 0, err
    assert contents(tmp_path / "shards") == corpus[2]
    assert (tmp_path / "asked").read_text() == "requeue 77\n"


def test_a_slurm_job_without_an_output_directory(repository):
    result = subprocess.run(["bash", "scripts/build_corpus.slurm"], cwd=repository, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "error: no --output_dir=...; expected the flags of data_prep.build_corpus\n"
