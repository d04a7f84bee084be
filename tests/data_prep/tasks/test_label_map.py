"""The file that says what the outputs of a model mean."""

import json

import pytest

from common.errors import InputError
from data_prep.tasks import label_map


def test_labels_survive_their_file(tmp_path):
    label_map.write(tmp_path, ["b", "a", "c"])
    assert json.loads((tmp_path / "label_map.json").read_text()) == {"b": 0, "a": 1, "c": 2}
    assert label_map.read(tmp_path, required=["a"]) == ["b", "a", "c"]


def test_without_a_file_nothing_is_known(tmp_path):
    assert label_map.read(tmp_path) is None


@pytest.mark.parametrize("text", ['{"O": 4}', '{"B": 0, "I": 1}', "[]", "no JSON", '{"O": 0, "a\\tb": 1, "": 2}'])
def test_a_damaged_file_is_an_error(tmp_path, text):
    (tmp_path / "label_map.json").write_text(text)
    with pytest.raises(InputError, match="label_map.json.*: not (a label map|JSON)"):
        label_map.read(tmp_path, required=["O"])
