"""The optimizer of BERT: Adam without bias correction, with decoupled weight decay.

Adam: Kingma and Ba 2015; the decay: Loshchilov and Hutter 2019, as in Google's BERT. Slots are named
`<variable>/adam_m` and `<variable>/adam_v`, as in the original's checkpoints.
"""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from modeling.checkpoint import checkpoint_name
from modeling.distribution import local, on_tpu

WEIGHT_DECAY = 0.01
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-6
CLIP_NORM = 1.0
NO_DECAY = ("LayerNorm", "layer_norm", "bias")  # parts of the names of variables that do not decay


def learning_rate_at(step: tf.Tensor, peak: float, num_train_steps: int, num_warmup_steps: int) -> tf.Tensor:
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

    def __init__(self, variables: Iterable[keras.Variable]) -> None:
        """Makes zero slots for `variables`, Keras variables that a loss reaches."""
        self.variables = list(variables)
        self.moments = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables]
        self.velocities = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.variables]
        self.decays = [
            0.0 if any(part in checkpoint_name(v) for part in NO_DECAY) else WEIGHT_DECAY for v in self.variables
        ]

    def slots(self) -> dict[str, tf.Variable]:
        """The slots by checkpoint name."""
        named = {}
        for variable, m, v in zip(self.variables, self.moments, self.velocities, strict=True):
            named[f"{checkpoint_name(variable)}/adam_m"] = m
            named[f"{checkpoint_name(variable)}/adam_v"] = v
        return named

    def apply(
        self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, loss_scale: tf.Tensor | float = 1.0
    ) -> tf.Tensor:
        """Clips `gradients` and updates the variables; gradients that are not finite change nothing.

        Runs in a replica and changes its copies, which stay equal as long as the gradients are.

        Args:
          gradients: dense, in the order of the variables, of the loss times `loss_scale`.
          learning_rate: float32 scalar.
          loss_scale: float32 scalar.

        Returns:
          The global norm before clipping, a float32 scalar.
        """
        global_norm = tf.linalg.global_norm(gradients) / loss_scale
        is_finite = tf.math.is_finite(global_norm)
        scale = CLIP_NORM / tf.maximum(global_norm, CLIP_NORM) / loss_scale
        # On a TPU the whole step is compiled, and variables are no local copies, as which a function can take them.
        update = _update.python_function if on_tpu() else _update
        for gradient, variable, moment, velocity, decay in zip(
            gradients, self.variables, self.moments, self.velocities, self.decays, strict=True
        ):
            variables = local(variable.value), local(moment), local(velocity)
            update(*variables, gradient, scale, learning_rate, tf.constant(decay), is_finite)
        return global_norm


@tf.function(jit_compile=True)
def _update(variable, moment, velocity, gradient, scale, learning_rate, decay, is_finite):
    """Updates a variable and its slots. Compiled, it passes over memory once; it is so once for each shape."""
    gradient = gradient * scale
    next_moment = BETA_1 * moment + (1.0 - BETA_1) * gradient
    next_velocity = BETA_2 * velocity + (1.0 - BETA_2) * tf.square(gradient)
    update = next_moment / (tf.sqrt(next_velocity) + EPSILON) + decay * variable
    variable.assign(tf.where(is_finite, variable - learning_rate * update, variable))
    moment.assign(tf.where(is_finite, next_moment, moment))
    velocity.assign(tf.where(is_finite, next_velocity, velocity))


class LossScale:
    """The factor on the loss by which small gradients survive float16 (Micikevicius et al. 2018).

    It is halved when gradients overflow and doubled after `GROWTH_STEPS` steps without.
    """

    INITIAL, GROWTH_STEPS = 2.0**15, 2000

    def __init__(self) -> None:
        self.scale = tf.Variable(self.INITIAL, trainable=False)
        self.good_steps = tf.Variable(0, trainable=False)  # since it was changed

    def state(self) -> dict[str, tf.Variable]:
        """The variables by checkpoint name."""
        return {"loss_scale": self.scale, "loss_scale_good_steps": self.good_steps}

    def update(self, is_finite: tf.Tensor) -> None:
        """Adapts the scale to whether the gradients were finite; in a replica."""
        scale, good_steps = local(self.scale), local(self.good_steps)
        is_due = good_steps + 1 >= self.GROWTH_STEPS
        scale.assign(tf.where(is_finite, tf.where(is_due, scale * 2.0, scale), tf.maximum(scale / 2.0, 1.0)))
        good_steps.assign(tf.where(is_finite & ~is_due, good_steps + 1, 0))
