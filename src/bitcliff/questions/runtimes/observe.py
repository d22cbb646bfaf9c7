"""What the record says of a runtime beyond its decisions: what it quantized, how fast it is."""

import time
from collections.abc import Callable

import numpy as np
import torch

from bitcliff.adapters.optional import quiet
from bitcliff.audit.outcomes import Trial, outcomes_of
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.points.attach import rounding_to
from bitcliff.points.forward import batch_size
from bitcliff.questions.runtime_description import described
from bitcliff.questions.runtimes.ablation import Ablation, ablation
from bitcliff.questions.runtimes.record import (
    ELSEWHERE,
    OtherProcessor,
    RuntimeObserved,
    RuntimesObserved,
    Seconds,
    Speed,
)
from bitcliff.record.provenance import cpu_flags
from bitcliff.types.runtime import Run, Runtime

_TAKES = 7
_TIMED = 32
# Where none of them is there, an x86 processor adds unsigned by signed products in 16 bits.
_INTEGER_SUMS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
_X86 = "avx2"
_CHECKED = 64


def observe_runtimes(
    prepared: Prepared,
    progress: Callable[[str, int, int], None] | None,
) -> RuntimesObserved:
    """Every runtime that the network was handed to.

    Args:
        progress: told which runtime is at work, how many are done, and of how many.
    """
    found = []
    for number, runtime in enumerate(prepared.runtimes):
        if progress is not None:
            progress(f"{runtime.name} against the simulation", number, len(prepared.runtimes))
        found.append(_observe(runtime, prepared))
    return RuntimesObserved(runtimes=found)


def _observe(runtime: Runtime, prepared: Prepared) -> RuntimeObserved:
    # Of a network that is not looked into, nothing can be simulated; nor what a file does inside.
    inside = prepared.points and runtime.kinds
    steps = ablation(runtime, prepared) if inside else Ablation()
    have = cpu_flags()
    sums = [flag for flag in _INTEGER_SUMS if flag in have]
    saturates = _X86 in have and not sums
    there, not_told = _elsewhere(runtime, prepared, saturates)
    return RuntimeObserved(
        **dict(described(runtime)),
        cpu_flags=sums,
        may_saturate=runtime.sums is not None and saturates,
        speed=_speed(runtime, prepared),
        rungs=steps.rungs,
        instead=steps.instead,
        left_out=steps.left_out,
        not_forecast=not_told,
        other_processor=there.get(1),
        other_in_batches=next((one for size, one in there.items() if size > 1), None),
    )


def _elsewhere(
    runtime: Runtime, prepared: Prepared, saturates: bool
) -> tuple[dict[int, OtherProcessor], list[str]]:
    """What processors of the other kind decide, by the size of the batches, and what could not be
    told.

    Where this one saturates, that is simulated too, for some examples: it must give what it gave.
    """
    if runtime.sums is None:
        return {}, []
    evaluator, everyone = prepared.evaluator, prepared.everyone
    try:
        other = runtime.sums.exact() if saturates else runtime.sums.saturating()
    except InputError as reason:
        return {}, [f"{ELSEWHERE[not saturates]}: {reason}"]
    both, not_told = tuple[Run, ...](), list[str]()
    if saturates:
        try:
            both = runtime.sums.compared()
        except InputError as reason:
            not_told.append(f"whether this processor's own sums are understood: {reason}")
    found = {}
    for size in runtime.sizes(evaluator.batch_size):
        scores = evaluator.runtime_scores(everyone, other, size)
        outcomes = outcomes_of(Trial(everyone, None, scores), evaluator.reference)
        checked, alike = _checked(both, prepared, size)
        found[size] = OtherProcessor(
            saturates=not saturates,
            prediction=outcomes.prediction,
            margin=outcomes.margin,
            checked=checked,
            alike=alike,
        )
    return found, not_told


def _checked(both: tuple[Run, ...], prepared: Prepared, size: int) -> tuple[int, int]:
    """Examples whose saturating sums were simulated, and those with the same scores to the bit."""
    if not both:
        return 0, 0
    some = prepared.everyone[:_CHECKED]
    of = (prepared.evaluator.runtime_scores(some, run, size).logits for run in both)
    same = torch.stack([*of]).view(torch.int32).diff(dim=0) == 0
    return len(some), int(same.all(2).sum())


def _speed(runtime: Runtime, prepared: Prepared) -> Speed:
    """By turns, so that whatever else the machine does falls on all alike."""
    evaluator = prepared.evaluator
    size = min(_TIMED, evaluator.batch_size) if runtime.batches else 1
    inputs = take(evaluator.inputs, torch.arange(size))
    runs: dict[str, Callable[[], object]] = {
        "quantized": lambda: runtime.run(inputs),
        "in_float": lambda: runtime.run_float(inputs),
    }
    if prepared.points:
        rounding = rounding_to(torch.full((size, len(prepared.points)), 8))
        runs["simulation"] = lambda: evaluator.attachment.run(inputs, rounding)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad(), quiet():
        for take_number in range(1 + _TAKES):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if take_number:  # the first is to warm up
                    taken[name].append((time.perf_counter() - start) / batch_size(inputs))
    seconds = {name: _quartiles(values) for name, values in taken.items()}
    return Speed(
        batch_size=size,
        takes=_TAKES,
        quantized=seconds["quantized"],
        in_float=seconds["in_float"],
        simulation=seconds.get("simulation"),
    )


def _quartiles(values: list[float]) -> Seconds:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return Seconds(median=median, low=low, high=high)
