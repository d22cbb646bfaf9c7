"""What other people's runtimes make of the network, and where the simulation parts from them."""

from collections.abc import Mapping
from dataclasses import dataclass

from bitcliff.questions.runtimes.record import (
    KEY,
    Rung,
    RungName,
    RuntimeFigures,
    RuntimeObserved,
    Runtimes,
    RuntimesObserved,
    Seconds,
)
from bitcliff.records import Record
from bitcliff.report.section import Section
from bitcliff.report.words import NOTHING, clean, rate_interval
from bitcliff.types.rate import Rate

_NAMES: Mapping[RungName, str] = {
    "simulation": "Simulated here",
    "weights": "+ weights",
    "range": "+ range",
    "layers": "+ layers",
    "activations": "+ activations",
    "folded": "+ folding",
    "runtime": "The runtime",
    "batch": "The runtime, in batches",
}


@dataclass(frozen=True)
class RungLine:
    """One rung: what it changes, and the decisions that are other than elsewhere."""

    name: str
    words: str
    changed: str
    from_float: str
    from_runtime: str
    gap: str


@dataclass(frozen=True)
class RuntimeBlock:
    """One runtime as the report shows it."""

    name: str
    version: str
    words: str
    integers: str
    in_float: str
    processor: str
    quantized: str
    floating: str
    simulation: str
    ratio: str
    finding: str
    rungs: tuple[RungLine, ...]
    left_out: tuple[str, ...]


def runtimes_section(record: Record, figures: Runtimes) -> Section:
    """One block a runtime, in the record's order."""
    observed = record.observed_by(KEY, RuntimesObserved)
    pairs = zip([] if observed is None else observed.runtimes, figures.runtimes, strict=True)
    blocks = [_block(seen, found) for seen, found in pairs]
    return Section(KEY, "What runtimes make of it", blocks[0].finding if blocks else "", blocks)


def _block(runtime: RuntimeObserved, figures: RuntimeFigures) -> RuntimeBlock:
    speed = runtime.speed
    return RuntimeBlock(
        name=clean(runtime.name),
        version=clean(runtime.version),
        words=clean(runtime.description, 400),
        integers=_counts(runtime.quantized),
        in_float=_counts(runtime.in_float),
        processor=", ".join(clean(flag) for flag in runtime.cpu_flags)
        or "none: sums of 8-bit unsigned by signed products may saturate on this processor; "
        "unsigned weights and 7-bit activations are safe",
        quantized=_time(speed.quantized),
        floating=_time(speed.in_float),
        simulation=_time(speed.simulation),
        ratio=_ratio(figures.faster),
        finding=_finding(figures),
        rungs=tuple(_line(rung) for rung in figures.rungs),
        left_out=tuple(clean(reason, 300) for reason in runtime.left_out),
    )


def _counts(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {clean(kind, 40)}" for kind, count in kinds.items()) or "none"


def _time(seconds: Seconds | None) -> str:
    if seconds is None:
        return NOTHING
    low, median, high = (1e3 * part for part in (seconds.low, seconds.median, seconds.high))
    return f"{median:.2f} ({low:.2f}–{high:.2f})"


def _ratio(faster: float | None) -> str:
    """ "1.6 times as fast" as in float, or "9.5 times as slow"."""
    if faster is None:
        return NOTHING
    return f"{faster:.1f} times as fast" if faster >= 1 else f"{1 / faster:.1f} times as slow"


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


def _line(rung: Rung) -> RungLine:
    return RungLine(
        name=_NAMES[rung.name],
        words=clean(rung.words, 200),
        changed=NOTHING if rung.changed is None else _cell(rung.changed),
        from_float=_cell(rung.from_float),
        from_runtime=_cell(rung.from_runtime),
        gap=NOTHING if rung.margin_gap is None else f"{rung.margin_gap:.3g}",
    )


def _cell(rate: Rate) -> str:
    return f"{rate.k}/{rate.n} ({rate_interval(rate)})" if rate.n else NOTHING
