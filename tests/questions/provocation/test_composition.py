"""Several corruptions at once, and the search over their degrees."""

import cmaes
import numpy as np
import torch

from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.questions.corrupting import applied, normalisation_shift
from bitcliff.questions.image_scale import image_scale
from bitcliff.questions.provocation.attack import Tried
from bitcliff.questions.provocation.composition import AtRandom, ByEvolution, Composition
from bitcliff.types.corruption import strength_at


def composition() -> tuple[Composition, torch.Tensor]:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    every = (*image_corruptions(), normalisation_shift)
    scale = image_scale(images, None)
    return Composition(every, 3.0, lambda x, *how: applied(x, scale, *how)), images


def test_the_lower_half_leaves_a_corruption_out() -> None:
    made, images = composition()
    vector = np.full(made.dimensions, 0.5)
    assert made.degrees(vector) == {}
    assert torch.equal(made.made(images[0], vector), images[0])
    vector[2] = 1.0
    assert made.degrees(vector) == {"brightness": 3.0}
    brighter = made.made(images[0], vector)
    assert torch.equal(brighter, made.made(images[0], vector))
    factors = {0.55, 1.45}
    inside = (brighter > 0.01) & (brighter < 0.99)
    found = float((brighter[inside] / images[0][inside]).median())
    assert min(abs(found - factor) for factor in factors) < 0.01


def test_every_corruption_takes_degrees_between_two() -> None:
    made, images = composition()
    for place, corruption in enumerate(made.corruptions):
        vector = np.zeros(made.dimensions)
        vector[place] = 0.5 + 1.7 / (2 * made.degree)
        assert made.degrees(vector) == {
            corruption.name: float(np.float64(2 * vector[place] - 1) * 3)
        }
        assert not torch.equal(made.made(images[0], vector), images[0])
    assert strength_at((10, 20, 30, 40, 50), 2.5) == 25
    assert strength_at((80, 50), 0.5, none=100) == 90


def test_the_search_ends_nearer_than_chance() -> None:
    made, images = composition()
    wanted = np.linspace(0.2, 0.9, made.dimensions)

    def run(attack: AtRandom | ByEvolution) -> float:
        values = []
        for _ in range(150):
            attack.ask()
            values.append(float(np.square(attack.vector - wanted).sum()))
            attack.tell(Tried(5.0, values[-1], 1.0))
        return min(values)

    evolved = run(ByEvolution(made, images[0], np.random.default_rng(0), cmaes.CMA, 150))
    drawn = run(AtRandom(made, images[0], np.random.default_rng(0)))
    assert evolved < 0.8 * drawn
