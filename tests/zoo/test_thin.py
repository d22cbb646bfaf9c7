import pytest
import torch

from bitcliff.points import discover
from bitcliff.zoo.thin import ThinNetwork, thin_mobilenetv4, thin_regnetx


@pytest.mark.parametrize(
    ("network", "depthwise", "grouped"), [(thin_mobilenetv4(), 6, 0), (thin_regnetx(), 0, 5)]
)
def test_every_layer_but_the_stem_is_a_point(
    network: ThinNetwork, depthwise: int, grouped: int
) -> None:
    images = torch.rand(3, 1, 28, 28)
    plan = discover(network.eval(), images)
    layers = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d)]
    assert len(plan) == len(layers)  # less the stem, and the classifier besides
    assert plan.points[-1].name == "fc"
    assert plan.missed == ()
    assert sum(one.groups == one.in_channels > 1 for one in layers) == depthwise
    assert sum(1 < one.groups < one.in_channels for one in layers) == grouped
    assert network(images).shape == (3, 10)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
