"""The files of a model directory that say how text becomes wordpieces, as the library transformers writes them.

`vocab.txt` is the same there and here. Whether text is lower-cased, a flag here, is in `tokenizer_config.json` there.
`tokenizer.json` holds both and may come without a `vocab.txt`.
"""

import dataclasses
import json
import logging
import os

from common.errors import InputError, name_some
from common.files import atomic_write, write_lines
from common.inputs import describe_json, read_json, read_lines
from data_prep.text.tokenization import REQUIRED_PIECES

VOCABULARY, CONFIG, TOKENIZER = "vocab.txt", "tokenizer_config.json", "tokenizer.json"
ADDED = "added_tokens.json"
PADDING_PIECE = "[PAD]"
# What tokenizers of transformers are called that cut text as ours does.
_OUR_CLASSES = ("BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend", None)


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """`pieces` are the vocabulary's, by id, read from `vocabulary_file`; `reason` says what `do_lower_case` is from."""

    pieces: list
    vocabulary_file: str
    do_lower_case: bool
    reason: str

    @property
    def pad_token_id(self):
        """The index of `[PAD]`; 0 if there is none."""
        return self.pieces.index(PADDING_PIECE) if PADDING_PIECE in self.pieces else 0


def read(directory):
    """Reads the vocabulary, and whether the tokenizer lower-cases.

    The latter from, in this order: 1. tokenizer_config.json; 2. tokenizer.json; 3. the vocabulary: an uncased one has
    no wordpiece with a capital. In the last case transformers itself would always lower-case, also for a cased model.

    Returns:
      `TokenizerFiles`.

    Raises:
      InputError: there is no vocabulary, or a file is damaged.
    """
    config = _read_object(directory, CONFIG)
    tokenizer = _read_object(directory, TOKENIZER)
    pieces, path = _read_vocabulary(directory, tokenizer)
    _check_pieces(pieces, path)
    _check_added_tokens(directory, config, tokenizer, pieces)
    if missing := [piece for piece in REQUIRED_PIECES if piece not in pieces]:
        raise InputError(f"{path}: not a BERT vocabulary, {', '.join(missing)} missing; expected one wordpiece a line")
    normalizer = tokenizer.get("normalizer") if isinstance(tokenizer.get("normalizer"), dict) else {}
    if isinstance(config.get("do_lower_case"), bool):
        lower_case, reason = config["do_lower_case"], CONFIG
    elif isinstance(normalizer.get("lowercase"), bool):
        lower_case, reason = normalizer["lowercase"], TOKENIZER
    else:
        names = [piece for piece in pieces if not (piece.startswith("[") and piece.endswith("]"))]
        lower_case, reason = all(piece == piece.lower() for piece in names), "the vocabulary"
    _warn_of_differences(os.path.join(directory, CONFIG), config, lower_case)
    return TokenizerFiles(pieces, path, lower_case, reason)


def write_vocabulary(directory, pieces):
    write_lines(os.path.join(directory, VOCABULARY), pieces)


def write_config(directory, do_lower_case, max_length):
    """Writes `tokenizer_config.json`, for `AutoTokenizer` to give the ids that our tokenizer gives.

    That is for all text but words over 100 characters, which are unknown to it (here over 200); special tokens such as
    `[MASK]` written in the text, which it takes for what they say; characters that only one of the two versions of
    Unicode knows; and a capital sigma that ends a word, for those who lower-case.
    """
    values = {
        "cls_token": "[CLS]",
        "do_lower_case": do_lower_case,
        "mask_token": "[MASK]",
        "model_max_length": max_length,
        "pad_token": PADDING_PIECE,
        "sep_token": "[SEP]",
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
    }
    with atomic_write(os.path.join(directory, CONFIG)) as file:
        file.write(json.dumps(values, indent=2) + "\n")


def _read_object(directory, name):
    """What a JSON file holds; an empty dict if there is none."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return {}
    values = read_json(path, "a JSON object")
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values


def _read_vocabulary(directory, tokenizer):
    """The wordpieces by id, and the path of the file."""
    path = os.path.join(directory, VOCABULARY)
    if os.path.exists(path):
        pieces = [line for _, line in read_lines(path)]
        while pieces and not pieces[-1].strip():
            pieces.pop()  # a blank line at the end, which has no embedding
        return pieces, path
    if not tokenizer:
        raise InputError(f"{path}: no such file; expected the vocabulary that the model was trained with")
    path = os.path.join(directory, TOKENIZER)
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        raise InputError(f"{path}: no WordPiece vocabulary in it; expected that, or {VOCABULARY}")
    try:
        pieces = sorted(model["vocab"], key=model["vocab"].get)
        if [model["vocab"][piece] for piece in pieces] != list(range(len(pieces))):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"{path}: the ids of its vocabulary are not 0, 1, 2, ...; expected {VOCABULARY}") from None
    return pieces, path


def _check_pieces(pieces, path):
    for number, piece in enumerate(pieces, 1):
        if "\n" in piece or "\r" in piece:
            raise InputError(f"{path}: the end of a line in wordpiece {number}, {piece[:40]!r}; expected none")


def _check_added_tokens(directory, config, tokenizer, pieces):
    """Refuses tokens that were added to a vocabulary: the tokenizer here would cut them into wordpieces."""
    decoder, listed = config.get("added_tokens_decoder"), tokenizer.get("added_tokens")
    found = {
        ADDED: list(_read_object(directory, ADDED)),
        CONFIG: [_content(token) for token in decoder.values()] if isinstance(decoder, dict) else [],
        TOKENIZER: [_content(token) for token in listed] if isinstance(listed, list) else [],
    }
    known = set(pieces)
    for name, tokens in found.items():
        path = os.path.join(directory, name)
        if odd := [token for token in tokens if not isinstance(token, str)]:
            raise InputError(f"{path}: an added token is {describe_json(odd[0])}; expected an object with its content")
        if added := [token for token in tokens if token not in known]:
            raise InputError(
                f"{path}: added tokens {name_some(added)} that are not in the vocabulary; "
                "expected a model without, since the tokenizer here would cut them into wordpieces"
            )


def _content(token):
    return token.get("content") if isinstance(token, dict) else token


def _warn_of_differences(path, config, lower_case):
    """Says what our tokenizer does differently."""
    name = config.get("tokenizer_class")
    if name not in _OUR_CLASSES:
        logging.warning("%s: tokenizer_class is %r; the programs here cut text as BertTokenizer does", path, name)
    if config.get("strip_accents") not in (None, lower_case):
        logging.warning(
            "%s: strip_accents is %r; the programs here strip accents where they lower-case and else not",
            path,
            config["strip_accents"],
        )
    if config.get("tokenize_chinese_chars", True) is not True:
        logging.warning("%s: tokenize_chinese_chars is false; here each ideograph is a word", path)
