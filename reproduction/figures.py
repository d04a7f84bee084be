"""Figures as PNG and SVG with matplotlib: curves and bars, the paper's values beside ours.

    curves("figure2b", [Series("NCBI-disease", [(0, 40.2, 1.1), (1000, 48.9, 0.8)])], "steps", "F1", "Pre-training")

Drawn without a display and without the user's settings of matplotlib; the same data gives the same bytes. Colours and
shapes can be told apart by colour-blind readers and in print. Needs matplotlib: pip install -e '.[reports]'.
"""

import contextlib
import dataclasses
import io
import math
import os
import sys
import textwrap
import warnings

from common.files import atomic_write, make_directory

try:
    import matplotlib
    from matplotlib import figure, ticker
except ModuleNotFoundError:  # before hours of training, whose figures it would draw
    sys.exit("error: figures need matplotlib; expected pip install -e '.[reports]'")

# Okabe and Ito's palette without yellow, which is too pale on white; a shape for each colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PAPER_GREY = "#6B6B6B"
PAPER_LINES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 3)), (0, (3, 1, 1, 1)))
SETTINGS = {
    "svg.fonttype": "none",  # text as text: searchable, and scaled by the reader
    "svg.hashsalt": "biobert",
    "text.parse_math": False,  # a dollar sign is one
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
PNG_DPI = 200
WIDTH = 5.4  # inches: letters of 10 points can still be read where a phone shows it
MISSING = "no result"


@dataclasses.dataclass(frozen=True)
class Series:
    """A line of a figure.

    Attributes:
      name: what the legend calls it.
      points: a list of (x, mean, standard deviation or None).
      paper: whether these are printed figures of the paper, drawn hollow and grey. The n-th such series has the shape
        of the n-th of ours.
      runs: a list of (x, value), the single runs behind the means.
    """

    name: str
    points: list
    paper: bool = False
    runs: list = ()


def curves(path_stem, series, x_label, y_label, title, log_x=False):
    """Draws a line a series, with bars of one standard deviation, into `path_stem`.png and .svg.

    Args:
      log_x: whether x is on a logarithmic scale; zero, as no pre-training at all, has its place left of it.

    Returns:
      The paths of the two files.

    Raises:
      InputError: the files cannot be written.
    """
    with _settings():
        picture = figure.Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = picture.add_subplot()
        ours = [line for line in series if not line.paper]
        printed = [line for line in series if line.paper]
        for i, line in enumerate(ours):
            _draw_ours(axes, line, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, line in enumerate(printed):
            _draw_printed(axes, line, PAPER_LINES[i % len(PAPER_LINES)], MARKERS[i % len(MARKERS)])
        axes.set(xlabel=x_label, ylabel="\n".join(textwrap.wrap(y_label, 40)))
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        positions = sorted({point[0] for line in series for point in line.points})
        if log_x:
            _set_log_scale(axes, positions)
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: _short_number(x)))
        _finish(picture, axes, title)
        return _save(picture, path_stem)


def _draw_ours(axes, line, colour, marker):
    if line.runs:
        axes.plot(*zip(*line.runs, strict=True), marker, color=colour, alpha=0.4, markersize=3.5, markeredgewidth=0)
    _draw_means(axes, line, color=colour, marker=marker, markersize=6, linewidth=1.6)


def _draw_printed(axes, line, style, marker):
    hollow = {"marker": marker, "markersize": 7, "markerfacecolor": "white", "markeredgecolor": PAPER_GREY}
    _draw_means(axes, line, color=PAPER_GREY, linestyle=style, linewidth=1.2, **hollow)


def _draw_means(axes, line, **style):
    xs, means, deviations = zip(*line.points, strict=True)
    heights = [deviation or 0 for deviation in deviations] if any(deviations) else None
    axes.errorbar(xs, means, heights, capsize=3, label=line.name, **style)


def _set_log_scale(axes, positions):
    """A logarithmic x axis, linear between zero and the smallest position above it, with ticks at the positions."""
    if positions[0] <= 0:
        axes.set_xscale("symlog", linthresh=min((x for x in positions if x > 0), default=1), linscale=0.5)
    else:
        axes.set_xscale("log")
    # Positions whose labels would touch the one before, a twelfth of the axis away, go without.
    places = dict(zip(positions, axes.xaxis.get_transform().transform(positions), strict=True))
    apart = (places[positions[-1]] - places[positions[0]]) / 12
    ticks = positions[:1]
    for x in positions[1:]:
        if places[x] - places[ticks[-1]] >= apart:
            ticks.append(x)
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def _short_number(value):
    """1500000 as 1.5M, to three digits; numbers below 10,000 as they are."""
    for size, letter, least in ((1e9, "B", 1e9), (1e6, "M", 1e6), (1e3, "K", 1e4)):
        if abs(value) >= least:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


