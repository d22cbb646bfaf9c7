import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bitcliff.adapters.array_images import array_thumbnails, channels_last
from tests.adapters.subjects import PREPROCESSING


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("shape", "as_last"),
    [
        ((2, 5, 6), (2, 5, 6, 1)),
        ((2, 1, 5, 6), (2, 5, 6, 1)),
        ((2, 3, 5, 6), (2, 5, 6, 3)),
        ((2, 5, 6, 3), (2, 5, 6, 3)),
        ((2, 5, 6, 1), (2, 5, 6, 1)),
        ((2, 3, 5, 3), (2, 5, 3, 3)),
        ((2, 4, 5, 6), None),
        ((2, 5), None),
        ((2, 3, 1, 5, 6), None),
    ],
)
def test_channels_are_found(shape: tuple[int, ...], as_last: tuple[int, ...] | None) -> None:
    got = channels_last(np.zeros(shape, dtype=np.uint8), PREPROCESSING)
    assert (None if got is None else got.shape) == as_last


def test_where_both_could_be_channels_the_model_decides() -> None:
    x = np.arange(90, dtype=np.uint8).reshape(2, 3, 5, 3)
    got = channels_last(x, replace(PREPROCESSING, channels_last=True))
    assert got is not None
    assert np.array_equal(got, x)


def test_small_greys_are_enlarged_without_smoothing() -> None:
    board = (np.indices((8, 8)).sum(0) % 2).astype(np.float32)[None, None]
    (uri,) = array_thumbnails(board) or ()
    image = np.asarray(decoded(uri).convert("L"))
    assert image.shape == (64, 64)
    blocks = image.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert np.array_equal(blocks > 127, board[0, 0] > 0.5)


def test_a_constant_image_and_a_large_one_have_thumbnails_too() -> None:
    (uri,) = array_thumbnails(np.full((1, 3, 300, 200), 7.0, dtype=np.float32)) or ()
    assert decoded(uri).size == (64, 96)


@pytest.mark.parametrize("shape", [(2, 10), (2, 5, 8, 8), (2, 1, 2, 8), (2, 3, 8, 5000)])
def test_what_does_not_look_like_images_has_none(shape: tuple[int, ...]) -> None:
    assert array_thumbnails(np.zeros(shape, dtype=np.float32)) is None


def test_limits_say_what_is_black_and_white() -> None:
    white = np.ones((1, 1, 8, 8), dtype=np.float32)
    shown = array_thumbnails(white, limits=(0.0, 1.0))
    stretched = array_thumbnails(white)
    assert shown is not None
    assert stretched is not None
    pixels = [np.asarray(decoded(one)) for one in (shown[0], stretched[0])]
    assert (pixels[0].min(), pixels[1].max()) == (255, 0)
