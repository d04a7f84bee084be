"""Reads articles of PubMed Central's Open Access subset into text for pre-training.

    python -m data_prep.pmc --input_file='oa_comm/*.tar.gz' --output_file=pmc.txt --num_processes=8

`--input_file` names JATS articles (.nxml, .xml), directories of them and the archives as PMC distributes them, which
are read without unpacking. Writes a sentence a line and a blank line between articles: title, abstract, body and
captions; with `--back_matter` acknowledgements, glossaries, appendices and the like as well.
"""

from absl import flags

from common.errors import run
from common.inputs import expand_patterns
from data_prep.corpus.extraction import extract_to_file
from data_prep.corpus.sources import Reading, Sources, define_source_flags, reading_options
from data_prep.formats import pmc_articles

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string(
        "input_file", None, "Articles, directories of them and archives: paths or patterns, separated by commas."
    )
    flags.DEFINE_string("output_file", None, "Text file to write.")
    pmc_articles.define_reader_flags()
    define_source_flags()
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    sources = Sources(
        pmc_files=tuple(dict.fromkeys(expand_patterns(FLAGS.input_file, pmc_articles.list_files))),
        reading=Reading(pmc=pmc_articles.reader_options(FLAGS), **reading_options(FLAGS)),
    )
    print(extract_to_file(sources, FLAGS.output_file, FLAGS.num_processes))


if __name__ == "__main__":
    define_flags()
    run(main)
