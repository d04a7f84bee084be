"""PubMed XML to text: one sentence a line, a blank line after each abstract.

    python -m data_prep.pubmed --input_file='pubmed/*.xml.gz' --output_file=pubmed.txt

takes title and abstract of each record; records without an abstract are left out. The text is what
`data_prep.create_pretraining_data` reads. Format: NLM's PubMed DTD (PubmedArticleSet).
"""

import dataclasses
import gzip
import os
import sys

from absl import flags
from lxml import etree

from common.errors import InputError, run
from common.files import atomic_write, expand_patterns, make_directory
from common.progress import progress

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Record:
    """What a PubMed record says, white space folded."""

    pmid: str
    title: str
    abstract: list  # a text a section; empty if the record has none


def define_flags():
    flags.DEFINE_string("input_file", None, "PubMed XML files, .xml or .xml.gz: patterns, separated by commas.")
    flags.DEFINE_string("output_file", None, "Text file to write.")
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    split_sentences = sentence_splitter()
    input_files = expand_patterns(FLAGS.input_file)
    make_directory(os.path.dirname(FLAGS.output_file) or ".")
    written = left_out = sentences = 0
    with atomic_write(FLAGS.output_file) as output, progress("PubMed", unit="record") as bar:
        for path in input_files:
            for record in read_records(path):
                bar.update()
                if not record.abstract:
                    left_out += 1
                    continue
                lines = [s for text in (record.title, *record.abstract) for s in split_sentences(text)]
                output.write("\n".join(lines) + "\n\n")
                written, sentences = written + 1, sentences + len(lines)
    if not written:
        raise InputError(f"{FLAGS.input_file}: no record with an abstract in {len(input_files)} files")
    print(
        f"{FLAGS.output_file}: {written:,} records, {sentences:,} sentences; "
        f"{left_out:,} records without an abstract left out"
    )


def sentence_splitter():
    """A function from a text to its sentences, white space around them removed.

    By nupunkt, which knows the abbreviations of scientific text and needs no model download.
    """
    try:
        from nupunkt import sent_tokenize
    except ImportError:
        version = ".".join(map(str, sys.version_info[:2]))
        raise InputError(f"Python {version}: splitting sentences needs Python 3.11 or later") from None
    return lambda text: [stripped for s in sent_tokenize(text) if (stripped := s.strip())]


def read_records(path):
    """Yields a `Record` for each article of a PubMed XML file, one at a time in memory.

    Entities are not expanded and nothing is fetched.

    Raises:
      InputError: the file is missing, truncated or not well-formed, with the line.
    """
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            events = etree.iterparse(
                file,
                events=("end",),
                tag=("PubmedArticle", "PubmedBookArticle"),
                resolve_entities=False,
                load_dtd=False,
                no_network=True,
                huge_tree=False,
                remove_comments=True,
                remove_pis=True,
            )
            for _, article in events:
                yield _record(article)
                article.clear()
                while article.getprevious() is not None:
                    del article.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: not well-formed XML ({error.msg})") from None
    except EOFError:
        raise InputError(f"{path}: truncated gzip file; download it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _record(article):
    abstract = [_text(section) for section in article.iterfind(".//Abstract/AbstractText")]
    title = article.find(".//ArticleTitle")
    return Record(
        pmid=article.findtext(".//PMID", default=""),
        title="" if title is None else _text(title),
        abstract=[text for text in abstract if text],
    )


def _text(element):
    """All text below an element, inline markup left out, runs of white space folded."""
    return " ".join("".join(element.itertext()).split())


if __name__ == "__main__":
    define_flags()
    run(main)
