"""What rounding does to the values at every point (paper section 4.2, figure 3).

The values of all examples do not fit in memory. A first float pass finds each point's range; a
second goes batch by batch, keeps one batch's float values, and holds them against those that the
quantized network gets under each policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator
from bitcliff.points import take
from bitcliff.points.attach import OnPoint, Rounding, rounding_to
from bitcliff.points.forward import pad
from bitcliff.quant import MAX_BITS, fake_quantize
from bitcliff.questions.activations.record import (
    COLUMNS,
    ActivationsObserved,
    Histogram,
    PointObserved,
    PolicyObserved,
)
from bitcliff.questions.activations.row_statistics import (
    Bins,
    collapsed,
    histogram,
    sqnr_db,
    tails,
    unequal,
)
from bitcliff.questions.context import Context

# Values worked on at a time; in float64, with a few copies, some 100 MB.
_CHUNK = 1 << 22

Columns = dict[str, Float64[Tensor, " m"]]


@dataclass
class _Gathered:
    """What was seen at one point under one policy so far."""

    bins: Bins
    parts: list[Columns] = field(default_factory=list)
    counts: Int[Tensor, "2 bins"] = field(init=False)
    zeros: Int[Tensor, " 2"] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = torch.zeros(2, self.bins.count, dtype=torch.int64)
        self.zeros = torch.zeros(2, dtype=torch.int64)

    def add(self, columns: Columns, before: Tensor, after: Tensor) -> None:
        self.parts.append(columns)
        for row, values in enumerate((before, after)):
            self.counts[row] += histogram(values, self.bins).cpu()
            self.zeros[row] += int((values == 0).sum())


def observe_activations(context: Context) -> ActivationsObserved:
    """Histograms of every point, tails and signal to noise of each example, for each policy."""
    side = context.test
    evaluator = side.evaluator
    bins = _bins(context)
    gathered = {policy: [_Gathered(each) for each in bins] for policy in context.policies}
    for places in _batches(context, "values"):
        kept = _float_values(evaluator, places)
        for policy in context.policies:
            _compare(evaluator, places, side.allocations[policy], kept, gathered[policy])
    names = [point.name for point in evaluator.attachment.plan.points]
    return ActivationsObserved(
        policies=[
            PolicyObserved(
                policy=policy,
                points=[_point(*pair) for pair in zip(names, points, strict=True)],
            )
            for policy, points in gathered.items()
        ]
    )


def _batches(context: Context, what: str) -> Iterator[Int[Tensor, " m"]]:
    everyone = context.test.everyone
    for places, _ in context.test.evaluator.batches_of(everyone):
        context.tell(f"activations: {what}", int(places[0]), len(everyone))
        yield places


def _observe(
    evaluator: Evaluator, places: Int[Tensor, " m"], rounding: Rounding, on_point: OnPoint
) -> None:
    """One pass, padded as all passes are; `on_point` must leave the padding out."""
    evaluator.attachment.on_point = on_point
    try:
        with torch.no_grad():
            padded = pad(places, evaluator.batch_size)
            evaluator.attachment.run(take(evaluator.inputs, padded), rounding)
    finally:
        evaluator.attachment.on_point = None


def _observe_float(evaluator: Evaluator, places: Int[Tensor, " m"], on_point: OnPoint) -> None:
    """The same in float: `on_point` must hand back the values as they came."""
    bits = torch.full((evaluator.batch_size, len(evaluator.attachment.plan)), MAX_BITS)
    _observe(evaluator, places, Rounding(bits=bits, weights=False), on_point)


def _bins(context: Context) -> list[Bins]:
    """One range a point for all examples, as in the paper: float's, and zero."""
    evaluator = context.test.evaluator
    ends = torch.zeros(len(evaluator.attachment.plan), 2, dtype=torch.float64)
    for places in _batches(context, "ranges"):

        def look(index: int, values: Tensor, _rounded: Tensor, m: int = len(places)) -> Tensor:
            rows = values[:m].flatten(1)
            finite = rows[torch.isfinite(rows).all(1)]
            if finite.numel():
                ends[index, 0] = torch.minimum(ends[index, 0], finite.amin().double().cpu())
                ends[index, 1] = torch.maximum(ends[index, 1], finite.amax().double().cpu())
            return values

        _observe_float(evaluator, places, look)
    return [Bins.over(low, high) for low, high in ends.tolist()]


