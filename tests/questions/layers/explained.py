"""The record of a planted network, with its layers explained."""

import functools
from dataclasses import replace

import torch

from bitcliff.audit import AssessSettings
from bitcliff.audit.compose import record_of_schedule
from bitcliff.audit.schedule import Schedule
from bitcliff.questions.context import Context, Side
from bitcliff.questions.layers.observe import observe_layers
from bitcliff.questions.layers.statistics import KIND
from bitcliff.record import Explained, Record, with_answer
from bitcliff.record.provenance import now
from tests.questions.planted import Planted, examples, side_of

KINDS = {"layers": KIND}
POLICY = "uniform-3"
SETTINGS = AssessSettings(
    bits=(3, 4),
    budgets=(3.5,),
    uniform=(3,),
    rounds=1,
    exchanges=1,
    evaluations=0,
    draws=1,
    batch_size=16,
)


@functools.cache
def explained(
    planted: tuple[int, ...], n: int = 64, train: int = 0, labelled: bool = True, points: int = 6
) -> Record:
    """Made once for each planting; `train`: examples of the training split."""
    model = Planted(points, planted)

    def side(count: int, seed: int) -> Side:
        data = examples(count, seed, labelled)
        found = side_of(model, data, "train" if seed else "test", settings=SETTINGS)
        return replace(found, allocations={POLICY: torch.full((count, points), 3)})

    test, other = side(n, 0), side(train, 1) if train else None
    schedule = Schedule(test.prepared)
    schedule.run()
    record = record_of_schedule(schedule, now(), "made by the tests")
    asked = Explained(policies=[POLICY], n_train=train)
    record = replace(record, observed=record.observed.model_copy(update={"explained": asked}))
    return with_answer(
        record, "layers", observe_layers(Context(record, (POLICY,), test, other)), KIND
    )
