"""Where simulation and runtime disagree, and why: from one to the other, one change at a time.

The first rung is 8 bits everywhere as the run simulates it, the last the runtime itself. Whatever
lies between the last simulated rung and the runtime, and is not one of the changes between, is the
rest: how weights are rounded beyond their scale's place, the runtime's sums, saturation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.outcomes import Trial, outcomes_of
from bitcliff.audit.prepare import Prepared
from bitcliff.questions.runtime_simulation import ROWS, Variant, towards
from bitcliff.questions.runtimes.record import Simulated, SimulatedRung
from bitcliff.types.runtime import Runtime


@dataclass(frozen=True)
class Ablation:
    """The rungs that are simulated, what other weights or a scale for each row would give, what
    could not be measured."""

    rungs: list[SimulatedRung] = field(default_factory=list)
    instead: list[SimulatedRung] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def ablation(runtime: Runtime, prepared: Prepared) -> Ablation:
    """From the run's simulation towards the runtime, and from there to finer scales."""
    steps, left_out = towards(runtime, prepared)
    some: tuple[Iterable[tuple[Simulated, str, Variant]], ...] = (steps, _instead(steps[-1][2]))
    rungs, instead = (
        [_rung(name, words, one, prepared.evaluator) for name, words, one in variants]
        for variants in some
    )
    return Ablation(rungs, instead, left_out)


def _rung(name: Simulated, words: str, variant: Variant, evaluator: Evaluator) -> SimulatedRung:
    everyone = torch.arange(len(evaluator.reference))
    bits = torch.full((len(everyone), len(variant.plan)), variant.bits)
    scores = variant.on(evaluator).scores(everyone, bits)
    found = outcomes_of(Trial(everyone, None, scores), evaluator.reference)
    return SimulatedRung(name=name, words=words, prediction=found.prediction, margin=found.margin)


def _instead(last: Variant) -> list[tuple[Simulated, str, Variant]]:
    """What is to blame on the weights, and on one scale for all rows: each differs from the last
    simulation in that alone."""
    found: list[tuple[Simulated, str, Variant]] = [
        ("weights-float", "weights in float", replace(last, weight_bits=None)),
    ]
    if not last.per_channel:
        words = f"weights at {last.weight_bits} bits, one scale for each output channel"
        found.append(("weights-per-channel", words, replace(last, per_channel=True)))
    if not last.per_row and last.has_rows:
        found.append(("activations-per-row", ROWS, replace(last, per_row=True)))
    return found
