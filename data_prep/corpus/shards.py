"""Documents of a corpus to shards of pre-training records, each made alone."""

import itertools
import os

from absl import logging

from common.files import sha256
from data_prep.corpus.pretraining_records import make_records, shard_generator, write_records
from data_prep.corpus.sources import CORPORA

SHARD_BYTES = 100 << 20  # of records in a shard, about
MAX_SHARD_BYTES = 600 << 20  # that fit into 1.5 GB with all else
RECORD_BYTES = 2  # a byte of text, each time that it is gone through; measured: 1.4 to 1.8


def choose_num_shards(text_bytes, dupe_factor):
    """Returns how many shards hold the records of so much text in files of a handy size."""
    return max(1, round(text_bytes * dupe_factor * RECORD_BYTES / SHARD_BYTES))


def warn_of_size(text_bytes, num_shards, dupe_factor):
    """Warns if shards are so few that one takes much memory to make."""
    shard_bytes = text_bytes * dupe_factor * RECORD_BYTES // num_shards
    if shard_bytes > MAX_SHARD_BYTES:
        logging.warning(
            "--num_shards=%d: each takes some %.1f GB of memory in its process; with 0, shards are of a handy size",
            num_shards,
            shard_bytes / 1e9,
        )


def shard_name(shard, num_shards):
    """Returns the name of a shard's file."""
    return f"pretraining-{shard:05d}-of-{num_shards:05d}.tfrecord"


def write_shard(shard, documents, settings, path):
    """Makes the records of a shard and writes them.

    Args:
      shard: its number, which together with the seed determines all random choices.
      documents: list of `(digest, order, corpus, text)`, of `external_sort.read_shards`, in any order. Of several with
        the same text, the one that was read first counts.
      settings: `pretraining_records.Settings`.
      path: file to write.

    Returns:
      What the manifest says of a shard: a dict.
    """
    documents = sorted(documents)
    unique = [next(same) for _, same in itertools.groupby(documents, key=lambda document: document[0])]
    records, counts = make_records(_lines(unique), shard_generator(settings.random_seed, shard), settings)
    write_records(records, [path])
    return {
        "size": os.path.getsize(path),
        "sha256": sha256(path),
        "records": counts.records,
        "record_pieces": counts.record_pieces,
        "wordpieces": counts.pieces,
        "long_lines": counts.long_lines,
        "cut_pieces": counts.cut_pieces,
        "duplicates": len(documents) - len(unique),
        "corpora": _count(unique),
    }


def _lines(documents):
    """Yields lines as `pretraining_text.read_corpus` takes them."""
    for _, order, _, text in documents:
        for line in text.split(b"\n"):  # the last is empty and ends the document
            yield f"document {order}", 0, line


def _count(documents):
    """Returns documents, sentences and words (between white space) of each corpus."""
    totals = {}
    for _, _, corpus, text in documents:
        counts = totals.setdefault(CORPORA[corpus], {"documents": 0, "sentences": 0, "words": 0})
        counts["documents"] += 1
        counts["sentences"] += text.count(b"\n")
        counts["words"] += len(text.split())
    return totals
