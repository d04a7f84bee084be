"""Large XML files, element by element, as safe to read when somebody else has made them."""

import html.entities

from lxml import etree

from common.errors import InputError
from common.inputs import READ_ERRORS, decompressed, fold, read_error

MAX_ELEMENT_BYTES = 32_000_000  # their tree takes up to 33 times as much memory
CHUNK_SIZE = 2**17  # bytes; a tenth faster than the 2**15 of lxml's iterparse
# What comes from somebody else's file is neither fetched nor expanded, and costs memory only as it is long.
SAFE = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def read_elements(path, tag, root_tag):
    """Yields the elements `tag` of an XML file, one at a time in memory.

    The file may be compressed, which its first bytes say, whatever its name. Entities from outside the file
    are not read and those declared in it are not expanded (but in attributes, where libxml2 does so in bounds).
    Comments and processing instructions are left out.

    Args:
      path: the file.
      tag: a name, or a tuple of names.
      root_tag: the names that the root element should have, likewise.

    Raises:
      InputError: the file cannot be read, is not well-formed (with the line), has another root and none
        of the elements, or too much between two of them.
    """
    found = False
    parser = etree.XMLPullParser(("end",), tag=tag, **SAFE)
    try:
        with open(path, "rb") as file, decompressed(file) as source:
            since = 0  # bytes since the last element, all of which are in memory
            while chunk := source.read(CHUNK_SIZE):
                parser.feed(chunk)
                since += len(chunk)
                if since > MAX_ELEMENT_BYTES:
                    wanted = tag if isinstance(tag, str) else " or ".join(tag)
                    raise InputError(f"{path}: {MAX_ELEMENT_BYTES // 1_000_000} MB without an element {wanted}")
                for _, element in parser.read_events():
                    found, since = True, 0
                    yield element
                    # Free what was read, or the tree grows to the size of the file.
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise InputError(f"{path}, {describe_error(error, parser.feed_error_log)}") from None
    except READ_ERRORS as error:
        raise read_error(path, error) from None
    roots = (root_tag,) if isinstance(root_tag, str) else root_tag
    if not found and root.tag not in roots:
        raise InputError(f"{path}, line 1: root element {root.tag}; expected {' or '.join(roots)}")


def describe_error(error, log):
    """Returns line and message of an XMLSyntaxError; of several the exception has the last, the log the cause first."""
    line, message = (log[0].line, log[0].message) if len(log) else (error.lineno, error.msg)
    return f"line {line or 1}: not well-formed XML: {fold(message)[:200]}"


def entity_text(entity):
    """The text of an entity that was not expanded (`etree.Entity`): `α` for HTML's `&alpha;`, others as they stand."""
    return html.entities.html5.get(entity.name + ";", entity.text)
