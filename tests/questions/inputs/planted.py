"""Runs in which it is known what decides who is at risk."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.questions.context import Context, Side
from bitcliff.questions.inputs.observe import observe_inputs
from bitcliff.questions.inputs.record import InputsAtRisk, InputsObserved
from bitcliff.questions.inputs.statistics import KIND
from bitcliff.record import Condition, ExampleRow, Explained, Outcome, Record, with_answer
from bitcliff.types.subject import Examples
from tests.a_record import figures_in, observed_in, record_of_rows

CLASSES = 4
SETTINGS = AssessSettings(
    bits=(2, 3), budgets=(2.5,), uniform=(3,), rounds=1, exchanges=2, evaluations=0, draws=2
)
PLANTED = "planted"


class Steady(nn.Module):
    """Blind to brightness and contrast: its features hang on the pattern alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
        return self.layers(flat)  # type: ignore[no-any-return]


def steady_run(n: int = 80, seed: int = 0, labelled: bool = True) -> tuple[Record, Side]:
    """A run in which class, margin, brightness and pattern have nothing to do with each other."""
    noise = torch.Generator().manual_seed(seed)
    pattern = torch.randn(n, 1, 6, 6, generator=noise)
    pattern = pattern - pattern.mean((1, 2, 3), keepdim=True)
    images = pattern + 5 * torch.rand(n, 1, 1, 1, generator=noise)
    labels = torch.randint(0, CLASSES, (n,), generator=noise)
    examples = Examples(
        name="patterns",
        inputs=images,
        labels=labels if labelled else None,
        ids=tuple(f"p{place:03d}" for place in range(n)),
        n_available=n,
        sha256="0" * 64,
        thumbnails=tuple(f"data:image/png;base64,{place:04d}" for place in range(n)),
    )
    audit = Audit(Steady().eval(), examples, settings=SETTINGS)
    record = audit.assess(command="made by the tests")
    margins = (5 * torch.rand(n, generator=noise)).tolist()
    # Without labels the class is what the network itself predicts.
    predictions = labels if labelled else audit.prepared.in_float.predictions
    rows = [
        replace(
            row,
            float_prediction=int(predictions[place]),
            float_margin=margins[place],
            outcomes={},
            thumbnail=None,
        )
        for place, row in enumerate(record.examples)
    ]
    return record_of_rows(record.observed, rows, []), Side("test", audit.prepared, {})


def with_policy(record: Record, hit: Collection[int], name: str = PLANTED) -> Record:
    """The same run with one more policy, which flips just these examples."""
    outcomes = []
    for place, row in enumerate(record.examples):
        assert row.float_prediction is not None
        assert row.float_margin is not None
        other = (row.float_prediction + 1) % CLASSES
        kept = Outcome(prediction=row.float_prediction, margin=0.9 * row.float_margin)
        outcomes.append(Outcome(prediction=other, margin=-1.0) if place in hit else kept)
    return with_outcomes(record, outcomes, name)


def with_outcomes(record: Record, outcomes: Sequence[Outcome], name: str = PLANTED) -> Record:
    """The same run with one more policy, under which this became of the examples."""
    rows = [
        replace(row, outcomes={**row.outcomes, name: outcome})
        for row, outcome in zip(record.examples, outcomes, strict=True)
    ]
    policy = Condition(kind="runtime", runtime=name, description="by the tests")
    return _explained(rows, [*(one.condition for one in record.policies), policy], record)


def with_rows(record: Record, change: Callable[[int, ExampleRow], ExampleRow | None]) -> Record:
    """The same run, its examples changed one by one, or left out."""
    rows = [new for i, row in enumerate(record.examples) if (new := change(i, row)) is not None]
    return _explained(rows, [one.condition for one in record.policies], record)


def _explained(
    rows: Sequence[ExampleRow], conditions: Sequence[Condition], record: Record
) -> Record:
    names = [one.name for one in conditions]
    explained = Explained(policies=names, n_train=0) if names else None
    return record_of_rows(record.observed, rows, conditions, explained=explained)


def context_of(record: Record, side: Side, reference: Record | None = None) -> Context:
    """All policies of the record are explained."""
    return Context(
        record, tuple(policy.name for policy in record.policies), side, reference=reference
    )


def answered(record: Record, side: Side, reference: Record | None = None) -> Record:
    """The record with the answer to the question."""
    observed = observe_inputs(context_of(record, side, reference))
    return with_answer(record, "inputs", observed, KIND)


def figures_of(record: Record) -> InputsAtRisk:
    """Of an answered record."""
    return figures_in(record, "inputs", InputsAtRisk)


def observed_of(record: Record) -> InputsObserved:
    """Of an answered record."""
    return observed_in(record, "inputs", InputsObserved)
