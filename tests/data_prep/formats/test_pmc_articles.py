"""data_prep/pmc_articles.py: files and archives of PubMed Central."""

import collections
import gzip
import hashlib
import io
import re
import tarfile
import unicodedata

import pytest

from common.errors import InputError
from data_prep.formats import pmc_articles
from data_prep.formats.document import Article
from data_prep.formats.pmc_articles import Options, is_archive, list_files, read_articles

OPTIONS = Options()


def article(number, text="Text."):
    return (
        f'<article><front><article-meta><article-id pub-id-type="pmc">{number}</article-id></article-meta></front>'
        f"<body><p>{text}</p></body></article>"
    ).encode()


def document(number, text="Text."):
    return Article(f"pmc:PMC{number}", 1, (text,))


@pytest.fixture
def write(tmp_path):
    """Writes bytes to a file and returns its path as a string."""

    def write_file(name, content):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write_file


def pack(members, mode="w:gz"):
    """The bytes of an archive of (name, bytes); other things are TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


MEMBERS = [
    ("PMC/license.txt", b"text"),
    *((f"PMC/PMC{number}.{'n' * (number % 2)}xml", article(number)) for number in range(7)),
    ("PMC/PMC1.pdf", b"%PDF"),
]


# Files


def test_files(write):
    paths = [write("a.nxml", article(1)), write("b.xml.gz", gzip.compress(article(2))), write("c.xml", article(3))]
    assert list(read_articles(paths, OPTIONS)) == [(n, document(n + 1)) for n in range(3)]


def test_a_file_of_several_articles(write):
    path = write("set.xml", b"<articles>" + article(1) + b"\n" + article(2) + b"</articles>")
    assert list(read_articles([path], OPTIONS)) == [(0, document(1)), (0, document(2))]


def test_an_article_without_text(write):
    (result,) = read_articles([write("a.xml", article(1, " "))], OPTIONS)
    assert result == (0, Article("pmc:PMC1", 1, (), "without text"))


def test_back_matter(write):
    path = write("a.xml", article(1).replace(b"</article>", b"<back><ack><p>Thanks.</p></ack></back></article>"))
    assert [d.paragraphs for _, d in read_articles([path], Options(back_matter=True))] == [("Text.", "Thanks.")]
    assert [d.paragraphs for _, d in read_articles([path], OPTIONS)] == [("Text.",)]


def test_other_encodings(write):
    text = '<?xml version="1.0" encoding="{}"?><article><body><p>déjà</p></body></article>'
    paths = [write(f"{name}.xml", text.format(name).encode(name)) for name in ("utf-16", "iso-8859-1")]
    assert [d.paragraphs for _, d in read_articles(paths, OPTIONS)] == [("déjà",), ("déjà",)]


BOMB = (
    b'<!DOCTYPE article [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>\n'
    b"<article><body><p>&c;</p></body></article>"
)
BAD = [
    (b"<article>\n<body><p>x</body></article>", ", line 2: not well-formed XML: Opening and ending tag mismatch"),
    (article(1)[:60], ", line 1: not well-formed XML"),
    (b"", ", line 1: not well-formed XML"),
    (
        b"<article><body><p>a &alpha; b</p></body></article>",
        ", line 1: not well-formed XML: Entity 'alpha'",
    ),
    (b'<?xml version="1.0" encoding="klingon"?><article/>', ", line 1: not well-formed XML: Unsupported encoding"),
    (article(1, "X").replace(b"X", b"\xff"), ", line 1: not well-formed XML: .*[Ee]ncoding"),
    (b"<html/>", ", line 1: root element html; expected article"),
    (b"<article/>", ", line 1: article without front and body"),
    (b"<article><body>" + b"<italic>" * 3000 + b"</italic>" * 3000 + b"</body></article>", ", line 1: .*depth"),
    (BOMB, ", line 2: entity &c; is declared in the file"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_files(write, content, message):
    path = write("bad.xml", content)
    with pytest.raises(InputError, match=re.escape(path) + message):
        list(read_articles([path], OPTIONS))
    errors = []
    paths = [write("a.xml", article(1)), path, write("b.xml", article(2))]
    assert list(read_articles(paths, OPTIONS, bad_file=errors.append)) == [(0, document(1)), (2, document(2))]
    assert [re.search(message, str(error)) is not None for error in errors] == [True]
    assert "\n" not in str(errors[0])


def test_a_truncated_gzip_file(write):
    path = write("a.xml.gz", gzip.compress(article(1))[:-9])
    with pytest.raises(InputError, match=re.escape(path) + ": cannot be read .Compressed file ended"):
        list(read_articles([path], OPTIONS))


def test_nothing_is_read_from_outside(write, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for declaration in (
        f'<!DOCTYPE article [<!ENTITY x SYSTEM "{tmp_path}/secret">]>',
        f'<!DOCTYPE article SYSTEM "{tmp_path}/dtd">',
    ):
        (tmp_path / "dtd").write_text('<!ENTITY x "secret">')
        path = write("a.xml", declaration.encode() + article(1, "a &x; b"))
        with pytest.raises(InputError, match="entity &x; is (declared|unknown)"):
            list(read_articles([path], OPTIONS))


def test_a_file_that_never_ends(write, monkeypatch):
    monkeypatch.setattr(pmc_articles, "MAX_ARTICLE_BYTES", 3_000_000)
    many = b"<articles>" + article(1, "word " * 100_000) * 8 + b"</articles>"
    assert len(list(read_articles([write("many.xml", many)], OPTIONS))) == 8  # 4 MB, but not in one article
    path = write("large.xml.gz", gzip.compress(article(1, "<p>x</p>" * 500_000)))
    with pytest.raises(InputError, match=re.escape(path) + ": an article of more than 3 MB"):
        list(read_articles([path], OPTIONS))


# Lists of files


def test_list_files(write, tmp_path):
    names = ["b/x.NXML", "a/y.xml", "a/z.txt", "b/c/q.tar.gz", "w.xml.gz", "v.tgz", "u.tar"]
    paths = {name: write(name, b"") for name in names}
    expected = [paths[name] for name in ("a/y.xml", "b/c/q.tar.gz", "b/x.NXML", "u.tar", "v.tgz", "w.xml.gz")]
    assert list_files(str(tmp_path)) == expected
    assert list_files(paths["v.tgz"]) == [paths["v.tgz"]]
    assert [is_archive(path) for path in expected] == [False, True, False, True, True, False]


def test_nothing_to_list(write, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, message in (
        (str(tmp_path / "empty"), "no articles in this directory; expected files .nxml"),
        (str(tmp_path / "missing.xml"), "no such file or directory"),
        (write("a.pdf", b""), "unknown extension; expected .nxml"),
    ):
        with pytest.raises(InputError, match=f"{re.escape(path)}: {message}"):
            list_files(path)


# Archives


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")])
def test_an_archive(write, name, mode):
    path = write(name, pack(MEMBERS, mode))
    assert list(read_articles([path], OPTIONS)) == [(n, document(n)) for n in range(7)]


@pytest.mark.parametrize("parts", [1, 2, 3, 10])
def test_parts_of_an_archive(write, parts):
    members = list(MEMBERS)
    members[3] = (members[3][0], b"<bad>")
    paths = [write("a.tar.gz", pack(members)), write("b.xml", article(7))]
    found, errors = [], []
    for part in range(parts):
        documents = list(read_articles(paths, OPTIONS, part, parts, errors.append))
        assert [number % parts for number, _ in documents] == [part] * len(documents)
        found += documents
    assert sorted(found) == [(n, document(n)) for n in (0, 1, 3, 4, 5, 6, 7)]
    assert [str(error).split(":")[0] for error in errors] == [f"{paths[0]}, PMC/PMC2.xml, line 1"]


def test_no_name_in_an_archive_becomes_a_path(write, tmp_path):
    (tmp_path / "outside.xml").write_bytes(article(99))
    members = [
        ("../escape.xml", article(1)),
        (f"{tmp_path}/absolute.xml", article(2)),
        link("link.xml", f"{tmp_path}/outside.xml"),
        ("good.xml", article(3)),
    ]
    path = write("in/a.tar.gz", pack(members))
    before = sorted(tmp_path.rglob("*"))
    assert [d for _, d in read_articles([path], OPTIONS)] == [document(1), document(2), document(3)]
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent / "escape.xml").exists()


def test_a_bad_member_is_named(write):
    path = write("a.tar.gz", pack([*MEMBERS[:4], ("PMC/bad.xml", b"<article>\n<body>"), *MEMBERS[4:]]))
    with pytest.raises(InputError, match=re.escape(f"{path}, PMC/bad.xml, line 2: not well-formed XML")):
        list(read_articles([path], OPTIONS))
    errors = []
    numbers = [number for number, _ in read_articles([path], OPTIONS, bad_file=errors.append)]
    assert (numbers, len(errors)) == ([0, 1, 2, 4, 5, 6, 7], 1)


def test_a_large_member(write, monkeypatch):
    monkeypatch.setattr(pmc_articles, "MAX_ARTICLE_BYTES", 100_000)
    path = write("a.tar.gz", pack([("large.xml", article(1, "<p>x</p>" * 50_000)), ("b.xml", article(2))]))
    errors = []
    assert list(read_articles([path], OPTIONS, bad_file=errors.append)) == [(1, document(2))]
    assert str(errors[0]).startswith(f"{path}, large.xml: an article of more than")


def test_a_header_that_would_fill_the_memory(write):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    data = header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)
    with pytest.raises(InputError, match="after 0 articles .*a header of 1,099,511,627,776 bytes"):
        list(read_articles([write("a.tar", data)], OPTIONS))


def test_names_of_members_cannot_write_on_the_terminal(write):
    path = write("a.tar.gz", pack([("a\x1b[2J\n.xml", b"<article>")]))
    with pytest.raises(InputError, match=re.escape(f"{path}, a?[2J?.xml, line 1: not well-formed XML")):
        list(read_articles([path], OPTIONS))


def offset_of(archive, number):
    """Where the header of a member begins."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getmembers()[number].offset


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        (lambda data: data[: offset_of(data, 4)], 3),  # between two members: no block is incomplete
        (lambda data: data[: offset_of(data, 4) + 300], 3),  # in a header
        (lambda data: data[: offset_of(data, 4) + 600], 3),  # in an article
        (lambda data: data[: offset_of(data, 4)] + b"x" * 512 + data[offset_of(data, 4) + 512 :], 3),  # a bad header
        (lambda data: data + data, 7),  # a second archive behind it, which nobody would see
        (lambda data: b"no archive", 0),
        (lambda data: b"", 0),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_archive(write, cut, kept, compress):
    data = cut(pack(MEMBERS, "w"))
    path = write("a.tar.gz", gzip.compress(data) if compress else data)
    message = re.escape(f"{path}: truncated or corrupt archive after {kept} articles (")
    with pytest.raises(InputError, match=message):
        list(read_articles([path], OPTIONS))
    found, errors = [], []
    for part in range(3):
        found += read_articles([path], OPTIONS, part, 3, errors.append)
    assert sorted(found) == [(n, document(n)) for n in range(kept)]
    assert [re.match(message, str(error)) is not None for error in errors] == [True]


