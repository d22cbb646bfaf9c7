"""Small pictures of real formats for several tests."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def a_picture(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A smooth coloured picture, different for each seed."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [np.sin((rows + seed * 7) / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)]
    return Image.fromarray(((np.stack(channels, -1) + 1) * 127).astype(np.uint8))


def save_picture(path: Path, image: Image.Image | None = None, **how: Any) -> Path:
    """Saves a picture, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or a_picture(seed=sum(str(path.name).encode()))).save(path, **how)
    return path


def class_folders(root: Path, counts: dict[str, int]) -> Path:
    """An ImageFolder with so many pictures in each class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            save_picture(root / name / f"{number}.jpg", a_picture(seed=number + 13 * len(name)))
    return root
