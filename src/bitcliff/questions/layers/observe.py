"""Which layers break: quantized up to each point, from it on, it alone, and all but it."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Scores
from bitcliff.audit.outcomes import predictions_of
from bitcliff.points.replay import Work
from bitcliff.questions.context import Context, Side
from bitcliff.questions.layers.cells import Cell, curves, range_text
from bitcliff.questions.layers.in_runtimes import observe_kept
from bitcliff.questions.layers.record import LayersObserved, SweepObserved
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
    layers in float in every explained runtime."""
    asked = [(p, side) for p in context.policies for side in context.sides if p in side.allocations]
    sweeps: list[SweepObserved] = []
    named: dict[str, list[int]] = {}
    for number, (policy, side) in enumerate(asked):

        def tell(done: int, whole: int, policy: str = policy, number: int = number) -> None:
            context.tell(policy, number * whole + done, len(asked) * whole)

        found, work, naive = run_cells(side, side.allocations[policy], tell)
        if policy not in named:
            # The test split comes first: in the other its points had no part in the choice.
            named[policy] = inflection_points(large_steps(found))
        more = _confirmed(side, side.allocations[policy], found, named[policy])
        by_cell, size = {**found.by_cell, **more}, side.evaluator.batch_size
        sweeps.append(
            SweepObserved(
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
        )
    return LayersObserved(sweeps=sweeps, kept=observe_kept(context))


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
