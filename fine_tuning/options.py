"""What a fine-tuning is told by its flags."""

import dataclasses

from absl import flags

from common import flags as shared_flags
from fine_tuning.tasks import Task
from modeling.training import TrainingOptions


@dataclasses.dataclass(frozen=True)
class Options:
    """A fine-tuning, as the flags say."""

    task: Task
    output_dir: str
    init_checkpoint: str | None
    bert_config_file: str
    vocab_file: str
    do_lower_case: bool
    max_seq_length: int  # wordpieces
    num_train_epochs: float
    warmup_proportion: float  # of the steps
    pad_to: int | None  # length of every batch, where padding counts in the loss; None: padding is not computed
    xla: str  # auto, true or false
    training: TrainingOptions  # but for its directory and the numbers of steps, which depend on the data

    @property
    def seed(self) -> int:
        return self.training.seed


def read_options(values: flags.FlagValues, task: Task) -> Options:
    """The `Options` that the flags of the scripts say; raises InputError for flags that this program cannot do."""
    shared_flags.check_tpu_flags(values)
    padding_counts = task.padding_counts and values.pad_to_max_seq_length
    return Options(
        task=task,
        output_dir=values.output_dir,
        init_checkpoint=values.init_checkpoint,
        bert_config_file=values.bert_config_file,
        vocab_file=values.vocab_file,
        do_lower_case=values.do_lower_case,
        max_seq_length=values.max_seq_length,
        num_train_epochs=values.num_train_epochs,
        warmup_proportion=values.warmup_proportion,
        pad_to=values.max_seq_length if padding_counts else None,
        xla=values.xla,
        training=TrainingOptions(
            output_dir=values.output_dir,
            num_train_steps=0,
            num_warmup_steps=0,
            unpad=not padding_counts,
            **shared_flags.training_values(values),
        ),
    )
