r"""Fine-tuned scores over several seeds: this program's beside those of transformers on PyTorch, and a paired test.

    python convert.py --input_dir=MINILM --output_dir=minilm_checkpoint
    python -m benchmarks.against_transformers --task=re --task_name=gad --data_dir=GAD/1 --model_dir=MINILM \
        --checkpoint_dir=minilm_checkpoint --do_lower_case=true --learning_rate=5e-5 --train_batch_size=32 \
        --num_train_epochs=3 --seeds=1,2,3,4,5,6,7,8,9,10 --output_dir=scores/gad

Both start from the same weights and train with the same batches' size, rate, 10 % warm-up, linear decay, weight decay,
clipping and dropout on batches drawn at random; each has its own tokenizer, order of the data and initial head. Adam is
BERT's on both sides, without correction of bias; `--bias_correction` gives transformers PyTorch's, whose first hundred
steps are two to six times smaller: in EU-ADR's 30 steps (batches of 32, 3 epochs) it learns to say yes always.
`--data_dir` may hold folds, directories 1 to 10. A run that is done is in `runs.jsonl` of the output directory and not
done again. Printed: F1 of each run, means and standard deviations, and the paired t-test over seeds and folds.
Expected: a difference within the noise. MiniLM takes one to five minutes a run on 2 cores.
"""

import json
import os
import random
import statistics
import subprocess
import sys

from absl import flags

from biocodes import conlleval, re_eval
from common import errors, files, inputs
from data_prep.tasks import ner, relations
from run_ner import conlleval_tag

FLAGS = flags.FLAGS

OURS, THEIRS = "this", "transformers"
MAX_LENGTH = 128


def define_flags():
    flags.DEFINE_enum("task", None, ["ner", "re"], "What to train.")
    flags.DEFINE_string("task_name", "gad", "Of run_re.py.")
    flags.DEFINE_string("data_dir", None, "The data set, or its folds.")
    flags.DEFINE_string("model_dir", None, "The model for transformers.")
    flags.DEFINE_string("checkpoint_dir", None, "The same, converted by convert.py.")
    flags.DEFINE_bool("do_lower_case", False, "As for run_ner.py.")
    flags.DEFINE_float("learning_rate", 5e-5, "Highest learning rate.")
    flags.DEFINE_integer("train_batch_size", 32, "Examples per step.")
    flags.DEFINE_float("num_train_epochs", 3.0, "Passes over the training data.")
    flags.DEFINE_bool("bias_correction", False, "PyTorch's Adam for transformers, in place of BERT's.")
    flags.DEFINE_list("seeds", ["1", "2", "3", "4", "5"], "A run of each with every one.")
    flags.DEFINE_string("output_dir", None, "Directory of what was measured.")
    flags.mark_flags_as_required(["task", "data_dir", "model_dir", "checkpoint_dir", "output_dir"])


def main(_):
    folds = relations.find_folds(FLAGS.data_dir) if os.path.isdir(os.path.join(FLAGS.data_dir, "1")) else ["."]
    files.make_directory(FLAGS.output_dir)
    path = os.path.join(FLAGS.output_dir, "runs.jsonl")
    runs = [json.loads(line) for _, line in inputs.read_lines(path)] if os.path.exists(path) else []
    done = {(run["who"], run["seed"], run["fold"]): run["f1"] for run in runs}
    for seed in map(int, FLAGS.seeds):
        for fold in folds:
            for who, train in ((OURS, train_ours), (THEIRS, train_theirs)):
                if (who, seed, fold) not in done:
                    f1 = train(os.path.normpath(os.path.join(FLAGS.data_dir, fold)), seed)
                    done[who, seed, fold] = f1
                    with open(path, "a", encoding="utf-8") as file:
                        file.write(json.dumps({"who": who, "seed": seed, "fold": fold, "f1": f1}) + "\n")
                print(f"{who:13s} seed {seed:2d} fold {fold:2s} F1 {done[who, seed, fold]:.2f}", flush=True)
    report(done, [int(seed) for seed in FLAGS.seeds], folds)


