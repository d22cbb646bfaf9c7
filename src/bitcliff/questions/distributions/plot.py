"""The plot of drops by how far inputs may be reweighted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.questions.distributions.record import UnderPolicy
from bitcliff.record import Record
from bitcliff.report.formatting import clean, decimal
from bitcliff.report.plot import Plot, Theme, plain_axes, plot
from bitcliff.types.reweighted import Bounded, Reweighted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_HALF = 0.5


def curves_plot(record: Record, one: UnderPolicy) -> Plot | None:
    """The worst drop in both balls, also on a second set; None without examples."""
    if not one.curve:
        return None
    at = twofold(one.curve) or one.curve[-1]
    title = (
        f"Under {clean(one.policy)} the drop is {decimal(100 * one.curve[0].by_share.value)} "
        f"points, and at worst {decimal(100 * at.by_share.value)} where no input becomes more than "
        f"{1 / at.part:.3g} times as frequent"
    )
    lost = "right predictions lost" if record.subject.labelled else "decisions changed"
    second = "; dashed: the second set" if one.shift is not None else ""
    caption = (
        f"Drop ({lost}, less gained), percentage points, of n = {one.change.n}; shaded: 95 % "
        f"limits that hold for all sizes together{second}."
    )
    return plot(
        lambda figure, theme, narrow: _draw(figure, one, theme, narrow),
        title=title,
        caption=caption,
        words=f"{title}. {caption}",
        size=(9.2, 4.4),
    )


def twofold(curve: Sequence[Reweighted]) -> Reweighted | None:
    """Where inputs become twice as frequent at most; None where there are no examples."""
    return next((point for point in curve if point.part == _HALF), None)


def _draw(figure: "Figure", one: UnderPolicy, theme: Theme, narrow: bool) -> None:
    axes = figure.add_axes((0.165, 0.11, 0.815, 0.73) if narrow else (0.09, 0.13, 0.58, 0.83))
    curves = [(one.curve, "-")]
    curves += [] if one.shift is None else [(one.shift.curve, "--")]
    for curve, style in curves:
        where = "" if style == "-" else ", 2nd set"
        for mine, words, colour in (
            ([point.by_share for point in curve], "every factor at most", theme.even),
            ([point.by_chi2 for point in curve], "mean square of factors", theme.worst),
        ):
            _line(axes, curve, mine, f"{words}{where}", colour, style)
    axes.set_ylim(min(0, axes.get_ylim()[0]), None)
    axes.set_xscale("log")
    ticks = [1, 2, 5, 10, 20]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    plain_axes(axes, theme)
    axes.set_xlabel("how many times as frequent inputs may become")
    axes.set_ylabel("drop, points")
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0) if narrow else (0.68, 0.96),
        frameon=False,
        labelcolor=theme.ink,
        ncols=2 if narrow and len(curves) == 1 else 1,
    )


def _line(
    axes: "Axes",
    curve: Sequence[Reweighted],
    mine: Sequence[Bounded],
    words: str,
    colour: str,
    style: str,
) -> None:
    times = [1 / point.part for point in curve]
    value, low, high = (
        [100 * getattr(one, end) for one in mine] for end in ("value", "low", "high")
    )
    if style == "-":
        axes.fill_between(times, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(times, value, style, color=colour, marker="o", markersize=3.5, label=words)
