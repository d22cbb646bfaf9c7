"""The worst case as a curve over the least width, one for each mean of bits."""

from typing import TYPE_CHECKING

from bitcliff.questions.least_widths.record import AtMean, LeastWidths
from bitcliff.report.formatting import mean_text
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("worst", "even", "best", "static", "own", "random")
_MARKERS = ("v", "o", "^", "s", "P", "D")
# Sideways, in bits, so that no curve's interval hides another's.
_APART = 0.07


def least_widths_plot(found: LeastWidths, *, title: str, labelled: bool) -> Plot:
    """Answers kept, by the least width."""
    n = found.means[0].cuts[0].lost.n
    measure = "Answers right in float that stay right" if labelled else "Answers that stay"
    return plot(
        lambda figure, theme, narrow: _draw(figure, found, labelled, theme, narrow),
        title=title,
        caption=f"{measure} under the worst bits found, percent of {n}, by the least width that an "
        "adversary may give a layer; the total of bits is the same along each curve, which ends "
        "where no narrower layer is left to pay for a wider one. Whiskers: exact 95 % intervals.",
        words=_words(found),
        size=(9.2, 3.7),
        narrow_size=(4.6, 4.4),
    )


def _words(found: LeastWidths) -> str:
    parts = [
        f"mean of {mean_text(at.mean_bits)} bits: "
        + ", ".join(f"{cut.lost.n - cut.lost.k} with at least {cut.least}" for cut in at.cuts)
        for at in found.means
    ]
    return f"Answers kept, of {found.means[0].cuts[0].lost.n}. {'; '.join(parts)}."


def _draw(figure: "Figure", found: LeastWidths, labelled: bool, theme: Theme, narrow: bool) -> None:
    axes = figure.add_axes((0.125, 0.12, 0.86, 0.76) if narrow else (0.095, 0.15, 0.72, 0.81))
    widths = sorted({cut.least for at in found.means for cut in at.cuts})
    axes.set_xlim(widths[0] - 0.4, widths[-1] + 0.4)
    axes.set_xticks(widths)
    axes.set_xlabel("least width, bits")
    axes.set_ylim(-0.02, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    if not narrow:
        axes.set_ylabel("stay right" if labelled else "stay")
    plain_axes(axes, theme)
    for number, at in enumerate(found.means):
        _draw_curve(axes, at, number, theme)
    if not axes.get_legend_handles_labels()[1]:
        return  # nothing was right to begin with, so no curve
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0) if narrow else (0.83, 0.97),
        ncols=3 if narrow else 1,
        frameon=False,
        labelcolor=theme.ink,
    )


def _draw_curve(axes: "Axes", at: AtMean, number: int, theme: Theme) -> None:
    colour = getattr(theme, _COLOURS[number % len(_COLOURS)])
    shown = [
        (cut.least + _APART * number, 1 - rate.value, 1 - rate.high, 1 - rate.low)
        for cut in at.cuts
        if (rate := cut.lost).value is not None and rate.low is not None and rate.high is not None
    ]
    if not shown:
        return
    places, values, lows, highs = zip(*shown, strict=True)
    axes.vlines(places, lows, highs, color=colour, linewidth=1.4, alpha=0.5)
    axes.plot(
        places,
        values,
        color=colour,
        linewidth=1.8,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=7,
        markeredgecolor=theme.paper,
        markeredgewidth=0.8,
        label=f"mean of {mean_text(at.mean_bits)}",
    )
