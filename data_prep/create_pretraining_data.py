r"""Makes pre-training records (TFRecord files of tf.train.Example) of plain text.

    python -m data_prep.create_pretraining_data --input_file=text.txt --output_file=text.tfrecord \
        --vocab_file=vocab.txt --do_lower_case=False

The text has sentences one a line and an empty line between documents. The flags are the original's, and so
is every record that they make. All records are in memory at once, some twice the text's bytes for each
time that it is gone through (`--dupe_factor`); with `--num_shards`, those of one shard a process:

    python -m data_prep.create_pretraining_data --input_file='text/*.txt' --output_file=records/text \
        --vocab_file=vocab.txt --do_lower_case=False --num_shards=100 --num_processes=8
"""

import dataclasses
import functools
import os
import random

from absl import flags, logging

from common.errors import InputError, run
from common.files import check_output_file, make_directory
from common.inputs import expand_patterns
from common.parallel import map_processes
from common.progress import progress
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_records import (
    Settings,
    make_records,
    shard_generator,
    warn_of_single_lines,
    write_records,
)
from data_prep.corpus.pretraining_text import Counts, TextFiles


def create_pretraining_data(input_files, output_files, settings):
    """Makes the records of one pool, as the original does, and writes them to the files in turn.

    Args:
      input_files, output_files: lists of paths.
      settings: `Settings`.

    Returns:
      `Counts`.

    Raises:
      InputError: unfit text or vocabulary, or output that cannot be written.
    """
    text = TextFiles(input_files)
    _make_directories(output_files)
    records, counts = make_records(text.lines(0, text.size), random.Random(settings.random_seed), settings, text.size)
    _check_documents(counts, input_files)
    with progress("writing", total=len(records), unit="record") as bar:
        write_records(records, output_files, bar.update)
    counts.files = len(output_files)
    return counts


def create_shards(input_files, output_prefix, num_shards, settings, num_processes=1):
    """Makes `num_shards` files, `<output_prefix>-00000-of-00100` and so on, each of its part of the text.

    The text is parted by bytes, between documents; random segments and the order of records stay in a part.
    A shard depends on the text, the settings, its number and `num_shards` alone. Memory is that of a shard,
    in each process.

    Args:
      input_files: list of paths.
      output_prefix: path.
      num_shards: int.
      settings: `Settings`.
      num_processes: shards that are made at a time.

    Returns:
      `Counts` of all shards.

    Raises:
      InputError: as `create_pretraining_data`. Shards that were finished stay.
    """
    text = TextFiles(input_files)
    names = shard_names(output_prefix, num_shards)
    _make_directories(names[:1])
    make = functools.partial(_write_shard, text=text, names=names, settings=settings)
    counts = Counts()
    with progress("shards", total=num_shards, unit="shard") as bar:
        for shard_counts in map_processes(make, range(num_shards), num_processes):
            counts += shard_counts
            bar.update()
    _check_documents(counts, input_files)
    return counts


def shard_names(output_prefix, num_shards):
    """The paths of so many shards."""
    return [f"{output_prefix}-{i:05d}-of-{num_shards:05d}" for i in range(num_shards)]


def _write_shard(index, text, names, settings):
    """Writes one shard and returns its `Counts`."""
    part = text.part(index, len(names))
    records, counts = make_records(text.lines(*part), shard_generator(settings.random_seed, index), settings)
    write_records(records, names[index : index + 1])
    counts.files = 1
    return counts


def _make_directories(output_files):
    for directory in dict.fromkeys(os.path.dirname(path) or "." for path in output_files):
        make_directory(directory)


def _check_documents(counts, input_files):
    if not counts.documents:
        raise InputError(f"{', '.join(input_files)}: no text in any line; expected sentences, one a line")


