"""Two sides in the same batches: how far their scores part, their values, and what rounding takes.

Decisions are the record's outcomes. What is seen here is beside them: the divergence of the scores
that these outcomes come from, and one more pass of each side under the same hooks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from bitcliff.audit.evaluator import Scores
from bitcliff.audit.prepare import Prepared, float_in_batches
from bitcliff.audit.rerun import in_batches, rerun
from bitcliff.points import Plan, take
from bitcliff.quant import RoundingLoss, rounding_loss
from bitcliff.questions.difference.record import (
    DifferenceObserved,
    LayerObserved,
    LossObserved,
    PairObserved,
    SideObserved,
)
from bitcliff.questions.difference.seen import Seen
from bitcliff.record import Pair, Record, pairs_of
from bitcliff.record.compared import Side
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.presets import Format

Progress = Callable[[str, int, int], None]
"""Told what is at work, how much is done, and of how much."""

# No network's values are so large that their squares add up to this.
_BEYOND_ANY = 1e149


def observe_difference(
    prepared: Prepared, record: Record, progress: Progress | None = None
) -> DifferenceObserved:
    """What a run that compares two saw, beside their outcomes.

    Args:
        record: with the outcomes of both.
    """
    pairs = pairs_of(record)
    tell = progress or (lambda _what, _done, _whole: None)
    observed = [_pair(prepared, pair, tell) for pair in pairs]
    first = pairs[0]
    formats = {side.name: _format(prepared, side) for side in first.sides}
    reason = _why_not_seen(prepared, first)
    alone = any(shipped is not None and not shipped.isolated for shipped in formats.values())
    passes = _Passes(prepared, 1 if alone else prepared.evaluator.batch_size)
    layers = None
    if not reason:
        layers = passes.both(_format(prepared, first.a), _format(prepared, first.b), tell)
    else:
        for shipped in formats.values():
            if shipped is not None:
                passes.one(shipped, tell)
    return DifferenceObserved(
        pairs=observed,
        layers=layers,
        no_layers=reason,
        sides=[
            SideObserved(name=name, losses=passes.losses_in(shipped))
            for name, shipped in formats.items()
            if shipped is not None and shipped.of_values
        ],
    )


def _why_not_seen(prepared: Prepared, pair: Pair) -> str:
    """Why the two cannot be compared layer by layer; empty where they can."""
    if not len(prepared.points):
        return "the network was not looked inside"
    runtimes = [side.name for side in pair.sides if side.condition and side.condition.runtime]
    if runtimes:
        return f"{' and '.join(runtimes)} shows no values inside the network, only its answers"
    return ""


def _format(prepared: Prepared, side: Side) -> Format | None:
    name = None if side.condition is None else side.condition.numerics
    return None if name is None else prepared.settings.format_of(name)


def _batches_of(pair: Pair) -> int | None:
    """The size of the batches that a side was measured in where that matters."""
    sizes = [side.condition.batch_size for side in pair.sides if side.condition is not None]
    return next((size for size in sizes if size is not None), None)


def _pair(prepared: Prepared, pair: Pair, tell: Progress) -> PairObserved:
    tell(f"{pair.name}: scores", 0, 1)
    a, b = (_scores(prepared, side, _batches_of(pair)) for side in pair.sides)
    both = a.finite & b.finite
    divergence = torch.full((len(both),), torch.nan, dtype=torch.float64)
    # Of a lead over float there is no distribution to compare.
    if not isinstance(task_of(prepared.subject.module), AgainstFloat):
        divergence[both] = divergence_of(a.logits[both], b.logits[both])
    return PairObserved(a=pair.a.name, b=pair.b.name, divergence=divergence.numpy())


def _scores(prepared: Prepared, side: Side, size: int | None) -> Scores:
    """What the outcomes of a side come from; float in batches like the other's."""
    condition, everyone = side.condition, prepared.everyone
    if condition is None:
        if size is None or prepared.subject.black_box:
            return prepared.in_float
        return float_in_batches(prepared.evaluator, prepared.subject, size)
    run = rerun(prepared, condition)
    assert run is not None  # noqa: S101  (what is compared is deployed, or float)
    return run(in_batches(prepared.evaluator, condition), everyone, everyone)


def divergence_of(
    a: Float[Tensor, "n classes"], b: Float[Tensor, "n classes"]
) -> Float64[Tensor, " n"]:
    """KL(A || B) of each row's softmax, nats."""
    p, q = (part.double().log_softmax(1) for part in (a, b))
    # The terms are of both signs, and a sum of zero may come out below it.
    return (p.exp() * (p - q)).sum(1).clamp(0, _BEYOND_ANY)


