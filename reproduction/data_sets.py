"""The data sets and models behind the paper's tables: where they lie, and what is missing."""

import dataclasses
import glob
import logging
import os
import shlex

from common.errors import InputError, name_some
from common.inputs import read_lines
from reproduction import paper

# Directories as in the released archives, and as some keep them.
TASK_DIRECTORIES = {"ner": ("NER", "NERdata", "ner"), "re": ("RE", "REdata", "re"), "qa": ("QA", "QAdata", "qa")}
FOLDS = range(1, 11)
BATCHES = range(1, 6)
MODEL_FILES = ("bert_config.json", "vocab.txt")
CHECKPOINT = "*.ckpt*.index"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set: `name` is that of its flag file in `configs/TASK`; `files` are those that a run needs.

    `downloads` are names for `data_prep.download`.
    """

    name: str
    task: str
    directory: str
    files: tuple
    downloads: str


def _ner(name, directory, downloads="ner"):
    # JNLPBA has no train_dev.tsv.
    return DataSet(name, "ner", directory, ("train.tsv", "devel.tsv", "test.tsv"), downloads)


def _folds(name, directory):
    files = tuple(f"{fold}/{file}.tsv" for fold in FOLDS for file in ("train", "test"))
    return DataSet(name, "re", directory, files, "re")


def _bioasq(edition):
    return DataSet(f"bioasq_{edition}b", "qa", "BioASQ", tuple(bioasq_files(edition).values()), "qa bioasq_golden")


def edition_of(name):
    """The edition of BioASQ that a data set is: 4 of `bioasq_4b`."""
    return int(name.removeprefix("bioasq_").removesuffix("b"))


def bioasq_files(edition):
    """The files of an edition of BioASQ: names by `train`, and `test` or `golden` with the batch, as `test1`."""
    files = {"train": f"BioASQ-train-factoid-{edition}b.json"}
    for batch in BATCHES:
        files[f"test{batch}"] = f"BioASQ-test-factoid-{edition}b-{batch}.json"
        files[f"golden{batch}"] = f"{edition}B{batch}_golden.json"
    return files


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        _ner("ncbi_disease", "NCBI-disease"),
        _ner("i2b2_2010", "i2b2-2010", "i2b2_2010"),
        _ner("bc5cdr_disease", "BC5CDR-disease"),
        _ner("bc5cdr_chem", "BC5CDR-chem"),
        _ner("bc4chemd", "BC4CHEMD"),
        _ner("bc2gm", "BC2GM"),
        _ner("jnlpba", "JNLPBA"),
        _ner("linnaeus", "linnaeus"),
        _ner("s800", "s800"),
        _folds("gad", "GAD"),
        _folds("euadr", "euadr"),
        DataSet("chemprot", "re", "chemprot", ("train.tsv", "test.tsv"), "chemprot"),
        _bioasq(4),
        _bioasq(5),
        _bioasq(6),
        DataSet("squad", "qa", "squad", ("train-v1.1.json",), "squad"),
    )
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A model: a directory with its checkpoint, `bert_config.json` and `vocab.txt`; without one, of random weights.

    `alias_of` is the name of another one of which it is a second name: the two share their runs.
    """

    name: str
    directory: str
    alias_of: str = ""

    @property
    def flags(self):
        """The flags of the entry scripts that choose it."""
        vocabulary = os.path.join(self.directory, "vocab.txt")
        values = [
            f"--vocab_file={vocabulary}",
            f"--bert_config_file={os.path.join(self.directory, 'bert_config.json')}",
            f"--do_lower_case={str(is_uncased(vocabulary)).lower()}",
        ]
        return [*values, f"--init_checkpoint={self.directory}"] if find_file(self.directory, CHECKPOINT) else values


def is_uncased(vocab_file):
    """Whether a vocabulary has no capital letter but in its special tokens, so that text must be lower-cased for it."""
    pieces = (line for _, line in read_lines(vocab_file))
    return all(piece == piece.lower() for piece in pieces if not piece.startswith("["))


