"""run_ner.py --select_best_on_dev: the best epoch's weights, training again, kills."""

import json
import pathlib
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import run_ner
from common.errors import InputError
from data_prep.tasks import ner
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import tasks
from modeling import checkpoint, selection, training
from modeling.config import BertConfig
from modeling.heads import TokenClassifier
from tests.conftest import TINY
from tests.helpers.fine_tuning_options import fine_tuning_options
from tests.helpers.kills import KilledError, kill_at, kill_process
from tests.helpers.programs import check_error

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
NER_FILES = ("token_test.txt", "label_test.txt")
F1 = {2: 10.0, 5: 30.0, 7: 30.0, 10: 20.0}  # stands in for the scores at the ends of four epochs of 40 sentences


def options_of(directory, training=None, **changes):
    defaults = {"save_checkpoints_steps": 3, "keep_checkpoint_max": 20}
    files = {"vocab_file": str(SAMPLES / "vocab.txt"), "bert_config_file": str(SAMPLES / "bert_config.json")}
    return fine_tuning_options(tasks.NER, str(directory), defaults | (training or {}), **files, **changes)


def select(sample, directory, retrain=False, **changes):
    """Trains and selects; returns the model and its step."""
    new_model, data, encoding = sample
    return run_ner.train_and_select(new_model, data, encoding, options_of(directory, **changes), 8, retrain)


@pytest.fixture(scope="module")
def sample(repository):
    """`new_model`, sentences by file, and `Encoding`, for a BERT of 1 layer x 8."""
    directory = repository / "samples"
    tokenizer = FullTokenizer(str(directory / "vocab.txt"), do_lower_case=False)
    train, devel = (ner.read_sentences(str(directory / f"ner/{name}.tsv")) for name in ("train", "devel"))
    train, devel = ([ner.Sentence(s.words[:8], s.labels[:8]) for s in part] for part in (train[:40], devel[:10]))
    encoding = run_ner.Encoding(tokenizer, ner.make_label_list(train + devel), 16, True, None)
    config = BertConfig.from_dict(TINY | {"vocab_size": tokenizer.vocab_size})

    def new_model():
        keras.utils.set_random_seed(3)
        model = TokenClassifier(config, len(encoding.labels))
        model.build()
        return model

    return new_model, {"train": train, "devel": devel, "train_dev": train + devel}, encoding


@pytest.fixture
def stub_scores(monkeypatch):
    """Lets epochs have the scores of `F1`, without predictions; the list of the steps that were scored."""
    return stub(monkeypatch)


def stub(monkeypatch):
    steps, real = [], selection.Selection.add

    def add(self, step, found, variables):
        steps.append(step)
        real(self, step, found | {"f1": F1[step]}, variables)

    monkeypatch.setattr(selection.Selection, "add", add)
    monkeypatch.setattr(run_ner, "predict", lambda *_: (None, {"loss": 0.5}))
    entities = types.SimpleNamespace(precision=50.0, recall=25.0, f1=0.0)
    monkeypatch.setattr(run_ner, "entity_scores", lambda *_: entities)
    return steps


