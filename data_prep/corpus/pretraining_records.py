"""Text to records: those of one pool of text, in memory."""

import contextlib
import dataclasses
import functools
import logging
import random

from common.progress import progress
from data_prep.corpus.instances import Options, Vocabulary, create_records
from data_prep.corpus.pretraining_text import Counts, read_corpus


@dataclasses.dataclass(frozen=True)
class Settings:
    """How records are made of a text."""

    vocab_file: str
    do_lower_case: bool = True
    random_seed: int = 12345
    invalid_utf8: str = "error"  # or "drop": leave out bytes that are not UTF-8
    split_long_lines: bool = False
    options: Options = dataclasses.field(default_factory=Options)


def shard_generator(seed, index):
    """Returns the random generator of a shard."""
    # A text as seed: the same generator in every Python version, and no two shards of nearby seeds alike.
    return random.Random(f"{seed} {index}")


def make_records(lines, rng, settings, size=None):
    """Makes the records of one pool of text, in memory.

    Args:
      lines: iterable as of `TextFiles.lines`; none for no records.
      rng: random.Random.
      settings: `Settings`.
      size: bytes of all lines, to show progress; None to show none.

    Returns:
      (records, counts): list of serialized records; `Counts`.

    Raises:
      InputError: unfit text or vocabulary.
    """
    options = settings.options
    tokenizer = _tokenizer(settings.vocab_file, settings.do_lower_case)
    counts = Counts()
    shown = size is not None
    with _progress(shown, "reading", size, "B") as advance:
        corpus = read_corpus(
            _watched(lines, advance),
            tokenizer,
            options.max_pieces,
            counts,
            settings.invalid_utf8,
            settings.split_long_lines,
        )
    total = options.dupe_factor * len(corpus.documents)
    with _progress(shown, "making records", total, "document") as advance:
        records, counts.record_pieces = create_records(corpus, Vocabulary(tokenizer.vocab), options, rng, advance)
    counts.records = len(records)
    return records, counts


@functools.lru_cache(maxsize=1)
def _tokenizer(vocab_file, do_lower_case):
    # TensorFlow is imported where it is needed: the processes of `build_corpus` that read files do without.
    import common.quiet_tensorflow  # noqa: F401
    from data_prep.text.fast_tokenization import FastTokenizer

    return FastTokenizer(vocab_file, do_lower_case)


def write_records(records, output_files, advance=lambda: None):
    """Writes serialized records to files, see `records.write_records`."""
    import common.quiet_tensorflow  # noqa: F401
    from data_prep.records import records as record_files

    record_files.write_records(records, output_files, advance)


def read_serialized(path):
    """Yields the serialized records of a file, see `records.read_serialized`."""
    import common.quiet_tensorflow  # noqa: F401
    from data_prep.records import records as record_files

    yield from record_files.read_serialized(path)


@contextlib.contextmanager
def _progress(shown, title, total, unit):
    """Gives a function that advances a progress bar, or does nothing where none is to be shown."""
    if shown:
        with progress(title, total=total, unit=unit) as bar:
            yield bar.update
    else:
        yield lambda step=1: None


def _watched(lines, advance):
    for line in lines:
        advance(len(line[2]))
        yield line


def warn_of_single_lines(documents, sentences):
    """Logs a warning if each document is a sentence: then every next segment is of another document."""
    if 1 < sentences == documents:
        logging.warning(
            "all %d documents are a single line, so that every next segment is random, and next sentence prediction "
            "learns nothing; expected blank lines between documents only",
            documents,
        )
