r"""A million PubMed records from files as NLM's to shards: killed on the way, unbroken, and brought up to date.

    python -m benchmarks.baseline --text=../shared/data/text/abstracts_60mb.txt.xz \
        --vocab_file=../shared/data/vocab/bert-base-cased-vocab.txt --output_dir=million

Makes 34 files of 30,000 records in `--output_dir` (the same each time; an abstract is mixed of three of the text's),
with records without abstract, equal texts, later versions of records of the file before, and deletions. Builds shards
of them in a run that is killed twice, and in one that is not, and compares these and the numbers of documents. Then
makes an update file of 1 % as many records, half of them new, the others with new text (30 %) or the same (20 %), and 1
in 500 deleted, and brings the shards up to date; compares them with those of a build from scratch.

Files that are there are not written again. With `--files=4` it takes ten minutes on 2 cores, and a minute a file before
that; docs/performance.md has the figures.
"""

import contextlib
import glob
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

from absl import flags

from benchmarks.build_corpus import BASELINE_RECORDS
from benchmarks.pubmed_xml import HEAD, E, format_element, make_record, read_abstracts
from common.errors import run
from common.files import atomic_write, make_directory
from common.parallel import map_processes
from common.progress import progress
from data_prep.corpus.pretraining_records import shard_generator

FLAGS = flags.FLAGS
WITHOUT_ABSTRACT = 0.3
REVISED = 0.01  # of a file's records: later versions of those of the file before
DELETED = 0.003
EQUAL = 0.002
KILLED_AT = (0.3, 0.6)  # of the files read; of the shards made


def main(_):
    files = os.path.join(FLAGS.output_dir, "baseline")
    update = os.path.join(files, f"pubmed26n{FLAGS.files + 1:04d}.xml.gz")
    for name in ("unbroken", "killed", "scratch"):  # of a run before
        shutil.rmtree(os.path.join(FLAGS.output_dir, name), ignore_errors=True)
    make_directory(files)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(update)
    expected = write_baseline(files)
    pattern = os.path.join(files, "*.xml.gz")
    print(f"{expected['records']:,} records in {FLAGS.files} files, {megabytes(files):,.0f} MB", flush=True)

    seconds, content = build("unbroken", pattern)
    documents = os.path.join(FLAGS.output_dir, "unbroken", "documents")
    read = max(os.path.getmtime(path) for path in glob.glob(f"{documents}/unit-*.json"))
    compared = os.path.getmtime(f"{documents}/runs.json")
    end = os.path.getmtime(os.path.join(FLAGS.output_dir, "unbroken", "manifest.json"))
    start = end - seconds
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"unbroken: {seconds:.0f} s, {expected['records'] / seconds:,.0f} records/s: reading {read - start:.0f} s, "
        f"comparing versions {compared - read:.0f} s, making shards {end - compared:.0f} s; the largest process "
        f"{peak:,.0f} MiB; disk: documents {megabytes(documents):,.0f} MB, {len(content['shards'])} shards "
        f"{sum(shard['size'] for shard in content['shards']) / 1e6:,.0f} MB"
    )
    check_counts(content, expected)
    hours = BASELINE_RECORDS / expected["records"] * seconds * FLAGS.num_processes / 3600
    print(f"the baseline, {BASELINE_RECORDS:,} records: {hours:.1f} hours of a core")

    killed = build_killed(pattern)
    same("killed twice and gone on with", killed, content)
    shutil.rmtree(os.path.join(FLAGS.output_dir, "killed"))

    write_update(update)
    update_seconds, updated = build("unbroken", pattern)
    print(
        f"update: {update_seconds:.0f} s, {update_seconds / seconds:.1%} of a full build; "
        f"{updated['history'][-1]['shards_changed']} of {len(updated['shards'])} shards changed"
    )
    same("brought up to date", updated, build("scratch", pattern)[1])


def build(name, pattern):
    """Runs data_prep.build_corpus; returns its seconds and the manifest."""
    start = time.perf_counter()
    process = start_build(name, pattern)
    _, err = process.communicate()
    if process.returncode:
        sys.exit(err)
    seconds = time.perf_counter() - start
    with open(os.path.join(FLAGS.output_dir, name, "manifest.json"), encoding="utf-8") as file:
        return seconds, json.load(file)


def start_build(name, pattern):
    command = [
        *(sys.executable, "-m", "data_prep.build_corpus", f"--pubmed_files={pattern}"),
        *(f"--output_dir={os.path.join(FLAGS.output_dir, name)}", f"--vocab_file={FLAGS.vocab_file}"),
        *("--do_lower_case=false", "--dupe_factor=5", f"--num_processes={FLAGS.num_processes}"),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def build_killed(pattern):
    """Kills a build while it reads and while it makes shards; returns the manifest of the third."""
    directory = os.path.join(FLAGS.output_dir, "killed")
    for done, share in zip(("documents/unit-*.json", "documents/*.tfrecord.json"), KILLED_AT, strict=True):
        process = start_build("killed", pattern)
        while process.poll() is None:
            count = len(glob.glob(os.path.join(directory, done)))
            shards = glob.glob(os.path.join(FLAGS.output_dir, "unbroken", "*.tfrecord"))
            if count >= share * (FLAGS.files if "unit" in done else len(shards)):
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.1)
        process.communicate()
        print(f"killed at {count} of {done}", flush=True)
        time.sleep(3)  # its processes end by themselves
    return build("killed", pattern)[1]


