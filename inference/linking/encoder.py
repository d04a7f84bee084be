"""A BERT that gives names and mentions vectors: the mean of what its last layer gives their wordpieces."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from common.inputs import check_keys, read_json
from data_prep.text.tokenization import FullTokenizer, is_cased, load_vocab
from fine_tuning import model_directory
from fine_tuning.tasks import COMMON_KEYS
from inference import features
from modeling.config import BertConfig

MAX_SEQ_LENGTH = 64  # wordpieces of a name; the rest is cut off
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A BERT that gives texts vectors."""

    digest: str  # of the model
    tokenizer: FullTokenizer
    extractor: features.Extractor

    def encode(self, texts: Sequence[str], advance: Callable[[int], object] = lambda count: None) -> np.ndarray:
        """Float32 [texts, hidden size]."""
        lines = (features.encode_line(text, self.tokenizer, MAX_SEQ_LENGTH) for text in texts)
        found = [vectors for chunk in self.extractor.run(lines, BATCH_SIZE, advance) for _, vectors in chunk]
        return np.concatenate(found)


def load_encoder(path: str) -> Encoder:
    """Loads the encoder of a directory with `bert_config.json`, `vocab.txt` and a checkpoint, whatever heads it has.

    Texts are lower-cased as `fine_tuning.json` says; without, if no wordpiece has a capital.

    Raises:
      InputError: a file is missing or damaged.
    """
    config = BertConfig.from_json_file(os.path.join(path, model_directory.CONFIG_FILE))
    vocab_file = os.path.join(path, model_directory.VOCAB_FILE)
    settings_file = os.path.join(path, model_directory.FILE_NAME)
    if os.path.exists(settings_file):
        settings = read_json(settings_file, "what a model was fine-tuned for")
        check_keys(settings, COMMON_KEYS, settings_file)
        do_lower_case = settings["do_lower_case"]
    else:
        do_lower_case = not is_cased(load_vocab(vocab_file))
    tokenizer = FullTokenizer(vocab_file, do_lower_case)
    config.check_vocabulary(tokenizer.vocab_size, vocab_file)
    bert = features.load_model(config, path, with_pooler=False)
    layers = [config.num_hidden_layers - 1]
    extractor = features.Extractor(bert, layers, "mean", features.SENTENCE, "mean")
    return Encoder(model_directory.digest(path), tokenizer, extractor)
