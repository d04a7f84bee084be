"""The text of an article in JATS, the format of PubMed Central (NISO Z39.96; also its forerunner, the NLM DTD).

Title, abstracts, body, captions and notes below tables, with the back matter if wanted. References, table bodies,
formulas, footnotes and supplements are left out. Each block (paragraph, heading, caption, item of a list, ...) is a
paragraph of its own, also where it stands inside another one; all other elements are inline, and their text joins that
around them as it is.
"""

import functools
import html.entities
import re

from lxml import etree

from common.errors import InputError
from common.inputs import fold

# What an element is to the text around it.
INLINE, BLOCK, LABEL, SPACE, DROP, DROP_BLOCK, CAPTION_ONLY, APART = range(8)

_ROLES = {
    BLOCK: """abstract ack answer answer-set app app-group array article-title attrib back bio body boxed-text caption
        chem-struct-wrap chem-struct-wrapper code def def-head def-item def-list disp-formula-group disp-quote
        explanation fig fig-group floats-group floats-wrap fn fn-group glossary graphic legend list list-item media
        notes option p preformat question question-preamble question-wrap question-wrap-group sec sec-meta sig
        sig-block speech statement subtitle table-wrap-foot table-wrap-group term-head title verse-group verse-line""",
    # Begins the line that follows: the number of a section, the term of a definition. A float's is a line of its own.
    LABEL: "label speaker term",
    SPACE: "break",
    DROP: """alt-text alt-title chem-struct glyph-data index-term index-term-range-end inline-formula
        inline-graphic long-desc math object-id permissions private-char related-article
        rt tex-math""",
    # References may be anywhere: some articles cite in full in the text.
    DROP_BLOCK: """address aff citation citation-alternatives contrib-group disp-formula element-citation kwd-group
        mixed-citation nlm-citation product ref ref-list response sub-article supplementary-material table
        tbody tgroup thead""",
    # Whatever else is in it is the body, which need not be a `table`: it may be a list, or paragraphs.
    CAPTION_ONLY: "table-wrap",
}
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names.split()}
_CONDITIONAL = {"def", "fn", "label", "sup", "supplementary-material", "xref"}  # see _role_here
_MARKS = {"aff", "author-notes", "corresp", "fn", "table-fn"}  # values of @ref-type: signs of what is left out
_FLOATS = {"boxed-text", "fig", "fig-group", "media", "supplementary-material", "table-wrap", "table-wrap-group"}
_CAPTION = {"caption", "label", "table-wrap-foot"}
# Summaries for tables of contents, and repetitions of the abstract proper in another form.
_LESSER_ABSTRACTS = {"ascii", "atom", "precis", "rss", "section", "short", "teaser", "toc"}
# Values of @fn-type that make a note of the back matter a statement about the article, not a footnote to its text.
_STATEMENTS = set(
    """abbr com con coi-statement conflict current-aff edited-by equal financial-disclosure other
    participating-researchers present-address presented-at presented-by previously-at study-group-members
    supported-by""".split()
)
_PMC_ID = re.compile(r"(?:PMC)?([0-9]+)(?:\.([0-9]{1,18}))?")


@functools.lru_cache(maxsize=4096)
def local_name(tag):
    """The name of an element without its namespace."""
    return tag.rpartition("}")[2]


