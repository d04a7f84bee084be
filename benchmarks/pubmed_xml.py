"""Speed of reading PubMed XML on one core, beside that of lxml's bare iterparse, and memory by size of the file.

    python -m benchmarks.pubmed_xml --text=../shared/data/text/abstracts_60mb.txt.xz

Makes files as NLM does of the abstracts of a text, with made-up journals, authors, subject headings and references
around them, 6.8 KB a record, and goes through each in three ways, in turn, in one process:

    iterparse   lxml with the same safe settings: every record is parsed and freed, nothing is taken
    documents   data_prep.formats.pubmed_xml.read_articles
    sentences   read_articles, and the sentences of the paragraphs joined to lines

Prints MB of XML (uncompressed) a second, medians, and ratios to the first; then the peak memory of a process that
goes the third way through a tenth of the file, and through all of it.

Expected (2 cores shared with other work, Python 3.11, half a minute): iterparse 102 MB/s, documents at 0.86 of it,
sentences at 0.48 (0.85 and 0.44 with --compressed=false); 48 MiB at both sizes.
"""

import gzip
import itertools
import lzma
import os
import random
import re
import resource
import statistics
import tempfile
import time
from concurrent import futures
from multiprocessing import get_context

from absl import flags
from lxml import etree
from lxml.builder import E

from common.errors import run
from common.xml_elements import SAFE
from data_prep.formats.pubmed_xml import Options, read_articles
from data_prep.text.sentences import load_sentence_splitter

SEED = 12345
HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January '
    '2024//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_240101.dtd">\n<PubmedArticleSet>\n'
)
LABELS = (("BACKGROUND", "BACKGROUND"), ("METHODS", "METHODS"), ("RESULTS", "RESULTS"), ("DISCUSSION", "CONCLUSIONS"))
WORDS = (
    "Applied Clinical Experimental Regional Human Comparative Genetics Medicine Biology Pharmacology Oncology "
    "Virology Epidemiology Receptors Proteins Kinases Antibodies Inhibitors Agents Disease Syndrome Animals Adult "
    "University Hospital Institute Department Center Research Berlin Boston Kyoto Leiden Toronto China Germany USA"
).split()


# Text


def read_abstracts(path, number):
    """Yields the first `number` lines of a lower-cased text, from the start again after its end, as they may have been.

    Sentences get capitals, and `<dig>`, which stands for a number in it, becomes one. Longer abstracts than most are
    cut, so that records have the usual length.
    """
    rng = random.Random(SEED)
    opened = lzma.open if path.endswith(".xz") else open
    while number > 0:
        with opened(path, "rt", encoding="utf-8") as file:
            for line in itertools.islice(file, number):
                text = re.sub("<[a-z]+>", lambda _: str(rng.randint(1, 500)), line[:1600].strip())
                yield re.sub(r"(?:^|(?<=[.?!] ))[a-z]", lambda match: match[0].upper(), text)
                number -= 1


# Records


def _phrase(rng, number):
    return " ".join(rng.choices(WORDS, k=number))


def _date(tag, rng, *more, **attributes):
    year, month, day = str(rng.randint(1975, 2023)), f"{rng.randint(1, 12):02d}", f"{rng.randint(1, 28):02d}"
    return E(tag, E.Year(year), E.Month(month), E.Day(day), *more, **attributes)


def _authors(rng):
    authors = [
        E.Author(
            E.LastName(rng.choice(WORDS)),
            E.ForeName(f"{rng.choice(WORDS)} {rng.choice('ABCDEFGH')}"),
            E.Initials("AB"),
            E.AffiliationInfo(E.Affiliation(f"{_phrase(rng, 5)}, {_phrase(rng, 4)}, {_phrase(rng, 2)}.")),
            ValidYN="Y",
        )
        for _ in range(rng.randint(1, 5))
    ]
    return E.AuthorList(*authors, CompleteYN="Y")


def _markup(element, text, rng):
    """Sets the text of an element, in one of five with a word in italics and a superscript."""
    words = text.split()
    if rng.random() < 0.8 or len(words) < 20:
        element.text = text
        return
    cut = rng.randint(5, len(words) - 5)
    element.text = " ".join(words[:cut]) + " "
    etree.SubElement(element, "i").text = words[cut]
    element[-1].tail = " of 10"
    etree.SubElement(element, "sup").text = str(rng.randint(2, 9))
    element[-1].tail = " " + " ".join(words[cut + 1 :])


