"""How many are right in a format, and with each change to it."""

from typing import TYPE_CHECKING

from bitcliff.questions.variants.record import FormatFigures
from bitcliff.record import Record
from bitcliff.report.formatting import clean, noun, rate_text
from bitcliff.report.plot import Plot, Theme, plain_axes, plot
from bitcliff.types.rate import Rate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def variants_plot(record: Record, found: FormatFigures) -> Plot:
    """A row for each change, below float and the format as it is."""
    rows: list[tuple[str, Rate, str]] = [
        ("float", found.float_rate, "ink"),
        (clean(found.policy, 40), found.right, "worst"),
    ]
    rows += [(clean(row.words, 100), row.right, "best") for row in found.tried]

    def draw(canvas: "Figure", theme: Theme, narrow: bool) -> None:
        axes = canvas.add_subplot()
        plain_axes(axes, theme)
        axes.grid(visible=False, axis="y")
        axes.axvline(100 * (found.float_rate.value or 0.0), color=theme.grid, linewidth=1)
        axes.axvline(100 * (found.right.value or 0.0), color=theme.grid, linewidth=1)
        for place, (_, rate, colour) in enumerate(rows):
            value, low, high = (100 * (one or 0.0) for one in (rate.value, rate.low, rate.high))
            shade = getattr(theme, colour)
            axes.hlines(place, low, high, color=shade, linewidth=1.5)
            axes.scatter(value, place, color=shade, zorder=3)
        axes.set_yticks(range(len(rows)), [_folded(words, narrow) for words, _, _ in rows])
        axes.tick_params(axis="y", labelsize=8 if narrow else 9, labelcolor=theme.ink)
        axes.invert_yaxis()
        axes.set_xlabel("right, %")
        canvas.tight_layout()

    height = 0.9 + 0.36 * len(rows)
    return plot(
        draw,
        title=_title(found),
        caption=(
            f"Share of {found.right.n} {noun(record)} right, with exact 95 % intervals: in float, "
            f"in {clean(found.policy)} as it is, and with each change by itself. Lines: the first "
            "two."
        ),
        words="; ".join(f"{words}: {rate_text(rate)}" for words, rate, _ in rows) + ".",
        size=(9.2, height),
        narrow_size=(4.6, 1.25 * height),
    )


def _title(found: FormatFigures) -> str:
    """What gives back most to all of them, which need not be what the chosen half says."""
    most = max(found.tried, key=lambda row: row.right.k)
    policy, words = clean(found.policy, 40), clean(most.words, 100)
    if most.right.k <= found.right.k:
        return f"No change to {policy} has more right than its {found.right.k} of {found.right.n}."
    return (
        f"Of all, {most.right.k} of {most.right.n} are right with {words}, where {policy} as it is "
        f"has {found.right.k}."
    )


def _folded(words: str, narrow: bool) -> str:
    """In two lines where there is no room for one."""
    most = 26 if narrow else 52
    if len(words) <= most:
        return words
    cut = words.rfind(" ", 0, most)
    return f"{words[:cut]}\n{words[cut + 1 : 2 * most]}"
