"""`inference.sequences` inside a graph: runs a model on sequences of any lengths, in batches of similar length.

Dimensions in shape comments: N sequences, F sequence length, S batch size.
"""

import keras
import tensorflow as tf

from fine_tuning.model_directory import ModelDirectory
from inference.graph.vectors import row_sizes
from modeling import unpadding


class BatchedModel:
    """A model that takes any number of sequences of wordpieces; no more than a batch of them is in memory at a time."""

    def __init__(self, directory: ModelDirectory, model: keras.layers.Layer, batch_size: int) -> None:
        """Takes a `ModelDirectory`, its Keras layer, and the number of sequences per batch."""
        vocab = directory.tokenizer.vocab
        self.cls, self.sep = vocab["[CLS]"], vocab["[SEP]"]
        self.max_seq_length = directory.max_seq_length
        self._decode, self._model, self._batch_size = directory.task.decode, model, batch_size

    def classify(self, ids: tf.RaggedTensor, second: tf.Tensor | None = None) -> tf.Tensor:
        """The probabilities of the labels of whole sequences, see `_run`: float32 [N, L]."""
        return self._run(("probabilities",), ids, second, [self._model.num_labels])[0]

    def label_pieces(self, ids: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The best label of each wordpiece, int32 [N, F], and its probability, float32 [N, F]; see `_run`."""
        labels, confidences = self._run(("labels", "confidences"), ids, None, [self.max_seq_length])
        return tf.cast(labels, tf.int32), confidences

    def score_spans(self, ids: tf.RaggedTensor, second: tf.Tensor) -> list[tf.Tensor]:
        """The logits of a start and of an end at each wordpiece, float32 [N, F] each; see `_run`."""
        return self._run(("start", "end"), ids, second, [self.max_seq_length])

    def _run(self, names, ids, second, shape):
        """Runs the model on all sequences.

        Args:
          names: of what the task decodes, [S, *shape] each, where F may be shorter than in `shape`.
          ids: ragged int32 [N, F], with `[CLS]` and `[SEP]`.
          second: int32 [N], where the second segment begins; None: there is none.
          shape: of the result of a sequence, where F is `max_seq_length`.

        Returns:
          For each name float32 [N, *shape]; zeros behind the end of a batch's longest sequence.
        """
        lengths = row_sizes(ids)
        second = lengths if second is None else second
        order = tf.argsort(lengths, direction="DESCENDING", stable=True)
        signature = tf.TensorSpec([self._batch_size, *shape, len(names)], tf.float32)

        def run_batch(number):
            chosen = order[number * self._batch_size : (number + 1) * self._batch_size]
            batch = tf.gather(ids, chosen).to_tensor()  # [S, F]
            place = tf.range(tf.shape(batch)[1])[tf.newaxis]
            mask = place < tf.gather(lengths, chosen)[:, tf.newaxis]
            segments = mask & (place >= tf.gather(second, chosen)[:, tf.newaxis])
            features = {
                "input_ids": batch,
                "input_mask": tf.cast(mask, tf.int32),
                "segment_ids": tf.cast(segments, tf.int32),
            }
            decoded = self._decode(self._model(unpadding.add_positions(features)))
            outputs = tf.stack([tf.cast(decoded[name], tf.float32) for name in names], -1)
            missing = signature.shape - tf.shape(outputs)
            return tf.ensure_shape(tf.pad(outputs, tf.stack([tf.zeros_like(missing), missing], 1)), signature.shape)

        numbers = tf.range((tf.size(order) + self._batch_size - 1) // self._batch_size)
        outputs = tf.map_fn(run_batch, numbers, parallel_iterations=1, fn_output_signature=signature)
        outputs = tf.gather(tf.reshape(outputs, [-1, *shape, len(names)]), tf.math.invert_permutation(order))
        return tf.unstack(outputs, axis=-1)

    def add_special_pieces(self, *segments: tf.RaggedTensor) -> tf.RaggedTensor:
        """`[CLS]`, each segment and `[SEP]` behind it: ragged int32 [N, wordpieces] to [N, F]."""
        edge = tf.ones([segments[0].nrows(), 1], tf.int32)
        parts = [edge * self.cls]
        for segment in segments:
            parts += [segment, edge * self.sep]
        return tf.concat(parts, axis=1)
