r"""Builds shards of pre-training records from PubMed, PubMed Central and plain text.

    python -m data_prep.build_corpus --pubmed_files='baseline/*.xml.gz,updatefiles/*.xml.gz' \
        --pmc_files='oa_comm/*.tar.gz' --output_dir=shards --vocab_file=vocab.txt --do_lower_case=False \
        --dupe_factor=5 --num_processes=16

Reads all files (as `data_prep.pubmed`, `data_prep.pmc` and `data_prep.plain_text` do), takes of each document the
newest version and of equal texts one, spreads the documents over shards by a hash of their text, and makes the records
as `data_prep.create_pretraining_data` does. The same command goes on where a run was stopped. The shards depend on the
files and flags, not on the number of processes. With more files (`updatefiles` grows every day) it reads these alone
and makes of each shard what has changed. `manifest.json` says what is in the shards:

    python -m data_prep.build_corpus --output_dir=shards --report    # Table 1 of the paper: words a corpus
    python -m data_prep.build_corpus --output_dir=shards --verify    # size and SHA-256 of each shard

With `--scheduler` the workers of a Dask cluster do the work; under Slurm `scripts/build_corpus.slurm` starts one.
"""

import collections
import contextlib
import dataclasses
import functools
import glob
import json
import os

from absl import flags, logging

from common.errors import InputError, run
from common.files import locked, make_directory, sha256
from common.inputs import expand_patterns
from common.parallel import Processes
from common.progress import progress
from data_prep import create_pretraining_data
from data_prep.corpus import external_sort, extraction, manifest, shards, text_documents
from data_prep.corpus.pretraining_records import warn_of_single_lines
from data_prep.corpus.sources import Reading, Sources, define_source_flags, file_size, list_units, reading_options
from data_prep.corpus.versions import shard_of
from data_prep.formats import pmc_articles, pubmed_xml
from data_prep.text.tokenization import load_vocab

FLAGS = flags.FLAGS

TEXT_AT_A_TIME = 64 << 20  # bytes of text that a process reads for some shards


def build(sources, settings, output_dir, num_shards=0, workers=None, keep_documents=True):
    """Builds shards and manifest, or brings those that are there up to date with the sources.

    Args:
      sources: `sources.Sources`.
      settings: `pretraining_records.Settings`.
      output_dir: directory to write; the documents of the files are below `documents` in it.
      num_shards: 0 for as many as make files of a handy size.
      workers: `parallel.Processes` or `cluster.Cluster`; None for this process.
      keep_documents: whether to leave the documents there, for a later build of more files.

    Returns:
      The manifest.

    Raises:
      InputError: bad files, unless they are to be skipped; unfit text, vocabulary or output directory. What was there
      before stays until all files are read.
    """
    workers = workers or Processes(1)
    directory = os.path.join(output_dir, manifest.DOCUMENTS)
    make_directory(output_dir)
    with locked(directory):
        extracted = extraction.extract(sources, directory, workers)
        selected = external_sort.select_newest(extracted.runs)
        if not selected.documents:
            raise InputError(f"no text in any of {len(extracted.inputs):,} files or directories; nothing to build")
        dupe_factor = settings.options.dupe_factor
        layout = shards.choose_layout(selected.documents, selected.size, dupe_factor, num_shards)
        shards.warn_of_size(selected.size, layout.num_shards, dupe_factor)
        before = manifest.set_aside(output_dir)
        results = _make_shards(extracted, layout, selected.size, sources, settings, workers, output_dir)
        content = describe(sources, settings, num_shards, extracted, selected, results)
        _remove_shards_of_another_number(directory, output_dir, content)
        extraction.remove_documents_of_others(sources, directory)
        manifest.write(output_dir, manifest.add_history(content, before))
        if not keep_documents:
            extraction.remove_documents(directory)
    return manifest.read(output_dir)


