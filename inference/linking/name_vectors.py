"""The vectors of a terminology's names, computed once into a file beside it, and which are similar to a mention's.

They are centred, the mean of all names' vectors taken off, since those of BERT all lie in one direction.

Dimensions:
  U  keys of an index
  M  mentions
  D  hidden size
"""

import dataclasses
from typing import Any

import numpy as np

from common.progress import progress
from inference.linking.index import Index, read_arrays, write_arrays

SUFFIX = ".vectors"
BEST = 50  # keys that a mention is compared with
_ROWS = 1 << 16  # of vectors that are looked at together


@dataclasses.dataclass(frozen=True)
class NameVectors:
    """The vectors of an index's names: of each key the first name's, centred, of length 1."""

    mean: np.ndarray  # float32 [D]: of all names
    vectors: np.ndarray  # float16 [U, D]

    def similar(self, mentions: np.ndarray, least: float) -> list[list[tuple[int, float]]]:
        """For each mention the keys with a cosine similarity of `least`, at most BEST: place and cosine, best first.

        Args:
          mentions: their vectors, float32 [M, D].
          least: from 0 to 1.
        """
        mentions = _normalize(mentions - self.mean)
        places: Any = np.zeros([len(mentions), 0], np.int64)
        scores: Any = np.zeros([len(mentions), 0], np.float32)
        for start in range(0, len(self.vectors), _ROWS):
            block = mentions @ self.vectors[start : start + _ROWS].astype(np.float32).T  # [M, rows]
            scores = np.concatenate([scores, block], axis=1)
            rows = np.arange(start, start + block.shape[1])
            places = np.concatenate([places, np.broadcast_to(rows, block.shape)], axis=1)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :BEST]
            places, scores = (np.take_along_axis(array, best, axis=1) for array in (places, scores))
        return [
            [(int(place), min(float(score), 1.0)) for place, score in zip(*row, strict=True) if score >= least]
            for row in zip(places, scores, strict=True)
        ]


def _normalize(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def load(path: str, index: Index, encoder: Any) -> NameVectors:
    """The vectors of a terminology's names, from the file beside it, or computed and written there.

    They are computed anew where the terminology or the model is another one than that of the file.

    Args:
      path: of the terminology.
      index: its index.
      encoder: `encoder.Encoder`.

    Raises:
      InputError: the file cannot be read.
    """
    file, metadata = f"{path}{SUFFIX}", {"source": index.source, "model": encoder.digest}
    arrays = read_arrays(file, metadata)
    if arrays is None:
        texts = [index.texts[row] for row in index.first_row[:-1]]
        with progress("vectors", len(texts), unit="name") as bar:
            vectors = encoder.encode(texts, bar.update)
        mean = vectors.mean(axis=0)
        arrays = {"mean": mean, "vectors": _normalize(vectors - mean).astype(np.float16)}
        write_arrays(file, arrays, metadata)
    return NameVectors(**arrays)
