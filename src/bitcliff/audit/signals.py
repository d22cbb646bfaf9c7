"""What a quantized pass shows of itself for next to nothing: of its scores, and at every point.

None of it needs the network in float, so all of it can be had where a network is deployed.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.points import Attachment
from bitcliff.points.final_activation import FinalActivation
from bitcliff.points.forward import batch_size
from bitcliff.points.rows import summed_last
from bitcliff.policy.guard import score_signals
from bitcliff.quant.groups import as_groups
from bitcliff.types.presets import Format

# Of a point whose values are held exactly, or are all lost: no more is told apart.
_LIMIT_DB = 150.0
_LEAST = 2.0**-126

Formats = tuple[Format, ...]
"""The format at each point."""


@dataclass(frozen=True)
class AtPoints:
    """Of each example at each point that was rounded.

    Attributes:
        error_db: 10 log10 of the sum of squared errors of rounding over that of squared values,
            within +-150. ends: share of the values that are rounded to the largest magnitude of
            what shares a scale with them: clamped ones, and those at the end of the scale. peak:
            the largest magnitude that arrives.
    """

    error_db: Float64[Tensor, "m points"]
    ends: Float64[Tensor, "m points"]
    peak: Float64[Tensor, "m points"]


class Showing(Attachment):
    """The same attachment, which notes at every point what rounding does there to each example.

    Its scores are those of the attachment, to the last bit.
    """

    def __init__(self, like: Attachment) -> None:
        super().__init__(
            like.model, like.plan, like.scheme, like.weight_bits, like.per_channel,
            per_row=like.per_row,
        )  # fmt: skip
        self.final: FinalActivation = like.final
        self.seen: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def on_forward(self) -> None:
        super().on_forward()
        self.seen = {}

    def _activation(self, site: str, role: str, x: Tensor) -> Tensor:
        rounded = super()._activation(site, role, x)
        if self._quantizes(site, role):
            index = self._index[site, role]
            self.seen[index] = self._noted(index, role, x, rounded)
        return rounded

    def _noted(
        self, index: int, role: str, x: Tensor, rounded: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ends = self._at_ends(index, role, rounded)
        layout, batch = self.plan.points[index].layout, self._batch
        before, after, at_end = (
            layout.rows(part, batch).flatten(1) for part in (x, rounded, ends.to(x.dtype))
        )
        signal = before.square().sum(1, dtype=torch.float64)
        error = (after - before).square().sum(1, dtype=torch.float64)
        return _ratio_db(error, signal), at_end.double().mean(1), before.abs().amax(1).double()

    def _at_ends(self, index: int, role: str, rounded: Tensor) -> Tensor:
        """1 where a value is as large as the largest that shares a scale with it, and not zero."""
        at = self._at(index)
        if at is None:
            layout = self.plan.points[index].layout
            return layout.apply(rounded, self._batch, _ends_of_examples)
        groups, restore = as_groups(summed_last(rounded, at.role), at.numerics)
        return summed_last(restore(_ends(groups)), at.role)


def _ends_of_examples(rows: Tensor) -> Tensor:
    return _ends(rows.flatten(1)).view(rows.shape)


def _ends(groups: Float[Tensor, "groups k"]) -> Float[Tensor, "groups k"]:
    """1 where a value has the largest magnitude of its group, and is not zero."""
    sizes = groups.abs()
    return ((sizes == sizes.amax(1, keepdim=True)) & (sizes > 0)).to(groups.dtype)


def _ratio_db(error: Float64[Tensor, " m"], signal: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
    found = 10 * (error.log10() - signal.log10())
    # Nothing arrives, and nothing is lost.
    found = torch.where((error == 0) & (signal == 0), -_LIMIT_DB, found)
    return found.clamp(-_LIMIT_DB, _LIMIT_DB)


@dataclass(frozen=True)
class Shown:
    """What quantized passes gave, and showed of themselves at the points."""

    scores: Scores
    at_points: AtPoints


def shown(evaluator: Evaluator, quantized: Formats | Int[Tensor, " points"]) -> Shown:
    """All examples in a format at each point, or with bits at each point.

    The evaluator's own attachment is not touched, and its effort is not counted.
    """
    showing = Showing(evaluator.attachment)
    ours = Evaluator(showing, evaluator.inputs, evaluator.batch_size, on_batch=evaluator.on_batch)
    scores, parts, order = list[Scores](), list[AtPoints](), list[Tensor]()
    for rows, _ in ours.batches_of(torch.arange(batch_size(evaluator.inputs))):
        scores.append(run_quantized(ours, rows, quantized))
        parts.append(points_shown(showing, len(rows)))
        order.append(rows)
    back = torch.cat(order).argsort()
    at_points = AtPoints(
        torch.cat([one.error_db for one in parts])[back],
        torch.cat([one.ends for one in parts])[back],
        torch.cat([one.peak for one in parts])[back],
    )
    failed = [point for one in scores for point in one.failed_at]
    logits = torch.cat([one.logits for one in scores])[back]
    joined = Scores(logits, tuple(failed[place] for place in back.tolist()))
    return Shown(joined, at_points)


def run_quantized(
    evaluator: Evaluator, index: Int[Tensor, " m"], quantized: Formats | Int[Tensor, " points"]
) -> Scores:
    """These examples in a format at each point, or with bits at each point."""
    if isinstance(quantized, Tensor):
        return evaluator.scores(index, quantized.expand(len(index), -1))
    return evaluator.format_scores(index, quantized)


def points_shown(showing: Showing, count: int) -> AtPoints:
    """Of the last pass's first `count` examples; a point that it did not reach loses nothing.

    Where gradients are taken, errors and peaks have one.
    """
    nothing = torch.zeros(count, dtype=torch.float64)
    unreached = (nothing - _LIMIT_DB, nothing, nothing)
    at_points = [showing.seen.get(index, unreached) for index in range(len(showing.plan))]
    error, ends, peak = (
        torch.stack([one[:count].cpu() for one in part], 1) for part in zip(*at_points, strict=True)
    )
    return AtPoints(error, ends, peak)


def named_signals(
    found: Shown, usual_peaks: Float64[Tensor, " points"]
) -> dict[str, Float64[Tensor, " m"]]:
    """By name, one number for each example, all of them finite.

    Examples with NaN or infinity have the signals of no margin and the largest error: they are
    flagged whatever their signals.

    Args:
        usual_peaks: at each point the largest magnitude that is usual there; zero: the point is
            not looked at, unless all are.
    """
    finite, at = found.scores.finite, found.at_points
    logits = torch.where(finite[:, None], found.scores.logits, 0.0)
    # Where nothing ever arrives, or the format leaves all in float, there is nothing to see.
    known = usual_peaks > 0
    known = known if bool(known.any()) else torch.ones_like(known)
    octaves = at.peak.clamp(min=_LEAST).log2() - usual_peaks.clamp(min=_LEAST).log2()
    by_name = score_signals(logits) | {
        "error": at.error_db[:, known].mean(1),
        "worst error": at.error_db[:, known].amax(1),
        "ends": at.ends[:, known].mean(1),
        "most ends": at.ends[:, known].amax(1),
        "range": octaves[:, known].amax(1),
    }
    return {name: values.nan_to_num(0.0, _LIMIT_DB, -_LIMIT_DB) for name, values in by_name.items()}
