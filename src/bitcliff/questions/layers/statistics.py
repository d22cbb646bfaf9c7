"""The rule that names inflection points, and every figure of the layer analysis.

A *step* is the change of right predictions, on the same examples, when one point is quantized in
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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitcliff.questions.layers.cells import NOTHING, Cell, curves, range_text
from bitcliff.questions.layers.kept_statistics import kept_figures, kept_problems
from bitcliff.questions.layers.record import (
    Confirmation,
    Curve,
    Layers,
    LayersObserved,
    LayerStep,
    LayerSweep,
    SimulatedObserved,
    SimulatedSweep,
    SweepObserved,
)
from bitcliff.questions.plan_in_runtime import (
    SIGNIFICANT,
    PlanRun,
    in_runtimes,
    plan_run_problems,
    plan_there,
    surely_lost,
)
from bitcliff.questions.prediction_checks import right_among, right_change
from bitcliff.record import AnswerKind, Record
from bitcliff.record.arrays import NONE, classes
from bitcliff.stats import with_holm
from bitcliff.types.change import PairedChange
from bitcliff.types.rate import Rate

Predictions = npt.NDArray[np.int32]
"""(n,) one class an example, -1 where there is none."""


@dataclass(frozen=True)
class CellPredictions:
    """What the network predicts with each set of points quantized.

    Attributes:
        targets: -1 where there is none or where float fails.
        by_cell: predictions of every distinct cell of the curves, and perhaps of others.
    """

    points: int
    targets: Predictions
    by_cell: Mapping[Cell, Predictions]

    @property
    def everything(self) -> Cell:
        """All points."""
        return frozenset(range(self.points))

    def right(self, cell: Cell) -> Rate:
        """Right predictions, of those there are."""
        return right_among(self.targets, self.by_cell[cell])

    def change(self, first: Cell, second: Cell) -> PairedChange:
        """From one cell to another, on the examples that both have a prediction for."""
        return right_change(self.targets, self.by_cell[first], self.by_cell[second])

    @property
    def whole(self) -> PairedChange:
        """From weights only to everything."""
        return self.change(NOTHING, self.everything)


def inflection(record: Record, policy: str | None) -> list[int]:
    """Indices, from 0, of the points at which the layer analysis sees a policy break the network;
    none where it was not asked for."""
    layers = record.answer("layers", Layers)
    sweeps = layers.sweeps if layers else []
    return next((s.inflection for s in sweeps if (s.policy, s.split) == (policy, "test")), [])


def smallest_share(points: int) -> float:
    """The share of the whole loss from which on a step is large."""
    return min(1.0, max(0.2, 1.5 / points))


def large_steps(found: CellPredictions) -> list[LayerStep]:
    """Steps that are large, in the order of the points; nothing where nothing is lost."""
    whole = found.whole
    if not surely_lost(whole):
        return []
    pairs = _pairs(found.points)
    changes = with_holm([found.change(first, second) for first, second in pairs])
    steps = [
        LayerStep(
            curve=curve,
            point=point,
            change=change,
            share=(change.difference_pp or 0.0) / (whole.difference_pp or 1.0),
            inflects=change.p_holm is not None and change.p_holm <= SIGNIFICANT,
        )
        for (curve, point), change in zip(pairs.values(), changes, strict=True)
        if change is not None
    ]
    # A hair below, so that what is exactly the share does not hang on a division's last digit.
    least = smallest_share(found.points) - 1e-9
    return sorted((step for step in steps if step.share >= least), key=lambda step: step.point)


def inflection_points(steps: Sequence[LayerStep]) -> list[int]:
    """Indices of the points of which a large step is significant."""
    return sorted({step.point for step in steps if step.inflects})


def confirming(points: int, named: Sequence[int]) -> list[Cell]:
    """The cells that confirm the points named: only these, and all but these; none for none."""
    only = frozenset(named)
    return [only, frozenset(range(points)) - only] if named else []


def figures(record: Record, observed: LayersObserved) -> Layers:
    """Every figure that the predictions give."""
    points = _points(record)
    named: dict[str, list[int]] = {}
    sweeps = []
    for sweep in observed.sweeps:
        steps = large_steps(_found(sweep, points))
        # The test split comes first: in the other its points had no part in the choice.
        confirmed = named.setdefault(sweep.policy, inflection_points(steps))
        found = _found(sweep, points, confirmed)
        sweeps.append(LayerSweep(**_figures(record, sweep, found, steps, confirmed)))
    return Layers(
        sweeps=sweeps,
        kept=[kept_figures(record, one) for one in observed.kept],
        simulated=[_simulated(record, one) for one in observed.simulated],
    )


def _simulated(record: Record, observed: SimulatedObserved) -> SimulatedSweep:
    points = len(observed.points)
    steps = large_steps(_found(observed, points))
    named = inflection_points(steps)
    found = _found(observed, points, named)
    return SimulatedSweep(points=observed.points, **_figures(record, observed, found, steps, named))


def problems(record: Record, observed: LayersObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    explained = record.explained
    if explained is None:
        yield "layers of no policy that was explained"
        return
    yield from kept_problems(record, observed.kept)
    policies = [name for name in explained.policies if name not in record.names_deployed]
    asked = [(policy, split) for policy in policies for split in ("test", "train")]
    swept = [(sweep.policy, sweep.split) for sweep in observed.sweeps]
    if swept != [one for one in asked if one[1] == "test" or one in swept]:
        yield "not of the explained policies in their order, each on the test split first"
        return
    named: dict[str, list[int]] = {}
    for sweep in observed.sweeps:
        n = len(record.table) if sweep.split == "test" else explained.n_train
        mine = [point.name for point in record.subject.points if point.quantized]
        for problem in _sweep_problems(record, sweep, n, named, mine):
            yield f"under {sweep.policy!r}, {sweep.split} split: {problem}"
            return
    yield from _simulated_problems(record, observed)


def _simulated_problems(record: Record, observed: LayersObserved) -> Iterator[str]:
    explained = record.explained.policies if record.explained else []
    others = [name for name in in_runtimes(record) if name not in explained]
    simulated = [one.policy for one in observed.simulated]
    if simulated != [name for name in others if name in simulated]:
        yield "simulated runtimes are not those of the run that are not explained, in their order"
        return
    names = {point.name for point in record.subject.points}
    for one in observed.simulated:
        if (
            not one.points
            or len({*one.points}) < len(one.points)
            or not names.issuperset(one.points)
        ):
            yield f"in {one.policy!r}, simulated: not of the network's points, each once"
            return
        for problem in _sweep_problems(record, one, len(record.table), {}, one.points):
            yield f"in {one.policy!r}, simulated: {problem}"
            return


def older(_record: Record, answer: Any) -> dict[str, Any]:
    """From schema 1.x, where predictions were text: one number an example, "x" for none."""

    def unpacked(text: str) -> Predictions:
        return classes([None if one == "x" else int(one) for one in text.split()])

    same = ("policy", "split", "n", "calls", "naive_calls", "macs", "naive_macs")
    return {
        "sweeps": [
            {
                **{key: sweep[key] for key in same},
                "targets": unpacked(sweep["wanted"]),
                "in_float": unpacked(sweep["in_float"]),
                "predictions": {key: unpacked(t) for key, t in sweep["predictions"].items()},
            }
            for sweep in answer["sweeps"]
        ]
    }


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


def _figures(
    record: Record,
    sweep: SweepObserved,
    found: CellPredictions,
    steps: list[LayerStep],
    named: list[int],
) -> dict[str, Any]:
    ways, everyone = curves(found.points), np.arange(len(record.table), dtype=np.int32)
    return {
        "policy": sweep.policy,
        "split": sweep.split,
        "n": sweep.n,
        "float_rate": right_among(found.targets, sweep.in_float),
        "none": found.right(NOTHING),
        "all": found.right(found.everything),
        "before": [found.right(cell) for cell in ways.before],
        "after": [found.right(cell) for cell in ways.after],
        "single": [found.right(cell) for cell in ways.single],
        "all_but": [found.right(cell) for cell in ways.all_but],
        "whole": found.whole,
        "large_steps": steps,
        "smallest_share": smallest_share(found.points),
        "inflection": inflection_points(steps),
        "confirmation": _confirmation(found, named),
        "calls_share": sweep.calls / sweep.naive_calls,
        "macs_share": sweep.macs / sweep.naive_macs if sweep.naive_macs else None,
        "in_runtimes": [plan_there(record, one, everyone) for one in sweep.in_runtimes],
    }


def _confirmation(found: CellPredictions, named: list[int]) -> Confirmation | None:
    if not named:
        return None
    only, without = confirming(found.points, named)
    return Confirmation(
        points=named,
        only=found.right(only),
        cost=found.change(NOTHING, only),
        without=found.right(without),
        regained=found.change(found.everything, without),
    )


def _found(sweep: SweepObserved, points: int, named: Sequence[int] = ()) -> CellPredictions:
    """A sweep's predictions by cell: those of the curves, and those that confirm what is named."""
    cells = [*curves(points).distinct, *confirming(points, named)]
    by_cell = {cell: sweep.predictions[range_text(cell)] for cell in cells}
    return CellPredictions(points, sweep.targets, by_cell)


