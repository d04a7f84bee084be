"""Writes a model that run_ner.py, run_re.py or run_qa.py trained as a SavedModel that takes raw strings.

    python export.py --model_dir=$OUTPUT_DIR --output_dir=exported/disease/1

Tokenization is inside the graph: the SavedModel needs tensorflow and tensorflow-text and nothing else, and answers what
predict.py answers. A text is taken for a sentence, as by predict.py --sentence_splitter=none; what is too long for the
model is read in windows. For TensorFlow Serving, the number that the path ends with is the version:

    docker run --rm -p 8501:8501 -v $PWD/exported/disease:/models/disease -e MODEL_NAME=disease tensorflow/serving
    curl http://localhost:8501/v1/models/disease:predict -d '{"instances": ["Rett syndrome is rare."]}'
    {"predictions": [{"starts": [0], "ends": [13], "texts": ["Rett syndrome"], "types": ["Disease"],
                      "confidences": [0.98], "count": 1}]}

Lists are as long in all rows of a request: -1 and "" stand behind the last of `count`. Places count characters (Unicode
code points). A model of run_re.py takes a sentence with two anonymized entities, one of run_qa.py
`{"instances": [{"question": "...", "context": "..."}]}`; inference/graph/saved_model.py says what they answer. The log
ends with the directory. BERT-base makes some 430 MB.
"""

import logging
import os
import shutil

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from common import errors, files
from common.errors import InputError
from common.progress import quiet_loading
from fine_tuning import model_directory
from inference.graph import saved_model

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("model_dir", None, "Directory of a model that run_ner.py, run_re.py or run_qa.py trained.")
    flags.DEFINE_string("output_dir", None, "Directory for the SavedModel, new or empty.")
    flags.DEFINE_string(
        "name", None, "Type of the entities whose labels have none (NER); default: the name of the model's directory."
    )
    flags.DEFINE_integer("batch_size", 32, "Sequences that go through the model at a time.", lower_bound=1)
    flags.mark_flags_as_required(["model_dir", "output_dir"])


def main(_):
    directory = model_directory.read(FLAGS.model_dir)
    name = FLAGS.name or os.path.basename(os.path.abspath(FLAGS.model_dir))
    with quiet_loading():
        write(directory, FLAGS.output_dir, name, FLAGS.batch_size)
    logging.info("%s: a SavedModel of a model of %s", FLAGS.output_dir, directory.task.script)


def write(directory, path, name, batch_size):
    """Writes a SavedModel whole or not at all, see `saved_model.save`.

    Raises:
      InputError: there is something at `path`, or it cannot be written.
    """
    if os.path.exists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise InputError(f"{path}: there is something already; expected a new or empty directory")
    temporary = f"{os.path.abspath(path)}.tmp{os.getpid()}"
    try:
        files.make_directory(temporary)
        saved_model.save(directory, temporary, name, batch_size)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


if __name__ == "__main__":
    define_flags()
    errors.run(main)
