r"""Speed of `data_prep.create_pretraining_data` on one core, imports left out.

    python -m benchmarks.create_pretraining_data --text=../shared/data/text/abstracts_60mb.txt.xz \
        --vocab_file=../shared/data/vocab/bert-base-cased-vocab.txt --do_lower_case=False

Takes the first 2,640 lines (5.0 MB of abstracts), each a document, with its sentences one a line, and prints
seconds by phase at dupe factors 1 and 5, beside those of a plain program that does the same on strings, in
the same run, with which every record must agree, and the original's figures on the same abstracts. (The plain
program has this project's FullTokenizer; the original's goes character by character, 4 times as slow.)

Expected (2 cores shared with other work, Python 3.11, half a minute): 1.4 s at dupe factor 1 and 3.5 s at 5, of
which the original's figures are 10 and 7 times; the plain program takes 2.8 and 7.7 s.
"""

import itertools
import lzma
import os
import random
import re
import tempfile
import time

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
import tensorflow as tf
from absl import flags

from common.errors import run
from data_prep.corpus.instances import Options, Vocabulary, create_records
from data_prep.corpus.pretraining_records import write_records
from data_prep.corpus.pretraining_text import Counts, TextFiles, read_corpus
from data_prep.text.fast_tokenization import FastTokenizer
from data_prep.text.tokenization import FullTokenizer

# The original on its first 713,649 words, in seconds with and without 4.2 s of imports, and its records.
ORIGINAL = {1: (18.5, 18.5 - 4.2, 12_683), 5: (30.1, 30.1 - 4.2, 63_315)}
SEED = 12345


def write_sentences(path, num_documents, output):
    """Writes lines of a text as documents, sentences one a line, and returns their number of words."""
    words = 0
    opened = lzma.open if path.endswith(".xz") else open
    with opened(path, "rt", encoding="utf-8") as file, open(output, "w", encoding="utf-8") as sentences:
        for line in itertools.islice(file, num_documents):
            words += len(line.split())
            sentences.write(re.sub(r"(?<=[.?!])\s+", "\n", line.strip()) + "\n\n")
    return words


def measure(text, vocab_file, do_lower_case, dupe_factor, output):
    """Returns seconds by phase."""
    start = time.perf_counter()
    tokenizer = FastTokenizer(vocab_file, do_lower_case)
    files = TextFiles([text])
    options = Options(dupe_factor=dupe_factor)
    corpus = read_corpus(files.lines(0, files.size), tokenizer, options.max_pieces, Counts())
    tokenized = time.perf_counter()
    records, _ = create_records(corpus, Vocabulary(tokenizer.vocab), options, random.Random(SEED))
    built = time.perf_counter()
    write_records(records, [output])
    return tokenized - start, built - tokenized, time.perf_counter() - built


def measure_plain(text, vocab_file, do_lower_case, dupe_factor, output):
    """The same work as a plain program does it: strings, lists, `random` and protobuf messages."""
    start = time.perf_counter()
    tokenizer = FullTokenizer(vocab_file, do_lower_case)
    with open(text, encoding="utf-8") as file:
        documents = [
            [tokenizer.tokenize(line) for line in lines]
            for is_text, lines in itertools.groupby(map(str.strip, file), bool)
            if is_text
        ]
    tokenized = time.perf_counter()
    rng = random.Random(SEED)
    rng.shuffle(documents)
    words = list(tokenizer.vocab)
    instances = [
        plain_mask(a, b, is_random_next, words, rng)
        for _ in range(dupe_factor)
        for index in range(len(documents))
        for a, b, is_random_next in plain_pairs(documents, index, rng)
    ]
    rng.shuffle(instances)
    built = time.perf_counter()
    with tf.io.TFRecordWriter(output) as writer:
        for instance in instances:
            writer.write(plain_record(instance, tokenizer))
    return tokenized - start, built - tokenized, time.perf_counter() - built


def plain_pairs(documents, index, rng, max_pieces=125):
    document = documents[index]
    target = rng.randint(2, max_pieces) if rng.random() < 0.1 else max_pieces
    chunk, i = [], 0
    while i < len(document):
        chunk.append(document[i])
        i += 1
        if i < len(document) and sum(map(len, chunk)) < target:
            continue
        cut = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
        a, b = sum(chunk[:cut], []), sum(chunk[cut:], [])
        is_random_next = len(chunk) == 1 or rng.random() < 0.5
        if is_random_next:
            others = (rng.randint(0, len(documents) - 1) for _ in range(10))
            other = documents[next((k for k in others if k != index), index)]
            b = []
            for line in other[rng.randint(0, len(other) - 1) :]:
                b = b + line
                if len(b) >= target - len(a):
                    break
            i -= len(chunk) - cut
        while len(a) + len(b) > max_pieces:
            longer = a if len(a) > len(b) else b
            longer.pop(0 if rng.random() < 0.5 else -1)
        yield a, b, is_random_next
        chunk = []


