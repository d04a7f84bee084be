"""The flag files of models and data sets: what they say, and their commands as typed."""

import json
import shutil

import pytest

import run_ner
import run_qa
import run_re
from modeling import checkpoint
from modeling.config import BertConfig
from modeling.heads import PretrainingModel, SpanClassifier
from tests.conftest import TINY
from tests.helpers import programs

MODELS = (
    "bert_base_cased",
    "biobert_v1.0_pubmed",
    "biobert_v1.0_pmc",
    "biobert_v1.0_pubmed_pmc",
    "biobert_v1.1",
    "biobert_v1.2",
    "biobert_large_v1.1",
)
# Data sets by flag file: the directory of the released archive, or where it would stand there.
NER = {
    "ncbi_disease": "NCBI-disease",
    "i2b2_2010": "i2b2-2010",
    "bc5cdr_disease": "BC5CDR-disease",
    "bc5cdr_chem": "BC5CDR-chem",
    "bc4chemd": "BC4CHEMD",
    "bc2gm": "BC2GM",
    "jnlpba": "JNLPBA",
    "linnaeus": "linnaeus",
    "s800": "s800",
}
RE = {"gad": "GAD", "euadr": "euadr", "chemprot": "chemprot"}
QA = ("bioasq_4b", "bioasq_5b", "bioasq_6b")
MODEL = "configs/model/biobert_v1.1.cfg"


def flag_files(*paths):
    return [f"--flagfile={path}" for path in paths]


