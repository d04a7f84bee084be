"""Downloads the published weights and data sets by name, and checks those that need a registration.

    python -m data_prep.download biobert_v1.1 ner re qa squad
    python -m data_prep.download --list

Weights go to `models/NAME`, with `bert_config.json`, `vocab.txt` and the checkpoint directly in it, data to
`datasets/NER/NCBI-disease`, `datasets/RE/GAD/1`, `datasets/QA/BioASQ` and so on. What is in place and complete is not
fetched again, what is there and differs is not overwritten, and an interrupted command goes on where it stopped.
"""

import contextlib
import filecmp
import hashlib
import os
import shutil
import sys
import urllib.parse

from absl import flags

from common.errors import InputError, name_some, run
from common.files import locked
from data_prep.published import archives
from data_prep.published.catalogue import CATALOGUE, DATA, MODELS, Registration
from data_prep.published.fetching import fetch, is_web_address

FLAGS = flags.FLAGS

MAX_DEPTH = 3  # directories above the contents in an archive: NERdata.zip has NERdata/, datasets.tar.gz datasets/NER/
_MAGIC = {".zip": b"PK\x03\x04", ".gz": b"\x1f\x8b"}


def define_flags():
    FLAGS.set_gnu_getopt()  # flags behind names
    flags.DEFINE_string("models_dir", "models", "Directory for models, each in one of its name.")
    flags.DEFINE_string("data_dir", "datasets", "Directory for data sets, in NER, RE and QA.")
    flags.DEFINE_string(
        "mirror", None, "Address to take files from, by their names, instead of the official ones: https://host/path."
    )
    flags.DEFINE_string("from_dir", None, "Directory that has the files already, fetched by a browser for example.")
    flags.DEFINE_boolean("list", False, "Show what there is, and what of it is in place.")


def main(argv):
    names = list(dict.fromkeys(argv[1:]))
    roots = {MODELS: FLAGS.models_dir, DATA: FLAGS.data_dir}
    if FLAGS.list:
        print("\n".join(list_catalogue(roots)))
        return
    check_arguments(names, FLAGS.mirror, FLAGS.from_dir)
    failed = []
    for name in names:
        entry = CATALOGUE[name]
        target = os.path.join(roots[entry.base], entry.directory)
        print(f"{name}: {entry.title}\n  licence: {entry.licence}", flush=True)
        try:
            if isinstance(entry, Registration):
                check_registered(entry, target)
            else:
                obtain(entry, target, roots[entry.base], FLAGS.mirror, FLAGS.from_dir)
        except InputError as error:
            if len(names) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed.append(name)
        except KeyboardInterrupt:
            raise InputError("interrupted; the same command goes on where it stopped") from None
    if failed:
        raise InputError(f"{len(failed)} of {len(names)} not in place: {', '.join(failed)}")


def check_arguments(names, mirror, from_dir):
    """Raises InputError unless all are names of the catalogue, with at most one place to take files from."""
    known = ", ".join(CATALOGUE)
    if not names:
        raise InputError(f"no names; expected some of {known}")
    if unknown := [name for name in names if name not in CATALOGUE]:
        raise InputError(f"{', '.join(unknown)}: not known; expected names of {known}")
    if mirror and from_dir:
        raise InputError("--mirror and --from_dir; expected one of them")
    if mirror and not is_web_address(mirror):
        raise InputError(f"--mirror={mirror}: expected an address that begins with http:// or https://")
    if from_dir and not os.path.isdir(from_dir):
        raise InputError(f"--from_dir={from_dir}: no such directory")


def list_catalogue(roots):
    """Yields a line for each entry: its name, where it goes, whether it is there, what it is."""
    for name, entry in CATALOGUE.items():
        target = os.path.join(roots[entry.base], entry.directory)
        lacking = len(find_missing(target, entry.contents))
        if not lacking:
            state = "in place"
        elif lacking < len(entry.contents):
            state = f"lacks {lacking} of {len(entry.contents)} files"
        else:
            state = "to register for, or make" if isinstance(entry, Registration) else "-"
        yield f"{name:<24} {target:<32} {state:<24} {entry.title}"


# Data that the user puts in place


def check_registered(entry, target):
    """Checks what a user put into a directory.

    Raises:
      InputError: a file is missing, or is not of the shape that the programs read; what to do is printed before.
    """
    if missing := find_missing(target, entry.contents):
        for number, step in enumerate(entry.steps, 1):
            print(f"  {number}. {step.format(target=target)}")
        raise InputError(f"{target}: lacks {name_some(missing)}; expected them as the steps above say")
    entry.check(target)
    print(f"  in place: {target} ({len(entry.contents)} files, read without error)")


# Data to download


def obtain(release, target, root, mirror=None, from_dir=None):
    """Puts a release in place.

    Files are fetched and unpacked in a hidden directory beside, and only then moved: what is in `target` is whole.

    Args:
      release: a Release.
      target: its directory, below `root`.
      root: the directory for models, or for data.
      mirror: address to take its files from instead of the official one.
      from_dir: directory to take them from.

    Raises:
      InputError: a file cannot be had or is not what was published; or the directory has another in its place.
    """
    work = os.path.join(root, ".download", release.name)
    if not find_missing(target, release.contents):
        check_contents(target, release.contents, "move it away to fetch it anew")
        print(f"  already in place: {target} ({_describe(release.contents)})")
        _remove(work)
        return
    with locked(work):
        staged = os.path.join(work, "unpacked")
        shutil.rmtree(staged, ignore_errors=True)
        paths = [_provide(file, work, mirror, from_dir) for file in release.files]
        try:
            top = _stage(release, paths, staged, keep=bool(from_dir))
        except InputError as error:
            if from_dir:
                raise
            _remove(work)
            raise InputError(f"{error}; removed") from None
        kept = _move(top, target)
        for name in release.contents:
            path = os.path.join(target, name)
            if path in kept and not filecmp.cmp(path, os.path.join(top, name), shallow=False):
                raise InputError(f"{path}: differs from the published one; move it away and run again")
        _remove(work)
    print(f"  in place: {target} ({_describe(release.contents)})")
    if release.next_step:
        print(f"  next: {release.next_step.format(target=target)}")


