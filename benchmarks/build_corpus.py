r"""Speed and memory of `data_prep.build_corpus`: from text to records with 1 and 2 processes, by size of files.

    python -m benchmarks.build_corpus --text=../shared/data/text/abstracts_60mb.txt.xz \
        --vocab_file=../shared/data/vocab/bert-base-cased-vocab.txt

Runs whole programs and takes off the time that each needs for next to no input (imports, starting processes). First
text (sentences one a line) to records: `create_pretraining_data` on one process, then `build_corpus` on one and on two.
Then PubMed files as of NLM, of 30,000 records each, to records: one file, then ten, with the peak memory of the largest
process. From the two speeds follows what the whole baseline would take on 16 cores, if they all ran as fast as these.

Expected (2 cores, Python 3.11, 15 minutes): 55.2 MB of text in 40.3, 37.9 and 19.1 s; one PubMed file in 28 s, ten in
101 s (2,960 records/s), at most 1,008 MiB a process for one and for ten; the baseline in 0.4 hours.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks.create_pretraining_data import write_sentences
from benchmarks.pubmed_xml import read_abstracts, write_pubmed_xml
from common.errors import run

FLAGS = flags.FLAGS
RECORDS_A_FILE = 30_000  # in NLM's files
BASELINE_RECORDS = 36_500_000  # of 2024, in 1,219 files
CORES = 16
DUPE_FACTOR = 5


def run_program(*arguments):
    """Runs a program of this repository; returns its seconds."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def net_seconds(program, whole, little, *more):
    """Returns the seconds for input `whole` less those for `little`, which is hardly any."""
    seconds = []
    for source in (whole, little):
        with tempfile.TemporaryDirectory() as output:
            seconds.append(run_program(*program(source, output), *more))
    return seconds[0] - seconds[1]


def build_text(source, output):
    return ("data_prep.build_corpus", f"--text_files={source}", "--text_format=sentences", f"--output_dir={output}")


def build_pubmed(source, output):
    return ("data_prep.build_corpus", f"--pubmed_files={source}", f"--output_dir={output}")


def create_records(source, output):
    return ("data_prep.create_pretraining_data", f"--input_file={source}", f"--output_file={output}/records")


def measure_text(directory, record_flags):
    """Prints the speed from text to records."""
    text, little = os.path.join(directory, "text"), os.path.join(directory, "little")
    words = write_sentences(FLAGS.text, FLAGS.abstracts, text)
    write_sentences(FLAGS.text, 20, little)
    megabytes = os.path.getsize(text) / 1e6
    shards = f"--num_shards={max(2, round(megabytes / 2))}"
    print(f"text to records at dupe factor {DUPE_FACTOR}: {megabytes:.1f} MB, {words:,} words, start-up taken off")
    reference = None
    for name, program, processes in (
        ("create_pretraining_data, 1 process", create_records, 1),
        ("build_corpus, 1 process", build_text, 1),
        ("build_corpus, 2 processes", build_text, 2),
    ):
        seconds = net_seconds(program, text, little, *record_flags, shards, f"--num_processes={processes}")
        reference = reference or seconds
        print(f"  {name:36s}{seconds:7.1f} s{megabytes / seconds:7.2f} MB/s   x {reference / seconds:.2f}", flush=True)


def measure_pubmed(directory, record_flags):
    """Prints the speed from PubMed files to records on 2 processes, and the peak memory, by number of files."""
    little = os.path.join(directory, "little.xml.gz")
    write_pubmed_xml(little, read_abstracts(FLAGS.text, 20), seed=0, num_deleted=0)
    print(f"PubMed files of {FLAGS.records:,} records to records at dupe factor {DUPE_FACTOR}, 2 processes")
    for count in (1, 10):
        for number in range(1, count + 1):
            path = os.path.join(directory, f"pubmed24n{number:04d}.xml.gz")
            if not os.path.exists(path):
                abstracts = read_abstracts(FLAGS.text, FLAGS.records)
                write_pubmed_xml(path, abstracts, seed=number, first_pmid=number * FLAGS.records)
        files = os.path.join(directory, "pubmed24n*.xml.gz")
        seconds = net_seconds(build_pubmed, files, little, *record_flags, "--num_processes=2")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # of all processes so far
        speed = count * FLAGS.records / seconds
        print(f"  {count:2d} files{seconds:7.1f} s, {speed:,.0f} records/s; peak memory {peak:.0f} MiB", flush=True)
    hours = BASELINE_RECORDS / speed * 2 / CORES / 3600
    print(f"the baseline, {BASELINE_RECORDS:,} records, at this speed a core on {CORES} cores: {hours:.1f} hours")


def main(_):
    record_flags = (
        f"--vocab_file={FLAGS.vocab_file}",
        f"--do_lower_case={FLAGS.do_lower_case}",
        f"--dupe_factor={DUPE_FACTOR}",
    )
    with tempfile.TemporaryDirectory() as directory:
        measure_text(directory, record_flags)
        measure_pubmed(directory, record_flags)


if __name__ == "__main__":
    flags.DEFINE_string("text", None, "Text, a document a line; may be compressed (.xz).")
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool("do_lower_case", False, "Lower-case and strip accents: true for uncased models.")
    flags.DEFINE_integer("abstracts", 29_000, "Lines of the text to make records of.", lower_bound=100)
    flags.DEFINE_integer("records", RECORDS_A_FILE, "Records a PubMed file.", lower_bound=100)
    flags.mark_flags_as_required(["text", "vocab_file"])
    run(main)