@pytest.fixture(scope="module")
def parsed(repository, tmp_path_factory):
    """What the scripts make of the flag files: values by flag, for each command line by a name."""
    unknown = tmp_path_factory.mktemp("unknown") / "unknown.cfg"
    unknown.write_text("--flagfile=configs/ner/s800.cfg\n--learning_rates=1e-5\n")
    commands = {
        "unknown": [run_ner, *flag_files(unknown, MODEL)],
        "other task": [run_ner, *flag_files("configs/re/gad.cfg", MODEL)],
        "no model": [run_ner, *flag_files("configs/ner/s800.cfg")],
        "later flag": [run_ner, *flag_files("configs/ner/s800.cfg", MODEL), "--num_train_epochs=3"],
        "model last": [run_qa, *flag_files("configs/qa/bioasq_4b.cfg", MODEL)],
    }
    for model in MODELS:
        for script, data_set in [(run_ner, "ner/s800"), (run_re, "re/gad"), (run_qa, "qa/squad")]:
            paths = [f"configs/{data_set}.cfg", f"configs/model/{model}.cfg"]
            commands[model, data_set] = [script, *flag_files(*paths)]
            commands[model, data_set, "model first"] = [script, *flag_files(*reversed(paths))]
    for script, task, names in [(run_ner, "ner", NER), (run_re, "re", RE), (run_qa, "qa", (*QA, "squad"))]:
        for name in names:
            commands[name] = [script, *flag_files(MODEL, f"configs/{task}/{name}.cfg")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        return {name: programs.parse_flags(script, arguments) for name, (script, *arguments) in commands.items()}


def test_there_is_a_file_for_each_model_and_data_set(repository):
    files = {f"{path.parent.name}/{path.stem}" for path in (repository / "configs").glob("*/*.cfg")}
    expected = {f"model/{name}" for name in MODELS}
    expected |= {f"ner/{name}" for name in (*NER, "base")} | {f"re/{name}" for name in (*RE, "base")}
    expected |= {f"qa/{name}" for name in (*QA, "squad", "base", "bioasq_base")}
    assert {name for name in files if not name.startswith("pretraining/")} == expected


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_a_directory_of_models(parsed, model):
    for data_set in ("ner/s800", "re/gad", "qa/squad"):
        values = parsed[model, data_set]
        assert values == parsed[model, data_set, "model first"]
        assert values["vocab_file"] == f"models/{model}/vocab.txt"
        assert values["bert_config_file"] == f"models/{model}/bert_config.json"
        assert values["init_checkpoint"] == f"models/{model}"
        assert values["do_lower_case"] is False


@pytest.mark.parametrize("name", [*NER, *RE, *QA, "squad"])
def test_a_data_set_s_flags_are_known_to_its_script(parsed, name):
    assert "error" not in parsed[name]
    assert parsed[name]["output_dir"].startswith("output/")


def test_what_comes_later_wins(parsed):
    assert parsed["later flag"]["num_train_epochs"] == 3
    assert parsed["model last"]["init_checkpoint"] == "models/biobert_v1.1"  # why the model stands first in QA


def test_unknown_and_missing_flags_are_errors(parsed):
    assert "Unknown command line flag 'learning_rates'. Did you mean: learning_rate ?" in parsed["unknown"]["error"]
    assert "Unknown command line flag 'cross_validation'" in parsed["other task"]["error"]
    assert "Flag --vocab_file must have a value other than None" in parsed["no model"]["error"]


@pytest.fixture(scope="module")
def workplace(repository, tmp_path_factory):
    """A directory with configs/, models/, datasets/ and output/qa/squad/, as the flag files name them.

    The models are tiny and random.
    """
    directory = tmp_path_factory.mktemp("workplace")
    (directory / "configs").symlink_to(repository / "configs")
    model_dir, ner, qa = (directory / path for path in ("models/biobert_v1.1", "datasets/NER", "datasets/QA"))
    model_dir.mkdir(parents=True)
    shutil.copy(repository / "samples/vocab.txt", model_dir)
    config = TINY | {"vocab_size": 2099, "max_position_embeddings": 384}
    (model_dir / "bert_config.json").write_text(json.dumps(config))
    save_random_weights(PretrainingModel, config, model_dir / "model.ckpt-1000000")
    save_random_weights(SpanClassifier, config, directory / "output/qa/squad/model.ckpt-14599")
    shutil.copytree(repository / "samples/ner", ner / "NCBI-disease")
    (qa / "BioASQ").mkdir(parents=True)
    for name in ("train-factoid-4b", "test-factoid-4b-1"):
        (qa / f"BioASQ/BioASQ-{name}.json").write_text(json.dumps(questions(12)))
    return directory


def save_random_weights(model_class, config, prefix):
    model = model_class(BertConfig.from_dict(config))
    model.build()
    prefix.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(str(prefix), checkpoint.model_variables(model))


def questions(count):
    """Questions in SQuAD's layout, one a paragraph."""
    context = "The drug lowers blood pressure in patients with kidney disease."
    answers = [{"text": "blood pressure", "answer_start": 16}]
    paragraphs = [
        {"context": context, "qas": [{"id": f"{i:024x}_000", "question": "What is lowered?", "answers": answers}]}
        for i in range(count)
    ]
    return {"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]}


@pytest.fixture
def run(workplace):
    """Runs a script on flag files in the workplace; returns its log."""

    def run_script(script, *arguments):
        result = programs.run_here(script, *arguments, cwd=workplace)
        assert result.returncode == 0, result.stderr
        return result.stderr

    return run_script


def test_ner_as_typed(run, workplace):
    paths = ("configs/ner/ncbi_disease.cfg", MODEL)
    log = run("run_ner.py", *flag_files(*paths), "--num_train_epochs=0.1")
    assert "models/biobert_v1.1/model.ckpt-1000000" in log
    output = workplace / "output/ner/ncbi_disease"
    written = {path.name for path in output.iterdir()}
    assert {"eval_results.txt", "predict_entity_results.txt", "token_test.txt", "model.ckpt-1.index"} <= written
    assert (output / "token_test.txt").read_text().count("[SEP]\n") == 80  # sentences of samples/ner/test.tsv


def test_bioasq_as_typed_starts_from_the_stage_before(run, workplace):
    log = run("run_qa.py", *flag_files(MODEL, "configs/qa/bioasq_4b.cfg"), "--num_train_epochs=1")
    assert "output/qa/squad/model.ckpt-14599" in log
    assert "models/biobert_v1.1/model.ckpt" not in log
    answers = json.loads((workplace / "output/qa/bioasq_4b/nbest_predictions.json").read_text())
    assert len(answers) == 12
