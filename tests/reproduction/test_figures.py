"""Figures: what the SVG says, where marks stand, that the same data gives the same bytes, without a display."""

import os
import subprocess
import sys
import warnings

import matplotlib
import pytest
from lxml import etree

from common.errors import InputError
from reproduction import figures
from reproduction.figures import Series

SVG = {"svg": "http://www.w3.org/2000/svg"}
NAMES = [
    *("NCBI-disease", "i2b2-2010", "BC5CDR-disease", "BC5CDR-chem", "BC4CHEMD", "BC2GM", "JNLPBA", "linnaeus", "s800"),
    *("GAD", "EU-ADR", "CHEMPROT", "BioASQ-4b", "BioASQ-5b", "BioASQ-6b"),
]


def draw_curves(stem, **options):
    ours = Series(
        "ours, F_1 of $x$", [(0, 40.0, 1.5), (800, 50.0, None), (3200, 60.0, 2.0)], runs=[(0, 39.0), (0, 41.0)]
    )
    paper = Series("paper", [(800, 85.0, None), (3200, 87.5, None)], paper=True)
    return figures.curves(str(stem), [ours, paper], "steps", "entity F1", "Figure 2(b)", **options)


def svg_texts(path):
    """The texts of an SVG by their content, with the element of each."""
    return {element.text: element for element in etree.parse(path).iterfind(".//svg:text", SVG)}


def place(text):
    """Where a text is anchored, (x, y) in points, y downwards."""
    if text.get("x"):
        return float(text.get("x")), float(text.get("y"))
    x, y = text.get("transform").removeprefix("translate(").split(")")[0].split()
    return float(x), float(y)


def test_curves_are_a_png_and_an_svg_with_text_as_text(tmp_path):
    paths = draw_curves(tmp_path / "curve")
    assert paths == [f"{tmp_path}/curve.png", f"{tmp_path}/curve.svg"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert {"ours, F_1 of $x$", "paper", "steps", "entity F1", "Figure 2(b)", "3000"} <= svg_texts(paths[1]).keys()


def test_the_paper_is_drawn_hollow_and_grey(tmp_path):
    _, path = draw_curves(tmp_path / "curve")
    svg = (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert "fill: #ffffff; stroke: #6b6b6b" in svg  # the paper's marks
    assert "stroke: #6b6b6b; stroke-width: 1.2" in svg  # and its line, broken:
    assert "stroke-dasharray" in svg
    assert "fill: #0072b2" in svg
    assert svg_texts(path)["ours, F_1 of $x$"] is not None


def test_a_logarithmic_axis_has_a_place_for_zero_and_ticks_at_the_points(tmp_path):
    _, path = draw_curves(tmp_path / "curve", log_x=True)
    found = svg_texts(path)
    ticks = [place(found[label])[0] for label in ("0", "800", "3200")]
    assert ticks == sorted(ticks)
    assert min(ticks[1] - ticks[0], ticks[2] - ticks[1]) > 60
    assert "1000" not in found


def test_ticks_that_would_touch_are_left_out(tmp_path):
    line = Series("ours", [(1000, 1, None), (1050, 2, None), (1_000_000, 3, None), (4_500_000_000, 4, None)])
    _, path = figures.curves(str(tmp_path / "curve"), [line], "words", "F1", "title", log_x=True)
    assert {"1000", "1M", "4.5B"} <= svg_texts(path).keys()
    assert "1050" not in svg_texts(path)


def test_bars_name_every_data_set_once_and_say_what_is_missing(tmp_path):
    ours = [1.0, None, *[2.5] * 12, -3.25]
    paper = [*[1.5] * 14, None]
    _, path = figures.bars(str(tmp_path / "bars"), NAMES, ours, paper, "gain in points", "title")
    found = svg_texts(path)
    assert {*NAMES, "ours", "paper", "gain in points", "title"} <= found.keys()
    rows = [place(found[name])[1] for name in NAMES]
    assert all(below - above > 20 for above, below in zip(rows, rows[1:], strict=False))  # points: no names touch
    for label, name in (("ours: no result", "i2b2-2010"), ("paper: no result", "BioASQ-6b"), ("−3.2", "BioASQ-6b")):
        assert abs(place(found[label])[1] - place(found[name])[1]) < 12
    assert place(found["−3.2"])[0] < place(found["+1.0"])[0]


def test_deviations_of_bars_are_drawn_where_known(tmp_path):
    values = [1.0, 2.0], [1.0, None]
    figures.bars(str(tmp_path / "without"), ["a", "b"], *values, "gain", "title")
    figures.bars(str(tmp_path / "with"), ["a", "b"], *values, "gain", "title", deviations=[0.5, None])
    with_bars, without = ((tmp_path / f"{name}.svg").read_text(encoding="utf-8") for name in ("with", "without"))
    assert "LineCollection" in with_bars
    assert "LineCollection" not in without


def test_the_same_data_gives_the_same_bytes_whatever_the_settings(tmp_path):
    first = draw_curves(tmp_path / "a")
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "red"}):
        second = draw_curves(tmp_path / "b")
        assert matplotlib.rcParams["font.size"] == 20  # the caller's settings are his own
    for path, again in zip(first, second, strict=True):
        with open(path, "rb") as one, open(again, "rb") as other:
            assert one.read() == other.read()
    assert "dc:date" not in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_names_in_any_script_draw_without_warnings(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, path = figures.bars(str(tmp_path / "bars"), ["疾患", "β-catenin <x> & y"], [1], [2], "gain", "$5 & _x_")
    assert {"疾患", "β-catenin <x> & y", "$5 & _x_"} <= svg_texts(path).keys()


def test_no_display_is_needed_nor_is_pyplot(repository, tmp_path):
    program = (
        "import sys; from reproduction import figures\n"
        f"figures.bars({str(tmp_path / 'bars')!r}, ['a'], [1], [2], 'gain', 'title')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "DISPLAY": "", "MPLBACKEND": "TkAgg", "PYTHONPATH": str(repository)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write output there"):
        draw_curves(tmp_path / "file" / "curve")
