"""A run's policies in somebody else's runtime, value by value against the simulation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, margins
from bitcliff.points import take
from bitcliff.points.attach import rounding_to
from bitcliff.points.final_activation import to_logits
from bitcliff.quant import Scheme, fake_quantize
from bitcliff.quant.grid import make_grid
from bitcliff.quant.rows import row_range
from bitcliff.questions.verification.record import Differing, PolicyObserved, VerifiedPoint
from bitcliff.questions.verification.statistics import differing_rows
from bitcliff.record import Outcomes
from bitcliff.record.arrays import classes
from bitcliff.types.subject import Inputs

# How often an example whose decision differs is simulated again with a nudged input.
_NUDGES = 4
# Compared one by one under each policy: about what takes as long as the rest.
_VALUES = 20_000_000
_TURNS = 5


@dataclass(frozen=True)
class FileOutput:
    """What a file gave for a batch.

    Attributes:
        scores: (batch, classes). bits: (batch, L), where the file itself chooses them, or None.
        values: at each point, before and after rounding, (batch, *rest); empty where not asked for.
    """

    scores: Float[Tensor, "batch classes"]
    bits: Int[Tensor, "batch points"] | None = None
    values: Sequence[tuple[Tensor, Tensor]] = ()


Run = Callable[[Inputs, Int[Tensor, "batch points"]], FileOutput]


@dataclass(frozen=True)
class ExportedFile:
    """A file in a runtime. `run`: as exported. `observe`: the same graph with its values."""

    run: Run
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
        scores: simulated, of the last batch.
    """

    scheme: Scheme
    counts: list[_Counts]
    rows: int = 0
    float64_rows: int = 0
    observed: Sequence[tuple[Tensor, Tensor]] = ()
    bits: Int[Tensor, "batch points"] = field(default_factory=lambda: torch.empty(0, 0).long())
    scores: Float[Tensor, "batch classes"] = field(default_factory=lambda: torch.empty(0, 0))

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
        return rounded


def verify_policy(
    name: str, evaluator: Evaluator, outcomes: Outcomes, file: ExportedFile, ids: Sequence[str]
) -> PolicyObserved:
    """One policy's examples in the runtime, and their values beside those simulated anew.

    Values are compared on as many examples, from the first on, as make some twenty million.

    Args:
        outcomes: what the record has of the policy, with bits. ids: of all examples.
    """
    recorded = outcomes.every_bits()
    assert recorded is not None  # noqa: S101  (the caller chooses among those with bits)
    index = torch.from_numpy(outcomes.index.astype(np.int64))
    bits = torch.from_numpy(recorded.astype(np.int64))
    outputs = [
        file.run(take(evaluator.inputs, index[part]), bits[part])
        for part in torch.arange(len(index)).split(evaluator.batch_size)
    ]
    scores = torch.cat([output.scores for output in outputs])
    prediction = classes([_decision(row) for row in scores])
    logits = to_logits(scores, evaluator.attachment.final)
    margin = margins(logits, evaluator.reference[index])
    some = _as_many_as_fit(evaluator, len(index))
    compared = _compare(evaluator, index[:some], bits[:some], file)
    return PolicyObserved(
        policy=name,
        prediction=prediction,
        margin=margin.where(margin.isfinite(), float("nan")).numpy(),
        bits=_own_bits(outputs),
        compared=some,
        rows=compared.rows,
        float64_rows=compared.float64_rows,
        points=[
            VerifiedPoint(name=point.name, **vars(counts))
            for point, counts in zip(evaluator.attachment.plan.points, compared.counts, strict=True)
        ],
        differing=[
            _differing(evaluator, index[[row]], bits[[row]], file, ids)
            for row in differing_rows(outcomes, prediction)
        ],
    )


def _own_bits(outputs: Sequence[FileOutput]) -> npt.NDArray[np.uint8] | None:
    """What the file itself allocates, where it does."""
    chosen = [output.bits for output in outputs if output.bits is not None]
    return torch.cat(chosen).clamp(0, 255).numpy().astype(np.uint8) if chosen else None


