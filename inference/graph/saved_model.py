"""A fine-tuned model as a SavedModel: raw strings in, what `predict.py` finds in them out.

All of it is in the graph, tokenizer, vocabulary and labels included, so that a directory can be moved, and loaded
where nothing of this repository is installed:

    import tensorflow, tensorflow_text
    model = tensorflow.saved_model.load("exported/1")
    model.signatures["serving_default"](text=tensorflow.constant(["Rett syndrome is caused by MECP2."]))

Signatures, the inputs string [B], outputs [B] or [B, most]:

    NER: text -> starts, ends, texts, types, confidences, count     see `entities.EntityFinder`
    RE: text -> label, probabilities, labels                        see `relations.RelationClassifier`
    QA: question, context -> texts, probabilities, starts, ends, count    see `answers.QuestionAnswerer`
"""

import tensorflow as tf

from fine_tuning import tasks
from fine_tuning.model_directory import ModelDirectory
from inference.graph.answers import QuestionAnswerer
from inference.graph.entities import EntityFinder
from inference.graph.relations import RelationClassifier


def save(directory: ModelDirectory, path: str, name: str, batch_size: int) -> None:
    """Writes the model of a `ModelDirectory`.

    Args:
      directory: `ModelDirectory`.
      path: of the SavedModel, a directory.
      name: type of the entities whose labels have none; for NER.
      batch_size: sequences that go through the model at a time, however long a text is.

    Raises:
      InputError: the checkpoint is missing or does not fit.
    """
    signature = make_signature(directory, name, batch_size).get_concrete_function()
    module = tf.Module()
    module.weights = signature.variables  # what is not named by the module is not saved
    tf.saved_model.save(module, path, signatures={tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature})


def make_signature(directory: ModelDirectory, name: str, batch_size: int) -> tf.types.experimental.PolymorphicFunction:
    """The function that `save` writes: of tensors by input to a dict of tensors by output."""
    model = directory.load()
    if directory.task is tasks.NER:
        return _compile(EntityFinder(directory, model, name, batch_size), "text")
    if directory.task is tasks.RE:
        return _compile(RelationClassifier(directory, model, batch_size), "text")
    return _compile(QuestionAnswerer(directory, model, batch_size), "question", "context")


def _compile(function, *inputs):
    """A function of strings [B]; the sizes of batches are left open."""
    signature = [tf.TensorSpec([None], tf.string, name) for name in inputs]
    return tf.function(function.__call__, input_signature=signature, autograph=False)
