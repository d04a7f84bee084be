"""Writes the core of the reference data, beside this file, from all of it.

    python -m tests.golden.make ../shared/golden

takes half a minute and writes the same each time; README.md says what it is.
"""

import gzip
import json
import pathlib
import shutil
import sys

import h5py
import numpy as np

from data_prep.tasks.ner import read_sentences, split_words
from data_prep.text.tokenization import FullTokenizer
from modeling import checkpoint
from tests.golden import ARRAYS, FILES, STRINGS, digest, draw_weights

# Fixtures with random weights, and the seeds that give these.
SEEDS = {"model_tiny": 11, "ner_loss": 41, "re_loss": 42, "qa_loss": 43}
TRACE_SEED = 31
NER_FILES = ("token_test.txt", "label_test.txt")
COPIED = (
    "vocab_small.txt",
    *(f"{name}/bert_config.json" for name in (*SEEDS, "train_trace", "e2e/ner")),
    "train_trace/trace.json",
    "pretraining_data/sample_text.txt",
    "pretraining_data/sample_small.tfrecord",
    *(f"inputs/NER/{name}.tsv" for name in ("train_dev", "devel", "test")),
    *(f"e2e/ner/{name}" for name in (*NER_FILES, "NER_result_conll.txt", "conlleval.txt", "eval_results.txt")),
    *(f"defects/{case}/{name}" for case in ("ner_punct_words", "ner_zero_token_word") for name in NER_FILES),
    *(f"defects/{case}/test.tsv" for case in ("ner_punct_words", "ner_zero_token_word")),
)
STRING_COLUMNS = ("id", "category", "text", "small_lower0", "small_lower1", "basic_lower0", "basic_lower1")
NOT_MADE_UP = "text"  # the category of lines from repositories' READMEs and from inputs/
# Strings with a character that is assigned in some only of Unicode 13.0, 14.0, with which they were recorded, 15.0 and
# 15.1, of Python 3.10 to 3.13, and is dropped in the others; 652 and 654 have U+1FAE9, of 16.0.
VARYING = {212, *range(644, 658, 2), 2588, 2600, 2640, 2668, 2704, 2712, 2720, 2728, 2734, 2770, 2788, 2800, 2812}
VARYING |= {2822, 2824, 2836, 2850, 2880, 2888, 2906, 2912, 2914}
NER_LENGTH = 64  # of the sequences of the end-to-end run, which use as many of the position embeddings
ALL_VALUES = 4096  # a variable of more values is left out of those after the last step of the trace, except:
LARGE = "bert/encoder/layer_0/attention/self/query/kernel"


def make(source):
    """Writes files, strings and arrays from `source`, a path to all of the reference data."""
    shutil.rmtree(FILES, ignore_errors=True)
    for name in COPIED:
        (FILES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, FILES / name)
    write_strings(source / "tokenization.jsonl")
    with new_file(ARRAYS) as file:
        for name, seed in SEEDS.items():
            write_fixture(file, source, name)
            write_random_weights(file, source, f"{name}/model.ckpt", seed)
        write_random_weights(file, source, "train_trace/init.ckpt", TRACE_SEED)
        write_arrays(new_group(file, "train_trace/batches.npz"), dict(np.load(source / "train_trace/batches.npz")))
        write_weights(new_group(file, "train_trace/step50.ckpt"), last_step(source))
        write_weights(new_group(file, "e2e/ner/model.ckpt"), ner_weights(source))


