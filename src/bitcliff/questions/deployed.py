"""The network as it is deployed, with the layers of some points in float."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.in_turn import InTurn
from bitcliff.audit.outcomes import predictions_of
from bitcliff.audit.rerun import in_batches
from bitcliff.errors import InputError, NothingQuantized
from bitcliff.points import Point, Selection, discover
from bitcliff.questions.context import Context
from bitcliff.questions.halves import Places
from bitcliff.questions.plan_in_runtime import PlanRun, in_runtimes
from bitcliff.record.arrays import classes
from bitcliff.types.presets import Format
from bitcliff.types.runtime import Runtime

Tell = Callable[[int, int], None]
"""Hears how much is done, of how much."""


@runtime_checkable
class Deployed(Protocol):
    """One of the run's conditions that somebody runs, with some layers back in float."""

    policy: str

    @property
    def points(self) -> Sequence[Point]:
        """Of each layer that it rounds, the first."""

    def in_float(self, several: Sequence[frozenset[str]], tell: Tell) -> Iterator[Places | None]:
        """For each set of layers (n,) what it predicts with these in float, -1 on a numeric
        failure; None where it does not leave them all so. `tell` hears of what is done."""


def deployed(context: Context, policy: str) -> Deployed:
    """A runtime's condition is run in the runtime, that of a format simulated."""
    of_runtime = context.record.by_name[policy].runtime is not None
    return InRuntime(context, policy) if of_runtime else InFormat(context, policy)


class InFormat:
    """A shipped format, simulated.

    Attributes:
        shipped: the format.
    """

    def __init__(self, context: Context, policy: str) -> None:
        prepared = context.test.prepared
        self.policy, self._prepared = policy, prepared
        self._condition = context.record.by_name[policy].condition
        self.shipped = prepared.settings.format_of(self._condition.numerics or policy)
        rounds = prepared.points.rounds
        self.points = _one_each(p for p in prepared.points.points if rounds(self.shipped, p))

    def in_float(self, several: Sequence[frozenset[str]], tell: Tell) -> Iterator[Places]:
        """See `Deployed`; here all of them always are."""
        points, everyone = self._prepared.points.points, self._prepared.everyone
        found = np.empty((len(several), len(everyone)), np.int32)

        def scores(evaluator: Evaluator, rows: Int[Tensor, " rows"], number: int) -> Scores:
            return evaluator.format_scores(rows, self._formats(self.shipped, several[number]))

        treated = {
            number: [point.site in sites for point in points]
            for number, sites in enumerate(several)
        }
        done = 0
        for number, rows, one in InTurn(self._evaluator).run(everyone, treated, scores):
            tell(done, found.size)
            found[number, rows.numpy()] = classes(predictions_of(one))
            done += len(rows)
        yield from found

    def predictions(self, shipped: Format) -> Places:
        """(n,) the same in another format, -1 on a numeric failure."""
        formats = self._formats(shipped, frozenset())
        scores = self._evaluator.format_scores(self._prepared.everyone, formats)
        return classes(predictions_of(scores)).astype(np.int32)

    @property
    def _evaluator(self) -> Evaluator:
        return in_batches(self._prepared.evaluator, self._condition)

    def _formats(self, shipped: Format, in_float: frozenset[str]) -> tuple[Format | None, ...]:
        points = self._prepared.points.points
        return tuple(None if point.site in in_float else shipped for point in points)


class InRuntime:
    """One of the run's conditions in a runtime.

    Attributes:
        runtime: with everything quantized that the run quantizes.
    """

    def __init__(self, context: Context, policy: str) -> None:
        self.context, self.policy = context, policy
        condition = context.record.by_name[policy].condition
        self._size = condition.batch_size or 1
        loaded = context.test.prepared.runtimes
        self.runtime = next(one for one in loaded if one.name == condition.runtime)

    @cached_property
    def points(self) -> list[Point]:
        """See `Deployed`; of the first layer too, which runtimes quantize."""
        prepared, whole = self.context.test.prepared, Selection(include_stem=True)
        plan = discover(prepared.subject.module, prepared.examples.inputs, whole)
        return _one_each(plan.rounded_by(self.runtime))

    def in_float(self, several: Sequence[frozenset[str]], tell: Tell) -> Iterator[Places | None]:
        """See `Deployed`."""
        for number, sites in enumerate(several):
            tell(number, len(several))
            changed = self.keeping(sites) if sites else self.runtime
            if changed is None or not changed.kept.issuperset(sites):
                yield None
            else:
                yield self.predictions(changed)

    def keeping(self, sites: Collection[str]) -> Runtime | None:
        """The same with these in float too; None where nothing would be quantized.

        Raises:
            InputError: the runtime cannot be made so.
        """
        keep = self.context.keep_in_float
        assert keep is not None  # noqa: S101  (there is one where runtimes are loaded)
        try:
            return keep(self.runtime.name, tuple(sites))
        except NothingQuantized:
            return None

    def predictions(self, runtime: Runtime) -> Places:
        """(n,) what a runtime says, in batches as in the run; -1 on a numeric failure."""
        side = self.context.test
        scores = side.evaluator.runtime_scores(side.everyone, runtime.run, self._size)
        return classes(predictions_of(scores)).astype(np.int32)


def _one_each(points: Iterable[Point]) -> list[Point]:
    first = dict[str, Point]()
    for point in points:
        first.setdefault(point.site, point)
    return list(first.values())


def run_plan(context: Context, points: Sequence[str]) -> list[PlanRun]:
    """A plan's points in float in every runtime of the run; none without such points."""
    return list(_runs(context, points)) if points else []


def _runs(context: Context, points: Sequence[str]) -> Iterator[PlanRun]:
    for policy in in_runtimes(context.record):
        context.tell(f"{policy}, the plan", 0, 1)
        try:
            without, found, not_kept = _run(context, policy, points)
        except InputError as reason:
            yield PlanRun(policy=policy, points=list(points), left_out=str(reason))
            continue
        yield PlanRun(
            policy=policy,
            points=list(points),
            not_kept=not_kept,
            without=without,
            prediction=found,
        )


def _run(context: Context, policy: str, points: Sequence[str]) -> tuple[Places, Places, list[str]]:
    if policy in context.not_loaded:
        raise InputError(context.not_loaded[policy])
    there = InRuntime(context, policy)
    plan = context.test.prepared.points
    # What has no constant weights stays in float in any case.
    sites = {p.name: p.site for p in plan.seen if p.name in points and plan.weights.get(p.site)}
    changed = there.keeping(sites.values())
    if changed is None:
        raise InputError("nothing would be quantized there")
    not_kept = [name for name, site in sites.items() if site not in changed.kept]
    if len(not_kept) == len(sites):
        raise InputError("it leaves none of these layers in float, or has them in float already")
    return there.predictions(there.runtime), there.predictions(changed), not_kept
