"""A small model for each task, trained for a moment, once for all test files and processes of pytest-xdist."""

import dataclasses
import pathlib
import shutil

import pytest

from tests.helpers import programs

LEARNS = ("--num_train_epochs=4", "--learning_rate=1e-2")  # enough to find some entities
RE_LABELS = ["INHIBITOR", "ACTIVATOR", "false"]


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training has left."""

    data: pathlib.Path  # directory of the data set
    output: pathlib.Path  # directory of the model
    stdout: str
    stderr: str

    def copy(self, directory):
        """The model in another directory, which a test may change."""
        return shutil.copytree(self.output, directory)


def run(directory, *arguments):
    """Runs a program; what it writes to its standard streams goes to files in a directory as well."""
    result = programs.run_here(*arguments)
    assert result.returncode == 0, result.stderr
    (directory / "stdout").write_text(result.stdout, encoding="utf-8")
    (directory / "stderr").write_text(result.stderr, encoding="utf-8")


def trained(directory, data="data", output="output"):
    texts = [(directory / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    return Trained(directory / data, directory / output, *texts)


@pytest.fixture(scope="session")
def trained_ner(repository, sample_model, make_once):
    """On the sample data with typed labels; of test.tsv there are predictions."""

    def fill(directory):
        (directory / "data").mkdir()
        for name in ("train_dev", "devel", "test"):
            text = (repository / f"samples/ner/{name}.tsv").read_text()
            typed = text.replace("\tB\n", "\tB-Disease\n").replace("\tI\n", "\tI-Disease\n")
            (directory / f"data/{name}.tsv").write_text(typed)
        places = (f"--data_dir={directory}/data", f"--output_dir={directory}/output")
        run(directory, "run_ner.py", *sample_model, *places, "--max_seq_length=64", *LEARNS)

    return trained(make_once("trained_ner", fill))


@pytest.fixture(scope="session")
def trained_re(repository, sample_model, make_once):
    """On the sample corpus, whose test part is dev.tsv as well, for three epochs."""

    def fill(directory):
        (directory / "data").mkdir()
        for name, output_format in [("train", "train"), ("test", "test"), ("dev", "train")]:
            run(
                directory,
                *("-m", "data_prep.relation_corpus", "--input_format=pubtator", "--entity_types=Chemical,Gene"),
                f"--input_file={repository}/samples/re/{name.replace('dev', 'test')}.pubtator",
                f"--output_format={output_format}",
                f"--output_file={directory}/data/{name}.tsv",
            )
        run(
            directory,
            *("run_re.py", "--task_name=sample", "--do_train", "--do_eval", "--do_predict", *sample_model),
            *(f"--labels={','.join(RE_LABELS)}", f"--data_dir={directory}/data", f"--output_dir={directory}/output"),
            *("--num_train_epochs=3", "--learning_rate=1e-2", "--max_seq_length=64"),
        )

    return trained(make_once("trained_re", fill))


@pytest.fixture(scope="session")
def trained_qa(repository, sample_model, make_once):
    """For each type of question the same; the others begin with the weights of the factoid one."""

    def fill(directory):
        for kind in ("factoid", "list", "yesno"):
            (directory / kind / "data").mkdir(parents=True)
            for split, name in [("train", "training"), ("test", "golden")]:
                run(
                    directory / kind,
                    *("-m", "data_prep.bioasq", f"--input_file={repository}/samples/qa/{name}.json"),
                    *(f"--question_type={kind}", f"--split={split}"),
                    f"--output_file={directory}/{kind}/data/{split}.json",
                )
            first = kind == "factoid"
            run(
                directory / kind,
                *("run_qa.py", "--do_train", "--do_predict", f"--question_type={kind}", *sample_model),
                *([] if first else [f"--init_checkpoint={directory}/factoid/output"]),
                f"--train_file={directory}/{kind}/data/train.json",
                f"--predict_file={directory}/{kind}/data/test.json",
                f"--output_dir={directory}/{kind}/output",
                *("--max_seq_length=128", "--num_train_epochs=2", "--learning_rate=1e-3"),
            )

    directory = make_once("trained_qa", fill)
    return {kind: trained(directory / kind) for kind in ("factoid", "list", "yesno")}
