"""Accuracy from run to run, each condition a line, with its exact 95 % interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.record.summary import Figure, Run
from bitcliff.report.formatting import clean, percent
from bitcliff.report.plot import Plot, Theme, plain_axes, plot
from bitcliff.types.settings import IN_FLOAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SERIES = ("even", "worst", "best", "static", "own")
"""Colours, in the order in which conditions other than float get them."""
# Runs whose names are written below the axis, at most.
_NAMED = 8


def history_plot(runs: Sequence[Run], series: Sequence[str]) -> Plot:
    """The conditions of these names over the runs, which are in order."""
    counted = {figure.counted for run in runs for figure in run.figures if figure.name in series}
    colours = dict(zip([name for name in series if name != IN_FLOAT], SERIES, strict=False))
    told = " or ".join(sorted(counted)) or "right"
    lines = {name: _line(runs, name) for name in series}

    def draw(drawing: "Drawing", theme: Theme, narrow: bool) -> None:
        axes = drawing.subplots()
        for place, (name, points) in enumerate(lines.items()):
            shift = 0.04 * (place - (len(series) - 1) / 2)
            _draw(axes, points, clean(name, 40), getattr(theme, colours.get(name, "ink")), shift)
        plain_axes(axes, theme)
        axes.set_ylim(-2, 102)
        axes.set_ylabel(f"{told}, %", color=theme.muted)
        _name_runs(axes, runs, narrow)
        axes.legend(
            frameon=False, labelcolor=theme.ink, fontsize=9, ncols=1 if narrow else 3,
            loc="lower center", bbox_to_anchor=(0.5, 1.0),
        )  # fmt: skip
        drawing.tight_layout()

    return plot(
        draw,
        title=f"{runs[0].examples} examples of {clean(runs[0].data, 60)}, run by run",
        caption=f"Share of the examples that are {told}, with exact 95 % intervals "
        "of each by itself; whether two differ is tested in pairs, below.",
        words="; ".join(f"{clean(name, 40)}: {_words(points)}" for name, points in lines.items()),
        narrow_size=(4.6, 5.6),
    )


def _line(runs: Sequence[Run], name: str) -> list[tuple[int, Figure]]:
    found = ((place, one) for place, run in enumerate(runs) for one in run.figures)
    return [(place, one) for place, one in found if one.name == name and one.value is not None]


def _words(points: Sequence[tuple[int, Figure]]) -> str:
    return ", ".join(percent(one.value) for _, one in points) or "not measured"


def _draw(
    axes: "Axes", points: Sequence[tuple[int, Figure]], name: str, colour: str, shift: float
) -> None:
    values = [100 * (one.value or 0.0) for _, one in points]
    lows = [v - 100 * (one.low or 0.0) for v, (_, one) in zip(values, points, strict=True)]
    highs = [100 * (one.high or 0.0) - v for v, (_, one) in zip(values, points, strict=True)]
    axes.errorbar(
        [place + shift for place, _ in points], values, yerr=[lows, highs], fmt="-o",
        color=colour, label=name, markersize=4, linewidth=1.6, elinewidth=1.0, capsize=2,
    )  # fmt: skip


def _name_runs(axes: "Axes", runs: Sequence[Run], narrow: bool) -> None:
    every = -(-len(runs) // (_NAMED // 2 if narrow else _NAMED))
    places = range(0, len(runs), every)
    names = [f"{runs[p].started[:10]}\n{clean(runs[p].weights_sha256[:7])}" for p in places]
    axes.set_xticks(places, names, fontsize=8)
    axes.set_xlim(-0.5, len(runs) - 0.5)
