"""Where the data sets and models of the paper's tables lie, and what is said of those that are missing."""

import pathlib
import re

import pytest

from common.errors import InputError
from data_prep.published.catalogue import CATALOGUE
from reproduction import data_sets
from reproduction.data_sets import DATA_SETS, Gap, Model

CASED, UNCASED = "[PAD]\n[UNK]\nthe\nThe\n##s\n", "[PAD]\n[UNK]\nthe\n##s\n"


def make_files(directory, names):
    for name in names:
        path = pathlib.Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def make_model(directory, vocabulary=CASED, checkpoint="model.ckpt-10"):
    directory.mkdir(parents=True)
    (directory / "vocab.txt").write_text(vocabulary)
    make_files(directory, ["bert_config.json", *([f"{checkpoint}.index"] if checkpoint else [])])
    return str(directory)


def test_there_is_a_data_set_for_each_flag_file(repository):
    paths = {path for task in ("ner", "re", "qa") for path in (repository / f"configs/{task}").glob("*.cfg")}
    assert set(DATA_SETS) == {path.stem for path in paths if not path.stem.endswith("base")}


def test_directories_are_those_of_the_flag_files(repository):
    for name, data_set in DATA_SETS.items():
        text = (repository / f"configs/{data_set.task}/{name}.cfg").read_text()
        paths = re.findall(r"^--(?:data_dir|train_file)=datasets/(.*)$", text, re.MULTILINE)
        assert len(paths) == 1
        assert f"{paths[0]}/".startswith(f"{data_sets.TASK_DIRECTORIES[data_set.task][0]}/{data_set.directory}/")


def test_what_is_downloaded_is_all_that_is_needed(tmp_path):
    """What the catalogue puts below --data_dir, by its own list of contents."""
    for entry in CATALOGUE.values():
        if entry.base == "datasets":
            make_files(tmp_path / entry.directory, entry.contents)
    for data_set in DATA_SETS.values():
        assert data_sets.missing_files(data_set, str(tmp_path)) is None
        assert set(data_set.downloads.split()) <= set(CATALOGUE)


@pytest.mark.parametrize("above", ["RE", "REdata", "re", "."])
def test_data_sets_are_found_as_the_archives_and_users_put_them(tmp_path, above):
    make_files(tmp_path / above / "chemprot", ["train.tsv", "test.tsv"])
    assert data_sets.missing_files(DATA_SETS["chemprot"], str(tmp_path)) is None
    assert pathlib.Path(data_sets.locate(DATA_SETS["chemprot"], str(tmp_path))) == tmp_path / above / "chemprot"


def test_what_is_missing_and_how_to_get_it(tmp_path):
    data_dir = f"{tmp_path}/my data"
    make_files(f"{data_dir}/QA/BioASQ", ["BioASQ-train-factoid-4b.json", "4B1_golden.json"])
    make_files(f"{data_dir}/RE/GAD", [f"{fold}/{name}.tsv" for fold in range(1, 10) for name in ("train", "test")])

    def gap(name):
        return data_sets.missing_files(DATA_SETS[name], data_dir)

    flag = f"--data_dir='{data_dir}'"
    assert gap("s800") == Gap(f"s800: no directory {data_dir}/NER/s800", f"python -m data_prep.download ner {flag}")
    assert str(gap("gad")) == (
        f"gad: {data_dir}/RE/GAD without 2 (10/train.tsv, 10/test.tsv); python -m data_prep.download re {flag}"
    )
    assert gap("bioasq_4b").what == (
        f"bioasq_4b: {data_dir}/QA/BioASQ without 9 (BioASQ-test-factoid-4b-1.json, BioASQ-test-factoid-4b-2.json, "
        "4B2_golden.json, BioASQ-test-factoid-4b-3.json, 4B3_golden.json, ...)"
    )
    assert gap("bioasq_4b").command == f"python -m data_prep.download qa bioasq_golden {flag}"


def test_models_of_a_directory_in_the_order_of_the_paper(tmp_path, caplog):
    for name in ("another", "biobert_v1.1", "biobert_v1.0_pmc", "bert_base_cased"):
        make_model(tmp_path / name)
    make_files(tmp_path / "half", ["vocab.txt"])
    make_files(tmp_path / "notes", ["README"])
    names = [model.name for model in data_sets.find_models(str(tmp_path))]
    assert names == ["bert_base_cased", "biobert_v1.0_pmc", "biobert_v1.1", "another"]
    assert [record.message for record in caplog.records] == [
        f"left out: {tmp_path}/half, which has no bert_config.json, *.ckpt*.index"
    ]
    assert data_sets.find_models(str(tmp_path), ["another", "biobert_v1.1"]) == [
        Model("another", f"{tmp_path}/another"),
        Model("biobert_v1.1", f"{tmp_path}/biobert_v1.1"),
    ]


def test_a_link_to_a_model_beside_it_is_a_second_name_of_that_model(tmp_path):
    make_model(tmp_path / "models/750")
    (tmp_path / "models/8M").symlink_to("750")
    make_model(tmp_path / "elsewhere/run7")
    (tmp_path / "models/9M").symlink_to(tmp_path / "elsewhere/run7")
    path = f"{tmp_path}/models"
    assert data_sets.find_models(path) == [
        Model("750", f"{path}/750"),
        Model("8M", f"{path}/750", alias_of="750"),
        Model("9M", f"{path}/9M"),
    ]


def test_a_single_model_can_be_called_as_one_of_the_paper(tmp_path):
    path = make_model(tmp_path / "my model")
    assert data_sets.find_models(path) == [Model("my model", path)]
    assert data_sets.find_models(path, ["biobert_v1.1"]) == [Model("biobert_v1.1", path)]
    with pytest.raises(InputError, match="one model; expected a directory of a, b"):
        data_sets.find_models(path, ["a", "b"])


def test_missing_models(tmp_path):
    make_model(tmp_path / "models/bert_base_cased")
    with pytest.raises(
        InputError, match=r"models: no model biobert_v1\.1 beside bert_base_cased; python -m .* biobert"
    ):
        data_sets.find_models(f"{tmp_path}/models", ["bert_base_cased", "biobert_v1.1"])
    with pytest.raises(InputError, match=r"nowhere: no model; .* python -m data_prep.download biobert_v1.1 --models"):
        data_sets.find_models(f"{tmp_path}/nowhere")


def test_only_where_allowed_a_model_is_without_checkpoint(tmp_path):
    path = make_model(tmp_path / "0", checkpoint=None)
    with pytest.raises(InputError, match="no model"):
        data_sets.find_models(str(tmp_path))
    (model,) = data_sets.find_models(str(tmp_path), random_weights=True)
    assert model.flags == [
        f"--vocab_file={path}/vocab.txt",
        f"--bert_config_file={path}/bert_config.json",
        "--do_lower_case=false",
    ]


def test_flags_of_a_model_lower_the_case_where_its_vocabulary_does(tmp_path):
    path = make_model(tmp_path / "uncased", UNCASED, "bert_model.ckpt")
    assert Model("uncased", path).flags[2:] == ["--do_lower_case=true", f"--init_checkpoint={path}"]
