"""Right predictions under each mitigation's worst case against the work that it takes back to
float."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitcliff.questions.mitigations.judging import known
from bitcliff.questions.mitigations.record import Family, Mitigated, Mitigations
from bitcliff.record import Record
from bitcliff.report.formatting import clean, noun, percent, rate_text
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Title, the theme's colour, and a marker for those who cannot tell colours apart.
_LOOKS: dict[Family, tuple[str, str, str]] = {
    "none": ("nothing changed", "muted", "X"),
    "float": ("points in float", "even", "o"),
    "floors": ("floors on bits", "best", "s"),
    "combined": ("both", "own", "D"),
    "percentile": ("clipping", "static", "^"),
    "fine-tuned": ("fine-tuned", "worst", "P"),
}


def figure(record: Record, found: Mitigations) -> Plot:
    """The mitigations by cost and effect, with the front that no other one outdoes."""
    rows = [row for row in (found.unmitigated, *found.tried) if row is not None]
    depths = _abreast([100 * row.cost.float_macs for row in rows])
    front = [number for number, row in enumerate(rows) if row.on_front]
    in_float = None if found.float_right is None else found.float_right.value

    def draw(canvas: "Figure", theme: Theme, narrow: bool) -> None:
        axes = canvas.add_subplot()
        plain_axes(axes, theme)
        if in_float is not None:
            axes.axhline(100 * in_float, color=theme.ink, linewidth=1)
            axes.axhline(100 * in_float - found.max_drop, color=theme.muted, linestyle=":")
        ends = sorted((depths[number], 100 * (rows[number].right.value or 0)) for number in front)
        axes.plot(*zip(*ends, strict=True), color=theme.muted, linewidth=1, linestyle="--")
        seen = set()
        for number, row in enumerate(rows):
            words, colour, marker = _LOOKS[row.family]
            shade, value = getattr(theme, colour), 100 * (row.right.value or 0.0)
            low, high = (100 * (end or 0.0) for end in (row.right.low, row.right.high))
            label = None if row.family in seen else words
            seen.add(row.family)
            axes.vlines(depths[number], low, high, color=shade, linewidth=1)
            axes.scatter(depths[number], value, color=shade, marker=marker, label=label, zorder=3)
            axes.annotate(
                str(number),
                (depths[number], value),
                xytext=(5, 4),
                textcoords="offset points",
                color=theme.muted,
                fontsize=8,
            )
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 100])
        axes.set_xlabel("multiply-adds back in float, %")
        axes.set_ylabel("right under the worst case, %")
        axes.set_ylim(-3, 103)
        axes.legend(
            frameon=False,
            labelcolor=theme.ink,
            fontsize=8 if narrow else 9,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=2 if narrow else 6,
            handletextpad=0.2,
            columnspacing=1.0,
        )
        canvas.tight_layout()

    words = [f"{clean(row.words)}: {rate_text(row.right)}, {percent(row.cost.float_macs)} of the "
             "work in float" for row in rows]  # fmt: skip
    return plot(
        draw,
        title=_title(rows),
        caption=(
            f"Share of {rows[0].right.n} {noun(record)} right under the worst case found anew for "
            "each mitigation, against the share of multiply-adds taken back to float; numbers as "
            "in the table. Bars: exact 95 % intervals. Line: float; dotted: the loss allowed. "
            "Dashed: mitigations that no other outdoes. Those of equal cost stand side by side."
        ),
        words="; ".join(words) + ".",
    )


def _abreast(costs: Sequence[float]) -> list[float]:
    """Where to draw each cost: equals a little apart, so that none hides another."""
    step = max(*costs, 1.0) / 60
    return [cost - step * costs[:number].count(cost) for number, cost in enumerate(costs)]


def _title(rows: Sequence[Mitigated]) -> str:
    def gain(row: Mitigated) -> float:
        return known(row.regained)[0]

    best, free = max(rows, key=gain), max((r for r in rows if not r.cost.float_macs), key=gain)
    if gain(free) <= 0:
        words = "Without float nothing comes back"
    else:
        words = f"Without any float up to {gain(free):.1f} points come back ({clean(free.words)})"
    if gain(best) <= gain(free):
        return f"{words}; float adds nothing to that."
    share = percent(best.cost.float_macs)
    return f"{words}; with {share} of the work in float {gain(best):.1f}."
