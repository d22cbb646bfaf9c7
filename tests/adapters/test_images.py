import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from bitcliff.adapters import images
from bitcliff.adapters.images import open_image, take_images, thumbnail, to_input
from bitcliff.adapters.preprocessing import Squashed
from bitcliff.errors import InputError
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import Preprocessing
from tests.adapters.image_files import an_image, save_image
from tests.adapters.subjects import PREPROCESSING, damaged


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.tiff", "a.ppm"])
def test_lossless_formats_give_the_pixels_that_were_saved(tmp_path: Path, name: str) -> None:
    image = an_image()
    path = save_image(tmp_path / name, image, **({"lossless": True} if "webp" in name else {}))
    assert np.array_equal(np.asarray(open_image(path, name)), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "PA"])
def test_other_modes_become_rgb_as_pillow_converts_them(tmp_path: Path, mode: str) -> None:
    image = an_image().convert("RGBA" if mode == "PA" else "RGB").convert(mode)
    path = save_image(tmp_path / ("a.tiff" if mode in ("CMYK", "PA") else "a.png"), image)
    got = open_image(path, "a")
    assert got.mode == "RGB"
    assert np.array_equal(np.asarray(got), np.asarray(image.convert("RGB")))


def test_16_bit_greys_are_scaled_not_cut_off(tmp_path: Path) -> None:
    values = np.array([[0, 257 * 10, 257 * 200, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tiff"):
        path = save_image(tmp_path / name, Image.fromarray(values))
        assert np.asarray(open_image(path, name))[0, :, 0].tolist() == [0, 10, 200, 255]


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.tiff", Image.fromarray(np.ones((4, 4), dtype=np.float32)))
    with pytest.raises(InputError, match=r"a\.tiff: floating-point pixels"):
        open_image(path, "a.tiff")


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    image = an_image()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save_image(tmp_path / "a.png", image, exif=exif.tobytes())
    assert np.array_equal(np.asarray(open_image(path, "a")), np.rot90(np.asarray(image), turns))


def png_header_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its pixels are those of a small image."""
    import struct
    import zlib

    buffer = io.BytesIO()
    an_image().save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (30_000, 30_000), (2**31 - 1, 1)])
def test_oversized_images_are_refused_by_their_header(width: int, height: int) -> None:
    with pytest.raises(InputError, match=r"big\.png: .*25 megapixels"):
        open_image(png_header_claiming(width, height), "big.png")


def test_exactly_25_megapixels_pass(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", Image.new("L", (5000, 5000)))
    assert open_image(path, "a.png").size == (5000, 5000)


def test_elongated_images_are_refused_before_they_grow() -> None:
    with pytest.raises(InputError, match=r"a: 1000000 x 1 pixels is too elongated"):
        to_input(Image.new("RGB", (1_000_000, 1)), PREPROCESSING, "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not an image", "unreadable"), (b"", "unreadable"), (None, "no such")],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg: {message}") as caught:
        open_image(path, "a.jpg")
    assert "\n" not in str(caught.value)


def test_formats_that_start_other_programs_are_refused() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(InputError, match="unreadable"):
        open_image(eps, "a.eps")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damage_is_refused_or_decodes(kind: str) -> None:
    buffer = io.BytesIO()
    an_image(200, 150).save(buffer, kind)
    refused = 0
    for data in damaged(buffer.getvalue()):
        try:
            image = open_image(data, "a")
        except InputError:
            refused += 1
            continue
        assert image.mode == "RGB"
        assert image.width * image.height <= 25_000_000
    assert refused >= 5


@pytest.mark.parametrize("size", [(500, 375), (333, 500), (64, 64), (40, 39), (20, 300)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_short_side_and_crop_agree_with_torchvision(
    size: tuple[int, int], interpolation: str
) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    method = transforms.InterpolationMode(interpolation)
    steps = transforms.Compose(
        [
            transforms.Resize(73, method),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    preprocessing = Preprocessing(
        size=(64, 64), crop=64 / 73, mean=mean, std=std, interpolation=interpolation
    )
    image = an_image(*size)
    ours = to_input(image, preprocessing, "a")
    torch.testing.assert_close(ours, steps(image), rtol=0, atol=2e-6)


def test_squashing_resizes_both_sides() -> None:
    steps = transforms.Compose([transforms.Resize((32, 48)), transforms.ToTensor()])
    image = an_image(200, 90)
    ours = to_input(image, Squashed(size=(32, 48)), "a")
    torch.testing.assert_close(ours, steps(image), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [(200, 90), (90, 200), (64, 64)])
def test_a_crop_that_is_not_square_agrees_with_timm(size: tuple[int, int]) -> None:
    from timm.data.transforms_factory import transforms_imagenet_eval

    theirs = transforms_imagenet_eval((32, 48), 1.0, mean=(0.0,) * 3, std=(1.0,) * 3)
    image = an_image(*size)
    ours = to_input(image, Preprocessing(size=(32, 48)), "a")
    torch.testing.assert_close(ours, theirs(image), rtol=0, atol=2e-6)


def test_grey_input_is_one_channel() -> None:
    grey = Preprocessing(size=(16, 16), channels=1, mean=(0.5,), std=(0.5,))
    image = an_image(16, 16)
    expected = (np.asarray(image.convert("L"), dtype=np.float64) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(to_input(image, grey, "a")[0].numpy(), expected, atol=1e-6)


def test_taking_reads_only_what_was_chosen_and_reports_progress() -> None:
    asked: list[int] = []
    seen: list[tuple[int, int]] = []

    def read(index: int) -> Image.Image:
        asked.append(index)
        return an_image(seed=index)

    inputs, thumbnails = take_images(
        read, ["x"] * 10, [7, 2], PREPROCESSING, lambda done, all_: seen.append((done, all_))
    )
    assert (sorted(asked), seen) == ([2, 7], [(2, 2)])
    assert inputs.shape == (2, 3, 16, 16)
    assert isinstance(inputs, torch.Tensor)
    assert torch.equal(inputs[1], to_input(an_image(seed=2), PREPROCESSING, "x"))
    assert thumbnails[0] == thumbnail(an_image(seed=7))


def test_images_beyond_what_is_held_are_read_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, indices = ["x"] * 10, [7, 2, 5]
    asked: list[int] = []

    def read(index: int) -> Image.Image:
        asked.append(index)
        return an_image(seed=index)

    held, small = take_images(read, names, indices, PREPROCESSING, None)
    assert isinstance(held, torch.Tensor)
    bytes_needed = held.numel() * 4
    monkeypatch.setattr(images, "_HELD_BYTES", bytes_needed - 1)
    asked.clear()
    inputs, thumbnails = take_images(read, names, indices, PREPROCESSING, None)
    assert isinstance(inputs, Streamed)
    assert len(asked) <= 1  # types are checked on one thumbnail
    asked.clear()
    assert torch.equal(inputs.at(torch.tensor([2, 0])), held[[2, 0]])
    assert set(asked) == {5, 7}
    asked.clear()
    assert thumbnails[1] == small[1]
    assert set(asked) == {2}
    assert list(thumbnails[1:]) == [small[1], small[2]]
    monkeypatch.setattr(images, "_HELD_BYTES", bytes_needed)
    again, _ = take_images(read, names, indices, PREPROCESSING, None)
    assert isinstance(again, torch.Tensor)
    assert torch.equal(again, held)
