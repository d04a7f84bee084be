"""Devices, worker processes and numeric precision of a run.

The strategy of the flags is made the current one of TensorFlow: what is built and run after `start` is built and run
under it, and `tf.distribute.get_strategy` tells it.
"""

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist, expand_tasks_per_node

from common.errors import InputError, StoppedError

STRATEGIES = ("one_device", "mirrored", "multi_worker_mirrored", "tpu")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
FLOAT16 = "mixed_float16"
NVIDIA_DRIVER = "/proc/driver/nvidia/version"
FIRST_PORT, PORTS = 20_000, 10_000
_WHERE = ("Graph execution error", "Detected at node", "[[{{node", "<stack traces", "Stack trace", "File ")
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


def start(strategy: str, num_gpus: int = 0, precision: str = "float32", tpu_name: str | None = None) -> None:
    """Sets up devices and precision. Comes before every other operation: several workers find each other here.

    Args:
      strategy: `one_device`; `mirrored`, all devices of this machine; `multi_worker_mirrored`, those of all workers,
        which `TF_CONFIG` or Slurm names; or `tpu`. Without GPUs, CPUs are the devices.
      num_gpus: GPUs to use on this machine; 0 for all, with `one_device` for the first.
      precision: of the computation, a Keras dtype policy. Weights, optimizer and loss are float32 in each.
      tpu_name: name or address of the TPU; None for that of this machine.

    Raises:
      InputError: there are not that many GPUs, or the workers are not named.
    """
    keras.config.set_dtype_policy(precision)
    tf.get_logger().setLevel("WARNING")  # not each all-reduce that is traced
    _choose_gpus(1 if strategy == "one_device" and not num_gpus else num_gpus, strategy)
    log_devices()
    if strategy == "mirrored":
        gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
        made = tf.distribute.MirroredStrategy(gpus) if gpus else mirrored_cpus(tf.config.list_logical_devices("CPU"))
    elif strategy == "multi_worker_mirrored":
        made = _multi_worker_strategy()
    elif strategy == "tpu":
        made = _tpu_strategy(tpu_name)
    else:
        return
    tf.distribute.experimental_set_strategy(made)
    logging.info("%s: %d devices", strategy, made.num_replicas_in_sync)


def log_devices() -> None:
    """Says what TensorFlow computes on; warns where there is a GPU that it cannot use."""
    gpus = tf.config.get_visible_devices("GPU")
    logging.info("computing on %s", ", ".join(map(_name, gpus)) or f"{os.cpu_count()} CPU cores")
    for gpu in filter(_is_newer_than_tensorflow, gpus):
        logging.warning(
            "%s is newer than this TensorFlow, which compiles its kernels as they are used, for minutes; --xla=auto is "
            "false here, since XLA may fail; expected a TensorFlow that was built for it",
            _name(gpu),
        )
    if not tf.config.list_physical_devices("GPU") and os.path.exists(NVIDIA_DRIVER):
        logging.warning(
            "%s is there, but TensorFlow finds no GPU; expected pip install -e '.[cuda]', a driver that fits, and a "
            "CUDA_VISIBLE_DEVICES that names one",
            NVIDIA_DRIVER,
        )


def has_gpus_for_xla() -> bool:
    """Whether there are GPUs, all of a generation that this TensorFlow was built for."""
    gpus = tf.config.get_visible_devices("GPU")
    return bool(gpus) and not any(map(_is_newer_than_tensorflow, gpus))


def _name(gpu):
    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)


