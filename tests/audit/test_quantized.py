from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bitcliff as bc
from bitcliff.errors import BitcliffError, NumericError
from bitcliff.points import Attachment, discover
from bitcliff.points.attach import rounding_to
from bitcliff.policy import Batch, PerExample, Policy, Static, Uniform
from tests.contract.subjects import Tokens
from tests.small_networks import Overflowing, chain

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
TABLE = torch.stack([torch.tensor([3, 9, 4, 6]).roll(place) for place in range(10)])


def global_hooks() -> int:
    from torch.nn.modules import module

    return len(module._global_forward_pre_hooks) + len(module._global_forward_hooks)


def test_inside_calls_are_quantized_and_afterwards_all_is_as_before() -> None:
    model = chain(0, points=4)
    plan = discover(model, X)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    plain, hooks = model(X), global_hooks()
    with bc.quantized(model, Uniform(4, 3), plan):
        inside = model(X)
    assert not torch.equal(inside, plain)
    wanted = Attachment(model, plan, "onnx").run(X, rounding_to(torch.full((10, 4), 3)))
    assert torch.equal(inside, wanted)
    assert torch.equal(model(X), plain)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not model._forward_pre_hooks
    assert global_hooks() == hooks


def test_examples_are_numbered_on_from_call_to_call() -> None:
    model = chain(0, points=4)
    with bc.quantized(model, PerExample(TABLE), discover(model, X), scheme="paper"):
        parts = torch.cat([model(X[:3]), model(X[3:4]), model(X[4:])])
    with bc.quantized(model, PerExample(TABLE), discover(model, X), scheme="paper"):
        whole = model(X)
    torch.testing.assert_close(parts, whole)
    with bc.quantized(model, Static(TABLE[0]), discover(model, X), scheme="paper"):
        assert not torch.allclose(model(X), whole)


@pytest.mark.parametrize("place", ["body", "policy", "model"])
def test_an_exception_leaves_nothing_behind(place: str) -> None:
    class Raising(Uniform):
        def allocate(self, batch: Batch) -> Tensor:
            raise RuntimeError("policy")

    model = chain(0, points=4)
    plan, plain, hooks = discover(model, X), model(X), global_hooks()
    policy: Policy = Raising(4, 3) if place == "policy" else Uniform(4, 3)
    with pytest.raises(RuntimeError), bc.quantized(model, policy, plan):  # noqa: PT012
        model(X[:, :2] if place == "model" else X)
        raise RuntimeError("body")
    assert torch.equal(model(X), plain)
    assert not model._forward_pre_hooks
    assert global_hooks() == hooks


def test_a_policy_of_another_length_is_refused() -> None:
    model = chain(0, points=4)
    with pytest.raises(BitcliffError, match="the policy has 3 points, the plan 4"):  # noqa: SIM117
        with bc.quantized(model, Uniform(3, 4), discover(model, X)):
            pass


def test_failures_are_told_with_point_and_examples_over_all_calls() -> None:
    model = Overflowing().eval()
    x = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) / 2
    plan = discover(model, x)
    x[[1, 4], 0] = 3.0
    with pytest.raises(NumericError, match=r"NaN or infinity at head, examples \[1, 4\]"):  # noqa: SIM117, PT012
        with bc.quantized(model, Uniform(2, 6), plan):
            model(x[:3])
            model(x[3:])


def test_a_policy_sees_each_calls_inputs() -> None:
    seen: list[Any] = []

    class Watching(Uniform):
        def allocate(self, batch: Batch) -> Tensor:
            seen.append((batch.inputs, batch.index.tolist()))
            return super().allocate(batch)

    model = chain(0, points=4)
    with bc.quantized(model, Watching(4, 3), discover(model, X)):
        model(X[:2])
        model(input=X[2:5])
    assert torch.equal(seen[0][0], X[:2])
    assert seen[0][1] == [0, 1]
    assert torch.equal(seen[1][0]["input"], X[2:5])
    assert seen[1][1] == [2, 3, 4]


def test_other_arguments_may_stand_beside_the_tensors() -> None:
    class Flagged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = chain(0, points=4)

        def forward(self, x: Tensor, double: bool = False) -> Tensor:
            return self.net(x) * (2 if double else 1)  # type: ignore[no-any-return]

    model = Flagged().eval()
    plan = discover(model, X)
    with bc.quantized(model, PerExample(TABLE), plan):
        twice = model(X, double=True)
    with bc.quantized(model, PerExample(TABLE), plan):
        once = model(double=False, x=X)
    assert torch.equal(twice, 2 * once)


def test_named_tensors() -> None:
    model = Tokens().eval()
    inputs = {"tokens": torch.randint(0, 11, (4, 5)), "mask": torch.ones(4, 5, dtype=torch.bool)}
    plan = discover(model, inputs)
    with bc.quantized(model, Uniform(len(plan), 3), plan):
        inside = model(**inputs)
    wanted = Attachment(model, plan, "onnx").run(inputs, rounding_to(torch.full((4, len(plan)), 3)))
    assert torch.equal(inside, wanted)


def test_gradients_flow_straight_through() -> None:
    model = chain(0, points=4)
    x = X.clone().requires_grad_()
    with bc.quantized(model, Uniform(4, 4), discover(model, X)):
        model(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


class Products(nn.Module):
    """Calls a product itself, so that its name depends on what else is called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.weight = nn.Parameter(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(self.stem(x), self.weight)


def test_a_policys_own_products_are_not_the_models() -> None:
    class Looking(Uniform):
        def allocate(self, batch: Batch) -> Tensor:
            assert isinstance(batch.inputs, Tensor)
            torch.matmul(batch.inputs, batch.inputs.T)
            return super().allocate(batch)

    model = Products().eval()
    plan = discover(model, X)
    with bc.quantized(model, Uniform(1, 3), plan):
        wanted = model(X)
    with bc.quantized(model, Looking(1, 3), plan):
        assert torch.equal(model(X), wanted)


def test_calls_that_are_not_in_the_plan_are_told_on_leaving() -> None:
    class Branching(Products):
        def forward(self, x: Tensor) -> Tensor:
            scores = super().forward(x)
            return torch.matmul(scores, scores.new_ones(3, 3)) if len(x) == 5 else scores

    model = Branching().eval()
    plan = discover(model, X)
    with (
        pytest.raises(BitcliffError, match="otherwise than when its points were found"),
        bc.quantized(model, Uniform(1, 3), plan),
    ):
        model(X[:5])
