"""Whole networks against ONNX Runtime, as both of PyTorch's exporters write them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from bitcliff.adapters import load_model
from bitcliff.adapters.onnx.agreement import check_agreement
from bitcliff.points import discover
from tests.adapters.onnx.networks import export, images, with_statistics

vision = torchvision.models


def vit() -> nn.Module:
    """Two layers of the usual kind."""
    network: nn.Module = vision.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=10)
    return network


def swin() -> nn.Module:
    """Two stages, with shifted windows."""
    network: nn.Module = vision.swin_transformer.SwinTransformer(
        [4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=10
    )
    return network


def convnext() -> nn.Module:
    """Two stages."""
    block = vision.convnext.CNBlockConfig
    network: nn.Module = vision.ConvNeXt([block(16, 32, 1), block(32, None, 1)], num_classes=10)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": vision.resnet18,
    "mobilenet_v3": vision.mobilenet_v3_small,
    "efficientnet_b0": vision.efficientnet_b0,
    "vit": vit,
    "swin": swin,
    "convnext": convnext,
    "densenet": lambda: timm.create_model("densenet121", num_classes=10),
    "regnet": lambda: timm.create_model("regnetx_002", num_classes=10),
    "mixer": lambda: timm.create_model("mixer_s32_224", img_size=64, num_classes=10),
    "lite0 with odd padding": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=10),
}
FAST = {("resnet18", False), ("vit", False)}


@pytest.mark.parametrize(
    ("name", "dynamo"),
    [
        pytest.param(name, dynamo, marks=[] if (name, dynamo) in FAST else [pytest.mark.slow])
        for name in NETWORKS
        for dynamo in (False, True)
    ],
)
def test_a_network_is_the_same_after_export(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = with_statistics(NETWORKS[name]())
    spec = export(model, tmp_path / "net.onnx", 64, dynamo=dynamo)
    network = load_model(spec).module
    x = images(9, 64)
    assert check_agreement(spec, network, x).largest < 1e-4
    own, found = (discover(m, x[:3]) for m in (model, network))
    # Fused attention has the product of probabilities inside, but the same work in all.
    assert sum({p.site: p.macs for p in own.points}.values()) == sum(
        {p.site: p.macs for p in found.points}.values()
    )
    assert len(own.points) == len(found.points)
    assert not found.missed


@pytest.mark.parametrize(
    ("make", "opset"),
    # The exporter itself has no word for attention before 14.
    [(convnext, 11), (convnext, 13), (vit, 17), (vit, 20)],
)
def test_older_opsets(make: Callable[[], nn.Module], opset: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = with_statistics(make())
    spec = export(model, tmp_path / "net.onnx", 64, opset=opset)
    assert check_agreement(spec, load_model(spec).module, images(5, 64)).largest < 1e-4