def _points(record: Record) -> int:
    return sum(point.quantized for point in record.subject.points)


def _sweep_problems(
    record: Record,
    sweep: SweepObserved,
    n: int,
    named: dict[str, list[int]],
    names: Sequence[str],
) -> Iterator[str]:
    """The first ends the reading; `named`, by policy, hears what the test split names.

    `names`: of the sweep's points.
    """
    points = len(names)
    yield from _array_problems(record, sweep, n)
    if sweep.calls > sweep.naive_calls or sweep.macs > sweep.naive_macs:
        yield "more work than running each combination by itself"
    # Before the cells are made: of very many points these are too many to hold.
    if not 0 < 4 * points <= len(sweep.predictions) + 4:
        yield f"predictions are not those of the curves of {points} points"
        return
    expected = {range_text(cell) for cell in curves(points).distinct}
    if expected <= sweep.predictions.keys() and sweep.split == "test":
        named[sweep.policy] = inflection_points(large_steps(_found(sweep, points)))
    expected |= {range_text(cell) for cell in confirming(points, named.get(sweep.policy, []))}
    if sweep.predictions.keys() != expected:
        yield (
            f"predictions are not those of the curves of {points} points and of the inflection "
            "points of the test split"
        )
        return
    yield from _plan_problems(record, sweep, [names[one] for one in named.get(sweep.policy, [])])


