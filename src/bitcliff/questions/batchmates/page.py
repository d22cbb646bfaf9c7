"""What `bitcliff batchmates` found: a page in the house style, and lines for the terminal."""

from dataclasses import dataclass
from typing import Any

from bitcliff.questions.batchmates.plot import effort_plot
from bitcliff.questions.batchmates.record import (
    BATCHMATES_VERSION,
    DATA,
    Batchmates,
    Situation,
    Victim,
)
from bitcliff.questions.batchmates.statistics import ANY, RANDOM
from bitcliff.report.drawings import Squares, squares
from bitcliff.report.html import render_page
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.report.view import provenance_lines
from bitcliff.report.words import (
    NOTHING,
    class_name,
    clean,
    count_text,
    p_text,
    rate_interval,
    rate_text,
    signed,
)
from bitcliff.types.rate import Rate

SHOWN = 12
_NOISE = ("float, at random", "float, worst companion", "copies of itself")


@dataclass(frozen=True)
class Card:
    """A number at the top: `kind` colours it."""

    title: str
    big: str
    of: str
    note: str
    kind: str
    squares: Squares | None = None


@dataclass(frozen=True)
class Couple:
    """A victim and the companion that flips it."""

    id: str
    victim: str | None
    companion: str | None
    companion_name: str
    label: str | None
    alone: str
    together: str
    stays: str


def render_batchmates(record: Batchmates) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    observed, figures = record.observed, record.figures
    rows = {row.name: row for row in figures.situations}
    by_id = {victim.id: victim for victim in observed.victims}
    controls = _controls(rows)
    return render_page(
        "questions/batchmates/page.html.j2",
        {
            "settings": observed.settings,
            "figures": figures,
            "n_victims": len(observed.victims),
            "model": clean(observed.subject.model),
            "data": clean(observed.subject.data),
            "runtime": f"{clean(observed.runtime.name)} ({clean(observed.runtime.version)})",
            "reference": clean(observed.reference_runtime.version),
            "kind": "fail" if figures.flipped else "inconclusive",
            "title": _title(rows),
            "lead": _lead(record, rows),
            "cards": _cards(rows),
            "couples": [_couple(record, by_id[name]) for name in figures.flipped[:SHOWN]],
            "shown": SHOWN,
            "compared": [_cells(row) for row in figures.situations if row.name not in controls],
            "controls": [_cells(rows[name]) for name in controls],
            "ours": f"{rate_text(figures.ours_changed)}, {rate_interval(figures.ours_changed)}",
            "planted": _PLANTED[observed.positive_control],
            "plot": effort_plot(record),
            "labelled": observed.subject.labelled,
            "crafting": clean(observed.crafting, 300),
            "runtime_description": clean(observed.runtime.description, 300),
            "layers": _layers(record),
            "command": clean(observed.provenance.command, 2000),
            "facts": provenance_lines(observed.provenance, BATCHMATES_VERSION),
        },
    )


_PLANTED = {
    True: "A planted companion, a thousand times as large, flips a planted victim in this runtime: "
    "it takes one scale for the batch, and this measurement sees what follows from that.",
    False: "A planted companion, a thousand times as large, does not flip a planted victim in this "
    "runtime: no scale over the batch was seen at work, so no flip is to be expected below.",
    None: "The planted pair could not be run in this runtime, so there is no positive control.",
}


def batchmates_lines(record: Batchmates) -> list[str]:
    """The finding, and a line for each situation, as text."""
    figures = record.figures
    rows = {row.name: row for row in figures.situations}
    planted = _PLANTED[record.observed.positive_control]
    lines = [f"{_title(rows)}.", _lead(record, rows), planted, ""]
    lines.append(f"{'companions':<34}{'flips':>18}  {'95 % interval':<18}{'lost':>5}{'gained':>8}")
    for row in figures.situations:
        flips = rate_text(row.flips).replace("\u00a0", " ")
        interval = rate_interval(row.flips).replace("\u00a0", " ")
        counts = "" if row.change is None else f"{row.change.lost:>5}{row.change.gained:>8}"
        lines.append(f"{row.name:<34}{flips:>18}  {interval:<18}{counts}".rstrip())
    if rows[RANDOM].change is not None:
        lines.append("At random, lost and gained are of each victim's first draw alone.")
    changed = rate_text(figures.ours_changed).replace("\u00a0", " ")
    lines.append(f"Bitcliff's own path, one scale an example: bits changed in {changed}")
    return lines