def plain_mask(a, b, is_random_next, words, rng):
    tokens = ["[CLS]", *a, "[SEP]", *b, "[SEP]"]
    candidates = [i for i, token in enumerate(tokens) if token not in ("[CLS]", "[SEP]")]
    rng.shuffle(candidates)
    labels = {}
    for i in candidates[: min(20, max(1, round(len(tokens) * 0.15)))]:
        labels[i] = tokens[i]
        if rng.random() < 0.8:
            tokens[i] = "[MASK]"
        elif rng.random() >= 0.5:
            tokens[i] = words[rng.randint(0, len(words) - 1)]
    return tokens, len(a) + 2, is_random_next, sorted(labels.items())


def plain_record(instance, tokenizer):
    tokens, a_length, is_random_next, labels = instance
    ids = tokenizer.convert_tokens_to_ids(tokens)
    label_ids = tokenizer.convert_tokens_to_ids([token for _, token in labels])
    features = {
        "input_ids": ids + [0] * (128 - len(ids)),
        "input_mask": [1] * len(ids) + [0] * (128 - len(ids)),
        "segment_ids": [0] * a_length + [1] * (len(ids) - a_length) + [0] * (128 - len(ids)),
        "masked_lm_positions": [i for i, _ in labels] + [0] * (20 - len(labels)),
        "masked_lm_ids": label_ids + [0] * (20 - len(labels)),
        "next_sentence_labels": [int(is_random_next)],
    }
    example = tf.train.Example()
    for name, values in features.items():
        example.features.feature[name].int64_list.value.extend(values)
    weights = [1.0] * len(labels) + [0.0] * (20 - len(labels))
    example.features.feature["masked_lm_weights"].float_list.value.extend(weights)
    return example.SerializeToString()


def count_equal(first, second):
    """Returns how many records two files have, having checked that they are the same, in order."""
    parse = tf.train.Example.FromString
    number = 0
    datasets = [tf.data.TFRecordDataset(path).as_numpy_iterator() for path in (first, second)]
    for a, b in zip(*datasets, strict=True):
        if parse(a) != parse(b):
            raise AssertionError(f"record {number + 1} differs from the plain program's")
        number += 1
    return number


def report(name, phases, reference=None):
    ratio = "" if reference is None else f"   x {sum(reference) / sum(phases):.1f}"
    print(f"  {name:24s}" + "".join(f"{seconds:10.2f}" for seconds in (*phases, sum(phases))) + ratio)


def main(_):
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as directory:
        text, ours, plain = (os.path.join(directory, name) for name in ("text", "ours", "plain"))
        words = write_sentences(values.text, values.documents, text)
        print(f"{os.path.getsize(text) / 1e6:.1f} MB, {words:,} words; seconds on one core, imports left out")
        for dupe_factor, (with_imports, total, num_records) in ORIGINAL.items():
            arguments = (text, values.vocab_file, values.do_lower_case, dupe_factor)
            phases = measure(*arguments, ours)
            reference = measure_plain(*arguments, plain)
            print(f"\ndupe factor {dupe_factor}, {count_equal(ours, plain):,} records, all equal")
            print(f"  {'':24s}{'tokenize':>10s}{'build':>10s}{'write':>10s}{'total':>10s}   speed")
            report("plain, in this run", reference)
            report("ours", phases, reference)
            print(
                f"  the original on 5.0 MB of abstracts, elsewhere: {with_imports} s with imports, {total:.1f} s "
                f"without, {num_records:,} records; its time is ours x {total / sum(phases):.1f}"
            )


if __name__ == "__main__":
    flags.DEFINE_string("text", None, "Text, a document a line; may be compressed (.xz).")
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the model.")
    flags.DEFINE_bool("do_lower_case", False, "Lower-case and strip accents: true for uncased models.")
    flags.DEFINE_integer("documents", 2640, "Lines of the text to take.", lower_bound=1)
    flags.mark_flags_as_required(["text", "vocab_file"])
    run(main)
