"""Which layers break: quantized up to each point, from it on, it alone, and all but it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Scores
from bitcliff.audit.outcomes import predictions_of
from bitcliff.points.replay import Work
from bitcliff.questions.context import Context, Side
from bitcliff.questions.deployed import run_plan
from bitcliff.questions.layers.cells import Cell, curves, range_text
from bitcliff.questions.layers.kept_in_float import observe_kept
from bitcliff.questions.layers.record import LayersObserved, SimulatedObserved, SweepObserved
from bitcliff.questions.layers.simulated import simulated
from bitcliff.questions.layers.statistics import (
    CellPredictions,
    Predictions,
    confirming,
    inflection_points,
    large_steps,
)
from bitcliff.questions.layers.sweep import Sweep
from bitcliff.record.arrays import NONE, classes


def observe_layers(context: Context) -> LayersObserved:
    """Sweep every explained policy on every split, and confirm what the test split names; keep
    layers in float in every explained runtime; sweep the others in simulation."""
    asked = [(p, side) for p in context.policies for side in context.sides if p in side.allocations]
    sweeps: list[SweepObserved] = []
    named: dict[str, list[int]] = {}
    for number, (policy, side) in enumerate(asked):

        def tell(done: int, whole: int, policy: str = policy, number: int = number) -> None:
            context.tell(policy, number * whole + done, len(asked) * whole)

        # The test split comes first: in the other its points had no part in the choice.
        before = named.get(policy)
        found, named[policy] = _swept(policy, side, side.allocations[policy], tell, before)
        names = [point.name for point in side.prepared.points.points]
        if before is None:
            runs = run_plan(context, [names[index] for index in named[policy]])
            found = found.model_copy(update={"in_runtimes": runs})
        sweeps.append(found)
    return LayersObserved(
        sweeps=sweeps, kept=observe_kept(context), simulated=list(_simulated(context))
    )


def _swept(
    policy: str,
    side: Side,
    bits: Int[Tensor, "n points"],
    tell: Callable[[int, int], None],
    named: Sequence[int] | None = None,
) -> tuple[SweepObserved, list[int]]:
    """Every cell of the curves, and those that confirm the points named, or by default those that
    this very sweep names; and which these are."""
    found, work, naive = run_cells(side, bits, tell)
    if named is None:
        named = inflection_points(large_steps(found))
    by_cell = {**found.by_cell, **_confirmed(side, bits, found, named)}
    size = side.evaluator.batch_size
    observed = SweepObserved(
        policy=policy,
        split=side.split,
        n=len(found.targets),
        targets=found.targets,
        in_float=_predictions(side.prepared.in_float),
        predictions={range_text(cell): one for cell, one in by_cell.items()},
        calls=work.calls,
        naive_calls=naive.calls,
        macs=work.macs * size,
        naive_macs=naive.macs * size,
    )
    return observed, list(named)


def _simulated(context: Context) -> Iterator[SimulatedObserved]:
    for policy, names, side, bits in simulated(context):
        tell = partial(context.tell, f"{policy}, simulated")
        found, named = _swept(policy, side, bits, tell)
        fields = {name: getattr(found, name) for name in SweepObserved.model_fields}
        runs = run_plan(context, [names[index] for index in named])
        yield SimulatedObserved(**{**fields, "in_runtimes": runs}, points=names)


def run_cells(
    side: Side, bits: Int[Tensor, "n points"], tell: Callable[[int, int], None]
) -> tuple[CellPredictions, Work, Work]:
    """What the network predicts in every cell of the curves; the work done, and that of a naive
    sweep.

    Args:
        tell: hears of the passes made and in all, in examples.
    """
    sweep = Sweep(side.evaluator, bits)
    cells = curves(bits.shape[1]).distinct
    by_cell: dict[Cell, list[Predictions]] = {cell: [] for cell in cells}
    done = 0
    for cell, scores in sweep.run():
        tell(done, len(bits) * len(cells))
        by_cell[cell].append(_predictions(scores))
        done += len(scores.failed_at)
    targets = np.where(
        _predictions(side.prepared.in_float) == NONE, NONE, classes(side.prepared.targets)
    )
    whole = {cell: np.concatenate(batches) for cell, batches in by_cell.items()}
    found = CellPredictions(bits.shape[1], targets.astype(np.int32), whole)
    return found, sweep.work, sweep.naive


def _confirmed(
    side: Side, bits: Int[Tensor, "n points"], found: CellPredictions, named: Sequence[int]
) -> dict[Cell, Predictions]:
    """Only the points named quantized, and all but them, where the sweep has not done so."""
    return {
        cell: _predictions(side.evaluator.scores(side.everyone, bits, cell))
        for cell in confirming(found.points, named)
        if cell not in found.by_cell
    }


def _predictions(scores: Scores) -> Predictions:
    return classes(predictions_of(scores))
