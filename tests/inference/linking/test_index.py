"""The index of a terminology: what it finds, and when it is built."""

import logging
import os

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from common.errors import InputError
from inference.linking import index, names

ROWS = "D1\tlung cancer\tLung Cancers|tumour of lung\nD2\tlung abscess\nD3\tCancer, lung\nD4\t+\nD5\tgastric cancer\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(ROWS)
    return str(path)


def test_names_of_a_key_in_the_order_of_the_terminology(path):
    found = index.load(path)
    rows = list(found.rows(found.find("cancer lung")))
    assert [(row.text, row.identifier) for row in rows] == [
        ("lung cancer", "D1"),
        ("Lung Cancers", "D1"),
        ("Cancer, lung", "D3"),
    ]
    assert found.find("cancer") is None
    assert found.find("zebra") is None
    assert found.find("") is None


def test_a_name_without_a_key_is_counted(path, caplog):
    with caplog.at_level(logging.INFO):
        index.load(path)
    assert "4 concepts, 6 names; 1 names without letters and digits left out" in caplog.text


@pytest.mark.parametrize("query", ["lung cancer", "gastric cancers", "abscess of the lung", "cancer", "zebra"])
def test_similarity_is_the_cosine_of_tf_idf(path, query):
    """Expected values are scikit-learn's."""
    found = index.load(path)
    keys = [found.keys[place] for place in range(len(found.keys))]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), lowercase=False, binary=True)
    matrix = vectorizer.fit_transform(keys)
    key = names.normalize(query)
    if not set(vectorizer.build_analyzer()(key)) <= set(vectorizer.vocabulary_):
        assert all(score < 0.99 for _, score in found.similar(key, 0.0))  # n-grams that no name has count, too
        return
    expected = dict(enumerate((matrix @ vectorizer.transform([key]).T).toarray()[:, 0]))
    scores = dict(found.similar(key, 0.0))
    assert scores == pytest.approx(expected, abs=1e-6)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_it_is_built_once_for_a_content(path, monkeypatch):
    first = index.load(path)
    real = index.build
    monkeypatch.setattr(index, "build", lambda *arguments: pytest.fail("built again"))
    again = index.load(path)
    for one in (first, again):
        assert [one.texts[place] for place in range(len(one.texts))][0] == "lung abscess"
    assert (again.types, again.left_out) == (first.types, first.left_out)
    assert list(again.similar("cancer lung", 0.1)) == list(first.similar("cancer lung", 0.1))
    monkeypatch.setattr(index, "build", real)
    with open(path, "a") as file:
        file.write("D6\tstroke\n")
    assert index.load(path).find("stroke") is not None


def test_a_damaged_index_is_named(path):
    index.load(path)
    with open(f"{path}.index", "r+b") as file:
        file.truncate(100)
    with pytest.raises(InputError, match="a.tsv.index: cannot be read"):
        index.load(path)


def test_without_a_place_for_the_index_it_is_built_each_time(tmp_path, caplog):
    path = tmp_path / f"{'a' * 250}.tsv"
    path = path.with_name(path.name[-252:])  # the name of the index would be too long
    path.write_text(ROWS)
    assert index.load(str(path)).find("cancer lung") is not None
    assert "made anew each time" in caplog.text
    assert os.listdir(tmp_path) == [path.name]
