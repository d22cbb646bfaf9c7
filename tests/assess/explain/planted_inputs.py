"""Runs in which it is known what decides who is at risk."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from bitcliff.assess import AssessSettings, Audit
from bitcliff.assess.explain.context import Context, Side
from bitcliff.assess.figures import float_figures, policy_figures
from bitcliff.records import ExampleRow, Outcome, Record
from bitcliff.types.subject import Examples
from tests.a_measured import a_measured

CLASSES = 4
EFFORT = AssessSettings(rounds=1, exchanges=2, evaluations=0, draws=2)
SETTINGS = EFFORT.changed(bits=(2, 3), budgets=(2.5,), uniform=(3,))


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
    pictures = pattern + 5 * torch.rand(n, 1, 1, 1, generator=noise)
    labels = torch.randint(0, CLASSES, (n,), generator=noise)
    examples = Examples(
        name="patterns",
        inputs=pictures,
        labels=labels if labelled else None,
        ids=tuple(f"p{place:03d}" for place in range(n)),
        n_available=n,
        sha256="0" * 64,
        thumbnails=tuple(f"data:image/png;base64,{place:04d}" for place in range(n)),
    )
    audit = Audit(Steady().eval(), examples, settings=SETTINGS)
    suite, base = audit.ready()
    record = audit.assess(command="made by the tests")
    margins = (5 * torch.rand(n, generator=noise)).tolist()
    rows = [
        row.model_copy(
            update={
                "float_prediction": int(labels[place]),
                "float_margin": margins[place],
                "outcomes": {},
                "thumbnail": None,
            }
        )
        for place, row in enumerate(record.examples)
    ]
    side = Side("test", audit, suite, base, {})
    return record.model_copy(update={"examples": rows, "at_risk": [], "policies": []}), side


def with_policy(record: Record, hit: Collection[int], name: str = "planted") -> Record:
    """The same run with one more policy, which flips just these examples."""
    rows: list[ExampleRow] = []
    for place, row in enumerate(record.examples):
        assert row.float_prediction is not None
        assert row.float_margin is not None
        outcome = Outcome(prediction=row.float_prediction, margin=row.float_margin - 0.5)
        if place in hit:
            other = (row.float_prediction + 1) % CLASSES
            outcome = Outcome(prediction=other, margin=-1.0)
        rows.append(row.model_copy(update={"outcomes": {**row.outcomes, name: outcome}}))
    return recounted(record, rows, name)


def recounted(record: Record, rows: list[ExampleRow], name: str) -> Record:
    """These rows as a record, with the figures of the policy that was added last."""
    outcomes = {place: row.outcomes[name] for place, row in enumerate(rows)}
    figures = policy_figures(rows, a_measured(name=name, outcomes=outcomes))
    return record.model_copy(
        update={
            "examples": rows,
            "policies": [*record.policies, figures],
            "float_": float_figures(rows),
        }
    )


def context_of(record: Record, side: Side, twin: Record | None = None) -> Context:
    """All policies of the record are explained."""
    return Context(record, tuple(policy.name for policy in record.policies), side, twin=twin)
