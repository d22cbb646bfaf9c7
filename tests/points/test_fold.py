import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from bitcliff.adapters import load_model
from bitcliff.errors import InputError
from bitcliff.points import discover
from bitcliff.points.fold import fold_batchnorm
from bitcliff.types.subject import tensors_sha256
from tests.adapters.onnx.networks import export, images, small, with_statistics


class Wired(nn.Module):
    """A layer and a BatchNorm, wired by `wiring`."""

    def __init__(
        self, wiring: Callable[["Wired", Tensor], Tensor], layer: nn.Module, norm: nn.Module
    ) -> None:
        super().__init__()
        self.layer, self.norm, self.wiring = layer, norm, wiring

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(self, x)


def conv() -> nn.Module:
    return nn.Conv2d(3, 4, 3)


def pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3)) if x.ndim == 4 else x


def in_order(net: Wired, x: Tensor) -> Tensor:
    return pooled(net.norm(net.layer(x)).relu())


def vectors(net: Wired, x: Tensor) -> Tensor:
    out: Tensor = net.norm(net.layer(x.flatten(1)[:, :6]))
    return out


class TakesNoBias(nn.Conv2d):
    """Always made without one, so its code does not ask for it."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, None, self.stride)


FOLDABLE: dict[str, Callable[[], Wired]] = {
    "conv2d": lambda: Wired(in_order, conv(), nn.BatchNorm2d(4)),
    "grouped": lambda: Wired(in_order, nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.BatchNorm2d(6)),
    "transposed": lambda: Wired(in_order, nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4)),
    "linear": lambda: Wired(vectors, nn.Linear(6, 4), nn.BatchNorm1d(4)),
    "no affine": lambda: Wired(in_order, conv(), nn.BatchNorm2d(4, affine=False)),
}

NOT_FOLDABLE: dict[str, Callable[[], Wired]] = {
    "another reader": lambda: Wired(
        lambda net, x: pooled((y := net.layer(x)) + net.norm(y)), conv(), nn.BatchNorm2d(4)
    ),
    "a reader before": lambda: Wired(
        lambda net, x: pooled((y := net.layer(x)).relu() + net.norm(y)), conv(), nn.BatchNorm2d(4)
    ),
    "something between": lambda: Wired(
        lambda net, x: pooled(net.norm(net.layer(x).relu())), conv(), nn.BatchNorm2d(4)
    ),
    "layer runs twice": lambda: Wired(
        lambda net, x: pooled(net.norm(net.layer(x)) + net.layer(-x)), conv(), nn.BatchNorm2d(4)
    ),
    "norm runs twice": lambda: Wired(
        lambda net, x: pooled(net.norm(net.norm(net.layer(x)))), conv(), nn.BatchNorm2d(4)
    ),
    "norm first": lambda: Wired(
        lambda net, x: pooled(net.layer(net.norm(x))), conv(), nn.BatchNorm2d(3)
    ),
    "weights made anew": lambda: Wired(in_order, weight_norm(conv()), nn.BatchNorm2d(4)),
    "takes no bias": lambda: Wired(in_order, TakesNoBias(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
    "grouped transposed": lambda: Wired(
        in_order, nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)
    ),
    "linear over another axis": lambda: Wired(
        lambda net, x: net.norm(net.layer(x[:, :, 0])).mean(2), nn.Linear(8, 3), nn.BatchNorm1d(3)
    ),
    "no statistics": lambda: Wired(in_order, conv(), nn.BatchNorm2d(4, track_running_stats=False)),
}


def inputs_of(name: str) -> Tensor:
    return images(5)[:, [0, 1, 2, 0]] if name == "grouped transposed" else images(5)


@pytest.mark.parametrize("name", FOLDABLE)
def test_folding_keeps_the_outputs_and_the_original(name: str) -> None:
    torch.manual_seed(0)
    model = with_statistics(FOLDABLE[name]())
    before, outputs = tensors_sha256(model.state_dict()), model(images(5))
    folded, names = fold_batchnorm(model, images(5))
    assert names == ("norm",)
    assert isinstance(folded.norm, nn.Identity)
    assert torch.allclose(folded(images(5)), outputs, atol=1e-5)
    assert not torch.equal(folded.layer.weight, model.layer.weight)  # type: ignore[arg-type,union-attr]
    assert tensors_sha256(model.state_dict()) == before
    assert torch.equal(model(images(5)), outputs)


@pytest.mark.parametrize("name", NOT_FOLDABLE)
def test_what_would_change_the_outputs_is_left(name: str) -> None:
    torch.manual_seed(0)
    model = with_statistics(NOT_FOLDABLE[name]())
    folded, names = fold_batchnorm(model, inputs_of(name))
    assert names == ()
    assert torch.equal(folded(inputs_of(name)), model(inputs_of(name)))


def test_a_module_with_two_names_is_left() -> None:
    model = with_statistics(Wired(in_order, conv(), nn.BatchNorm2d(4)))
    model.alias = model.layer
    assert fold_batchnorm(model, images(5))[1] == ()


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "efficientnet_lite0"])
def test_timms_networks_keep_their_activations(name: str) -> None:
    torch.manual_seed(0)
    model = with_statistics(timm.create_model(name))
    x = images(3, 64)
    norms = [n for n, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    folded, names = fold_batchnorm(model, x)
    assert sorted(names) == sorted(norms)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    own, found = model(x), folded(x)
    assert float((own - found).abs().max()) < 1e-4 * float(own.max() - own.min())
    points = [[(p.name, p.macs) for p in discover(m, x).points] for m in (model, folded)]
    assert points[0] == points[1]


def test_batchnorms_of_an_onnx_file(tmp_path: Path) -> None:
    spec = export(small(), tmp_path / "net.onnx", unfolded=True)
    model = load_model(spec).module
    kept = copy.deepcopy(model)
    folded, names = fold_batchnorm(model, images(4))
    assert names == ("norm", "body.1")
    assert torch.allclose(folded(images(4)), small()(images(4)), atol=1e-5)
    assert torch.equal(model(images(4)), kept(images(4)))


def test_training_mode_is_refused() -> None:
    with pytest.raises(InputError, match="training mode"):
        fold_batchnorm(small().train(), images(2))
