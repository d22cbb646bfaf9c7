import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.policy import Batch, LearnedPolicy, PolicyNetwork, PolicyNetworkConfig

OPTIONS = (3, 4, 5, 6)


def network(points: int = 5) -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(1, points, len(OPTIONS), PolicyNetworkConfig((4, 6)))


def test_an_example_is_allocated_by_itself() -> None:
    policy = LearnedPolicy(network(), 5, OPTIONS, 20)
    images = torch.rand(8, 1, 8, 8)
    whole = policy(Batch(images, torch.arange(8)))
    turned = policy(Batch(images.flip(0), torch.arange(8)))
    assert torch.equal(turned.flip(0), whole)
    assert len(whole.unique(dim=0)) > 1, "it looks at the image"


def test_its_mode_is_left_as_it_was() -> None:
    policy = LearnedPolicy(network().train(), 5, OPTIONS, 20)
    policy(Batch(torch.rand(2, 1, 8, 8), torch.arange(2)))
    assert policy.network.training


def test_what_is_no_image_is_refused() -> None:
    policy = LearnedPolicy(network(), 5, OPTIONS, 20)
    with pytest.raises(InputError, match="looks at images"):
        policy(Batch({"tokens": torch.zeros(2, 3)}, torch.arange(2)))
    with pytest.raises(InputError, match="channels must be positive"):
        PolicyNetworkConfig(())
