"""Speed, start-up and memory of predict.py on a CPU, against padding to 128 and against transformers' pipeline.

    python -m benchmarks.predict --model_dir=NER_DIR --text=abstracts.txt.xz [--torch_python=PYTHON]

Labels the first `--sentences` sentences of a text of one abstract a line, `--turns` times in turn

  * as predict.py does: tokenization and model, batches of 4,096 tokens, of similar length;
  * the same, with every batch padded to 128;
  * where PYTHON has them (`pip install torch transformers onnx onnxruntime`), with the same weights and the sentences
    sorted by length: by `pipeline("token-classification", aggregation_strategy="simple", batch_size=16)` of
    transformers, and by ONNX Runtime with transformers' fast tokenizer (see `predict_peers.py`);

and prints the median of each, with sentences a second, and how many labels equal ONNX Runtime's. Then it runs
`python predict.py` with a BERT-base of random weights on one sentence and on 200, and with the model on all sentences,
without and with a terminology of 100,000 concepts with four names each, and prints seconds from start to end and the
most memory used.

Expected (2 cores with AVX2, 6-layer MiniLM): 1.3 times the speed of padding to 128, 1.7 times that of transformers,
about that of ONNX Runtime with the same labels, and less than 1.5 GB for BERT-base.
"""

import dataclasses
import functools
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import tensorflow as tf
from absl import flags

from benchmarks.pretraining_step import BERT_BASE_CASED
from common import errors
from data_prep.corpus import text_documents
from data_prep.formats.document import Document
from data_prep.text.sentences import load_sentence_splitter
from fine_tuning import model_directory
from inference import ner, sequences
from modeling import checkpoint, heads

FLAGS = flags.FLAGS

BATCH_SIZE = 16  # as predict.py has by default
PADDED = 128
CONCEPTS = 100_000  # of a terminology
MODEL, SENTENCES, LABELS = "hugging_face", "sentences.json", "labels.json"  # of the peers


def main(_):
    sentences = read_sentences(FLAGS.text, FLAGS.sentences)
    tagger = ner.load_tagger("model", model_directory.read(FLAGS.model_dir, "ner"))
    with tempfile.TemporaryDirectory() as directory:
        timers = {
            "predict.py": lambda: time_tagger(sentences, tagger),
            "padded to 128": lambda: time_tagger(sentences, padded(tagger)),
        }
        if FLAGS.torch_python:
            prepare_peers(FLAGS.model_dir, sentences, directory)
            for name, kind in (("transformers", "pipeline"), ("ONNX Runtime", "onnx")):
                timers[name] = functools.partial(ask, start_peer(FLAGS.torch_python, kind, directory))
        report_speed(timers, len(sentences), FLAGS.turns)
        if FLAGS.torch_python:
            report_equality(sentences, tagger, os.path.join(directory, LABELS))
        base = write_bert_base(tagger.directory, directory)
        for count in (1, 200):
            report_process("BERT-base", base, sentences[:count], directory)
        terminology = write_terminology(sentences, directory)
        for title, extra in [
            ("the model", []),
            ("with a terminology, whose index is built", [f"--terminology={terminology}"]),
            ("with it, whose index is there", [f"--terminology={terminology}"]),
        ]:
            report_process(title, FLAGS.model_dir, sentences, directory, extra)


def read_sentences(path, count):
    """The first sentences of abstracts, one a line."""
    split_sentences = load_sentence_splitter()
    options = text_documents.Options(text_format="lines")
    abstracts = (
        paragraph for _, article in text_documents.read_articles(path, options) for paragraph in article.paragraphs
    )
    found = (abstract[slice(*span)] for abstract in abstracts for span in split_sentences(abstract))
    return list(itertools.islice(found, count))


def time_tagger(sentences, tagger):
    """Seconds to find the entities of sentences, tokenization included."""
    whole = load_sentence_splitter("none")
    start = time.perf_counter()
    documents = [Document(str(i), text, ((0, len(text)),), "") for i, text in enumerate(sentences)]
    documents = [ner.find_words(document, whole) for document in documents]
    ner.annotate(documents, [tagger], BATCH_SIZE)
    return time.perf_counter() - start


def padded(tagger):
    """The same model, which pads each batch."""

    def label_batch(features):
        width = PADDED - features["input_ids"].shape[1]
        return tagger.compiled({name: tf.pad(x, [[0, 0], [0, width]]) for name, x in features.items()})

    return dataclasses.replace(tagger, compiled=label_batch)