@pytest.mark.parametrize("cut", [slice(None, -9), slice(None, -4), slice(None, 1500)])
def test_a_truncated_compressed_archive(write, cut):
    # What hardly can be compressed, so that the first 1,500 bytes hold some of the articles and not all.
    names = [hashlib.sha512(bytes([number])).hexdigest() for number in range(40)]
    data = pack([(f"{number}.xml", article(number, name)) for number, name in enumerate(names)])
    path = write("a.tar.gz", data[cut])
    errors = []
    found = list(read_articles([path], OPTIONS, bad_file=errors.append))
    assert found == [(n, document(n, names[n])) for n in range(len(found))]
    assert len(found) > 5
    assert [str(error) for error in errors] == [
        f"{path}: truncated or corrupt archive after {len(found)} articles "
        "(Compressed file ended before the end-of-stream marker was reached)"
    ]


def test_an_altered_compressed_archive(write):
    data = bytearray(pack(MEMBERS))
    data[-6] ^= 1  # in the checksum
    path = write("a.tar.gz", bytes(data))
    with pytest.raises(InputError, match="truncated or corrupt archive after 7 articles .CRC"):
        list(read_articles([path], OPTIONS))


def test_archives_without_articles(write):
    for path, message in (
        (write("a.tar.gz", pack(MEMBERS[:1])), "no articles in this archive; expected members .nxml, .xml"),
        ("no/such.tar.gz", "cannot be read .No such file"),
    ):
        with pytest.raises(InputError, match=f"{re.escape(path)}: {message}"):
            list(read_articles([path], OPTIONS))


