"""Reads plain text of any corpus into text for pre-training.

    python -m data_prep.plain_text --input_file='notes/*.txt.gz' --text_format=lines --output_file=notes_sentences.txt

Writes a sentence a line and a blank line between documents. `--text_format` says what the input is: `paragraphs` (one
a line, a blank line between documents), `lines` (each a document), or `sentences` (as the output). Files that end in
.gz, .bz2 or .xz are read as compressed.
"""

from absl import flags

from common.errors import run
from common.inputs import expand_patterns
from data_prep.corpus import text_documents
from data_prep.corpus.extraction import extract_to_file
from data_prep.corpus.sources import Reading, Sources, define_source_flags, reading_options

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("input_file", None, "Text files: paths or patterns, separated by commas.")
    flags.DEFINE_string("output_file", None, "Text file to write.")
    flags.DEFINE_enum("invalid_utf8", "error", ["error", "drop"], "What to do with bytes that are not UTF-8.")
    text_documents.define_reader_flags()
    define_source_flags()
    flags.mark_flags_as_required(["input_file", "output_file"])


def main(_):
    sources = Sources(
        text_files=tuple(expand_patterns(FLAGS.input_file)),
        reading=Reading(text=text_documents.reader_options(FLAGS), **reading_options(FLAGS)),
    )
    print(extract_to_file(sources, FLAGS.output_file, FLAGS.num_processes))


if __name__ == "__main__":
    define_flags()
    run(main)
