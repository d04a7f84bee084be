"""The input pipeline: order, resume, padding, and what it says of bad files."""

import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError
from data_prep.records import records
from data_prep.records.records import Feature, Padding, RecordFile

SEQUENCE = {"input_ids": Feature(limit=1000), "input_mask": Feature(limit=2)}


def write(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for features in examples:
            example = tf.train.Example()
            for name, values in features.items():
                example.features.feature[name].int64_list.value.extend(values)
            writer.write(example.SerializeToString())
    return str(path)


@pytest.fixture
def files(tmp_path):
    """100 records in 3 files; record i holds i + 1 times, at most 40 times, the number i."""
    examples = [{"input_ids": [i] * min(i + 1, 40), "input_mask": [1] * min(i + 1, 40)} for i in range(100)]
    return [write(tmp_path / f"{n}.tfrecord", examples[n::3]) for n in range(3)]


def data(files):
    return [RecordFile(path, SEQUENCE, 34 - (number > 0)) for number, path in enumerate(files)]


def first_ids(batches):
    return [batch["input_ids"].numpy()[:, 0].tolist() for batch in batches]


def test_every_record_once_an_epoch_in_a_new_order(files):
    batches = records.training_batches(data(files), 5, seed=1).take(40)
    ids = list(itertools.chain(*first_ids(batches)))
    assert sorted(ids[:100]) == sorted(ids[100:]) == list(range(100))
    assert ids[:100] != ids[100:] != list(range(100))
    assert ids != list(itertools.chain(*first_ids(records.training_batches(data(files), 5, 2).take(40))))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_is_of_the_seed_alone(files, seed):
    orders = []
    for global_seed in (0, 7):
        tf.random.set_seed(global_seed)
        orders.append(first_ids(records.training_batches(data(files), 5, seed).take(30)))
    assert orders[0] == orders[1]


def test_resumes_where_it_stopped(files):
    unbroken = first_ids(records.training_batches(data(files), 7, 1).take(30))
    for start in (1, 6, 23):
        resumed = records.training_batches(data(files), 7, 1, start * 7).take(30 - start)
        assert first_ids(resumed) == unbroken[start:]


@pytest.mark.parametrize("num_workers", [2, 3, 7])
def test_workers_share_each_epoch_equally(files, num_workers):
    """100 records in files of 34, 33 and 33: equal shares cut files; what does not divide is left out."""
    size = 100 // num_workers
    epochs = [[], [], []]
    for worker in range(num_workers):
        share = records.Share(worker, num_workers)
        ids = first_ids(records.training_batches(data(files), 1, 1, share=share).take(3 * size))
        for number, epoch in enumerate(epochs):
            epoch.append([i for (i,) in ids[number * size : (number + 1) * size]])
    for epoch in epochs:
        assert len(set(itertools.chain(*epoch))) == num_workers * size
    assert {frozenset(part) for part in epochs[0]} != {frozenset(part) for part in epochs[1]}


@pytest.mark.parametrize("start", [5, 45, 50, 160])
def test_a_worker_resumes_where_it_stopped(files, start):
    share = records.Share(1, 2)
    unbroken = first_ids(records.training_batches(data(files), 5, 1, share=share).take(40))
    resumed = records.training_batches(data(files), 5, 1, start, share=share).take(40 - start // 5)
    assert first_ids(resumed) == unbroken[start // 5 :]


def test_more_workers_than_files(files):
    found = [
        list(itertools.chain(*first_ids(records.training_batches(data(files[:1]), 8, 1, share=share).take(1))))
        for share in (records.Share(worker, 4) for worker in range(4))
    ]
    assert len(set(itertools.chain(*found))) == 32


def test_fewer_records_than_workers(files):
    few = [RecordFile(files[0], SEQUENCE, 1), RecordFile(files[1], SEQUENCE, 2)]
    with pytest.raises(InputError) as error:
        records.training_batches(few, 1, 1, share=records.Share(0, 4))
    assert str(error.value) == f"{files[0]}: fewer records than the 4 workers; expected at least one for each"
    records.training_batches(few, 1, 1, share=records.Share(0, 3))


def test_records_are_counted(files, tmp_path):
    assert [records.count_records(path) for path in files] == [34, 33, 33]
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes(pathlib.Path(files[0]).read_bytes()[:-3])
    assert message(records.count_records, str(cut)).startswith(f"{cut}, record 34: truncated")


def test_pads_to_the_longest_of_a_batch_drawn_at_random(files):
    batches = list(records.training_batches(data(files), 5, 1, padding=Padding(multiple_of=4)).take(20))
    lengths = [batch["input_mask"].numpy().sum(axis=1) for batch in batches]
    for batch, real in zip(batches, lengths, strict=True):
        assert batch["input_ids"].shape[1] == -(-max(real) // 4) * 4
    assert sorted(itertools.chain(*lengths)) == sorted(min(i + 1, 40) for i in range(100))
    # 61 of 100 have length 40: only a batch of sequences of similar length would have none of these.
    assert sum(max(real) == 40 for real in lengths) >= 18


def test_padding_ends_at_what_the_model_takes(files):
    padding = Padding(multiple_of=32, longest=42)
    batches = records.training_batches(data(files), 50, 1, padding=padding).take(2)
    assert [batch["input_ids"].shape[1] for batch in batches] == [42, 42]


def test_pads_all_to_one_length_where_told(files):
    batches = records.training_batches(data(files), 5, 1, padding=Padding(pad_to=48)).take(3)
    assert [batch["input_ids"].shape for batch in batches] == [(5, 48)] * 3


def test_evaluation_sees_each_record_once_and_says_which(files):
    batches = list(records.evaluation_batches(files, SEQUENCE, 8, window=4))
    order = [i for n in range(3) for i in range(n, 100, 3)]
    seen = {}
    for batch in batches:
        seen |= dict(zip(batch["index"].numpy().tolist(), batch["input_ids"].numpy()[:, 0], strict=True))
    assert [seen[i] for i in range(100)] == order
    assert len(batches) == 13


def test_evaluation_repeats_where_told(files):
    batches = list(records.evaluation_batches(files, SEQUENCE, 8, repeat=True).take(30))
    assert {len(batch["index"]) for batch in batches} == {8}
    assert batches[12]["index"].numpy().tolist() == [96, 97, 98, 99, 0, 1, 2, 3]


def message(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


def read_naming_bad_records(path, features):
    with records.naming_bad_records([path], features):
        list(records.evaluation_batches([path], features, 4))


def test_a_truncated_file_is_named_with_its_record(files, tmp_path):
    whole = pathlib.Path(files[0]).read_bytes()
    path = tmp_path / "cut.tfrecord"
    path.write_bytes(whole[:-3])
    assert message(read_naming_bad_records, str(path), SEQUENCE) == (
        f"{path}, record 34: truncated, altered or no TFRecord file; write the file again"
    )


def test_an_altered_record_is_named(files, tmp_path):
    data = bytearray(pathlib.Path(files[0]).read_bytes())
    data[200] ^= 1
    path = tmp_path / "altered.tfrecord"
    path.write_bytes(data)
    assert "truncated, altered or no TFRecord" in message(records.check_file, str(path), SEQUENCE)


def test_a_foreign_file_is_refused_before_the_training(tmp_path):
    path = tmp_path / "text.tfrecord"
    path.write_text("This is no TFRecord.\n" * 9)
    assert message(records.check_files, [str(path)], SEQUENCE).startswith(f"{path}, record 1: ")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"ids": [1]}, "record 1: no feature 'input_ids' of type int64_list; found ids"),
        ({"input_ids": [1] * 3}, "record 1: feature 'input_ids' has 3 values, expected 4; the length flags"),
        (
            {"input_ids": [1, 2, 3, 9]},
            "record 1: feature 'input_ids' has values from 1 to 9, expected 0 to 8",
        ),
    ],
)
def test_says_what_does_not_fit(tmp_path, features, expected):
    path = write(tmp_path / "x.tfrecord", [features])
    assert expected in message(records.check_files, [path], {"input_ids": Feature(4, limit=9)})


def test_an_id_beyond_the_vocabulary_later_in_the_file(tmp_path):
    path = write(tmp_path / "x.tfrecord", [{"input_ids": [1, 2]}] * 9 + [{"input_ids": [1, 40]}])
    specification = {"input_ids": Feature(2, limit=32)}
    records.check_files([path], specification)
    found = message(read_naming_bad_records, path, specification)
    assert "record 10: feature 'input_ids' has values from 1 to 40" in found


def test_a_write_that_fails_leaves_nothing_half(tmp_path):
    path = str(tmp_path / "x.tfrecord")
    records.write_records([b"old"], [path])

    def failing():
        yield b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        records.write_records(failing(), [path])
    assert [record.numpy() for record in tf.data.TFRecordDataset(path)] == [b"old"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.tfrecord"]


def test_an_empty_file_among_others_is_named(files, tmp_path, caplog):
    empty = write(tmp_path / "empty.tfrecord", [])
    records.check_files([*files, empty], SEQUENCE)
    assert f"{empty}: no records" in caplog.text


def test_no_record_at_all(tmp_path):
    path = write(tmp_path / "x.tfrecord", [])
    assert "no records in 1 files" in message(records.check_files, [path], SEQUENCE)


def test_float_features(tmp_path):
    example = tf.train.Example()
    example.features.feature["w"].float_list.value.extend([0.5, 1.0])
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(example.SerializeToString())
    (batch,) = records.evaluation_batches([str(tmp_path / "x")], {"w": Feature(2, tf.float32)}, 4)
    np.testing.assert_array_equal(batch["w"], [[0.5, 1.0]])
