"""Where simulation and runtime disagree, and why: from one to the other, one change at a time.

The first rung is 8 bits everywhere as the run simulates it, the last the runtime itself. Whatever
lies between the last simulated rung and the runtime, and is not one of the changes below, is the
rest: how weights are rounded beyond their scale's place, the runtime's sums, saturation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import nn

from bitcliff.assess.evaluate import Evaluator, Scores
from bitcliff.assess.measured import Predictions, Trial, outcomes_of
from bitcliff.assess.suite import Suite
from bitcliff.errors import InputError
from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.fold import fold_batchnorm
from bitcliff.quant import Scheme
from bitcliff.records import Outcome
from bitcliff.records.runtimes import Rung
from bitcliff.stats import rate
from bitcliff.types.rate import Rate
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import Selection
from bitcliff.types.subject import Inputs

_WEIGHT_BITS = 8
_RANGE = "onnx"
_IN_FLOAT = "the runtime leaves it in float"
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


Outcomes = Sequence[Outcome]
"""One an example, in the order of the data."""


@dataclass(frozen=True)
class _Variant:
    """A simulation: `bits` at every point of `plan`."""

    module: nn.Module
    plan: Plan
    scheme: str
    weight_bits: int | None
    per_channel: bool
    bits: int = 8

    def outcomes(self, evaluator: Evaluator) -> Outcomes:
        """On the data of `evaluator`."""
        attachment = Attachment(
            self.module, self.plan, self.scheme, self.weight_bits, self.per_channel
        )
        own = Evaluator(attachment, evaluator.inputs, evaluator.batch_size)
        everyone = torch.arange(len(evaluator.reference))
        bits = torch.full((len(everyone), len(self.plan)), self.bits)
        scores: Scores = own.scores(everyone, bits)
        return list(outcomes_of(Trial(everyone, None, scores), evaluator.reference).values())


def ladder(runtime: Runtime, suite: Suite, in_float: Predictions) -> tuple[list[Rung], list[str]]:
    """The rungs, and what could not be measured.

    Args:
        suite: has measured the runtime. in_float: what the network says in float.
    """
    steps, left_out = _simulated(runtime, suite)
    found = [(name, words, one.outcomes(suite.evaluator)) for name, words, one in steps]
    found += list(_measured(runtime, suite))
    target = _outcomes(suite, runtime.name)
    above: list[Outcomes | None] = [None, *(outcomes for _, _, outcomes in found)]
    rungs = [
        Rung(
            name=name,
            words=words,
            changed=None if before is None else _differ(_predictions(before), outcomes),
            from_float=_differ(in_float, outcomes),
            from_runtime=_differ(_predictions(target), outcomes),
            margin_gap=_gap(target, outcomes),
        )
        for (name, words, outcomes), before in zip(found, above, strict=False)
    ]
    return rungs, left_out


_Step = tuple[str, str, _Variant]


def _simulated(runtime: Runtime, suite: Suite) -> tuple[list[_Step], list[str]]:
    """Each variant differs from the one before in one thing; what is so already is no rung."""
    settings, attachment = suite.settings, suite.evaluator.attachment
    now = _Variant(
        attachment.model,
        attachment.plan,
        settings.scheme,
        settings.weight_bits,
        settings.per_channel,
    )
    steps = [("simulation", "8 bits at every point, as this run simulates it", now)]
    left_out: list[str] = []

    def step(name: str, words: str, changed: _Variant) -> None:
        nonlocal now
        if changed != now:
            steps.append((name, words, changed))
            now = changed

    each = "output channel" if runtime.per_channel else "tensor"
    weights = replace(now, weight_bits=_WEIGHT_BITS, per_channel=runtime.per_channel)
    step("weights", f"weights at {_WEIGHT_BITS} bits, one scale for each {each}", weights)
    if Scheme.parse(now.scheme) != Scheme.parse(_RANGE):
        step("range", "zero is always in the range", replace(now, scheme=_RANGE))
    try:
        words = "the layers that the runtime quantizes, the first one too, and no others"
        step("layers", words, replace(now, plan=_plan_of(runtime, now.module, suite)))
    except InputError as reason:
        left_out.append(f"layers: {reason}")
    bits = runtime.activation_bits
    step("activations", f"activations at {bits} bits", replace(now, bits=bits))
    if runtime.folded and any(isinstance(m, _NORMS) for m in now.module.modules()):
        try:
            folded = _folded(now.module, suite.evaluator.inputs)
            words = "batch normalisation folded into the weights before they are rounded"
            plan = _plan_of(runtime, folded, suite)
            step("folded", words, replace(now, module=folded, plan=plan))
        except InputError as reason:
            left_out.append(f"folded: {reason}")
    return steps, left_out


def _plan_of(runtime: Runtime, module: nn.Module, suite: Suite) -> Plan:
    """The points whose inputs the runtime rounds, the picture itself among them."""
    whole = discover(module, suite.evaluator.inputs, Selection(include_stem=True))
    mine = {
        point.site
        for point in whole.seen
        if point.kind in runtime.kinds and whole.weights.get(point.site)
    }
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


def _measured(runtime: Runtime, suite: Suite) -> Iterator[tuple[str, str, Outcomes]]:
    words = f"{runtime.version} itself, each example by itself"
    yield "runtime", words, _outcomes(suite, runtime.name)
    batch = f"{runtime.name}-batch"
    if batch in suite.done:
        size = suite.evaluator.batch_size
        yield "batch", f"the same in batches of {size}", _outcomes(suite, batch)


def _outcomes(suite: Suite, name: str) -> Outcomes:
    outcomes = suite.done[name].outcomes
    return [outcomes[place] for place in range(len(outcomes))]


def _predictions(outcomes: Outcomes) -> Predictions:
    return [outcome.prediction for outcome in outcomes]


def _differ(before: Predictions, after: Outcomes) -> Rate:
    """Decisions that are not the same, where both have one."""
    pairs = [
        (one, outcome.prediction)
        for one, outcome in zip(before, after, strict=True)
        if one is not None and outcome.prediction is not None
    ]
    return rate(sum(one != other for one, other in pairs), len(pairs))


def _gap(target: Outcomes, outcomes: Outcomes) -> float | None:
    """The median distance of the margins, where both have one."""
    gaps = [
        abs(one.margin - other.margin)
        for one, other in zip(target, outcomes, strict=True)
        if one.margin is not None and other.margin is not None
    ]
    return median(gaps) if gaps else None
