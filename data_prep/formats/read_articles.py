"""PubMed records and PMC articles as documents. Their text is what their XML says: white space is folded."""

from common.errors import InputError
from common.xml_elements import read_elements
from data_prep.formats import pmc_articles, pubmed_xml
from data_prep.formats.document import Document
from data_prep.formats.pubmed_xml import text_of
from data_prep.formats.read_source import as_file, base_name, name_of


def join_paragraphs(texts):
    """Joins paragraphs with newlines; returns `(text, spans)`."""
    spans, offset = [], 0
    for text in texts:
        spans.append((offset, offset + len(text)))
        offset += len(text) + 1
    return "\n".join(texts), tuple(spans)


def read_pubmed(path, bad_document):
    """Yields the records of a PubMed XML file, one at a time in memory, also those of books.

    The paragraphs are the title and the sections of the abstract; a record without them has an empty text. The id is
    the PMID. Deletions, and abstracts in other languages, are left out.

    Args:
      path: the file, compressed or not, or "-".
      bad_document: called with what is wrong with a record (no PMID), which is then left out.

    Raises:
      InputError: the file cannot be read or is not PubMed XML; where it breaks off, after what came before.
    """
    with as_file(path, bad_document) as (file, bad_record):
        for element in read_elements(file, pubmed_xml.RECORDS + pubmed_xml.WRAPPERS, pubmed_xml.ROOTS):
            try:
                if element.tag in pubmed_xml.RECORDS:
                    yield _record(element, path)
                elif not any(child.tag in pubmed_xml.RECORDS for child in element):
                    expected = " or ".join(pubmed_xml.RECORDS)
                    raise InputError(f"{_where(path, element)} without a record; expected {expected}")
            except InputError as error:
                bad_record(str(error))


def _where(path, element):
    return f"{name_of(path)}, line {element.sourceline}: {element.tag}"


def _record(record, path):
    """Returns the Document of a MedlineCitation or a BookDocument."""
    pmid = text_of(record.find("PMID"))
    if not pubmed_xml.NUMBER.fullmatch(pmid):
        raise InputError(f"{_where(path, record)} with PMID {pmid[:40]!r}; expected a number")
    article = record.find("Article")
    if article is None:
        article = record  # a book has all that an Article has in itself
    title = text_of(article.find("ArticleTitle")) or text_of(article.find("Book/BookTitle"))
    if title == pubmed_xml.NO_TITLE:
        title = ""
    sections = [text_of(section) for section in article.iterfind("Abstract/AbstractText")]
    parts = [("title", title), *(("abstract", section) for section in sections)]
    parts = [(kind, text) for kind, text in parts if text]
    text, paragraphs = join_paragraphs([text for _, text in parts])
    source = f"{name_of(path)}, line {record.sourceline}"
    return Document(pmid, text, paragraphs, source, tuple(kind for kind, _ in parts))


def read_pmc(path, bad_document):
    """Yields the articles of a JATS XML file, or of an archive (`.tar.gz`) of such files, one at a time in memory.

    The paragraphs are those of `jats.read_paragraphs`; their kinds are not told. The id is that of PMC
    (PMC1084331), else the PMID or the DOI, else the file's name.

    Args:
      path: the file, compressed or not, or "-", which is no archive.
      bad_document: called with why an article of an archive cannot be read, or why the archive breaks off.

    Raises:
      InputError: a file that is no archive cannot be read or is not JATS.
    """
    is_archive = pmc_articles.is_archive(path)

    def bad_file(error):
        if not is_archive:
            raise error
        bad_article(str(error))

    with as_file(path, bad_document) as (file, bad_article):
        articles = pmc_articles.read_documents([file], pmc_articles.Options(), bad_file=bad_file)
        for count, (_, article) in enumerate(articles, 1):
            text, paragraphs = join_paragraphs(article.paragraphs)
            document_id = article.id.partition(":")[2] or f"{base_name(path)}:{count}"
            yield Document(document_id, text, paragraphs, f"{name_of(path)}, article {count}")
