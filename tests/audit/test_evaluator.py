import copy

import pytest
import torch
from torch import Tensor, nn

from bitcliff.audit.evaluator import Evaluator, margins
from bitcliff.points import Attachment, discover
from tests.audit.searching import OPTIONS, evaluator_of
from tests.small_networks import Overflowing, chain

N = 12
OPTION_TENSOR = torch.tensor(OPTIONS)


def rounded(x: Tensor, bits: Tensor) -> Tensor:
    """The canonical formula of the onnx scheme, example by example."""
    rows = []
    for row, b in zip(x, bits.tolist(), strict=True):
        low, high = min(row.min().item(), 0.0), max(row.max().item(), 0.0)
        levels = 2**b - 1
        s = torch.tensor(high) / levels - torch.tensor(low) / levels
        if s == 0:
            rows.append(row)
            continue
        z = torch.round(-torch.tensor(low) / s).clamp(0, levels)
        q = (torch.round(row / s) + z).clamp(0, levels)
        rows.append((q - z) * s)
    return torch.stack(rows)


def naive_slopes(model: nn.Module, x: Tensor, bits: Tensor, reference: Tensor) -> Tensor:
    """<d margin / d x, Q_o(x) - x> at every linear layer but the first, by hooks and autograd."""
    model = copy.deepcopy(model)
    before: list[Tensor] = []
    after: list[Tensor] = []

    def hook(_module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        (value,) = args
        place = len(before)
        straight = value + (rounded(value.detach(), bits[:, place]) - value).detach()
        straight.retain_grad()
        before.append(value.detach())
        after.append(straight)
        return (straight,)

    for layer in list(model.children())[2::2]:
        layer.register_forward_pre_hook(hook)
    x = x.clone().requires_grad_()
    logits = model(x)
    rows = torch.arange(len(x))
    others = logits.clone()
    others[rows, reference] = -torch.inf
    (logits[rows, reference] - others.max(1).values).sum().backward()
    return torch.stack(
        [
            torch.stack(
                [((rounded(v, torch.full((len(v),), o)) - v) * q.grad).sum(1) for o in OPTIONS],  # type: ignore[operator]
                1,
            )
            for v, q in zip(before, after, strict=True)
        ],
        1,
    )


def float_weights(model: nn.Module, inputs: Tensor, batch_size: int) -> Evaluator:
    attachment = Attachment(model, discover(model, inputs), "onnx", weight_bits=None)
    evaluator = Evaluator(attachment, inputs, batch_size)
    evaluator.reference = evaluator.float_scores(torch.arange(len(inputs))).predictions
    return evaluator


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("batch_size", [5, 12, 16])
def test_slopes_are_the_gradient_times_the_rounding_error(seed: int, batch_size: int) -> None:
    model = chain(seed, points=4)
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(seed))
    evaluator = float_weights(model, x, batch_size)
    drawn = torch.randint(0, 4, (N, 4), generator=torch.Generator().manual_seed(seed))
    bits = OPTION_TENSOR[drawn]
    found = evaluator.gradients(torch.arange(N), bits, OPTION_TENSOR)
    wanted = naive_slopes(model, x, bits, evaluator.reference)
    assert wanted.abs().max() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_to_first_order_slopes_predict_the_change_of_one_points_bits() -> None:
    """From 16 bits everywhere to 8 at one point: small enough an error for a linear prediction."""
    model = chain(1, points=3)
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(1))
    evaluator = float_weights(model, x, N)
    everyone, fine = torch.arange(N), torch.full((N, 3), 16)
    gradients = evaluator.gradients(everyone, fine, torch.tensor([8, 16]))
    start = evaluator.margins(everyone, fine)
    for point in range(3):
        coarse = fine.clone()
        coarse[:, point] = 8
        change = evaluator.margins(everyone, coarse) - start
        predicted = (gradients[:, point, 0] - gradients[:, point, 1]).double()
        assert change.abs().max() > 1e-3
        assert (predicted - change).abs().max() < 0.1 * change.abs().max()


def test_margins_are_exact_and_negative_once_flipped() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [1.0, 4.0, 0.0], [3e38, -3e38, 0.0]])
    assert margins(logits, torch.tensor([0, 0, 0])).tolist() == pytest.approx([1.0, -3.0, 3e38])
    # The difference itself is beyond float32.
    assert margins(logits[2:], torch.tensor([1])).tolist() == pytest.approx([-6e38])
    close = torch.tensor([[1.0, 1.0 + 2**-23]])
    assert margins(close, torch.tensor([0])).tolist() == [-(2.0**-23)]


@pytest.mark.parametrize("batch_size", [5, 8])
def test_batch_mates_change_no_bit(batch_size: int) -> None:
    """Permuted, poisoned with huge values or NaN, evaluated alone: an example's result stays."""
    model = chain(3, points=5, width=9)
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(3))
    bits = OPTION_TENSOR[torch.randint(0, 4, (N, 5), generator=torch.Generator().manual_seed(3))]
    evaluator = evaluator_of(model, x, batch_size=batch_size)
    everyone = torch.arange(N)
    whole = evaluator.margins(everyone, bits)
    gradients = evaluator.gradients(everyone, bits, OPTION_TENSOR)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(4))
    assert torch.equal(evaluator.margins(order, bits[order]), whole[order])
    assert torch.equal(evaluator.gradients(order, bits[order], OPTION_TENSOR), gradients[order])
    for one in range(N):
        only = torch.tensor([one])
        assert torch.equal(evaluator.margins(only, bits[only]), whole[only])
    for poison in (1e30, float("nan"), float("inf")):
        poisoned = x.clone()
        poisoned[1:] = poison
        assert isinstance(evaluator.inputs, Tensor)
        evaluator.inputs = poisoned
        assert evaluator.margins(everyone, bits)[0] == whole[0]
        assert torch.equal(evaluator.gradients(everyone, bits, OPTION_TENSOR)[0], gradients[0])
        evaluator.inputs = x


