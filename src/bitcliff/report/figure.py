"""Accuracy against mean bits, drawn by matplotlib as SVG; the same record gives the same bytes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bitcliff.record import PolicyResult, Record
from bitcliff.record.conditions import Kind
from bitcliff.record.decisions import measured
from bitcliff.report.plot import LIGHT, Plot, Theme, plain_axes, plot
from bitcliff.types.rate import Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Series:
    """One family over its means: shares in [0, 1], with the low and high end to draw at each."""

    label: str
    means: tuple[float, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


_LABELS: Mapping[Kind, str] = {
    "uniform": "allocated evenly",
    "best": "best found",
    "random": "at random: median and range",
    "co-trained": "its own trained policy",
    "worst": "worst found",
    "worst-static": "worst found, one placement for all",
    "one-format": "one format everywhere",
    "best-mix": "best mix found",
    "random-mix": "mixed at random: median and range",
    "worst-mix": "worst mix found",
}


def series_of(record: Record) -> dict[Kind, Series]:
    """What the figure shows, by kind; kinds with nothing measured are left out.

    A random policy's ends are its smallest and largest draw, the others' their exact 95 % interval.
    """
    found: dict[Kind, Series] = {}
    for kind, label in _LABELS.items():
        policies = [
            policy
            for policy in record.policies
            if policy.kind == kind and policy.mean_bits is not None
        ]
        points = sorted(
            (policy.mean_bits or 0.0, value, low, high)
            for policy in policies
            for value, low, high in _ends(policy)
        )
        if points:
            means, values, lows, highs = zip(*points, strict=True)
            found[kind] = Series(label, means, values, lows, highs)
    return found


def draw_figure(record: Record) -> "Figure":
    """Accuracy (or agreement with float) against mean bits, as matplotlib's own figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 4.5))
    _draw(figure, record, LIGHT, narrow=False)
    return figure


def figure_plot(record: Record) -> Plot:
    """The figure; without labels it shows agreement with float in place of accuracy."""
    return plot(
        lambda figure, theme, narrow: _draw(figure, record, theme, narrow),
        title="",
        caption="",
        words=figure_words(record),
    )


def figure_words(record: Record) -> str:
    """The figure for those who cannot see it: every series with its values."""
    measure = measured(record.subject)
    parts = [
        f"{series.label}: "
        + ", ".join(
            f"{100 * value:.0f} % at {mean:g} bits"
            for mean, value in zip(series.means, series.values, strict=True)
        )
        for series in series_of(record).values()
    ]
    accuracy = record.float_.accuracy
    if accuracy is not None and accuracy.value is not None:
        parts.insert(0, f"float: {100 * accuracy.value:.0f} %")
    return f"{measure} against mean bits. " + "; ".join(parts) + "."


def _ends(policy: PolicyResult) -> list[tuple[float, float, float]]:
    rate = policy.accuracy or policy.agreement
    if rate.value is None or rate.low is None or rate.high is None:
        return []
    spread = policy.distribution
    if spread is None:
        return [(rate.value, rate.low, rate.high)]
    draws = _values(spread.accuracy if spread.accuracy is not None else spread.agreement)
    return [(rate.value, min(draws), max(draws))] if draws else []


def _values(rates: Sequence[Rate]) -> list[float]:
    return [rate.value for rate in rates if rate.value is not None]


def _draw(figure: "Figure", record: Record, theme: Theme, narrow: bool) -> None:
    axes = figure.add_axes((0.125, 0.1, 0.86, 0.61) if narrow else (0.062, 0.115, 0.7, 0.86))
    _draw_axes(axes, record, theme)
    _draw_float(axes, record, theme)
    found = series_of(record)
    for kind in ("random", "random-mix"):
        if kind in found:
            _draw_random(axes, found[kind], theme)
    styles: Mapping[Kind, tuple[str, str, float, str]] = {
        "uniform": (theme.even, "o", 0.0, "-"),
        "best": (theme.best, "^", -0.0155, "-"),
        "co-trained": (theme.own, "P", 0.022, "-"),
        "worst": (theme.worst, "v", 0.006, "-"),
        "worst-static": (theme.static, "s", 0.0155, ":"),
        "one-format": (theme.even, "o", 0.0, ""),
        "best-mix": (theme.best, "^", -0.0155, "-"),
        "worst-mix": (theme.worst, "v", 0.006, "-"),
    }
    for kind, (colour, marker, shift, line) in styles.items():
        if kind in found:
            _draw_series(axes, found[kind], colour, marker, shift, line, theme)
    _draw_legend(figure, axes, theme, narrow)


def _draw_axes(axes: "Axes", record: Record, theme: Theme) -> None:
    means = [mean for series in series_of(record).values() for mean in series.means]
    low, high = (min(means), max(means)) if means else (min(record.settings.bits), 8)
    axes.set_xlim(low - 0.5, high + 0.5)
    axes.set_ylim(-0.02, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xticks(range(math.ceil(low), math.floor(high) + 1))
    axes.set_xlabel("bits a layer, on average")
    plain_axes(axes, theme)


def _draw_float(axes: "Axes", record: Record, theme: Theme) -> None:
    rate = record.float_.accuracy
    value = rate.value if rate is not None else (None if record.subject.labelled else 1.0)
    if value is not None:
        axes.axhline(value, color=theme.ink, linewidth=1.2, linestyle=(0, (5, 3)), label="float")


def _draw_random(axes: "Axes", series: Series, theme: Theme) -> None:
    means = _beside(axes, series, 0.031)
    # Bars, not a filled band: a band needs two means to be seen.
    axes.vlines(means, series.lows, series.highs, color=theme.random, linewidth=7, alpha=0.35)
    axes.plot(
        means,
        series.values,
        color=theme.random,
        marker="D",
        markersize=5.5,
        linestyle="none",
        markeredgecolor=theme.paper,
        zorder=4,  # above the lines of the others, which may run through it
        label=series.label,
    )


def _beside(axes: "Axes", series: Series, shift: float) -> list[float]:
    """Its means, moved sideways by that share of the width: none hides another at the same mean."""
    left, right = axes.get_xlim()
    return [mean + shift * (right - left) for mean in series.means]


def _draw_series(
    axes: "Axes",
    series: Series,
    colour: str,
    marker: str,
    shift: float,
    line: str,
    theme: Theme,
) -> None:
    means = _beside(axes, series, shift)
    axes.vlines(means, series.lows, series.highs, color=colour, linewidth=1.4, alpha=0.5)
    axes.plot(
        means,
        series.values,
        color=colour,
        linestyle=line,
        linewidth=1.8,
        marker=marker,
        markersize=7,
        markeredgecolor=theme.paper,
        markeredgewidth=0.8,
        label=series.label,
        zorder=3,
    )


def _draw_legend(figure: "Figure", axes: "Axes", theme: Theme, narrow: bool) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    wrapped = [label.replace("found, ", "found,\n").replace(": ", ":\n") for label in labels]
    # Outside the axes, where it can hide nothing.
    figure.legend(
        handles,
        labels if narrow else wrapped,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0) if narrow else (0.775, 0.985),
        frameon=False,
        labelcolor=theme.ink,
        labelspacing=0.55 if narrow else 0.9,
    )
