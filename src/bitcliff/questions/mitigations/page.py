"""What helps: the finding, the table of mitigations, what each costs, and the plan to use."""

from functools import partial

from bitcliff.questions.layers.statistics import inflection
from bitcliff.questions.mitigations.judging import known
from bitcliff.questions.mitigations.plot import figure
from bitcliff.questions.mitigations.record import Mitigated, Mitigations
from bitcliff.questions.plan_in_runtime import PlanThere, in_runtimes
from bitcliff.questions.plan_lines import plan_lines
from bitcliff.record import Record
from bitcliff.report.formatting import (
    clean,
    decimal,
    mean_text,
    noun,
    rate_interval,
    rate_text,
)
from bitcliff.report.section import Section
from bitcliff.types.change import PairedChange


def mitigations_section(record: Record, found: Mitigations) -> Section:
    """The question's section: the figures, and what is said around them.

    `rows` are those of the table, numbered from what is not mitigated on; `use`: commands, none
    where there is no plan.
    """
    before = [] if found.unmitigated is None else [found.unmitigated]
    data = {
        "intro": _intro(record, found),
        "plot": figure(record, found) if found.tried else None,
        "rows": [*before, *found.tried] if found.tried else [],
        "picked": partial(_picked, record),
        "regained": _regained,
        "points": _points,
        "notes": _notes(record, found),
        "checked": [
            *(_checked(row, "") for row in found.recommended),
            *(_checked(row, f" on the {row.right.n} held out") for row in found.confirmed),
            *_in_runtimes(record, found),
        ],
        "plan": found.plan,
        "use": _use(record, found),
    }
    return Section("mitigations", "What helps?", finding(record, found), data)


def finding(record: Record, found: Mitigations) -> str:
    """The answer in a sentence or two."""
    if found.not_measured is not None:
        return f"Nothing to mend: {found.not_measured}."
    before, row = found.unmitigated, _chosen(found)
    if before is None or not found.tried:
        return "No mitigation could be tried."
    if row is None:
        best = max(found.tried, key=lambda one: known(one.regained)[0])
        return (
            f"No mitigation tried gives back more than chance could: the most is "
            f"{_points(best.regained)} of {_lost(before):.1f} points lost, each judged by a "
            "new search."
        )
    if known(row.regained)[1] <= 0 and found.recommended_on:
        return (
            f"{_opening(record, row)} looked best on the {found.recommended_on} "
            f"{noun(record)} it was chosen on, but on the {row.right.n} others it gives back no "
            f"more than chance could: {_points(row.regained)} points."
        )
    regained = known(row.regained)[0]
    return (
        f"{_opening(record, row)} gives back {regained:.1f} of "
        f"{regained + _lost(row):.1f} points lost "
        f"(95 % interval {_interval(row.regained)}); verified against a new search, "
        f"{_basis(record, found, row)}. {_reaches(row, found)}"
    )


def _basis(record: Record, found: Mitigations, row: Mitigated) -> str:
    """Which examples the recommendation is shown on."""
    if found.recommended_on:
        unless = ""
        if _is_of_inflection(record, found, row):
            unless = "; its points, the inflection points, were found on all"
        return (
            f"on {row.right.n} {noun(record)} that had no part in choosing it (it was chosen on "
            f"{found.recommended_on} others{unless})"
        )
    return f"on the same {row.right.n} {noun(record)} that it was chosen on, which flatters it"


def _is_of_inflection(record: Record, found: Mitigations, row: Mitigated) -> bool:
    """Whether the layer analysis, which asks all examples, named the points it protects."""
    names = [point.name for point in record.subject.points if point.quantized]
    named = {names[index] for index in inflection(record, found.worst)}
    before = {*record.settings.in_float, *record.settings.floors}
    return bool(named) and {*row.float_points, *row.floors} - before == named


def _opening(record: Record, row: Mitigated) -> str:
    words = row.words[0].upper() + row.words[1:]
    if row.family in ("float", "combined"):
        whole = sum(point.quantized for point in record.subject.points)
        _, _, floors = row.words.partition(" kept in float, ")
        words = f"Keeping {row.cost.in_float} of {whole} quantization points in float"
        words += f", with {floors}," if floors else ""
    elif row.family == "floors":
        words = f"A floor on the bits ({row.words})"
    return words


def _reaches(row: Mitigated, found: Mitigations) -> str:
    limit = found.max_drop
    if row.standing == "pass":
        unheld = "" if found.recommended_on else " (not adjusted for the choice among them)"
        return (
            "The whole interval of what is still lost lies within the "
            f"{limit:g} points allowed{unheld}."
        )
    if _lost(row) <= limit:
        return (
            f"What is still lost is within the {limit:g} points allowed as measured, but its "
            "interval is not: more examples would tell."
        )
    # Where it was chosen it may have kept to the limit, and here another one may.
    none_fits = all(_lost(one) > limit for one in found.tried)
    rest = "; no mitigation tried keeps to that" if none_fits else ""
    return f"{_lost(row):.1f} points stay lost, more than the {limit:g} allowed{rest}."


def _chosen(found: Mitigations) -> Mitigated | None:
    """The recommended one, at the mean of bits of those tried, on what was held out if it was."""
    if found.unmitigated is None:
        return None
    mean, rows = found.unmitigated.cost.mean_bits, found.confirmed or found.recommended
    return min(rows, key=lambda r: abs(r.cost.mean_bits - mean), default=None)


