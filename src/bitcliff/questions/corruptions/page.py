"""Corrupted pictures: what they do to float, and where quantization loses more than on clean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitcliff.questions.corruptions.panels_plot import Line, draw_panels, panels_size
from bitcliff.questions.corruptions.record import (
    AgainstClean,
    CorruptionCell,
    Corruptions,
)
from bitcliff.records import Record
from bitcliff.report.plot import Plot, plot
from bitcliff.report.section import Section
from bitcliff.report.words import NOTHING, capital, clean, p_text, percent, signed
from bitcliff.types.rate import ClusteredRate
from bitcliff.verdict import policy_family

FLOAT = "float"
# Colour of the theme and marker, as in the report's first figure.
_STYLES = {
    FLOAT: ("ink", "o"),
    "uniform": ("even", "o"),
    "co-trained": ("own", "P"),
    "worst": ("worst", "v"),
    "worst-static": ("static", "s"),
    "friendliest": ("friendliest", "^"),
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
    pictures: str = ""


def corruptions_section(record: Record, found: Corruptions) -> Section:
    """The section. Right is what the label says, or without labels what float says clean."""
    labelled = record.subject.labelled
    question = "What do corrupted pictures do?"
    if found.reason is not None or found.clean is None:
        reason = f"Not measured, because {clean(found.reason or 'nothing was left of it', 300)}"
        return Section("corruptions", question, f"{reason}.", CorruptionsData(reason))
    fall, hurt = float_sentence(found, labelled), hurt_sentence(found)
    networks = tuple(found.clean.answers)
    strongest = found.degrees[-1]
    data = CorruptionsData(
        reason="",
        accuracy=_accuracy_plot(found, fall, labelled),
        loss=_loss_plot(found, hurt) if found.clean.losses else None,
        networks=tuple(map(clean, networks)),
        strongest=strongest,
        clean=tuple(_share(found.clean.answers[name].accuracy) for name in networks),
        clean_lost=tuple((clean(k), _share(v.lost)) for k, v in found.clean.losses.items()),
        rows=tuple(
            StrongestRow(
                clean(info.name),
                clean(f"{', '.join(f'{x:g}' for x in info.strengths)}: {info.measure}"),
                tuple(
                    _share(cell.answers[name].accuracy)
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
        failed=sum(one.failed for cell in found.cells for one in cell.answers.values()),
        n=len(found.examples),
        seeds=len(found.seeds),
        pictures=clean(capital(found.pictures), 300),
    )
    return Section("corruptions", question, f"{fall} {hurt}", data)


def float_sentence(found: Corruptions, labelled: bool) -> str:
    """Under which corruption float falls furthest."""
    assert found.clean is not None  # noqa: S101  (what was measured has clean pictures)
    right = "right" if labelled else "answered as on the clean picture"
    before = found.clean.answers[FLOAT].accuracy
    worst = min(
        (cell for cell in found.cells if cell.answers[FLOAT].accuracy.value is not None),
        key=lambda cell: cell.answers[FLOAT].accuracy.value or 0.0,
        default=None,
    )
    if worst is None or before.value is None:
        return "In float, no answer was a number."
    after = worst.answers[FLOAT].accuracy
    if (after.value or 0.0) >= before.value:
        return f"In float, no corruption leaves fewer {right} than on clean pictures."
    return (
        f"In float, {worst.corruption} at degree {worst.degree} costs most: {_in_words(after)} "
        f"are {right}, against {percent(before.value)} clean."
    )


def hurt_sentence(found: Corruptions) -> str:
    """Under which corruption quantization loses most beyond what it loses on clean pictures."""
    compared = [
        (cell, name, against)
        for cell in found.cells
        for name, loss in cell.losses.items()
        if (against := loss.against_clean) is not None
    ]
    if not compared:
        return "Whether quantization loses more than on clean pictures was not compared."
    sure = [one for one in compared if _surely_worse(one[2])]
    cell, name, against = max(sure or compared, key=lambda one: one[2].difference_pp)
    where = f"{cell.corruption} at degree {cell.degree} under {clean(name)}"
    more = f"{against.difference_pp:.1f} points more of what float gets right"
    basis = f"({_interval_pp(against)}, n = {against.n})"
    if sure:
        return f"Quantization hurts most beyond clean with {where}: it loses {more} {basis}."
    if against.difference_pp <= 0:
        return "Under no corruption did quantization lose more than on clean pictures."
    return (
        "That quantization loses more on corrupted than on clean pictures is not shown: the most "
        f"was {more}, with {where} {basis}, which may be chance."
    )


def _surely_worse(against: AgainstClean) -> bool:
    return against.p_value_holm < _SURE and against.difference_pp > 0


def lines_of(
    found: Corruptions,
    rate: Callable[[CorruptionCell, str], ClusteredRate],
    names: Sequence[str],
) -> list[Line]:
    """A line for each of the names, clean pictures at degree 0 of every panel."""
    lines = []
    for name in names:
        colour, marker = _STYLES.get(policy_family(name), _OTHER_STYLE)
        rates = {(cell.corruption, cell.degree): rate(cell, name) for cell in found.cells}
        if found.clean is not None:
            rates |= {(one.name, 0): rate(found.clean, name) for one in found.corruptions}
        lines.append(Line(clean(name, 40), colour, marker, name != FLOAT, rates))
    return lines


def _accuracy_plot(found: Corruptions, title: str, labelled: bool) -> Plot:
    assert found.clean is not None  # noqa: S101
    lines = lines_of(found, lambda cell, name: cell.answers[name].accuracy, [*found.clean.answers])
    right = "right answers" if labelled else "answers as float gives on the clean picture"
    return _plot(found, lines, title, f"Share of {right} against the degree of each corruption")


def _loss_plot(found: Corruptions, title: str) -> Plot:
    assert found.clean is not None  # noqa: S101
    lines = lines_of(found, lambda cell, name: cell.losses[name].lost, [*found.clean.losses])
    return _plot(
        found,
        lines,
        title,
        "Of the answers right in float on the same picture, the share that is wrong quantized",
    )


def _plot(found: Corruptions, lines: Sequence[Line], title: str, what: str) -> Plot:
    panels = [one.name for one in found.corruptions]
    basis = (
        f"n = {len(found.examples)} pictures, {len(found.seeds)} draws each; bars are 95 % "
        "intervals, the draws of one picture counted as what they are, not as new pictures."
    )
    return plot(
        lambda figure, theme, narrow: draw_panels(figure, theme, narrow, panels, lines),
        title=title,
        caption=f"{what}; {basis}",
        words=f"{what}. " + " ".join(_line_words(line, panels) for line in lines),
        size=panels_size(len(panels), len(lines), narrow=False),
        narrow_size=panels_size(len(panels), len(lines), narrow=True),
    )


def _line_words(line: Line, panels: Sequence[str]) -> str:
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
                (against.difference_pp, cell, against)
                for cell in found.cells
                if cell.corruption == info.name
                and (against := cell.losses[name].against_clean) is not None
            ]
            if compared:
                difference, cell, against = max(compared, key=lambda one: one[0])
                rows.append((name, -difference, _hurt_row(cell, name, against)))
    order = list(found.bits)
    return [row for _, _, row in sorted(rows, key=lambda one: (order.index(one[0]), one[1]))]


def _hurt_row(cell: CorruptionCell, name: str, against: AgainstClean) -> HurtRow:
    return HurtRow(
        policy=clean(name),
        corruption=clean(cell.corruption),
        degree=cell.degree,
        lost=_share(cell.losses[name].lost),
        difference=signed(against.difference_pp),
        interval=_interval_pp(against),
        pairs=f"{against.only_corrupted} / {against.only_clean} of {against.n}",
        p_holm=p_text(against.p_value_holm),
        sure=_surely_worse(against),
    )


def _interval_pp(against: AgainstClean) -> str:
    return f"{signed(against.low_pp)} to {signed(against.high_pp)}"


def _in_words(rate: ClusteredRate) -> str:
    share = _share(rate)
    return f"{share.value} ({share.interval})"


def _share(rate: ClusteredRate) -> Share:
    if rate.low is None or rate.high is None:
        return Share(NOTHING, "")
    return Share(percent(rate.value), f"{100 * rate.low:.1f} to {100 * rate.high:.1f}\u00a0%")