# Real articles


def count_words(text):
    """Words with multiplicity: letters, digits and `_` in a row, of the same form if Unicode calls them compatible."""
    return collections.Counter(re.findall(r"\w+", unicodedata.normalize("NFKC", text)))


def test_articles_against_their_curated_text(shared):
    paths = [str(path) for path in sorted(shared.glob("data/pmc/PMC*.nxml"))]
    assert len(paths) == 10
    total = collections.Counter()
    print(f"\n{'article':>24}  curated  read  missing  recall  not in it")
    for (_, found), path in zip(read_articles(paths, Options(back_matter=True)), paths, strict=True):
        with open(path.replace(".nxml", ".txt"), encoding="utf-8") as file:
            curated = count_words(file.read())
        words = count_words("\n".join(found.paragraphs))
        counts = [counter.total() for counter in (curated, words, curated - words, words - curated)]
        total.update(dict(zip(("curated", "read", "missing", "added"), counts, strict=True)))
        print_row(path.rsplit("/", 1)[-1], *counts)
        assert counts[2] <= 0.005 * counts[0], path
        assert counts[3] <= 0.001 * counts[1], path
    print_row("total", *total.values())
    assert total["missing"] <= 0.003 * total["curated"]


def print_row(name, curated, words, missing, added):
    print(
        f"{name:>24}  {curated:7} {words:5} {missing:8}  {1 - missing / curated:.4f}  {added:3} ({added / words:.2%})"
    )


