"""The paper's Figure 2: right predictions by how far into the network quantization reaches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.questions.layers.record import LayerSweep, SimulatedSweep
from bitcliff.report.plot import Plot, Theme, plain_axes, plot
from bitcliff.types.rate import Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLITS = {"test": "test", "train": "training"}

_PANELS = (
    ("before", "Before: all layers up to this one"),
    ("after", "After: this layer and all after it"),
    ("single", "Single: this layer alone"),
    ("all_but", "All but: every layer except this one"),
)


def figure(
    sweeps: Sequence[LayerSweep], names: Sequence[str], *, title: str, labelled: bool
) -> Plot:
    """Four panels of one policy; a line for each split."""
    return plot(
        lambda drawn, theme, narrow: _draw(drawn, sweeps, labelled, theme, narrow),
        title=title,
        caption=_caption(sweeps, names, labelled),
        words=_words(sweeps[0], names),
        size=(9.2, 6.4),
        narrow_size=(4.6, 10.4),
    )


def _caption(sweeps: Sequence[LayerSweep], names: Sequence[str], labelled: bool) -> str:
    counts = ", ".join(f"{sweep.n} {SPLITS[sweep.split]} examples" for sweep in sweeps)
    measure = "Right predictions" if labelled else "Predictions as in float (there are no labels)"
    text = (
        f"{measure}, percent, policy {sweeps[0].policy}, {counts}. From the first layer (left) to "
        "the last (right); the layers not quantized stay in float, and weights are rounded "
        f"{_weights(sweeps[0])}. Bands: exact 95 % intervals."
    )
    points = sweeps[0].inflection
    if points:
        marks = ", ".join(f"{point + 1} is {names[point]}" for point in points)
        text += f" Upright lines: inflection points ({marks})."
    return text


def _weights(sweep: LayerSweep) -> str:
    return "with their layers" if isinstance(sweep, SimulatedSweep) else "throughout"


def _words(test: LayerSweep, names: Sequence[str]) -> str:
    parts = [
        f"{key.replace('_', ' ')}: " + ", ".join(_percent(rate) for rate in getattr(test, key))
        for key, _ in _PANELS
    ]
    return f"Right predictions, percent, for layers 1 to {len(names)}. " + "; ".join(parts) + "."


def _percent(rate: Rate) -> str:
    return "none" if rate.value is None else f"{100 * rate.value:.0f}"


def _draw(
    drawn: "Figure", sweeps: Sequence[LayerSweep], labelled: bool, theme: Theme, narrow: bool
) -> None:
    rows, columns = (4, 1) if narrow else (2, 2)
    panels = drawn.subplots(rows, columns, sharex=True, sharey=True).flatten()
    for axes, (key, title) in zip(panels, _PANELS, strict=True):
        _draw_panel(axes, sweeps, key, theme)
        axes.set_title(title, fontsize=9.5 if narrow else 10, loc="left", pad=17, color=theme.ink)
    for axes in panels[-columns:]:
        axes.set_xlabel("relative depth")
    drawn.supylabel(
        "right predictions" if labelled else "predictions as in float",
        color=theme.muted,
        fontsize=10,
    )
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(
        handles,
        labels,
        loc="upper left",
        ncols=2 if narrow else 4,
        frameon=False,
        labelcolor=theme.ink,
    )
    top, left = (0.905, 0.19) if narrow else (0.865, 0.095)
    drawn.subplots_adjust(left, 0.055 if narrow else 0.085, 0.965, top, wspace=0.16, hspace=0.34)


def _draw_panel(axes: "Axes", sweeps: Sequence[LayerSweep], key: str, theme: Theme) -> None:
    plain_axes(axes, theme)
    axes.set_ylim(-0.03, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlim(0, 102)
    axes.set_xticks([0, 25, 50, 75, 100], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    test, points = sweeps[0], len(sweeps[0].before)
    for rate, style, label in (
        (test.float_rate, (0, (5, 3)), "float"),
        (test.all, (0, (1, 2)), "all quantized"),
    ):
        if rate.value is not None:
            axes.axhline(rate.value, color=theme.ink, linewidth=1.2, linestyle=style, label=label)
    for point in test.inflection:
        depth = 100 * (point + 1) / points
        axes.axvline(depth, color=theme.even, linewidth=1, alpha=0.7, zorder=1)
        axes.annotate(
            str(point + 1),
            (depth, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=theme.even,
            fontsize=8.5,
        )
    for sweep in reversed(sweeps):
        _draw_line(axes, getattr(sweep, key), sweep, theme)


def _draw_line(axes: "Axes", rates: Sequence[Rate], sweep: LayerSweep, theme: Theme) -> None:
    depths = [100 * (k + 1) / len(rates) for k in range(len(rates))]
    missing = float("nan")
    values, lows, highs = (
        [missing if end is None else end for end in ends]
        for ends in zip(*((r.value, r.low, r.high) for r in rates), strict=True)
    )
    is_test = sweep.split == "test"
    colour = theme.worst if is_test else theme.random
    axes.fill_between(depths, lows, highs, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        depths,
        values,
        color=colour,
        linewidth=1.8,
        linestyle="-" if is_test else "--",
        marker="o" if is_test else "s",
        # At its inflection points only: marks at every layer would triple the drawing's size.
        markevery=sweep.inflection,
        markersize=6,
        markeredgecolor=theme.paper,
        markeredgewidth=0.5,
        label=f"{SPLITS[sweep.split]} examples",
        zorder=3,
    )