def warn_of_losses(counts, settings):
    """Logs what of the text is not, or not wholly, in the records."""
    options = settings.options
    if not settings.split_long_lines:
        warn_of_single_lines(counts.documents, counts.lines)
    if counts.invalid_bytes:
        logging.warning("%d bytes that are not UTF-8 were left out", counts.invalid_bytes)
    if counts.cut_pieces:
        logging.warning(
            "%d of %d lines have more than the %d wordpieces that a sequence holds: at least %d of all %d wordpieces "
            "are cut off each time; with --split_long_lines such a line becomes several instead",
            counts.long_lines,
            counts.lines,
            options.max_pieces,
            counts.cut_pieces,
            counts.pieces,
        )
    if counts.documents == 1:
        logging.warning(
            "the text is one document, so that a random next segment is from it too; expected an empty line "
            "between documents"
        )


def define_record_flags():
    """Defines the flags that say how records are made of text."""
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool("do_lower_case", True, "Lower-case and strip accents: true for uncased models.")
    flags.DEFINE_integer("max_seq_length", 128, "Wordpieces per sequence, special tokens included.", lower_bound=5)
    flags.DEFINE_integer("max_predictions_per_seq", 20, "Masked wordpieces per sequence at most.", lower_bound=1)
    flags.DEFINE_integer("random_seed", 12345, "Seed of segments, masks and order.")
    flags.DEFINE_integer("dupe_factor", 10, "Times that the text is gone through, with other masks.", lower_bound=1)
    flags.DEFINE_float("masked_lm_prob", 0.15, "Share of the wordpieces to mask.", lower_bound=0, upper_bound=1)
    flags.DEFINE_float("short_seq_prob", 0.1, "Share of the documents to cut shorter.", lower_bound=0, upper_bound=1)
    flags.DEFINE_bool("do_whole_word_mask", False, "Mask all wordpieces of a word or none.")
    flags.DEFINE_enum("invalid_utf8", "error", ["error", "drop"], "What to do with bytes that are not UTF-8.")
    flags.DEFINE_bool(
        "split_long_lines", False, "Cut lines longer than a sequence into segments of the length of sentences."
    )


def record_settings(values):
    """Returns the `Settings` that the flags of `define_record_flags` mean."""
    options = Options(**{field.name: values[field.name].value for field in dataclasses.fields(Options)})
    return Settings(
        values.vocab_file,
        values.do_lower_case,
        values.random_seed,
        values.invalid_utf8,
        values.split_long_lines,
        options,
    )


def define_flags():
    define_record_flags()
    flags.DEFINE_string("input_file", None, "Text files: paths and patterns, separated by commas.")
    flags.DEFINE_string(
        "output_file",
        None,
        "TFRecord files, separated by commas; with --num_shards, what their names begin with.",
    )
    flags.DEFINE_integer(
        "num_shards", 0, "Part the text into so many files, each made alone; 0: one pool.", lower_bound=0
    )
    flags.DEFINE_integer("num_processes", 1, "Shards made at a time; needs --num_shards.", lower_bound=1)
    flags.mark_flags_as_required(["input_file", "output_file", "vocab_file"])


def main(_):
    values = flags.FLAGS
    input_files = expand_patterns(values.input_file)
    output_files = [path.strip() for path in values.output_file.split(",")]
    if "" in output_files or len(set(output_files)) < len(output_files):
        raise InputError(f"--output_file={values.output_file}: expected different paths, separated by commas")
    if values.num_processes > 1 and not values.num_shards:
        raise InputError(f"--num_processes={values.num_processes} works on shards; expected --num_shards as well")
    if values.num_shards and len(output_files) > 1:
        raise InputError(f"--output_file={values.output_file}: expected one prefix with --num_shards")
    for path in shard_names(output_files[0], values.num_shards) if values.num_shards else output_files:
        check_output_file(path, input_files)
    settings = record_settings(values)
    if values.num_shards:
        counts = create_shards(input_files, output_files[0], values.num_shards, settings, values.num_processes)
    else:
        counts = create_pretraining_data(input_files, output_files, settings)
    warn_of_losses(counts, settings)
    fill, length = counts.record_pieces / counts.records, settings.options.max_seq_length
    print(
        f"{counts.documents:,} documents, {counts.lines:,} lines, {counts.pieces:,} wordpieces: wrote "
        f"{counts.records:,} instances to {counts.files:,} file{'s' * (counts.files > 1)}, "
        f"{fill:.1f} of {length} positions filled ({fill / length:.1%})"
    )


if __name__ == "__main__":
    define_flags()
    run(main)
