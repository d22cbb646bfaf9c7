"""A runtime simulated as closely as can be told apart, one change after the other."""

from dataclasses import dataclass, replace

from torch import nn

from bitcliff.audit.evaluator import Evaluator
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.fold import fold_batchnorm
from bitcliff.quant import Scheme
from bitcliff.questions.runtime_description import Step
from bitcliff.types.runtime import Runtime
from bitcliff.types.settings import Selection
from bitcliff.types.subject import AllInputs

ROWS = "one scale for each row (token) of what a product sums over, not for each example"
_RANGE = "onnx"
_IN_FLOAT = "the runtime leaves it in float"
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Variant:
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

    def on(self, evaluator: Evaluator, weights_by_point: bool = False) -> Evaluator:
        """The same data run so."""
        attachment = Attachment(
            self.module,
            self.plan,
            self.scheme,
            self.weight_bits,
            self.per_channel,
            per_row=self.per_row,
            weights_by_point=weights_by_point,
        )
        attachment.final = evaluator.attachment.final
        return Evaluator(attachment, evaluator.inputs, evaluator.batch_size)


def towards(
    runtime: Runtime, prepared: Prepared
) -> tuple[list[tuple[Step, str, Variant]], list[str]]:
    """From 8 bits everywhere as the run simulates it, each variant nearer by one thing than the one
    before; what is so already is no step.

    Returns:
        The steps, with what each changes in words, and what could not be simulated.
    """
    settings, attachment = prepared.settings, prepared.evaluator.attachment
    now = Variant(
        attachment.model,
        attachment.plan,
        settings.scheme,
        settings.weight_bits,
        settings.per_channel,
    )
    words = "8 bits at every point, as this run simulates it"
    steps: list[tuple[Step, str, Variant]] = [("simulation", words, now)]
    left_out: list[str] = []

    def step(name: Step, words: str, changed: Variant) -> None:
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
        step("rows", ROWS, replace(now, per_row=True))
    if runtime.folded and any(isinstance(m, _NORMS) for m in now.module.modules()):
        try:
            folded = _folded(now.module, prepared.evaluator.inputs)
            words = "batch normalisation folded into the weights before they are rounded"
            plan = _plan_of(runtime, folded, prepared)
            step("folded", words, replace(now, module=folded, plan=plan))
        except InputError as reason:
            left_out.append(f"folded: {reason}")
    return steps, left_out


def _plan_of(runtime: Runtime, module: nn.Module, prepared: Prepared) -> Plan:
    """The points whose inputs the runtime rounds, the input itself among them."""
    whole = discover(module, prepared.evaluator.inputs, Selection(include_stem=True))
    mine = {point.site for point in whole.rounded_by(runtime)}
    if not mine:
        raise InputError("none of the runtime's layers is a point")
    seen = tuple(p if p.site in mine else replace(p, reason=_IN_FLOAT) for p in whole.seen)
    weights = {site: roles if site in mine else () for site, roles in whole.weights.items()}
    return replace(whole, seen=seen, weights=weights)


def _folded(module: nn.Module, inputs: AllInputs) -> nn.Module:
    """A copy without batch normalisation; an InputError where some stays."""
    folded, names = fold_batchnorm(module, inputs)
    left = sum(isinstance(m, _NORMS) for m in folded.modules())
    if left:
        of = left + len(names)
        raise InputError(f"{left} of {of} batch normalisations could not be folded")
    return folded
