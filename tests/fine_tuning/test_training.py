"""Where epochs end, and trainings that begin from other weights in the same directory."""

import json

import numpy as np
import pytest

from common.errors import InputError
from data_prep.tasks import ner
from fine_tuning import training
from modeling import beginning, checkpoint
from modeling.config import BertConfig
from modeling.heads import SequenceClassifier
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("examples", "batch_size", "epochs", "ends"),
    [
        (40, 16, 4.0, {2: 1, 5: 2, 7: 3, 10: 4}),
        (64, 16, 3.0, {4: 1, 8: 2, 12: 3}),
        (10, 32, 5.0, {1: 4}),  # a third of a batch each: the fourth epoch fills the first
        (5424, 10, 50.0, None),
        (1111, 7, 100.0, None),
    ],
)
def test_epochs_end_where_the_training_of_so_many_would(examples, batch_size, epochs, ends):
    found = training.epoch_ends(examples, batch_size, epochs)
    assert max(found) == int(examples / batch_size * epochs)  # the last step, as the original computes it
    if ends:
        assert found == ends
    else:
        assert list(found.values()) == list(range(1, int(epochs) + 1))
        assert list(found) == sorted(found)


@pytest.fixture
def begin(tmp_path):
    """Begins a training in the directory `run`, or goes on there, with the weights of a checkpoint."""

    def new_model(value):
        model = SequenceClassifier(BertConfig.from_dict(TINY), 2)
        model.build()
        for variable in model.variables:
            variable.assign(np.full(variable.shape, value))
        return model

    def run(init_checkpoint, value, seed=1, new_weights=("output_",), flags=None, contents=None):
        if init_checkpoint and not (tmp_path / f"{init_checkpoint}.index").exists():
            variables = checkpoint.model_variables(new_model(value))
            checkpoint.save(str(tmp_path / init_checkpoint), {n: v for n, v in variables.items() if "bert/" in n})
        (tmp_path / "run").mkdir(exist_ok=True)
        path = init_checkpoint and str(tmp_path / init_checkpoint)
        model = new_model(0.5)
        loaded = checkpoint.load_weights(model, path, new_weights)[0] if path else ()
        now = beginning.describe(model, loaded, path, seed, flags or {}, contents or {})
        now.check(str(tmp_path / "run"))
        now.write(str(tmp_path / "run"))

    return run


def reach_checkpoint(tmp_path):
    checkpoint.save(str(tmp_path / "run/model.ckpt-5"), {"global_step": np.int64(5)})


def test_the_same_weights_pass_wherever_they_lie(begin, tmp_path):
    begin("a.ckpt", 0.1)
    before = (tmp_path / "run/initial_weights.json").read_bytes()
    reach_checkpoint(tmp_path)
    begin("a.ckpt", 0.1)
    begin("copy_of_a.ckpt", 0.1)
    assert (tmp_path / "run/initial_weights.json").read_bytes() == before
    assert json.loads(before)["init_checkpoint"] == str(tmp_path / "a.ckpt")


def test_other_weights_are_refused(begin, tmp_path):
    begin("a.ckpt", 0.1)
    reach_checkpoint(tmp_path)
    a, b = tmp_path / "a.ckpt", tmp_path / "b.ckpt"
    expected = f"--init_checkpoint={b}: other weights than .*{tmp_path}/run began, --init_checkpoint={a}; use a new"
    with pytest.raises(InputError, match=expected):
        begin("b.ckpt", 0.2)
    with pytest.raises(InputError, match=f"--init_checkpoint=: other weights than .*, --init_checkpoint={a}; use"):
        begin(None, 0.1)
    with pytest.raises(InputError, match="--seed=2: the training in .* began with --seed=1; use a new --output_dir"):
        begin("a.ckpt", 0.1, seed=2)


def test_weights_that_were_replaced_in_place_are_refused(begin, tmp_path):
    begin("a.ckpt", 0.1)
    reach_checkpoint(tmp_path)
    (tmp_path / "a.ckpt.index").unlink()
    with pytest.raises(InputError, match="a.ckpt: other weights"):
        begin("a.ckpt", np.nextafter(np.float32(0.1), np.float32(1)))


