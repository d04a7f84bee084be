"""data_prep.create_pretraining_data and what it is made of, against records of the original and by hand."""

import os
import random

import numpy as np
import pytest
import tensorflow as tf

from common.errors import InputError
from common.files import temporary_path
from data_prep.corpus import instances, pretraining_text
from data_prep.corpus.instances import Options
from data_prep.corpus.pretraining_text import Corpus, Counts, TextFiles, read_corpus
from data_prep.create_pretraining_data import (
    Settings,
    create_pretraining_data,
    create_shards,
    write_records,
)
from data_prep.text.fast_tokenization import FastTokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
FIELDS = ("input_ids", "input_mask", "segment_ids", "masked_lm_positions", "masked_lm_ids", "next_sentence_labels")


@pytest.fixture
def vocab_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    return str(path)


@pytest.fixture
def text_files(tmp_path):
    """Two files of 30 documents in all, the 15th of which goes over from one file to the other."""
    rng = random.Random(3)
    documents = []
    for _ in range(30):
        lines = ["".join(rng.choices(LETTERS + "  ", k=rng.randint(5, 60))) for _ in range(rng.randint(1, 9))]
        documents.append("\n".join(lines))
    paths = [tmp_path / "0.txt", tmp_path / "1.txt"]
    paths[0].write_text("\n\n".join(documents[:15]), encoding="utf-8")
    paths[1].write_text("\n\n".join(documents[15:]) + "\n", encoding="utf-8")
    return [str(path) for path in paths]


def read_records(*paths):
    records = []
    for path in paths:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            values = {name: list(features[name].int64_list.value) for name in FIELDS}
            values["masked_lm_weights"] = list(features["masked_lm_weights"].float_list.value)
            records.append(values)
    return records


@pytest.mark.parametrize(
    ("golden", "vocab", "names"),
    [
        ("core", "vocab_small.txt", ["sample_small"]),
        ("shared", "../data/vocab/bert-base-cased-vocab.txt", ["sample_real"]),
        ("shared", "vocab_small.txt", ["sample_small"]),
        ("shared", "../data/vocab/bert-base-cased-vocab.txt", ["sample_real_multi_0", "sample_real_multi_1"]),
    ],
    indirect=["golden"],
)
def test_files_of_the_original(golden, tmp_path, vocab, names):
    recorded = golden / "pretraining_data"
    outputs = [str(tmp_path / name) for name in names]
    settings = Settings(str(golden / vocab), do_lower_case=False, options=Options(dupe_factor=5))
    counts = create_pretraining_data([str(recorded / "sample_text.txt")], outputs, settings)
    for name in names:
        expected = (recorded / f"{name}.tfrecord").read_bytes()
        assert (tmp_path / name).read_bytes() == expected
    assert counts.records == len(read_records(*outputs))
    assert counts.record_pieces == sum(sum(record["input_mask"]) for record in read_records(*outputs))
    assert counts.documents == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_draws_are_those_of_random():
    for seed in range(50):
        ours, python = random.Random(seed), random.Random(seed)
        for length in (0, 1, 2, 3, 7, 8, 9, 127, 128, 129, 1000):
            items, expected = list(range(length)), list(range(length))
            instances.shuffle(items, ours.getrandbits)
            python.shuffle(expected)
            assert items == expected
            number = length + 1
            assert instances.below(ours.getrandbits, number) == python.randrange(number)
            assert 2 + instances.below(ours.getrandbits, number) == python.randint(2, length + 2)
        assert ours.getstate() == python.getstate()


def make_corpus(lengths, documents):
    """A corpus whose ids are 5, 6, 7, ..., so that an id says where it comes from."""
    starts = np.cumsum([0, *lengths]).tolist()
    return Corpus(np.arange(5, 5 + starts[-1], dtype=np.int32), starts, documents)