def _make_shards(extracted, layout, size, sources, settings, workers, output_dir):
    """Makes the shards that have changed since they were made; returns what the manifest says of each."""
    directory = os.path.join(output_dir, manifest.DOCUMENTS)
    made_from = json.dumps([describe_flags(sources, settings), all_versions(sources.reading)])
    make = functools.partial(
        _make_some_shards,
        layout=layout,
        runs=external_sort.write_list(extracted.runs, directory),
        settings=settings,
        made_from=made_from,
        directory=directory,
        output_dir=output_dir,
    )
    # To find the documents of a shard takes a look into each run, so it is done for several at a time where there are
    # many; where there are few, all workers should end at about the same time.
    num_shards = layout.num_shards
    together = max(1, min(num_shards // (8 * workers.number), TEXT_AT_A_TIME * num_shards // size))
    ranges = [(first, min(first + together, num_shards)) for first in range(0, num_shards, together)]
    results = [None] * num_shards
    with progress("making shards", total=num_shards, unit="shard") as bar:
        for (first, end), some in workers.map(make, ranges):
            results[first:end] = some
            bar.update(end - first)
    return results


def _make_some_shards(numbers, layout, runs, settings, made_from, directory, output_dir):
    """Makes the shards from one number up to another; returns the numbers and what the manifest says of each."""
    by_shard = collections.defaultdict(list)
    for document in external_sort.find_documents(external_sort.read_list(runs), *numbers, layout.num_shards):
        by_shard[shard_of(document.digest, layout.num_shards)].append(document)
    return numbers, [
        shards.make_shard(shard, layout, by_shard.pop(shard, []), settings, made_from, directory, output_dir)
        for shard in range(*numbers)
    ]


def _remove_shards_of_another_number(directory, output_dir, content):
    """Removes what was made with another `--num_shards`."""
    names = {shard["name"] for shard in content["shards"]}
    for path in glob.glob(os.path.join(glob.escape(directory), "*.tfrecord.json")):
        name = os.path.basename(path).removesuffix(".json")
        if name not in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(output_dir, name))
            os.unlink(path)


# The manifest


def describe(sources, settings, num_shards, extracted, selected, results):
    """Returns the manifest, but its history.

    Args:
      sources, settings, num_shards: as of `build`.
      extracted: `extraction.Extracted`.
      selected: `external_sort.Selected`.
      results: what `shards.make_shard` says of each shard.
    """
    records = sum(result["records"] for result in results)
    positions = records * settings.options.max_seq_length
    return {
        "made_with": all_versions(sources.reading),
        "flags": describe_flags(sources, settings),
        "num_shards": num_shards,
        "inputs": extracted.inputs,
        "left_out": extraction.count_left_out(extracted, selected),
        "bad_files": extracted.bad_files,
        "duplicates": sum(result["duplicates"] for result in results),
        "corpora": _add_up(result["corpora"] for result in results),
        **{name: sum(result[name] for result in results) for name in ("wordpieces", "long_lines", "cut_pieces")},
        "records": records,
        "fill_rate": round(sum(result["record_pieces"] for result in results) / positions, 4) if records else 0.0,
        "shards": [{name: result[name] for name in ("name", "size", "sha256", "records")} for result in results],
    }


def describe_flags(sources, settings):
    """Returns all that the shards depend on but the files, as in JSON."""
    records = {**dataclasses.asdict(settings), "vocab_sha256": sha256(settings.vocab_file)}
    return json.loads(json.dumps({"reading": dataclasses.asdict(sources.reading), "records": records}))


def all_versions(reading):
    """Returns the versions of what the shards depend on."""
    return extraction.versions(reading, "tensorflow", "tensorflow-text")


def _add_up(counts_by_corpus):
    totals = {}
    for corpora in counts_by_corpus:
        for corpus, counts in corpora.items():
            total = totals.setdefault(corpus, dict.fromkeys(counts, 0))
            for name, count in counts.items():
                total[name] += count
    return {corpus: totals[corpus] for corpus in sorted(totals)}


# The program


def summarize(content):
    """Returns what to tell of a finished build, as text."""
    total = {name: sum(counts[name] for counts in content["corpora"].values()) for name in ("documents", "words")}
    left_out = {**content["left_out"], "equal texts": content["duplicates"]}
    parts = ", ".join(f"{why} ({count:,})" for why, count in left_out.items() if count)
    return (
        f"{total['documents']:,} documents, {total['words']:,} words, {content['wordpieces']:,} wordpieces: "
        f"{content['records']:,} records in {len(content['shards']):,} shards, {content['fill_rate']:.1%} of their "
        f"positions filled; left out: {parts or 'nothing'}"
    )


def define_flags():
    files = "paths or patterns, separated by commas"
    flags.DEFINE_string("pubmed_files", "", f"PubMed XML files, in the order of their making: {files}.")
    flags.DEFINE_string("pmc_files", "", f"PMC articles, archives or directories of them: {files}.")
    flags.DEFINE_string("text_files", "", f"Plain text files: {files}.")
    flags.DEFINE_string("output_dir", None, "Directory for the shards.")
    flags.DEFINE_integer("num_shards", 0, "Shards to make; 0: of some 100 MB each.", lower_bound=0)
    flags.DEFINE_string(
        "scheduler", "", "Address or file of a Dask scheduler, whose workers do the work; else --num_processes do."
    )
    flags.DEFINE_bool(
        "keep_documents", True, "Keep the documents in --output_dir/documents, so that more files can be added."
    )
    flags.DEFINE_bool("verify", False, "Compare the shards of --output_dir with its manifest.")
    flags.DEFINE_bool("report", False, "Print Table 1 of the paper with the words in --output_dir.")
    define_source_flags()
    pubmed_xml.define_reader_flags()
    pmc_articles.define_reader_flags()
    text_documents.define_reader_flags()
    create_pretraining_data.define_record_flags()
    # Lines are the original's to cut; here they come from a sentence splitter.
    flags.FLAGS.set_default("split_long_lines", True)
    flags.mark_flag_as_required("output_dir")


def main(_):
    if FLAGS.pubmed_files or FLAGS.pmc_files or FLAGS.text_files:
        content = build_as_told(FLAGS)
        if not FLAGS.split_long_lines:
            documents, sentences = (
                sum(counts[name] for counts in content["corpora"].values()) for name in ("documents", "sentences")
            )
            warn_of_single_lines(documents, sentences)
        print(summarize(content))
    elif not (FLAGS.verify or FLAGS.report):
        raise InputError("nothing to do: expected --pubmed_files, --pmc_files or --text_files, or --verify or --report")
    if FLAGS.verify:
        count = manifest.verify(FLAGS.output_dir, FLAGS.num_processes)
        print(f"{FLAGS.output_dir}: all {count:,} shards are as they were made")
    if FLAGS.report:
        print(manifest.report(manifest.read(FLAGS.output_dir)))


def build_as_told(values):
    """Builds the corpus of the flags, unless it is there; returns the manifest."""
    sources = Sources(
        pubmed_files=tuple(pubmed_xml.file_order(_expand(values.pubmed_files))),
        pmc_files=tuple(_expand(values.pmc_files, pmc_articles.list_files)),
        text_files=tuple(_expand(values.text_files)),
        reading=Reading(
            pubmed_xml.reader_options(values),
            pmc_articles.reader_options(values),
            text_documents.reader_options(values),
            **reading_options(values),
        ),
    )
    if not values.vocab_file:
        raise InputError("--vocab_file: expected the vocab.txt of the model")
    load_vocab(values.vocab_file)  # hours before it is needed
    settings = create_pretraining_data.record_settings(values)
    make_directory(values.output_dir)
    finished = manifest.find(values.output_dir)
    if finished is None and os.path.exists(os.path.join(values.output_dir, manifest.NAME)):
        raise InputError(
            f"{values.output_dir}: holds a {manifest.NAME} of something else; expected another --output_dir"
        )
    documents = os.path.join(values.output_dir, manifest.DOCUMENTS)
    num_shards = values.num_shards
    if finished is not None:
        told = finished.get("num_shards", len(finished["shards"]))  # manifests of version 0.1 lack it
        num_shards = num_shards or told
        if finished["flags"] != describe_flags(sources, settings) or num_shards != told:
            raise InputError(
                f"{values.output_dir}: holds shards that were finished with other flags; expected another --output_dir"
            )
        if _has_same_files(finished, sources):
            manifest.check_shards([os.path.join(values.output_dir, shard["name"]) for shard in finished["shards"]])
            if not values.keep_documents:
                extraction.remove_documents(documents)
            logging.info("%s was finished before; --verify compares its shards with the manifest", values.output_dir)
            return finished
        if not os.path.exists(os.path.join(documents, manifest.READING)):
            raise InputError(
                f"{values.output_dir}: holds shards of other files, and not the documents that they were made of "
                "(--keep_documents); expected another --output_dir"
            )
        logging.info("%s holds shards of other files; bringing them up to date", values.output_dir)
    with _workers(values, sources.reading) as workers:
        return build(sources, settings, values.output_dir, num_shards, workers, values.keep_documents)


@contextlib.contextmanager
def _workers(values, reading):
    """Gives the workers that the flags name."""
    if not values.scheduler:
        yield Processes(values.num_processes)
        return
    try:
        from data_prep.corpus import cluster
    except ModuleNotFoundError:
        raise InputError(f"--scheduler={values.scheduler} needs Dask; expected pip install -e '.[cluster]'") from None
    with cluster.connect(values.scheduler) as workers:
        workers.check(values.output_dir, functools.partial(all_versions, reading))
        yield workers


def _has_same_files(finished, sources):
    """Whether a manifest is of these files, by path and size."""
    inputs = extraction.Inputs()
    for unit in list_units(sources):
        for path in unit.paths if not unit.part else ():
            inputs.add(unit, path, file_size(path), "")

    def without_hashes(entries):
        return [{name: value for name, value in entry.items() if name != "sha256"} for entry in entries]

    return without_hashes(finished["inputs"]) == without_hashes(inputs.describe())


def _expand(patterns, list_files=None):
    """Returns the files that a flag names, each once."""
    return dict.fromkeys(expand_patterns(patterns, list_files)) if patterns else ()


if __name__ == "__main__":
    define_flags()
    run(main)
