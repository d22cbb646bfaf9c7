import numpy as np
import pytest
import torch
from scipy import stats

from bitcliff.errors import InputError
from bitcliff.train.mixup import mixup


def share_of_own(images: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
    """Each image's own share in its mixture with the one before it."""
    other = images.roll(1, dims=0)
    return ((mixed - other) / (images - other)).flatten(1)


def test_one_share_of_at_least_a_half_for_the_whole_batch() -> None:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2) ** 2
    torch.manual_seed(3)
    shares = share_of_own(images, mixup(images, 1.0))
    assert 0.5 <= shares[0, 0] < 1
    torch.testing.assert_close(shares, shares[0, 0].expand_as(shares))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_follow_the_folded_beta_distribution(alpha: float) -> None:
    torch.manual_seed(0)
    images = torch.tensor([0.0, 1.0])[:, None]
    drawn = np.array([mixup(images, alpha)[1].item() for _ in range(2000)])
    beta = stats.beta(alpha, alpha)
    assert stats.kstest(drawn, lambda a: beta.cdf(a) - beta.cdf(1 - a)).pvalue > 0.01


def test_the_seed_alone_decides() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def mixed(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return mixup(images, 1.0)

    assert torch.equal(mixed(1), mixed(1))
    assert not torch.equal(mixed(1), mixed(2))


def test_a_batch_of_one_and_alpha_zero_change_nothing() -> None:
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(mixup(images[:1], 1.0), images[:1])
    assert torch.equal(mixup(images, 0.0), images)


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(InputError, match=r"must be 0 \(off\) or a positive number"):
        mixup(torch.rand(2, 4), alpha)
