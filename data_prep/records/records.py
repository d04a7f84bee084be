"""TFRecord files: what is in them, and the input pipeline that every program reads them with.

One specification drives writer and reader; the names are the original's. A pre-training record has
fixed lengths and is padded. A fine-tuning record holds one value a wordpiece and is padded when batched.
"""

import contextlib
import dataclasses
import logging
import os

import tensorflow as tf

from common.errors import InputError
from common.files import temporary_path

SHUFFLE_BUFFER = 10_000  # records, still serialized: some 30 MB at sequence length 512
INTERLEAVED_FILES = 8
RECORDS_A_TURN = 16  # read from one file before the next has its turn
RECORDS_AT_A_TIME = 4096  # where they are handed over from TensorFlow
READ_BUFFER = 8 << 20  # bytes, where a file is read in one go


@dataclasses.dataclass(frozen=True)
class Feature:
    """One feature of a record."""

    length: int | None = None  # values a record; None: as many as wordpieces, padded with 0 in a batch
    dtype: tf.DType = tf.int32  # int32 (stored as int64) or float32
    limit: int | None = None  # values are below it


def pretraining_features(max_seq_length, max_predictions_per_seq, vocab_size):
    """What `create_pretraining_data` writes and `run_pretraining` reads."""
    return {
        "input_ids": Feature(max_seq_length, limit=vocab_size),
        "input_mask": Feature(max_seq_length, limit=2),
        "segment_ids": Feature(max_seq_length, limit=2),
        "masked_lm_positions": Feature(max_predictions_per_seq, limit=max_seq_length),
        "masked_lm_ids": Feature(max_predictions_per_seq, limit=vocab_size),
        "masked_lm_weights": Feature(max_predictions_per_seq, tf.float32),
        "next_sentence_labels": Feature(1, limit=2),
    }


def token_features(vocab_size, num_labels):
    """What `run_ner` writes and reads: a label for every wordpiece."""
    return {
        "input_ids": Feature(limit=vocab_size),
        "input_mask": Feature(limit=2),
        "segment_ids": Feature(limit=2),
        "label_ids": Feature(limit=num_labels),
    }


def label_features(vocab_size, num_labels):
    """What `run_re` writes and reads: a label for a sequence."""
    return {
        "input_ids": Feature(limit=vocab_size),
        "input_mask": Feature(limit=2),
        "segment_ids": Feature(limit=2),
        "label_ids": Feature(1, limit=num_labels),
    }


def span_features(vocab_size, max_seq_length):
    """What `run_qa` writes and reads: the first and the last wordpiece of the answer, both 0 for none."""
    return {
        "input_ids": Feature(limit=vocab_size),
        "input_mask": Feature(limit=2),
        "segment_ids": Feature(limit=2),
        "start_positions": Feature(1, limit=max_seq_length),
        "end_positions": Feature(1, limit=max_seq_length),
    }


@dataclasses.dataclass(frozen=True)
class RecordFile:
    """A TFRecord file of known content."""

    path: str
    features: dict  # from name to Feature
    count: int | None  # records; None: not counted


def write_record_file(records, path, features):
    """Writes serialized records to one file; returns its `RecordFile`."""
    count = 0

    def advance():
        nonlocal count
        count += 1

    write_records(records, [path], advance)
    return RecordFile(path, features, count)


def write_records(records, output_files, advance=lambda: None):
    """Writes serialized records to the files in turn; each appears under its name only when all are whole.

    Raises:
      InputError: a file cannot be written.
    """
    temporary = [temporary_path(path) for path in output_files]
    try:
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(tf.io.TFRecordWriter(path)) for path in temporary]
            for i, record in enumerate(records):
                writers[i % len(writers)].write(record)
                advance()
        for source, path in zip(temporary, output_files, strict=True):
            os.replace(source, path)
    except tf.errors.OpError as error:
        raise InputError(f"{output_files[0]}: cannot be written ({error.message})") from None
    finally:
        for path in temporary:
            with contextlib.suppress(OSError):
                os.unlink(path)


def read_serialized(path):
    """Yields the serialized records of a file, in its order."""
    for batch in tf.data.TFRecordDataset(path).batch(RECORDS_AT_A_TIME).as_numpy_iterator():
        yield from batch


@dataclasses.dataclass(frozen=True)
class Padding:
    """How the sequences of a batch get one length."""

    pad_to: int | None = None  # every batch to this length; None: to the longest of the batch
    multiple_of: int = 1  # and up to a multiple, so that few shapes occur,
    longest: int | None = None  # but not beyond what the model takes


