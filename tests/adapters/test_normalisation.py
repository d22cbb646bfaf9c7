from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bitcliff.adapters import load_examples
from bitcliff.adapters.preprocessing import plain
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing, Subject
from tests.adapters.image_files import save_image
from tests.adapters.subjects import a_subject


class Nearest(nn.Module):
    """Flat colours (n, 3, h, w) to the class whose colour, as the network takes it, is nearest."""

    colours: torch.Tensor

    def __init__(self, colours: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("colours", colours)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -100 * (x.mean((2, 3))[:, None] - self.colours).square().sum(-1)


# Of these, no two normalisations put all into the right class.
COLOURS = np.random.default_rng(1).integers(0, 256, (16, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, colour in enumerate(COLOURS):
        for copy in range(2):
            image = Image.fromarray(np.tile(colour, (8, 8, 1)))
            save_image(tmp_path / str(number) / f"{copy}.png", image)
    return tmp_path


def subject(mean: list[float], std: list[float], bgr: bool) -> Subject:
    colours = torch.tensor(COLOURS / 255, dtype=torch.float32)
    colours = colours.flip(1) if bgr else colours
    module = Nearest((colours - torch.tensor(mean)) / torch.tensor(std)).eval()
    unnormalised: Preprocessing = plain((8, 8), 3, "a file")
    return replace(a_subject(preprocessing=None), module=module, unnormalised=unnormalised)


@pytest.mark.parametrize(
    ("mean", "std", "bgr", "options"),
    [
        ([0.0] * 3, [1.0] * 3, False, "--mean 0 --std 1"),
        ([0.5] * 3, [0.5] * 3, False, "--mean 0.5 --std 0.5"),
        (
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
            False,
            "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        ),
        ([0.0] * 3, [1 / 255] * 3, True, "--mean 0 --std 0.00392157 --channels bgr"),
        (
            [0.406, 0.456, 0.485],
            [1 / 255] * 3,
            True,
            "--mean 0.406,0.456,0.485 --std 0.00392157 --channels bgr",
        ),
    ],
)
def test_the_networks_own_normalisation_is_proposed_first(
    folder: Path, mean: list[float], std: list[float], bgr: bool, options: str
) -> None:
    network = subject(mean, std, bgr)
    with pytest.raises(InputError, match=r"does not say how pixels become") as caught:
        load_examples(str(folder), subject=network)
    _, _, figures = str(caught.value).partition("give --mean and --std: ")
    assert figures.startswith(f"of 32 images, right are 32 with {options}, ")
    assert "\n" not in str(caught.value)


def test_nothing_is_chosen_and_without_labels_confidence_is_told(folder: Path) -> None:
    network = subject([0.5] * 3, [0.5] * 3, False)
    with pytest.raises(InputError, match=r"on 2 images, the network's mean confidence is 1\.000"):
        load_examples(str(folder / "0"), subject=network)


def test_arrays_need_no_normalisation(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, 8, 8), np.float32))
    network = subject([0.5] * 3, [0.5] * 3, False)
    assert len(load_examples(str(tmp_path / "a.npz"), subject=network)) == 2
