"""Running a model with its points quantized, and leaving it as it was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.balance import Balanced
from bitcliff.points.final_activation import FUNCTIONS, FinalActivation, to_logits
from bitcliff.points.forward import output_of, unpadded
from bitcliff.points.operations import (
    Channels,
    Function,
    Operation,
    watched,
    weight_channels,
)
from bitcliff.points.plan import AtPoint, Plan, Point
from bitcliff.points.rows import summed_axis, summed_last
from bitcliff.points.trace import is_attention
from bitcliff.points.walk import Walk, operand, with_operand
from bitcliff.quant import (
    Scheme,
    fake_quantize,
    fake_quantize_choice,
    fake_quantize_weight,
    round_by_choice,
    round_shipped,
)
from bitcliff.quant.shipped import Rounder
from bitcliff.tasks import task_of
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Inputs


@dataclass(frozen=True)
class Rounding:
    """What to do in a forward pass.

    Attributes:
        bits: (batch, L) bit-widths at the plan's points, or None for float activations.
        choice: instead of bits, one one-hot tensor (batch, O) a point, differentiable.
        options: (O,) the widths that `choice` chooses among.
        through_scale: the gradient in `choice` by its cheaper form (`fake_quantize_choice`).
        weights: whether weights are quantized too.
        active: which of the plan's points to quantize, by their index; the others stay in float.
            None for all.
        formats: instead of bits, at each of the plan's points the format in which a runtime rounds
            its weights and activations, None for float; examples: how many there are in the pass,
            in that case.
        weighed: the formats that `choice` chooses among, by one one-hot tensor (O,) a point.
    """

    bits: Int[Tensor, "batch points"] | None = None
    choice: Sequence[Float[Tensor, "*batch options"]] | None = None
    options: Int[Tensor, " options"] | None = None
    through_scale: bool = False
    weights: bool = True
    active: frozenset[int] | None = None
    formats: tuple[Format | None, ...] | None = None
    examples: int = 0
    weighed: tuple[Format, ...] = ()


FLOAT = Rounding(weights=False)
WEIGHTS_ONLY = Rounding()

OnPoint = Callable[[int, Tensor, Tensor], Tensor]
"""Shown a point's index in the plan, its examples' values (batch, ...) and the same rounded; gives
back what the network is to go on with. What it keeps it must copy: networks work in place."""


@dataclass
class Incidents:
    """What went wrong in forward passes.

    Attributes:
        failed: for each example of the last batch with a NaN or infinity, its first such point.
        strays: calls that discovery had not seen, and calls it had seen that a pass left out, so
            that names may have shifted; the run is then incomplete.
    """

    failed: dict[int, str] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)


class Attachment(Walk):
    """A model with its plan: `run` gives its scores under any rounding.

    Weights are quantized once and kept, so the model must stay frozen while this lives; with
    `in_training` they are quantized anew in each pass, with a straight-through gradient.

    Attributes:
        per_row: of what a product sums over, each row (token) has a scale, not each example.
        weights_by_point: where a pass rounds some points alone, it rounds their weights alone.
        final: what the scores come out of last, for `followable`; whoever knows it sets it.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: Plan,
        scheme: str | Scheme = "paper",
        weight_bits: int | None = 16,
        per_channel: bool = False,
        in_training: bool = False,
        per_row: bool = False,
        weights_by_point: bool = False,
    ) -> None:
        super().__init__(model, watched(plan.where))
        self.plan: Plan = plan
        self.scheme = Scheme.parse(scheme)
        self.weight_bits = weight_bits
        self.per_channel = per_channel
        self.in_training = in_training
        self.per_row = per_row
        self.weights_by_point = weights_by_point
        self.rounding: Rounding = FLOAT
        self.incidents = Incidents()
        self.on_point: OnPoint | None = None
        self.final: FinalActivation = "none"
        # The last such call: its result and what it was given; the latter once it is the output.
        self._activated: tuple[Tensor, Tensor] | None = None
        self._ending: tuple[Tensor, Inputs] | None = None
        self._index = {(p.site, p.role): i for i, p in enumerate(plan.points)}
        self._points: dict[str, set[int]] = {}
        for index, point in enumerate(plan.points):
            self._points.setdefault(point.site, set()).add(index)
        self._kinds = {p.site: p.kind for p in plan.seen}
        self._known_misses = {missed.name for missed in plan.missed}
        self._weights: dict[tuple[str, str, Numerics | None], Tensor] = {}
        self._balanced: Mapping[str, Balanced] = {}
        # What was last rounded to a format: a tensor, its version, the format and the result.
        self._last_rounded: tuple[Tensor, int, AtPoint | None, Tensor] | None = None

    @contextmanager
    def balanced(self, calls: Mapping[str, Balanced]) -> Iterator[None]:
        """Inside, these calls are given changed operands, before anything is rounded."""
        self._balanced = calls
        self._weights.clear()
        try:
            yield
        finally:
            self._balanced = {}
            self._weights.clear()

    def run(self, inputs: Inputs, rounding: Rounding = FLOAT) -> Float[Tensor, "batch classes"]:
        """One forward pass. What failed in it is in `incidents.failed` until the next.

        Raises:
            InputError: the rounding is not for these points, or not for as many examples.
        """
        self._check(rounding)
        self.rounding, inputs = rounding, unpadded(inputs)
        if rounding is FLOAT:
            # The model as it is: torch takes other kernels for some layers while a mode is active.
            self.on_forward()
            output = output_of(self.model, inputs)
        else:
            with self:
                output = output_of(self.model, inputs)
        activated, self._activated = self._activated, None
        if activated is not None and _is_same(output, activated[0]):
            self._ending = activated[1], inputs
        return task_of(self.model).scores(output, inputs)

    def _check(self, rounding: Rounding) -> None:
        bits = rounding.bits
        given = (rounding.choice, rounding.formats, None if bits is None else bits[0])
        for one in given:
            if one is not None and len(one) != len(self.plan):
                raise InputError(
                    f"the rounding is for {len(one)} points, but the plan has {len(self.plan)}"
                )

    def on_forward(self) -> None:
        self.incidents.failed = {}
        self._last_rounded = None
        self._activated = self._ending = None

    def on_other(self, function: Function, args: Any, kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if function in FUNCTIONS[self.final]:
            self._activated = result, args[0] if args else kwargs["input"]
        return result

    def followable(self, scores: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
        """Of the scores that `run` just gave, what a search can follow: finite, with a gradient.

        What the network's last softmax or sigmoid was given, where the scores are its result; else
        their logarithms or log-odds. Without either the scores as they are.
        """
        last, self._ending = self._ending, None
        if last is None:
            return to_logits(scores, self.final)
        found = task_of(self.model).scores_before(*last)
        return found.clamp(min=torch.finfo(found.dtype).min)

    def on_finished(self) -> None:
        self._last_rounded = None
        # What discovery saw but not in every pass is a known miss, and needs no second mention.
        left_out = self.plan.weights.keys() - self._sites_used - self._known_misses
        self.incidents.strays |= {f"{site} (left out)" for site in left_out}

    def on_call(
        self, site: str, function: Function, operation: Operation, args: Any, kwargs: Any
    ) -> Any:
        self._note_stray(site, operation)
        if self.rounding is FLOAT:
            return function(*args, **kwargs)
        if (balanced := self._balanced.get(site)) is not None:
            args, kwargs = balanced.of_call(operation, args, kwargs)
        if operation.of_output:
            return self._quantize_output(site, function, args, kwargs)
        args, kwargs = self._quantize_weights(site, operation, args, kwargs)
        if is_attention(function) and self._quantizes(site, "probabilities"):
            return self._attention(site, *args, **kwargs)
        for role in operation.roles:
            value = operand(operation, role, args, kwargs)
            if value is not None and self._quantizes(site, role):
                value = self._activation(site, role, value)
                args, kwargs = with_operand(operation, role, value, args, kwargs)
        return function(*args, **kwargs)

    def _note_stray(self, site: str, operation: Operation) -> None:
        known = self._kinds.get(site, operation.kind) == operation.kind
        if (site not in self.plan.weights or not known) and site not in self._known_misses:
            self.incidents.strays.add(site)

    def _quantize_output(self, site: str, function: Function, args: Any, kwargs: Any) -> Any:
        if not self._quantizes(site, "output"):
            return function(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        # In place on a copy, since the gradient may need the result before it is rounded.
        given = x.clone() if _may_work_in_place(function, args, kwargs) else x
        if args:
            args = (given, *args[1:])
        else:
            kwargs = {**kwargs, "input": given}
        result = function(*args, **kwargs)
        rounded = self._activation(site, "output", result)
        # Whoever else holds the tensor must see what the network goes on with.
        return x.copy_(rounded) if result is given and given is not x else rounded

    def _quantizes(self, site: str, role: str) -> bool:
        rounding, index = self.rounding, self._index.get((site, role))
        if rounding.formats is not None and index is not None:
            return self._at(index) is not None
        if index is None or (rounding.bits is None and rounding.choice is None):
            return False
        return rounding.active is None or index in rounding.active

    def _format_at(self, index: int, site: str) -> Format | None:
        """What a layer is rounded to; None: it stays in float, or the format is not for it."""
        shipped = None if self.rounding.formats is None else self.rounding.formats[index]
        return shipped if shipped is not None and self.plan.covers(shipped, site) else None

    def _at(self, index: int, shipped: Format | None = None) -> AtPoint | None:
        """What the point's own format, or another one, makes of its values; None: float."""
        if shipped is None and self.rounding.formats is not None:
            shipped = self.rounding.formats[index]
        return None if shipped is None else self.plan.at(shipped, self.plan.points[index])

    def refuses(self, shipped: Format, point: Point) -> bool:
        """Whether a format's runtime takes whole blocks only, and what it rounds here is none."""
        at, weights = self.plan.at(shipped, point), shipped.weights
        rounded = [] if at is None else [(at.numerics, at.role)]
        if weights is not None and self.plan.covers(shipped, point.site):
            rounded.append((weights, point.role))
        return any(
            point.shape[summed_axis(role, len(point.shape))] % numerics.block
            for numerics, role in rounded
            if numerics.block and numerics.ragged == "refuse"
        )

    def _quantize_weights(self, site: str, operation: Operation, args: Any, kwargs: Any) -> Any:
        if self.rounding.formats is not None:
            index = self.plan.sites.get(site)
            if index is None or self._format_at(index, site) is None:
                return args, kwargs
        elif self.weight_bits is None or not self._rounds_weights(site):
            return args, kwargs
        for role in self.plan.weights.get(site, ()):
            weight = operand(operation, role, args, kwargs)
            if weight is not None and weight.is_floating_point():
                channels = weight_channels(operation, role, weight.ndim, args, kwargs)
                rounded = self._rounded_weight(site, role, channels, weight)
                args, kwargs = with_operand(operation, role, rounded, args, kwargs)
        return args, kwargs

    def _rounds_weights(self, site: str) -> bool:
        active = self.rounding.active if self.weights_by_point else None
        mine = active is None or not active.isdisjoint(self._points.get(site, ()))
        return self.rounding.weights and mine

    def _rounded_weight(self, site: str, role: str, channels: Channels, weight: Tensor) -> Tensor:
        rounding, index = self.rounding, self.plan.sites.get(site)
        if rounding.formats is None or index is None:
            return self._kept_weight(weight, site, role, channels, None)
        weighed = [self._weight_rounder(site, role, shipped) for shipped in rounding.weighed]
        if rounding.choice is not None and weighed:
            return round_by_choice(weight, rounding.choice[index], weighed)
        return self._weight_rounder(site, role, rounding.formats[index])(weight)

    def _weight_rounder(self, site: str, role: str, shipped: Format | None) -> Rounder:
        if shipped is None or shipped.weights is None:
            return lambda weight: weight
        return lambda weight: self._kept_weight(weight, site, role, Channels(), shipped.weights)

    def _kept_weight(
        self,
        weight: Tensor,
        site: str,
        role: str,
        channels: Channels,
        numerics: Numerics | None,
    ) -> Tensor:
        bits, channels = self.weight_bits or 16, channels if self.per_channel else Channels()
        if self.in_training:
            if numerics is None:
                return _by_channel(weight, bits, channels)
            return _along_summed_axis(weight, role, numerics)
        # One parameter that many calls share, as the steps of an LSTM do, is rounded once.
        parameter = self.parameters.get(id(weight))
        key = (site if parameter is None else f"parameter {parameter}", role, numerics)
        if key not in self._weights:
            # Kept for later passes, which may need gradients even if this one does not.
            with torch.inference_mode(False), torch.no_grad():
                given = weight.detach()
                self._weights[key] = (
                    _by_channel(given, bits, channels)
                    if numerics is None
                    else _along_summed_axis(given, role, numerics)
                )
        return self._weights[key]

    @property
    def _batch(self) -> int | torch.SymInt:
        """How many examples the rounding is for; a symbol while the network is traced."""
        if self.rounding.formats is not None:
            return self.rounding.examples
        if self.rounding.bits is not None:
            # Not len, which tracing takes for a constant.
            return self.rounding.bits.shape[0]
        return len(self.rounding.choice[0]) if self.rounding.choice else 0

    def _activation(self, site: str, role: str, x: Tensor) -> Tensor:
        if not self._quantizes(site, role):
            return x
        index, rounding = self._index[site, role], self.rounding
        if rounding.choice is not None and rounding.weighed:
            weighed = [self._rounder(index, self._at(index, one)) for one in rounding.weighed]
            return round_by_choice(x, rounding.choice[index], weighed)
        if rounding.formats is not None:
            return self._once(x, index)
        return self._by_example(index, partial(self._round, index=index))(x)

    def _once(self, x: Tensor, index: int) -> Tensor:
        """In the point's format; what layers in a row share, as queries, keys and values are made
        from one tensor, is rounded for the first of them."""
        at = self._at(index)
        if self.on_point is not None or x.is_inference():  # which has no version
            return self._rounder(index, at)(x)
        now = x, x._version, at
        if (
            self._last_rounded is None
            or self._last_rounded[0] is not x
            or self._last_rounded[1:3] != now[1:]
        ):
            self._last_rounded = *now, self._rounder(index, at)(x)
        return self._last_rounded[3]

    def _rounder(self, index: int, at: AtPoint | None) -> Rounder:
        """Of a point's values, in a format."""
        assert at is not None  # noqa: S101  (`_quantizes` has seen to it)
        along = partial(_along_summed_axis, role=at.role, numerics=at.numerics)
        if at.numerics.group not in ("example", "channel"):
            return along
        in_rows = along if at.cached else partial(round_shipped, numerics=at.numerics)
        return self._by_example(index, in_rows)

    def _by_example(self, index: int, rounder: Rounder) -> Rounder:
        """With the examples laid out in rows, and shown to whoever looks on."""
        layout = self.plan.points[index].layout
        at_point = partial(self._at_point, index, rounder)
        return lambda x: layout.apply(x, self._batch, at_point)

    def _at_point(self, index: int, rounder: Rounder, rows: Tensor) -> Tensor:
        rounded = rounder(rows)
        return rounded if self.on_point is None else self.on_point(index, rows, rounded)

    def _note_broken(self, index: int, broken: Tensor) -> None:
        for example in broken.nonzero().flatten().tolist():
            self.incidents.failed.setdefault(example, self.plan.points[index].name)

    def _round(self, rows: Tensor, index: int) -> Tensor:
        on_broken = partial(self._note_broken, index)
        rounding = self.rounding
        if rounding.choice is not None and rounding.options is not None:
            choice = rounding.choice[index]
            return fake_quantize_choice(
                rows, choice, rounding.options, self.scheme, on_broken, rounding.through_scale
            )
        assert rounding.bits is not None  # noqa: S101  (`_quantizes` has seen to it)
        bits, point = rounding.bits[:, index], self.plan.points[index]
        if not (self.per_row and point.has_rows):
            return fake_quantize(rows, bits, self.scheme, on_broken)
        last = summed_last(rows, point.role)
        each = last.reshape(-1, last.shape[-1])
        found = fake_quantize(
            each,
            bits.repeat_interleave(len(each) // len(rows)),
            self.scheme,
            lambda broken: on_broken(broken.view(len(rows), -1).any(1)),
        )
        return summed_last(found.view(last.shape), point.role)

    def _attention(
        self,
        site: str,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Fused attention in two products, as its documentation defines it, quantized between.

        Without dropout, which a model in eval mode does not ask for.
        """
        query = self._activation(site, "query", query)
        key = self._activation(site, "key", key)
        value = self._activation(site, "value", value)
        if enable_gqa:
            key, value = (
                t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value)
            )
        scores = query @ key.transpose(-2, -1)
        scores = scores.mul_(query.shape[-1] ** -0.5 if scale is None else scale)
        nowhere: Tensor | None = None
        if is_causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill_(~allowed, float("-inf"))
        elif attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill_(~attn_mask, float("-inf"))
            nowhere = ~attn_mask.any(-1, keepdim=True)
        elif attn_mask is not None:
            scores = scores.add_(attn_mask)
            nowhere = (attn_mask == float("-inf")).all(-1, keepdim=True)
        probabilities = scores.softmax(-1)
        if nowhere is not None:
            # A query that may look nowhere gives zero, as in the fused kernels, not NaN.
            probabilities = probabilities.masked_fill(nowhere, 0.0)
        return self._activation(site, "probabilities", probabilities) @ value


def _by_channel(weight: Tensor, bits: int, channels: Channels) -> Tensor:
    if not channels.groups:
        return fake_quantize_weight(weight, bits, channels.axes)
    split = weight.unflatten(0, (channels.groups, -1))
    return fake_quantize_weight(split, bits, channels.axes).flatten(0, 1)


def _along_summed_axis(x: Tensor, role: str, numerics: Numerics) -> Tensor:
    """Round with tokens and blocks along the axis that the product sums over."""
    return summed_last(round_shipped(summed_last(x, role), numerics), role)


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Not by identity: axes of size 1 may have been dropped or added."""
    return one.data_ptr() == other.data_ptr() and one.numel() == other.numel()


def _may_work_in_place(function: Function, args: Any, kwargs: Any) -> bool:
    flags = (*args[1:], *kwargs.values())
    return function.__name__.endswith("_") or any(flag is True for flag in flags)


def rounding_to(
    bits: Int[Tensor, "batch points"], active: frozenset[int] | None = None
) -> Rounding:
    """Round (`active`) activations to these widths and weights to the attachment's own."""
    return Rounding(bits=bits, active=active)


def gradient_rounding(
    choice: Sequence[Float[Tensor, "batch options"]],
    options: Int[Tensor, " options"],
    through_scale: bool = False,
) -> Rounding:
    """The same, by one-hot choices that a gradient can reach."""
    return Rounding(choice=choice, options=options, through_scale=through_scale)
