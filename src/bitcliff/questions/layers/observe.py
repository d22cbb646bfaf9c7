"""Which layers break: quantized up to each point, from it on, it alone, and all but it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from jaxtyping import Int
from torch import Tensor

from bitcliff.assess.measured import predictions_of
from bitcliff.points.replay import Work
from bitcliff.questions.context import Context, Side
from bitcliff.questions.layers.record import (
    Confirmation,
    Layers,
    LayerSweep,
    pack,
    range_text,
)
from bitcliff.questions.layers.statistics import (
    Answers,
    inflection_points,
    large_steps,
    smallest_share,
)
from bitcliff.questions.layers.sweep import NOTHING, Cell, Sweep, curves


def explain_layers(context: Context) -> Layers:
    """Sweep every explained policy on every split, and confirm what the test split names."""
    asked = [(p, side) for p in context.policies for side in context.sides if p in side.allocations]
    sweeps: list[LayerSweep] = []
    named: dict[str, list[int]] = {}
    for number, (policy, side) in enumerate(asked):

        def tell(done: int, whole: int, policy: str = policy, number: int = number) -> None:
            context.tell(policy, number * whole + done, len(asked) * whole)

        sweep = _sweep(policy, side, named.get(policy), tell)
        # The test split comes first: in the other its points had no part in the choice.
        named.setdefault(policy, sweep.inflection)
        sweeps.append(sweep)
    return Layers(sweeps=sweeps)


def _sweep(
    policy: str, side: Side, points: Sequence[int] | None, tell: Callable[[int, int], None]
) -> LayerSweep:
    """One policy on one split; `points` to confirm, by default its own inflection points."""
    bits = side.allocations[policy]
    answers, work, naive = run_cells(side, bits, tell)
    steps = large_steps(answers)
    own = inflection_points(steps)
    answers, confirmation = _confirmed(side, bits, answers, own if points is None else points)
    ways, size = curves(answers.points), side.evaluator.batch_size
    in_float = Answers(answers.points, answers.wanted, {NOTHING: predictions_of(side.base)})
    return LayerSweep(
        policy=policy,
        split=side.split,
        n=len(bits),
        wanted=pack(answers.wanted),
        in_float=pack(predictions_of(side.base)),
        predictions={range_text(cell): pack(told) for cell, told in answers.by_cell.items()},
        float_rate=in_float.right(NOTHING),
        none=answers.right(NOTHING),
        all=answers.right(answers.everything),
        before=[answers.right(cell) for cell in ways.before],
        after=[answers.right(cell) for cell in ways.after],
        single=[answers.right(cell) for cell in ways.single],
        all_but=[answers.right(cell) for cell in ways.all_but],
        whole=answers.whole,
        large_steps=steps,
        smallest_share=smallest_share(answers.points),
        inflection=own,
        confirmation=confirmation,
        calls=work.calls,
        naive_calls=naive.calls,
        macs=work.macs * size,
        naive_macs=naive.macs * size,
    )


def run_cells(
    side: Side, bits: Int[Tensor, "n points"], tell: Callable[[int, int], None]
) -> tuple[Answers, Work, Work]:
    """What the network says in every cell of the curves; the work done, and that of a naive sweep.

    Args:
        tell: hears of the passes made and in all, in examples.
    """
    sweep = Sweep(side.evaluator, bits)
    cells = curves(bits.shape[1]).distinct
    by_cell: dict[Cell, list[int | None]] = {cell: [] for cell in cells}
    done = 0
    for cell, scores in sweep.run():
        tell(done, len(bits) * len(cells))
        by_cell[cell] += predictions_of(scores)
        done += len(scores.failed_at)
    told = predictions_of(side.base)
    wanted = [
        None if in_float is None else right
        for in_float, right in zip(told, side.suite.wanted, strict=True)
    ]
    return Answers(bits.shape[1], wanted, by_cell), sweep.work, sweep.naive


def _confirmed(
    side: Side, bits: Int[Tensor, "n points"], answers: Answers, points: Sequence[int]
) -> tuple[Answers, Confirmation | None]:
    """The points quantized by themselves, and all but them, where the sweep has not done so."""
    if not points:
        return answers, None
    only = frozenset(points)
    without = answers.everything - only
    more = {
        cell: predictions_of(side.evaluator.scores(side.everyone, bits, cell))
        for cell in (only, without)
        if cell not in answers.by_cell
    }
    answers = replace(answers, by_cell={**answers.by_cell, **more})
    return answers, Confirmation(
        points=list(points),
        only=answers.right(only),
        cost=answers.change(NOTHING, only),
        without=answers.right(without),
        regained=answers.change(answers.everything, without),
    )
