import copy

import pytest
import torch
from torch import Tensor, nn

from bitcliff.train.batchnorm import BatchNormMode, quantized_pass, start_training


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("mode", "after_quantized", "after_float"),
    [
        ("both", True, True),
        ("float", False, True),
        ("running", False, True),
        ("frozen", False, False),
    ],
)
def test_which_pass_moves_the_statistics(
    mode: BatchNormMode, after_quantized: bool, after_float: bool
) -> None:
    model, x = network(), torch.randn(8, 1, 6, 6)
    start_training(model, mode)
    before = statistics(model)
    with quantized_pass(model, mode):
        model(x)
    between = statistics(model)
    assert same(before, between) != after_quantized
    model(x)
    assert same(between, statistics(model)) != after_float


def test_without_a_trace_it_still_normalises_by_the_batch() -> None:
    model, x = network(), 5 + 3 * torch.randn(64, 1, 6, 6)
    twin = copy.deepcopy(model)
    start_training(model, "float")
    with quantized_pass(model, "float"):
        kept = model(x)
    assert torch.equal(kept, twin.train()(x))
    assert not torch.equal(kept, twin.eval()(x))


def test_frozen_normalises_as_in_evaluation() -> None:
    model, x = network(), 5 + 3 * torch.randn(64, 1, 6, 6)
    expected = copy.deepcopy(model).eval()(x)
    start_training(model, "frozen")
    assert torch.equal(model(x), expected)
    assert model.training


def test_running_normalises_the_quantized_pass_alone_as_in_evaluation() -> None:
    model, x = network(), 5 + 3 * torch.randn(64, 1, 6, 6)
    twin = copy.deepcopy(model)
    start_training(model, "running")
    with quantized_pass(model, "running"):
        quantized = model(x)
    assert torch.equal(quantized, twin.eval()(x))
    assert torch.equal(model(x), twin.train()(x))


def test_an_error_in_the_pass_leaves_the_layers_as_they_were() -> None:
    model = network().train()
    with pytest.raises(RuntimeError), quantized_pass(model, "float"):
        raise RuntimeError
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))
