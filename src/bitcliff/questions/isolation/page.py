"""What `bitcliff isolate` found: a page in the house style, and lines for the terminal."""

from typing import Any

from bitcliff.questions.isolation.plot import effort_plot
from bitcliff.questions.isolation.point_lines import passes_words, point_lines
from bitcliff.questions.isolation.record import (
    DATA,
    Attack,
    Isolation,
    Proof,
    ProofFigures,
    Situation,
    Victim,
)
from bitcliff.questions.isolation.statistics import ANY, RANDOM
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.report.formatting import clean, rate_interval, rate_text
from bitcliff.report.html import render_measurement

SHOWN = 12
# So many points the terminal lists.
_LINES = 20
_NOISE = ("float, at random", "float, worst companion", "copies of itself")
# The numbers at the top: a situation, its title, and the kind that colours it.
_CARDS = (
    (RANDOM, "Flipped by chance, in random full batches", "random"),
    (DATA, "Flipped by one companion from the data", "worst"),
    (ANY, "Flipped by any chosen or crafted companion", "worst"),
    ("float, worst companion", "Flipped in float, by the same companions", "float"),
)


def render_isolation(record: Isolation) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    observed, figures = record.observed, record.figures
    return render_measurement(
        "questions/isolation/page.html.j2",
        record,
        ISOLATION.version,
        {
            "kind": _KINDS[figures.status],
            "flag": _FLAGS[figures.status],
            "title": _title(record),
            "lead": _lead(record),
            "proof": observed.proof,
            "points": point_lines(record),
            "listed": SHOWN,
            "passes": passes_words(record),
            "planted": _PLANTED[observed.positive_control],
            "layers": _layers(record),
            **(_search(record) if observed.victims else {}),
        },
    )


def _search(record: Isolation) -> dict[str, Any]:
    """What the page says of victims."""
    observed, figures = record.observed, record.figures
    rows = {row.name: row for row in figures.situations}
    by_id = {victim.id: victim for victim in observed.victims}
    controls = _controls(rows)
    return {
        "cards": [(rows[name].flips, title, kind) for name, title, kind in _CARDS],
        "couples": [_couple(by_id[name]) for name in figures.flipped[:SHOWN]],
        "shown": SHOWN,
        "compared": [row for row in figures.situations if row.name not in controls],
        "controls": [rows[name] for name in controls],
        "plot": effort_plot(record),
    }


_KINDS = {"proved": "pass", "counterexample": "fail", "open": "inconclusive"}
_FLAGS = {
    "proved": ("✓", "Proved isolated from quantization"),
    "counterexample": ("✕", "A counterexample was found"),
    "open": ("?", "Neither a proof nor a counterexample"),
}


_PLANTED = {
    True: "A planted companion, a million times as large, flips a planted victim in this runtime: "
    "it takes one scale for the batch, and this measurement sees what follows from that.",
    False: "A planted companion, a million times as large, does not flip a planted victim in this "
    "runtime: no scale over the batch was seen at work, so no flip is to be expected below.",
    None: "The planted pair could not be run in this runtime, so there is no positive control.",
}


def isolation_lines(record: Isolation) -> list[str]:
    """The finding, the points, and a line for each situation, as text."""
    figures = record.figures
    lines = [f"{_title(record)}.", _lead(record)]
    if record.observed.proof is not None:
        lines += ["", *_proof_lines(record)]
    if not record.observed.victims:
        return lines
    rows = {row.name: row for row in figures.situations}
    lines += [_PLANTED[record.observed.positive_control], ""]
    lines.append(f"{'companions':<34}{'flips':>18}  {'95 % interval':<18}{'lost':>5}{'gained':>8}")
    for row in figures.situations:
        flips = _plain(rate_text(row.flips))
        interval = _plain(rate_interval(row.flips))
        counts = "" if row.change is None else f"{row.change.lost:>5}{row.change.gained:>8}"
        lines.append(f"{row.name:<34}{flips:>18}  {interval:<18}{counts}".rstrip())
    if rows[RANDOM].change is not None:
        lines.append("At random, lost and gained are of each victim's first draw alone.")
    if figures.ours_changed is not None:
        changed = _plain(rate_text(figures.ours_changed))
        lines.append(f"Bitcliff's own path, one scale an example: bits changed in {changed}")
    return lines


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def _proof_lines(record: Isolation) -> list[str]:
    lines = [passes_words(record)]
    lines.append(f"{'point':<44}{'groups':>9}{'examples in one':>17}  ")
    told = point_lines(record)
    for line in told[:_LINES]:
        lines.append(f"{clean(line.name):<44}{line.groups:>9}{line.examples:>17}  {line.words}")
    if len(told) > _LINES:
        lines.append(f"... and {len(told) - _LINES} more, all in the report")
    return [line.rstrip() for line in lines]


