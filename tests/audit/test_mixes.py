"""Formats mixed under an exact budget: gradients by hand, plans by brute force."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit import AssessSettings
from bitcliff.audit.from_python import own_examples, own_subject
from bitcliff.audit.mixes import Mixes
from bitcliff.audit.prepare import Prepared, mix_cost, prepare
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InfeasibleBudget, InputError
from bitcliff.quant import round_shipped
from bitcliff.record import Measured
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from tests.small_networks import chain

X = torch.randn(24, 4, generator=torch.Generator().manual_seed(0))


def integers(bits: int, group: str = "token") -> Format:
    numerics = Numerics.model_validate(
        {"element": f"int{bits}", "group": group, "scale": "amax", "divisor": 2 ** (bits - 1) - 1}
    )
    return Format(activations=numerics, weights=numerics)


FORMATS = {"three": integers(3), "five": integers(5), "rows": integers(5, "example")}
SETTINGS = AssessSettings(
    options=("rows", "three", "five"), formats=FORMATS, budgets=(4.2,), include_stem=True,
    batch_size=16, draws=20,
)  # fmt: skip


def prepared(network: nn.Module, settings: AssessSettings = SETTINGS) -> Prepared:
    return prepare(own_subject(network), own_examples(X), settings)


def mixes_of(found: Prepared) -> Mixes:
    schedule = Schedule(found)
    return Mixes(found, schedule._seed, schedule._halves())


def rounded(x: Tensor, name: str) -> Tensor:
    numerics = FORMATS[name].activations
    assert numerics is not None
    return round_shipped(x, numerics)


def test_the_gradient_is_that_of_activations_and_weights_added_up() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).eval()
    first, last = network[0], network[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    names, plan = ("three", "five", "rows"), ("five", "three")
    options = tuple(FORMATS[name] for name in names)
    evaluator = prepared(network, SETTINGS.changed(budgets=(4.0,))).evaluator
    index = torch.arange(19)  # a whole batch and a part of one
    found = evaluator.format_gradients(index, tuple(FORMATS[name] for name in plan), options)
    # By hand: the network with each rounded operand a leaf.
    x, reference = X[index], evaluator.reference[index, None]
    operands = [rounded(x, plan[0]), rounded(first.weight.detach(), plan[0])]
    operands = [operand.requires_grad_() for operand in operands]
    hidden = nn.functional.linear(operands[0], operands[1], first.bias).tanh()
    later = [rounded(hidden.detach(), plan[1]), rounded(last.weight.detach(), plan[1])]
    later = [operand.requires_grad_() for operand in later]
    # Straight through: the gradient of the rounded values is that of the values.
    through = hidden + (later[0] - hidden.detach())
    scores = nn.functional.linear(through, later[1], last.bias)
    others = scores.scatter(1, reference, float("-inf")).amax(1)
    (scores.gather(1, reference)[:, 0] - others).sum().backward()
    exact = [
        [
            sum(
                float((leaf.grad * (rounded(given, name) - given)).sum())
                for leaf, given in pairs
                if leaf.grad is not None
            )
            for name in names
        ]
        for pairs in (
            [(operands[0], x), (operands[1], first.weight.detach())],
            [(later[0], hidden.detach()), (later[1], last.weight.detach())],
        )
    ]
    torch.testing.assert_close(found, torch.tensor(exact), rtol=1e-4, atol=1e-5)


def every_plan(length: int, costs: list[int], cost: int) -> list[Tensor]:
    every = itertools.product(range(len(costs)), repeat=length)
    return [torch.tensor(plan) for plan in every if sum(costs[o] for o in plan) == cost]


@pytest.mark.parametrize("sign", ["worst-mix-4.2", "best-mix-4.2"])
def test_the_plan_found_is_among_the_most_extreme_there_are(sign: str) -> None:
    """Five points, three formats of which two cost alike: 80 plans, all tried."""
    found = prepared(chain(1, points=4, width=8))
    mixes = mixes_of(found)
    cost = mix_cost(4.2, 5, found.settings)
    plans = every_plan(5, mixes.costs, cost)
    chosen, _ = mixes.halves
    clear = 0.5 * found.evaluator.scale
    turn = 1 if sign.startswith("worst") else -1

    def objective(plan: Tensor) -> float:
        margins = turn * mixes.runner.margins(chosen, plan.expand(len(chosen), -1))
        return float(margins.clamp(min=-clear).double().mean())

    every = sorted(objective(plan) for plan in plans)
    assert len(plans) == len({tuple(plan.tolist()) for plan in plans}) == 80
    measured = run(found)[sign]
    assert measured.outcomes.plan is not None
    numbers = torch.tensor([mixes.names.index(name) for name in measured.outcomes.plan])
    better = sum(one < objective(numbers) - 1e-6 for one in every)
    assert better < 3


def run(found: Prepared) -> dict[str, Measured]:
    schedule = Schedule(found)
    schedule.run()
    return schedule.done


def test_each_format_alone_then_mixes_of_exactly_the_budget() -> None:
    found = prepared(chain(0, points=4, width=8))
    done = run(found)
    names = ["three", "rows", "five"]
    assert list(done) == [*names, "random-mix-4.2", "worst-mix-4.2", "best-mix-4.2"]
    costs = {"three": 3 * 32, "five": 5 * 32, "rows": 5 * 32}
    for name, one in list(done.items())[3:]:
        assert one.condition.options == names
        assert sum(costs[format] for format in one.outcomes.plan or []) == 672, name
    # 80 plans, as brute force counts them.
    assert done["worst-mix-4.2"].condition.policy_freedom_log2 == pytest.approx(6.3219, abs=1e-4)
    worst = done["worst-mix-4.2"].outcomes
    assert len(worst.prediction) == 12
    with torch.no_grad():
        scores = mixes_of(found).runner.scores(
            torch.tensor(worst.index.tolist()),
            torch.tensor([names.index(one) for one in worst.plan or []]),
        )
    assert scores.predictions.tolist() == worst.prediction.tolist()


def test_a_budget_that_no_mix_meets_names_those_that_one_does() -> None:
    with pytest.raises(InfeasibleBudget, match=r"the nearest that can are 3\.8 or 4\.2"):
        prepared(chain(0, points=4, width=8), SETTINGS.changed(budgets=(4.0,)))
    assert mix_cost(3.8, 5, SETTINGS) == 19 * 32


def test_points_that_some_format_is_not_for_are_left_out() -> None:
    network = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 1), nn.Flatten(), nn.ReLU(), nn.Linear(16, 3)
    ).eval()
    found = prepared(network, SETTINGS.changed(budgets=(5.0,)))
    kinds = {point.kind: point.reason for point in found.points.seen}
    assert kinds == {"conv2d": "not all formats of --options are for it", "linear": ""}
    without = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 1), nn.Flatten()).eval()
    with pytest.raises(InputError, match="none is a linear layer's input"):
        prepared(without)