def test_pairs_of_a_document():
    lines = make_corpus([4] * 40, [(0, 20), (20, 40)])
    options = Options(max_seq_length=19, short_seq_prob=0.0)  # four lines of 4 pieces fill the sequence
    seen = set()
    for seed in range(100):
        previous_end = 0
        for a, b, is_random_next in instances.segment_pairs(lines, 0, options, random.Random(seed)):
            assert a[0] == previous_end
            assert a[1] - a[0] in (4, 8, 12, 16)
            assert (a[1] - a[0]) + (b[1] - b[0]) <= 16
            assert (b[0] >= 80) == is_random_next
            seen.add(is_random_next)
            previous_end = a[1] if is_random_next else b[1]
        assert previous_end == 80
    assert seen == {True, False}


def test_segments_are_cut_at_both_ends():
    assert instances._truncate((0, 10), (20, 25), 8, lambda: 0.4) == ((6, 10), (21, 25))
    assert instances._truncate((0, 10), (20, 25), 8, lambda: 0.6) == ((0, 4), (20, 24))
    assert instances._truncate((0, 3), (20, 25), 8, lambda: 0.4) == ((0, 3), (20, 25))


@pytest.mark.parametrize("do_whole_word_mask", [False, True])
def test_records_hold_the_text(vocab_file, text_files, tmp_path, do_whole_word_mask):
    """Unmasked, each record is [CLS] text [SEP] text [SEP], and its masks are as asked for."""
    options = Options(
        max_seq_length=40, max_predictions_per_seq=6, dupe_factor=3, do_whole_word_mask=do_whole_word_mask
    )
    output = tmp_path / "out"
    create_pretraining_data(text_files, [str(output)], Settings(vocab_file, options=options))
    files = TextFiles(text_files)
    tokenizer = FastTokenizer(vocab_file)
    text = read_corpus(files.lines(0, files.size), tokenizer, 37, Counts()).ids.tolist()
    text = "".join(chr(i) for i in text)
    replaced = []
    for record in read_records(output):
        length = sum(record["input_mask"])
        number = int(sum(record["masked_lm_weights"]))
        ids, positions = record["input_ids"], record["masked_lm_positions"][:number]
        replaced += [(ids[i], label) for i, label in zip(positions, record["masked_lm_ids"], strict=False)]
        for i, label in zip(positions, record["masked_lm_ids"], strict=False):
            ids[i] = label
        assert ids[0] == 2
        assert [i for i in range(length) if ids[i] == 3] == [record["segment_ids"].index(1) - 1, length - 1]
        assert sum(record["segment_ids"]) == length - record["segment_ids"].index(1)
        middle = record["segment_ids"].index(1)
        for segment in (ids[1 : middle - 1], ids[middle : length - 1]):
            assert "".join(chr(i) for i in segment) in text
        assert ids[length:] == [0] * (40 - length)
        assert positions == sorted(set(positions))
        limit = min(6, max(1, round(length * 0.15)))
        assert number <= limit if do_whole_word_mask else number == limit
        if do_whole_word_mask:
            unmasked = {i for i in range(length) if ids[i] >= 5} - set(positions)
            assert not [i for i in positions if ids[i] >= 31 and i - 1 in unmasked]
    share = np.mean([new == 4 for new, _ in replaced])
    assert 0.7 < share < 0.9


def test_whole_words_by_hand():
    # Two words of two pieces and one of three: of four predictions, the three-piece word can only be alone.
    ids = [2, 5, 31, 3, 6, 32, 7, 33, 34, 3]
    words = instances._words(ids, [1, 2, 4, 5, 6, 7, 8], set(range(31, 57)))
    assert words == [[1, 2], [4, 5], [6, 7, 8]]
    assert instances._fill([[6, 7, 8], [1, 2], [4, 5]], 4) == [6, 7, 8]
    assert instances._fill([[1, 2], [6, 7, 8], [4, 5]], 4) == [1, 2, 4, 5]


