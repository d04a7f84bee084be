"""Large XML files, element by element, as safe to read when somebody else has made them."""

import gzip
import zlib

from lxml import etree

from common.errors import InputError


def read_elements(path, tag, root_tag):
    """Yields the elements `tag` of an XML file (`.gz`: compressed), one at a time in memory.

    Entities from outside the file are not read and those declared in it are not expanded; comments and
    processing instructions are left out.

    Raises:
      InputError: the file cannot be read, is not well-formed (with the line), or has another root and none
        of the elements.
    """
    found = False
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            elements = etree.iterparse(
                file,
                events=("end",),
                tag=tag,
                resolve_entities=False,
                load_dtd=False,
                no_network=True,
                huge_tree=False,
                remove_comments=True,
                remove_pis=True,
            )
            for _, element in elements:
                found = True
                yield element
                # Free what was read, or the tree grows to the size of the file.
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
            root = elements.root
    except etree.XMLSyntaxError as error:
        raise InputError(f"{path}, line {error.lineno or 1}: not well-formed XML: {error.msg}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not found and root.tag != root_tag:
        raise InputError(f"{path}, line 1: root element {root.tag}; expected {root_tag}")
