r"""Builds shards of pre-training records from PubMed, PubMed Central and plain text.

    python -m data_prep.build_corpus --pubmed_files='baseline/*.xml.gz,updatefiles/*.xml.gz' \
        --pmc_files='oa_comm/*.tar.gz' --output_dir=shards --vocab_file=vocab.txt --do_lower_case=False \
        --dupe_factor=5 --num_processes=16

Reads all files (as `data_prep.pubmed`, `data_prep.pmc` and `data_prep.plain_text` do), takes of each document the
newest version and of equal texts one, spreads the documents over shards by a hash of their text, and makes the records
as `data_prep.create_pretraining_data` does. The same command goes on where a run was stopped. The shards depend on the
files and flags, not on the number of processes. `manifest.json` says what is in them:

    python -m data_prep.build_corpus --output_dir=shards --report    # Table 1 of the paper: words a corpus
    python -m data_prep.build_corpus --output_dir=shards --verify    # size and SHA-256 of each shard

With `--runner=FlinkRunner` (or SparkRunner, DataflowRunner, ...) the work is done by Apache Beam on a cluster.
"""

import collections
import contextlib
import dataclasses
import functools
import glob
import hashlib
import json
import logging as std_logging
import os

from absl import flags, logging

from common.errors import InputError, run
from common.files import atomic_write, locked, make_directory, sha256
from common.inputs import expand_patterns, read_json
from common.parallel import map_processes
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


def build(sources, settings, output_dir, num_shards, num_processes):
    """Builds shards and manifest in processes of this machine.

    Args:
      sources: `sources.Sources`.
      settings: `pretraining_records.Settings`.
      output_dir: directory to write; what is unfinished is below `work` in it.
      num_shards: 0 for as many as make files of a handy size.
      num_processes: how many work at a time.

    Returns:
      The manifest.

    Raises:
      InputError: bad files, unless they are to be skipped; unfit text, vocabulary or output directory.
    """
    work = os.path.join(output_dir, manifest.WORK)
    make_directory(output_dir)
    with locked(work):
        extracted = extraction.extract(sources, work, num_processes)
        paths = extraction.run_paths(extracted, work)
        replaced, withdrawn, size = external_sort.select_newest(paths)
        if not size:
            raise InputError(f"no text in any of {len(extracted.inputs):,} files or directories; nothing to build")
        num_shards = num_shards or shards.choose_num_shards(size, settings.options.dupe_factor)
        shards.warn_of_size(size, num_shards, settings.options.dupe_factor)
        results = _make_shards(extracted, paths, size, sources, settings, num_shards, num_processes, output_dir)
        content = describe(sources, settings, extracted, replaced, withdrawn, results)
        _remove_shards_of_another_number(work, output_dir, content)
        manifest.write(output_dir, content)
        extraction.remove_work(work)
    return content