def _abstract(text, rng):
    """One paragraph; in one of ten, four sections with labels."""
    labels = LABELS if rng.random() < 0.1 else [None]
    sentences = re.split(r"(?<=[.?!]) ", text)
    size = -(-len(sentences) // len(labels))
    abstract = E.Abstract()
    for number, label in enumerate(labels):
        section = etree.SubElement(abstract, "AbstractText")
        if label:
            section.set("Label", label[0])
            section.set("NlmCategory", label[1])
        _markup(section, " ".join(sentences[number * size : (number + 1) * size]), rng)
    if rng.random() < 0.3:
        abstract.append(E.CopyrightInformation(f"Copyright 2020 {_phrase(rng, 3)}."))
    return abstract


def _article(title, text, rng, has_abstract):
    issue = E.JournalIssue(E.Volume(str(rng.randint(1, 400))), _date("PubDate", rng), CitedMedium="Internet")
    article = E.Article(
        E.Journal(E.ISSN("1533-4406", IssnType="Electronic"), issue, E.Title(_phrase(rng, 4)), E.ISOAbbreviation("J")),
        E.ArticleTitle(title),
        E.Pagination(E.StartPage("1865"), E.EndPage("1876"), E.MedlinePgn("1865-76")),
        E.ELocationID(f"10.1056/j.{rng.randint(10**6, 10**8)}", EIdType="doi", ValidYN="Y"),
        PubModel="Print",
    )
    if has_abstract:
        article.append(_abstract(text, rng))
    types = [E.PublicationType(_phrase(rng, 2), UI="D016428") for _ in range(rng.randint(1, 3))]
    article.extend([_authors(rng), E.Language("eng"), E.PublicationTypeList(*types)])
    return article


def _headings(rng):
    headings = []
    for _ in range(rng.randint(1, 10)):
        heading = E.MeshHeading(E.DescriptorName(_phrase(rng, 2), UI=f"D{rng.randint(0, 10**6):06d}", MajorTopicYN="N"))
        if rng.random() < 0.4:
            heading.append(E.QualifierName(_phrase(rng, 1), UI="Q000188", MajorTopicYN="Y"))
        headings.append(heading)
    return E.MeshHeadingList(*headings)


def _pubmed_data(pmid, rng):
    history = [
        _date("PubMedPubDate", rng, E.Hour("6"), E.Minute("0"), PubStatus=status)
        for status in ("entrez", "pubmed", "medline")
    ]
    ids = E.ArticleIdList(E.ArticleId(pmid, IdType="pubmed"), E.ArticleId(f"10.1056/{pmid}", IdType="doi"))
    references = [
        E.Reference(
            E.Citation(f"{_phrase(rng, 9)}. 2011;{rng.randint(1, 99)}(2):100-7"),
            E.ArticleIdList(E.ArticleId(str(rng.randint(1, 38_000_000)), IdType="pubmed")),
        )
        for _ in range(rng.randint(5, 15) if rng.random() < 0.15 else 0)
    ]
    data = E.PubmedData(E.History(*history), E.PublicationStatus("ppublish"), ids)
    if references:
        data.append(E.ReferenceList(*references))
    return data


def make_record(pmid, line, rng, without_abstract):
    title, _, text = line.partition(". ")
    chemicals = [
        E.Chemical(E.RegistryNumber("0"), E.NameOfSubstance(_phrase(rng, 2), UI="D001993"))
        for _ in range(rng.randint(0, 3))
    ]
    citation = E.MedlineCitation(
        E.PMID(pmid, Version="1"),
        _date("DateCompleted", rng),
        _date("DateRevised", rng),
        _article(title[:200] + ".", text or title, rng, rng.random() >= without_abstract),
        E.MedlineJournalInfo(E.Country("United States"), E.MedlineTA("J"), E.NlmUniqueID("0255562")),
        E.ChemicalList(*chemicals),
        E.CitationSubset("IM"),
        _headings(rng),
        Status="MEDLINE",
        Owner="NLM",
    )
    return E.PubmedArticle(citation, _pubmed_data(pmid, rng))


def write_pubmed_xml(path, abstracts, seed, first_pmid=1, without_abstract=0.15, num_deleted=100):
    """Writes a file as NLM does, the same for the same arguments, a record at a time in memory.

    Args:
      path: the file; compressed if it ends in `.gz`.
      abstracts: iterable of texts, the first sentence of which becomes the title.
      seed: of what is made up.
      first_pmid: number of the first record; the others follow.
      without_abstract: share of the records that have a title only.
      num_deleted: numbers in DeleteCitation, which are above 90,000,000.

    Returns:
      The number of records.
    """
    rng = random.Random(seed)
    pmid = first_pmid
    with (gzip.open if path.endswith(".gz") else open)(path, "wt", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        for pmid, abstract in enumerate(abstracts, first_pmid):
            file.write(format_element(make_record(str(pmid), abstract, rng, without_abstract)))
        deleted = [E.PMID(str(90_000_000 + rng.randrange(10**6)), Version="1") for _ in range(num_deleted)]
        if deleted:
            file.write(format_element(E.DeleteCitation(*deleted)))
        file.write("</PubmedArticleSet>\n")
    return pmid - first_pmid + 1


def format_element(element):
    etree.indent(element, space="  ", level=1)
    return f"  {etree.tostring(element, encoding='unicode')}\n"


# Measures


def parse_only(path):
    """What `read_articles` adds to: the parser alone, its tree freed."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        tags = ("PubmedArticle", "PubmedBookArticle", "DeleteCitation")
        for _, element in etree.iterparse(file, events=("end",), tag=tags, **SAFE):
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


def parse_documents(path):
    for _ in read_articles(path, Options()):
        pass


def parse_to_sentences(path):
    split_sentences = load_sentence_splitter()
    characters = 0
    for _, document in read_articles(path, Options()):
        sentences = [text[start:end] for text in document.paragraphs for start, end in split_sentences(text)]
        characters += len("\n".join(sentences))
    return characters


def measure(paths):
    """Prints the speeds of the three ways, measured in turn so that other work on the machine meets all.

    Each file is read once by each way: the sentence splitter remembers what it has seen, and would be twice as fast
    on the same text again.
    """
    ways = {"iterparse": parse_only, "documents": parse_documents, "sentences": parse_to_sentences}
    seconds = {name: [] for name in ways}
    for path in paths:
        for name, way in ways.items():
            start = time.process_time()
            way(path)
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    size = statistics.median(map(_uncompressed_size, paths)) / 1e6
    for name, median in medians.items():
        ratio = medians["iterparse"] / median
        print(f"  {name:12s}{median:8.2f} s{size / median:8.1f} MB/s   x {ratio:.2f} of iterparse")


def _uncompressed_size(path):
    if not path.endswith(".gz"):
        return os.path.getsize(path)
    with gzip.open(path) as file:
        return file.seek(0, os.SEEK_END)


def _peak_memory(path):
    parse_to_sentences(path)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB; Linux gives KiB


def peak_memory(path):
    """Peak memory in MiB of a new process that reads the file to sentences."""
    with futures.ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_memory, path).result()


def main(_):
    values = flags.FLAGS
    load_sentence_splitter()("Loads. Before anything is measured.")
    extension = ".xml.gz" if values.compressed else ".xml"
    with tempfile.TemporaryDirectory() as directory:
        abstracts = read_abstracts(values.text, values.records * values.repeats)
        paths = [os.path.join(directory, f"{number}{extension}") for number in range(values.repeats)]
        for path in paths:
            write_pubmed_xml(path, itertools.islice(abstracts, values.records), SEED)
        small = os.path.join(directory, f"small{extension}")
        write_pubmed_xml(small, read_abstracts(values.text, values.records // 10), SEED)
        size = _uncompressed_size(paths[0])
        characters = sum(len("".join(d.paragraphs)) for _, d in read_articles(paths[0], Options()))
        print(
            f"{values.records:,} records, {extension}, {size / 1e6:.1f} MB of XML, {size / values.records:,.0f} bytes "
            f"a record, of which {characters / values.records:,.0f} characters of text; one core, medians of "
            f"{values.repeats} such files"
        )
        measure(paths)
        for path in (small, paths[0]):
            print(f"  peak memory, {_uncompressed_size(path) / 1e6:6.1f} MB: {peak_memory(path):.0f} MiB")


if __name__ == "__main__":
    flags.DEFINE_string("text", None, "Text, a lower-cased abstract a line; may be compressed (.xz).")
    flags.DEFINE_integer("records", 5000, "Records in a file.", lower_bound=10)
    flags.DEFINE_bool("compressed", True, "Compress the files with gzip, as NLM does.")
    flags.DEFINE_integer("repeats", 5, "Files, each with abstracts of its own.", lower_bound=1)
    flags.mark_flags_as_required(["text"])
    run(main)
