"""A plot of each table: what was found with its interval, row by row, and the paper's beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitcliff.report.plot import LIGHT, Plot, Theme, plain_axes, plot, svg_text
from bitcliff.sweep.sheets import Sheet, place_words
from bitcliff.sweep.tables import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 0.26  # inches
_MARKERS = {"robust": "o", "brittle": "v", "base": "s"}


@dataclass(frozen=True)
class _Dot:
    """One finding: in which row, of which series, with its interval and the paper's number."""

    row: str
    series: str
    ends: tuple[float, float, float]
    paper: float | None
    solid: bool = True


_AXIS = {
    "table1": "change in points under the co-trained policy",
    "table2": "percent of the test examples",
    "table3": "percent right on the test split",
    "audits": "percent right, or as in float",
}
_OF_SOME = (
    " Drawn are the pairs that stand out: of each network the brittle one that lost most with "
    "parity held; where none held it, the first pair."
)


def sheet_plot(sheet: Sheet) -> Plot:
    """For a page."""
    found = _dots(sheet)
    height = _height(found)
    words = "; ".join(
        f"{one.row}, {one.series}: {one.ends[1]:.1f} ({one.ends[0]:.1f} to {one.ends[2]:.1f})"
        for one in found
    )
    return plot(
        lambda figure, theme, narrow: _draw(figure, found, _AXIS[sheet.key], theme),
        title=f"{_AXIS[sheet.key]}, with 95 % intervals".capitalize(),
        caption="Hollow: parity failed. Crosses: the paper's own numbers."
        + (_OF_SOME if sheet.key == "table3" else ""),
        words=f"{sheet.title}. {words}",
        size=(9.2, height),
        narrow_size=(4.6, height),
    )


def sheet_svg(sheet: Sheet) -> str:
    """As a file of its own."""
    found = _dots(sheet)
    size = (9.2, _height(found))
    return svg_text(lambda figure: _draw(figure, found, _AXIS[sheet.key], LIGHT), size, False, size)


def _dots(sheet: Sheet) -> list[_Dot]:
    make = {"table1": _first, "table2": _second, "table3": _third, "audits": _audited}
    return [dot for row in sheet.drawn for dot in make[sheet.key](row)]


def _first(row: Row) -> list[_Dot]:
    ends = (row["change_low_pp"], row["change_pp"], row["change_high_pp"])
    solid = row["parity_held"] == row["seeds"]
    return [_Dot(place_words(row), row["role"], ends, row["paper_change_pp"], solid)]


def _second(row: Row) -> list[_Dot]:
    return [
        _Dot(
            place_words(row),
            name.replace("_", " "),
            ends,
            row["paper"],
            row["parity_held_by_both"] == row["seeds"],
        )
        for name in ("of_both_right", "of_all")
        if None not in (ends := (row[f"{name}_low"], row[name], row[f"{name}_high"]))
    ]


def _third(row: Row) -> list[_Dot]:
    ends = (row["low"], row["accuracy"], row["high"])
    place, solid = f"{place_words(row)}, {row['policy']}", row["parity_held"] == row["seeds"]
    return [_Dot(place, row["trained_as"], ends, row["paper"], solid)]


def _audited(row: Row) -> list[_Dot]:
    if row["value"] is None:
        return []
    ends = (row["low"], row["value"], row["high"])
    return [_Dot(f"{row['network']}, {row['asked']}", row["policy"], ends, None)]


def _height(found: Sequence[_Dot]) -> float:
    return 1.3 + _ROW * len({one.row for one in found})


def _draw(figure: "Figure", found: Sequence[_Dot], axis: str, theme: Theme) -> None:
    rows = list(dict.fromkeys(one.row for one in found))
    series = list(dict.fromkeys(one.series for one in found))
    colours = dict(zip(series, _colours(series, theme), strict=True))
    axes = figure.add_subplot()
    plain_axes(axes, theme)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=1)
    for one in found:
        shift = 0.5 * ((series.index(one.series) + 0.5) / len(series) - 0.5)
        y, (low, value, high) = rows.index(one.row) + shift, one.ends
        colour = colours[one.series]
        axes.plot([low, high], [y, y], color=colour, linewidth=1.5)
        marker = _MARKERS.get(one.series, "o")
        inside = colour if one.solid else theme.paper
        axes.plot(value, y, marker, color=colour, markerfacecolor=inside, markersize=5)
        if one.paper is not None:
            axes.plot(one.paper, y, "x", color=theme.muted, markersize=6)
    for name in series:
        axes.plot([], [], _MARKERS.get(name, "o"), color=colours[name], label=name)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(axis)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, labelcolor=theme.ink
    )
    figure.tight_layout()


def _colours(series: Sequence[str], theme: Theme) -> list[str]:
    known = {"robust": theme.best, "brittle": theme.worst, "base": theme.even}
    others = [theme.even, theme.static, theme.own, theme.random, theme.best, theme.worst]
    return [known.get(name, others[number % len(others)]) for number, name in enumerate(series)]
