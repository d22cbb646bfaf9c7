"""Two networks on the same inputs: float, and what is set against it; both with gradients."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.graph import allow_mutation_on_saved_tensors

from bitcliff.audit.evaluator import Evaluator, margins
from bitcliff.audit.inputs import laid_out_for_speed, nudged
from bitcliff.points import Attachment
from bitcliff.points.attach import Rounding
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.forward import batch_size, each
from bitcliff.points.operations import Channels
from bitcliff.points.plan import AtPoint
from bitcliff.points.rows import summed_last
from bitcliff.policy.guard import Guard, score_signals
from bitcliff.quant import round_shipped
from bitcliff.quant.shipped import Rounder
from bitcliff.questions.provocation.adaptive import Adaptive
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Inputs

Slopes = Literal["none", "straight", "scale", "width"]
"""Which gradients a look gives: none; through rounding as if it were not there; through the scales
too; or of how wide the ranges are."""

# Passes of one look without gradients, of both networks, and what gradients add.
PLAIN, BACKWARD = 2, 4
_TINY = 1e-12


class Followed(Attachment):
    """An attachment whose gradient can go through the scales.

    A value's rounding error grows with the scale that it shares, as in learned step sizes (Esser et
    al. 2020, section 2.1). Straight-through gradients do not see that: what widens a range at no
    cost to float would look harmless.

    Attributes:
        slopes: which gradients the next passes are to have. widths: of the last pass with "width",
            at each rounded point the mean log of the largest magnitude of a group, added up over
            examples.
        weights: by the names of parameters, what is rounded in their place.
    """

    def __init__(self, plain: Attachment, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(
            plain.model, plain.plan, plain.scheme, plain.weight_bits, plain.per_channel
        )
        self.final: FinalActivation = plain.final
        self.slopes: Slopes = "none"
        self.widths: list[Tensor] = []
        self._given = weights or {}

    def on_forward(self) -> None:
        super().on_forward()
        self.widths = []

    def _kept_weight(
        self, weight: Tensor, site: str, role: str, channels: Channels, numerics: Numerics | None
    ) -> Tensor:
        # Known by its own identity, so that what many calls share is still rounded once.
        other = self._given.get(self.parameters.get(id(weight), ""))
        if other is None:
            return super()._kept_weight(weight, site, role, channels, numerics)
        return super()._kept_weight(other, f"{site} given", role, channels, numerics)

    def _rounder(self, index: int, at: AtPoint | None) -> Rounder:
        plain = super()._rounder(index, at)
        if self.slopes in ("none", "straight") or at is None:
            return plain
        numerics, role = at.numerics, at.role
        if numerics.group in ("token", "block"):
            block = numerics.block

            def by_row(x: Tensor) -> Tensor:
                rows = summed_last(x, role)
                parts = rows.unflatten(-1, (-1, block)) if _divides(block, rows) else rows
                followed = self._followed(parts, summed_last(plain(x), role).view_as(parts), (-1,))
                return summed_last(followed.view_as(rows), role)

            return by_row
        if numerics.group == "batch":
            return lambda x: self._followed(x, plain(x), tuple(range(x.ndim)))
        layout = self.plan.points[index].layout

        def by_example(rows: Tensor) -> Tensor:
            every = tuple(range(1, rows.ndim))
            return self._followed(rows, round_shipped(rows, numerics), every)

        return lambda x: layout.apply(x, self._batch, by_example)

    def _round(self, rows: Tensor, index: int) -> Tensor:
        rounded = super()._round(rows, index)
        if self.slopes in ("none", "straight"):
            return rounded
        return self._followed(rows, rounded, tuple(range(1, rows.ndim)))

    def _followed(self, x: Tensor, rounded: Tensor, axes: tuple[int, ...]) -> Tensor:
        sizes = x.abs()
        most = sizes.amax(axes, keepdim=True)
        if self.slopes == "width":
            logs = (most + _TINY).log()
            self.widths.append(logs.sum() * _batch_share(logs, self._batch))
            return rounded
        growth = most / most.detach().clamp(min=torch.finfo(most.dtype).tiny)
        # What is added is zero, but has a gradient.
        return rounded + (rounded - x).detach() * (growth - growth.detach())


def _batch_share(logs: Tensor, batch: int | torch.SymInt) -> float:
    """What makes of a sum over groups the mean of each example's, added up."""
    return float(batch) / max(logs.numel(), 1)


