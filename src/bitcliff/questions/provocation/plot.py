"""How many examples each search makes fail, by the passes it spends on each of them."""

from typing import TYPE_CHECKING

from bitcliff.questions.provocation.record import (
    CONTROL,
    EVOLUTION,
    GRADIENTS,
    RANDOM,
    SEARCH,
    Provocation,
    Searched,
)
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    GRADIENTS: "worst",
    SEARCH: "static",
    EVOLUTION: "own",
    RANDOM: "random",
    CONTROL: "even",
}


def curve(searched: Searched, method: str, effort: int) -> list[tuple[int, int]]:
    """(passes for each example, failures found by then), a point at each change and at the end."""
    attempts = searched.attempts[method]
    found = sorted(one.passes for one in attempts if one.failure is not None)
    return [
        (0, 0),
        *((passes, place + 1) for place, passes in enumerate(found)),
        (effort, len(found)),
    ]


def effort_plot(record: Provocation) -> Plot:
    """A panel for each set."""
    observed = record.observed
    effort, sets = observed.settings.effort, observed.searched
    n = record.figures.provoked.n

    from matplotlib.ticker import MaxNLocator

    def draw(figure: "Figure", theme: Theme, narrow: bool) -> None:
        rows, columns = (len(sets), 1) if narrow else (1, len(sets))
        for place, one in enumerate(sets):
            axes = figure.add_subplot(rows, columns, place + 1)
            for method in one.attempts:
                passes, found = zip(*curve(one, method, effort), strict=True)
                colour = getattr(theme, _COLOURS[method])
                axes.step(passes, found, where="post", color=colour, label=method, linewidth=1.8)
            axes.set_title(one.within, fontsize="medium")
            axes.set_ylim(-0.02 * n, 1.05 * n)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("forward passes an example")
            axes.set_ylabel(f"made to fail, of {n}")
            plain_axes(axes, theme)
            axes.legend(frameon=False, labelcolor=theme.ink, fontsize="small")
        figure.tight_layout()

    ends = {
        one.within: ", ".join(f"{name} {curve(one, name, effort)[-1][1]}" for name in one.attempts)
        for one in sets
    }
    told = "; ".join(f"within {name}: {words}" for name, words in ends.items())
    return plot(
        draw,
        title=f"Of {n} examples, made to fail {told}",
        caption="A forward pass of either network counts as one, a backward pass as two. A curve "
        "that still climbs at its end says that more effort would find more.",
        words=f"Examples made to fail by the end of each search, of {n}: {told}.",
        size=(9.2, 3.8),
        narrow_size=(4.6, 3.6 * len(sets)),
    )
