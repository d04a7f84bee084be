"""Reads PubMed XML (as downloaded from NLM, `.xml` or `.xml.gz`) into text for pre-training.

    python -m data_prep.pubmed --input_file='pubmed/*.xml.gz' --output_file=pubmed.txt

Writes a sentence a line and a blank line between records: the title, then the abstract. Records without an
abstract are left out and counted. `data_prep.create_pretraining_data` reads the output.
"""

import dataclasses
import gzip
import sys
import zlib

from absl import flags
from lxml import etree

from common.errors import InputError, run
from common.files import atomic_write, expand_patterns
from common.progress import progress

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Record:
    """A citation; `abstract` holds the text of each section (one if it is not structured, none if missing)."""

    pmid: str
    title: str
    abstract: list


@dataclasses.dataclass
class Counts:
    """What was written and what was left out."""

    documents: int = 0
    sentences: int = 0
    without_abstract: int = 0


def fold_text(element):
    """The text of an element and of its inline tags with white space folded; "" if there is no element."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _parse_record(article):
    citation = article.find("MedlineCitation")
    if citation is None:
        return None
    sections = map(fold_text, citation.iterfind("Article/Abstract/AbstractText"))
    return Record(
        pmid=fold_text(citation.find("PMID")),
        title=fold_text(citation.find("Article/ArticleTitle")),
        abstract=[section for section in sections if section],
    )


def read_records(path):
    """Yields the records of a PubMed XML file, one at a time in memory.

    Entities from outside the file are not read and those declared in it are not expanded.

    Raises:
      InputError: the file cannot be read, is not well-formed (with the line), or holds no PubMed records.
    """
    found = False
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            articles = etree.iterparse(
                file,
                events=("end",),
                tag="PubmedArticle",
                resolve_entities=False,
                load_dtd=False,
                no_network=True,
                huge_tree=False,
                remove_comments=True,
                remove_pis=True,
            )
            for _, article in articles:
                found = True
                record = _parse_record(article)
                # Free what was read, or the tree grows to the size of the file.
                article.clear()
                while article.getprevious() is not None:
                    del article.getparent()[0]
                if record is not None:
                    yield record
            root = articles.root
    except etree.XMLSyntaxError as error:
        raise InputError(f"{path}, line {error.lineno or 1}: not well-formed XML: {error.msg}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not found and root.tag != "PubmedArticleSet":
        raise InputError(f"{path}, line 1: root element {root.tag}; expected PubmedArticleSet")


def read_files(paths, bar):
    """Yields the records of several files, advancing a progress bar."""
    for path in paths:
        for record in read_records(path):
            bar.update()
            yield record


def load_sentence_splitter():
    """Returns a function from a paragraph to the list of its sentences.

    Raises:
      InputError: Python is older than 3.11, which the library needs.
    """
    if sys.version_info < (3, 11):
        raise InputError(
            f"Python {sys.version_info.major}.{sys.version_info.minor}: splitting sentences needs the library "
            "nupunkt; expected Python 3.11 or later"
        )
    import nupunkt

    return nupunkt.sent_tokenize


def write_text(records, output, split_sentences):
    """Writes a sentence a line, the title first, and a blank line between records.

    Args:
      records: iterable of Record.
      output: a text file open for writing.
      split_sentences: function from a string to a list of strings.

    Returns:
      Counts.
    """
    counts = Counts()
    for record in records:
        if not record.abstract:
            counts.without_abstract += 1
            continue
        paragraphs = [record.title, *record.abstract]
        sentences = [s.strip() for paragraph in paragraphs for s in split_sentences(paragraph)]
        sentences = [sentence for sentence in sentences if sentence]
        if counts.documents:
            output.write("\n")
        output.writelines(sentence + "\n" for sentence in sentences)
        counts.documents += 1
        counts.sentences += len(sentences)
    return counts


def define_flags():
    flags.DEFINE_string("input_file", None, "PubMed XML files, .xml or .xml.gz: paths or globs, comma-separated.")
    flags.DEFINE_string("output_file", None, "Text file to write.")
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    split_sentences = load_sentence_splitter()
    paths = expand_patterns(FLAGS.input_file)
    with atomic_write(FLAGS.output_file) as output, progress("PubMed", unit="record") as bar:
        counts = write_text(read_files(paths, bar), output, split_sentences)
    print(
        f"{len(paths)} files: {counts.documents} documents, {counts.sentences} sentences written to "
        f"{FLAGS.output_file}; {counts.without_abstract} records without abstract left out"
    )


if __name__ == "__main__":
    define_flags()
    run(main)
