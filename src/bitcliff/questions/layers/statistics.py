"""The rule that names inflection points.

A *step* is the change of right answers, on the same examples, when one point is quantized in
addition to others. Every point k has up to four of them, which differ in what is quantized already:

    before     points 1 to k-1, from the input on
    after      points k+1 to L, down to the output
    single     nothing (weights only)
    all-but    everything else

The whole loss is that from weights only to all points quantized. A point is an **inflection point**
if at least one of its steps

1. loses at least a fifth of the whole loss, and half as much again as if all points cost the same
   (1.5 / L of it; in a network of one point, all of it); and
2. is significant: exact McNemar test, Holm-adjusted over all distinct steps, at most 0.05.

There is none where the whole loss is itself not significant at 0.05. The four steps together miss
no point that does harm by itself or that all harm depends on: of several points that each suffice,
"before" finds the first, "after" the last and "single" every one; of several that must all be
quantized, "before" finds the last, "after" the first and "all-but" every one. (The paper reads its
inflection points off the before and after curves, section 4.2.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitcliff.assess.measured import Predictions
from bitcliff.questions.layers.record import SIGNIFICANT, Change, Curve, Step
from bitcliff.questions.layers.sweep import NOTHING, Cell, curves
from bitcliff.stats import holm, mcnemar, paired_difference, rate
from bitcliff.types.rate import Rate


@dataclass(frozen=True)
class Answers:
    """What the network said with each set of points quantized.

    Attributes:
        wanted: the right answers, None where there is none or where float fails.
        by_cell: predictions of every distinct cell of the curves, and perhaps of others.
    """

    points: int
    wanted: Predictions
    by_cell: Mapping[Cell, Predictions]

    @property
    def everything(self) -> Cell:
        """All points."""
        return frozenset(range(self.points))

    def right(self, cell: Cell) -> Rate:
        """Right answers, of those given."""
        given = [
            prediction == wanted
            for prediction, wanted in zip(self.by_cell[cell], self.wanted, strict=True)
            if prediction is not None and wanted is not None
        ]
        return rate(sum(given), len(given))

    def change(self, first: Cell, second: Cell) -> Change:
        """From one cell to another, on the examples that both gave an answer for."""
        pairs = [
            (one == wanted, other == wanted)
            for one, other, wanted in zip(
                self.by_cell[first], self.by_cell[second], self.wanted, strict=True
            )
            if None not in (one, other, wanted)
        ]
        lost, gained = pairs.count((True, False)), pairs.count((False, True))
        value = paired_difference(len(pairs), lost, gained) if pairs else (None, None, None)
        pp, low, high = (None if share is None else 100 * share for share in value)
        return Change(
            n=len(pairs),
            lost=lost,
            gained=gained,
            pp=pp,
            low=low,
            high=high,
            p_value=mcnemar(lost, gained),
        )

    @property
    def whole(self) -> Change:
        """From weights only to everything."""
        return self.change(NOTHING, self.everything)


def smallest_share(points: int) -> float:
    """The share of the whole loss from which on a step is large."""
    return min(1.0, max(0.2, 1.5 / points))


def large_steps(answers: Answers) -> list[Step]:
    """Steps that are large, in the order of the points; nothing where nothing is lost."""
    whole = answers.whole
    if whole.pp is None or whole.pp >= 0 or whole.p_value > SIGNIFICANT:
        return []
    pairs = _pairs(answers.points)
    changes = [answers.change(first, second) for first, second in pairs]
    adjusted = holm([change.p_value for change in changes])
    steps = [
        Step(
            curve=curve,
            point=point,
            change=change,
            share=(change.pp or 0.0) / whole.pp,
            p_holm=p_holm,
            inflects=p_holm <= SIGNIFICANT,
        )
        for (curve, point), change, p_holm in zip(pairs.values(), changes, adjusted, strict=True)
    ]
    # A hair below, so that what is exactly the share does not hang on a division's last digit.
    least = smallest_share(answers.points) - 1e-9
    return sorted((step for step in steps if step.share >= least), key=lambda step: step.point)


def inflection_points(steps: Sequence[Step]) -> list[int]:
    """Indices of the points of which a large step is significant."""
    return sorted({step.point for step in steps if step.inflects})


def _pairs(points: int) -> dict[tuple[Cell, Cell], tuple[Curve, int]]:
    """The two cells of every step, each step once, under the first curve that has it."""
    ways, everything = curves(points), frozenset(range(points))
    found: dict[tuple[Cell, Cell], tuple[Curve, int]] = {}
    for k in range(points):
        before, after = ways.before[k], ways.after[k]
        found.setdefault((before - {k}, before), ("before", k))
        found.setdefault((after - {k}, after), ("after", k))
        found.setdefault((NOTHING, ways.single[k]), ("single", k))
        found.setdefault((ways.all_but[k], everything), ("all-but", k))
    return found
