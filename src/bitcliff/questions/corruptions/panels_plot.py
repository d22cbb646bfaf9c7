"""Small multiples: a panel a corruption, a line a network, shares against the degree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitcliff.report.plot import Theme, plain_axes
from bitcliff.types.rate import ClusteredRate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches above and below the panels, and of a row of panels.
_LEGEND_ROW, _BELOW, _ROW = 0.24, 0.5, 1.85


@dataclass(frozen=True)
class RateLine:
    """One line in every panel.

    Attributes:
        colour: the name of one of the theme's. dashed: else drawn through.
        rates: by panel and degree.
    """

    label: str
    colour: str
    marker: str
    dashed: bool
    rates: Mapping[tuple[str, int], ClusteredRate]


def panels_size(
    panels: int, lines: int, narrow: bool, columns: int | None = None
) -> tuple[float, float]:
    """Width and height, inches, in which `draw_panels` has room."""
    _, rows = _grid(panels, narrow)
    return (4.6 if narrow else 9.2), _above(lines, narrow, columns) + _ROW * rows + _BELOW


def draw_panels(
    figure: "Figure",
    theme: Theme,
    narrow: bool,
    panels: Sequence[str],
    lines: Sequence[RateLine],
    legend_columns: int | None = None,
) -> None:
    """Fill a figure of `panels_size`; degree 0 is the clean images."""
    columns, rows = _grid(len(panels), narrow)
    height = panels_size(len(panels), len(lines), narrow, legend_columns)[1]
    drawn = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    figure.subplots_adjust(
        left=0.13 if narrow else 0.065,
        right=0.985,
        top=1 - (_above(len(lines), narrow, legend_columns) + 0.25) / height,
        bottom=_BELOW / height,
        wspace=0.08,
        hspace=0.3,
    )
    for axes, panel in zip(drawn, panels, strict=False):
        _draw_panel(axes, panel, lines, theme)
    for axes in drawn[len(panels) :]:
        axes.remove()
    # Under the last panel of each column, which an incomplete last row leaves open.
    for axes in drawn[max(0, len(panels) - columns) : len(panels)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("degree; 0 is clean", fontsize="medium", color=theme.muted, y=0.04 / height)
    handles, labels = drawn[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper left",
        ncols=legend_columns or _legend_columns(narrow),
        frameon=False,
        labelcolor=theme.ink,
    )


def _grid(panels: int, narrow: bool) -> tuple[int, int]:
    columns = 2 if narrow else 3
    return columns, max(1, math.ceil(panels / columns))


def _legend_columns(narrow: bool) -> int:
    return 2 if narrow else 4


def _above(lines: int, narrow: bool, columns: int | None) -> float:
    return 0.2 + _LEGEND_ROW * math.ceil(lines / (columns or _legend_columns(narrow)))


def _draw_panel(axes: "Axes", panel: str, lines: Sequence[RateLine], theme: Theme) -> None:
    for place, line in enumerate(lines):
        spots = [
            (degree, rate.value, rate.low, rate.high)
            for (name, degree), rate in sorted(line.rates.items(), key=lambda item: item[0][1])
            if name == panel and None not in (rate.value, rate.low, rate.high)
        ]
        if not spots:
            continue
        degrees, values, lows, highs = zip(*spots, strict=True)
        # A little sideways: no interval hides another at the same degree.
        shifted = [degree + 0.09 * (place - (len(lines) - 1) / 2) for degree in degrees]
        colour = getattr(theme, line.colour)
        axes.vlines(shifted, lows, highs, color=colour, linewidth=1.1, alpha=0.5)
        axes.plot(
            shifted,
            values,
            color=colour,
            linestyle=(0, (4, 2)) if line.dashed else "-",
            linewidth=1.6,
            marker=line.marker,
            markersize=4.5,
            markeredgecolor=theme.paper,
            markeredgewidth=0.5,
            label=line.label,
            zorder=3,
        )
    axes.set_title(panel, loc="left", fontsize="medium", color=theme.ink)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    degrees_drawn = sorted(
        {degree for line in lines for name, degree in line.rates if name == panel}
    )
    axes.set_xticks(degrees_drawn)
    axes.set_xlim(-0.4, max(degrees_drawn, default=5) + 0.4)
    plain_axes(axes, theme)
