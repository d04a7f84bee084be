"""Speed, start-up and memory of predict.py on a CPU, against padding to 128 and against transformers' pipeline.

    python -m benchmarks.predict --model_dir=NER_DIR --text=abstracts.txt.xz [--torch_python=PYTHON]

Labels the first `--sentences` sentences of a text of one abstract a line, `--turns` times in turn

  * as predict.py does: tokenization and model, batches of 16 of similar length;
  * the same, with every batch padded to 128;
  * by `pipeline("token-classification", aggregation_strategy="simple", batch_size=16)` of transformers, where PYTHON
    has it and PyTorch, with the same weights (`convert.py --to=hugging_face`) and the sentences sorted by length;

and prints the median of each, with sentences a second. Then it runs `python predict.py` with a BERT-base of random
weights on one sentence and on 200, and prints seconds from start to end and the most memory used.

Expected (2 cores, 6-layer MiniLM): at least 3 times the speed of padding to 128, 1.3 times that of transformers, one
sentence within 10 s, and less than 1.5 GB for BERT-base.
"""

import dataclasses
import itertools
import json
import os
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
from inference import ner
from modeling import checkpoint, heads

FLAGS = flags.FLAGS

BATCH_SIZE = 16  # as predict.py has by default
PADDED = 128

# The peer: labels all sentences for each line of standard input, and prints the seconds.
TORCH_PROGRAM = """
import json, sys, time
import transformers
transformers.logging.set_verbosity_error()
tagger = transformers.pipeline("token-classification", model=sys.argv[1], aggregation_strategy="simple",
                               batch_size=int(sys.argv[2]), device="cpu")
sentences = sorted(json.load(open(sys.argv[3], encoding="utf-8")), key=len, reverse=True)
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    found = tagger(sentences)
    print(time.perf_counter() - start, flush=True)
"""


def main(_):
    sentences = read_sentences(FLAGS.text, FLAGS.sentences)
    tagger = ner.load_tagger("model", model_directory.read(FLAGS.model_dir, "ner"))
    with tempfile.TemporaryDirectory() as directory:
        timers = {
            "predict.py": lambda: time_tagger(sentences, tagger),
            "padded to 128": lambda: time_tagger(sentences, padded(tagger)),
        }
        if FLAGS.torch_python:
            peer = start_peer(FLAGS.torch_python, FLAGS.model_dir, sentences, directory)
            timers["transformers"] = lambda: ask(peer)
        report_speed(timers, len(sentences), FLAGS.turns)
        base = write_bert_base(tagger.directory, directory)
        for count in (1, 200):
            report_process("BERT-base", base, sentences[:count], directory)


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


def start_peer(python, model_dir, sentences, directory):
    """Starts the peer on the same weights."""
    hugging_face, file = os.path.join(directory, "hugging_face"), os.path.join(directory, "sentences.json")
    convert = ["convert.py", "--to=hugging_face", f"--input_dir={model_dir}", f"--output_dir={hugging_face}"]
    subprocess.run([sys.executable, *convert], check=True, stdout=subprocess.DEVNULL)
    with open(file, "w", encoding="utf-8") as output:
        json.dump(sentences, output)
    command = [python, "-c", TORCH_PROGRAM, hugging_face, str(BATCH_SIZE), file]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if peer.stdout.readline().strip() != "ready":
        raise errors.InputError(f"--torch_python={python}: expected a Python with PyTorch and transformers")
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


def report_process(title, model_dir, sentences, directory):
    """Runs predict.py on sentences; prints how long it took, and the most memory that it had."""
    path = os.path.join(directory, "input.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{sentence}\n" for sentence in sentences)
    command = ["predict.py", f"--ner_model={model_dir}", f"--input={path}", "--input_format=lines"]
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
    flags.DEFINE_string("torch_python", None, "A Python with PyTorch and transformers, for the peer.")
    flags.DEFINE_integer("sentences", 2000, "How many to label.", lower_bound=1)
    flags.DEFINE_integer("turns", 3, "Turns of each way.", lower_bound=1)
    errors.run(main)
