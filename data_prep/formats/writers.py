"""Annotated documents to files of each output format, one document at a time."""

import contextlib

from data_prep.formats.write_brat import open_brat
from data_prep.formats.write_lines import ConllWriter, JsonLinesWriter
from data_prep.formats.write_pubtator import PubTatorWriter

# What the name of a file ends with; of brat that of a directory.
EXTENSIONS = {
    "jsonl": ".jsonl",
    "pubtator": ".pubtator",
    "bioc_xml": ".bioc.xml",
    "bioc_json": ".bioc.json",
    "brat": ".brat",
    "conll": ".conll",
    "html": ".html",
}
FORMATS = tuple(EXTENSIONS)


def open_writer(output_format, output, models):
    """A context manager of an object whose `write(document)` appends a `Document`.

    The output is complete when the block ends without an exception. Memory does not grow with the number of documents.

    Args:
      output_format: one of FORMATS.
      output: a text file open for writing, in UTF-8 and without translation of line ends; for brat the path of a
        directory, which is made if it does not exist.
      models: the names of the models that annotated the documents, in the order of CoNLL's columns.

    Raises:
      InputError: a directory that cannot be written.
    """
    # Two are imported here: their libraries come with extras, which the other formats do without.
    if output_format == "html":
        from data_prep.formats.write_html import open_html

        return open_html(output)
    if output_format in ("bioc_xml", "bioc_json"):
        from data_prep.formats.write_bioc import open_bioc_json, open_bioc_xml

        return open_bioc_xml(output) if output_format == "bioc_xml" else open_bioc_json(output)
    if output_format == "brat":
        return open_brat(output)
    return contextlib.nullcontext(_open_lines(output_format, output, models))


def _open_lines(output_format, output, models):
    """A writer that leaves nothing to do at the end."""
    if output_format == "jsonl":
        return JsonLinesWriter(output)
    if output_format == "pubtator":
        return PubTatorWriter(output)
    if output_format == "conll":
        return ConllWriter(output, models)
    raise ValueError(f"output format {output_format!r}; expected one of {', '.join(FORMATS)}")
