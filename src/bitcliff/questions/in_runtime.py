"""The network in a runtime anew, with the layers of some points in float."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from bitcliff.audit.outcomes import predictions_of
from bitcliff.errors import InputError, NothingQuantized
from bitcliff.questions.context import Context
from bitcliff.questions.halves import Places
from bitcliff.questions.plan_in_runtime import PlanRun, in_runtimes
from bitcliff.record.arrays import classes
from bitcliff.types.runtime import Runtime


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