def test_random_weights_are_told_apart_by_their_seed(begin, tmp_path):
    begin(None, 0)
    reach_checkpoint(tmp_path)
    begin(None, 0)
    with pytest.raises(InputError, match="--seed=0: .* began with --seed=1"):
        begin(None, 0, seed=0)
    with pytest.raises(InputError, match="a.ckpt: other weights than .* --init_checkpoint=; use"):
        begin("a.ckpt", 0.1)


@pytest.mark.parametrize(
    ("flags", "contents", "message"),
    [
        (
            {"train_batch_size": 32},
            {},
            "--train_batch_size=32: the training in .*run began with --train_batch_size=16; use",
        ),
        ({"do_lower_case": True}, {}, "--do_lower_case=true: .* began with --do_lower_case=false; use a new"),
        (
            {},
            {"train.tsv": "b" * 64},
            r"train.tsv: other content than .* .SHA-256 bbbbbbbbbbbb, then aaaaaaaaaaaa.; use a",
        ),
    ],
)
def test_another_setting_or_data_set_is_refused(begin, tmp_path, flags, contents, message):
    was = {"flags": {"train_batch_size": 16, "do_lower_case": False}, "contents": {"train.tsv": "a" * 64}}
    begin("a.ckpt", 0.1, **was)
    reach_checkpoint(tmp_path)
    begin("a.ckpt", 0.1, **was)
    with pytest.raises(InputError, match=message):
        begin("a.ckpt", 0.1, flags=was["flags"] | flags, contents=was["contents"] | contents)


def test_a_note_that_is_none_is_named(begin, tmp_path):
    begin("a.ckpt", 0.1)
    reach_checkpoint(tmp_path)
    for content in ("[]", '{"sha256": 1, "seed": 1, "init_checkpoint": null}', "{"):
        (tmp_path / "run/initial_weights.json").write_text(content)
        with pytest.raises(InputError, match="initial_weights.json"):
            begin("a.ckpt", 0.1)


def test_the_same_examples_have_one_digest():
    one, other = [ner.Sentence(["a"], ["O"])], [ner.Sentence(["a"], ["B"])]
    assert training.digest(one) == training.digest(list(one)) != training.digest(other)


def test_directories_without_a_note_or_without_a_checkpoint_pass(begin, tmp_path):
    begin("a.ckpt", 0.1)
    begin("b.ckpt", 0.2)  # the first was stopped before anything was written that this would go on from
    reach_checkpoint(tmp_path)
    with pytest.raises(InputError, match="a.ckpt: other weights"):
        begin("a.ckpt", 0.1)
    (tmp_path / "run/initial_weights.json").unlink()  # as if made before there were notes
    begin("a.ckpt", 0.1)
    assert not (tmp_path / "run/initial_weights.json").exists()


@pytest.mark.parametrize(
    ("before", "bias", "expected"),
    [
        (["0", "1"], [0.5, 0.5], True),
        (["1", "0"], [0.5, 0.5], False),
        (["0", "1", "2"], [0.5, 0.5], False),
        (["0", "1"], [0.5, -1e4], False),  # a label that was added when the model was converted
        (None, [0.5, 0.5], True),  # the original's: it does not say
    ],
)
def test_a_head_of_other_labels_is_learned_anew(tmp_path, before, bias, expected):
    (tmp_path / "before").mkdir()
    if before:
        content = json.dumps({label: i for i, label in enumerate(before)})
        (tmp_path / "before/label_map.json").write_text(content)
    checkpoint.save(str(tmp_path / "before/model.ckpt-1"), {"output_bias": np.array(bias, np.float32)})
    assert training.takes_head(str(tmp_path / "before"), ["0", "1"]) is expected


def test_what_is_left_out_keeps_its_value(tmp_path):
    model = SequenceClassifier(BertConfig.from_dict(TINY), 2)
    model.build()
    checkpoint.save(str(tmp_path / "model.ckpt-1"), {n: v + 1.0 for n, v in checkpoint.model_variables(model).items()})
    before = {name: variable.numpy() for name, variable in checkpoint.model_variables(model).items()}
    loaded, initialized, _ = checkpoint.load_weights(model, str(tmp_path), left_out=("output_",))
    assert sorted(initialized) == ["output_bias", "output_weights"]
    for name, variable in checkpoint.model_variables(model).items():
        np.testing.assert_allclose(variable, before[name] + (name in loaded), rtol=1e-6)
