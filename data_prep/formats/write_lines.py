"""Annotated documents as lines of JSON and in the columns of CoNLL."""

import bisect
import json
import re


def to_dict(document):
    """What a line of JSON says of a document; in it `text[start:end]` is the `text` of an entity.

    `confidence` and `model` are left out where there is none, that is, for what was in the input.
    """
    return {
        "id": document.id,
        "source": document.source,
        "text": document.text,
        "entities": [_entity_dict(entity, document.text) for entity in document.entities],
        "relations": [
            {
                "id": relation.id,
                "type": relation.type,
                "first": relation.first,
                "second": relation.second,
                **_confidence(relation),
            }
            for relation in document.relations
        ],
    }


def _entity_dict(entity, text):
    return {
        "id": entity.id,
        "type": entity.type,
        "start": entity.start,
        "end": entity.end,
        "text": text[entity.start : entity.end],
        **_confidence(entity),
        **({"model": entity.model} if entity.model else {}),
    }


def _confidence(found):
    return {} if found.confidence is None else {"confidence": round(found.confidence, 4)}


class JsonLinesWriter:
    """A document a line, see `to_dict`; characters stand for themselves, not escaped to ASCII."""

    def __init__(self, file):
        self.file = file

    def write(self, document):
        self.file.write(json.dumps(to_dict(document), ensure_ascii=False) + "\n")


class ConllWriter:
    """A word a line with a column of labels for each model, separated by tabs; a blank line after each sentence.

    Labels are B and I with the entity's type (B-Disease), or alone where it has none, and O. A word has one label of
    a model: of entities that share a word, the longest has it, then the first. An entity is cut where a sentence ends.
    Before each document but the first there is a line `-DOCSTART-`.

    Args:
      file: text file.
      models: names, one a column; "" stands for the entities of the input. Empty: these alone.
    """

    def __init__(self, file, models):
        self.file = file
        self.models = tuple(models) or ("",)
        self.is_first = True

    def write(self, document):
        """Raises ValueError for a document whose words are not known."""
        if document.words is None:
            raise ValueError(f"document {document.id} has no words; expected it cut into sentences and words")
        if not self.is_first:
            self.file.write("\t".join(["-DOCSTART-", *("O" for _ in self.models)]) + "\n\n")
        self.is_first = False
        rows = zip(*(_conll_labels(document, model) for model in self.models), strict=True)
        for words in document.words:
            for start, end in words:
                self.file.write("\t".join([_conll_word(document.text[start:end]), *next(rows)]) + "\n")
            if words:
                self.file.write("\n")


def _conll_word(text):
    # Control characters that BERT's tokenizer leaves out of words may be white space to a reader of the columns.
    return re.sub(r"\s", "\N{REPLACEMENT CHARACTER}", text)


def _conll_labels(document, model):
    """The labels of a document's words, all sentences together."""
    spans = [span for words in document.words for span in words]
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    begins_sentence = [i == 0 for words in document.words for i in range(len(words))]
    labels = ["O"] * len(spans)
    entities = [entity for entity in document.entities if entity.model == model]
    for entity in sorted(entities, key=lambda entity: (entity.start - entity.end, entity.start)):
        inside = range(bisect.bisect_right(ends, entity.start), bisect.bisect_left(starts, entity.end))
        if any(labels[i] != "O" for i in inside):
            continue
        kind = re.sub(r"\s", "_", entity.type)
        for i in inside:
            prefix = "B" if i == inside[0] or begins_sentence[i] else "I"
            labels[i] = f"{prefix}-{kind}" if kind else prefix
    return labels
