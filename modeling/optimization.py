"""The optimizer of BERT: Adam without bias correction, with decoupled weight decay.

Adam: Kingma and Ba 2015; the decay: Loshchilov and Hutter 2019, as in Google's BERT. Slots are named
`<variable>/adam_m` and `<variable>/adam_v`, as in the original's checkpoints.
"""

import tensorflow as tf

from modeling.checkpoint import checkpoint_name

WEIGHT_DECAY = 0.01
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-6
CLIP_NORM = 1.0
NO_DECAY = ("LayerNorm", "layer_norm", "bias")  # parts of the names of variables that do not decay


def learning_rate_at(step, peak, num_train_steps, num_warmup_steps):
    """Linear warm-up from 0 to `peak`, then linear decay to 0 at `num_train_steps`.

    Args:
      step: int scalar tensor, the number of finished steps; the first step has rate 0 under warm-up.
      peak: the rate that warm-up aims at.
      num_train_steps: steps of the whole run.
      num_warmup_steps: steps of warm-up, 0 for none.

    Returns:
      float32 scalar. The decay runs from step 0, not from the end of the warm-up, as in the original.
    """
    step = tf.cast(step, tf.float32)
    total = tf.constant(num_train_steps, tf.float32)
    decayed = peak * (1.0 - tf.minimum(step, total) / total)
    if not num_warmup_steps:
        return decayed
    warmup = tf.constant(num_warmup_steps, tf.float32)
    return tf.where(step < warmup, peak * (step / warmup), decayed)


class AdamWeightDecay:
    """Adam and its slots for the variables that have a gradient.

    The gradient is clipped by its global norm (Pascanu et al. 2013). The norm is that of the dense
    gradient: in fine-tuning the original took it over the rows of the word embeddings' gradient before
    summing those of equal words, which is no norm of anything.
    """

    def __init__(self, variables):
        """Makes zero slots for `variables`, Keras variables that a loss reaches."""
        self.variables = list(variables)
        self.moments = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables]
        self.velocities = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables]
        self.decays = [
            0.0 if any(part in checkpoint_name(v) for part in NO_DECAY) else WEIGHT_DECAY for v in self.variables
        ]

    def slots(self):
        """The slots by checkpoint name."""
        named = {}
        for variable, m, v in zip(self.variables, self.moments, self.velocities, strict=True):
            named[f"{checkpoint_name(variable)}/adam_m"] = m
            named[f"{checkpoint_name(variable)}/adam_v"] = v
        return named

    def apply(self, gradients, learning_rate):
        """Clips `gradients` (dense, in the order of the variables), updates, returns the norm before."""
        global_norm = tf.linalg.global_norm(gradients)
        scale = CLIP_NORM / tf.maximum(global_norm, CLIP_NORM)
        for gradient, variable, moment, velocity, decay in zip(
            gradients, self.variables, self.moments, self.velocities, self.decays, strict=True
        ):
            gradient = gradient * scale
            next_moment = BETA_1 * moment + (1.0 - BETA_1) * gradient
            next_velocity = BETA_2 * velocity + (1.0 - BETA_2) * tf.square(gradient)
            update = next_moment / (tf.sqrt(next_velocity) + EPSILON) + decay * variable.value
            variable.value.assign_sub(learning_rate * update)
            moment.assign(next_moment)
            velocity.assign(next_velocity)
        return global_norm
