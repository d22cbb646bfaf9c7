"""A run's policies in somebody else's runtime, value by value against the simulation."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.assess.evaluate import Evaluator, margins
from bitcliff.points import take
from bitcliff.points.attach import rounding_to
from bitcliff.quant import Scheme, fake_quantize
from bitcliff.quant.grid import make_grid
from bitcliff.quant.rows import row_range
from bitcliff.records.verification import DifferingExample, VerifiedPoint, VerifiedPolicy
from bitcliff.stats import rate
from bitcliff.types.subject import Inputs

# How often an example whose decision differs is simulated again with a nudged input.
_NUDGES = 20
_TURNS = 5
_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Observed:
    """What a file gave for a batch.

    Attributes:
        scores: (batch, classes). bits: (batch, L), where the file itself chooses them, or None.
        values: at each point, before and after rounding, (batch, *rest); empty where not asked for.
    """

    scores: Float[Tensor, "batch classes"]
    bits: Int[Tensor, "batch points"] | None = None
    values: Sequence[tuple[Tensor, Tensor]] = ()


Run = Callable[[Inputs, Int[Tensor, "batch points"]], Observed]


@dataclass(frozen=True)
class ExportedFile:
    """A file in a runtime. `answer`: as exported. `observe`: the same graph with its values."""

    answer: Run
    observe: Run


@dataclass
class _Counts:
    """Of one point: see `VerifiedPoint`."""

    values: int = 0
    rounded_alike: int = 0
    equal: int = 0
    same_level: int = 0


@dataclass
class _Comparison:
    """The simulation's values of a batch against those that a runtime had, as they come.

    Attributes:
        observed: the runtime's, of the batch that is simulated next. bits: of that batch.
        first: by an example's place in the batch, its first point with a value on another level.
    """

    scheme: Scheme
    counts: list[_Counts]
    rows: int = 0
    float64_rows: int = 0
    observed: Sequence[tuple[Tensor, Tensor]] = ()
    bits: Int[Tensor, "batch points"] = field(default_factory=lambda: torch.empty(0, 0).long())
    first: dict[int, int] = field(default_factory=dict)

    def on_point(self, point: int, rows: Tensor, rounded: Tensor) -> Tensor:
        """Compare one point; see `bitcliff.points.attach.OnPoint`."""
        bits = self.bits[:, point]
        before, after = self.observed[point]
        ours, counts = rounded[: len(bits)], self.counts[point]
        equal = same_bits(ours, after)
        level, plain = _levels(rows[: len(bits)], ours, bits, self.scheme)
        same = equal | (level == _levels(before, after, bits, self.scheme)[0]).view_as(equal)
        counts.values += equal.numel()
        counts.rounded_alike += int(
            same_bits(fake_quantize(before, bits, self.scheme), after).sum()
        )
        counts.equal += int(equal.sum())
        counts.same_level += int(same.sum())
        self.rows += len(bits)
        self.float64_rows += int((~plain).sum())
        for place in (~same.flatten(1).all(1)).nonzero().flatten().tolist():
            self.first.setdefault(place, point)
        return rounded


def verify_policy(
    name: str,
    evaluator: Evaluator,
    index: Int[Tensor, " m"],
    bits: Int[Tensor, "m points"],
    file: ExportedFile,
    ids: Sequence[str],
) -> VerifiedPolicy:
    """One policy's examples in the runtime and in the simulation, batch by batch.

    Args:
        index: the places of the policy's examples. bits: what it spends on them. ids: of all.
    """
    attachment = evaluator.attachment
    points = attachment.plan.points
    comparison = _Comparison(attachment.scheme, [_Counts() for _ in points])
    ours, theirs, chosen, first = [], [], [], {}
    for part in torch.arange(len(index)).split(evaluator.batch_size):
        inputs = take(evaluator.inputs, index[part])
        answer = file.answer(inputs, bits[part])
        comparison.observed = file.observe(inputs, bits[part]).values
        comparison.bits, comparison.first = bits[part], {}
        attachment.on_point = comparison.on_point
        try:
            ours.append(evaluator.scores(index[part], bits[part]).logits)
        finally:
            attachment.on_point = None
        theirs.append(answer.scores)
        chosen.append(bits[part] if answer.bits is None else answer.bits)
        first |= {int(part[0]) + place: points[p].name for place, p in comparison.first.items()}
        own_bits = answer.bits is not None
    decided = _decisions(torch.cat(ours)), _decisions(torch.cat(theirs))
    alike = [mine == other for mine, other in zip(*decided, strict=True)]
    gaps = (torch.cat(ours).double() - torch.cat(theirs).double()).abs()
    finite = gaps[torch.isfinite(gaps)]
    n = len(index)
    return VerifiedPolicy(
        policy=name,
        decisions=rate(sum(alike), n),
        allocations=rate(int((torch.cat(chosen) == bits).all(1).sum()), n) if own_bits else None,
        largest_difference=float(finite.max()) if len(finite) else None,
        first_difference=next(
            (p.name for p, c in zip(points, comparison.counts, strict=True) if c.equal < c.values),
            None,
        ),
        rows=comparison.rows,
        float64_rows=comparison.float64_rows,
        points=[
            VerifiedPoint(name=point.name, **vars(counts))
            for point, counts in zip(points, comparison.counts, strict=True)
        ],
        differing=[
            _differing(evaluator, index[place], bits[place], decided, place, ids, first.get(place))
            for place, same in enumerate(alike)
            if not same
        ],
    )


def seconds_each(
    evaluator: Evaluator, bits: Int[Tensor, "n points"], run: Run
) -> tuple[float, float]:
    """Seconds for one example, simulated and in the runtime: medians, taking turns on one batch."""
    some = torch.arange(min(evaluator.batch_size, len(bits)))
    inputs, rounding = take(evaluator.inputs, some), rounding_to(bits[some])
    ours, theirs = [], []
    with torch.no_grad():
        for _ in range(_TURNS):
            began = time.perf_counter()
            evaluator.attachment.run(inputs, rounding)
            between = time.perf_counter()
            run(inputs, bits[some])
            ours.append(between - began)
            theirs.append(time.perf_counter() - between)
    return statistics.median(ours) / len(some), statistics.median(theirs) / len(some)


def same_bits(x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Where two tensors of one type are equal bit for bit; any NaN equals any other."""
    kind = _INTEGERS[x.element_size()]
    return (x.contiguous().view(kind) == y.contiguous().view(kind)) | (x.isnan() & y.isnan())


