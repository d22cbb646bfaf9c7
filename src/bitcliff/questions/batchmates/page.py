"""What `bitcliff batchmates` found: a page in the house style, and lines for the terminal."""

from functools import partial

from bitcliff.questions.batchmates.plot import effort_plot
from bitcliff.questions.batchmates.record import (
    DATA,
    Attack,
    Batchmates,
    Situation,
    Victim,
)
from bitcliff.questions.batchmates.statistics import ANY, RANDOM
from bitcliff.questions.batchmates.store import BATCHMATES
from bitcliff.report.drawings import squares
from bitcliff.report.formatting import class_name, clean, rate_interval, rate_text
from bitcliff.report.html import render_page
from bitcliff.report.thumbnails import safe_thumbnail
from bitcliff.report.view import provenance_lines

SHOWN = 12
_NOISE = ("float, at random", "float, worst companion", "copies of itself")
# The numbers at the top: a situation, its title, and the kind that colours it.
_CARDS = (
    (RANDOM, "Flipped by chance, in random full batches", "random"),
    (DATA, "Flipped by one companion from the data", "worst"),
    (ANY, "Flipped by any chosen or crafted companion", "worst"),
    ("float, worst companion", "Flipped in float, by the same companions", "float"),
)


def render_batchmates(record: Batchmates) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    observed, figures = record.observed, record.figures
    rows = {row.name: row for row in figures.situations}
    by_id = {victim.id: victim for victim in observed.victims}
    controls = _controls(rows)
    return render_page(
        "questions/batchmates/page.html.j2",
        {
            "observed": observed,
            "figures": figures,
            "kind": "fail" if figures.flipped else "inconclusive",
            "title": _title(rows),
            "lead": _lead(record, rows),
            "cards": [(rows[name].flips, title, kind) for name, title, kind in _CARDS],
            "squares": squares,
            "couples": [_couple(by_id[name]) for name in figures.flipped[:SHOWN]],
            "safe_thumbnail": safe_thumbnail,
            "class_name": partial(class_name, observed.subject),
            "shown": SHOWN,
            "compared": [row for row in figures.situations if row.name not in controls],
            "controls": [rows[name] for name in controls],
            "planted": _PLANTED[observed.positive_control],
            "plot": effort_plot(record),
            "layers": _layers(record),
            "facts": provenance_lines(observed.provenance, BATCHMATES.version),
        },
    )


_PLANTED = {
    True: "A planted companion, a million times as large, flips a planted victim in this runtime: "
    "it takes one scale for the batch, and this measurement sees what follows from that.",
    False: "A planted companion, a million times as large, does not flip a planted victim in this "
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


def _couple(victim: Victim) -> tuple[Victim, Attack, int]:
    """A victim, the attack that flips it most, and in how many full batches it stays flipped."""
    stays = sum(one != victim.baseline.alone for one in victim.checked.full)
    return victim, victim.attacks[victim.checked.attack], stays


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
