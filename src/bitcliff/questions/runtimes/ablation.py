"""Where simulation and runtime disagree, and why: from one to the other, one change at a time.

The first rung is 8 bits everywhere as the run simulates it, the last the runtime itself. Whatever
lies between the last simulated rung and the runtime, and is not one of the changes below, is the
rest: how weights are rounded beyond their scale's place, the runtime's sums, saturation.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.outcomes import Trial, outcomes_of
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.fold import fold_batchnorm
from bitcliff.quant import Scheme
from bitcliff.questions.runtimes.record import Simulated, SimulatedRung
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import Selection
from bitcliff.types.subject import Inputs

_RANGE = "onnx"
_IN_FLOAT = "the runtime leaves it in float"
_ROWS = "one scale for each row (token) of what a product sums over, not for each example"
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class _Variant:
    """A simulation: `bits` at every point of `plan`."""

    module: nn.Module
    plan: Plan
    scheme: str
    weight_bits: int | None
    per_channel: bool
    bits: int = 8
    per_row: bool = False

    @property
    def has_rows(self) -> bool:
        """Whether a scale for each row is another than one for each example."""
        return any(point.has_rows for point in self.plan.points)

    def rung(self, name: Simulated, words: str, evaluator: Evaluator) -> SimulatedRung:
        """On the data of `evaluator`."""
        attachment = Attachment(
            self.module,
            self.plan,
            self.scheme,
            self.weight_bits,
            self.per_channel,
            per_row=self.per_row,
        )
        attachment.final = evaluator.attachment.final
        mine = Evaluator(attachment, evaluator.inputs, evaluator.batch_size)
        everyone = torch.arange(len(evaluator.reference))
        scores = mine.scores(everyone, torch.full((len(everyone), len(self.plan)), self.bits))
        found = outcomes_of(Trial(everyone, None, scores), evaluator.reference)
        return SimulatedRung(
            name=name, words=words, prediction=found.prediction, margin=found.margin
        )


@dataclass(frozen=True)
class Ablation:
    """The rungs that are simulated, what other weights would give, what could not be measured."""

    rungs: list[SimulatedRung] = field(default_factory=list)
    instead: list[SimulatedRung] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def ablation(runtime: Runtime, prepared: Prepared) -> Ablation:
    """From the run's simulation towards the runtime, and from there to better weights."""
    steps, left_out = _simulated(runtime, prepared)
    rungs, instead = (
        [one.rung(name, words, prepared.evaluator) for name, words, one in some]
        for some in (steps, _instead(steps[-1][2]))
    )
    return Ablation(rungs, instead, left_out)


_Step = tuple[Simulated, str, _Variant]


def _simulated(runtime: Runtime, prepared: Prepared) -> tuple[list[_Step], list[str]]:
    """Each variant differs from the one before in one thing; what is so already is no rung."""
    settings, attachment = prepared.settings, prepared.evaluator.attachment
    now = _Variant(
        attachment.model,
        attachment.plan,
        settings.scheme,
        settings.weight_bits,
        settings.per_channel,
    )
    words = "8 bits at every point, as this run simulates it"
    steps: list[_Step] = [("simulation", words, now)]
    left_out: list[str] = []

    def step(name: Simulated, words: str, changed: _Variant) -> None:
        nonlocal now
        if changed != now:
            steps.append((name, words, changed))
            now = changed

    each = "output channel" if runtime.per_channel else "tensor"
    width = runtime.weight_bits
    weights = replace(now, weight_bits=width, per_channel=runtime.per_channel)
    step("weights", f"weights at {width} bits, one scale for each {each}", weights)
    if Scheme.parse(now.scheme) != Scheme.parse(_RANGE):
        step("range", "zero is always in the range", replace(now, scheme=_RANGE))
    try:
        words = "the layers that the runtime quantizes, the first one too, and no others"
        step("layers", words, replace(now, plan=_plan_of(runtime, now.module, prepared)))
    except InputError as reason:
        left_out.append(f"layers: {reason}")
    bits = runtime.activation_bits
    step("activations", f"activations at {bits} bits", replace(now, bits=bits))
    if runtime.per_row and now.has_rows:
        step("rows", _ROWS, replace(now, per_row=True))
    if runtime.folded and any(isinstance(m, _NORMS) for m in now.module.modules()):
        try:
            folded = _folded(now.module, prepared.evaluator.inputs)
            words = "batch normalisation folded into the weights before they are rounded"
            plan = _plan_of(runtime, folded, prepared)
            step("folded", words, replace(now, module=folded, plan=plan))
        except InputError as reason:
            left_out.append(f"folded: {reason}")
    return steps, left_out


def _instead(last: _Variant) -> list[_Step]:
    """What is to blame on the weights, and on one scale for all rows: each differs from the last
    simulation in that alone."""
    found: list[_Step] = [
        ("weights-float", "weights in float", replace(last, weight_bits=None)),
    ]
    if not last.per_channel:
        words = f"weights at {last.weight_bits} bits, one scale for each output channel"
        found.append(("weights-per-channel", words, replace(last, per_channel=True)))
    if not last.per_row and last.has_rows:
        found.append(("activations-per-row", _ROWS, replace(last, per_row=True)))
    return found


def _plan_of(runtime: Runtime, module: nn.Module, prepared: Prepared) -> Plan:
    """The points whose inputs the runtime rounds, the input itself among them."""
    whole = discover(module, prepared.evaluator.inputs, Selection(include_stem=True))
    mine = {point.site for point in whole.rounded_by(runtime)}
    if not mine:
        raise InputError("none of the runtime's layers is a point")
    seen = tuple(p if p.site in mine else replace(p, reason=_IN_FLOAT) for p in whole.seen)
    weights = {site: roles if site in mine else () for site, roles in whole.weights.items()}
    return replace(whole, seen=seen, weights=weights)


def _folded(module: nn.Module, inputs: Inputs) -> nn.Module:
    """A copy without batch normalisation; an InputError where some stays."""
    folded, names = fold_batchnorm(module, inputs)
    left = sum(isinstance(m, _NORMS) for m in folded.modules())
    if left:
        of = left + len(names)
        raise InputError(f"{left} of {of} batch normalisations could not be folded")
    return folded