def contents(prefix):
    """The variables of a checkpoint, as bytes by name."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()}


def weights_of(prefix):
    """Those of a checkpoint's variables that are the model's."""
    return {
        name: value
        for name, value in contents(prefix).items()
        if "adam" not in name and name not in ("examples_seen", "global_step")
    }


@pytest.fixture(scope="module")
def plain(sample, tmp_path_factory):
    """Directories of trainings without selection: of the four epochs, every step kept, and of two on train_dev."""
    new_model, data, encoding = sample
    four, two = tmp_path_factory.mktemp("four"), tmp_path_factory.mktemp("two")
    run_ner.train(new_model, data, "train", encoding, options_of(four, {"save_checkpoints_steps": 1}))
    run_ner.train(new_model, data, "train_dev", encoding, options_of(two, num_train_epochs=2.0))
    return four, two


@pytest.fixture(scope="module")
def selected(sample, tmp_path_factory):
    """The output directory of a selection that was not stopped, the weights of its model, and their step."""
    directory = tmp_path_factory.mktemp("selected")
    with pytest.MonkeyPatch.context() as patched:
        steps = stub(patched)
        model, step = select(sample, directory)
    assert steps == [2, 5, 7, 10]
    return directory, {n: v.numpy().tobytes() for n, v in checkpoint.model_variables(model).items()}, step


@pytest.fixture
def copy(selected, tmp_path):
    """That directory, to go on in."""
    shutil.copytree(selected[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_selection_gives_the_weights_after_the_best_epoch(selected, plain):
    directory, weights, step = selected
    assert (directory / "selection/epochs.tsv").read_text() == (
        "epoch\tstep\tprecision\trecall\tf1\tloss\n"
        "1\t2\t50.0\t25.0\t10.0\t0.5\n"
        "2\t5\t50.0\t25.0\t30.0\t0.5\n"
        "3\t7\t50.0\t25.0\t30.0\t0.5\n"
        "4\t10\t50.0\t25.0\t20.0\t0.5\n"
    )
    expected = weights_of(plain[0] / "model.ckpt-5")
    assert (step, weights) == (5, expected)
    for prefix in (directory / "model.ckpt-5", directory / "selection/best/model.ckpt-5"):
        assert set(contents(prefix)) == {*expected, "global_step"}  # without the optimizer's
        assert weights_of(prefix) == expected
        assert json.loads((prefix.parent / "label_map.json").read_text())["B"] == 1
    assert checkpoint.newest(str(directory)).endswith("/model.ckpt-5")
    assert weights_of(directory / "selection/model.ckpt-10") == weights_of(plain[0] / "model.ckpt-10")


def test_retraining_is_a_plain_training_of_as_many_epochs(sample, plain, copy, stub_scores, monkeypatch):
    with monkeypatch.context() as patched:
        kill_at(patched, training.Trainer, "step", 4, after=True)
        with pytest.raises(KilledError):
            select(sample, copy, retrain=True)
    assert [path.name for path in copy.glob("model.ckpt-*.index")] == ["model.ckpt-5.index"]  # still the selection's
    _, step = select(sample, copy, retrain=True)
    assert stub_scores == []  # the selection was done
    assert step == 6  # int(50 / 16 * 2)
    assert contents(copy / "retraining/model.ckpt-6") == contents(plain[1] / "model.ckpt-6")
    assert weights_of(copy / "model.ckpt-6") == weights_of(plain[1] / "model.ckpt-6")
    assert [path.name for path in copy.glob("model.ckpt-*.index")] == ["model.ckpt-6.index"]
    # And back, without training anew.
    select(sample, copy)
    assert [path.name for path in copy.glob("model.ckpt-*.index")] == ["model.ckpt-5.index"]
    assert weights_of(copy / "model.ckpt-5") == weights_of(plain[0] / "model.ckpt-5")


@pytest.mark.parametrize(
    ("owner", "name", "call", "after"),
    [
        (training.Trainer, "step", 8, False),
        (selection, "write_table", 3, True),
        pytest.param(selection, "write_weights", 2, True, marks=pytest.mark.slow),
        pytest.param(training.Trainer, "save", 4, True, marks=pytest.mark.slow),  # that of the end
        pytest.param(selection, "write_table", 1, True, marks=pytest.mark.slow),
        pytest.param(selection, "keep_only", 2, False, marks=pytest.mark.slow),
        pytest.param(selection, "write_weights", 3, True, marks=pytest.mark.slow),  # the output directory's
        pytest.param(selection, "keep_only", 6, False, marks=pytest.mark.slow),
    ],
)
def test_a_selection_that_was_stopped_anywhere_ends_the_same(
    sample, selected, stub_scores, tmp_path, monkeypatch, owner, name, call, after
):
    with monkeypatch.context() as patched:
        kill_at(patched, owner, name, call, after)
        with pytest.raises(KilledError):
            select(sample, tmp_path)
    select(sample, tmp_path)
    assert_same_results(tmp_path, selected[0])


def assert_same_results(ours, theirs):
    """The same files in two output directories, and in them the same."""
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*.index"))
    assert sorted(path.relative_to(ours) for path in ours.rglob("*.index")) == names
    for name in names:
        assert contents(ours / name.with_suffix("")) == contents(theirs / name.with_suffix("")), name
    for name in ("selection/epochs.tsv", "selection/best/checkpoint", "label_map.json", "checkpoint"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    assert not list(ours.rglob("model.ckpt*.tmp*"))


def test_a_selection_with_another_seed_or_batch_size_needs_another_directory(sample, copy):
    for changes, message in (
        ({"seed": 4}, "--seed=4: .*/selection began with --seed=3"),
        ({"batch_size": 8}, "--train_batch_size=8: .*/selection began with --train_batch_size=16"),
    ):
        with pytest.raises(InputError, match=message):
            select(sample, copy, training=changes)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--retrain_on_train_dev"], "expected --select_best_on_dev with it"),
        (["--select_best_on_dev", "--num_train_epochs=2.5"], "--num_train_epochs=2.5: expected a whole number with"),
        (["--select_best_on_dev", "--num_train_epochs=0"], "--num_train_epochs=0: expected a whole number"),
        (
            ["--select_best_on_dev", "--retrain_on_train_dev", "--distribution_strategy=multi_worker_mirrored"],
            "--retrain_on_train_dev: not with several workers",
        ),
    ],
)
def test_flags_of_selection_that_do_not_go_together(run_script, tmp_path, flags, message):
    needed = [f"--{name}={tmp_path}/none" for name in ("bert_config_file", "vocab_file", "data_dir", "output_dir")]
    check_error(run_script("run_ner.py", *needed, *flags), message)
    assert not (tmp_path / "none").exists()


def test_a_directory_is_for_trainings_with_or_without_selection(plain, tmp_path):
    with pytest.raises(InputError, match="--select_best_on_dev=true: the model in .* trained the other way"):
        run_ner.check_selection(True, str(plain[0]))
    run_ner.check_selection(False, str(plain[0]))
    (tmp_path / "selection").mkdir()
    with pytest.raises(InputError, match="--select_best_on_dev=false: .*use a new --output_dir"):
        run_ner.check_selection(False, str(tmp_path))
    run_ner.check_selection(True, str(tmp_path))


def test_selection_trains_on_train_alone_and_retraining_on_both(tmp_path):
    def write(name, *words):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{word}\tO\n\n" for word in words))

    def words(select=True, retrain=False):
        data = run_ner.read_training_data(str(tmp_path), select, retrain)
        return {name: [sentence.words for sentence in part] for name, part in data.items()}

    write("train", "a")
    write("devel", "b")
    parts = {"train": [["a"]], "devel": [["b"]]}
    assert words() == parts
    assert words(retrain=True) == parts | {"train_dev": [["a"], ["b"]]}  # JNLPBA comes without the file
    write("train_dev", "c")
    assert words(retrain=True) == parts | {"train_dev": [["c"]]}
    (tmp_path / "devel.tsv").unlink()
    with pytest.raises(InputError, match="devel.tsv: cannot be read"):
        words()
    assert words(select=False) == {"train_dev": [["c"]]}


@pytest.mark.slow
def test_a_killed_selection_ends_like_an_unbroken_one(repository, run_script, tmp_path):
    config = tmp_path / "bert_config.json"
    config.write_text(json.dumps(TINY | {"vocab_size": 2099, "max_position_embeddings": 64}))

    def command(name, *more):
        samples = repository / "samples"
        given = (f"--vocab_file={samples}/vocab.txt", f"--bert_config_file={config}", f"--data_dir={samples}/ner")
        small = ("--max_seq_length=64", "--num_train_epochs=3", "--save_checkpoints_steps=7")
        return ["run_ner.py", *given, f"--output_dir={tmp_path / name}", *small, "--select_best_on_dev", *more]

    unbroken = run_script(*command("unbroken"))
    assert unbroken.returncode == 0, unbroken.stderr
    table = unbroken.stdout.partition("devel.tsv by epoch *****\n")[2].splitlines()
    assert [line.split()[0] for line in table[:4]] == ["epoch", "1", "2", "3"]
    assert sum(line.endswith("  best") for line in table[:4]) == 1

    kill_process(command("killed"), tmp_path / "killed/selection/epochs.tsv")
    result = run_script(*command("killed"))
    assert result.returncode == 0, result.stderr
    assert_same_results(tmp_path / "killed", tmp_path / "unbroken")
    before = [(tmp_path / "unbroken" / name).read_bytes() for name in NER_FILES]
    assert [(tmp_path / "killed" / name).read_bytes() for name in NER_FILES] == before
    (tmp_path / "killed/label_test.txt").unlink()
    result = run_script(*command("killed", "--do_train=false"))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "killed/label_test.txt").read_bytes() == before[1]
