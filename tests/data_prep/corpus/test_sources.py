"""data_prep/sources.py: units, entries, which version counts, and to which shard a text goes."""

import pytest

from common.errors import InputError
from data_prep.corpus import sources, text_documents
from data_prep.corpus.sources import Reading, Sources, Tally, list_units, read_entries
from data_prep.corpus.versions import newest, shard_bounds, shard_of
from data_prep.formats.document import DELETED


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(1, 0, "")], 0),
        ([(1, 5, ""), (1, 2, "")], 0),  # read last, though listed first
        ([(2, 0, ""), (1, 1, "")], 0),  # a higher version in an older file
        ([(1, 0, ""), (1, 1, "without abstract")], 1),  # the newest has nothing for the corpus
        ([(1, 0, ""), (1, 1, DELETED)], None),
        ([(1, 0, ""), (1, 1, DELETED), (1, 2, "")], 2),  # restored
        ([(1, 0, ""), (2, 1, ""), (2, 2, DELETED)], 0),  # one version of two
        ([(1, 0, ""), (2, 1, ""), (0, 2, DELETED)], None),  # all versions
        ([(1, 3, DELETED)], None),
    ],
)
def test_the_entry_that_counts(entries, expected):
    assert newest(entries) == expected


@pytest.mark.parametrize("num_shards", [1, 3, 1000])
def test_a_text_is_between_the_bounds_of_its_shard(num_shards):
    bounds = shard_bounds(num_shards)
    assert len(bounds) == num_shards + 1
    for number in (0, 1, 2**63 - 1, 2**63, 2**64 // 3, 2**64 // 3 + 1, 2**64 - 1):
        digest = number.to_bytes(8, "big") + b"\xff" * 8
        shard = shard_of(digest, num_shards)
        assert bounds[shard] <= digest < bounds[shard + 1]


def test_shards_have_equal_shares():
    counts = [0] * 4
    for number in range(256):
        counts[shard_of(bytes([number]) + bytes(15), 4)] += 1
    assert counts == [64] * 4


def test_units(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ARTICLES_A_UNIT", 2)
    monkeypatch.setattr(sources, "ARCHIVE_PART_BYTES", 100)
    monkeypatch.setattr(sources, "TEXT_PART_BYTES", 100)
    for name, size in (("a.tar.gz", 250), ("t.txt", 150), ("t.txt.gz", 150), ("p.xml", 500)):
        (tmp_path / name).write_bytes(b"\x1f\x8b" * size if name == "t.txt.gz" else b"x" * size)
    path = {name: str(tmp_path / name) for name in ("a.tar.gz", "t.txt", "t.txt.gz", "p.xml")}
    articles = ("1.nxml", "2.nxml", "3.nxml")
    units = list_units(
        Sources(
            pubmed_files=(path["p.xml"],),
            pmc_files=(*articles, path["a.tar.gz"], "4.nxml"),
            text_files=(path["t.txt"], path["t.txt.gz"]),
        )
    )
    assert [unit.number for unit in units] == list(range(10))
    assert [(unit.corpus, unit.paths, unit.first, unit.part, unit.parts) for unit in units] == [
        ("pubmed", (path["p.xml"],), 0, 0, 1),
        ("pmc", articles[:2], 1, 0, 1),
        ("pmc", articles[2:], 3, 0, 1),
        *(("pmc", (path["a.tar.gz"],), 4, part, 3) for part in range(3)),
        ("pmc", ("4.nxml",), 5, 0, 1),
        *(("text", (path["t.txt"],), 6, part, 2) for part in range(2)),
        ("text", (path["t.txt.gz"],), 7, 0, 1),
    ]


def read_text(path, sentence_splitter="none", **options):
    options = text_documents.Options(**options)
    reading = Reading(text=options, sentence_splitter=sentence_splitter)
    tally = Tally(skip_bad_files=False)
    units = list_units(Sources(text_files=(str(path),), reading=reading))
    return [entry for unit in units for entry in read_entries(unit, reading, tally)], tally


def test_entries_of_a_text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("One fell. Two rose.\nThree stayed.\n\nA  new\tdocument.\n\n\n", encoding="utf-8")
    entries, _ = read_text(path, sentence_splitter="blingfire")
    assert [entry.text for entry in entries] == [b"One fell.\nTwo rose.\nThree stayed.\n", b"A new document.\n"]
    assert [(entry.id, entry.version, entry.left_out) for entry in entries] == [(b"", 1, "")] * 2
    assert entries[0].order < entries[1].order
    # Sentences stay as they are.
    entries, _ = read_text(path, sentence_splitter="blingfire", text_format="sentences")
    assert [entry.text for entry in entries] == [b"One fell. Two rose.\nThree stayed.\n", b"A  new\tdocument.\n"]


def test_equal_texts_have_equal_digests(tmp_path):
    (tmp_path / "t.txt").write_text("same text\nother text\nsame  text\n")
    entries, _ = read_text(tmp_path / "t.txt", text_format="lines")
    digests = [entry.digest for entry in entries]
    assert digests[0] == digests[2] != digests[1]
    assert {len(digest) for digest in digests} == {16}


def test_invalid_bytes_are_counted(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"good\n\nb\xffad\xfe\n")
    with pytest.raises(InputError, match=r"t\.txt, line 3: invalid UTF-8"):
        read_text(tmp_path / "t.txt")
    entries, tally = read_text(tmp_path / "t.txt", invalid_utf8="drop")
    assert [entry.text for entry in entries] == [b"good\n", b"bad\n"]
    assert tally.invalid_bytes == 2
