"""Builds shards of pre-training records from PubMed, PubMed Central and plain text.

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
import importlib.metadata
import json
import logging as std_logging
import os
import platform
import shutil
import unicodedata

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags, logging

from common.errors import InputError, run
from common.files import atomic_write, expand_patterns, make_directory, read_json, sha256
from common.parallel import map_processes
from common.progress import progress
from data_prep import create_pretraining_data, extraction, manifest, pmc_articles, pubmed_xml, shards, text_documents
from data_prep.sources import PMC, Sources, define_source_flags, list_units, source_options
from data_prep.tokenization import load_vocab

FLAGS = flags.FLAGS


def build(sources, settings, output_dir, num_shards, num_processes):
    """Builds shards and manifest in processes of this machine.

    Args:
      sources: `sources.Sources`.
      settings: `create_pretraining_data.Settings`.
      output_dir: directory to write; what is unfinished is below `work` in it.
      num_shards: 0 for as many as make files of a handy size.
      num_processes: how many work at a time.

    Returns:
      The manifest.

    Raises:
      InputError: bad files, unless they are to be skipped; unfit text, vocabulary or output directory.
    """
    work = os.path.join(output_dir, "work")
    summaries = extraction.extract(sources, work, num_processes)
    paths = extraction.run_paths(summaries, work)
    replaced, withdrawn, size = extraction.select_newest(paths)
    if not size:
        raise InputError(
            f"{output_dir}: no text in any of {extraction.count_files(summaries):,} files; nothing to build"
        )
    num_shards = num_shards or shards.choose_num_shards(size, settings.options.dupe_factor)
    flag_values = describe_flags(sources, settings)
    make = functools.partial(
        _make_shard,
        num_shards=num_shards,
        paths=paths,
        settings=settings,
        flag_values=flag_values,
        work=work,
        output_dir=output_dir,
    )
    results = [None] * num_shards
    with progress("making shards", total=num_shards, unit="shard") as bar:
        for number, result in map_processes(make, range(num_shards), num_processes):
            results[number] = result
            bar.update()
    content = describe(sources, settings, summaries, replaced, withdrawn, results)
    _remove_shards_of_another_number(work, output_dir, content)
    manifest.write(output_dir, content)
    shutil.rmtree(work)
    return content


def _remove_shards_of_another_number(work, output_dir, content):
    """Removes what a stopped run with another `--num_shards` had finished."""
    names = {shard["name"] for shard in content["shards"]}
    for path in glob.glob(os.path.join(glob.escape(work), "*.tfrecord.json")):
        name = os.path.basename(path).removesuffix(".json")
        if name not in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(output_dir, name))


def _make_shard(shard, num_shards, paths, settings, flag_values, work, output_dir):
    """Makes a shard unless it was made with the same flags before; returns its number and what is said of it."""
    name = shards.shard_name(shard, num_shards)
    done = os.path.join(work, f"{name}.json")
    path = os.path.join(output_dir, name)
    if os.path.exists(done) and os.path.exists(path):
        result, made_with = read_json(done, "what the manifest says of a shard")
        if result["size"] == os.path.getsize(path) and made_with == flag_values:
            return shard, result
    documents = extraction.read_shard(paths, shard, num_shards)
    unfinished = os.path.join(work, name)
    result = {"name": name, **shards.write_shard(shard, documents, settings, unfinished)}
    os.replace(unfinished, path)
    with atomic_write(done) as file:
        json.dump([result, flag_values], file)
    return shard, result


def describe(sources, settings, summaries, replaced, withdrawn, results):
    """Returns the manifest.

    Args:
      sources, settings: as of `build`.
      summaries: list of `extraction.Summary`.
      replaced, withdrawn: as of `extraction.select_newest`.
      results: what `shards.write_shard` says of each shard, and its name.
    """
    records = sum(result["records"] for result in results)
    positions = records * settings.options.max_seq_length
    return {
        "made_with": versions(sources.sentence_splitter),
        "flags": describe_flags(sources, settings),
        "inputs": describe_inputs(
            list_units(sources), [zip(summary.files, summary.sha256, strict=False) for summary in summaries]
        ),
        "left_out": extraction.count_left_out(summaries, replaced, withdrawn),
        "bad_files": extraction.bad_files(summaries),
        "duplicates": sum(result["duplicates"] for result in results),
        "corpora": _add_up(result["corpora"] for result in results),
        **{name: sum(result[name] for result in results) for name in ("wordpieces", "long_lines", "cut_pieces")},
        "records": records,
        "fill_rate": round(sum(result["record_pieces"] for result in results) / positions, 4) if records else 0.0,
        "shards": [{name: result[name] for name in ("name", "size", "sha256", "records")} for result in results],
    }


def describe_flags(sources, settings):
    """Returns all that the shards depend on but the files, by the names of the flags."""
    values = dataclasses.asdict(settings)
    values |= values.pop("options")
    for options in (sources.pubmed_options, sources.pmc_options, sources.text_options):
        values |= dataclasses.asdict(options)
    values["languages"] = list(values["languages"])  # as in JSON
    return {
        **values,
        "vocab_sha256": sha256(settings.vocab_file),
        "sentence_splitter": sources.sentence_splitter,
        "bad_files": "skip" if sources.skip_bad_files else "error",
    }


def versions(splitter):
    """Returns the versions of what the shards depend on."""
    packages = ["biobert-tf2", "lxml", "tensorflow", "tensorflow-text"] + ([splitter] if splitter != "none" else [])
    installed = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), "unicode": unicodedata.unidata_version, **installed}


def describe_inputs(units, files):
    """Returns path, size and SHA-256 of each file; of articles that are files of their own, of each directory.

    The SHA-256 of a directory is that of the lines `<SHA-256>  <name>` of its files, by name.

    Args:
      units: list of Unit.
      files: of each unit, an iterable of `((path, size, ...), sha256)`; empty for all but the first part of a file.
    """
    inputs, articles = [], collections.defaultdict(list)
    for unit, unit_files in zip(units, files, strict=True):
        are_articles = unit.corpus == PMC and not pmc_articles.is_archive(unit.paths[0])
        for (path, size, *_), digest in unit_files:
            if are_articles:
                articles[os.path.dirname(path)].append((digest, os.path.basename(path), size))
            else:
                inputs.append({"path": path, "size": size, "sha256": digest})
    for directory, files in articles.items():
        lines = "".join(f"{digest}  {name}\n" for digest, name, _ in sorted(files, key=lambda file: file[1]))
        digest = hashlib.sha256(lines.encode()).hexdigest()
        size = sum(size for _, _, size in files)
        inputs.append({"path": directory, "files": len(files), "size": size, "sha256": digest})
    return inputs


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
        f"{total['documents']:,} documents, {total['words']:,} words, {content['wordpieces']:,} pieces: wrote "
        f"{content['records']:,} records to {len(content['shards']):,} shards, {content['fill_rate']:.1%} of their "
        f"positions filled; left out: {parts or 'nothing'}"
    )


def define_flags():
    files = "paths or patterns, separated by commas"
    flags.DEFINE_string("pubmed_files", "", f"PubMed XML files, in the order of their making: {files}.")
    flags.DEFINE_string("pmc_files", "", f"PMC articles, archives or directories of them: {files}.")
    flags.DEFINE_string("text_files", "", f"Plain text files: {files}.")
    flags.DEFINE_string("output_dir", None, "Directory for the shards.")
    flags.DEFINE_integer("num_shards", 0, "Shards to make; 0: of some 100 MB each.", lower_bound=0)
    flags.DEFINE_string("runner", "local", "local: processes of this machine; else a runner of Apache Beam.")
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
        print(summarize(build_as_told(FLAGS)))
    elif not (FLAGS.verify or FLAGS.report):
        raise InputError("nothing to do: expected --pubmed_files, --pmc_files or --text_files, or --verify or --report")
    if FLAGS.verify:
        count = manifest.verify(FLAGS.output_dir, FLAGS.num_processes)
        print(f"{FLAGS.output_dir}: all {count:,} shards are as they were made")
    if FLAGS.report:
        print(manifest.report(manifest.read(FLAGS.output_dir)))


def build_as_told(values):
    """Builds what the flags say, unless it is there; returns the manifest."""
    sources = Sources(
        pubmed_files=tuple(pubmed_xml.file_order(_expand(values.pubmed_files))),
        pmc_files=tuple(_expand(values.pmc_files, pmc_articles.list_files)),
        text_files=tuple(_expand(values.text_files)),
        pubmed_options=pubmed_xml.reader_options(values),
        pmc_options=pmc_articles.reader_options(values),
        text_options=text_documents.reader_options(values),
        **source_options(values),
    )
    if not values.vocab_file:
        raise InputError("--vocab_file: expected the vocab.txt of the model")
    load_vocab(values.vocab_file)  # hours before it is needed
    settings = create_pretraining_data.record_settings(values)
    make_directory(values.output_dir)
    finished = manifest.find(values.output_dir)
    if finished is None and values.runner == "local":
        return build(sources, settings, values.output_dir, values.num_shards, values.num_processes)
    if finished is None:
        return build_by_beam(sources, settings, values)
    if not _is_same(finished, sources, settings, values.num_shards):
        raise InputError(
            f"{values.output_dir}: holds shards that were finished with other files or flags; expected another "
            "--output_dir"
        )
    logging.info("%s is finished; --verify compares its shards with the manifest", values.output_dir)
    return finished


def build_by_beam(sources, settings, values):
    """Builds shards and manifest by a runner of Beam; returns the manifest."""
    std_logging.disable(std_logging.WARNING)  # of clouds that are not installed
    try:
        from data_prep import beam_pipeline
    except ModuleNotFoundError:
        raise InputError(f"--runner={values.runner} needs Apache Beam; expected `pip install '.[beam]'`") from None
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


def _is_same(finished, sources, settings, num_shards):
    """Whether a manifest is of these files, by path and size, and flags."""

    def without_hashes(inputs):
        return [{name: value for name, value in entry.items() if name != "sha256"} for entry in inputs]

    units = list_units(sources)
    files = [[((path, os.path.getsize(path)), "") for path in unit.paths] if not unit.part else [] for unit in units]
    return (
        finished["flags"] == describe_flags(sources, settings)
        and without_hashes(finished["inputs"]) == without_hashes(describe_inputs(units, files))
        and num_shards in (0, len(finished["shards"]))
    )


def _expand(patterns, list_files=None):
    """Returns the files that a flag names, each once."""
    return dict.fromkeys(expand_patterns(patterns, list_files)) if patterns else ()


if __name__ == "__main__":
    define_flags()
    run(main)
