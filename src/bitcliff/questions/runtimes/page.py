"""What other people's runtimes make of the network, and where the simulation parts from them."""

from collections.abc import Mapping

from bitcliff.questions.runtimes.record import (
    ELSEWHERE,
    KEY,
    OtherDecisions,
    RungName,
    RuntimeFigures,
    RuntimeObserved,
    Runtimes,
    RuntimesObserved,
)
from bitcliff.questions.runtimes.statistics import conditions_in
from bitcliff.record import Record
from bitcliff.report.filters import of, of_with_interval
from bitcliff.report.formatting import class_name, clean
from bitcliff.report.section import Section
from bitcliff.types.rate import Rate

_NAME = 80
_SHOWN = 20
_TOLD = 6
_NAMES: Mapping[RungName, str] = {
    "simulation": "Simulated here",
    "weights": "+ weights",
    "range": "+ range",
    "layers": "+ layers",
    "activations": "+ activations",
    "rows": "+ rows",
    "folded": "+ folding",
    "weights-float": "Instead: weights in float",
    "weights-per-channel": "Instead: weights per channel",
    "activations-per-row": "Instead: a scale a row",
    "runtime": "The runtime",
    "batch": "The runtime, in batches",
}


def runtimes_section(record: Record, figures: Runtimes) -> Section:
    """What was observed of each runtime, its figures and its finding, in the record's order."""
    observed = record.observed_by(KEY, RuntimesObserved)
    pairs = zip([] if observed is None else observed.runtimes, figures.runtimes, strict=True)
    runtimes = [(seen, found, _finding(found)) for seen, found in pairs]
    first = runtimes[0][-1] if runtimes else ""
    warnings = [
        warning(seen, figures) if seen.may_saturate else "" for seen, figures, _ in runtimes
    ]
    data = {
        "runtimes": runtimes,
        "rung_names": _NAMES,
        "speed": speed_text,
        "warnings": warnings,
        "forecasts": [
            _forecast(seen, found) + _in_batches(seen, found) for seen, found, _ in runtimes
        ],
        "elsewhere": [_examples(record, seen, found) for seen, found, _ in runtimes],
    }
    return Section(KEY, "What runtimes make of it", first, data)


def runtimes_lines(record: Record) -> list[str]:
    """For the terminal: of each runtime what it is and what it leaves in float, and warnings."""
    observed, figures = record.observed_by(KEY, RuntimesObserved), record.answer(KEY, Runtimes)
    if observed is None or figures is None:
        return []
    pairs = zip(observed.runtimes, figures.runtimes, strict=True)
    return [line for one, found in pairs for line in _lines(one, found)]


def _lines(observed: RuntimeObserved, figures: RuntimeFigures) -> list[str]:
    name = clean(observed.name, _NAME)
    integers, rest = (_counted(kinds) for kinds in (observed.quantized, observed.in_float))
    lines = [
        f"{name}: {clean(observed.description, 400)}. In integers: {integers}; in float: {rest}."
    ]
    if figures.faster is not None and figures.faster < 1:
        slower = speed_text(figures.faster)
        lines[0] += f" On this machine {slower} as float in the same runtime."
    if observed.may_saturate:
        lines.append(f"! {name}: {warning(observed, figures)}")
    if forecast := _forecast(observed, figures):
        other, batch = figures.other_processor, figures.other_in_batches
        told = [] if other is None else [clean(one, 40) for one in other.examples]
        mark = "! " * bool(told or (batch and batch.examples))
        more = f" They are {', '.join(told[:_TOLD])}{', …' * (len(told) > _TOLD)}." if told else ""
        lines.append(f"{mark}{name}: {forecast}{more}{_in_batches(observed, figures)}")
    lines += [f"! {name}: no forecast for {clean(one, 400)}." for one in observed.not_forecast]
    return lines + [f"! {name}: of the plan, {clean(one, 300)}." for one in observed.not_applied]