def write_strings(path):
    """The made-up strings, and the columns that need no large vocabulary."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["category"] != NOT_MADE_UP and row["id"] not in VARYING]
    lines = [json.dumps({name: row[name] for name in STRING_COLUMNS}) + "\n" for row in rows]
    STRINGS.write_bytes(gzip.compress("".join(lines).encode("ascii"), mtime=0))


def write_fixture(file, source, name):
    """Inputs and outputs exactly; gradients rounded by at most a twentieth of what the tests allow."""
    arrays = {kind: dict(np.load(source / name / f"{kind}.npz")) for kind in ("inputs", "outputs", "grads")}
    for kind in ("inputs", "outputs"):
        write_arrays(new_group(file, f"{name}/{kind}.npz"), arrays[kind])
    # See `check_gradients` in tests/modeling/test_modeling.py.
    allowed = 1e-5 * max(1.0, max(np.abs(gradient).max() for gradient in arrays["grads"].values() if gradient.ndim))
    write_arrays(new_group(file, f"{name}/grads.npz"), arrays["grads"], step=2.0 ** np.floor(np.log2(allowed / 10)))


def write_random_weights(file, source, name, seed):
    """A seed in place of what it gives, and exactly what it does not give."""
    recorded = read_checkpoint(source / name)
    recorded = {name: array for name, array in recorded.items() if "/adam_" not in name and name != "global_step"}
    shapes = {name: array.shape for name, array in recorded.items()}
    drawn = draw_weights(seed, shapes)
    others = {name: array for name, array in recorded.items() if not np.array_equal(array, drawn[name])}
    assert len(others) <= 1, sorted(others)  # the weights of a head
    group = new_group(file, name)
    group.attrs["seed"], group.attrs["shapes"] = seed, json.dumps(shapes, sort_keys=True)
    group.attrs["sha256"] = digest(recorded)
    write_arrays(group, others)


def last_step(source):
    """The smaller variables after the 50 steps of the trace, and one larger one, with their Adam slots."""
    weights = read_checkpoint(source / "train_trace/step50.ckpt")
    return {name: array for name, array in weights.items() if array.size <= ALL_VALUES or name.startswith(LARGE)}


def ner_weights(source):
    """The end-to-end NER run's weights, with zeros in the rows of the embeddings that its inputs do not use."""
    weights = read_checkpoint(source / "e2e/ner/model.ckpt")
    tokenizer = FullTokenizer(str(source / "vocab_small.txt"), do_lower_case=False)
    paths = sorted((source / "inputs/NER").glob("*.tsv"))
    sentences = [sentence for path in paths for sentence in read_sentences(path)]
    pieces = {piece for sentence in split_words(sentences, tokenizer) for piece in sentence.tokens}
    used = tokenizer.convert_tokens_to_ids([*sorted(pieces), "[PAD]", "[CLS]", "[SEP]"])
    unused = np.setdiff1d(np.arange(len(tokenizer.vocab)), used)
    weights["bert/embeddings/word_embeddings"][unused] = 0
    weights["bert/embeddings/position_embeddings"][NER_LENGTH:] = 0
    return weights


# Reading and writing


def read_checkpoint(prefix):
    reader = checkpoint.open_reader(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def new_file(path):
    """An HDF5 file in the format of HDF5 1.10, whose small headers matter here, but without its times of writing."""
    creation, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    creation.set_obj_track_times(False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    return h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, creation, access))


def new_group(file, path):
    creation = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    creation.set_obj_track_times(False)
    return h5py.Group(h5py.h5g.create(file.id, path.replace("/", "|").encode(), gcpl=creation))


def write_weights(group, weights):
    group.attrs["sha256"] = digest(weights)
    write_arrays(group, weights)


def write_arrays(group, arrays, step=None):
    """Writes a dict of arrays, those with axes rounded to multiples of `step` if one is given."""
    for name, array in sorted(arrays.items()):
        rounds = step is not None and array.ndim > 0
        values = np.round(array / step).astype(np.int32) if rounds else array
        # One chunk: small ones compress less.
        filters = {"chunks": values.shape, "shuffle": True, "compression": "gzip", "compression_opts": 9}
        dataset = group.create_dataset(name.replace("/", "|"), data=values, **(filters if values.size > 64 else {}))
        if rounds:
            dataset.attrs["step"] = step


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
