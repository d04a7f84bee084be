"""The manifest of pre-training shards: what they were made of, how, and what they hold.

`manifest.json` lies beside the shards. It does not depend on the number of processes, nor on time; what does depend on
how a corpus came to be is its history, a version for each build that changed its files.
"""

import json
import os

from common.errors import InputError
from common.files import atomic_write, sha256
from common.inputs import Key, check_keys, read_json
from common.parallel import map_processes
from common.progress import progress

NAME = "manifest.json"
AGAIN = f"remove {NAME} and build the shards again"
DOCUMENTS = "documents"  # below the directory of shards: what they are made of
BEFORE = "manifest.before.json"  # in it, while shards are brought up to date
READING = "reading.json"  # in it
FORMAT = "BERT pre-training shards, version 1"

KEYS = {"corpora": Key(dict), "flags": Key(dict), "inputs": Key(list), "shards": Key(list)}
SHARD_KEYS = {"name": Key(str), "size": Key(int, low=0), "sha256": Key(str), "records": Key(int, low=0, needed=False)}
COUNT_KEYS = {name: Key(int, low=0) for name in ("documents", "sentences", "words")}

# Lee et al., 2020, Table 1: corpus, words, domain; and the key of our corpus.
TABLE_1 = (
    ("English Wikipedia", "2.5B", "General", None),
    ("BooksCorpus", "0.8B", "General", None),
    ("PubMed Abstracts", "4.5B", "Biomedical", "pubmed"),
    ("PMC Full-text articles", "13.5B", "Biomedical", "pmc"),
    ("Other text", "", "", "text"),
)


def write(directory, content):
    """Writes the manifest, a dict, of the shards in a directory."""
    with atomic_write(os.path.join(directory, NAME)) as file:
        json.dump({"format": FORMAT, **content}, file, indent=1)
        file.write("\n")


def set_aside(directory):
    """Takes the manifest away while the shards are made again; returns its content, None if there was none."""
    aside = os.path.join(directory, DOCUMENTS, BEFORE)
    if find(directory):
        os.replace(os.path.join(directory, NAME), aside)
    return read_json(aside, "a manifest", lone_surrogates=True) if os.path.exists(aside) else None


def add_history(content, before):
    """Returns a manifest with its history: that of the one before (None: there was none), and what has changed."""
    history = before.get("history", []) if before else []
    entry = {"version": len(history) + 1, "files": len(content["inputs"]), "records": content["records"]}
    if before:
        paths = [{entry["path"] for entry in manifest["inputs"]} for manifest in (before, content)]
        entry["new_files"] = sorted(paths[1] - paths[0])
        entry["files_gone"] = sorted(paths[0] - paths[1])
    known = {shard["sha256"] for shard in before["shards"]} if before else set()
    entry["shards_changed"] = sum(shard["sha256"] not in known for shard in content["shards"])
    return {**content, "version": entry["version"], "history": [*history, entry]}


def find(directory):
    """Returns the manifest in a directory, or None if there is none (or one of something else).

    Raises:
      InputError: a manifest that is no JSON or lacks what it should have.
    """
    path = os.path.join(directory, NAME)
    if not os.path.exists(path):
        return None
    content = read_json(path, "the manifest of pre-training shards", lone_surrogates=True)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    check_keys(content, KEYS, path)
    for number, shard in enumerate(content["shards"], 1):
        check_keys(shard, SHARD_KEYS, f"{path}, shard {number}")
    for name, counts in content["corpora"].items():
        check_keys(counts, COUNT_KEYS, f"{path}, corpus {name}")
    return content


def read(directory):
    """Returns the manifest in a directory.

    Raises:
      InputError: there is none.
    """
    content = find(directory)
    if content is None:
        raise InputError(
            f"{os.path.join(directory, NAME)}: no manifest of pre-training shards; expected a finished one"
        )
    return content


def check_shards(paths):
    """Compares shards with the manifest beside them, if there is one: names and sizes, which takes no time.

    A file that ends early, between two records, looks whole otherwise.

    Raises:
      InputError: another size; not in the manifest; the build of a shard's directory was not finished.
    """
    for directory in dict.fromkeys(os.path.dirname(path) for path in paths):
        content = find(directory or ".")
        if content is None and os.path.exists(os.path.join(directory, DOCUMENTS, READING)):
            raise InputError(f"{directory or '.'}: its shards are not finished; run data_prep.build_corpus again")
        if content is None:
            continue
        expected = {shard["name"]: shard["size"] for shard in content["shards"]}
        for path in paths:
            parent, name = os.path.split(path)
            if parent == directory:
                if name not in expected:
                    raise InputError(f"{path}: not one of the shards of the {NAME} beside it")
                if not os.path.exists(path):
                    raise InputError(f"{path}: missing; {AGAIN}")
                if os.path.getsize(path) != expected[name]:
                    raise InputError(_wrong_size(path, os.path.getsize(path), expected[name]))


def record_counts(paths):
    """The number of records in each of `paths`, as the manifest beside it says; None where there is none."""
    counts = {}
    for directory in {os.path.dirname(path) for path in paths}:
        content = find(directory or ".") or {"shards": []}
        counts |= {os.path.join(directory, shard["name"]): shard.get("records") for shard in content["shards"]}
    return [counts.get(path) for path in paths]


def _wrong_size(path, size, expected):
    return f"{path}: {size:,} bytes; expected {expected:,}, as {NAME} says: truncated or altered; {AGAIN}"


def verify(directory, num_processes=1):
    """Compares every shard with the manifest: size and SHA-256.

    Returns:
      The number of shards.

    Raises:
      InputError: a shard that is missing or differs, or one that is not in the manifest.
    """
    shards = [(directory, shard) for shard in read(directory)["shards"]]
    names = {shard["name"] for _, shard in shards}
    others = sorted(name for name in os.listdir(directory) if name.endswith(".tfrecord") and name not in names)
    faults = [f"{os.path.join(directory, name)}: not in {NAME}" for name in others]
    with progress("verifying", total=len(shards), unit="shard") as bar:
        for fault in map_processes(_find_fault, shards, num_processes):
            faults += [fault] if fault else []
            bar.update()
    if faults:
        faults.sort()
        raise InputError("; ".join(faults[:5]) + (f"; and {len(faults) - 5} more shards" if faults[5:] else ""))
    return len(shards)


def _find_fault(directory_and_shard):
    directory, shard = directory_and_shard
    path = os.path.join(directory, shard["name"])
    if not os.path.exists(path):
        return f"{path}: missing; {AGAIN}"
    if os.path.getsize(path) != shard["size"]:
        return _wrong_size(path, os.path.getsize(path), shard["size"])
    if sha256(path) != shard["sha256"]:
        return f"{path}: its SHA-256 is not that of {NAME}: altered; {AGAIN}"
    return None


def report(content):
    """Returns Table 1 of the paper with the words of a manifest's corpora beside its own, as text."""
    rows = [("Corpus", "words here", "in the paper", "domain")]
    for name, words, domain, corpus in TABLE_1:
        counts = content["corpora"].get(corpus)
        if counts or words:
            rows.append((name, f"{counts['words']:,}" if counts else "-", words, domain))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, here, paper, domain in rows:
        line = f"{name:{widths[0]}}  {here:>{widths[1]}}  {paper:>{widths[2]}}  {domain}"
        lines.append(line.rstrip())
    return "\n".join(lines)