def _make_shards(extracted, paths, size, sources, settings, num_shards, num_processes, output_dir):
    """Makes the shards that were not made before; returns what the manifest says of each."""
    made_from = {
        "flags": describe_flags(sources, settings),
        "versions": all_versions(sources),
        "inputs": extracted.inputs,
        "bad_files": extracted.bad_files,
    }
    made_from = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
    make = functools.partial(
        _make_some_shards,
        num_shards=num_shards,
        paths=paths,
        settings=settings,
        made_from=made_from,
        output_dir=output_dir,
    )
    # To find the documents of a shard takes a look into each run, so it is done for several at a time where there are
    # many; where there are few, all processes should end at about the same time.
    together = max(1, min(num_shards // (8 * num_processes), TEXT_AT_A_TIME * num_shards // size))
    ranges = [(first, min(first + together, num_shards)) for first in range(0, num_shards, together)]
    results = [None] * num_shards
    with progress("making shards", total=num_shards, unit="shard") as bar:
        for (first, end), some in map_processes(make, ranges, num_processes):
            results[first:end] = some
            bar.update(end - first)
    return results


def _make_some_shards(numbers, num_shards, paths, settings, made_from, output_dir):
    """Makes the shards from one number up to another; returns the numbers and what the manifest says of each."""
    results, documents = [], None
    for shard in range(*numbers):
        name = shards.shard_name(shard, num_shards)
        path, done = os.path.join(output_dir, name), os.path.join(output_dir, manifest.WORK, f"{name}.json")
        result = _finished_shard(path, done, made_from)
        if result is None:
            if documents is None:
                documents = collections.defaultdict(list)
                for document in external_sort.read_shards(paths, *numbers, num_shards):
                    documents[shard_of(document[0], num_shards)].append(document)
            unfinished = os.path.join(output_dir, manifest.WORK, name)
            result = {"name": name, **shards.write_shard(shard, documents.pop(shard, []), settings, unfinished)}
            os.replace(unfinished, path)
            with atomic_write(done) as file:
                json.dump([result, made_from], file)
        results.append(result)
    return numbers, results


def _finished_shard(path, done, made_from):
    """Returns what the manifest says of a shard if it was made of the same before, else None."""
    if not (os.path.exists(done) and os.path.exists(path)):
        return None
    result, was_made_from = read_json(done, "what the manifest says of a shard", lone_surrogates=True)
    return result if was_made_from == made_from and result["size"] == os.path.getsize(path) else None


def _remove_shards_of_another_number(work, output_dir, content):
    """Removes what a stopped run with another `--num_shards` had finished."""
    names = {shard["name"] for shard in content["shards"]}
    for path in glob.glob(os.path.join(glob.escape(work), "*.tfrecord.json")):
        name = os.path.basename(path).removesuffix(".json")
        if name not in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(output_dir, name))


# The manifest


def describe(sources, settings, extracted, replaced, withdrawn, results):
    """Returns the manifest.

    Args:
      sources, settings: as of `build`.
      extracted: `extraction.Extracted`.
      replaced, withdrawn: as of `external_sort.select_newest`.
      results: what `shards.write_shard` says of each shard, and its name.
    """
    records = sum(result["records"] for result in results)
    positions = records * settings.options.max_seq_length
    return {
        "made_with": all_versions(sources),
        "flags": describe_flags(sources, settings),
        "inputs": extracted.inputs,
        "left_out": extraction.count_left_out(extracted, replaced, withdrawn),
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


def all_versions(sources):
    """Returns the versions of what the shards depend on."""
    return extraction.versions(sources.reading, "tensorflow", "tensorflow-text")


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
    flags.DEFINE_string("runner", "local", "local: --num_processes of this machine; else a runner of Apache Beam.")
    flags.DEFINE_string("beam_options", "", "Options of the Beam runner, as on a command line.")
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
    if values.beam_options and values.runner == "local":
        raise InputError(f"--beam_options={values.beam_options}: means nothing without --runner")
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
    if finished is None and values.runner == "local":
        return build(sources, settings, values.output_dir, values.num_shards, values.num_processes)
    if finished is None:
        return build_by_beam(sources, settings, values)
    if not _is_same(finished, sources, settings, values.num_shards):
        raise InputError(
            f"{values.output_dir}: holds shards that were finished with other files or flags; expected another "
            "--output_dir"
        )
    manifest.check_shards([os.path.join(values.output_dir, shard["name"]) for shard in finished["shards"]])
    extraction.remove_work(os.path.join(values.output_dir, manifest.WORK))  # if the build was killed after its end
    logging.info("%s was finished before; --verify compares its shards with the manifest", values.output_dir)
    return finished


def _is_same(finished, sources, settings, num_shards):
    """Whether a manifest is of these files, by path and size, and flags."""
    inputs = extraction.Inputs()
    for unit in list_units(sources):
        for path in unit.paths if not unit.part else ():
            inputs.add(unit, path, file_size(path), "")

    def without_hashes(entries):
        return [{name: value for name, value in entry.items() if name != "sha256"} for entry in entries]

    return (
        finished["flags"] == describe_flags(sources, settings)
        and without_hashes(finished["inputs"]) == without_hashes(inputs.describe())
        and num_shards in (0, len(finished["shards"]))
    )


def build_by_beam(sources, settings, values):
    """Builds shards and manifest by a runner of Beam; returns the manifest."""
    std_logging.disable(std_logging.WARNING)  # of clouds that are not installed
    try:
        from data_prep.corpus import beam_pipeline
    except ModuleNotFoundError:
        raise InputError(f"--runner={values.runner} needs Apache Beam; expected pip install -e '.[beam]'") from None
    finally:
        std_logging.disable(std_logging.NOTSET)
    std_logging.getLogger("apache_beam").setLevel(std_logging.WARNING)
    # What fails in a worker is raised here too.
    std_logging.getLogger("apache_beam.runners.common").setLevel(std_logging.CRITICAL)

    write = functools.partial(_write_manifest, sources, settings, values.output_dir)
    beam_pipeline.build(
        sources, settings, values.num_shards, values.output_dir, write, values.runner, values.beam_options
    )
    return manifest.read(values.output_dir)


def _write_manifest(sources, settings, output_dir, *results):
    manifest.write(output_dir, describe(sources, settings, *results))


def _expand(patterns, list_files=None):
    """Returns the files that a flag names, each once."""
    return dict.fromkeys(expand_patterns(patterns, list_files)) if patterns else ()


if __name__ == "__main__":
    define_flags()
    run(main)
