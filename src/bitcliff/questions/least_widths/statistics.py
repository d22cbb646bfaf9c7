"""What is lost with each least width, worked out from the worst bits that were found.

An allocation that keeps to a least width also keeps to every smaller one, so what it loses is lost
there too, and an example that nothing was found to lose needs no further search: the curve never
rises as an adversary's options shrink.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitcliff.questions.least_widths.record import (
    AtMean,
    Cut,
    CutObserved,
    LeastWidths,
    LeastWidthsObserved,
)
from bitcliff.questions.prediction_checks import prediction_problems
from bitcliff.record import AnswerKind, PolicyResult, Record
from bitcliff.record.arrays import NONE
from bitcliff.record.outcomes import Outcomes
from bitcliff.stats import rate
from bitcliff.types.rate import Rate

Classes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Walk:
    """The worst bits found so far, as the least width goes up.

    Attributes:
        right: (n,) what float answers where that counts, -1 elsewhere.
        prediction: (n,) under the worst bits found, -1 on a numeric failure.
        bits: (n, L). failed: (n,) whether any search ended in a failure.
    """

    right: Classes
    prediction: Classes
    bits: npt.NDArray[np.uint8]
    failed: Bools

    @property
    def counted(self) -> Bools:
        """Which examples could be lost: float has them right, and no search failed."""
        found: Bools = (self.right != NONE) & ~self.failed
        return found

    @property
    def lost(self) -> Bools:
        """Which are."""
        found: Bools = self.counted & (self.prediction != self.right)
        return found

    def to_search(self, least: int) -> Classes:
        """(m,) places of the examples that are lost under bits which are no longer left."""
        return np.flatnonzero(self.lost & (_narrowest(self.bits) < least)).astype(np.int32)

    def after(self, cut: CutObserved) -> "Walk":
        """With what was found for these examples."""
        prediction, bits = self.prediction.copy(), self.bits.copy()
        failed = self.failed.copy()
        prediction[cut.places] = cut.prediction
        bits[cut.places] = cut.bits
        failed[cut.places] = cut.prediction == NONE
        return replace(self, prediction=prediction, bits=bits, failed=failed)


def beginning(right: Classes, worst: Outcomes) -> Walk:
    """From a run's own worst case.

    Args:
        right: as in `Walk`. worst: has bits for every example.
    """
    bits = worst.every_bits()
    bits = np.empty((len(worst), 0), np.uint8) if bits is None else bits
    return Walk(right, worst.prediction, bits, worst.prediction == NONE)


def right_in_float(in_float: Classes, targets: Classes) -> Classes:
    """(n,) what float answers where that is right, -1 elsewhere; without labels all is right."""
    return np.where(in_float == targets, in_float, NONE).astype(np.int32)


def _narrowest(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    least: npt.NDArray[np.uint8] = bits.min(1, initial=np.iinfo(np.uint8).max)
    return least


def worst_cases(record: Record) -> dict[float, PolicyResult]:
    """By the mean of bits, in the run's order, the worst case for each example."""
    worst = (one for one in record.policies if one.kind == "worst")
    return {one.mean_bits: one for one in worst if one.mean_bits is not None}


def figures(record: Record, found: LeastWidthsObserved) -> LeastWidths:
    """Every figure that the outcomes give."""
    worst = worst_cases(record)
    return LeastWidths(
        means=[_at(record, worst[mean], cuts) for mean, cuts in _by_mean(found).items()]
    )


def _by_mean(found: LeastWidthsObserved) -> dict[float, list[CutObserved]]:
    means: dict[float, list[CutObserved]] = {}
    for cut in found.cuts:
        means.setdefault(cut.mean_bits, []).append(cut)
    return means


def _at(record: Record, worst: PolicyResult, cuts: Sequence[CutObserved]) -> AtMean:
    walks = [_beginning(record, worst)]
    for cut in cuts:
        walks.append(walks[-1].after(cut))
    # An example whose search fails at one width is left out of all, so that counts compare.
    counted = walks[-1].counted
    lost = [rate(int((one.lost & counted).sum()), int(counted.sum())) for one in walks]
    first = Cut(
        least=record.settings.bits[0],
        lost=lost[0],
        only_even=False,
        searched=len(record.table),
        passes=worst.effort.forward_passes,
    )
    others = [
        Cut(
            least=cut.least,
            lost=one,
            only_even=not cut.freedom_log2,
            searched=len(cut.places),
            passes=cut.effort.forward_passes,
        )
        for cut, one in zip(cuts, lost[1:], strict=True)
    ]
    limit = record.settings.max_drop
    safe = next((one.least for one in (first, *others) if _within(one.lost, limit)), None)
    return AtMean(mean_bits=cuts[0].mean_bits, cuts=[first, *others], safe=safe)


def _beginning(record: Record, worst: PolicyResult) -> Walk:
    right = right_in_float(record.table.prediction, record.table.targets)
    return beginning(right, record.outcomes[worst.name])


def _within(lost: Rate, limit: float) -> bool:
    """Whether no more than so many percent are."""
    return 100 * lost.k <= limit * lost.n


def problems(record: Record, found: LeastWidthsObserved) -> Iterator[str]:
    """What contradicts the record, or the cut before it."""
    worst, means, bits = worst_cases(record), _by_mean(found), record.settings.bits
    if [*means] != [mean for mean in worst if mean in means]:
        yield f"is about means of {[*means]} bits, of which the run has {[*worst]}"
        return
    if [one for cuts in means.values() for one in cuts] != found.cuts:
        yield "does not have the cuts of each mean together"
    for mean, cuts in means.items():
        if [cut.least for cut in cuts] != [*bits[1 : 1 + len(cuts)]]:
            yield f"at {mean:g} bits: its least widths are not {bits} from the second on"
            return
        outcomes = record.outcomes[worst[mean].name]
        if len(outcomes) != len(record.table) or outcomes.bits is None:
            yield f"at {mean:g} bits: the run's worst case is not of all examples"
            return
        walk = _beginning(record, worst[mean])
        for cut in cuts:
            if wrong := next(_cut_problems(record, walk, cut, worst[mean].total_bits), None):
                yield f"at {mean:g} bits, {cut.least} at least: {wrong}"
                return
            walk = walk.after(cut)


def _cut_problems(record: Record, walk: Walk, cut: CutObserved, total: int | None) -> Iterator[str]:
    points = sum(point.quantized for point in record.subject.points)
    if cut.places.tolist() != walk.to_search(cut.least).tolist():
        yield "was not looked for on the examples that were lost before under narrower widths"
    yield from prediction_problems(record, cut.prediction, len(cut.places))
    left = [width for width in record.settings.bits if width >= cut.least]
    if cut.bits.shape != (len(cut.places), points):
        yield f"has bits of shape {cut.bits.shape} for {len(cut.places)} examples"
    elif not np.isin(cut.bits, left).all() or (cut.bits.sum(1, dtype=np.int64) != total).any():
        yield f"has bits that are not of {left}, or do not add up to {total}"


KIND = AnswerKind(LeastWidthsObserved, figures, problems)