def find_models(directory, names=None, random_weights=False):
    """The models of a directory: itself, if it holds one, else those of its subdirectories, the paper's first.

    A subdirectory with a part of a model is left out, with a warning. A link to another one is that one by a second
    name.

    Args:
      directory: path.
      names: those that are wanted; None for all. For a single model, what it is to be called.
      random_weights: whether a model may have no checkpoint.

    Raises:
      InputError: there is none, or one that is wanted is missing.
    """
    needed = MODEL_FILES if random_weights else (*MODEL_FILES, CHECKPOINT)
    if not _lacking(directory, needed):
        if names and len(names) > 1:
            raise InputError(f"{directory}: one model; expected a directory of {', '.join(names)}")
        name = names[0] if names else os.path.basename(os.path.abspath(directory))
        return [Model(name, directory)]
    found = []
    for name in sorted(_listdir(directory)):
        lacking = _lacking(os.path.join(directory, name), needed)
        if not lacking:
            found.append(name)
        elif len(lacking) < len(needed):
            logging.warning("left out: %s, which has no %s", os.path.join(directory, name), ", ".join(lacking))
    if not found:
        raise InputError(
            f"{directory}: no model; expected a directory with {', '.join(needed)}, or with one such directory "
            f"for each model; python -m data_prep.download {' '.join(names or ['biobert_v1.1'])} "
            f"--models_dir={shlex.quote(directory)} makes them"
        )
    if lacking := [name for name in names or () if name not in found]:
        raise InputError(
            f"{directory}: no model {', '.join(lacking)} beside {', '.join(found)}; python -m data_prep.download "
            f"{' '.join(lacking)} --models_dir={shlex.quote(directory)} gets those that are published"
        )
    order = list(paper.MODELS)
    found.sort(key=lambda name: order.index(name) if name in order else len(order))
    return [_make_model(directory, name) for name in names or found]


def _make_model(directory, name):
    above, target = os.path.split(os.path.realpath(os.path.join(directory, name)))
    if target != name and above == os.path.realpath(directory):
        return Model(name, os.path.join(directory, target), alias_of=target)
    return Model(name, os.path.join(directory, name))


def _lacking(directory, needed):
    return [pattern for pattern in needed if not find_file(directory, pattern)]


def _listdir(directory):
    return os.listdir(directory) if os.path.isdir(directory) else []


def locate(data_set, data_dir):
    """The directory of a data set below `data_dir`, or None."""
    for above in (*TASK_DIRECTORIES[data_set.task], ""):
        path = os.path.join(data_dir, above, data_set.directory)
        if os.path.isdir(path):
            return path
    return None


def find_file(directory, pattern):
    """The first file that matches a pattern, by name, or None."""
    return min(glob.glob(os.path.join(glob.escape(directory), pattern)), default=None)


@dataclasses.dataclass(frozen=True)
class Gap:
    """What is missing of a data set, and the command that gets it or says how."""

    what: str
    command: str

    def __str__(self):
        return f"{self.what}; {self.command}"


def missing_files(data_set, data_dir):
    """What a data set lacks for a run, a `Gap`; None if nothing."""
    directory = locate(data_set, data_dir)
    if directory is None:
        above = TASK_DIRECTORIES[data_set.task][0]
        return gap(data_set, f"no directory {os.path.join(data_dir, above, data_set.directory)}", data_dir)
    lacking = [name for name in data_set.files if not os.path.exists(os.path.join(directory, name))]
    return gap(data_set, f"{directory} without {name_some(lacking)}", data_dir) if lacking else None


def gap(data_set, what, data_dir):
    """The `Gap` of a data set."""
    command = f"python -m data_prep.download {data_set.downloads} --data_dir={shlex.quote(data_dir)}"
    return Gap(f"{data_set.name}: {what}", command)
