"""Sets of images, and that searches stay in them."""

import numpy as np
import pytest
import torch

from bitcliff.questions.provocation.attack import Tried
from bitcliff.questions.provocation.pixels import AtRandom, Ball, ByGradient, BySquares
from bitcliff.questions.provocation.scale import scale_of
from bitcliff.types.subject import Preprocessing

PREPROCESSING = Preprocessing((12, 12), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
EVERY = [("linf", 8 / 255), ("l2", 0.6), ("patch", 4.0)]


def ball(norm: str, size: float) -> tuple[Ball, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    images = (torch.rand(3, 3, 12, 12, generator=chance) * 255).round() / 255
    plain = scale_of(torch.zeros(1, 3, 12, 12), PREPROCESSING)
    inputs = plain.to_inputs(images)
    return Ball(norm, size, scale_of(inputs, PREPROCESSING)), images  # type: ignore[arg-type]


def check_inside(norm: str, size: float, image: torch.Tensor, parent: torch.Tensor) -> None:
    """Recomputed by numpy from what the set says of itself."""
    change = (image - parent).numpy().astype("float64")
    assert image.min() >= 0
    assert image.max() <= 1
    assert np.abs(image.numpy() * 255 - np.rint(image.numpy() * 255)).max() < 1e-3
    if norm == "linf":
        assert np.abs(change).max() <= size + 1e-6
    elif norm == "l2":
        assert np.sqrt((change**2).sum()) <= size + 1e-6
    else:
        rows, columns = np.nonzero(np.abs(change).max(0) > 1e-6)
        for places in (rows, columns):
            assert not len(places) or places.max() - places.min() < size


@pytest.mark.parametrize(("norm", "size"), EVERY)
def test_no_search_leaves_the_set(norm: str, size: float) -> None:
    within, images = ball(norm, size)
    chance = torch.Generator().manual_seed(1)
    for parent, seed in zip(images, range(3), strict=True):
        for attack in (
            AtRandom(within, parent, np.random.default_rng(seed)),
            BySquares(within, parent, np.random.default_rng(seed), 30),
            ByGradient(within, parent, np.random.default_rng(seed), 120),
        ):
            moved = 0
            for _ in range(30):
                asked = attack.ask()
                check_inside(norm, size, asked, parent)
                moved += not torch.equal(asked, parent)
                slope = torch.randn(parent.shape, generator=chance)
                lead = float(torch.rand(1, generator=chance)) * 4
                attack.tell(Tried(lead, lead - 0.1, 1.0, slope, -slope))
            assert moved > 15


def test_squares_follow_the_merit_down() -> None:
    within, images = ball("linf", 16 / 255)
    wanted = torch.randn(images[0].shape, generator=torch.Generator().manual_seed(2)).sign()
    attack = BySquares(within, images[0], np.random.default_rng(0), 200)
    values = []
    for _ in range(200):
        asked = attack.ask()
        values.append(float(((asked - images[0]) * wanted).sum()))
        attack.tell(Tried(5.0, 5.0 - values[-1], 1.0))
    by_chance = AtRandom(within, images[0], np.random.default_rng(0))
    drawn = [float(((by_chance.ask() - images[0]) * wanted).sum()) for _ in range(200)]
    assert max(values) > 1.5 * max(drawn)


def test_descent_keeps_floats_lead_where_the_networks_part() -> None:
    # Quantized leads by another direction than float: one must fall without the other.
    within, images = ball("linf", 0.2)
    parent = 0.3 + 0.4 * images[0]
    chance = torch.Generator().manual_seed(3)
    first, second = (torch.randn(parent.shape, generator=chance) / 20 for _ in range(2))
    attack = ByGradient(within, parent, np.random.default_rng(0), 400)
    factor = within.scale.images.factor  # type: ignore[union-attr]
    fails = 0
    for _ in range(13):
        change = attack.ask() - parent
        # 0.6 of the direction is common to both.
        in_float = 1.5 + float((change * (0.6 * first + 0.8 * second)).sum())
        quantized = 1.5 + float((change * first).sum())
        tried = Tried(
            in_float,
            quantized,
            1.0,
            within.scale.images.layout.as_taken((0.6 * first + 0.8 * second) / factor),  # type: ignore[union-attr]
            within.scale.images.layout.as_taken(first / factor),  # type: ignore[union-attr]
        )
        fails += tried.fails
        attack.tell(tried)
    assert fails >= 4


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_features_have_neighbours_too(count: int) -> None:
    inputs = torch.linspace(0, 1, 3 * count).view(3, count)
    within = Ball("linf", 0.2, scale_of(inputs, None))
    attack = ByGradient(within, within.scale.to_images(inputs)[1], np.random.default_rng(0), 160)
    slope = torch.ones(count)
    for _ in range(40):
        assert bool(torch.isfinite(attack.ask()).all())
        attack.tell(Tried(2.0, 2.0, 1.0, slope, slope))


def test_features_that_are_no_images_go_from_their_least_to_their_greatest() -> None:
    inputs = torch.tensor([[0.0, 10.0, 3.0], [2.0, 30.0, 3.0], [1.0, 20.0, 3.0]])
    scale = scale_of(inputs, None)
    images = scale.to_images(inputs)
    assert images.tolist() == [[0, 0, 0], [1, 1, 0], [0.5, 0.5, 0]]
    assert torch.equal(scale.to_inputs(images), inputs)
    within = Ball("linf", 0.1, scale)
    attack = BySquares(within, images[2], np.random.default_rng(0), 10)
    attack.tell(Tried(1.0, 1.0, 0.5))
    for _ in range(10):
        changed = attack.ask()
        assert float((changed - images[2]).abs().max()) <= 0.1 + 1e-6
        attack.tell(Tried(1.0, 1.0, 0.5))
