"""The build of pre-training shards as an Apache Beam pipeline, for clusters; the shards are those of the local build.

Reads and writes by paths, which every worker must see under the same names.
"""

import collections
import os
import shlex
import uuid

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from common.errors import InputError
from data_prep.corpus import shards
from data_prep.corpus.extraction import collect, summarize_unit
from data_prep.corpus.sources import Tally, check_splitter, list_units, read_entries
from data_prep.corpus.versions import newest, shard_of

BAD_FILE, SUMMARY, REPLACED, WITHDRAWN = "bad file", "summary", "replaced", "withdrawn"


def build(sources, settings, num_shards, output_dir, write_manifest, runner, options):
    """Builds shards and manifest.

    Args:
      sources, settings, num_shards, output_dir: as of `build_corpus.build`.
      write_manifest: a function of extracted, replaced, withdrawn and results, as of `build_corpus.describe`.
      runner: name of a Beam runner.
      options: its options, as on a command line.

    Raises:
      InputError: no such runner; as of `build_corpus.build`, where the runner passes it on.
    """
    units = list_units(sources)
    for unit in units:
        check_splitter(unit, sources.reading)
    try:
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(shlex.split(options)))
    except ValueError as error:
        raise InputError(f"--runner={runner}: {error}") from None
    entries, summaries = _read(pipeline, units, sources.reading)
    documents, replaced, withdrawn = _select_newest(entries)
    results = _write_shards(documents, num_shards, settings, output_dir)
    _ = (
        pipeline
        | "once" >> beam.Create([None])
        | "manifest"
        >> beam.Map(
            lambda _, summaries, replaced, withdrawn, results: write_manifest(
                collect(units, [summary for _, summary in sorted(summaries, key=lambda pair: pair[0])]),
                replaced,
                withdrawn,
                sorted(results, key=lambda result: result["name"]),
            ),
            beam.pvalue.AsList(summaries),
            beam.pvalue.AsSingleton(replaced),
            beam.pvalue.AsSingleton(withdrawn),
            beam.pvalue.AsList(results),
        )
    )
    pipeline.run().wait_until_finish()


def _read(pipeline, units, reading):
    """Returns the entries of all units but bad ones, and `(number of the unit, Summary)` of each."""
    read = (
        pipeline
        | "units" >> beam.Create(units)
        | beam.Reshuffle()
        | beam.ParDo(_ReadUnit(), reading).with_outputs(BAD_FILE, SUMMARY, main="entries")
    )
    # All parts of a bad file go, also the good ones.
    bad_files = beam.pvalue.AsDict(read[BAD_FILE] | beam.Distinct())
    entries = (
        read.entries
        | "without bad files" >> beam.Filter(lambda numbered, bad: numbered[0] not in bad, bad_files)
        | "entries" >> beam.Values()
    )
    return entries, read[SUMMARY]


def _select_newest(entries):
    """Returns the documents that count; how many do not since they are replaced, or withdrawn."""
    with_id = (
        entries
        | "with id" >> beam.Filter(lambda entry: entry.id)
        | "by id" >> beam.Map(lambda entry: (entry.id, entry))
        | beam.GroupByKey()
        | beam.ParDo(_Newest()).with_outputs(REPLACED, WITHDRAWN, main="documents")
    )
    without_id = entries | "without id" >> beam.Filter(lambda entry: not entry.id and not entry.left_out)
    documents = (with_id.documents, without_id) | "documents" >> beam.Flatten()
    count = beam.combiners.Count.Globally
    return documents, with_id[REPLACED] | REPLACED >> count(), with_id[WITHDRAWN] | WITHDRAWN >> count()


def _write_shards(documents, num_shards, settings, output_dir):
    """Returns what the manifest says of each shard."""
    number = (
        documents
        | "bytes" >> beam.Map(lambda entry: len(entry.text))
        | "all bytes" >> beam.CombineGlobally(sum)
        | "shards" >> beam.Map(_choose_num_shards, num_shards, settings.options.dupe_factor)
    )
    placed = documents | "by shard" >> beam.Map(_place, beam.pvalue.AsSingleton(number))
    # Each shard is made, also if no document falls into it.
    every = number | "all shards" >> beam.FlatMap(lambda number: [((shard, number), None) for shard in range(number)])
    return (
        (placed, every)
        | "of shards" >> beam.Flatten()
        | "group shards" >> beam.GroupByKey()
        | "write shards" >> beam.Map(_write_shard, settings, output_dir)
    )


class _ReadUnit(beam.DoFn):
    """Units to `(number of the file, Entry)`; numbers of bad files and `(number of the unit, Summary)` beside."""

    def process(self, unit, reading):
        tally = Tally(reading.skip_bad_files)
        counts = collections.Counter()
        try:
            for entry in read_entries(unit, reading, tally):
                counts[entry.left_out] += 1
                yield unit.first, entry
        except InputError as error:
            tally.bad_file(error)
            counts.clear()
            yield beam.pvalue.TaggedOutput(BAD_FILE, (unit.first, True))
        yield beam.pvalue.TaggedOutput(SUMMARY, (unit.number, summarize_unit(unit, tally, counts)))


class _Newest(beam.DoFn):
    """The entries of an id to the one that counts, if it is a document; marks for each document that does not."""

    def process(self, id_and_entries):
        entries = list(id_and_entries[1])
        chosen = newest([(entry.version, entry.order, entry.left_out) for entry in entries])
        for place, entry in enumerate(entries):
            if not entry.left_out:
                tag = WITHDRAWN if chosen is None else REPLACED
                yield entry if place == chosen else beam.pvalue.TaggedOutput(tag, 1)


def _choose_num_shards(size, num_shards, dupe_factor):
    if not size:
        raise InputError("no text in any file; nothing to build")
    return num_shards or shards.choose_num_shards(size, dupe_factor)


def _place(entry, num_shards):
    key = shard_of(entry.digest, num_shards), num_shards
    return key, (entry.digest, entry.order, entry.corpus, entry.text)


def _write_shard(key_and_documents, settings, output_dir):
    (shard, num_shards), documents = key_and_documents
    name = shards.shard_name(shard, num_shards)
    documents = [document for document in documents if document is not None]
    # Beam may run this twice at a time, on two machines.
    unfinished = os.path.join(output_dir, f"{name}.{uuid.uuid4().hex}")
    result = {"name": name, **shards.write_shard(shard, documents, settings, unfinished)}
    os.replace(unfinished, os.path.join(output_dir, name))
    return result
