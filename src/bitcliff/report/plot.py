"""What all plots of the report share: colours, and matplotlib's SVG made the same every time."""

import io
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from bitcliff.report.inline_svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours for one background. The six series are Okabe and Ito's, which colour-blind readers
    can tell apart; in the dark theme they are lighter."""

    ink: str
    muted: str
    grid: str
    paper: str
    even: str
    random: str
    worst: str
    static: str
    best: str
    own: str


LIGHT = Theme(
    ink="#1c2430",
    muted="#5b6675",
    grid="#e3e7ec",
    paper="#ffffff",
    even="#0065a8",
    random="#8a94a3",
    worst="#c94a00",
    static="#a3578a",
    best="#00825d",
    own="#8a6d00",
)
DARK = Theme(
    ink="#e8ecf1",
    muted="#9aa6b5",
    grid="#2c3542",
    paper="#12161c",
    even="#5cb4f0",
    random="#8794a6",
    worst="#ff8a4c",
    static="#dd92c2",
    best="#35c39a",
    own="#e6c84f",
)


def colour_rules() -> str:
    """CSS: the colours as variables, those for the dark only on a dark screen."""
    light, dark = (
        ":root { "
        + " ".join(f"{_variable(one.name)}: {getattr(theme, one.name)};" for one in fields(Theme))
        + " }"
        for theme in (LIGHT, DARK)
    )
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n"


def _variable(colour: str) -> str:
    return f"--plot-{colour}"


@dataclass(frozen=True)
class Plot:
    """One plot for every reader.

    Attributes:
        wide, narrow: `<svg>` elements for a screen or paper and for a phone; their colours are
            variables of the page. Safe as they are: all text in them is escaped.
        words: the plot for those who cannot see it.
        title: its finding, in a sentence. caption: what is drawn, with units and n.
    """

    wide: str
    narrow: str
    words: str
    title: str = ""
    caption: str = ""


def plot(
    draw: Callable[["Figure", Theme, bool], None],
    *,
    title: str,
    caption: str,
    words: str,
    size: tuple[float, float] = (9.2, 4.5),
    narrow_size: tuple[float, float] = (4.6, 5.0),
) -> Plot:
    """Draw a plot twice.

    Args:
        draw: fills an empty figure, in a theme's colours; told whether it is the narrow one.
        size, narrow_size: width and height, inches; type is about 10 points.
    """
    colours = {getattr(LIGHT, one.name): _variable(one.name) for one in fields(Theme)}
    wide, narrow = (
        inline_svg(
            svg_text(
                lambda figure: draw(figure, LIGHT, is_narrow),  # noqa: B023
                size,
                is_narrow,
                narrow_size,
                type_as="none",
            ),
            colours=colours,
            kind=kind,
            words=words,
        )
        for is_narrow, kind in ((False, "plot-wide"), (True, "plot-narrow"))
    )
    return Plot(wide, narrow, words, title, caption)


def svg_text(
    draw: Callable[["Figure"], None],
    size: tuple[float, float],
    narrow: bool,
    narrow_size: tuple[float, float],
    type_as: Literal["path", "none"] = "path",
) -> str:
    """A figure as SVG text: the same drawing gives the same bytes.

    Args:
        type_as: "path": letters as shapes, the same everywhere; "none": as text.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "bitcliff",
        "svg.fonttype": type_as,
        "font.family": ["DejaVu Sans"],
        "font.size": 9.5 if narrow else 10,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=narrow_size if narrow else size)
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        # No date and no version of matplotlib: the same record gives the same bytes.
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return buffer.getvalue()


def plain_axes(axes: "Axes", theme: Theme) -> None:
    """The look of every plot: no frame but the ground line, quiet ticks, a grid behind."""
    axes.grid(axis="y", color=theme.grid, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.muted, length=0, pad=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.xaxis.label.set_color(theme.muted)
    axes.yaxis.label.set_color(theme.muted)
    axes.title.set_color(theme.ink)