@dataclass
class _Layer:
    """What was seen at one point so far; see `LayerObserved`."""

    n: int
    values: int = 0
    weights: int = 0
    other_weights: int = 0
    columns: dict[str, npt.NDArray[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        names = ("arriving", "rounded", "signal", "arriving_error", "rounded_error")
        self.columns = {name: np.full(self.n, np.nan) for name in names}

    def put(self, places: Tensor, columns: Mapping[str, Tensor]) -> None:
        for name, column in columns.items():
            self.columns[name][places.numpy()] = column.double().cpu().numpy()

    def observed(self, name: str) -> LayerObserved:
        columns = dict(self.columns)
        counts = {
            key: np.nan_to_num(columns.pop(key), nan=-1).astype(np.int32)
            for key in ("arriving", "rounded")
        }
        of_weights = {"weights": self.weights, "other_weights": self.other_weights}
        return LayerObserved.model_validate(
            {"name": name, "values": self.values, **of_weights, **counts, **columns}
        )


Kept = dict[int, tuple[Tensor, Tensor]]
"""By point, a batch's values as they arrive and as the layer gets them, (m, values) each."""


@dataclass
class _Passes:
    """Passes over all examples in batches of `size`, the last one not filled up."""

    prepared: Prepared
    size: int
    losses: dict[tuple[Format, int], RoundingLoss] = field(default_factory=dict)
    left_out: dict[tuple[Format, int], int] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The points."""
        return self.prepared.points

    def both(self, a: Format | None, b: Format | None, tell: Progress) -> list[LayerObserved]:
        """Each batch under A and then under B, held against each other."""
        n = len(self.prepared.examples)
        layers = [_Layer(n) for _ in self.plan.points]
        weights: dict[tuple[str, str], Tensor] = {}
        for places in self.prepared.everyone.split(self.size):
            tell("values, layer by layer", int(places[0]), n)
            first, kept = not int(places[0]), Kept()

            def keep_weight(site: str, role: str, weight: Tensor, first: bool = first) -> None:
                if first:
                    weights[site, role] = weight

            def hold_weight(site: str, role: str, weight: Tensor, first: bool = first) -> None:
                if first:
                    self._hold_weight(layers, site, weights[site, role], weight)

            self._run(places, a, partial(_keep, kept), keep_weight)
            self._run(places, b, partial(_hold, layers, kept, places), hold_weight)
        return [
            layer.observed(point.name)
            for layer, point in zip(layers, self.plan.points, strict=True)
        ]

    def one(self, shipped: Format, tell: Progress) -> None:
        """One side by itself, for its losses."""
        for places in self.prepared.everyone.split(self.size):
            tell("values, layer by layer", int(places[0]), len(self.prepared.examples))
            self._run(places, shipped, lambda *_rows: None, lambda *_weight: None)

    def losses_in(self, shipped: Format) -> list[LossObserved]:
        """Of every point that the format rounds and that was reached."""
        return [
            LossObserved(
                name=point.name,
                left_out=self.left_out.get((shipped, index), 0),
                **vars(self.losses[shipped, index]),
            )
            for index, point in enumerate(self.plan.points)
            if (shipped, index) in self.losses
        ]

    def _run(
        self,
        places: Tensor,
        shipped: Format | None,
        on_rows: Callable[[int, Tensor, Tensor], None],
        on_weight: Callable[[str, str, Tensor], None],
    ) -> None:
        m = len(places)

        def on_values(index: int, arriving: Tensor, rounded: Tensor) -> None:
            point = self.plan.points[index]
            if shipped is not None and rounded is not arriving:
                self._add_loss(shipped, index, arriving, rounded, m)
            # Also where nothing is rounded: one tensor is then both.
            before = point.layout.rows(arriving, m).flatten(1)
            after = before if rounded is arriving else point.layout.rows(rounded, m).flatten(1)
            on_rows(index, before, after)

        evaluator = self.prepared.evaluator
        seen = Seen(evaluator.attachment.model, self.plan, on_values, on_weight)
        with torch.no_grad():
            seen.pass_in(take(evaluator.inputs, places), shipped)

    def _add_loss(
        self, shipped: Format, index: int, arriving: Tensor, rounded: Tensor, m: int
    ) -> None:
        point, key = self.plan.points[index], (shipped, index)
        at = self.plan.at(shipped, point)
        assert at is not None  # noqa: S101  (it was rounded)
        before = self.losses.setdefault(key, RoundingLoss())
        grouped = [at.laid_out(x, point.layout, m) for x in (arriving, rounded)]
        after = before + rounding_loss(grouped[0], grouped[1], at.numerics)
        if after.signal + after.error < _BEYOND_ANY:
            self.losses[key] = after
        else:  # something is NaN or infinite
            self.left_out[key] = self.left_out.get(key, 0) + 1

    def _hold_weight(self, layers: list[_Layer], site: str, a: Tensor, b: Tensor) -> None:
        index = self.plan.sites[site]
        layers[index].weights += a.numel()
        layers[index].other_weights += int((a != b).sum())


def _keep(kept: Kept, index: int, arriving: Tensor, rounded: Tensor) -> None:
    before = arriving.clone()
    kept[index] = (before, before if rounded is arriving else rounded.clone())


def _hold(
    layers: list[_Layer], kept: Kept, places: Tensor, index: int, arriving: Tensor, rounded: Tensor
) -> None:
    """B's values against A's, of the examples that are finite in both."""
    if index not in kept or kept[index][0].shape != arriving.shape:
        return  # The network runs otherwise under the one than under the other.
    before, after = kept[index]
    squares = [x.double().square().sum(1) for x in (before, after, arriving, rounded)]
    some = (torch.stack(squares) < _BEYOND_ANY).all(0).cpu()  # nor where one is NaN
    pairs = {"arriving": (before, arriving), "rounded": (after, rounded)}
    columns = {"signal": after[some].double().square().sum(1)}
    for name, (a, b) in pairs.items():
        columns[name] = (a[some] != b[some]).sum(1)
        columns[f"{name}_error"] = (b[some].double() - a[some].double()).square().sum(1)
    layers[index].values = arriving.shape[1]
    layers[index].put(places[some], columns)