def _forecast(observed: RuntimeObserved, figures: RuntimeFigures) -> str:
    """What processors of the other kind decide, and how that is known; empty: no forecast."""
    there, found = observed.other_processor, figures.other_processor
    if there is None or found is None:
        return ""
    text = f"on {ELSEWHERE[there.saturates]} {of_with_interval(found.changed)} decisions would "
    text += f"differ from here{_right(found)}: the sums of its integer products were simulated."
    if there.checked:
        text += (
            f" This processor's own, simulated pair by pair, gave the runtime's scores to the bit "
            f"for {there.alike} of {there.checked} examples (no nodes fused)."
        )
    return text


def _in_batches(observed: RuntimeObserved, figures: RuntimeFigures) -> str:
    """The same of the runtime in batches, to go on with; empty: it takes none."""
    there, found = observed.other_in_batches, figures.other_in_batches
    if there is None or found is None:
        return ""
    text = f" In batches {of_with_interval(found.changed)} would differ{_right(found)}"
    if there.checked:
        text += f" (to the bit for {there.alike} of {there.checked})"
    return f"{text}."


def _right(found: OtherDecisions) -> str:
    if found.right_here is None or found.right_there is None:
        return ""
    return f", and {of(found.right_there)} would be right, where {of(found.right_here)} are here"


def _examples(
    record: Record, observed: RuntimeObserved, figures: RuntimeFigures
) -> list[tuple[str, ...]]:
    """The first that are decided otherwise: id, label, float, here, there."""
    there, found = observed.other_processor, figures.other_processor
    if there is None or found is None:
        return []
    place_of = {name: place for place, name in enumerate(record.table.ids)}
    here = conditions_in(record, observed.name)[0].name
    rows = []
    for name in found.examples[:_SHOWN]:
        row = record.examples[place_of[name]]
        classes = (
            row.label,
            row.float_prediction,
            row.outcomes[here].prediction,
            int(there.prediction[place_of[name]]),
        )
        rows.append((clean(name), *(class_name(record.subject, one) for one in classes)))
    return rows


def warning(observed: RuntimeObserved, figures: RuntimeFigures) -> str:
    """Where sums may saturate: why, and what would be right."""
    elsewhere = [one for one in (figures.other_processor, figures.other_in_batches) if one]
    if elsewhere and not any(one.changed.k for one in elsewhere):
        end = "may saturate; on these examples that changes no answer."
    else:
        better = "" if observed.options is None else "give weights=uint8, or "
        end = (
            f"may saturate, so accuracy may be lower here than on a processor that has it; {better}"
            "set ONNX Runtime's session.x64quantprecision to 1 (a reduced range avoids it too, but "
            "leaves weights 7 bits, which can cost more)."
        )
    return (
        "weights of 8 bits with a sign, and this processor has no instruction for integer sums "
        f"(VNNI): unsigned by signed products are added two by two in 16 bits and {end}"
    )


def speed_text(faster: float | None) -> str:
    """Of what runs so many times as fast as something else."""
    if faster is None:
        return "–"
    fast = faster >= 1
    return f"{faster if fast else 1 / faster:.1f} times as {'fast' if fast else 'slow'}"


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {clean(kind, 40)}" for kind, count in kinds.items()) or "none"


def _finding(figures: RuntimeFigures) -> str:
    """How far the simulation is from the runtime, and which change brings it nearest."""
    if not figures.rungs:
        return ""
    simulated = [rung for rung in figures.rungs if rung.name not in ("runtime", "batch")]
    first, last = simulated[0], simulated[-1]
    text = (
        f"Simulated at 8 bits everywhere, {_of(first.from_runtime)} decisions are other than in "
        f"{clean(figures.name)}"
    )
    if last is not first:
        text += f"; with everything simulated that can be told apart, {_of(last.from_runtime)}"
    text += ". What is left is the rest: sums, saturation and how weights are rounded."
    batch = figures.rungs[-1]
    if batch.name == "batch" and batch.changed is not None:
        text += f" Batches change {_of(batch.changed)} decisions."
    return text


def _of(rate: Rate) -> str:
    return f"{rate.k} of {rate.n}"