def _is_newer_than_tensorflow(gpu):
    """Whether a GPU's major compute capability is beyond all of the build's, such as sm_89 and compute_90."""
    built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ())
    newest = max((int(re.sub(r"\D", "", capability)) // 10 for capability in built), default=None)
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
    return None not in (newest, capability) and capability[0] > newest


def _choose_gpus(number, strategy):
    gpus = tf.config.list_physical_devices("GPU")
    if number > 1 and strategy == "one_device":
        raise InputError(f"--num_gpus={number}: expected --distribution_strategy=mirrored or multi_worker_mirrored")
    if number > max(len(gpus), 1):
        raise InputError(f"--num_gpus={number}: TensorFlow finds {len(gpus)} GPUs on this machine")
    if gpus and number:
        tf.config.set_visible_devices(gpus[:number], "GPU")


def mirrored_cpus(devices: Sequence[tf.config.LogicalDevice]) -> tf.distribute.MirroredStrategy:
    """The strategy for the logical CPUs of this machine, between which there is nothing to send."""
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def _multi_worker_strategy():
    if "TF_CONFIG" not in os.environ:
        if "SLURM_STEP_NODELIST" not in os.environ:
            raise InputError(
                "--distribution_strategy=multi_worker_mirrored: expected the workers in TF_CONFIG, or a start by srun "
                "of Slurm"
            )
        os.environ["TF_CONFIG"] = json.dumps(slurm_cluster(os.environ))
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        resolver.cluster_spec().task_address(resolver.task_type, resolver.task_id)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"TF_CONFIG={os.environ['TF_CONFIG']!r}: not a cluster ({error}); expected JSON like "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        ) from None
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        raise InputError(f"the workers do not find each other ({_reason(error)})") from None


def slurm_cluster(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The workers of a Slurm job step, as in `TF_CONFIG`.

    TensorFlow's own resolver sorts the nodes by name, n10 before n2, so that tasks do not find themselves.

    Args:
      variables: a dict of the environment variables that `srun` sets.
    """
    hosts = expand_hostlist(variables["SLURM_STEP_NODELIST"])
    tasks = expand_tasks_per_node(variables["SLURM_STEP_TASKS_PER_NODE"])
    first_port = FIRST_PORT + int(variables["SLURM_JOB_ID"]) % PORTS  # another one for each job on a node
    addresses = [
        f"{host}:{first_port + number}" for host, count in zip(hosts, tasks, strict=True) for number in range(count)
    ]
    return {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": int(variables["SLURM_PROCID"])}}


def _tpu_strategy(name):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(f"--tpu_name={name or ''}: no TPU there ({_reason(error)})") from None


def is_chief() -> bool:
    """Whether this process writes the files: one of all workers does."""
    resolver = _resolver()
    if resolver is None:
        return True
    first = ("chief" if "chief" in resolver.cluster_spec().jobs else "worker", 0)
    return (resolver.task_type, resolver.task_id) == first


def leave_to_chief() -> None:
    """Ends this program, in order, if another process is the chief: what follows the training is one's work."""
    if not is_chief():
        raise StoppedError("trained; the chief goes on alone", status=0)


def num_workers() -> int:
    """How many processes train together."""
    resolver = _resolver()
    return sum(map(len, resolver.cluster_spec().as_dict().values())) if resolver else 1


def _resolver():
    strategy = tf.distribute.get_strategy()
    return strategy.cluster_resolver if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else None


def on_tpu() -> bool:
    """Whether the strategy is that of TPUs, which compiles all of a step."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)


def local(variable: tf.Variable) -> tf.Variable:
    """The copy of a variable on the device of the current replica."""
    context = tf.distribute.get_replica_context()
    copies = context.strategy.experimental_local_results(variable)
    if on_tpu():
        return variable
    if len(copies) == 1:
        return copies[0]
    # Replicas are numbered over all workers, each of which has as many.
    return copies[int(tf.get_static_value(context.replica_id_in_sync_group)) % len(copies)]


def check_batch_size(batch_size: int, accumulation_steps: int) -> None:
    """Raises `InputError` if a batch does not divide among the devices and the parts of a step."""
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    parts = devices * accumulation_steps
    if batch_size % parts:
        nearest = max(1, round(batch_size / parts)) * parts
        raise InputError(
            f"--train_batch_size={batch_size}: this batch of all devices together does not divide by {devices} devices "
            f"x {accumulation_steps} gradient accumulation steps = {parts}; the nearest that does is {nearest}"
        )


@contextlib.contextmanager
def naming_lost_workers() -> Iterator[None]:
    """Where an operation in the block fails since another worker is gone, raises an `InputError` that says so."""
    try:
        yield
    except _LOST_WORKER as error:
        if num_workers() == 1:
            raise
        raise InputError(
            f"another worker has ended or cannot be reached ({_reason(error)}); start all workers "
            "again: they go on from the newest checkpoint"
        ) from None


def _reason(error):
    """The line of an error that says what happened, behind those that say where."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith(_WHERE)), type(error).__name__)