def same(what, content, other):
    """Prints whether the shards of two manifests are the same."""
    print(f"{what}: the shards are {'the same' if content['shards'] == other['shards'] else 'OTHERS'}", flush=True)


def check_counts(content, expected):
    """Prints what became of the records, beside what must have."""
    found = {**content["left_out"], "equal texts": content["duplicates"]}
    found["documents"] = content["corpora"]["pubmed"]["documents"]
    for name, count in found.items():
        print(f"  {name:30s}{count:10,}, expected {expected[name]:10,}")
    print(f"  {'all':30s}{sum(found.values()):10,}, expected {expected['records']:10,}", flush=True)


def megabytes(directory):
    return sum(entry.stat().st_size for entry in os.scandir(directory) if entry.is_file()) / 1e6


# The files


def write_baseline(directory):
    """Writes the files that are not there; returns what must become of their records."""
    without = 0
    with progress("writing files", total=FLAGS.files, unit="file") as bar:
        numbers = [(number, directory, FLAGS.text, FLAGS.records) for number in range(1, FLAGS.files + 1)]
        for count in map_processes(write_file, numbers, FLAGS.num_processes):
            without += count
            bar.update()
    later, records = FLAGS.files - 1, FLAGS.files * FLAGS.records
    expected = {
        "records": records,
        "without abstract": without,
        "replaced by a newer version": later * int(REVISED * FLAGS.records),
        "withdrawn": later * int(DELETED * FLAGS.records),
        "equal texts": FLAGS.files * int(EQUAL * FLAGS.records),
    }
    return {**expected, "documents": 2 * records - sum(expected.values())}


def write_file(task):
    """Writes a file of the baseline; returns how many records have no abstract.

    Of each file the first records are revised, those behind them deleted by the next file; then some come in pairs of
    the same text.
    """
    number, directory, text, records = task
    path = os.path.join(directory, f"pubmed26n{number:04d}.xml.gz")
    if os.path.exists(path):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return sum(line.count("<PubmedArticle>") - line.count("<Abstract>") for line in file)
    abstracts = list(read_abstracts(text, 29_000))
    revised, deleted, equal = (int(share * records) for share in (REVISED, DELETED, EQUAL))
    first = number * records
    made, without = [], 0
    for i in range(records):
        rng = shard_generator(number, i)
        pmid, may_lack = first + i, WITHOUT_ABSTRACT
        if number > 1 and i >= records - revised:
            pmid = first - records + i - (records - revised)
        if i < revised + deleted + 2 * equal:
            may_lack = 0
        if revised + deleted <= i < revised + deleted + 2 * equal:
            rng = shard_generator(number, f"pair {(i - revised - deleted) // 2}")
        if number > 1 and i >= records - revised:
            may_lack = 0
        record = format_element(make_record(str(pmid), mix(abstracts, rng), rng, may_lack))
        without += "<Abstract>" not in record
        made.append(record)
    gone = range(first - records + revised, first - records + revised + deleted) if number > 1 else ()
    write_records(path, made, gone)
    return without


def write_update(path):
    """Writes an update file of 1 % of all records."""
    abstracts = list(read_abstracts(FLAGS.text, 29_000))
    count = FLAGS.files * FLAGS.records // 100
    made = []
    for i in range(count):
        rng = shard_generator("update", i)
        if i < count // 2:
            pmid = 10**8 + i
        else:
            # Records in the middle of the files, which are not revised or deleted otherwise.
            number, place = 1 + i % FLAGS.files, FLAGS.records // 2 + i // FLAGS.files
            pmid = number * FLAGS.records + place
            if i >= count * 8 // 10:
                rng = shard_generator(number, place)
        made.append(format_element(make_record(str(pmid), mix(abstracts, rng), rng, WITHOUT_ABSTRACT)))
    gone = [FLAGS.records + FLAGS.records // 4 + i for i in range(count // 500)]
    write_records(path, made, gone)


def write_records(path, records, deleted):
    with atomic_write(path, "wb") as output, gzip.open(output, "wt", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        file.writelines(records)
        if deleted:
            file.write(format_element(E.DeleteCitation(*(E.PMID(str(pmid), Version="1") for pmid in deleted))))
        file.write("</PubmedArticleSet>\n")


def mix(abstracts, rng):
    """Returns the first third of an abstract's sentences, the second of another's and the last of a third one's."""
    parts = [rng.choice(abstracts).split(". ") for _ in range(3)]
    thirds = [part[len(part) * i // 3 : len(part) * (i + 1) // 3] for i, part in enumerate(parts)]
    return ". ".join(sentence for third in thirds for sentence in third)


if __name__ == "__main__":
    flags.DEFINE_string("text", None, "Abstracts, one a line; may be compressed (.xz).")
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_string("output_dir", None, "Where files and shards are written.")
    flags.DEFINE_integer("files", 34, "Files of the baseline.", lower_bound=2)
    flags.DEFINE_integer("records", 30_000, "Records a file.", lower_bound=1000)
    flags.DEFINE_integer("num_processes", 2, "Processes that work at a time.", lower_bound=1)
    flags.mark_flags_as_required(["text", "vocab_file", "output_dir"])
    run(main)
