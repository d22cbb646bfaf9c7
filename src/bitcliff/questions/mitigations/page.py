"""What helps: the finding, the table of remedies, what each costs, and the plan to use."""

from dataclasses import dataclass

from bitcliff.questions.layers.page import inflection
from bitcliff.questions.mitigations.plot import figure
from bitcliff.questions.mitigations.record import Change, Remedied, Remedies
from bitcliff.records import Record
from bitcliff.report.plot import Plot
from bitcliff.report.section import Section
from bitcliff.report.words import clean, decimal, mean_text, noun, percent, rate_interval, rate_text


@dataclass(frozen=True)
class Row:
    """One remedy in the table; `places`: those it picks by number, "" for none or all."""

    number: int
    words: str
    places: str
    in_float: str
    bits: str
    freedom: str
    right: str
    interval: str
    regained: str
    lost: str
    status: str
    on_front: bool


@dataclass(frozen=True)
class RemediesShown:
    """All that the section lays out.

    Attributes:
        intro: what was done. notes: what to know of the rows. randomised: the other way out.
        plan: the file's text, use: commands; empty where there is no plan.
    """

    intro: list[str]
    plot: Plot | None
    rows: list[Row]
    notes: list[str]
    checked: list[str]
    plan: str
    use: list[str]


def remedies_section(record: Record, remedies: Remedies) -> Section:
    """The question's section."""
    found = finding(record, remedies)
    shown = RemediesShown(
        intro=_intro(record, remedies),
        plot=figure(record, remedies) if remedies.remedies else None,
        rows=_rows(record, remedies),
        notes=_notes(record, remedies),
        checked=[
            *(_checked(row, "") for row in remedies.recommended),
            *(_checked(row, f" on the {row.right.n} held out") for row in remedies.confirmed),
        ],
        plan="" if remedies.plan is None else remedies.plan.text(),
        use=_use(record, remedies),
    )
    return Section("remedies", "What helps?", found, shown)


def finding(record: Record, remedies: Remedies) -> str:
    """The answer in a sentence or two."""
    if remedies.not_measured is not None:
        return f"Nothing to mend: {remedies.not_measured}."
    before, row = remedies.unremedied, _chosen(remedies)
    if before is None or not remedies.remedies:
        return "No remedy could be tried."
    if row is None:
        best = max(remedies.remedies, key=lambda one: one.regained.value)
        return (
            f"No remedy tried gives back more than chance could: the most is "
            f"{_points(best.regained)} of {-before.loss.value:.1f} points lost, each judged by a "
            "new search."
        )
    if row.regained.low <= 0 and remedies.recommended_on:
        return (
            f"{_opening(row, before)} looked best on the {remedies.recommended_on} "
            f"{noun(record)} it was chosen on, but on the {row.right.n} others it gives back no "
            f"more than chance could: {_points(row.regained)} points."
        )
    lost = row.regained.value - row.loss.value
    return (
        f"{_opening(row, before)} gives back {row.regained.value:.1f} of {lost:.1f} points lost "
        f"(95 % interval {_interval(row.regained)}); verified against a new search, "
        f"{_basis(record, remedies, row)}. {_reaches(row, remedies)}"
    )


def _basis(record: Record, remedies: Remedies, row: Remedied) -> str:
    """Which examples the recommendation is shown on."""
    if remedies.recommended_on:
        unless = ""
        if _is_of_inflection(record, remedies, row):
            unless = "; its places, the inflection points, were found on all"
        return (
            f"on {row.right.n} {noun(record)} that had no part in choosing it (it was chosen on "
            f"{remedies.recommended_on} others{unless})"
        )
    return f"on the same {row.right.n} {noun(record)} that it was chosen on, which flatters it"


def _is_of_inflection(record: Record, remedies: Remedies, row: Remedied) -> bool:
    """Whether the layer analysis, which asks all examples, named the places it protects."""
    names = [point.name for point in record.subject.points if point.quantized]
    named = {names[place] for place in inflection(record, remedies.worst)}
    before = {*record.settings.in_float, *record.settings.floors}
    return bool(named) and {*row.float_points, *row.floors} - before == named


def _opening(row: Remedied, before: Remedied) -> str:
    words = row.words[0].upper() + row.words[1:]
    if row.family in ("float", "combined"):
        whole = before.cost.total_bits / before.cost.mean_bits
        _, _, floors = row.words.partition(" kept in float, ")
        words = f"Keeping {row.cost.in_float} of {whole:.0f} places in float"
        words += f", with {floors}," if floors else ""
    elif row.family == "floors":
        words = f"A floor on the bits ({row.words})"
    return words


def _reaches(row: Remedied, remedies: Remedies) -> str:
    limit = remedies.max_drop
    if row.standing == "pass":
        unheld = "" if remedies.recommended_on else " (not adjusted for the choice among them)"
        return (
            "The whole interval of what is still lost lies within the "
            f"{limit:g} points allowed{unheld}."
        )
    if -row.loss.value <= limit:
        return (
            f"What is still lost is within the {limit:g} points allowed as measured, but its "
            "interval is not: more examples would tell."
        )
    # Where it was chosen it may have kept to the limit, and here another one may.
    none_fits = all(-one.loss.value > limit for one in remedies.remedies)
    rest = "; no remedy tried keeps to that" if none_fits else ""
    return f"{-row.loss.value:.1f} points stay lost, more than the {limit:g} allowed{rest}."