def _plan_problems(record: Record, sweep: SweepObserved, named: Sequence[str]) -> Iterator[str]:
    """Of the runtimes that kept the points named on the test split in float."""
    runs: list[PlanRun] = sweep.in_runtimes
    yield from plan_run_problems(record, runs)
    if runs and (sweep.split != "test" or any(one.points != [*named] for one in runs)):
        yield "runtimes kept other points in float than the inflection points"


def _array_problems(record: Record, sweep: SweepObserved, n: int) -> Iterator[str]:
    if sweep.n != n:
        yield f"of {sweep.n} examples, but there are {n}"
    arrays = {"targets": sweep.targets, "float": sweep.in_float, **sweep.predictions}
    for key, found in arrays.items():
        if len(found) != n or ((found < NONE) | (found >= record.subject.n_classes)).any():
            yield (
                f"{key or 'weights only'} is not {n} times a class below "
                f"{record.subject.n_classes}, or -1"
            )
            return
    if ((sweep.targets == NONE) != (sweep.in_float == NONE)).any():
        yield "a target goes with a prediction in float, and is not there without"
    if sweep.split == "test":
        # Float's predictions are those of the machine that explained, which may differ in a tie.
        labels = record.table.labels
        targets = sweep.in_float if labels is None else np.where(sweep.in_float < 0, NONE, labels)
        if (sweep.targets != targets).any():
            yield "an example has another target among the examples"


KIND = AnswerKind(LayersObserved, figures, problems, older)
