r"""Reads PubMed XML, as downloaded from NLM, into text for pre-training.

    python -m data_prep.pubmed --input_file='baseline/*.xml.gz,updatefiles/*.xml.gz' --output_file=pubmed.txt \
        --num_processes=8

Writes a sentence a line and a blank line between records: the title, then the abstract. Of a PMID in several files the
newest version counts, and those in DeleteCitation are left out; so are records without an abstract.
`data_prep.create_pretraining_data` reads the output.
"""

from absl import flags

from common.errors import run
from common.inputs import expand_patterns
from data_prep.corpus.extraction import extract_to_file
from data_prep.corpus.sources import Reading, Sources, define_source_flags, reading_options
from data_prep.formats import pubmed_xml

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("input_file", None, "PubMed XML files, .xml or .xml.gz: paths or patterns, comma-separated.")
    flags.DEFINE_string("output_file", None, "Text file to write.")
    pubmed_xml.define_reader_flags()
    define_source_flags()
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    sources = Sources(
        pubmed_files=tuple(pubmed_xml.file_order(dict.fromkeys(expand_patterns(FLAGS.input_file)))),
        reading=Reading(pubmed=pubmed_xml.reader_options(FLAGS), **reading_options(FLAGS)),
    )
    print(extract_to_file(sources, FLAGS.output_file, FLAGS.num_processes))


if __name__ == "__main__":
    define_flags()
    run(main)
