"""What `bitcliff guard` found: a page in the house style, and lines for the terminal."""

from bitcliff.questions.guard.plot import pareto_plot
from bitcliff.questions.guard.record import AtAlpha, GuardRecord, GuardRule
from bitcliff.questions.guard.statistics import ALL, SIGNALS, chosen, exportable
from bitcliff.questions.guard.store import GUARD
from bitcliff.report.filters import change_interval, difference, of_with_interval, p_holm
from bitcliff.report.formatting import NOTHING, clean, percent, rate_interval, rate_text
from bitcliff.report.html import render_measurement

_CHANGES = ("float to quantized", "quantized to guarded", "float to guarded")


def render_guard(record: GuardRecord) -> str:
    """The whole page as text, everything from the record escaped; the same record, same bytes."""
    figures = record.figures
    rule = rule_asked_for(record)
    at = rule.at
    return render_measurement(
        "questions/guard/page.html.j2",
        record,
        GUARD.version,
        {
            "at": at,
            "kind": "inconclusive" if at.flags == "all" else "pass",
            "title": _title(record),
            "lead": _lead(record),
            "cards": _cards(record),
            "guarantee": guarantee(record),
            "guards": [_guard_row(rule) for rule in figures.guards],
            "signals": _signal_rows(record),
            "changes": list(zip(_CHANGES, figures.judged.changes, strict=True)),
            "judged": _judged_rows(record),
            "curve": [_curve_row(one) for one in rule.curve],
            "rule": rule.name,
            "cost": cost_sentence(record),
            "exported": exported_sentence(record),
            "plot": pareto_plot(record),
        },
    )


def guard_lines(record: GuardRecord) -> list[str]:
    """The finding, a line for each guard, and what is left of the accuracy, as text."""
    figures = record.figures
    lines = [f"{_title(record)}.", guarantee(record), ""]
    asked = rule_asked_for(record).name
    lines.append(f"The guard looks at: {asked}; the others are for comparison.")
    lines.append(f"{'guard':<22}{'flagged':<30}{'lost, not flagged':<28}{'at random':>10}")
    for rule in figures.guards:
        cost, missed = (of_with_interval(one) for one in (rule.at.cost, rule.at.missed))
        random = percent(rule.at.missed_at_random.value)
        lines.append(f"{rule.name:<22}{cost:<30}{missed:<28}{random:>10}")
    lines.append("")
    for name, found, interval in _judged_rows(record):
        lines.append(f"{name:<24}{found:<22}{interval}")
    for name, change in zip(_CHANGES, figures.judged.changes, strict=True):
        words = f"{difference(change)} points ({change_interval(change)}), p {p_holm(change)}"
        lines.append(f"{name:<24}{words}")
    lines.append(cost_sentence(record))
    if figures.same_flags is not None:
        lines.append(exported_sentence(record))
    return [line.replace("\u00a0", " ").rstrip() for line in lines]


def rule_asked_for(record: GuardRecord) -> GuardRule:
    """Figures of the guard that was asked for."""
    return named(record, chosen(record.observed.settings))


def named(record: GuardRecord, name: str) -> GuardRule:
    """Figures of the guard of that name."""
    return next(rule for rule in record.figures.guards if rule.name == name)


def guarantee(record: GuardRecord) -> str:
    """What holds, and with which probability."""
    asked = record.observed.settings
    return (
        f"Except with a chance of {percent(asked.delta)} over the {record.figures.counts[1]} "
        f"examples that calibrated it, at most {percent(asked.alpha)} of all inputs drawn like "
        f"these are {_wrong(record)} and not flagged. An input that is unlike them, or made to get "
        "past the guard, is not covered."
    )


def cost_sentence(record: GuardRecord) -> str:
    """What the signals and the second runs cost, as timed here."""
    seconds, cost = record.observed.seconds, rule_asked_for(record).at.cost.value or 0.0
    ratio = seconds.with_signals / seconds.quantized if seconds.quantized else 1.0
    return (
        f"Timed here, with rounding simulated: {1000 * seconds.quantized:.3g} ms quantized, "
        f"{1000 * seconds.with_signals:.3g} ms with all signals ({ratio:.2f} times), "
        f"{1000 * seconds.in_float:.3g} ms in float, which {percent(cost)} of the inputs need too."
    )