def panels(path_stem, lines, x_label):
    """Draws one plot a line under the other, for what has scales of its own, into `path_stem`.png and .svg.

    Args:
      lines: a list of (title, xs, values, smoothed values or None).

    Returns:
      The paths of the two files.

    Raises:
      InputError: the files cannot be written.
    """
    with _settings():
        picture = figure.Figure(figsize=(WIDTH, 0.5 + 1.7 * len(lines)), layout="constrained")
        for axes, (title, xs, values, smoothed) in zip(
            picture.subplots(len(lines), sharex=True, squeeze=False)[:, 0], lines, strict=True
        ):
            if smoothed is not None:
                axes.plot(xs, values, color="0.75", linewidth=0.8)
            axes.plot(xs, values if smoothed is None else smoothed, color=COLOURS[0], linewidth=1.6)
            axes.set_title(title, fontsize=10, loc="left")
            axes.grid(color="0.9", linewidth=0.8)
            axes.set_axisbelow(True)
        axes.set_xlabel(x_label)
        return _save(picture, path_stem)


def bars(path_stem, names, ours, paper, value_label, title, deviations=None):
    """Draws two horizontal bars a name, ours above the paper's, into `path_stem`.png and .svg.

    Args:
      names: a list of str, from top to bottom.
      ours, paper: lists of numbers; None leaves the place of the bar blank and says so.
      value_label: what the numbers are, with their unit.
      deviations: standard deviations of ours, or None for none; each may be None.

    Returns:
      The paths of the two files.

    Raises:
      InputError: the files cannot be written.
    """
    with _settings():
        picture = figure.Figure(figsize=(WIDTH, 0.8 + 0.42 * len(names)), layout="constrained")
        axes = picture.add_subplot()
        hollow = {"color": "white", "edgecolor": PAPER_GREY, "hatch": "////"}
        _draw_bars(axes, -0.2, ours, "ours", {"color": COLOURS[0], "edgecolor": COLOURS[0]}, deviations)
        _draw_bars(axes, 0.2, paper, "paper", hollow, None)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel("\n".join(textwrap.wrap(value_label, 60)))
        axes.axvline(0, color="black", linewidth=0.8)
        axes.grid(axis="x", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.12)
        _finish(picture, axes, title)
        return _save(picture, path_stem)


def _draw_bars(axes, offset, values, name, style, deviations):
    """One bar a name, `offset` from its middle, with its value, or the words that there is none."""
    deviations = [deviation or 0 for deviation in deviations or [0] * len(values)]
    present = [(i + offset, value, deviations[i]) for i, value in enumerate(values) if value is not None]
    rows, lengths, errors = zip(*present, strict=True) if present else ((), (), ())
    axes.barh(rows, lengths, height=0.36, linewidth=0.8, label=name, **style)
    if any(errors):
        axes.errorbar(lengths, rows, xerr=errors, fmt="none", ecolor="black", elinewidth=1, capsize=2)
    for row, value, error in present:
        side = -1 if value < 0 else 1
        _write(axes, f"{value:+.1f}".replace("-", "−"), (value + side * error, row), side)
    for i, value in enumerate(values):
        if value is None:
            _write(axes, f"{name}: {MISSING}", (0, i + offset), 1, color=PAPER_GREY, fontstyle="italic")


def _write(axes, text, place, side, **style):
    """Text beside a place of the axes, to the right of it for `side` 1 and to the left for -1."""
    align = {"ha": "left" if side > 0 else "right", "va": "center"}
    axes.annotate(text, place, (4 * side, 0), textcoords="offset points", fontsize=8, **align, **style)


def _finish(picture, axes, title):
    """Title over and legend under the axes, which they cover nothing of and take no room from."""
    lines = textwrap.wrap(title, 54)
    picture.suptitle("\n".join(lines), fontsize=11, fontweight="bold")
    handles, names = axes.get_legend_handles_labels()
    columns = max(1, min(len(names), 68 // (max(map(len, names), default=0) + 8)))
    picture.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    width, height = picture.get_size_inches()
    picture.set_size_inches(width, height + 0.2 * len(lines) + 0.2 * math.ceil(len(names) / columns))


@contextlib.contextmanager
def _settings():
    """matplotlib's defaults and SETTINGS, whatever the user's matplotlibrc says, and only here."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A letter that matplotlib's font lacks is still right in the SVG, whose reader has other fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def _save(picture, path_stem):
    make_directory(os.path.dirname(path_stem) or ".")
    # No date and no version of matplotlib: the bytes say whether the data changed.
    kinds = {
        "png": {"dpi": PNG_DPI, "metadata": {"Software": None}},
        "svg": {"metadata": {"Date": None, "Creator": None}},
    }
    paths = []
    for extension, options in kinds.items():
        content = io.BytesIO()
        picture.savefig(content, format=extension, **options)
        paths.append(f"{path_stem}.{extension}")
        with atomic_write(paths[-1], "wb") as file:
            file.write(content.getvalue())
    return paths
