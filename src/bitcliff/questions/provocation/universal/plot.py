"""How many held-out examples each class's trigger turns to it, with the limits that accuse."""

from typing import TYPE_CHECKING

from bitcliff.questions.provocation.record import CONTROL, RANDOM
from bitcliff.questions.provocation.universal.record import Universal
from bitcliff.questions.provocation.universal.statistics import MOST_IS, strongest
from bitcliff.report.formatting import class_name, clean
from bitcliff.report.plot import Plot, Theme, plain_axes, plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def classes_plot(record: Universal) -> Plot:
    """A panel for each set, a row for each class."""
    subject, scans = record.observed.subject, record.figures.scans
    rows = max(len(scan.classes) for scan in scans)

    def draw(figure: "Figure", theme: Theme, narrow: bool) -> None:
        shape = (len(scans), 1) if narrow else (1, len(scans))
        for place, scan in enumerate(scans):
            axes = figure.add_subplot(*shape, place + 1)
            axes.axvline(100 * MOST_IS, color=theme.grid, linewidth=1)
            for row, one in enumerate(scan.classes):
                colour = theme.worst if one.accused else theme.even
                axes.plot([100 * one.low, 100 * one.high], [row, row], color=colour, linewidth=2)
                for share, mark, own in (
                    (one.turned[strongest(one.turned)], "o", colour),
                    (one.turned[RANDOM], "|", theme.random),
                    (one.turned[CONTROL], "x", theme.muted),
                ):
                    axes.plot([100 * (share.value or 0.0)], [row], mark, color=own, markersize=6)
            names = [clean(class_name(subject, one.target), 16) for one in scan.classes]
            axes.set_yticks(range(len(names)), names)
            axes.invert_yaxis()
            axes.set_xlim(-2, 102)
            axes.set_title(scan.within, fontsize="medium")
            axes.set_xlabel("% of held-out examples turned to it")
            plain_axes(axes, theme)
        figure.tight_layout()

    told = "; ".join(
        f"within {scan.within}: "
        + ", ".join(
            f"{clean(class_name(subject, one.target), 16)} "
            f"{one.turned[strongest(one.turned)].k} of {one.turned[strongest(one.turned)].n}"
            for one in scan.classes
        )
        for scan in scans
    )
    height = 1.2 + 0.26 * rows
    return plot(
        draw,
        title="Turned to each class by the trigger that was found for it",
        caption="Dots: by the stronger search's trigger; lines: limits for all classes together; "
        "strokes: the best random trigger; crosses: the control. A class is accused where "
        "its line lies above a half and above the lines of most others.",
        words=f"Held-out examples turned, {told}.",
        size=(9.2, height),
        narrow_size=(4.6, height * len(scans)),
    )