def _levels(
    rows: Tensor, rounded: Tensor, bits: Int[Tensor, " batch"], scheme: Scheme
) -> tuple[Float[Tensor, "batch k"], Bool[Tensor, " batch"]]:
    """The levels that values lie on, and which rows float32 serves; NaN where there is no scale."""
    wide = rows.flatten(1)
    wide = wide if wide.dtype in (torch.float32, torch.float64) else wide.float()
    grid = make_grid(*row_range(wide, scheme), bits, scheme)
    return torch.round(rounded.flatten(1).to(wide.dtype) / grid.scale[:, None]), grid.plain


def _decisions(scores: Float[Tensor, "m classes"]) -> list[int | None]:
    finite = torch.isfinite(scores).all(1).tolist()
    return [
        top if whole else None for top, whole in zip(scores.argmax(1).tolist(), finite, strict=True)
    ]


def _differing(
    evaluator: Evaluator,
    place: Int[Tensor, ""],
    bits: Int[Tensor, " points"],
    decided: tuple[list[int | None], list[int | None]],
    row: int,
    ids: Sequence[str],
    first_point: str | None,
) -> DifferingExample:
    ours, theirs = decided[0][row], decided[1][row]
    index, own = place[None], bits[None]
    scores = evaluator.scores(index, own)
    again = [evaluator.repeat(index, own, number) for number in range(_NUDGES)]
    changed = [_decisions(one.logits)[0] != ours for one in again if one is not None]
    margin = None if ours is None else float(margins(scores.logits, scores.predictions)[0])
    return DifferingExample(
        id=ids[int(place)],
        ours=ours,
        runtime=theirs,
        margin=margin,
        first_point=first_point,
        nudged=rate(sum(changed), len(changed)) if changed else None,
    )