def exported_sentence(record: GuardRecord) -> str:
    """Whether the file says the same; empty where none was written."""
    figures, file = record.figures, record.observed.exported
    if file is None or figures.same_flags is None or figures.same_predictions is None:
        return ""
    name = exportable(record.observed.settings)
    return (
        f"The file has the guard of {name}, calibrated for itself. In {clean(file.runtime)} its "
        f"flags are the record's for {rate_text(figures.same_flags)} of the inputs reported "
        f"on, and its decisions for {rate_text(figures.same_predictions)}."
    )


def _wrong(record: GuardRecord) -> str:
    if record.observed.settings.against == "label":
        return "right in float, wrong quantized"
    return "decided differently from float"


def _title(record: GuardRecord) -> str:
    at, lost = rule_asked_for(record).at, record.figures.lost[2]
    if at.flags == "all":
        return f"Nothing but running all in float again keeps to {percent(at.alpha)}"
    if at.flags == "none":
        return f"Within {percent(at.alpha)} nothing has to be run again in float"
    return (
        f"Running {percent(at.cost.value)} of the inputs again in float leaves {at.missed.k} of "
        f"{lost.k} losses"
    )


def _lead(record: GuardRecord) -> str:
    observed, figures = record.observed, record.figures
    fit, calibrate, report = figures.counts
    counted = "label" if observed.settings.against == "label" else "float’s own decision"
    return (
        f"{clean(observed.subject.model)} in {clean(observed.numerics)}, judged by {counted}: of "
        f"{report} inputs {figures.lost[2].k} are {_wrong(record)}. The guard sees the quantized "
        f"pass alone; it was fitted to {fit} other inputs and calibrated on {calibrate}."
    )


def _cards(record: GuardRecord) -> list[tuple[str, str, str, str, str]]:
    """Title, number, out of what, interval, and the kind that colours it."""
    at, lost = rule_asked_for(record).at, record.figures.lost[2]
    chance = at.missed_at_random
    return [
        ("Lost by quantization", str(lost.k), f"of {lost.n}", rate_interval(lost), "worst"),
        ("Flagged, to be run again", str(at.cost.k), f"of {at.cost.n}", rate_interval(at.cost), ""),
        (
            "Lost and not flagged",
            str(at.missed.k),
            f"of {at.missed.n}",
            rate_interval(at.missed),
            "worst",
        ),
        (
            "The same, were as many flagged at random",
            f"{chance.value * at.cost.n:.1f}",
            f"of {at.cost.n}, expected",
            f"{100 * chance.low:.1f} to {100 * chance.high:.1f}\u00a0%",
            "random",
        ),
    ]


def _guard_row(rule: GuardRule) -> list[str]:
    at = rule.at
    chance = f"{percent(at.missed_at_random.value)}"
    return [
        rule.name,
        of_with_interval(at.cost),
        of_with_interval(at.missed),
        chance,
        of_with_interval(rule.caught),
        _FITTED[rule.fitted_to],
    ]


_FITTED = {
    "lost": "losses",
    "changed": "changed decisions (none lost)",
    "nothing": "nothing: the margin decides",
}


def _signal_rows(record: GuardRecord) -> list[list[str]]:
    rule = named(record, ALL)
    weights = dict(zip(rule.signals, rule.weights, strict=True))
    rows = []
    for one in record.figures.telling:
        told = NOTHING
        if one.value is not None and one.low is not None and one.high is not None:
            told = f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
        weight = f"{weights[one.signal]:+.2f}".replace("-", "−")
        rows.append([f"{one.signal}: {SIGNALS[one.signal]}", weight, told])
    return rows


def _judged_rows(record: GuardRecord) -> list[tuple[str, str, str]]:
    judged = record.figures.judged
    word = "right" if record.observed.labels is not None else "as in float"
    return [
        (f"{name}, {word}", rate_text(found), rate_interval(found))
        for name, found in (
            ("float", judged.in_float),
            ("quantized", judged.quantized),
            ("guarded", judged.guarded),
        )
    ]


def _curve_row(at: AtAlpha) -> list[str]:
    chance = at.missed_at_random
    return [
        percent(at.alpha),
        of_with_interval(at.cost),
        of_with_interval(at.missed),
        f"{percent(chance.value)} ({100 * chance.low:.1f} to {100 * chance.high:.1f}\u00a0%)",
    ]
