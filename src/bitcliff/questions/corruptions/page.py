"""Corrupted images: what they do to float, and where quantization loses more than on clean."""

from collections.abc import Callable, Mapping, Sequence

from bitcliff.questions.corruptions.panels_plot import RateLine, draw_panels, panels_size
from bitcliff.questions.corruptions.record import FLOAT, CorruptionCell, Corruptions
from bitcliff.record import Record
from bitcliff.record.conditions import Kind
from bitcliff.report.formatting import NOTHING, clean, percent, rate_interval, signed
from bitcliff.report.plot import Plot, plot
from bitcliff.report.section import Section
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import ClusteredRate

# Colour of the theme and marker, as in the report's first plot.
_FLOAT_STYLE = ("ink", "o")
_STYLES: Mapping[Kind, tuple[str, str]] = {
    "uniform": ("even", "o"),
    "co-trained": ("own", "P"),
    "worst": ("worst", "v"),
    "worst-static": ("static", "s"),
    "best": ("best", "^"),
}
_OTHER_STYLE = ("random", "D")
_SURE = 0.05


Hurt = tuple[str, CorruptionCell, PairedChange]
"""A policy, one corruption at one degree, and how it compares there with clean images."""


def corruptions_section(record: Record, found: Corruptions) -> Section:
    """The section. Right is what the label says, or without labels what float says clean."""
    question = "What do corrupted images do?"
    if found.reason is not None or found.clean is None:
        reason = f"Not measured, because {clean(found.reason or 'nothing was left of it', 300)}"
        return Section("corruptions", question, f"{reason}.", {"reason": reason})
    fall, hurt = float_sentence(found, record.subject.labelled), hurt_sentence(found)
    strongest = {one.corruption: one for one in found.cells if one.degree == found.degrees[-1]}
    data = {
        "reason": "",
        "found": found,
        "accuracy": _accuracy_plot(record, found, fall),
        "loss": _loss_plot(record, found, hurt) if found.clean.losses else None,
        "strongest": [(info, strongest[info.name]) for info in found.corruptions],
        "hurt": hurt_most(found),
        "more_lost": more_lost,
        "surely_worse": _surely_worse,
        "failed": sum(one.failed for cell in found.cells for one in cell.runs.values()),
    }
    return Section("corruptions", question, f"{fall} {hurt}", data)


def float_sentence(found: Corruptions, labelled: bool) -> str:
    """Under which corruption float falls furthest."""
    assert found.clean is not None  # noqa: S101  (what was measured has clean images)
    right = "right" if labelled else "predicted as on the clean image"
    before = found.clean.runs[FLOAT].accuracy
    worst = min(
        (cell for cell in found.cells if cell.runs[FLOAT].accuracy.value is not None),
        key=lambda cell: cell.runs[FLOAT].accuracy.value or 0.0,
        default=None,
    )
    if worst is None or before.value is None:
        return "In float, no prediction was a number."
    after = worst.runs[FLOAT].accuracy
    if (after.value or 0.0) >= before.value:
        return f"In float, no corruption leaves fewer {right} than on clean images."
    return (
        f"In float, {worst.corruption} at degree {worst.degree} costs most: {percent(after.value)} "
        f"({rate_interval(after)}) are {right}, against {percent(before.value)} clean."
    )


def hurt_sentence(found: Corruptions) -> str:
    """Under which corruption quantization loses most beyond what it loses on clean images."""
    compared = [
        (name, cell, against)
        for cell in found.cells
        for name, loss in cell.losses.items()
        if (against := loss.against_clean) is not None
    ]
    if not compared:
        return "Whether quantization loses more than on clean images was not compared."
    sure = [one for one in compared if _surely_worse(one[-1])]
    name, cell, against = max(sure or compared, key=_more)
    where = f"{cell.corruption} at degree {cell.degree} under {clean(name)}"
    difference = more_lost(against)[0]
    more = f"{difference:.1f} points more of what float gets right"
    basis = f"({_interval_pp(against)}, n = {against.n})"
    if sure:
        return f"Quantization hurts most beyond clean with {where}: it loses {more} {basis}."
    if difference <= 0:
        return "Under no corruption did quantization lose more than on clean images."
    return (
        "That quantization loses more on corrupted than on clean images is not shown: the most "
        f"was {more}, with {where} {basis}, which may be chance."
    )


