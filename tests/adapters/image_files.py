"""Small images of real formats for several tests."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def an_image(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A smooth coloured image, different for each seed."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [np.sin((rows + seed * 7) / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)]
    return Image.fromarray(((np.stack(channels, -1) + 1) * 127).astype(np.uint8))


def save_image(path: Path, image: Image.Image | None = None, **how: Any) -> Path:
    """Saves an image, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or an_image(seed=sum(str(path.name).encode()))).save(path, **how)
    return path


def class_folders(root: Path, counts: dict[str, int]) -> Path:
    """An ImageFolder with so many images in each class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            save_image(root / name / f"{number}.jpg", an_image(seed=number + 13 * len(name)))
    return root