def report(done, seeds, folds):
    """Prints means over seeds (of the means over folds) and the paired test."""
    from scipy import stats

    pairs = [[done[who, seed, fold] for who in (OURS, THEIRS)] for seed in seeds for fold in folds]
    for who in (OURS, THEIRS):
        means = [statistics.mean(done[who, seed, fold] for fold in folds) for seed in seeds]
        deviation = f" (sd {statistics.stdev(means):.2f})" if len(means) > 1 else ""
        print(f"{who}: mean F1 {statistics.mean(means):.2f}{deviation} of {len(seeds)} seeds")
    differences = [ours - theirs for ours, theirs in pairs]
    test = stats.ttest_rel(*zip(*pairs, strict=True))
    interval = test.confidence_interval()
    print(
        f"difference {statistics.mean(differences):+.2f}, 95 % interval {interval.low:+.2f} to {interval.high:+.2f}, "
        f"p {test.pvalue:.2f} (paired t-test, {len(pairs)} pairs)"
    )


def train_ours(data_dir, seed):
    """Trains by run_ner.py or run_re.py; returns F1 in percent."""
    output_dir = os.path.join(FLAGS.output_dir, "run")
    subprocess.run(["rm", "-rf", output_dir], check=True)
    command = [
        *(sys.executable, f"run_{FLAGS.task}.py", "--do_train=true", "--do_eval=false", "--do_predict=true"),
        *([f"--task_name={FLAGS.task_name}"] if FLAGS.task == "re" else []),
        *(f"--data_dir={data_dir}", f"--output_dir={output_dir}", f"--seed={seed}"),
        *(f"--vocab_file={FLAGS.checkpoint_dir}/vocab.txt", f"--do_lower_case={FLAGS.do_lower_case}"),
        *(f"--bert_config_file={FLAGS.checkpoint_dir}/bert_config.json",),
        *(f"--init_checkpoint={FLAGS.checkpoint_dir}/bert_model.ckpt", f"--max_seq_length={MAX_LENGTH}"),
        *(f"--train_batch_size={FLAGS.train_batch_size}", f"--learning_rate={FLAGS.learning_rate}"),
        *(f"--num_train_epochs={FLAGS.num_train_epochs}", "--keep_checkpoint_max=1"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if FLAGS.task == "re":
        examples = relations.read_test_examples(os.path.join(data_dir, "test.tsv"))
        rows = [line.split("\t") for _, line in inputs.read_lines(os.path.join(output_dir, "test_predictions.tsv"))]
        return score_relations([example.label for example in examples], [row[2] for row in rows[1:]])
    with open(os.path.join(output_dir, "predict_entity_results.txt"), encoding="utf-8") as file:
        return float(file.read().partition("FB1:")[2].split()[0])


def score_relations(true, predicted):
    labels = sorted(set(true))
    return 100 * re_eval.scores(true, predicted, labels, re_eval.usual_negative(labels))["f1 score"]


def train_theirs(data_dir, seed):
    """Trains by transformers on PyTorch; returns F1 in percent."""
    import torch
    import transformers

    torch.manual_seed(seed)
    random.seed(seed)
    tokenizer = transformers.BertTokenizerFast.from_pretrained(FLAGS.model_dir, do_lower_case=FLAGS.do_lower_case)
    encode, kind = (encode_relations, "Sequence") if FLAGS.task == "re" else (encode_words, "Token")
    train, test, labels, score = encode(data_dir, tokenizer)
    model = getattr(transformers, f"BertFor{kind}Classification").from_pretrained(
        FLAGS.model_dir, num_labels=len(labels)
    )
    optimizer, scheduler = make_optimizer(model, int(len(train) / FLAGS.train_batch_size * FLAGS.num_train_epochs))
    batches = endless_batches(train, FLAGS.train_batch_size)
    model.train()
    for _ in range(scheduler.total):
        model(**collate(next(batches))).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    model.eval()
    predicted = [None] * len(test)
    order = sorted(range(len(test)), key=lambda i: len(test[i]["input_ids"]))
    with torch.no_grad():
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            best = model(**collate([test[i] for i in chosen])).logits.argmax(-1).tolist()
            for i, label in zip(chosen, best, strict=True):
                predicted[i] = label
    return score(predicted)


def make_optimizer(model, total):
    """BERT's Adam without decay of biases and LayerNorm; 10 % warm-up, then linear decay.

    BERT's does not correct the bias of its moments. PyTorch's does, so the learning rate takes the correction back;
    that leaves a weight decay which is larger by the same factor in the first steps.
    """
    import torch

    decayed = {True: [], False: []}
    for name, parameter in model.named_parameters():
        decayed[not (name.endswith("bias") or "LayerNorm" in name)].append(parameter)
    groups = [{"params": group, "weight_decay": 0.01 * decays} for decays, group in decayed.items()]
    optimizer = torch.optim.AdamW(groups, lr=FLAGS.learning_rate, eps=1e-6)
    warmup = int(0.1 * total)

    def rate(step):
        schedule = min(step / max(warmup, 1), (total - step) / total if step >= warmup else 1)
        return schedule * (1 if FLAGS.bias_correction else (1 - 0.9 ** (step + 1)) / (1 - 0.999 ** (step + 1)) ** 0.5)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    scheduler.total = total
    return optimizer, scheduler


def endless_batches(examples, size):
    """Full batches of examples drawn at random, epoch after epoch."""
    waiting = []
    while True:
        if len(waiting) < size:
            waiting += random.sample(examples, len(examples))
        yield waiting[:size]
        del waiting[:size]


def collate(examples):
    """Pads a list of examples to the longest."""
    import torch

    length = max(len(example["input_ids"]) for example in examples)
    fillers = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    batch = {}
    for name, filler in fillers.items():
        rows = [example[name] for example in examples]
        if isinstance(rows[0], list):
            rows = [[*row, *[filler] * (length - len(row))] for row in rows]
        batch[name] = torch.tensor(rows)
    return batch


def encode_relations(data_dir, tokenizer):
    """Examples to train on and to test, the labels, and a function from predicted indices to F1."""
    train = relations.read_examples(os.path.join(data_dir, "train.tsv"))
    test = relations.read_test_examples(os.path.join(data_dir, "test.tsv"))
    labels = relations.labels_of(train)

    def encode(example):
        encoded = tokenizer(example.sentence, truncation=True, max_length=MAX_LENGTH)
        return {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "labels": labels.index(example.label),
        }

    true = [example.label for example in test]
    return (
        *([encode(example) for example in part] for part in (train, test)),
        labels,
        lambda predicted: score_relations(true, [labels[i] for i in predicted]),
    )


def encode_words(data_dir, tokenizer):
    """The same for words; the first wordpiece of each has its label."""
    train = ner.read_training_sentences(data_dir)
    test = ner.read_sentences(os.path.join(data_dir, "test.tsv"))
    labels = sorted({label for sentence in train for label in sentence.labels})

    def encode(sentence):
        encoded = tokenizer(sentence.words, is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)
        words = encoded.word_ids()
        marks = [
            labels.index(sentence.labels[word]) if word is not None and word != before else -100
            for before, word in zip([None, *words], words, strict=False)
        ]
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": marks}

    encoded = [encode(sentence) for sentence in test]

    def score(predicted):
        rows = []
        for sentence, example, indices in zip(test, encoded, predicted, strict=True):
            kept = [labels[i] for i, mark in zip(indices, example["labels"], strict=False) if mark != -100]
            kept += ["O"] * (len(sentence.words) - len(kept))  # cut off
            rows += [tuple(map(conlleval_tag, pair)) for pair in zip(sentence.labels, kept, strict=True)]
            rows.append(None)
        return conlleval.evaluate(rows).f1

    return [encode(sentence) for sentence in train], encoded, labels, score


if __name__ == "__main__":
    define_flags()
    errors.run(main)
