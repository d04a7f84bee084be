"""The peers of `benchmarks.predict`, run by a Python that need not have TensorFlow.

    PYTHON predict_peers.py pipeline|onnx MODEL_DIR BATCH_SIZE SENTENCES.json LABELS.json

Labels all sentences for each line of standard input, from the text on, and prints the seconds: `pipeline` by
transformers' `pipeline("token-classification")`; `onnx` by ONNX Runtime, with the model as PyTorch exports it (float32,
free axes), transformers' fast tokenizer and the sentences sorted by length. `onnx` also writes the label index of each
wordpiece of each sentence.
"""

import json
import os
import sys
import time

import torch
import transformers

MAX_LENGTH = 128
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def load_pipeline(model_dir, batch_size):
    tagger = transformers.pipeline(
        "token-classification", model=model_dir, aggregation_strategy="simple", batch_size=batch_size, device="cpu"
    )
    return lambda sentences: tagger(sorted(sentences, key=len, reverse=True))


def load_onnx(model_dir, batch_size):
    import onnxruntime

    tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
    session = onnxruntime.InferenceSession(export(model_dir), providers=["CPUExecutionProvider"])

    def label(sentences):
        encoded = tokenizer(sentences, truncation=True, max_length=MAX_LENGTH)
        order = sorted(range(len(sentences)), key=lambda i: -len(encoded["input_ids"][i]))
        labels = [None] * len(sentences)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = tokenizer.pad(
                {name: [encoded[name][i] for i in chosen] for name in INPUTS}, return_tensors="np", padding=True
            )
            (logits,) = session.run(None, {name: batch[name] for name in INPUTS})
            for row, i in zip(logits.argmax(-1), chosen, strict=True):
                labels[i] = row[1 : len(encoded["input_ids"][i]) - 1].tolist()
        return labels

    return label


def export(model_dir):
    model = transformers.AutoModelForTokenClassification.from_pretrained(model_dir).eval()
    example = {name: torch.ones(2, 16, dtype=torch.long) for name in INPUTS}
    path = os.path.join(model_dir, "model.onnx")
    free = {name: {0: "batch", 1: "length"} for name in [*INPUTS, "logits"]}
    names = {"input_names": INPUTS, "output_names": ["logits"], "dynamic_axes": free}
    torch.onnx.export(model, tuple(example.values()), path, dynamo=False, **names)
    return path


def main(kind, model_dir, batch_size, sentences_file, labels_file):
    transformers.logging.set_verbosity_error()
    label = {"pipeline": load_pipeline, "onnx": load_onnx}[kind](model_dir, int(batch_size))
    with open(sentences_file, encoding="utf-8") as file:
        sentences = json.load(file)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        labels = label(sentences)
        seconds = time.perf_counter() - start
        if kind == "onnx":
            with open(labels_file, "w", encoding="utf-8") as file:
                json.dump(labels, file)
        print(seconds, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
