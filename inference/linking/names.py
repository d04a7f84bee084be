"""Names of concepts, normalized: what is written differently but means the same becomes one key.

`Tumours of the Kidney`, `kidney tumor` and `TUMOR, KIDNEY` are `kidney tumor`; `IL2R-α` and `IL-2R alpha` are
`alpha il r 2`.
"""

import re
import unicodedata

_GREEK = [chr(code) for first, last in ("ΑΡ", "ΣΩ", "αω") for code in range(ord(first), ord(last) + 1)]
_SPELLED = str.maketrans(
    {letter: f" {unicodedata.name(letter).split()[-1].lower().replace('lamda', 'lambda')} " for letter in _GREEK}
)
_APOSTROPHES = re.compile("['\u2019\u02bc\u2032](s\\b)?")  # Down's: Down
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_FILLERS = {"a", "an", "of", "the"}
_ROMAN = {roman: str(number) for number, roman in enumerate("ii iii iv v vi vii viii ix x xi xii xiii".split(), 2)}
_ROMAN |= {"i": "1"}
_NUMBERED = {"class", "factor", "grade", "group", "stage", "type"}  # of one letter, which else may stand for itself
_BRITISH = re.compile("ae|oe")
_DECISIVE = {"and", "anti", "no", "non", "not", "or", "without"}
_PLURALS = (  # the first that fits; what the singular ends in
    (re.compile("ours?$"), "or"),
    (re.compile("ies$"), "y"),
    (re.compile("(s)(is|es|e)$"), r"\1"),  # metastasis: metastas, as of metastases; disease: diseas
    (re.compile("(x|[cs]h)es?$"), r"\1"),
    (re.compile("(?<![sui])s$"), ""),
)
_MIN_PLURAL = 4  # letters; shorter words that end in s are hardly plurals
_MAX_ACRONYM = 4  # letters: AIDS is not the plural of an aid


def normalize(name: str) -> str:
    """The key of a name: words and numbers in lower case, separated by spaces; "" if it has none.

    Accents and punctuation are left out, Greek letters are spelled, Roman numerals are numbers (I, V, X in `type I`),
    plurals are singular and British spelling is American. Articles and `of` are left out. The order of words does not
    count, but in names with several numbers, as chemicals have them: `2-ethyl-3-methyl` is not `3-ethyl-2-methyl`.
    """
    text = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    found = _WORDS.findall(_APOSTROPHES.sub("", text.translate(_SPELLED)))
    pairs = zip(["", *found[:-1]], found, strict=True) if found else ()
    words = [_key_of_word(word, before) for before, word in pairs if word.lower() not in _FILLERS]
    if sum(word.isdecimal() for word in words) <= 1:
        words.sort(key=lambda word: (word.isdecimal(), word))
    return " ".join(words)


def _key_of_word(word, before):
    lower = word.casefold()
    if lower in _ROMAN and (len(lower) > 1 or before.casefold() in _NUMBERED):
        return _ROMAN[lower]
    lower = _BRITISH.sub("e", lower)
    if len(word) < _MIN_PLURAL or (word.isupper() and len(word) <= _MAX_ACRONYM):
        return lower
    return next((pattern.sub(end, lower) for pattern, end in _PLURALS if pattern.search(lower)), lower)


def decisive(key: str) -> list[str]:
    """The words of a key that tell names apart, however similar they are, sorted.

    These are numbers and single letters (`vitamin C`), and words that negate or join (`non insulin dependent`).
    """
    return sorted(word for word in key.split() if len(word) == 1 or word.isdecimal() or word in _DECISIVE)
