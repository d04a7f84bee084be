"""Reads PubMed XML (as downloaded from NLM, `.xml` or `.xml.gz`) into text for pre-training.

    python -m data_prep.pubmed --input_file='pubmed/*.xml.gz' --output_file=pubmed.txt

Writes a sentence a line and a blank line between records: the title, then the abstract. Records without an
abstract are left out and counted. `data_prep.create_pretraining_data` reads the output.
"""

import dataclasses

from absl import flags

from common.errors import run
from common.files import atomic_write, expand_patterns
from common.progress import progress
from data_prep.sentences import load_sentence_splitter
from data_prep.xml_elements import read_elements

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

    Raises:
      InputError: as `read_elements`: a file that cannot be read, or is not PubMed XML.
    """
    for article in read_elements(path, "PubmedArticle", "PubmedArticleSet"):
        record = _parse_record(article)
        if record is not None:
            yield record


def read_files(paths, bar):
    """Yields the records of several files, advancing a progress bar."""
    for path in paths:
        for record in read_records(path):
            bar.update()
            yield record


def write_text(records, output, split_sentences):
    """Writes a sentence a line, the title first, and a blank line between records.

    Args:
      records: iterable of Record.
      output: a text file open for writing.
      split_sentences: as of `load_sentence_splitter`.

    Returns:
      Counts.
    """
    counts = Counts()
    for record in records:
        if not record.abstract:
            counts.without_abstract += 1
            continue
        paragraphs = [record.title, *record.abstract]
        sentences = [paragraph[start:end] for paragraph in paragraphs for start, end in split_sentences(paragraph)]
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