def _divides(block: int, rows: Tensor) -> bool:
    return block > 0 and rows.shape[-1] % block == 0


@dataclass(frozen=True)
class Look:
    """What both networks say of some inputs.

    Attributes:
        in_float, quantized: by what the wanted decision leads, logits; negative: it is another.
            Where a decision is aimed at, `quantized` is by what that falls short: negative: it is
            the quantized network's.
        flagged: by the guard, which would have them run again in float.
        up: gradient of `in_float`. down: of what is to be lowered. Both in what `Rivals.look` takes
            them in; None where none were asked for.
    """

    in_float: Float[Tensor, " m"]
    quantized: Float[Tensor, " m"]
    flagged: Bool[Tensor, " m"]
    up: Tensor | None = None
    down: Tensor | None = None


@dataclass(frozen=True)
class Remedied:
    """The network quantized otherwise.

    Attributes:
        attachment: with weights of its own. formats: at each point.
    """

    attachment: Followed
    formats: tuple[Format, ...]


@dataclass
class Rivals:
    """Float, and a format or bits or, as a control, float with its inputs nudged.

    Attributes:
        evaluator: of the network, attached. shipped: the format, or what gives bits; None: the
            control.
        embedding: of a text's tokens, in whose results gradients are then taken; None: in inputs.
        guard: of what is quantized, of the scores alone; None: nobody looks.
        remedied: what is set against float in place of the network in the format.
    """

    evaluator: Evaluator
    shipped: Format | Adaptive | None
    embedding: nn.Module | None = None
    guard: Guard | None = None
    remedied: Remedied | None = None
    _followed: Followed = field(init=False)
    _in_place: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        # Each input is alone in its batch, and many are run together.
        if isinstance(self.shipped, Format):
            self.shipped = self.shipped.alone
        self._followed = Followed(self.evaluator.attachment)

    @property
    def rows(self) -> int:
        """How many examples one look may have: one, where a batch shares a scale in two levels."""
        shared = isinstance(self.shipped, Format) and not self.shipped.isolated
        return 1 if shared else self.evaluator.batch_size

    def passes(self, slopes: Slopes) -> int:
        """What one look costs, in forward passes of an example; a backward pass counts as two."""
        own = isinstance(task_of(self._followed.model), AgainstFloat)
        return PLAIN + own + (0 if slopes == "none" else BACKWARD)

    def look(
        self,
        changed: Inputs,
        parents: Inputs,
        wanted: Int[Tensor, " m"],
        slopes: Slopes,
        aim: int | None = None,
    ) -> Look:
        """Both networks on changed inputs.

        Args:
            parents: what they were made of, with which they share what is wanted of them.
            aim: the decision that the quantized network is to be turned to; None: any other.
        """
        inputs = self.evaluator.wanted_alike(laid_out_for_speed(changed), parents)
        assert not hasattr(inputs, "in_turn")  # noqa: S101  (what is looked at is held)
        try:
            return self._look(inputs, wanted, slopes, aim)
        except RuntimeError as error:
            if self._in_place or "inplace operation" not in str(error):
                raise
            self._in_place = True
            return self._look(inputs, wanted, slopes, aim)

    def _look(
        self, inputs: Inputs, wanted: Int[Tensor, " m"], slopes: Slopes, aim: int | None
    ) -> Look:
        def short(scores: Tensor) -> Tensor:
            if aim is None:
                return margins(scores, wanted)
            return -margins(scores, torch.full_like(wanted, aim))

        in_float, up, _ = self._led(inputs, slopes, self._float, lambda s: margins(s, wanted))
        quantized, down, scores = self._led(inputs, slopes, self._against, short)
        return Look(in_float, quantized, is_flagged(self.guard, scores), up, down)

    def _led(
        self,
        inputs: Inputs,
        slopes: Slopes,
        run: Callable[[Inputs, Slopes], Tensor],
        lead: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        if slopes == "none":
            with torch.no_grad():
                scores = run(inputs, slopes)
                return lead(scores).cpu(), None, scores
        saving = allow_mutation_on_saved_tensors() if self._in_place else nullcontext()
        with torch.enable_grad(), saving, self._leaf(inputs) as (given, leaf):
            scores = run(given, slopes)
            found = lead(scores)
            total = found[torch.isfinite(found)].sum()
            if slopes == "width" and run == self._against and self._against_widths:
                total = -torch.stack(self._against_widths).sum()
            at = leaf()
            (gradient,) = (
                torch.autograd.grad(total, [at], allow_unused=True)
                if total.requires_grad
                else (None,)
            )
        gradient = torch.zeros_like(at) if gradient is None else gradient.nan_to_num(0, 0, 0)
        return found.detach().cpu(), gradient.detach(), scores.detach()

    @contextmanager
    def _leaf(self, inputs: Inputs) -> Iterator[tuple[Inputs, Callable[[], Tensor]]]:
        """The inputs, and after a pass the tensor that gradients are taken in."""
        if isinstance(inputs, Tensor):
            given = inputs.detach().requires_grad_()
            yield given, lambda: given
            return
        assert self.embedding is not None  # noqa: S101  (sets of texts have seen to it)
        seen: list[Tensor] = []

        def keep(_module: nn.Module, _given: object, out: Tensor) -> Tensor:
            seen.append(out.detach().requires_grad_())
            return seen[-1]

        hook = self.embedding.register_forward_hook(keep)
        try:
            yield inputs, lambda: seen[-1]
        finally:
            hook.remove()

    def _float(self, inputs: Inputs, _slopes: Slopes) -> Tensor:
        # Not `FLOAT`, under which nothing inside is seen.
        self._followed.slopes = "none"
        return self._followed.followable(self._followed.run(inputs, Rounding(weights=False)))

    def _against(self, inputs: Inputs, slopes: Slopes) -> Tensor:
        if self.shipped is None:
            return self._float_nudged(inputs, slopes)
        if isinstance(self.shipped, Adaptive):
            return self._by_bits(self.shipped, inputs, slopes)
        followed, formats = self._followed, (self.shipped,) * len(self._followed.plan)
        if self.remedied is not None:
            followed = self.remedied.attachment
            formats = tuple(one.alone for one in self.remedied.formats)
        followed.slopes = slopes
        rounding = Rounding(formats=formats, examples=batch_size(inputs))
        return followed.followable(followed.run(inputs, rounding))

    def _by_bits(self, rule: Adaptive, inputs: Inputs, slopes: Slopes) -> Tensor:
        """As the rule decides; with a gradient of both its passes, which does not end where an
        input falls on the other side of the threshold."""
        self._followed.slopes = slopes

        def run(bits: Tensor) -> Tensor:
            return self._followed.followable(self._followed.run(inputs, Rounding(bits=bits)))

        first = run(rule.bits(inputs))
        unsure = rule.unsure(first.detach())
        if rule.wider is None or (slopes == "none" and not bool(unsure.any())):
            return first
        second = run(rule.wide(len(unsure)))
        found = torch.where(unsure[:, None], second, first)
        both = (first + second) / 2
        return found if slopes == "none" else found.detach() + (both - both.detach())

    @property
    def _against_widths(self) -> list[Tensor]:
        return (self._followed if self.remedied is None else self.remedied.attachment).widths

    def _float_nudged(self, inputs: Inputs, slopes: Slopes) -> Tensor:
        if self.embedding is None:
            return self._float(each(inputs, partial(nudged, number=0)), slopes)
        hook = self.embedding.register_forward_hook(
            lambda _module, _given, out: nudged(out, number=0)
        )
        try:
            return self._float(inputs, slopes)
        finally:
            hook.remove()


def is_flagged(guard: Guard | None, scores: Float[Tensor, "m classes"]) -> Bool[Tensor, " m"]:
    """Of quantized scores; without a guard none is."""
    if guard is None:
        return torch.zeros(len(scores), dtype=torch.bool)
    return guard.flagged(scores, score_signals(scores)).cpu()
