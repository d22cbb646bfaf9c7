"""How many victims each attack flips, by the runs it spends on each of them."""

from typing import TYPE_CHECKING

from bitcliff.questions.isolation.record import Isolation
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    "from the data": "even",
    "patterns": "static",
    "widest ranges": "own",
    "gradients": "worst",
    "random search": "best",
}


def curve(record: Isolation, attack: str) -> list[tuple[int, int]]:
    """(runs for each victim, victims flipped by then), a point at each change and at the end."""
    found = [victim.attacks[attack] for victim in record.observed.victims]
    flips = sorted(one.flipped_at for one in found if one.flipped_at is not None)
    steps = [(runs, place + 1) for place, runs in enumerate(flips)]
    # A crafted attack stops at its first flip; the longest that any victim got is the effort.
    return [(1, 0), *steps, (max(one.runs for one in found), len(flips))]


def effort_plot(record: Isolation) -> Plot:
    """The curves of all attacks in one plot."""
    attacks = [name for name in _COLOURS if name in record.observed.victims[0].attacks]
    curves = {name: curve(record, name) for name in attacks}
    n = len(record.observed.victims)

    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

    def draw(figure: "Figure", theme: Theme, narrow: bool) -> None:
        axes = figure.add_subplot()
        for name, points in curves.items():
            runs, flipped = zip(*points, strict=True)
            colour = getattr(theme, _COLOURS[name])
            axes.step(runs, flipped, where="post", color=colour, label=name, linewidth=1.8)
            axes.plot(runs[-1], flipped[-1], "o", color=colour, markersize=4)
        axes.set_xscale("log")
        # Plain numbers: powers of ten would be set as mathematics, in fonts of their own.
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(bottom=-0.2)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("runs for each victim")
        axes.set_ylabel(f"victims flipped, of {n}")
        plain_axes(axes, theme)
        axes.legend(frameon=False, labelcolor=theme.ink)
        figure.tight_layout()

    ends = ", ".join(f"{name} {points[-1][1]}" for name, points in curves.items())
    late = sum(flipped > 0.5 * runs for runs, flipped in _lateness(record))
    return plot(
        draw,
        title=f"Of {n} victims, flipped: {ends}",
        caption="Each run is a batch of two in the runtime. A curve that still climbs at its end "
        "says that more effort would find more"
        + (f"; {late} of the crafted flips came in the second half." if late else "."),
        words=f"Victims flipped by the end of each attack, of {n}: {ends}.",
        size=(9.2, 3.8),
        narrow_size=(4.6, 4.0),
    )


def _lateness(record: Isolation) -> list[tuple[int, int]]:
    """(runs allowed, run of the first flip) of every flip by an attack with a limit of its own."""
    return [
        (record.observed.settings.effort, attack.flipped_at)
        for victim in record.observed.victims
        for name, attack in victim.attacks.items()
        if name in ("gradients", "random search") and attack.flipped_at is not None
    ]