def _chosen(remedies: Remedies) -> Remedied | None:
    """The recommended one, at the mean of bits of the remedies, on what was held out if it was."""
    if remedies.unremedied is None:
        return None
    mean, rows = remedies.unremedied.cost.mean_bits, remedies.confirmed or remedies.recommended
    return min(rows, key=lambda r: abs(r.cost.mean_bits - mean), default=None)


def _intro(record: Record, remedies: Remedies) -> list[str]:
    before = remedies.unremedied
    if before is None or not remedies.remedies:
        return []
    right = "right" if record.subject.labelled else "as in float"
    return [
        f"Under {clean(remedies.worst or '')}, {rate_text(before.right)} {noun(record)} are "
        f"{right}; in float {rate_text(remedies.float_right)}. Each remedy changes the network, "
        "and the worst bits for every example are then looked for anew, as hard as in the run: an "
        "adversary answers to what is protected. Mean bits stay the same, over the places that "
        "are still quantized.",
    ]


def _rows(record: Record, remedies: Remedies) -> list[Row]:
    known = [] if remedies.unremedied is None else [remedies.unremedied]
    return [
        Row(
            number=number,
            words=clean(row.words),
            places=_picked(record, row),
            in_float=f"{row.cost.in_float}; {percent(row.cost.float_macs)}",
            bits=f"{mean_text(row.cost.mean_bits)}; {mean_text(row.cost.mean_with_float)}",
            freedom=f"{row.cost.freedom_log2:.0f}",
            right=rate_text(row.right),
            interval=rate_interval(row.right),
            regained="" if row.family == "none" else _regained(row.regained),
            lost=_points(row.loss, -1),
            status=row.standing,
            on_front=row.on_front,
        )
        for number, row in enumerate([*known, *remedies.remedies])
        if remedies.remedies
    ]


def _picked(record: Record, row: Remedied) -> str:
    """Places in float, or else with a floor, numbered among those that the run quantizes."""
    names = [point.name for point in record.subject.points if point.quantized]
    chosen = [place for place, name in enumerate(names, 1) if name in row.float_points]
    chosen = chosen or [place for place, name in enumerate(names, 1) if name in row.floors]
    if not 0 < len(chosen) < len(names):
        return ""
    return f"place{'s' if len(chosen) > 1 else ''} {', '.join(map(str, chosen))}"


def _notes(record: Record, remedies: Remedies) -> list[str]:
    if not remedies.remedies:
        return []
    notes = [
        "Places are numbered from the input on, among those that the run quantizes. "
        "In float: places, and their share of the multiply-adds of all places that the run "
        "quantizes. Mean bits: over the places still quantized; then over all of them, a place in "
        "float counted as 32. Freedom: log2 of how many ways the adversary has to spend the bits. "
        "A place in float keeps its values; weights are rounded as in the run.",
    ]
    if remedies.chosen_on:
        notes.append(
            f"The percentile was chosen on {remedies.chosen_on} {noun(record)}, and its row speaks "
            "of the others only."
        )
    if remedies.recommended_on:
        notes.append(
            f"Which places to protect and which remedy to recommend was decided on "
            f"{remedies.recommended_on} {noun(record)}, drawn by seed; the others confirm it. The "
            "table shows all of them. Only the inflection points, where the layers were asked "
            "for, were found on all."
        )
    if remedies.tuned:
        notes.append("The fine-tuned network stands beside the record as network.safetensors.")
    if (drawn := remedies.random) is not None:
        notes.append(
            "If the runtime itself draws each input's bits at random, nobody picks them, so there "
            f"is no worst case to look for: over {drawn.draws} draws {rate_text(drawn.mean)} are "
            f"right on average (at most as uncertain as {rate_interval(drawn.mean)}), in the worst "
            f"draw {rate_text(drawn.worst)}, and {rate_text(drawn.all_right)} in every draw: who "
            "may try again and again breaks the others. “randomised: true” in a plan asks for it."
        )
    return notes


def _checked(row: Remedied, where: str) -> str:
    return (
        f"At {mean_text(row.cost.mean_bits)} bits{where}: {rate_text(row.right)} right under the "
        f"worst case found anew, {rate_text(row.before)} without the plan; {_points(row.loss, -1)} "
        "points lost against float."
    )


def _use(record: Record, remedies: Remedies) -> list[str]:
    if remedies.plan is None:
        return []
    command = clean(record.provenance.command, 2000)
    if remedies.plan.weights_sha256 != record.provenance.weights_sha256:
        before, after = clean(record.subject.model), clean(remedies.plan.model)
        if before != after:  # A shipped network's architecture: it brings no data.
            command = f"{command.replace(before, after, 1)} --data {clean(record.subject.data)}"
        command += " --weights RUN/network.safetensors"
    return [f"{command} --plan RUN/plan.yaml --out RUN-with-plan"]


def _regained(change: Change) -> str:
    return _points(change) if change.low > 0 else f"nothing beyond chance: {_points(change)}"


def _points(change: Change, sign: int = 1) -> str:
    """ "81.0 (76.0 to 85.1)": percentage points with their interval."""
    return f"{decimal(sign * change.value)} ({_interval(change, sign)})"


def _interval(change: Change, sign: int = 1) -> str:
    ends = sorted((sign * change.low, sign * change.high))
    return " to ".join(map(decimal, ends))
