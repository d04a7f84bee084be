"""data_prep/archives.py: what archives may do, and what not."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from common.errors import InputError
from data_prep.published.archives import unpack

SUFFIXES = (".zip", ".tar.gz")


def make_archive(path, members):
    """Writes an archive of `(name, content)`, content bytes or, for other members, the type of `tarfile` and target."""
    if str(path).endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                member = zipfile.ZipInfo(name)
                if not isinstance(content, bytes):
                    kind = {tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}[content[0]]
                    member.external_attr = (kind | 0o777) << 16
                    content = content[1].encode()
                archive.writestr(member, content)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif isinstance(content, bytes):
                member.size, member.mode = len(content), 0o4755
            else:
                member.type, member.linkname = content
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def tree(directory):
    """The files below a directory: path to content."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def check_refused(tmp_path, path, message, max_bytes=1_000):
    """One line, and no file outside of the directory."""
    before = set(os.listdir(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        unpack(str(path), str(tmp_path / "out"), max_bytes)
    assert "\n" not in str(caught.value)
    assert set(os.listdir(tmp_path)) - before <= {"out"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files(tmp_path, suffix):
    members = [("a/", b""), ("a/b.txt", b"text"), ("./a/c/d", b""), ("e", b"1" * 3_000_000)]
    unpack(str(make_archive(tmp_path / f"x{suffix}", members)), str(tmp_path / "out"), 3_000_004)
    assert tree(tmp_path / "out") == {"a/b.txt": b"text", "a/c/d": b"", "e": b"1" * 3_000_000}
    assert os.stat(tmp_path / "out/a/b.txt").st_mode & 0o7111 == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_mac_adds_is_left_out(tmp_path, suffix):
    members = [("a/._b.txt", b"?"), ("__MACOSX/a/b.txt", b"?"), ("a/.DS_Store", b"?"), ("a/b.txt", b"text")]
    unpack(str(make_archive(tmp_path / f"x{suffix}", members)), str(tmp_path / "out"), 1_000)
    assert tree(tmp_path / "out") == {"a/b.txt": b"text"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..", "a\\..\\evil", "C:evil"])
def test_names_that_lead_elsewhere(tmp_path, suffix, name):
    path = make_archive(tmp_path / f"x{suffix}", [("good", b"1"), (name, b"2")])
    check_refused(tmp_path, path, "leads out of the archive")
    assert tree(tmp_path / "out") == {"good": b"1"}


@pytest.mark.parametrize(
    ("suffix", "kind", "message"),
    [
        (".zip", tarfile.SYMTYPE, "symbolic link"),
        (".zip", tarfile.FIFOTYPE, "special file"),
        (".tar.gz", tarfile.SYMTYPE, "symbolic or hard link"),
        (".tar.gz", tarfile.LNKTYPE, "symbolic or hard link"),
        (".tar.gz", tarfile.FIFOTYPE, "special file"),
        (".tar.gz", tarfile.CHRTYPE, "special file"),
    ],
)
def test_members_that_are_no_files(tmp_path, suffix, kind, message):
    """A link to a directory above, and then a file through it, is the usual way out."""
    path = make_archive(tmp_path / f"x{suffix}", [("way", (kind, "..")), ("way/evil", b"2")])
    check_refused(tmp_path, path, f"member 'way' is a {message}")
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_than_is_plausible(tmp_path, suffix):
    path = make_archive(tmp_path / f"x{suffix}", [("a", b"0" * 600), ("b", b"0" * 600)])
    check_refused(tmp_path, path, "unpacks to more than is plausible")


def test_a_header_that_fills_memory(tmp_path):
    member = tarfile.TarInfo("a")
    member.pax_headers = {"comment": "0" * 20_000_000}
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    check_refused(tmp_path, tmp_path / "x.tar.gz", "a header of 20,")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_members_in_the_place_of_others(tmp_path, suffix, names):
    path = make_archive(tmp_path / f"x{suffix}", [(name, b"1") for name in names])
    check_refused(tmp_path, path, "is there twice|below another that is a file")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no archive", lambda b: b""])
def test_damaged_archives(tmp_path, suffix, damage):
    path = make_archive(tmp_path / f"x{suffix}", [("a", os.urandom(900))])
    path.write_bytes(damage(path.read_bytes()))
    check_refused(tmp_path, path, "x(.zip|.tar.gz): damaged, or no archive")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_byte(tmp_path, suffix):
    """In data that are stored as they are: only the checksum shows it."""
    path = tmp_path / f"x{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", b"0123456789")
        path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123x56789"))
    else:
        plain = gzip.decompress(make_archive(path, [("a", b"0123456789")]).read_bytes())
        packed = gzip.compress(plain, compresslevel=0)
        path.write_bytes(packed.replace(b"0123456789", b"0123x56789"))
    check_refused(tmp_path, path, "damaged, or no archive")
