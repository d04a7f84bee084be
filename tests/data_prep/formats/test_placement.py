"""Where the entities that a file gives stand in its text."""

import pytest

from data_prep.formats.document import Entity
from data_prep.formats.placement import Mention, Report, place

TEXT = "α 😀 zinc, zinc\u2009ions and  NO in KNOX"


MOVED = Mention(Entity("T2", "X", 40, 45), "rises", "x")


def check_place(mentions, expected, **report_values):
    report = Report()
    mentions = [
        Mention(Entity(f"T{i}", "X", start, end), text, f"x, line {i}") for i, (start, end, text) in enumerate(mentions)
    ]
    placed, unit = place(TEXT, mentions, report)
    assert [(entity.start, entity.end) for entity in placed] == expected
    assert unit == next(iter(report_values.get("other_units", ())), None)
    report.examples = []
    assert report == Report(entities=len(expected), **report_values)


@pytest.mark.parametrize(
    ("mentions", "spans"),
    [
        ([(4, 8, "zinc"), (10, 19, "zinc\u2009ions")], [(4, 8), (10, 19)]),
        ([(10, 19, "zinc ions"), (20, 27, "and NO")], [(10, 19), (20, 27)]),  # but for white space
        ([(3, 9, " zinc,"), (14, 15, "\u2009ions")], [(4, 9)]),  # trimmed; the second is elsewhere
    ],
)
def test_entities_in_characters(mentions, spans):
    check_place(mentions, spans, misplaced=len(mentions) - len(spans))


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("TNF-α rises", "TNF-alpha"),
        ("TNFα rises", "TNF alpha"),
        ("Δ9-THC rises", "Delta9-THC"),
        ("Alpha-synuclein rises", "α-synuclein"),  # noqa: RUF001 (Greek)
        ("5\u2032\u2013UTR rises", "5\u2032-UTR"),
        ("IL \u2011 2 rises", "IL-2"),
        ("\ufb01brin rises", "fibrin"),
        ("H\u2082O rises", "H2O"),
    ],
)
def test_a_mention_that_is_spelled_otherwise_is_in_its_place(text, mention):
    end, report = text.index(" rises"), Report()
    placed, _ = place(text, [Mention(Entity("T1", "X", 0, end), mention, "x"), MOVED], report)
    assert [(entity.start, entity.end) for entity in placed] == [(0, end), (end + 1, end + 6)]
    assert (report.entities, report.spelled_otherwise, report.shifted, report.misplaced) == (2, 1, 1, 0)


@pytest.mark.parametrize("mention", ["TNF-β", "tnf-alpha", "TNF-alph", "zinc"])
def test_another_mention_is_left_out(mention):
    report = Report()
    assert place("TNF-α rises", [Mention(Entity("T1", "X", 0, 5), mention, "x")], report) == ((), None)
    assert (report.spelled_otherwise, report.misplaced) == (0, 1)


def test_entities_in_bytes():
    check_place([(8, 12, "zinc"), (14, 25, "zinc ions")], [(4, 8), (10, 19)], other_units={"UTF-8 bytes": 1})


def test_entities_in_utf_16():
    units = {"UTF-16 code units": 1}
    check_place([(0, 1, "α"), (5, 9, "zinc"), (26, 28, "NO")], [(0, 1), (4, 8), (25, 27)], other_units=units)


def test_entities_at_a_constant_distance():
    # `zinc` occurs twice, but only 3 characters before its offsets does `NO`, too, stand before its own.
    check_place([(0, 1, "α"), (7, 11, "zinc"), (28, 30, "NO")], [(0, 1), (4, 8), (25, 27)], shifted=2)


def test_entities_at_an_ambiguous_distance_are_left_out():
    check_place([(7, 11, "zinc")], [], misplaced=1)
    check_place([(0, 4, "zinc"), (0, 2, "NO")], [], misplaced=2)  # no common distance


def test_a_mention_that_is_everywhere_is_left_out():
    text, report = "ion " * 2000, Report()
    mentions = [Mention(Entity(f"T{i}", "X", 4 * i + 1, 4 * i + 4), "ion", "x") for i in range(1000)]
    assert place(text, mentions, report) == ((), None)
    assert report.misplaced == 1000


def test_words_are_not_found_inside_words():
    check_place([(0, 2, "OX")], [], misplaced=1)


def test_an_entity_beyond_the_text():
    check_place([(90, 92, "Fe")], [], misplaced=1)


def test_examples_name_the_place():
    report = Report()
    place(TEXT, [Mention(Entity("T1", "X", 28, 30), "NO", "x.tsv, line 3")], report)
    place(TEXT, [Mention(Entity("T2", "X", 5, 6), "Fe", "x.tsv, line 4")] * 9, report)
    assert report.examples[:2] == [
        "x.tsv, line 3: entity T1 'NO', but the text at its offsets is 'in'; moved by -3",
        "x.tsv, line 4: entity T2 'Fe', but the text at its offsets is 'i'; left out",
    ]
    assert len(report.examples) == 5
