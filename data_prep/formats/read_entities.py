"""Entities that an input has already: checked against its text, and mended where their offsets are in another unit."""

from absl import logging

from data_prep.formats.document import Entity
from data_prep.formats.placement import Report, place


def place_entities(text, mentions, report):
    """Finds the given entities of a document in its text.

    Args:
      text: str.
      mentions: list of `data_prep.formats.placement.Mention`.
      report: Report, to which those are added that do not fit and are left out.

    Returns:
      `(entities, unit)`: a tuple of Entity, and what the file's offsets count, one of `entity_offsets.CODE_UNITS`, or
      None for characters.
    """
    own = Report()
    placed = place(text, mentions, own)
    report.misplaced += own.misplaced
    for example in own.examples:
        report.add_example(example)
    entities = tuple(Entity(entity.id, entity.type, entity.start, entity.end) for entity in placed)
    return entities, next(iter(own.other_units), None)


def log_misplaced(report, name):
    """Logs a warning that counts the entities of an input that were left out, if any were."""
    if report.misplaced:
        logging.warning(
            "%s: %d given entities left out, since their text is not at their offsets. %s",
            name,
            report.misplaced,
            report.examples[0],
        )