def _intro(record: Record, found: Mitigations) -> list[str]:
    before = found.unmitigated
    if before is None or not found.tried:
        return []
    right = "right" if record.subject.labelled else "as in float"
    return [
        f"Under {clean(found.worst or '')}, {rate_text(before.right)} {noun(record)} are "
        f"{right}; in float {rate_text(found.float_right)}. Each mitigation changes the network, "
        "and the worst bits for every example are then looked for anew, as hard as in the run: an "
        "adversary answers to what is protected. Mean bits stay the same, over the points that "
        "are still quantized.",
    ]


def _picked(record: Record, row: Mitigated) -> str:
    """Points in float, or else with a floor, numbered among those that the run quantizes; "" where
    a mitigation picks none or all."""
    names = [point.name for point in record.subject.points if point.quantized]
    chosen = [number for number, name in enumerate(names, 1) if name in row.float_points]
    chosen = chosen or [number for number, name in enumerate(names, 1) if name in row.floors]
    if not 0 < len(chosen) < len(names):
        return ""
    return f"point{'s' if len(chosen) > 1 else ''} {', '.join(map(str, chosen))}"


def _in_runtimes(record: Record, found: Mitigations) -> list[str]:
    """What the plan's layers in float give in the run's runtimes, or that nobody has tried."""
    if found.plan is None:
        return []
    if not found.plan.float_points and in_runtimes(record):
        names = ", ".join(map(clean, in_runtimes(record)))
        return [
            f"Not recommended for {names}: it keeps no layer in float, which is all of a plan that "
            "is followed there."
        ]
    tried = {one.policy for one in found.in_runtimes}
    never = [name for name in in_runtimes(record) if name not in tried]
    untried = [PlanThere.never_run(name, found.plan.float_points) for name in never]
    on = "on the same examples"
    if found.recommended_on:
        on = f"on {found.recommended_on} others"
    return plan_lines(record, [*found.in_runtimes, *untried], f"in simulation, {on}")


def _notes(record: Record, found: Mitigations) -> list[str]:
    if not found.tried:
        return []
    notes = [
        "Quantization points are numbered from the input on, among those that the run quantizes. "
        "In float: points, and their share of the multiply-adds of all points that the run "
        "quantizes. Mean bits: over the points still quantized; then over all of them, a point in "
        "float counted as 32. Freedom: log2 of how many bit allocations the adversary has. "
        "A point in float keeps its values; weights are rounded as in the run.",
    ]
    if found.chosen_on:
        notes.append(
            f"The percentile was chosen on {found.chosen_on} {noun(record)}, and its row speaks "
            "of the others only."
        )
    if found.recommended_on:
        notes.append(
            f"Which points to protect and which mitigation to recommend was decided on "
            f"{found.recommended_on} {noun(record)}, drawn by seed; the others confirm it. The "
            "table shows all of them. Only the inflection points, where the layers were asked "
            "for, were found on all."
        )
    if found.tuned:
        notes.append("The fine-tuned network stands beside the record as network.safetensors.")
    if (drawn := found.random) is not None:
        notes.append(
            "If the runtime itself draws each input's bits at random, nobody picks them, so there "
            f"is no worst case to look for: over {drawn.draws} draws {rate_text(drawn.mean)} are "
            f"right on average (at most as uncertain as {rate_interval(drawn.mean)}), in the worst "
            f"draw {rate_text(drawn.worst)}, and {rate_text(drawn.all_right)} in every draw: who "
            "may try again and again breaks the others. “randomised: true” in a plan asks for it."
        )
    return notes


def _checked(row: Mitigated, where: str) -> str:
    return (
        f"At {mean_text(row.cost.mean_bits)} bits{where}: {rate_text(row.right)} right under the "
        f"worst case found anew, {rate_text(row.before)} without the plan; {_points(row.loss, -1)} "
        "points lost against float."
    )


def _use(record: Record, found: Mitigations) -> list[str]:
    if found.plan is None:
        return []
    command = clean(record.provenance.command, 2000)
    if found.plan.weights_sha256 != record.provenance.weights_sha256:
        before, after = clean(record.subject.model), clean(found.plan.model)
        if before != after:  # A shipped network's architecture: it brings no data.
            command = f"{command.replace(before, after, 1)} --data {clean(record.subject.data)}"
        command += " --weights RUN/network.safetensors"
    return [f"{command} --plan RUN/plan.yaml --out RUN-with-plan"]


def _lost(row: Mitigated) -> float:
    """Percentage points, against float."""
    return -known(row.loss)[0]


def _regained(change: PairedChange) -> str:
    return _points(change) if known(change)[1] > 0 else f"nothing beyond chance: {_points(change)}"


def _points(change: PairedChange, sign: int = 1) -> str:
    """ "81.0 (76.0 to 85.1)": percentage points with their interval."""
    return f"{decimal(sign * known(change)[0])} ({_interval(change, sign)})"


def _interval(change: PairedChange, sign: int = 1) -> str:
    ends = sorted(sign * end for end in known(change)[1:])
    return " to ".join(map(decimal, ends))