def _controls(rows: dict[str, Situation]) -> list[str]:
    return [name for name in rows if name in _NOISE or name.startswith("flips that stay")]


def _title(record: Isolation) -> str:
    observed, figures = record.observed, record.figures
    n = len(observed.victims)
    if figures.status == "proved":
        return (
            "Proved isolated from quantization: no batch-mate shares a scale with a request in "
            f"{clean(observed.runtime.name)}"
        )
    if figures.flipped:
        also = "" if figures.counterexamples else ", but float or copies of itself do so too"
        changed = f"{len(figures.flipped)} of {n} predictions"
        return f"A chosen or crafted batch-mate changes {changed}{also}"
    why = "" if observed.proof is not None else ": a runtime is a black box"
    return (
        f"No proof{why}; no batch-mate was found in {figures.runs} runs that changes any of the "
        f"{n} predictions"
    )


def _lead(record: Isolation) -> str:
    observed, proof = record.observed, record.figures.proof
    parts = []
    if observed.proof is not None and proof is not None:
        if proof.proved:
            parts.append(_what_is_proved(observed.proof, proof))
        else:
            reasons = "; ".join(clean(reason, 300) for reason in proof.reasons)
            parts.append(f"No proof for {clean(observed.runtime.name)}: {reasons}.")
    if observed.victims:
        parts.append(_what_was_found(record))
    return " ".join(parts)


def _what_is_proved(proof: Proof, figures: ProofFigures) -> str:
    n = len(proof.points)
    told = (
        f"{'At the one point that is' if n == 1 else f'At all {n} points that are'} rounded, "
        f"{proof.group} has a scale of its own, and each of {figures.groups:,} groups holds values "
        "of one example alone; all operators were followed. In real arithmetic a request is then "
        "rounded as it would be alone, whoever is beside it. Float kernels may sum in another "
        "order in another batch, which no format can prevent."
    )
    if any(one.padded for one in proof.passes):
        told += " Padding lies in no group with tokens of a text."
    if proof.reads_mask:
        told += (
            " Where a text is padded the network takes another way in float than where none is: "
            "both were followed."
        )
    return told


def _what_was_found(record: Isolation) -> str:
    observed, changed = record.observed, record.figures.ours_changed
    rows = {row.name: row for row in record.figures.situations}
    random, data = rows[RANDOM].flips, rows[DATA].flips
    noise = sum(rows[name].flips.k for name in _NOISE)
    told = (
        f"{clean(observed.subject.model)} in {clean(observed.runtime.name)}, each victim compared "
        f"with itself in a batch of one. Random batches of {observed.settings.batch} flip "
        f"{rate_text(random)}; the worst companion from the data {rate_text(data)}. Noise floor, "
        f"the float network in the same batches and the victim among its own copies: {noise} "
        f"{'flip' if noise == 1 else 'flips'}."
    )
    if changed is None:
        return told
    return (
        f"{told} Bitcliff's own path, one scale an example: bits changed in {changed.k} of "
        f"{changed.n}."
    )


def _couple(victim: Victim) -> tuple[Victim, Attack, int]:
    """A victim, the attack that flips it most, and in how many full batches it stays flipped."""
    stays = sum(one != victim.baseline.alone for one in victim.checked.full)
    return victim, victim.attacks[victim.checked.attack], stays


def _layers(record: Isolation) -> str:
    parts = [
        f"{count} {clean(kind)} in {how}"
        for how, kinds in (
            ("integers", record.observed.runtime.quantized),
            ("float", record.observed.runtime.in_float),
        )
        for kind, count in kinds.items()
    ]
    return ", ".join(parts) or "not told"
