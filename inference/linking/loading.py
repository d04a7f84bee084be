"""What the flags for terminologies mean."""

import os
from collections.abc import Sequence

from common.errors import InputError
from common.progress import quiet_loading
from inference.linking import index, name_vectors
from inference.linking.encoder import load_encoder
from inference.linking.linker import LEAST_SCORE, Linker, Terminology


def load_linker(
    values: Sequence[str], model: str | None, least_score: float = LEAST_SCORE, keep: bool = True, expand: bool = True
) -> Linker | None:
    """Loads or builds the indexes of terminologies, and the vectors of their names.

    Args:
      values: for each `[TYPE=]FILE`, see `split_value`.
      model: directory of the model for vectors, see `encoder.load_encoder`; None: none are used.
      least_score, keep: see `Linker`.
      expand: `Linker.abbreviations`.

    Returns:
      A `Linker`, None without terminologies.

    Raises:
      InputError: a terminology or model that cannot be read; a corpus without entities of the types given.
    """
    if not values:
        return None
    with quiet_loading():
        encoder = load_encoder(model) if model else None
    terminologies = []
    for types, path in map(split_value, values):
        found = index.load(path)
        if types and found.types != [""] and types.isdisjoint(found.types):
            raise InputError(
                f"{path}: no name for entities of type {', '.join(sorted(types))}; expected "
                f"{', '.join(sorted(found.types))}, or several, that of the names among them: TYPE,TYPE=FILE"
            )
        vectors = name_vectors.load(path, found, encoder) if encoder else None
        terminologies.append(Terminology(found, types, vectors))
    return Linker(terminologies, encoder, least_score, keep, expand)


def split_value(value: str) -> tuple[frozenset[str], str]:
    """The types and the file of `TYPE,TYPE=FILE`, `TYPE=FILE` or `FILE`, which has none.

    Raises:
      InputError: nothing before or behind the sign.
    """
    names_of_types, found, path = value.partition("=")
    if not found or os.path.isfile(value):
        return frozenset(), value
    types = frozenset(filter(None, (name.strip() for name in names_of_types.split(","))))
    if not types or not path:
        raise InputError(f"--terminology={value}: expected TYPE=FILE, or a file alone")
    return types, path