class _Writer:
    """Collects the text of elements as paragraphs."""

    def __init__(self, back_matter):
        self.paragraphs = []
        self._back_matter = back_matter
        self._line = []  # the text of the paragraph that is being read
        self._after_label = False  # the line holds nothing but a label, and what follows belongs to it
        self._gap = False  # something was left out of the line here
        self._in_foot = False  # of a table

    def _add(self, text):
        if not text:
            return
        if self._gap:
            self._gap = False
            # "a<inline-formula/>b": the words were apart before.
            if self._line and self._line[-1][-1].isalnum() and text[0].isalnum():
                self._line.append(" ")
        if self._after_label and not text.isspace():
            self._after_label = False
        self._line.append(text)

    def _end_line(self):
        if self._line:
            text = fold("".join(self._line))
            # Without a letter or digit it is punctuation that stood behind a formula.
            if any(map(str.isalnum, text)):
                self.paragraphs.append(text)
            self._line = []
        self._gap = self._after_label = False

    def _children(self, element):
        self._add(element.text)
        for child in element:
            if child.tag is etree.Entity:
                self._add(_entity_text(child))
            else:
                self.add_element(child, element)
            self._add(child.tail)

    def add_element(self, element, parent=None):
        """Adds the text of an element (without its tail)."""
        name = local_name(element.tag)
        role = _ROLE_OF.get(name, INLINE)
        if name in _CONDITIONAL:
            role = self._role_here(name, role, element, parent)
        if role == INLINE:
            self._children(element)
        elif role == BLOCK:
            if not self._after_label:
                self._end_line()
            self._children(element)
            self._end_line()
        elif role == LABEL:
            self._end_line()
            self._children(element)
            self._add(" ")
            self._after_label = True
        elif role == CAPTION_ONLY:
            self._end_line()
            for child in element:
                if child.tag is not etree.Entity and (part := local_name(child.tag)) in _CAPTION:
                    self._in_foot = part == "table-wrap-foot"
                    self.add_element(child, element)
            self._in_foot = False
            self._end_line()
        elif role == DROP_BLOCK:
            self._end_line()
        elif role == SPACE:
            self._add(" ")
        elif role == APART:
            self._gap = True
            self._children(element)
            self._gap = True
        else:
            self._gap = True

    def _role_here(self, name, role, element, parent):
        """What an element is whose role depends on where it stands."""
        above = None if parent is None else local_name(parent.tag)
        if name == "label":
            return BLOCK if above in _FLOATS else DROP if self._in_foot and above == "fn" else LABEL
        if name == "sup":  # without a label, the mark of a table's note
            begins = self._in_foot and element.getprevious() is None and not (parent.text or "").strip()
            return DROP if begins and above == "p" else role
        if name == "supplementary-material":
            return CAPTION_ONLY if self._back_matter else DROP_BLOCK
        if name == "fn":
            is_statement = above == "fn-group" and element.get("fn-type", "").lower() in _STATEMENTS
            return BLOCK if is_statement or self._in_foot else DROP
        if name == "xref":
            # The number of a reference is often raised behind a word without a space: "cells<sup>12</sup>".
            kind = element.get("ref-type")
            return DROP if kind in _MARKS else APART if kind == "bibr" else role
        # The long form in <abbrev>, which is not printed in the line.
        return DROP if above == "abbrev" else role

    def add_captions(self, element):
        """Adds the captions of figures and tables in an element and nothing else."""
        for child in element.iterchildren("*"):
            name = local_name(child.tag)
            if name in _FLOATS - {"boxed-text"}:
                self.add_element(child, element)
            elif _ROLE_OF.get(name) != DROP_BLOCK and name != "bio":
                self.add_captions(child)


def _entity_text(entity):
    """The characters of a named entity, which the DTD of JATS has from the ISO sets, as HTML has.

    Raises:
      InputError: the article declares the entity itself, or it has no known meaning.
    """
    line = f"line {entity.getparent().sourceline}"
    declared = entity.getroottree().docinfo.internalDTD.iterentities()
    if any(declaration.name == entity.name for declaration in declared):
        raise InputError(f"{line}: entity &{entity.name}; is declared in the file; such entities are not expanded")
    try:
        return html.entities.html5[f"{entity.name};"]
    except KeyError:
        raise InputError(f"{line}: entity &{entity.name}; is unknown; expected one of the ISO sets") from None


def read_paragraphs(article, back_matter):
    """The text of an article.

    Args:
      article: element `article`.
      back_matter: also what is in `back` (acknowledgements, glossary, appendices, statements of the authors) and
        the captions of supplements. Captions of figures and tables are read in any case, also where they are in `back`.

    Returns:
      A tuple of str, the paragraphs with white space folded.

    Raises:
      InputError: it is not JATS, or has a named entity that cannot be resolved (the message begins with the line).
    """
    front, body = article.find("{*}front"), article.find("{*}body")
    if front is None and body is None:
        raise InputError(f"line {article.sourceline}: article without front and body; expected JATS")
    writer = _Writer(back_matter)
    if front is not None:
        for element in front.iterfind("{*}article-meta/{*}title-group/{*}*"):
            if local_name(element.tag) in ("article-title", "subtitle"):
                writer.add_element(element)
        for abstract in front.iterfind("{*}article-meta/{*}abstract"):
            if abstract.get("abstract-type", "").lower() not in _LESSER_ABSTRACTS:
                writer.add_element(abstract)
    if body is not None:
        writer.add_element(body)
    for back in article.iterfind("{*}back"):
        (writer.add_element if back_matter else writer.add_captions)(back)
    for element in article.iterchildren("{*}floats-group", "{*}floats-wrap"):
        writer.add_element(element)
    return tuple(writer.paragraphs)


def read_id(article):
    """The id of an article ("pmc:PMC1234567", else "pmid:...", else "doi:...", else "") and its version."""
    found = {}
    for element in article.iterfind("{*}front/{*}article-meta/{*}article-id"):
        found.setdefault(element.get("pub-id-type", ""), fold("".join(element.itertext())))
    for kind in ("pmcid-ver", "pmcid", "pmc"):
        match = _PMC_ID.fullmatch(found.get(kind, ""))
        if match:
            return f"pmc:PMC{match[1]}", int(match[2] or 1)
    if found.get("pmid"):
        return f"pmid:{found['pmid']}", 1
    if found.get("doi"):
        return f"doi:{found['doi'].lower()}", 1
    return "", 1