@dataclass(frozen=True)
class _Base:
    """A batch's values in float at one point, and how each example's lie."""

    values: Float[Tensor, "m k"]
    tails: Columns


def _float_values(evaluator: Evaluator, places: Int[Tensor, " m"]) -> dict[int, _Base]:
    """What is at every point that the batch reaches."""
    kept: dict[int, _Base] = {}
    scheme = evaluator.attachment.scheme

    def keep(index: int, values: Tensor, _rounded: Tensor) -> Tensor:
        rows = values[: len(places)].flatten(1).clone()
        if rows.numel():
            parts = [tails(part, scheme) for part in rows.split(_at_once(rows))]
            columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            kept[index] = _Base(rows, columns)
        return values

    _observe_float(evaluator, places, keep)
    return kept


def _compare(
    evaluator: Evaluator,
    places: Int[Tensor, " m"],
    bits: Int[Tensor, "n points"],
    kept: Mapping[int, _Base],
    gathered: Sequence[_Gathered],
) -> None:
    """Hold a batch's values in the quantized run against those in float."""
    scheme = evaluator.attachment.scheme
    earlier = torch.full((len(places),), torch.nan, dtype=torch.float64)

    def look(index: int, values: Tensor, rounded: Tensor) -> Tensor:
        base = kept.get(index)
        if base is None or base.values[0].numel() != values[0].numel():
            return rounded  # The network runs otherwise in float: there is nothing to compare.
        rows = [part[: len(places)].flatten(1) for part in (base.values, values, rounded)]
        channels = evaluator.attachment.plan.points[index].channel_axis
        finite = torch.stack([torch.isfinite(part).all(1) for part in rows]).all(0).cpu()
        for some in finite.nonzero().flatten().split(_at_once(rows[0])):
            widths = bits[places[some], index]
            before, arriving, after = (part[some] for part in rows)
            local = fake_quantize(before, widths, scheme)
            apart = [_apart(part, values.shape[1:], channels) for part in (before, local)]
            columns = {
                "bits": widths.double(),
                "local_db": sqnr_db(before, local),
                "arriving_db": sqnr_db(before, arriving),
                "earlier_db": earlier[some],
                "total_db": sqnr_db(before, after),
                "collapsed": collapsed(before, local),
                **{name: column[some] for name, column in base.tails.items()},
                **unequal(*apart),
            }
            earlier[some] = torch.fmin(earlier[some], columns["total_db"])
            gathered[index].add(columns, before, after)
        return rounded

    padded = pad(places, evaluator.batch_size)
    _observe(evaluator, places, rounding_to(bits[padded]), look)


def _apart(
    rows: Float[Tensor, "m k"], shape: torch.Size, channel_axis: int
) -> Float[Tensor, "m channels tokens"]:
    """Laid out as channels and tokens."""
    if len(shape) < 2:
        return rows[:, :, None]
    return rows.reshape(len(rows), *shape).movedim(channel_axis, 1).flatten(2)


def _at_once(rows: Float[Tensor, "m k"]) -> int:
    """How many examples to work on together: the work is done in float64."""
    return max(1, _CHUNK // max(1, rows.shape[1]))


def _point(name: str, gathered: _Gathered) -> PointObserved:
    before, after = (
        Histogram(counts=counts.tolist(), exactly_zero=int(zeros))
        for counts, zeros in zip(gathered.counts, gathered.zeros, strict=True)
    )
    rows = [torch.stack([part[key] for key in COLUMNS]) for part in gathered.parts]
    columns = torch.cat(rows, 1) if rows else torch.empty(len(COLUMNS), 0)
    return PointObserved(
        name=name,
        bin_width=gathered.bins.width,
        first_bin=gathered.bins.first,
        before=before,
        after=after,
        columns=columns.float().numpy(),
    )
