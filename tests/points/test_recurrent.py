"""Fused recurrent layers of PyTorch, taken apart: the same values, and every product a point."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bitcliff.points import discover
from bitcliff.points.attach import WEIGHTS_ONLY, Attachment, rounding_to
from bitcliff.points.plan import Plan
from bitcliff.points.recurrent import is_recurrent, taken_apart
from bitcliff.quant import fake_quantize_weight


class Sequences(nn.Module):
    """Sequences (n, 5, 4) to scores by the mean over what a recurrent layer shows."""

    def __init__(self, core: nn.Module, shown: int) -> None:
        super().__init__()
        self.embed, self.core, self.head = nn.Linear(4, 4), core, nn.Linear(shown, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.core(self.embed(x))[0].mean(1))
        return scores


class Cells(nn.Module):
    """A cell, stepped by hand."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> tuple[Tensor]:
        states, found = None, []
        for step in x.unbind(1):
            states = self.cell(step, states)
            found.append(states[0] if isinstance(states, tuple) else states)
        return (torch.stack(found, 1),)


CORES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "LSTM": (lambda: nn.LSTM(4, 6, batch_first=True), 6),
    "GRU": (lambda: nn.GRU(4, 6, batch_first=True), 6),
    "RNN": (lambda: nn.RNN(4, 6, batch_first=True), 6),
    "RNN of relu": (lambda: nn.RNN(4, 6, nonlinearity="relu", batch_first=True), 6),
    "two LSTMs both ways": (lambda: nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True), 12),
    "GRU both ways, no bias": (
        lambda: nn.GRU(4, 6, bias=False, batch_first=True, bidirectional=True),
        12,
    ),
    "LSTM with a projection": (lambda: nn.LSTM(4, 6, 2, batch_first=True, proj_size=2), 2),
    "LSTM cell": (lambda: Cells(nn.LSTMCell(4, 6)), 6),
    "GRU cell": (lambda: Cells(nn.GRUCell(4, 6)), 6),
    "RNN cell": (lambda: Cells(nn.RNNCell(4, 6, nonlinearity="relu")), 6),
}


def network(kind: str) -> nn.Module:
    torch.manual_seed(0)
    make, shown = CORES[kind]
    return Sequences(make(), shown).eval().requires_grad_(False)


def sequences(n: int) -> Tensor:
    return torch.randn(n, 5, 4, generator=torch.Generator().manual_seed(n))


def attached(kind: str) -> tuple[Plan, Attachment, Tensor]:
    model, x = network(kind), sequences(6)
    plan = discover(model, x)
    return plan, Attachment(model, plan, weight_bits=None), x


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", CORES)
def test_nothing_is_missed_and_float_stays_what_it_is(kind: str) -> None:
    plan, attachment, x = attached(kind)
    assert not plan.missed
    # Run apart, with nothing rounded.
    assert torch.allclose(attachment.run(x, WEIGHTS_ONLY), attachment.model(x), atol=1e-6)
    assert not attachment.incidents.strays


def test_each_product_is_a_point_with_a_name() -> None:
    plan = discover(network("two LSTMs both ways"), sequences(3))
    hidden = [f"core.hh_l{i}{end}" for i in range(2) for end in ("", "_reverse")]
    steps = ["", *(f"@{step}" for step in range(2, 6))]
    # The stem is `embed`, as the model's own input comes there.
    assert {point.name for point in plan.points} == {
        *(f"core.ih_l{i}{end}" for i in range(2) for end in ("", "_reverse")),
        *(f"{name}{step}" for name in hidden for step in steps),
        "head",
    }
    (inputs,) = (point for point in plan.points if point.name == "core.ih_l0")
    assert (inputs.layout.axis, inputs.shape, inputs.macs) == (1, (5, 4), 5 * 4 * 24)


def rounded(values: Tensor, bits: int) -> Tensor:
    """Each example by its own smallest and largest value; a constant one as it is."""
    rows = values.flatten(1).double()
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    scale = ((high - low) / (2**bits - 1)).where(high > low, torch.ones(()).double())
    zero = (-low / scale).round()
    steps = ((rows / scale).round() + zero).clamp(0, 2**bits - 1)
    return torch.where(high > low, (steps - zero) * scale, rows).view_as(values).float()


def test_a_gru_is_rounded_as_by_hand() -> None:
    """By the formulas in its documentation, with every product's operands rounded."""
    model, x = network("GRU"), sequences(4)
    plan = discover(model, x)
    found = Attachment(model, plan, weight_bits=8).run(
        x, rounding_to(torch.full((4, len(plan)), 3))
    )
    weights = dict(model.named_parameters())

    def product(values: Tensor, weight: str, bias: str) -> Tensor:
        return values @ fake_quantize_weight(weights[weight], 8).t() + weights[bias]

    embed = product(x, "embed.weight", "embed.bias")
    inputs = product(rounded(embed, 3), "core.weight_ih_l0", "core.bias_ih_l0")
    h, shown = torch.zeros(4, 6), []
    for step in range(5):
        r_x, z_x, n_x = inputs[:, step].chunk(3, -1)
        state = product(rounded(h, 3), "core.weight_hh_l0", "core.bias_hh_l0")
        r_h, z_h, n_h = state.chunk(3, -1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        h = (1 - z) * n + z * h
        shown.append(h)
    expected = product(rounded(torch.stack(shown, 1).mean(1), 3), "head.weight", "head.bias")
    assert torch.allclose(found, expected, atol=1e-5)


def test_an_example_does_not_depend_on_its_batch_mates() -> None:
    plan, attachment, x = attached("two LSTMs both ways")
    other = torch.cat([x[:1], 100 * sequences(5)])
    bits = rounding_to(torch.full((6, len(plan)), 4))
    assert torch.equal(attachment.run(x, bits)[0], attachment.run(other, bits)[0])


def test_a_weight_that_all_steps_share_is_rounded_once() -> None:
    model, x = network("LSTM"), sequences(4)
    attachment = Attachment(model, discover(model, x), weight_bits=8)
    attachment.run(x, WEIGHTS_ONLY)
    assert len(attachment._weights) == 4  # embed, inputs, state, head


def test_packed_sequences_are_not_taken_apart() -> None:
    """They are named as not covered, in test_discover."""
    packed = nn.utils.rnn.pack_sequence([*sequences(2)])
    seen = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func in (torch.lstm, torch.gru):
                seen.append(is_recurrent(func, args))
            return func(*args, **(kwargs or {}))

    with Watch():
        for layer in (nn.LSTM(4, 6), nn.GRU(4, 6)):
            layer(packed)
            layer(sequences(2))
    assert seen == [False, True, False, True]


def test_dropout_between_layers_is_that_of_training() -> None:
    layer, x = nn.LSTM(4, 6, 2, dropout=0.5), sequences(3)
    calls = []

    class Record(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func is torch.lstm:
                calls.append(args)
            return func(*args, **(kwargs or {}))

    with Record():
        layer(x)
        layer.eval()(x)

    def apart(args: tuple[object, ...]) -> Tensor:
        product = lambda _name, x, weight, bias: nn.functional.linear(x, weight, bias)  # noqa: E731
        found: Tensor = taken_apart(torch.lstm, args, product)[0]
        return found

    training, evaluated = calls
    assert torch.allclose(apart(evaluated), layer(x)[0], atol=1e-6)
    assert not torch.allclose(apart(training), apart(training))
