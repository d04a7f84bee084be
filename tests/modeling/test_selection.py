"""The best epoch of a training: its table, its weights, and what is kept of them until it is settled."""

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError
from modeling import checkpoint
from modeling.selection import Selection, format_table

ENDS = {2: 1, 5: 2, 7: 3, 10: 4}  # 5 examples in batches of 2


def scores(f1):
    return {"precision": 2 * f1, "recall": f1 / 2, "f1": f1, "loss": 0.25}


def weights(value):
    return {"bias": tf.constant([value])}


def files_of_best(directory):
    return sorted(path.name for path in (directory / "best").iterdir())


def check_kept(directory, *steps):
    """Exactly these checkpoints are there, and nothing half-written."""
    expected = [f"model.ckpt-{step}.{part}" for step in steps for part in ("data-00000-of-00001", "index")]
    assert files_of_best(directory) == sorted(["checkpoint", *expected])


def settle(directory, step):
    """Writes the training's own checkpoint of a step."""
    checkpoint.save(f"{directory}/model.ckpt-{step}", {"global_step": np.int64(step)})


def test_the_first_of_equal_epochs_is_the_best(tmp_path):
    selection = Selection(tmp_path, ENDS)
    for (step, _), f1 in zip(ENDS.items(), (10.0, 30.0, 30.0, 20.5), strict=True):
        selection.add(step, scores(f1), weights(float(step)))
        settle(tmp_path, step)
    assert (tmp_path / "epochs.tsv").read_text() == (
        "epoch\tstep\tprecision\trecall\tf1\tloss\n"
        "1\t2\t20.0\t5.0\t10.0\t0.25\n"
        "2\t5\t60.0\t15.0\t30.0\t0.25\n"
        "3\t7\t60.0\t15.0\t30.0\t0.25\n"
        "4\t10\t41.0\t10.25\t20.5\t0.25\n"
    )
    prefix = selection.finish()
    check_kept(tmp_path, 5)
    saved = tf.train.load_checkpoint(prefix)
    assert set(saved.get_variable_to_shape_map()) == {"bias", "global_step"}
    assert (saved.get_tensor("bias"), saved.get_tensor("global_step")) == ([5.0], 5)
    assert format_table(selection.epochs).splitlines()[:3] == [
        "epoch    step  precision  recall      F1        loss",
        "    1       2      20.00    5.00   10.00        0.25",
        "    2       5      60.00   15.00   30.00        0.25  best",
    ]


def test_scores_are_read_as_they_were_written(tmp_path):
    Selection(tmp_path, ENDS).add(2, scores(100 / 3), weights(0.0))
    assert Selection(tmp_path, ENDS).best().f1 == 100 / 3


def test_the_best_of_the_settled_epochs_is_there_when_the_others_turn_out_otherwise(tmp_path):
    selection = Selection(tmp_path, ENDS)
    selection.add(2, scores(50.0), weights(2.0))
    settle(tmp_path, 3)
    selection.add(5, scores(60.0), weights(5.0))
    selection.add(7, scores(70.0), weights(7.0))
    check_kept(tmp_path, 2, 7)
    # Killed. It goes on from step 3, on a device on which a sum is not always the same to the bit.
    selection = Selection(tmp_path, ENDS)
    selection.add(5, scores(45.0), weights(-5.0))
    assert selection.best().epoch == 1
    check_kept(tmp_path, 2)
    selection.add(7, scores(44.0), weights(-7.0))
    assert tf.train.load_checkpoint(selection.finish()).get_tensor("bias") == [2.0]
    assert (tmp_path / "epochs.tsv").read_text().count("\n") == 4


def test_the_best_before_goes_when_a_better_one_is_settled(tmp_path):
    selection = Selection(tmp_path, ENDS)
    selection.add(2, scores(50.0), weights(2.0))
    settle(tmp_path, 2)
    selection.add(5, scores(60.0), weights(5.0))
    check_kept(tmp_path, 2, 5)
    settle(tmp_path, 5)
    selection.add(7, scores(40.0), weights(7.0))
    check_kept(tmp_path, 5)


def test_what_a_kill_left_half_written_goes(tmp_path):
    selection = Selection(tmp_path, ENDS)
    selection.add(2, scores(50.0), weights(2.0))
    for name in ("model.ckpt-5.tmp123.index", "model.ckpt-5.data-00000-of-00001", "model.ckpt-20.index"):
        (tmp_path / "best" / name).touch()
    selection.finish()
    check_kept(tmp_path, 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\t3\t1\t1\t1\t0", "epoch 1 ended at step 3; by this data, --train_batch_size .* use a new --output_dir"),
        ("9\t23\t1\t1\t1\t0", "epoch 9 ended at step 23; by this data"),
        ("1\t2\t1\t1\t1", r"line 2: '1\\t2\\t1\\t1\\t1'; expected epoch step precision recall f1 loss"),
        ("1\t2\t1\t1\tx\t0", "line 2: .*; expected epoch step"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, row, message):
    (tmp_path / "epochs.tsv").write_text(f"epoch\tstep\tprecision\trecall\tf1\tloss\n{row}\n")
    with pytest.raises(InputError, match=f"epochs.tsv.*{message}"):
        Selection(str(tmp_path), ENDS)


def test_a_table_that_was_removed_is_missed(tmp_path):
    with pytest.raises(InputError, match=r"epochs.tsv: no scores, .* use a new --output_dir"):
        Selection(str(tmp_path), ENDS).finish()