def more_lost(against: PairedChange) -> tuple[float, float, float]:
    """How much more is lost corrupted than clean, percentage points, with the interval's ends.

    The change is of what is right, not of what is lost: the sign turns, and the ends swap.
    """
    change = (against.difference_pp, against.high_pp, against.low_pp)
    value, low, high = (0.0 - (end or 0.0) for end in change)
    return value, low, high


def _surely_worse(against: PairedChange) -> bool:
    return against.p_holm is not None and against.p_holm < _SURE and more_lost(against)[0] > 0


def lines_of(
    record: Record,
    found: Corruptions,
    rate: Callable[[CorruptionCell, str], ClusteredRate],
    names: Sequence[str],
) -> list[RateLine]:
    """A line for each of the names, clean images at degree 0 of every panel."""
    lines = []
    for name in names:
        colour, marker = _style(record, name)
        rates = {(cell.corruption, cell.degree): rate(cell, name) for cell in found.cells}
        if found.clean is not None:
            rates |= {(one.name, 0): rate(found.clean, name) for one in found.corruptions}
        lines.append(RateLine(clean(name, 40), colour, marker, name != FLOAT, rates))
    return lines


def _style(record: Record, name: str) -> tuple[str, str]:
    if name == FLOAT:
        return _FLOAT_STYLE
    return _STYLES.get(record.by_name[name].kind, _OTHER_STYLE)


def _accuracy_plot(record: Record, found: Corruptions, title: str) -> Plot:
    assert found.clean is not None  # noqa: S101
    names = [*found.clean.runs]
    lines = lines_of(record, found, lambda cell, name: cell.runs[name].accuracy, names)
    right = "right" if record.subject.labelled else "what float predicts on the clean image"
    what = f"Share of predictions that are {right} against the degree of each corruption"
    return _plot(found, lines, title, what)


def _loss_plot(record: Record, found: Corruptions, title: str) -> Plot:
    names = [*found.bits]
    lines = lines_of(record, found, lambda cell, name: cell.losses[name].lost, names)
    what = "Of what float gets right on the same image, the share that is wrong quantized"
    return _plot(found, lines, title, what)


def _plot(found: Corruptions, lines: Sequence[RateLine], title: str, what: str) -> Plot:
    panels = [one.name for one in found.corruptions]
    basis = (
        f"n = {found.n} images, {found.draws} draws each; bars are 95 % "
        "intervals, the draws of one image counted as what they are, not as new images."
    )
    return plot(
        lambda figure, theme, narrow: draw_panels(figure, theme, narrow, panels, lines),
        title=title,
        caption=f"{what}; {basis}",
        words=f"{what}. " + " ".join(_line_words(line, panels) for line in lines),
        size=panels_size(len(panels), len(lines), narrow=False),
        narrow_size=panels_size(len(panels), len(lines), narrow=True),
    )


def _line_words(line: RateLine, panels: Sequence[str]) -> str:
    parts = []
    for panel in panels:
        values = [rate.value for (name, _), rate in sorted(line.rates.items()) if name == panel]
        shown = ", ".join(NOTHING if v is None else f"{100 * v:.0f}" for v in values)
        parts.append(f"{panel} {shown}")
    return f"{line.label}, percent by degree from clean on: {'; '.join(parts)}."


def hurt_most(found: Corruptions) -> list[Hurt]:
    """For every policy and corruption the degree with the largest difference, largest first."""
    rows = []
    for name in found.bits:
        compared: dict[str, list[Hurt]] = {}
        for cell in found.cells:
            if (against := cell.losses[name].against_clean) is not None:
                compared.setdefault(cell.corruption, []).append((name, cell, against))
        most = [max(hurts, key=_more) for hurts in compared.values()]
        rows += sorted(most, key=_more, reverse=True)
    return rows


def _more(hurt: Hurt) -> float:
    return more_lost(hurt[-1])[0]


def _interval_pp(against: PairedChange) -> str:
    _, low, high = more_lost(against)
    return f"{signed(low)} to {signed(high)}"
