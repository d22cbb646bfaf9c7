"""What each limit costs, by each guard, and what was missed under it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.questions.guard.record import AtAlpha, GuardFigures, GuardRecord
from bitcliff.questions.guard.statistics import ALL, MARGIN, SCORES, chosen
from bitcliff.report.formatting import percent
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {MARGIN: "even", SCORES: "static", ALL: "best"}


def pareto_plot(record: GuardRecord) -> Plot:
    """Limits against costs, and what was missed against limits."""
    figures = record.figures
    n, asked = figures.counts[2], chosen(record.observed.settings)
    mine = next(rule for rule in figures.guards if rule.name == asked)

    def draw(figure: "Figure", theme: Theme, narrow: bool) -> None:
        shape = (2, 1) if narrow else (1, 2)
        first, second = figure.subplots(*shape)
        _draw_costs(first, figures, asked, theme)
        _draw_missed(second, mine.curve, theme)
        figure.tight_layout(w_pad=3.0, h_pad=2.0)

    at = mine.at
    return plot(
        draw,
        title=f"To keep to {percent(at.alpha)}, {percent(at.cost.value)} are run again in float",
        caption=f"Left: the share of {n} inputs reported on that each guard flags, with exact 95 % "
        "intervals, once calibrated for a limit; each limit by itself. At random: what must be "
        "flagged to keep to the limit as surely. Right: lost and not flagged by the guard asked "
        "for, of the same inputs, with exact 95 % intervals; the line is the limit.",
        words="; ".join(_words(figures)),
        size=(9.2, 4.0),
        narrow_size=(4.6, 7.4),
    )


def _words(figures: GuardFigures) -> list[str]:
    found = []
    for rule in figures.guards:
        ends = [f"{percent(at.cost.value)} at {percent(at.alpha)}" for at in rule.curve]
        found.append(f"{rule.name}: {', '.join(ends)}")
    return found


def _draw_costs(axes: "Axes", figures: GuardFigures, asked: str, theme: Theme) -> None:
    for rule in figures.guards:
        colour = getattr(theme, _COLOURS[rule.name])
        costs = [100 * (at.cost.value or 0.0) for at in rule.curve]
        limits = [100 * at.alpha for at in rule.curve]
        main = rule.name == asked
        if main:
            lows = [100 * (at.cost.low or 0.0) for at in rule.curve]
            highs = [100 * (at.cost.high or 0.0) for at in rule.curve]
            axes.fill_between(limits, lows, highs, color=colour, alpha=0.15, linewidth=0)
        style = "-" if main else "--"
        axes.plot(
            limits, costs, style, marker="o", markersize=3.5, color=colour, label=rule.name,
            linewidth=2.0 if main else 1.4,
        )  # fmt: skip
    limits = [100 * one.alpha for one in figures.random]
    shares = [100 * one.cost for one in figures.random]
    axes.plot(limits, shares, ":", color=theme.random, label="at random", linewidth=1.6)
    axes.set_ylim(-2, 102)
    _limits(axes, limits, theme)
    axes.set_ylabel("run again in float, %", color=theme.muted)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9)


def _draw_missed(axes: "Axes", curve: Sequence[AtAlpha], theme: Theme) -> None:
    limits = [100 * at.alpha for at in curve]
    values = [100 * (at.missed.value or 0.0) for at in curve]
    below = [100 * ((at.missed.value or 0.0) - (at.missed.low or 0.0)) for at in curve]
    above = [100 * ((at.missed.high or 0.0) - (at.missed.value or 0.0)) for at in curve]
    axes.errorbar(
        limits, values, yerr=[below, above], fmt="o", color=theme.worst, markersize=4,
        linewidth=1.4, capsize=3,
    )  # fmt: skip
    axes.plot(limits, limits, color=theme.muted, linewidth=1.2)
    axes.set_ylim(bottom=0)
    _limits(axes, limits, theme)
    axes.set_ylabel("lost and not flagged, %", color=theme.muted)


def _limits(axes: "Axes", limits: Sequence[float], theme: Theme) -> None:
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    plain_axes(axes, theme)
    axes.set_xscale("log")
    # Plain numbers: powers of ten would be set as mathematics, in fonts of their own.
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10, 20])
    axes.set_xlim(0.9 * min(limits), 1.1 * max(limits))
    axes.set_xlabel("limit, % of all inputs", color=theme.muted)