def read(path_or_paths, vocab_file, max_pieces=5, **options):
    paths = path_or_paths if isinstance(path_or_paths, list) else [path_or_paths]
    files = TextFiles([str(path) for path in paths])
    counts = Counts()
    return read_corpus(files.lines(0, files.size), FastTokenizer(vocab_file), max_pieces, counts, **options), counts


def test_documents(tmp_path, vocab_file):
    """Lines that are empty after stripping end a document; files do not; lines without a piece vanish."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("a b\r\nc\n \t\u3000\n\nd\n\u200b\ne", encoding="utf-8")
    second.write_text("f\n\n\u200b\n\ng", encoding="utf-8")
    lines, counts = read([first, second], vocab_file)
    assert lines.ids.tolist() == [5, 6, 7, 8, 9, 10, 11]
    assert lines.starts == [0, 2, 3, 4, 5, 6, 7]
    assert lines.documents == [(0, 2), (2, 5), (5, 6)]
    assert (counts.documents, counts.lines, counts.pieces) == (3, 6, 7)


def test_batches_do_not_matter(text_files, vocab_file, monkeypatch):
    whole, _ = read(text_files, vocab_file)
    monkeypatch.setattr(pretraining_text, "BATCH_CHARS", 50)
    parts, _ = read(text_files, vocab_file)
    assert parts.ids.tolist() == whole.ids.tolist()
    assert (parts.starts, parts.documents) == (whole.starts, whole.documents)


def test_long_lines(tmp_path, vocab_file):
    path = tmp_path / "text"
    path.write_text("a b\na b cd e fghi j k l m\na\n\nb", encoding="utf-8")
    lines, counts = read(path, vocab_file, max_pieces=12)
    assert lines.starts == [0, 2, 15, 16, 17]
    assert (counts.long_lines, counts.cut_pieces) == (1, 1)
    lines, counts = read(path, vocab_file, max_pieces=12, split_long_lines=True)
    # At most three pieces: a b | cd e | fgh | ##i j k | l m, cut before a word but for the longest.
    assert lines.starts == [0, 2, 4, 7, 10, 13, 15, 16, 17]
    assert lines.documents == [(0, 7), (7, 8)]
    assert (counts.long_lines, counts.cut_pieces) == (1, 0)


def test_invalid_utf8(tmp_path, vocab_file):
    path = tmp_path / "text"
    path.write_bytes(b"a\nb\n\xc3\xa9 c\xff\xfe d\n")
    with pytest.raises(InputError, match="text, line 3: invalid UTF-8"):
        read(path, vocab_file)
    lines, counts = read(path, vocab_file, invalid_utf8="drop")
    assert lines.ids.tolist() == [5, 6, 9, 7, 8]
    assert counts.invalid_bytes == 2


@pytest.mark.parametrize("num_parts", [1, 2, 3, 7, 50])
def test_parts_hold_each_document_once(text_files, vocab_file, num_parts):
    files = TextFiles(text_files)
    parts = [files.part(i, num_parts) for i in range(num_parts)]
    assert parts[0][0] == 0
    assert parts[-1][1] == files.size
    assert [end for _, end in parts[:-1]] == [start for start, _ in parts[1:]]
    lines = [line for part in parts for line in files.lines(*part)]
    assert lines == list(files.lines(0, files.size))
    tokenizer = FastTokenizer(vocab_file)
    counts = [Counts() for _ in parts]
    for part, part_counts in zip(parts, counts, strict=True):
        read_corpus(files.lines(*part), tokenizer, 37, part_counts)
    assert sum(part_counts.documents for part_counts in counts) == read(text_files, vocab_file)[1].documents


def test_shards_do_not_depend_on_processes(text_files, vocab_file, tmp_path):
    settings = Settings(vocab_file, options=Options(max_seq_length=32, dupe_factor=2))
    one = create_shards(text_files, str(tmp_path / "one/x"), 3, settings)
    two = create_shards(text_files, str(tmp_path / "two/x"), 3, settings, num_processes=2)
    names = [f"x-0000{i}-of-00003" for i in range(3)]
    assert one == two
    assert one.documents == 29  # the last of one file goes on in the next
    assert one.records == sum(len(read_records(tmp_path / "one" / name)) for name in names)
    assert sorted(os.listdir(tmp_path / "one")) == sorted(os.listdir(tmp_path / "two")) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_error_in_a_shard_leaves_nothing_half_written(text_files, vocab_file, tmp_path):
    with open(text_files[1], "ab") as file:
        file.write(b"\n\xff\n")
    with pytest.raises(InputError, match=r"1\.txt, line \d+: invalid UTF-8"):
        create_shards(text_files, str(tmp_path / "x"), 2, Settings(vocab_file))
    assert not [name for name in os.listdir(tmp_path) if ".tmp" in name]


def test_failure_leaves_what_stood_there(text_files, vocab_file, tmp_path):
    output = tmp_path / "out"
    output.write_text("before")
    with open(text_files[1], "ab") as file:
        file.write(b"\xff\n")
    with pytest.raises(InputError):
        create_pretraining_data(text_files, [str(output)], Settings(vocab_file))
    assert output.read_text() == "before"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(tmp_path):
    output = tmp_path / "out"
    os.symlink("/dev/full", temporary_path(str(output)))
    with pytest.raises(InputError, match="out: cannot be written .*No space left"):
        write_records([b"record" * 1000] * 1000, [str(output)])
    assert os.listdir(tmp_path) == []


def test_missing_directory(tmp_path):
    with pytest.raises(InputError, match="x/out: cannot be written"):
        write_records([b"record"], [str(tmp_path / "x/out")])


@pytest.mark.parametrize("content", [b"", b"\n \n\n", "\u200b\n".encode()])
def test_no_text(tmp_path, vocab_file, content):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no text"):
        create_pretraining_data([str(path)], [str(tmp_path / "out")], Settings(vocab_file))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no text"):
        create_shards([str(path)], str(tmp_path / "out"), 2, Settings(vocab_file))


def test_program(run_process, text_files, vocab_file, tmp_path):
    pattern = str(tmp_path / "[01].txt")
    flags = [f"--input_file={pattern}", f"--vocab_file={vocab_file}", f"--output_file={tmp_path}/out"]
    done = run_process("-m", "data_prep.create_pretraining_data", *flags, "--max_seq_length=16", "--dupe_factor=1")
    assert done.returncode == 0, done.stderr
    number = len(read_records(tmp_path / "out"))
    assert f"wrote {number:,} instances to 1 file" in done.stdout
    assert "--split_long_lines" in done.stderr


@pytest.mark.parametrize(("text", "is_warned_of"), [("a b\n\nc\n\nd e\n", True), ("a b\n\nc\n\nd\ne\n", False)])
def test_documents_of_a_single_line_are_warned_of(run_script, vocab_file, tmp_path, text, is_warned_of):
    (tmp_path / "text").write_text(text)
    flags = [f"--input_file={tmp_path}/text", f"--vocab_file={vocab_file}", f"--output_file={tmp_path}/out"]
    done = run_script("-m", "data_prep.create_pretraining_data", *flags)
    assert done.returncode == 0, done.stderr
    assert ("all 3 documents are a single line" in done.stderr) == is_warned_of


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input_file=nowhere*"], "error: nowhere*: no such file"),
        (["--num_processes=2"], "expected --num_shards"),
        (["--num_shards=2", "--output_file=a,b"], "expected one prefix"),
        (["--output_file=/dev/null/x"], "cannot write output there"),
        (["--output_file=a,a"], "expected different paths"),
    ],
)
def test_program_on_bad_input(run_script, text_files, vocab_file, tmp_path, flags, message):
    good = [f"--input_file={text_files[0]}", f"--vocab_file={vocab_file}", f"--output_file={tmp_path}/out"]
    done = run_script("-m", "data_prep.create_pretraining_data", *good, *flags)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
