import torch

from bitcliff.points import discover
from bitcliff.zoo.resnet import ThinResNet, digits, fashion_mnist


def test_it_has_the_points_of_resnet18() -> None:
    for network, size in ((digits(), 8), (fashion_mnist(), 28)):
        images = torch.rand(3, 1, size, size)
        plan = discover(network.eval(), images)
        assert len(plan) == 20
        assert [p.kind for p in plan.points].count("conv2d") == 19
        assert plan.points[-1].name == "fc"
        assert plan.missed == ()
        assert network(images).shape == (3, 10)


def test_a_strided_stem_halves_the_image() -> None:
    whole, halved = (ThinResNet(stem_stride=stride).eval() for stride in (1, 2))
    images = torch.rand(2, 1, 16, 16)
    assert whole.conv1(images).shape[-1] == 2 * halved.conv1(images).shape[-1] == 16
