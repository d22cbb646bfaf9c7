import pytest
import torch

from bitcliff.budget import solve
from bitcliff.errors import InputError
from bitcliff.policy import Batch, LearnedPolicy, PolicyNetwork, PolicyNetworkConfig, choose

OPTIONS = (3, 4, 5, 6)


def network(points: int = 5) -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(1, points, len(OPTIONS), PolicyNetworkConfig((4, 6)))


def test_the_choice_is_one_hot_at_the_exact_total_and_the_best() -> None:
    values = torch.rand(30, 5, 4, generator=torch.Generator().manual_seed(1))
    chosen = choose(values, OPTIONS, 22)
    assert set(chosen.unique().tolist()) == {0.0, 1.0}
    assert (chosen.sum(2) == 1).all()
    assert ((chosen * torch.tensor(OPTIONS)).sum((1, 2)) == 22).all()
    assert torch.equal(chosen.argmax(2), solve(values, OPTIONS, 22))


def test_the_gradient_goes_straight_through_the_choice() -> None:
    values = torch.rand(6, 5, 4, requires_grad=True)
    slopes = torch.randn(6, 5, 4)
    (choose(values, OPTIONS, 20) * slopes).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, slopes)


def test_through_a_whole_policy_network_the_gradient_is_that_of_its_softmax() -> None:
    pictures, slopes = torch.rand(6, 1, 8, 8), torch.randn(6, 5, 4)
    found = network()
    (choose(found(pictures).softmax(2), OPTIONS, 20) * slopes).sum().backward()
    wanted = network()
    (wanted(pictures).softmax(2) * slopes).sum().backward()
    for one, other in zip(found.parameters(), wanted.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_an_example_is_allocated_by_itself() -> None:
    policy = LearnedPolicy(network(), 5, OPTIONS, 20)
    pictures = torch.rand(8, 1, 8, 8)
    whole = policy(Batch(pictures, torch.arange(8)))
    turned = policy(Batch(pictures.flip(0), torch.arange(8)))
    assert torch.equal(turned.flip(0), whole)
    assert len(whole.unique(dim=0)) > 1, "it looks at the picture"


def test_its_mode_is_left_as_it_was() -> None:
    policy = LearnedPolicy(network().train(), 5, OPTIONS, 20)
    policy(Batch(torch.rand(2, 1, 8, 8), torch.arange(2)))
    assert policy.network.training


def test_what_is_no_picture_is_refused() -> None:
    policy = LearnedPolicy(network(), 5, OPTIONS, 20)
    with pytest.raises(InputError, match="looks at pictures"):
        policy(Batch({"tokens": torch.zeros(2, 3)}, torch.arange(2)))
    with pytest.raises(InputError, match="channels must be positive"):
        PolicyNetworkConfig(())