def test_without_back_matter_less_is_read(shared):
    path = str(shared / "data/pmc/PMC1084331.nxml")
    ((_, found),) = read_articles([path], OPTIONS)
    text = "\n".join(found.paragraphs)
    assert found.id == "doi:10.1371/journal.pbio.0030159"
    assert "Replacement of Er81 by EWS-Pea3" in found.paragraphs  # a caption that is in the back
    for left_out in ("Author contributions", "Columbia University", "Click here", "Figure S1\n"):
        assert left_out not in text


def test_articles_of_other_journals(shared):
    names = ["1471-2180-11-174", "1472-6831-8-11", "6605965a", "ehp-116-1694", "mds526", "pntd.0002065"]
    names += ["pone.0000217", "pone.0046493"]
    documents = [d for _, d in read_articles([str(shared / f"data/pmc/{name}.nxml") for name in names], OPTIONS)]
    ids = ["3166277", "2329613", "2994229", "2599765", "3574550", "3585041", "1790863", "3460867"]
    assert [d.id for d in documents] == [f"pmc:PMC{number}" for number in ids]
    assert documents[0].paragraphs[0] == "Factors influencing lysis time stochasticity in bacteriophage λ"
    for d in documents:
        assert len(d.paragraphs) > 25
        # No two blocks in one line: "... end.Begin ..."
        assert not [p for p in d.paragraphs if re.search(r"[a-z]{3}[.:;][A-Z][a-z]{3}", p)]


def test_links_are_followed_once(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "2.nxml").write_text("")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.nxml").write_text("")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert list_files(str(tmp_path / "in")) == [f"{tmp_path}/in/1.nxml", f"{tmp_path}/in/link/2.nxml"]


def test_program(run_process, repository, tmp_path):
    arguments = ("-m", "data_prep.pmc", f"--output_file={tmp_path}/out.txt", "--sentence_splitter=none")
    result = run_process(*arguments, f"--input_file={repository}/samples/pmc", "--num_processes=2")
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[:2] == ["Loss of SOX9 and glucose uptake in nephropathy", "Background"]
    assert "Expression of SOX9 fell by 40% in CD4+ cells (P < 0.01)." in lines
    assert not [line for line in lines if "thank" in line or "not part of" in line]
    assert lines.count("") == 1
    result = run_process(*arguments, f"--input_file={repository}/samples/pmc", "--back_matter")
    assert "We thank the patients." in (tmp_path / "out.txt").read_text().splitlines()
    result = run_process(*arguments, f"--input_file={repository}/README.md")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"error: {repository}/README.md: unknown extension; expected .nxml"
    )
