"""A small network whose worst cases are cut from below, with every allocation within reach."""

import torch

from bitcliff.audit import AssessSettings
from bitcliff.audit.compose import record_of_schedule
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.prepare import prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.questions.least_widths.observe import observe_least_widths
from bitcliff.questions.least_widths.record import KEY, LeastWidths
from bitcliff.questions.least_widths.statistics import KIND
from bitcliff.record import Record, with_answer
from tests.small_networks import chain

SETTINGS = AssessSettings(
    bits=(2, 3, 4, 5), budgets=(2.67, 3.67, 4.0), uniform=(), draws=2, evaluations=0,
    rounds=4, exchanges=12, include_stem=False,
)  # fmt: skip
POINTS = 3


def scheduled(settings: AssessSettings = SETTINGS, labelled: bool = False, n: int = 15) -> Schedule:
    """With its worst cases. Labels are what the network says, but for every fifth."""
    model, x = chain(4, POINTS, 10), torch.randn(n, 4, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    y[::5] = (y[::5] + 1) % 3
    data = [(x, y)] if labelled else [x]
    schedule = Schedule(prepare(own_subject(model), own_examples(data), settings))
    worst = {step.name for step in schedule.steps() if step.condition.kind == "worst"}
    schedule.measure_only(worst, lambda *_step: None)
    return schedule


def answered(schedule: Schedule) -> Record:
    """With the answer, where there is one."""
    record = record_of_schedule(schedule, "2026-01-01T00:00:00+00:00", "made by the tests")
    found = observe_least_widths(schedule)
    return record if found is None else with_answer(record, KEY, found, KIND)


def figures_of(record: Record) -> LeastWidths:
    found = record.answer(KEY, LeastWidths)
    assert found is not None
    return found
