"""Which version of an article counts, and to which shard its text goes."""

import hashlib

from data_prep.formats.document import DELETED

DIGEST_BYTES = 16  # so that no two texts or ids have one by chance


def digest(content):
    """Returns the digest of bytes, which is as good as random and the same everywhere."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def newest(entries):
    """Returns which entry of one id counts: of the highest version the one read last; None if it was withdrawn.

    Args:
      entries: list of `(version, order, left_out)`.
    """
    latest = {}  # version: place of the entry
    for place in sorted(range(len(entries)), key=lambda place: entries[place][1]):
        version, _, left_out = entries[place]
        if left_out != DELETED:
            latest[version] = place
        elif version:
            latest.pop(version, None)
        else:
            latest.clear()
    return latest[max(latest)] if latest else None


def shard_of(digest, num_shards):
    """Returns the shard of a text by its digest, which is between two of `shard_bounds`."""
    return int.from_bytes(digest[:8], "big") * num_shards >> 64


def shard_bounds(num_shards):
    """Returns the digests [num_shards + 1] between which the texts of each shard are.

    The digest of a text is as good as random: so a shard holds documents of all journals and years, and always the
    same ones.
    """
    bounds = (-(-(number << 64) // num_shards) for number in range(num_shards))
    return [*(bound.to_bytes(8, "big") for bound in bounds), b"\xff" * (DIGEST_BYTES + 1)]
