"""What every reader of a corpus (PubMed, PMC, plain text) gives: documents of paragraphs."""

import dataclasses

DELETED = "deleted"  # why a document is left out: its publisher has withdrawn it


@dataclasses.dataclass(frozen=True)
class Document:
    """A document, or the news that there is none (or none any more)."""

    id: str  # the same in all versions, "pubmed:29768149"; "": it has none, and no other document replaces it
    version: int  # the highest counts; of several of one version the one read last; DELETED: 0 means all versions
    paragraphs: tuple[str, ...]  # not empty, white space folded to single spaces; no sentence goes across two
    left_out: str = ""  # why it is not for the corpus: DELETED, "without abstract", ...


def raise_error(error):
    """What a reader does with a bad file unless told otherwise."""
    raise error


def fold(text):
    """Returns the text with each run of white space as one space, and none around it."""
    return " ".join(text.split())