def prepare_peers(model_dir, sentences, directory):
    """Writes what the peers read: the same weights and the sentences."""
    convert = ["convert.py", "--to=hugging_face", f"--input_dir={model_dir}"]
    command = [sys.executable, *convert, f"--output_dir={os.path.join(directory, MODEL)}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(directory, SENTENCES), "w", encoding="utf-8") as output:
        json.dump(sentences, output)


def start_peer(python, kind, directory):
    """Starts a peer, see `predict_peers`."""
    program = os.path.join(os.path.dirname(__file__), "predict_peers.py")
    command = [python, program, kind, os.path.join(directory, MODEL), str(BATCH_SIZE)]
    command += [os.path.join(directory, name) for name in (SENTENCES, LABELS)]
    peer = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    if peer.stdout.readline().strip() != "ready":
        raise errors.InputError(
            f"--torch_python={python}: cannot run the peer {kind}; expected PyTorch, transformers, onnx and onnxruntime"
        )
    return peer


def ask(peer):
    print("go", file=peer.stdin, flush=True)
    return float(peer.stdout.readline())


def report_speed(timers, count, turns):
    seconds = {name: [] for name in timers}
    for turn in range(turns + 1):
        for name, timer in timers.items():
            value = timer()
            if turn:  # the first traces
                seconds[name].append(value)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        ratio = median / medians["predict.py"]
        print(f"{name:15s}{median:8.1f} s {count / median:8.1f} sentences/s   predict.py is {ratio:.2f} times as fast")


def report_equality(sentences, tagger, path):
    """Prints of how many wordpieces the label is that of ONNX Runtime."""
    with open(path, encoding="utf-8") as file:
        theirs = json.load(file)
    tokenizer = tagger.directory.tokenizer
    encoded = [
        sequences.Sequence(tokenizer.convert_tokens_to_ids(["[CLS]", *tokenizer.tokenize(text)[: PADDED - 2], "[SEP]"]))
        for text in sentences
    ]
    rows = sequences.run(tagger.compiled, encoded, BATCH_SIZE)
    ours = [row["labels"][1 : len(each.ids) - 1].tolist() for row, each in zip(rows, encoded, strict=True)]
    pairs = [pair for both in zip(ours, theirs, strict=True) for pair in zip(*both, strict=True)]
    print(f"{sum(first == second for first, second in pairs):,} of {len(pairs):,} wordpieces have ONNX Runtime's label")


def write_bert_base(model, directory):
    """A model directory of BERT-base with random weights; vocabulary and labels are those of `model`."""
    path = os.path.join(directory, "bert_base")
    os.makedirs(path)
    config = dataclasses.replace(BERT_BASE_CASED, vocab_size=model.config.vocab_size)
    layer = heads.TokenClassifier(config, len(model.labels))
    layer.build()
    checkpoint.save(os.path.join(path, "model.ckpt-1"), checkpoint.model_variables(layer))
    for name in os.listdir(model.path):
        if name.endswith((".json", ".txt")):
            os.symlink(os.path.abspath(os.path.join(model.path, name)), os.path.join(path, name))
    os.unlink(os.path.join(path, "bert_config.json"))
    with open(os.path.join(path, "bert_config.json"), "w", encoding="utf-8") as file:
        file.write(config.to_json())
    return path


def write_terminology(sentences, directory):
    """A table of CONCEPTS concepts, each with a name and three synonyms of one to four words of the text."""
    words = sorted({word for sentence in sentences for word in sentence.split()})
    chance = random.Random(1)
    path = os.path.join(directory, "terminology.tsv")
    with open(path, "w", encoding="utf-8") as file:
        for number in range(CONCEPTS):
            name, *synonyms = (
                " ".join(chance.choices(words, k=chance.randint(1, 4))).replace("|", "") or "x" for _ in range(4)
            )
            file.write(f"C{number}\t{name}\t{'|'.join(synonyms)}\n")
    return path


def report_process(title, model_dir, sentences, directory, extra=()):
    """Runs predict.py on sentences; prints how long it took, and the most memory that it had."""
    path = os.path.join(directory, "input.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{sentence}\n" for sentence in sentences)
    command = ["predict.py", f"--ner_model={model_dir}", f"--input={path}", "--input_format=lines", *extra]
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command, f"--output_file={directory}/output.jsonl"], stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise errors.InputError(f"predict.py --ner_model={model_dir}: ended with status {status}")
    print(f"{title}: {seconds:.1f} s for {len(sentences)} sentences, {usage.ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "Directory of a model of run_ner.py.", required=True)
    flags.DEFINE_string("text", None, "Abstracts, one a line; may be compressed.", required=True)
    flags.DEFINE_string("torch_python", None, "A Python with PyTorch, transformers, onnx and onnxruntime.")
    flags.DEFINE_integer("sentences", 2000, "How many to label.", lower_bound=1)
    flags.DEFINE_integer("turns", 3, "Turns of each way.", lower_bound=1)
    errors.run(main)
