"""Label schemes of NER: which one labels follow, and what they are in BIO, in which all here is computed.

    BIO, IOB1     B-Disease I-Disease O          a word after O or after another type begins an entity with I as well
    IOBES, BILOU  S-Disease, or B- I- E-; U-Disease, or B- I- L-; likewise M for I, W for S (BMES, BMEWO)
    suffixes      Disease-B Disease-I O
    no prefix     Disease O                      neighbours of one type are one entity

with `-` or `_`, or without a type: B I O. Each label has one counterpart in BIO, whatever stands around it.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from common.errors import InputError

OUTSIDE = "O"
LETTERS = {"BIO": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW"}
IN_BIO = {"B": "B", "I": "I", "E": "I", "L": "I", "M": "I", "S": "B", "U": "B", "W": "B"}
PREFIX = re.compile(f"([{''.join(IN_BIO)}])(?:([-_])(.+))?")
SUFFIX = re.compile(f"(.+)([-_])([{''.join(IN_BIO)}])")
EXPECTED = "O, and labels such as B-Disease and I-Disease"


class LabelError(InputError):
    """Labels that follow no scheme, or several; `label` is the one that does not fit."""

    def __init__(self, label: str, message: str) -> None:
        super().__init__(f"label {label!r}{message}")
        self.label = label


@dataclasses.dataclass(frozen=True)
class Scheme:
    """What labels follow, and each one's counterpart."""

    name: str
    in_bio: Mapping[str, str]

    @property
    def is_bio(self) -> bool:
        return all(label == same for label, same in self.in_bio.items())


def recognize(labels: Iterable[str]) -> Scheme:
    """The scheme of labels.

    Args:
      labels: each once, in the order in which they occur.

    Raises:
      LabelError: they follow none, or several.
    """
    labels = list(labels)
    data = [label for label in labels if label != OUTSIDE]
    prefixed = {label: match for label in data if (match := PREFIX.fullmatch(label))}
    suffixed = {label: match for label in data if (match := SUFFIX.fullmatch(label))}
    if len(prefixed) == len(data):
        name, separator = _scheme_of([(label, match[1], match[2]) for label, match in prefixed.items()])
        found = {label: _join(match[1], match[3]) for label, match in prefixed.items()}
        name += ", with _" * (separator == "_")
    elif len(suffixed) == len(data):
        name, _ = _scheme_of([(label, match[3], match[2]) for label, match in suffixed.items()])
        found = {label: _join(match[3], match[1]) for label, match in suffixed.items()}
        name += ", as suffixes"
    elif not prefixed and OUTSIDE in labels:
        name, found = "without prefixes", {label: f"I-{label}" for label in data}
    else:
        odd = next(label for label in data if label not in prefixed)
        raise LabelError(odd, f"; expected {EXPECTED}")
    return Scheme(name, {OUTSIDE: OUTSIDE, **found})


def _scheme_of(labels):
    """The name of the scheme of some `(label, letter, separator)`, and the separator."""
    separator = next((separator for _, _, separator in labels if separator), "-")
    for label, _, other in labels:
        if other not in (None, separator):
            raise LabelError(label, f"; expected {separator} before the type, as in the others")
    letters = {letter for _, letter, _ in labels}
    name = next((name for name, known in LETTERS.items() if letters <= set(known)), None)
    if name is None:
        odd = next(label for label, letter, _ in labels if letter not in "BI")
        shown = ", ".join(sorted(letters))
        raise LabelError(odd, f" among labels with {shown}; expected those of one scheme: {', '.join(LETTERS)}")
    return name, separator


def _join(letter, kind):
    return f"{IN_BIO[letter]}-{kind}" if kind else IN_BIO[letter]


def in_bio(labels: Iterable[str], special: Iterable[str]) -> list[str]:
    """A model's labels in BIO, in their order; several may become one. Those in `special` stay.

    Raises:
      InputError: as `recognize`.
    """
    labels = list(labels)
    known = {**recognize(label for label in labels if label not in special).in_bio, **{name: name for name in special}}
    return [known[label] for label in labels]
