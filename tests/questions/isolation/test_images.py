"""Pictures that an adversary would send."""

import torch

from bitcliff.questions.isolation.images import legal, patterns


def test_patterns_are_images_of_extremes_and_no_two_are_alike() -> None:
    made = patterns((3, 8, 6), seed=0)
    assert all(image.shape == (1, 3, 8, 6) for image in made.values())
    assert all(set(image.unique().tolist()) <= {0.0, 1.0} for image in made.values())
    assert float(made["flat 000"].max()) == 0
    assert float(made["flat 111"].min()) == 1
    assert made["checkerboard, 1 px"][0, 0, 0, :4].tolist() == [0, 1, 0, 1]
    assert len({image.numpy().tobytes() for image in made.values()}) == len(made)


def test_what_is_legal_could_be_an_image_file() -> None:
    found = legal(torch.tensor([[[[-0.3, 0.5, 1.7, 0.1]]]]))
    assert (found * 255).round().flatten().tolist() == [0, 128, 255, 26]
    assert torch.equal(legal(found), found)
