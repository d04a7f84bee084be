"""Batches of sequences of any lengths."""

import numpy as np

from inference import sequences


def test_a_batch_has_as_many_short_sequences_as_fit_where_long_ones_would():
    shapes = []

    def sum_up(features):
        shapes.append(tuple(features["input_ids"].shape))
        return {"total": np.sum(features["input_ids"], axis=1, keepdims=True)}

    lengths = [300, 8, 500, 256, 8, *[64] * 9]
    given = [sequences.Sequence([number + 1] * length) for number, length in enumerate(lengths)]
    done = []
    rows = sequences.run(lambda batch: _arrays(sum_up(batch)), given, 2, done.append)
    assert [int(row["total"][0]) for row in rows] == [(i + 1) * length for i, length in enumerate(lengths)]
    assert shapes == [(2, 500), (2, 256), (8, 64), (2, 8)]
    assert done == [2, 2, 8, 2]


def _arrays(outputs):
    return {name: _Tensor(value) for name, value in outputs.items()}


class _Tensor:
    """What a compiled function returns."""

    def __init__(self, array):
        self.array = array

    def numpy(self):
        return self.array
