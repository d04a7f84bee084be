"""Where the sentences of a text are, in characters of it."""

import bisect
import copy
import functools
import re

from common.errors import InputError

SPLITTERS = ("nupunkt", "blingfire", "none")

# Word, period, space, capital; but no capital that looks like the number of a list's item.
SURE_END = re.compile(r" ([a-z]{4,})\. (?=[A-Z][a-z])(?![IVXLC][ivxlc]{0,5}[.)])")
MAYBE_END = re.compile("[.?!\u2026]")
# Of the words of three letters and more that nupunkt takes for abbreviations, those that are; the others are words such
# as "cancer", "found" and "series", after which it would not break.
ABBREVIATIONS = frozenset(
    """acad admin amer anal ann appl approx assoc ave avg biochem biol biophys biotechnol calif chem chron clin col coll
    comm conc conf conn corp dept diam dist div doc drs eds endocrinol engl environ equiv etc eval exp expt ext fig figs
    gen genet gov hrs immunol inc incl inst int intl jan feb mar apr jun jul aug sep sept oct nov dec lib lond ltd
    math max mech med mem microbiol min misc mol mrs nat natl neurol neurosci nos nutr obs obstet ophthalmol org orig
    oxf pathol pediatr pharm pharmacol phil phys physiol pres proc prof psych psychiatr psychol pub publ pubs ref refs
    rep res resp rev sci sec sect ser soc spec spp spr ssp stat std subg subsp suppl surg syn syst techn temp theor
    toxicol trans univ var vet viz vol vols""".split()
)
MORE_ABBREVIATIONS = ("b.i.d", "q.d", "q.i.d", "q.o.d", "subsp", "t.i.d")  # that it does not know


def load_sentence_splitter(name="nupunkt"):
    """Returns a function from a paragraph to its sentences: a list of `(start, end)`, without the space between.

    Args:
      name: one of SPLITTERS: the library that finds the sentences; "none": a paragraph is one.

    Raises:
      InputError: the library is not installed.
    """
    if name == "none":
        find = _whole
    elif name == "blingfire":
        find = _load_blingfire()
    else:
        find = _load_nupunkt()

    def split_sentences(paragraph):
        spans = (trim(paragraph, start, end) for start, end in find(paragraph))
        return [(start, end) for start, end in spans if start < end]

    return split_sentences


def _whole(paragraph):
    return [(0, len(paragraph))]


@functools.cache
def load_tokenizer():
    """Returns nupunkt's tokenizer, which knows the abbreviations of biomedical articles."""
    import nupunkt

    tokenizer = copy.deepcopy(nupunkt.load("default"))  # the library gives everybody the same one
    for word in tokenizer.abbreviations - ABBREVIATIONS:
        if len(word) >= 3 and word.isalpha():
            tokenizer.remove_abbreviation(word)
    tokenizer.add_abbreviations(list(MORE_ABBREVIATIONS))
    return tokenizer


def _load_nupunkt():
    tokenizer = load_tokenizer()
    # After these words the library looks at what follows; after others in small letters it always breaks.
    unsure = tokenizer.abbreviations | {first for first, _ in tokenizer.parameters.collocations}

    def find(paragraph):
        # The library takes ten times as long for a sure end as this: together, half the time.
        begin = 0
        for match in SURE_END.finditer(paragraph):
            if match[1] not in unsure:
                yield from find_unsure(paragraph[begin : match.end() - 1], begin)
                begin = match.end()
        yield from find_unsure(paragraph[begin:], begin)

    def find_unsure(text, offset):
        if MAYBE_END.search(text, 0, len(text) - 1):
            for start, end in tokenizer.span_tokenize(text):
                yield offset + start, offset + end
        else:
            yield offset, offset + len(text)

    return find


def _load_blingfire():
    try:
        import blingfire
    except ImportError:
        raise InputError("the sentence splitter blingfire is not installed; expected `pip install blingfire`") from None

    return lambda paragraph: blingfire.text_to_sentences_and_offsets(paragraph)[1]


def trim(text, start, end):
    """Returns the span `(start, end)` of `text` without the white space at its ends."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def split_paragraphs(text, paragraphs, split_sentences):
    """The sentences of several paragraphs of a text; none goes across a paragraph's end.

    Args:
      text: str.
      paragraphs: their spans `(start, end)` in `text`, in order.
      split_sentences: as of `load_sentence_splitter`.

    Returns:
      A list of spans in `text`.
    """
    return [
        (offset + start, offset + end)
        for offset, stop in paragraphs
        for start, end in split_sentences(text[offset:stop])
    ]


def join_across(sentences, spans):
    """Joins sentences so that none ends inside one of `spans` (of entities, say: `E. coli` holds no boundary).

    Args:
      sentences: spans, in order.
      spans: iterable of `(start, end)`.

    Returns:
      A list of spans.
    """
    starts = [start for start, _ in sentences]
    inside = set()  # sentences that begin within a span
    for start, end in spans:
        inside.update(range(bisect.bisect_right(starts, start), bisect.bisect_left(starts, end)))
    joined = []
    for index, (start, end) in enumerate(sentences):
        if index in inside and joined:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