def test_numeric_failures_are_told_apart_and_never_flips() -> None:
    x = torch.tensor([[0.5, 0.2, 0.1], [5.0, 1.0, 0.0], [0.3, 0.9, 0.4]])
    evaluator = evaluator_of(Overflowing(), x, batch_size=2)
    everyone, bits = torch.arange(3), torch.full((3, 2), 4)
    base = evaluator.float_scores(everyone)
    assert base.failed_at == (None, "output", None)
    assert base.finite.tolist() == [True, False, True]
    scores = evaluator.scores(everyone, bits)
    # Found where it first shows: at the input of the layer after the division.
    assert scores.failed_at == (None, "head", None)
    found = evaluator.margins(everyone, bits)
    assert found.isinf().tolist() == [False, True, False]
    assert found[1] > 0
    assert evaluator.gradients(everyone, bits, OPTION_TENSOR)[1].tolist() == [[0.0] * 4] * 2


def test_effort_counts_examples_not_padding() -> None:
    evaluator = evaluator_of(chain(0), torch.randn(N, 4), batch_size=5)
    before = (evaluator.spent.forward, evaluator.spent.backward)
    seen = []
    evaluator.on_batch = lambda: seen.append(evaluator.spent.cost)
    bits = torch.full((N, 5), 4)
    evaluator.margins(torch.arange(N), bits)
    evaluator.gradients(torch.arange(N), bits, OPTION_TENSOR)
    after = (evaluator.spent.forward, evaluator.spent.backward)
    assert (after[0] - before[0], after[1] - before[1]) == (2 * N, N)
    assert len(seen) == 6
    assert seen == sorted(seen)


def test_weights_only_leaves_activations_in_float() -> None:
    model, x = chain(2), torch.randn(N, 4, generator=torch.Generator().manual_seed(2))
    evaluator = evaluator_of(model, x)
    rounded_model = copy.deepcopy(model)
    for layer in list(rounded_model.children())[::2]:
        weight = layer.get_parameter("weight")
        s = weight.abs().max() / (2**15 - 1)
        weight.data = torch.round(weight / s) * s
    found = evaluator.weights_only_scores(torch.arange(N)).logits
    torch.testing.assert_close(found, rounded_model(x), rtol=0, atol=1e-6)
    assert not torch.equal(found, model(x))


def test_repeats_nudge_the_input_a_little_and_the_same_each_time() -> None:
    model, x = chain(2), torch.randn(N, 4, generator=torch.Generator().manual_seed(2))
    evaluator = evaluator_of(model, x)
    everyone, bits = torch.arange(N), torch.full((N, 5), 6)
    plain = evaluator.scores(everyone, bits).logits
    first, again, other = (evaluator.repeat(everyone, bits, number) for number in (0, 0, 1))
    assert first is not None and again is not None and other is not None  # noqa: PT018
    assert torch.equal(first.logits, again.logits)
    assert not torch.equal(first.logits, other.logits)
    assert 0 < (first.logits - plain).abs().max() < 0.5
    assert evaluator.inputs is x
    part = evaluator.repeat(everyone[3:5], bits[3:5], 0)
    assert part is not None
    assert torch.equal(part.logits, first.logits[3:5])


def test_repeats_keep_the_inputs_type_and_leave_tokens_alone() -> None:
    model = chain(2).double()
    evaluator = evaluator_of(model, torch.randn(4, 4, dtype=torch.float64))
    found = evaluator.repeat(torch.arange(4), torch.full((4, 5), 6), 0)
    assert found is not None
    assert found.logits.dtype == torch.float64
    half = chain(2).half()
    evaluator = evaluator_of(half, torch.randn(4, 4).half())
    found = evaluator.repeat(torch.arange(4), torch.full((4, 5), 6), 0)
    assert found is not None
    assert found.logits.dtype == torch.float32

    tokens = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 3))
    evaluator = evaluator_of(tokens, torch.randint(0, 9, (4, 3)))
    assert (
        evaluator.repeat(torch.arange(4), torch.full((4, len(evaluator.attachment.plan)), 6), 0)
        is None
    )


class Residual(nn.Module):
    """The same sums, worked in place or not."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y = self.b(x)
        if self.in_place:
            x.add_(y.relu_()).relu_()
        else:
            x = (x + y.relu()).relu()
        return self.c(x)  # type: ignore[no-any-return]


def test_a_network_that_overwrites_its_activations_has_the_same_slopes() -> None:
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    gradients = []
    for in_place in (True, False):
        evaluator = evaluator_of(Residual(in_place), x)
        gradients.append(evaluator.gradients(torch.arange(N), torch.full((N, 2), 4), OPTION_TENSOR))
        assert evaluator.in_place == in_place
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 1e-3