def _as_many_as_fit(evaluator: Evaluator, most: int) -> int:
    shapes = (torch.Size(point.shape) for point in evaluator.attachment.plan.points)
    each = sum(shape.numel() for shape in shapes)
    return max(1, min(most, _VALUES // max(1, each)))


def _compare(
    evaluator: Evaluator,
    index: Int[Tensor, " m"],
    bits: Int[Tensor, "m points"],
    file: ExportedFile,
) -> _Comparison:
    """The values at every point, in the runtime and simulated, batch by batch."""
    attachment = evaluator.attachment
    comparison = _Comparison(attachment.scheme, [_Counts() for _ in attachment.plan.points])
    for part in torch.arange(len(index)).split(evaluator.batch_size):
        inputs = take(evaluator.inputs, index[part])
        comparison.observed = file.observe(inputs, bits[part]).values
        comparison.bits = bits[part]
        attachment.on_point = comparison.on_point
        try:
            comparison.scores = evaluator.scores(index[part], bits[part]).logits
        finally:
            attachment.on_point = None
    return comparison


def seconds_each(evaluator: Evaluator, run: Run) -> tuple[float, float]:
    """Seconds for one example, simulated and in the runtime: medians, taking turns on one batch.

    At 8 bits everywhere: the width changes nothing of the work.
    """
    some = torch.arange(evaluator.batch_size)
    bits = torch.full((len(some), len(evaluator.attachment.plan)), 8)
    inputs, rounding = take(evaluator.inputs, some), rounding_to(bits)
    ours, theirs = [], []
    with torch.no_grad():
        for _ in range(_TURNS):
            began = time.perf_counter()
            evaluator.attachment.run(inputs, rounding)
            between = time.perf_counter()
            run(inputs, bits)
            ours.append(between - began)
            theirs.append(time.perf_counter() - between)
    return median(ours) / len(some), median(theirs) / len(some)


def same_bits(x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Where two tensors are equal bit for bit, the sign of a zero aside; any NaN equals another."""
    return (x == y) | (x.isnan() & y.isnan())


def _levels(
    rows: Tensor, rounded: Tensor, bits: Int[Tensor, " batch"], scheme: Scheme
) -> tuple[Float[Tensor, "batch k"], Bool[Tensor, " batch"]]:
    """The levels that values lie on, and which rows float32 serves; NaN where there is no scale."""
    wide = rows.flatten(1)
    wide = wide if wide.dtype in (torch.float32, torch.float64) else wide.float()
    grid = make_grid(*row_range(wide, scheme), bits, scheme)
    return torch.round(rounded.flatten(1).to(wide.dtype) / grid.scale[:, None]), grid.plain


def _decision(scores: Float[Tensor, " classes"]) -> int | None:
    return int(scores.argmax()) if bool(torch.isfinite(scores).all()) else None


def _differing(
    evaluator: Evaluator,
    index: Int[Tensor, " 1"],
    bits: Int[Tensor, "1 points"],
    file: ExportedFile,
    ids: Sequence[str],
) -> Differing:
    """Simulated anew: with the runtime's values beside it, and with nudged inputs."""
    points = evaluator.attachment.plan.points
    compared = _compare(evaluator, index, bits, file)
    scores = compared.scores
    ours = _decision(scores[0])
    again = [evaluator.repeat(index, bits, number) for number in range(_NUDGES)]
    changed = [_decision(one.logits[0]) != ours for one in again if one is not None]
    first = (
        point.name
        for point, counts in zip(points, compared.counts, strict=True)
        if counts.same_level < counts.values
    )
    return Differing(
        id=ids[int(index)],
        ours=ours,
        margin=None if ours is None else float(margins(scores, scores.argmax(1))[0]),
        first_point=next(first, None),
        nudges=len(changed),
        changed=sum(changed),
    )
