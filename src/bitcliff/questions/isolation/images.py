"""Images that an adversary would send: legal ones, made to widen ranges."""

from collections.abc import Iterator
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]


def legal(images: Images) -> Images:
    """Cut to [0, 1] and rounded to the 256 levels of a image file."""
    return (images.clamp(0, 1) * 255).round() / 255


def patterns(shape: tuple[int, int, int], seed: int) -> dict[str, Images]:
    """One image (1, *shape) each, by name: flat extremes, checkerboards, stripes, noise."""
    return dict(_patterns(shape, seed))


def _patterns(shape: tuple[int, int, int], seed: int) -> Iterator[tuple[str, Images]]:
    channels, height, width = shape
    for colour in product((0.0, 1.0), repeat=channels):
        name = "flat " + "".join("01"[int(value)] for value in colour)
        yield name, torch.tensor(colour)[None, :, None, None].expand(1, *shape).clone()
    down, across = torch.arange(height)[:, None], torch.arange(width)[None, :]
    for side in sorted({1, 2, 4, max(1, min(height, width) // 2)}):
        squares = (down // side + across // side) % 2
        for name, drawn in (
            ("checkerboard", squares),
            ("stripes across", (down // side % 2).expand(height, width)),
            ("stripes down", (across // side % 2).expand(height, width)),
        ):
            yield f"{name}, {side} px", drawn.float().expand(1, *shape).clone()
    chance = torch.Generator().manual_seed(seed)
    for number in range(4):
        noise = torch.randint(0, 2, (1, *shape), generator=chance).float()
        yield f"black and white noise {number + 1}", noise
