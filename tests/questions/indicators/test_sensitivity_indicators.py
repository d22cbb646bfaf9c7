import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call

from bitcliff.audit.evaluator import margins
from bitcliff.points import discover
from bitcliff.questions.indicators import sensitivity_indicators
from bitcliff.questions.indicators.sensitivity_indicators import (
    FloatNetwork,
    activation_sensitivity,
    divergence,
    input_noise_gap,
    local_lipschitz,
    margin_gradients,
    weight_sharpness,
    weights_moved,
    weights_of,
)
from bitcliff.questions.watched import Watched
from bitcliff.types.subject import Inputs
from tests.contract.subjects import Tokens
from tests.small_networks import chain

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def network_of(
    module: nn.Module, inputs: Inputs = X, labels: Tensor | None = None, size: int = 4
) -> FloatNetwork:
    plan = discover(module.eval(), inputs)
    with torch.no_grad():
        logits = module(**inputs) if isinstance(inputs, dict) else module(inputs)
    return FloatNetwork(module, plan, inputs, logits, labels, size)


class InPlace(nn.Module):
    """Overwrites its input and what its gradient needs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.mul_(2)).sigmoid_()
        return self.second(x.mul_(3))  # type: ignore[no-any-return]


class WithoutGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = chain()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


def tokens() -> dict[str, Tensor]:
    words = torch.randint(0, 11, (8, 5), generator=torch.Generator().manual_seed(4))
    return {"tokens": words, "mask": torch.ones(8, 5, dtype=torch.bool)}


def test_gradients_of_margins_by_finite_differences(cnn: nn.Module) -> None:
    model = copy.deepcopy(cnn).double()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = model(x).argmax(1)
    found = margin_gradients(model, x, target)
    gradients = torch.zeros(5, 64, dtype=torch.float64)
    for place in range(64):
        step = torch.zeros(64, dtype=torch.float64)
        step[place] = 1e-6
        ends = [margins(model(x + sign * step.view(1, 8, 8)), target) for sign in (1, -1)]
        gradients[:, place] = (ends[0] - ends[1]) / 2e-6
    assert found is not None
    assert found.tolist() == pytest.approx(gradients.norm(dim=1).tolist(), rel=1e-4)


def test_the_steepness_of_a_linear_network_is_known() -> None:
    linear = nn.Linear(4, 2)
    module = nn.Sequential(linear)
    x = X.clone()
    network = network_of_linear(module, x)
    gradient = float((linear.weight[0] - linear.weight[1]).detach().norm())
    usual = float((network.logits[:, 0] - network.logits[:, 1]).abs().median())
    assert local_lipschitz(network) == pytest.approx(gradient / usual, rel=1e-5)


def network_of_linear(module: nn.Module, x: Tensor) -> FloatNetwork:
    """Its only layer takes the input itself, so there is no point."""
    other = discover(chain(), x)
    return FloatNetwork(module, other, x, module(x).detach(), None, 4)


def test_the_steepest_place_around_counts() -> None:
    """Flat where the examples are, steep beyond: the places around find it."""

    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            lead = 1 + 40 * F.relu(x.abs() - 1).sum(1)
            return torch.stack([lead, torch.zeros_like(lead)], 1)

    x = torch.cat([torch.ones(10, 4), -torch.ones(10, 4)])
    found = local_lipschitz(network_of_linear(Step(), x))
    at_the_examples = margin_gradients(Step(), x, torch.zeros(20, dtype=torch.int64))
    assert at_the_examples is not None
    assert float(at_the_examples.max()) == 0
    assert found is not None
    assert 40 <= found <= 80


def test_a_network_that_works_in_place_has_slopes_and_keeps_its_input() -> None:
    module, x = InPlace(), X.clone()
    target = module(x.clone()).argmax(1)
    found = margin_gradients(module, x, target)
    assert torch.equal(x, X)

    def plain(x: Tensor) -> Tensor:
        return module.second(3 * torch.sigmoid(module.first(2 * x)))  # type: ignore[no-any-return]

    leaf = x.clone().requires_grad_()
    total = margins(plain(leaf), target).sum()
    (gradients,) = torch.autograd.grad(total, leaf)
    assert found is not None
    assert found.tolist() == pytest.approx(gradients.norm(dim=1).tolist(), rel=1e-5)


def test_no_steepness_without_a_gradient() -> None:
    assert local_lipschitz(network_of(WithoutGradient())) is None
    assert local_lipschitz(network_of(Tokens(), tokens())) is None


def test_accuracy_lost_to_noise_by_hand(cnn: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][1400:1500], digits[1][1400:1500]
    network = FloatNetwork(cnn, discover(cnn, x), x, cnn(x).detach(), y, 32)
    right = []
    for draw in range(5):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(draw))
        right.append(float((cnn(x + 0.5 * x.std() * noise).argmax(1) == y).double().mean()))
    in_float = float((cnn(x).argmax(1) == y).double().mean())
    gap = input_noise_gap(network)
    assert gap == pytest.approx(100 * (in_float - sum(right) / 5))
    assert gap is not None
    assert gap > 0


def test_no_noise_without_labels_or_numbers() -> None:
    assert input_noise_gap(network_of(chain())) is None
    words = tokens()
    assert input_noise_gap(network_of(Tokens(), words, torch.zeros(8, dtype=torch.int64))) is None


def test_divergence_is_torchs() -> None:
    before, after = torch.randn(7, 5), torch.randn(7, 5)
    target = F.kl_div(
        after.log_softmax(1), before.log_softmax(1), log_target=True, reduction="batchmean"
    )
    assert divergence(before, after) == pytest.approx(float(target), rel=1e-5)
    assert divergence(before, before + 3) == pytest.approx(0, abs=1e-6)


def test_noise_in_the_activations_by_hooks() -> None:
    """The same noise put in by forward pre-hooks on the layers that hold the points."""
    module = chain(0, points=3)
    found = activation_sensitivity(network_of(module))
    rng = torch.Generator()

    def noisy(_layer: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        (x,) = args
        spread = x.double().var(1, correction=0).sqrt()[:, None]
        return (x + 0.1 * spread * torch.randn(x.shape, generator=rng)).float()

    with torch.no_grad():
        before, rises = module(X), []
        layers = [module.get_submodule(name) for name in ("2", "4", "6")]
        hooks = [layer.register_forward_pre_hook(noisy) for layer in layers]
        for draw in range(5):
            rng.manual_seed(draw)
            after = torch.cat([module(x) for x in X.split(4)])
            rises.append(divergence(before, after))
        for hook in hooks:
            hook.remove()
    assert found == pytest.approx(sum(rises) / 5, rel=1e-4)
    assert found > 0


def test_watching_changes_nothing_and_sees_what_the_layers_take() -> None:
    module, seen = chain(0, points=3), dict[int, Tensor]()

    def touch(rows: Tensor, index: int) -> Tensor:
        seen[index] = rows
        return rows

    network = network_of(module)
    assert torch.equal(Watched(module, network.plan, touch)(X), network.logits)
    for index in range(3):
        # Layers and ReLUs alternate.
        assert torch.equal(seen[index], module[: 2 * index + 2](X))  # type: ignore[index]


def test_each_filter_moves_by_its_share_and_comes_back(cnn: nn.Module) -> None:
    before = {name: value.clone() for name, value in cnn.state_dict().items()}
    with weights_moved(cnn, 0.1, seed=3):
        for name, value in cnn.state_dict().items():
            if value.ndim > 1:
                moved = (value - before[name]).flatten(1).norm(dim=1)
                own = before[name].flatten(1).norm(dim=1)
                assert (moved / own).tolist() == pytest.approx([0.1] * len(own), rel=1e-4)
            else:
                assert torch.equal(value, before[name])
    for name, value in cnn.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_weights_come_back_when_a_pass_fails() -> None:
    module = chain()
    before = [weight.clone() for weight in weights_of(module)]
    with pytest.raises(KeyboardInterrupt), weights_moved(module, 0.5, seed=0):
        raise KeyboardInterrupt
    assert all(map(torch.equal, weights_of(module), before))


def test_sharpness_by_other_parameters_in_the_same_network() -> None:
    module = chain(0, points=3)
    found = weight_sharpness(network_of(module))
    rises = []
    for draw in range(10):
        rng, parameters = torch.Generator().manual_seed(draw), {}
        for name, value in module.named_parameters():
            parameters[name] = value.detach()
            if value.ndim > 1:
                noise = torch.randn(value.shape, generator=rng)
                unit = noise / noise.norm(dim=1, keepdim=True)
                parameters[name] = value.detach() + 0.1 * value.norm(dim=1, keepdim=True) * unit
        after = functional_call(module, parameters, (X,))
        rises.append(divergence(module(X).detach(), after.detach()))
    assert found == pytest.approx(sum(rises) / 10, rel=1e-4)


@pytest.mark.parametrize("probe", [activation_sensitivity, weight_sharpness])
def test_a_network_that_hangs_on_small_differences_is_sharper(
    probe: Callable[[FloatNetwork], float],
) -> None:
    """The same function in float, by way of activations that are 0 or large."""
    steady = chain(0, points=2)
    shaky = copy.deepcopy(steady)
    assert isinstance(shaky, nn.Sequential)
    shaky[2] = _with_offset(shaky[2])
    assert torch.allclose(steady(X), shaky(X), atol=1e-3)
    assert probe(network_of(shaky)) > 5 * probe(network_of(steady))


def _with_offset(layer: nn.Module) -> nn.Sequential:
    """The layer behind activations of 100 and more, which are taken off again, and zeros."""
    assert isinstance(layer, nn.Linear)
    size = layer.in_features
    up, down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
    with torch.no_grad():
        for inner, rows in ((up, slice(size)), (down, slice(None))):
            inner.weight.zero_()
            inner.bias.zero_()
            inner.weight[rows, :size] = torch.eye(size)
        up.bias[:size] = 100
        down.bias[:] = -100
    return nn.Sequential(up, nn.ReLU(), down, layer)


def test_probes_settle_for_the_examples_they_get() -> None:
    """The last batch may be short."""
    alike = [
        sensitivity_indicators.local_lipschitz(network_of(chain(), size=size)) for size in (3, 10)
    ]
    assert alike[0] == pytest.approx(alike[1])
