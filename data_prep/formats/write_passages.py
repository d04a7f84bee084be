"""The passages of a document, for formats that have some."""


def blocks_of(document):
    """A list of `(start, end, kind)`: the paragraphs, and without a kind what else but white space is in the text."""
    kinds = document.kinds or [""] * len(document.paragraphs)
    blocks, position = [], 0
    for (start, end), kind in zip([*document.paragraphs, (len(document.text),) * 2], [*kinds, ""], strict=True):
        for span in ((position, start, ""), (start, end, kind)):
            if document.text[span[0] : span[1]].strip():
                blocks.append(span)
        position = max(position, end)
    return blocks
