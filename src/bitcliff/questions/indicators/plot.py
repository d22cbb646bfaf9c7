"""Values of many networks as dots, a line for each indicator with a scale of its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitcliff.report.plot import Plot, Theme, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Beyond this ratio a line is logarithmic.
_WIDE = 20
_LABELS = {
    "plain": "plain",
    "robust": "made robust",
    "failed": "made to be brittle, is not",
    "brittle": "brittle",
}


@dataclass(frozen=True)
class Strip:
    """One line. `groups` holds the networks' values by kind; `subject` this network's, if shown."""

    title: str
    auroc: str
    groups: Mapping[str, Sequence[float]]
    subject: float | None

    @property
    def values(self) -> list[float]:
        """All there are."""
        known = [value for group in self.groups.values() for value in group]
        return known if self.subject is None else [*known, self.subject]

    def place(self, value: float) -> float:
        """Where a value lies between the smallest and the largest, 0 to 1."""
        low, high = min(self.values), max(self.values)
        if high == low:
            return 0.5
        if low > 0 and high / low > _WIDE:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


def strips_plot(strips: Sequence[Strip], *, title: str, caption: str) -> Plot:
    """The plot, in all its forms."""
    words = "; ".join(_words(strip) for strip in strips)
    return plot(
        lambda figure, theme, narrow: _draw(figure, strips, theme, narrow),
        title=title,
        caption=caption,
        words=f"Values of each indicator, by kind of network. {words}.",
        size=(9.2, 0.9 + 0.42 * len(strips)),
        narrow_size=(4.6, 1.3 + 0.62 * len(strips)),
    )


def _words(strip: Strip) -> str:
    parts = [
        f"{_LABELS[name]} {min(values):.3g} to {max(values):.3g}"
        for name, values in strip.groups.items()
        if values
    ]
    own = [] if strip.subject is None else [f"this network {strip.subject:.3g}"]
    return f"{strip.title}: {', '.join(parts + own)}, AUROC {strip.auroc}"


def _draw(figure: "Figure", strips: Sequence[Strip], theme: Theme, narrow: bool) -> None:
    head = (0.95 if narrow else 0.55) / figure.get_figheight()
    left, width = (0.03, 0.94) if narrow else (0.265, 0.52)
    axes = figure.add_axes((left, 0.01, width, 0.99 - head))
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(len(strips) - 0.45, -0.65)
    axes.set_axis_off()
    for row, strip in enumerate(strips):
        axes.plot([0, 1], [row, row], color=theme.grid, linewidth=1.5, zorder=1)
        _draw_marks(axes, strip, row, theme)
        _draw_text(axes, strip, row, theme, narrow)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(
        list(unique.values()),
        list(unique),
        loc="upper left",
        ncols=2 if narrow else 5,
        frameon=False,
        labelcolor=theme.ink,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _draw_marks(axes: "Axes", strip: Strip, row: int, theme: Theme) -> None:
    # Kinds are told apart by shape and height as well as by colour.
    styles = {
        "plain": ("s", theme.random, -0.1),
        "robust": ("o", theme.even, 0.0),
        "failed": ("^", theme.own, 0.1),
        "brittle": ("v", theme.worst, 0.1),
    }
    for name, (marker, colour, shift) in styles.items():
        values = strip.groups[name]
        axes.scatter(
            [strip.place(value) for value in values],
            [row + shift] * len(values),
            marker=marker,
            s=34,
            color=colour,
            alpha=0.8,
            linewidths=0,
            zorder=2,
            label=_LABELS[name] if values else None,
        )
    if strip.subject is not None:
        axes.scatter(
            [strip.place(strip.subject)],
            [row],
            marker="D",
            s=75,
            facecolors="none",
            edgecolors=theme.ink,
            linewidths=1.8,
            zorder=3,
            label="this network",
        )


def _draw_text(axes: "Axes", strip: Strip, row: int, theme: Theme, narrow: bool) -> None:
    low, high = min(strip.values), max(strip.values)
    ends = f"{low:.3g} to {high:.3g}"
    if narrow:
        axes.text(0, row - 0.3, strip.title, color=theme.ink, va="center")
        axes.text(1, row - 0.3, strip.auroc, color=theme.muted, va="center", ha="right")
        return
    axes.text(-0.03, row - 0.14, strip.title, color=theme.ink, va="center", ha="right")
    axes.text(-0.03, row + 0.22, ends, color=theme.muted, va="center", ha="right", fontsize=8)
    axes.text(1.03, row, strip.auroc, color=theme.ink, va="center")
