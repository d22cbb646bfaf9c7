"""Corrupted images: what they do to float, and where quantization loses more than on clean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bitcliff.questions.corruptions.panels_plot import RateLine, draw_panels, panels_size
from bitcliff.questions.corruptions.record import FLOAT, CorruptionCell, Corruptions
from bitcliff.record import Record
from bitcliff.record.conditions import Kind
from bitcliff.report.formatting import NOTHING, capital, clean, p_text, percent, signed
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


@dataclass(frozen=True)
class Share:
    """A rate as a cell of a table."""

    value: str
    interval: str


@dataclass(frozen=True)
class StrongestRow:
    """One corruption: its strengths, weakest first, and accuracy at the strongest, by network."""

    name: str
    strengths: str
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class HurtRow:
    """The degree of a corruption at which a policy loses most beyond what it loses clean."""

    policy: str
    corruption: str
    degree: int
    lost: Share
    difference: str
    interval: str
    pairs: str
    p_holm: str
    sure: bool


@dataclass(frozen=True)
class CorruptionsData:
    """What the template lays out; `reason`: why nothing was measured, and all else is empty."""

    reason: str
    accuracy: Plot | None = None
    loss: Plot | None = None
    networks: tuple[str, ...] = ()
    strongest: int = 0
    clean: tuple[Share, ...] = ()
    clean_lost: tuple[tuple[str, Share], ...] = ()
    rows: tuple[StrongestRow, ...] = ()
    hurt: tuple[HurtRow, ...] = ()
    hurt_sentence: str = ""
    bits: tuple[tuple[str, str], ...] = ()
    failed: int = 0
    n: int = 0
    seeds: int = 0
    images: str = ""


def corruptions_section(record: Record, found: Corruptions) -> Section:
    """The section. Right is what the label says, or without labels what float says clean."""
    labelled = record.subject.labelled
    question = "What do corrupted images do?"
    if found.reason is not None or found.clean is None:
        reason = f"Not measured, because {clean(found.reason or 'nothing was left of it', 300)}"
        return Section("corruptions", question, f"{reason}.", CorruptionsData(reason))
    fall, hurt = float_sentence(found, labelled), hurt_sentence(found)
    networks = tuple(found.clean.runs)
    strongest = found.degrees[-1]
    data = CorruptionsData(
        reason="",
        accuracy=_accuracy_plot(record, found, fall),
        loss=_loss_plot(record, found, hurt) if found.clean.losses else None,
        networks=tuple(map(clean, networks)),
        strongest=strongest,
        clean=tuple(_share(found.clean.runs[name].accuracy) for name in networks),
        clean_lost=tuple((clean(k), _share(v.lost)) for k, v in found.clean.losses.items()),
        rows=tuple(
            StrongestRow(
                clean(info.name),
                clean(f"{', '.join(f'{x:g}' for x in info.strengths)}: {info.measure}"),
                tuple(
                    _share(cell.runs[name].accuracy)
                    for cell in found.cells
                    if (cell.corruption, cell.degree) == (info.name, strongest)
                    for name in networks
                ),
            )
            for info in found.corruptions
        ),
        hurt=tuple(_hurt_rows(found)),
        hurt_sentence=hurt,
        bits=tuple((clean(k), clean(v, 300)) for k, v in found.bits.items()),
        failed=sum(one.failed for cell in found.cells for one in cell.runs.values()),
        n=found.n,
        seeds=found.draws,
        images=clean(capital(found.images), 300),
    )
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
        f"In float, {worst.corruption} at degree {worst.degree} costs most: {_in_words(after)} "
        f"are {right}, against {percent(before.value)} clean."
    )


def hurt_sentence(found: Corruptions) -> str:
    """Under which corruption quantization loses most beyond what it loses on clean images."""
    compared = [
        (cell, name, against)
        for cell in found.cells
        for name, loss in cell.losses.items()
        if (against := loss.against_clean) is not None
    ]
    if not compared:
        return "Whether quantization loses more than on clean images was not compared."
    sure = [one for one in compared if _surely_worse(one[2])]
    cell, name, against = max(sure or compared, key=lambda one: more_lost(one[2])[0])
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


def _hurt_rows(found: Corruptions) -> list[HurtRow]:
    """For every policy and corruption the degree with the largest difference, largest first."""
    rows = []
    for info in found.corruptions:
        for name in found.bits:
            compared = [
                (more_lost(against)[0], cell, against)
                for cell in found.cells
                if cell.corruption == info.name
                and (against := cell.losses[name].against_clean) is not None
            ]
            if compared:
                difference, cell, against = max(compared, key=lambda one: one[0])
                rows.append((name, -difference, _hurt_row(cell, name, against)))
    order = list(found.bits)
    return [row for _, _, row in sorted(rows, key=lambda one: (order.index(one[0]), one[1]))]


def _hurt_row(cell: CorruptionCell, name: str, against: PairedChange) -> HurtRow:
    return HurtRow(
        policy=clean(name),
        corruption=clean(cell.corruption),
        degree=cell.degree,
        lost=_share(cell.losses[name].lost),
        difference=signed(more_lost(against)[0]),
        interval=_interval_pp(against),
        pairs=f"{against.lost} / {against.gained} of {against.n}",
        p_holm=p_text(against.p_holm),
        sure=_surely_worse(against),
    )


def _interval_pp(against: PairedChange) -> str:
    _, low, high = more_lost(against)
    return f"{signed(low)} to {signed(high)}"


def _in_words(rate: ClusteredRate) -> str:
    share = _share(rate)
    return f"{share.value} ({share.interval})"


def _share(rate: ClusteredRate) -> Share:
    if rate.low is None or rate.high is None:
        return Share(NOTHING, "")
    return Share(percent(rate.value), f"{100 * rate.low:.1f} to {100 * rate.high:.1f}\u00a0%")