def _remove(work):
    shutil.rmtree(work, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty: another download goes on
        os.rmdir(os.path.dirname(work))


def _describe(contents):
    checked = sum(digest is not None for digest in contents.values())
    return f"{len(contents)} files, {checked} of them checked by digest" if checked else f"{len(contents)} files"


def _provide(file, work, mirror, from_dir):
    """The path of a file, downloaded if need be, that is as published as far as that is known."""
    if from_dir:
        path = os.path.join(from_dir, file.name)
        if not os.path.isfile(path):
            addresses = " or ".join(filter(None, (file.url, file.browser)))
            raise InputError(f"{path}: no such file; expected it, from {addresses}")
        check_file(path, file)
        return path
    path = os.path.join(work, file.name)
    if not os.path.exists(path):
        url = f"{mirror.rstrip('/')}/{urllib.parse.quote(file.name)}" if mirror else file.url
        print(f"  {url}", flush=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            fetch(url, path, file.size)
        except InputError as error:
            raise InputError(f"{error}; {_advice(file)}") from None
    try:
        check_file(path, file)
    except InputError as error:
        os.unlink(path)
        raise InputError(f"{error}; removed") from None
    if file.digest is None:
        print(f"  sha256 {_digest(path, 'sha256')} of {file.name}: none is published to compare it with")
    return path


def _advice(file):
    elsewhere = f"fetch it by a browser from {file.browser} and give" if file.browser else "if you have it, give"
    return f"{elsewhere} --from_dir=DIRECTORY with {file.name} in it"


def check_file(path, file):
    """Raises InputError if a file differs from what is known of the published one."""
    size = os.path.getsize(path)
    with open(path, "rb") as content:
        head = content.read(1024).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path}: a web page; expected {file.name}; {_advice(file)}")
    magic = _MAGIC.get(os.path.splitext(file.name)[1], b"")
    if not head.startswith(magic.lower()):
        raise InputError(f"{path}: {size:,} bytes, but no archive; expected {file.name}; {_advice(file)}")
    if file.size not in (None, size):
        raise InputError(f"{path}: {size:,} bytes; expected {file.size:,}")
    _check_digest(path, file.digest, "another file has that name")


def _check_digest(path, expected, remark):
    if expected is None:
        return
    algorithm, _, value = expected.partition(":")
    found = _digest(path, algorithm)
    if found != value:
        raise InputError(f"{path}: {algorithm} is {found}; expected {value}; {remark}")


def _digest(path, algorithm):
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# In and out of archives


def find_missing(directory, contents):
    """The paths of `contents` that are no files below a directory, or empty ones."""
    paths = ((name, os.path.join(directory, name)) for name in contents)
    return [name for name, path in paths if not (os.path.isfile(path) and os.path.getsize(path))]


def check_contents(directory, contents, remark):
    """Raises InputError if a file below a directory has another digest than the published one."""
    for name, digest in contents.items():
        _check_digest(os.path.join(directory, name), digest, remark)


def _stage(release, paths, staged, keep):
    """Unpacks or moves files into a new directory, and checks what is there.

    Returns:
      The directory in it that has the contents of the release, named as they should be.

    Raises:
      InputError: an archive is damaged or unsafe, or lacks something.
    """
    for path in paths:
        if path.endswith(archives.SUFFIXES):
            archives.unpack(path, staged, release.max_bytes)
        else:
            os.makedirs(staged, exist_ok=True)
            (shutil.copyfile if keep else os.replace)(path, os.path.join(staged, os.path.basename(path)))
    top = _find_top(staged, release, paths[0])
    for name, final in release.renamed.items():
        if os.path.exists(os.path.join(top, name)):
            os.replace(os.path.join(top, name), os.path.join(top, final))
    check_contents(top, release.contents, "not what was published")
    return top


def _find_top(staged, release, archive):
    """The directory in which the contents begin: archives have one more above, or not."""
    original = {final: name for name, final in release.renamed.items()}
    candidates = []
    for directory, below, _ in os.walk(staged):
        if os.path.relpath(directory, staged).count(os.sep) == MAX_DEPTH - 1:
            below.clear()
        missing = [
            name
            for name in find_missing(directory, release.contents)
            if find_missing(directory, [original.get(name, name)])
        ]
        if not missing:
            return directory
        candidates.append(missing)
    raise InputError(f"{archive}: lacks {name_some(min(candidates, key=len))}; expected {release.title}")


def _move(source, target):
    """Moves a file or directory; where a directory exists, what it lacks.

    Returns:
      The set of files that were there and stay.
    """
    if not os.path.lexists(target):
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        os.replace(source, target)
        return set()
    if not (os.path.isdir(source) and os.path.isdir(target)):
        return {target}
    kept = set()
    for name in os.listdir(source):
        kept |= _move(os.path.join(source, name), os.path.join(target, name))
    return kept


if __name__ == "__main__":
    define_flags()
    run(main)
