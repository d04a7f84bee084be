"""Documents of a corpus to shards of pre-training records, each made alone.

The documents of a shard are parted into blocks by the digest of their text, some 64 in each, and the records of a block
are made of its documents alone. So where a few documents of a shard change, most of its records are those of before.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
from typing import NamedTuple

from absl import logging

from common.files import atomic_write, sha256, temporary_path
from common.inputs import read_json
from data_prep.corpus.external_sort import read_texts
from data_prep.corpus.instances import shuffle
from data_prep.corpus.pretraining_records import make_records, read_serialized, shard_generator, write_records
from data_prep.corpus.sources import CORPORA
from data_prep.corpus.versions import shard_of

SHARD_BYTES = 100 << 20  # of records in a shard, about
MAX_SHARD_BYTES = 600 << 20  # that fit into 1.5 GB with all else
RECORD_BYTES = 2  # a byte of text, each time that it is gone through; measured: 1.4 to 1.8
BLOCK_DOCUMENTS = 64  # in a block, about


class Layout(NamedTuple):
    """How the documents of a corpus are parted."""

    num_shards: int
    num_blocks: int  # in a shard


class Block(NamedTuple):
    """The records of a block."""

    made_from: str  # digest of the texts' digests and all else that they depend on
    records: int
    record_pieces: int
    wordpieces: int
    long_lines: int
    cut_pieces: int


def choose_layout(documents, text_bytes, dupe_factor, num_shards=0):
    """Returns the Layout of so many documents, in shards of a handy size if `num_shards` is 0.

    It is in powers of two, so that it seldom changes where a corpus grows.
    """
    num_shards = num_shards or _power_of_two(text_bytes * dupe_factor * RECORD_BYTES / SHARD_BYTES)
    return Layout(num_shards, _power_of_two(documents / num_shards / BLOCK_DOCUMENTS))


def _power_of_two(number):
    return 1 << max(0, round(math.log2(number)))


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


def make_shard(shard, layout, documents, settings, made_from, directory, output_dir):
    """Makes a shard, or what of it has changed since it was made last.

    Args:
      shard: its number, which together with the seed determines all random choices.
      layout: Layout.
      documents: list of `external_sort.StoredDocument`, by digest and order. Of several with the same text, the one
        that was read first counts.
      settings: `pretraining_records.Settings`.
      made_from: what the records depend on beside the documents, as text.
      directory: where to keep what a shard was made of.
      output_dir: where to write it.

    Returns:
      What the manifest says of a shard: a dict.
    """
    unique = [next(same) for _, same in itertools.groupby(documents, key=lambda document: document.digest)]
    blocks = [[] for _ in range(layout.num_blocks)]
    for document in unique:
        blocks[shard_of(document.digest, layout.num_shards * layout.num_blocks) % layout.num_blocks].append(document)
    keys = [_key(block, f"{number} {made_from}") for number, block in enumerate(blocks)]
    name = shard_name(shard, layout.num_shards)
    path, made_path = os.path.join(output_dir, name), os.path.join(directory, f"{name}.json")
    made, file = _read_made(made_path, path)
    if [block.made_from for block in made] != keys:
        unfinished = temporary_path(os.path.join(directory, name))
        try:
            made = _write_shard(shard, blocks, keys, made, path, file.get("sha256"), settings, unfinished)
            file = {"size": os.path.getsize(unfinished), "sha256": sha256(unfinished)}
            os.replace(unfinished, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)
        with atomic_write(made_path) as output:
            json.dump([made, file], output)
    totals = {name: sum(getattr(block, name) for block in made) for name in Block._fields[1:]}
    return {
        "name": name,
        **file,
        **totals,
        "duplicates": len(documents) - len(unique),
        "corpora": _count(unique),
    }


def _key(documents, made_from):
    digest = hashlib.blake2b(made_from.encode(), digest_size=16)
    for document in documents:
        digest.update(document.digest.ljust(16, b"\0"))
    return digest.hexdigest()


def _read_made(made_path, path):
    """Returns the Blocks of a shard as it was made last, and its size and SHA-256; nothing if it is not there."""
    if not (os.path.exists(made_path) and os.path.exists(path)):
        return [], {}
    blocks, file = read_json(made_path, "what a shard was made of")
    if os.path.getsize(path) != file["size"]:
        return [], {}
    return [Block(*block) for block in blocks], file


def _write_shard(shard, blocks, keys, made, old_path, old_sha256, settings, path):
    """Writes the records of some blocks, those that were made before from the old file; returns the Blocks."""
    known = {}
    if {block.made_from for block in made} & set(keys) and sha256(old_path) == old_sha256:
        records = _in_blocks(list(read_serialized(old_path)), shard, settings.random_seed)
        for block in made:
            known[block.made_from] = block, list(itertools.islice(records, block.records))
    new = [document for block, key in zip(blocks, keys, strict=True) if key not in known for document in block]
    texts = {document.digest: text for document, text in read_texts(new)}
    now, records = [], []
    for number, (block, key) in enumerate(zip(blocks, keys, strict=True)):
        if key in known:
            made_block, some = known[key]
        else:
            rng = shard_generator(settings.random_seed, f"{shard} {number}")
            some, counts = make_records(_lines(block, texts), rng, settings)
            numbers = counts.record_pieces, counts.pieces, counts.long_lines, counts.cut_pieces
            made_block = Block(key, counts.records, *numbers)
        now.append(made_block)
        records += some
    order = _order(len(records), shard, settings.random_seed)
    write_records((records[i] for i in order), [path])
    return now


def _order(count, shard, seed):
    """Returns which record stands at each place of a shard."""
    order = list(range(count))
    shuffle(order, shard_generator(seed, shard).getrandbits)
    return order


def _in_blocks(records, shard, seed):
    """Yields the records of a shard block by block."""
    original = [b""] * len(records)
    for place, i in enumerate(_order(len(records), shard, seed)):
        original[i] = records[place]
    yield from original


def _lines(documents, texts):
    """Yields lines as `pretraining_text.read_corpus` takes them."""
    for document in documents:
        for line in texts[document.digest].split(b"\n"):  # the last is empty and ends the document
            yield f"document {document.order}", 0, line


def _count(documents):
    """Returns documents, sentences and words (between white space) of each corpus."""
    totals = {}
    for document in documents:
        counts = totals.setdefault(CORPORA[document.corpus], {"documents": 0, "sentences": 0, "words": 0})
        counts["documents"] += 1
        counts["sentences"] += document.sentences
        counts["words"] += document.words
    return totals