def _controls(rows: dict[str, Situation]) -> list[str]:
    return [name for name in rows if name in _NOISE or name.startswith("flips that stay")]


def _title(rows: dict[str, Situation]) -> str:
    worst = rows[ANY].flips
    if not worst.k:
        return f"No batch-mate was found that changes any of the {worst.n} predictions"
    return f"A chosen or crafted batch-mate changes {worst.k} of {worst.n} predictions"


def _lead(record: Batchmates, rows: dict[str, Situation]) -> str:
    observed, changed = record.observed, record.figures.ours_changed
    random, data = rows[RANDOM].flips, rows[DATA].flips
    noise = sum(rows[name].flips.k for name in _NOISE)
    return (
        f"{clean(observed.subject.model)} in {clean(observed.runtime.name)}, each victim compared "
        f"with itself in a batch of one. Random batches of {observed.settings.batch} flip "
        f"{rate_text(random)}; the worst companion from the data {rate_text(data)}. Noise floor, "
        f"the float network in the same batches and the victim among its own copies: {noise} "
        f"{'flip' if noise == 1 else 'flips'}. Bitcliff's own path, one scale an example: bits "
        f"changed in {changed.k} of {changed.n}."
    )


def _cards(rows: dict[str, Situation]) -> list[Card]:
    shown = (
        (RANDOM, "Flipped by chance, in random full batches", "random"),
        (DATA, "Flipped by one companion from the data", "worst"),
        (ANY, "Flipped by any chosen or crafted companion", "worst"),
        ("float, worst companion", "Flipped in float, by the same companions", "float"),
    )
    cards = []
    for name, title, kind in shown:
        flips = rows[name].flips
        drawn = squares(flips) if isinstance(flips, Rate) else None
        unit = "victims" if drawn else f"predictions of {getattr(flips, 'clusters', 0)} victims"
        note = f"95\u00a0% interval {rate_interval(flips)}"
        cards.append(Card(title, str(flips.k), f"of {flips.n} {unit}", note, kind, drawn))
    return cards


def _cells(row: Situation) -> dict[str, Any]:
    change = row.change
    return {
        "name": row.name,
        "meaning": row.meaning,
        "flips": rate_text(row.flips),
        "flips_interval": rate_interval(row.flips),
        "lost": NOTHING if change is None else str(change.lost),
        "gained": NOTHING if change is None else str(change.gained),
        "lost_right": rate_text(row.lost_right),
        "lost_right_interval": rate_interval(row.lost_right),
        "change": signed(None if change is None else change.difference_pp),
        "change_interval": ""
        if change is None
        else f"{signed(change.low_pp)} to {signed(change.high_pp)}",
        "p_holm": p_text(None if change is None else change.p_holm),
        "runs": NOTHING if row.runs is None else count_text(row.runs),
    }


def _couple(record: Batchmates, victim: Victim) -> Couple:
    attack = victim.attacks[victim.checked.attack]
    stays = sum(one != victim.baseline.alone for one in victim.checked.full)
    return Couple(
        id=clean(victim.id, 80),
        victim=safe_thumbnail(victim.image),
        companion=safe_thumbnail(victim.companion_image),
        companion_name=clean(attack.companion, 80),
        label=None if victim.label is None else class_name(record.subject, victim.label),
        alone=class_name(record.subject, victim.baseline.alone),
        together=class_name(record.subject, attack.prediction),
        stays=f"lead {_signed(victim.baseline.margin)} to {_signed(attack.margin)} logits; flips "
        f"in {stays} of {len(victim.checked.full)} full batches with that companion",
    )


def _signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def _layers(record: Batchmates) -> str:
    parts = [
        f"{count} {clean(kind)} in {how}"
        for how, kinds in (
            ("integers", record.observed.runtime.quantized),
            ("float", record.observed.runtime.in_float),
        )
        for kind, count in kinds.items()
    ]
    return ", ".join(parts) or "not told"
