"""Small histograms of the values at each point, float above quantized (paper, figure 3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.questions.activations.record import Histogram, PointActivations, PointObserved
from bitcliff.report.formatting import clean
from bitcliff.report.plot import Plot, Theme, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbered = Sequence[tuple[int, PointActivations, PointObserved]]
"""Points with their number in the network, from 1, their figures and what was seen there."""

_WIDE, _NARROW = 10, 5  # histograms in a row
_BLOCK = 1.95  # inches
_FLOOR = 1e-4
_NAME = 13


def histograms(points: Numbered, *, title: str, caption: str, words: str) -> Plot:
    """The figure: rows of points, each with its number, name, two histograms and sparsity."""
    blocks = [-(-len(points) // columns) for columns in (_WIDE, _NARROW)]
    return plot(
        lambda figure, theme, narrow: _draw(figure, theme, points, narrow),
        title=title,
        caption=caption,
        words=words,
        size=(9.2, _BLOCK * blocks[0]),
        narrow_size=(4.6, _BLOCK * blocks[1]),
    )


def shares(histogram: Histogram, first_bin: int) -> list[float]:
    """Share of each bin among all values that are not in the bin about zero, whose own is 0."""
    counts = list(histogram.counts)
    counts[-first_bin] = 0
    whole = sum(counts) or 1
    return [count / whole for count in counts]


def _draw(figure: "Figure", theme: Theme, points: Numbered, narrow: bool) -> None:
    columns = _NARROW if narrow else _WIDE
    left, width = (0.075, 0.92) if narrow else (0.04, 0.955)
    pitch, high = width / columns, 1 / -(-len(points) // columns)
    for index, (number, point, observed) in enumerate(points):
        block, column = divmod(index, columns)
        x, top = left + pitch * column, 1 - high * block
        for row, histogram in enumerate((observed.before, observed.after)):
            box = (x, top - (0.48 + 0.31 * row) * high, 0.9 * pitch, 0.28 * high)
            axes = figure.add_axes(box)
            colour = theme.worst if row else theme.even
            _draw_one(axes, histogram, observed.first_bin, colour, theme)
            if not column:
                axes.set_ylabel("Q" if row else "FP", rotation=0, ha="right", va="center")
                axes.yaxis.label.set_color(colour)
        _label(figure, theme, number, point, (x + 0.45 * pitch, top, high))


def _label(
    figure: "Figure",
    theme: Theme,
    number: int,
    point: PointActivations,
    where: tuple[float, float, float],
) -> None:
    """Number and name above, sparsity below; `where`: the middle, the top and the height."""
    middle, top, high = where
    harmed = point.cause != "unharmed"
    name = clean(point.name)
    name = name if len(name) <= _NAME else "…" + name[1 - _NAME :]
    before, after = (100 * (s or 0.0) for s in (point.sparsity_before, point.sparsity_after))
    lines = (
        (0.1, str(number), 9.0, theme.worst if harmed else theme.ink),
        (0.175, name, 6.5, theme.muted),
        (0.86, f"{before:.0f} → {after:.0f}", 8.0, theme.ink),
    )
    for down, text, size, colour in lines:
        figure.text(
            middle, top - down * high, text, ha="center", va="center", size=size, color=colour,
            weight="bold" if colour == theme.worst else "normal", parse_math=False,
        )  # fmt: skip


def _draw_one(
    axes: "Axes", histogram: Histogram, first_bin: int, colour: str, theme: Theme
) -> None:
    heights = shares(histogram, first_bin)
    edges = [first_bin - 0.5 + number for number in range(len(heights) + 1)]
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR, 1)
    axes.set_xlim(edges[0], edges[-1])
    axes.stairs(
        [max(height, _FLOOR) for height in heights], edges, baseline=_FLOOR, fill=True, color=colour
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.minorticks_off()
    axes.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.muted)
