"""Names by their vectors."""

import numpy as np
import pytest

from data_prep.formats.document import Document, Entity
from inference.linking import index, name_vectors
from inference.linking.linker import Linker, Terminology

NAMES = ["kidney failure", "renal insufficiency", "stroke", "type 1 diabetes", "type 2 diabetes"]
VECTORS = {
    "kidney failure": [1.0, 0.0, 5.0],
    "renal insufficiency": [0.9, 0.1, 5.0],
    "stroke": [-1.0, 0.5, 5.0],
    "type 1 diabetes": [0.0, -1.0, 5.0],
    "type 2 diabetes": [0.1, -1.0, 5.0],
    "failing kidneys": [0.95, 0.0, 5.0],
    "diabetes of type 2": [0.0, -1.0, 5.0],
    "zebra": [0.0, 0.0, -9.0],
}


class Encoder:
    """A stand-in for a model; counts what it is asked for."""

    def __init__(self, digest="1"):
        self.digest, self.count = digest, 0

    def encode(self, texts, advance=lambda count: None):
        self.count += len(texts)
        return np.array([VECTORS[text] for text in texts], np.float32)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"D{number}\t{name}\n" for number, name in enumerate(NAMES)))
    return str(path)


@pytest.mark.parametrize("rows", [2, 1 << 16])
def test_cosines_of_centred_vectors_the_best_first(path, monkeypatch, rows):
    monkeypatch.setattr(name_vectors, "_ROWS", rows)
    loaded = index.load(path)
    vectors = name_vectors.load(path, loaded, Encoder())
    texts = [loaded.texts[place] for place in range(len(NAMES))]
    names = np.array([VECTORS[text] for text in texts])
    query = np.array(VECTORS["failing kidneys"]) - names.mean(axis=0)
    centred = names - names.mean(axis=0)
    cosines = centred @ query / np.linalg.norm(centred, axis=1) / np.linalg.norm(query)
    ((first, *rest),) = vectors.similar(np.array([VECTORS["failing kidneys"]], np.float32), 0.5)
    assert texts[first[0]] == "kidney failure"
    assert dict([first, *rest]) == pytest.approx(
        {place: cosine for place, cosine in enumerate(cosines) if cosine >= 0.5}, abs=2e-3
    )


def test_they_are_computed_once_for_a_model_and_a_content(path):
    first, other = Encoder(), Encoder("2")
    for encoder, expected in ((first, 5), (first, 5), (other, 5), (other, 5), (first, 10)):
        name_vectors.load(path, index.load(path), encoder)
        assert encoder.count == expected
    with open(path, "a") as file:
        file.write("D9\tzebra\n")
    name_vectors.load(path, index.load(path), first)
    assert first.count == 16


def test_they_are_for_mentions_that_have_no_similar_name(path):
    encoder = Encoder()
    loaded = index.load(path)
    terminology = Terminology(loaded, frozenset(), name_vectors.load(path, loaded, encoder))
    text = "strokes, failing kidneys, diabetes of type 2, zebra"
    spans = [(0, 7), (9, 24), (26, 44), (46, 51)]
    entities = tuple(Entity(str(start), "Disease", start, end) for start, end in spans)
    document = Document("1", text, ((0, 51),), "x", entities=entities, words=(((0, 51),),))
    (found,) = Linker([terminology], encoder, least_score=0.9).link([document])
    assert [entity.identifier for entity in found.entities] == ["D2", "D0", "D4", ""]
    assert found.entities[1].matched_name == "kidney failure"
    assert encoder.count == 5 + 2  # names, and what is no name however it is written