@dataclasses.dataclass(frozen=True)
class Share:
    """What one of several workers reads: of each epoch, an equal part that no other reads."""

    worker: int = 0
    num_workers: int = 1


def training_batches(data, batch_size, seed, start=0, padding=None, share=None):
    """Endless batches: every record of the share once an epoch, in a new order each.

    The order is a function of `seed` and the share alone, so that a run which resumes reads on where it stopped;
    records are skipped without being parsed. An epoch is the files in a new order, one behind the other, and a share
    of it a stretch from record to record, so files of any size make equal shares. What does not divide, fewer records
    than there are workers, is left out of that epoch.

    Args:
      data: a list of `RecordFile`. A count may be None if `start` is 0 and the share is all.
      batch_size: examples per batch.
      seed: int.
      start: records of the share that were read before, a multiple of `batch_size`.
      padding: a `Padding`; None for the default.
      share: a `Share`; None for all.

    Returns:
      A `tf.data.Dataset` of dicts from name to int32 or float32 [batch_size, length].

    Raises:
      InputError: fewer records than workers.
    """
    padding, share, features = padding or Padding(), share or Share(), data[0].features
    paths = tf.constant([file.path for file in data])
    is_counted = all(file.count is not None for file in data)
    counts = tf.constant([file.count if is_counted else 0 for file in data], tf.int64)
    share_size = sum(file.count for file in data) // share.num_workers if is_counted else None
    if share_size == 0:
        raise InputError(
            f"{data[0].path}: fewer records than the {share.num_workers} workers; expected at least one for each"
        )

    def epoch(number):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(data)), seed=[seed, number])
        stretches = (tf.gather(paths, order), *_stretches(tf.gather(counts, order), share, share_size))
        files = tf.data.Dataset.from_tensor_slices(stretches).filter(lambda path, skip, take: take != 0)
        records = files.interleave(
            lambda path, skip, take: tf.data.TFRecordDataset(path).skip(skip).take(take),
            cycle_length=INTERLEAVED_FILES,
            block_length=RECORDS_A_TURN,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return records.shuffle(SHUFFLE_BUFFER, seed=number + seed)

    # Shuffling takes the global seed into account as well; where that is 0, it cannot take a tensor as its own.
    tf.random.set_seed(seed + 1)
    first_epoch, records_before = divmod(start, share_size) if start else (0, 0)
    records = tf.data.Dataset.counter(first_epoch).flat_map(epoch).skip(records_before)
    batches = records.batch(batch_size).map(lambda serialized: _pad(_parse(serialized, features), padding))
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _stretches(counts, share, share_size):
    """Which records of each file are in a share, files of `counts` records lying one behind the other.

    Returns:
      Two int64 tensors: how many records of each file to skip, and how many then to take, -1 for all.
    """
    if share.num_workers == 1:
        return tf.zeros_like(counts), tf.fill(tf.shape(counts), tf.constant(-1, tf.int64))
    starts = tf.cumsum(counts, exclusive=True)
    skip = tf.clip_by_value(share.worker * share_size - starts, 0, counts)
    end = tf.clip_by_value((share.worker + 1) * share_size - starts, 0, counts)
    return skip, end - skip


def evaluation_batches(files, features, batch_size, padding=None, window=1, repeat=False):
    """Batches in the order of the files, or of similar length within each window.

    Args:
      files: paths.
      features, batch_size, padding: as for `training_batches`.
      window: batches that are formed together, of sequences sorted by length.
      repeat: start again at the end and leave no smaller last batch.

    Returns:
      A `tf.data.Dataset` of dicts as of `training_batches`, with `index`, int64 [batch], the place of
      each record in the files, beside.
    """
    padding = padding or Padding()
    records = tf.data.TFRecordDataset(files).enumerate()
    if repeat:
        records = records.repeat()

    def split(index, serialized):
        parsed = {**_parse(serialized, features), "index": index}
        order = tf.range(tf.size(index))
        if window > 1:
            lengths = next(x.row_lengths() for x in parsed.values() if isinstance(x, tf.RaggedTensor))
            order = tf.argsort(lengths, stable=True)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return batches.map(lambda rows: _pad({name: tf.gather(x, rows) for name, x in parsed.items()}, padding))

    return records.batch(batch_size * window).flat_map(split).prefetch(tf.data.AUTOTUNE)


def _parse(serialized, features):
    """Parses [n] serialized examples to dense [n, length] or ragged [n, (pieces)] tensors."""
    specification = {}
    for name, feature in features.items():
        stored = tf.float32 if feature.dtype == tf.float32 else tf.int64
        specification[name] = (
            tf.io.RaggedFeature(stored, row_splits_dtype=tf.int64)
            if feature.length is None
            else tf.io.FixedLenFeature([feature.length], stored)
        )
    parsed = tf.io.parse_example(serialized, specification)
    for name, feature in features.items():
        if feature.limit is not None:
            values = parsed[name].flat_values if feature.length is None else parsed[name]
            tf.debugging.assert_less(values, tf.constant(feature.limit, tf.int64))
            tf.debugging.assert_non_negative(values)
        parsed[name] = tf.cast(parsed[name], feature.dtype)
    return parsed


def _pad(batch, padding):
    """Makes dense tensors [batch, length] of the ragged ones of a batch, a dict."""

    def pad(x):
        if padding.pad_to:
            length = padding.pad_to
        else:
            multiple = padding.multiple_of
            length = (tf.reduce_max(x.row_lengths()) + multiple - 1) // multiple * multiple
            if padding.longest:
                length = tf.minimum(length, padding.longest)
        return x.to_tensor(shape=tf.stack([tf.constant(-1, tf.int64), tf.cast(length, tf.int64)]))

    return {name: pad(x) if isinstance(x, tf.RaggedTensor) else x for name, x in batch.items()}


@contextlib.contextmanager
def naming_bad_records(files, features):
    """Where an operation in the block fails on the data, an `InputError` names the file and the record at fault."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
        for path in files:
            check_file(path, features)
        raise


def check_files(files, features):
    """Looks at the first record of each file, so that a wrong flag fails at once, not in an hour.

    Raises:
      InputError: as of `check_file`, or all files are empty.
    """
    empty = [path for path in files if not check_file(path, features, first_only=True)]
    if len(empty) == len(files):
        raise InputError(f"{files[0]}: no records in {len(files)} files; expected TFRecords")
    for path in empty:
        logging.warning("%s: no records", path)


def count_records(path):
    """The number of records in a file.

    Raises:
      InputError: it is truncated or no TFRecord file.
    """
    records = tf.data.TFRecordDataset(path, buffer_size=READ_BUFFER)
    sizes = records.batch(1024).map(lambda batch: tf.size(batch, tf.int64))
    with naming_bad_records([path], {}):
        return int(sizes.reduce(tf.constant(0, tf.int64), tf.add))


def check_file(path, features, first_only=False):
    """Counts the records of a file and checks each against `features`.

    Raises:
      InputError: the file is missing, truncated or no TFRecord file; a record is no `tf.train.Example`
        or has a feature of another length or beyond its limit.
    """
    number = 0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(path), 1):
            _check_record(f"{path}, record {number}", record.numpy(), features)
            if first_only:
                break
    except tf.errors.NotFoundError:
        raise InputError(f"{path}: no such file; expected TFRecords") from None
    except tf.errors.DataLossError:
        raise InputError(
            f"{path}, record {number + 1}: truncated, altered or no TFRecord file; write the file again"
        ) from None
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be read ({error.message})") from None
    return number


def _check_record(where, record, features):
    example = tf.train.Example()
    try:
        example.ParseFromString(record)
    except Exception:  # the protobuf runtimes raise different classes of DecodeError
        raise InputError(f"{where}: not a tf.train.Example; expected one") from None
    stored = example.features.feature
    for name, feature in features.items():
        kind = "float_list" if feature.dtype == tf.float32 else "int64_list"
        if name not in stored or stored[name].WhichOneof("kind") not in (kind, None):
            raise InputError(
                f"{where}: no feature {name!r} of type {kind}; found {', '.join(sorted(stored)) or 'none'}"
            )
        values = getattr(stored[name], kind).value
        if feature.length is not None and len(values) != feature.length:
            raise InputError(
                f"{where}: feature {name!r} has {len(values)} values, expected {feature.length}; "
                "the length flags must be those that the data was made with"
            )
        if feature.limit is not None and values and not 0 <= min(values) <= max(values) < feature.limit:
            raise InputError(
                f"{where}: feature {name!r} has values from {min(values)} to {max(values)}, expected 0 to "
                f"{feature.limit - 1}; was it made for another vocabulary or length?"
            )
