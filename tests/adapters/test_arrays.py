import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bitcliff.adapters import load_examples
from bitcliff.adapters.images import to_input
from bitcliff.errors import InputError
from bitcliff.types.subject import NamedInput, Subject
from tests.adapters.subjects import PREPROCESSING, a_subject, damaged

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 20, 24, 3), dtype=np.uint8)
FLOATS = RNG.normal(size=(6, 5)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def npz(tmp_path: Path, compressed: bool = False, **arrays: Any) -> str:
    path = tmp_path / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return str(path)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(tmp_path: Path, compressed: bool, kind: type) -> None:
    spec = npz(tmp_path, compressed, x=FLOATS.astype(kind), y=LABELS)
    examples = load_examples(spec, subject=a_subject())
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, torch.from_numpy(FLOATS.astype(kind).astype(np.float32)))
    assert examples.labels is not None
    assert examples.labels.tolist() == LABELS.tolist()
    assert examples.labels.dtype == torch.int64
    assert (examples.thumbnails, examples.ids) == (None, ("0", "1", "2", "3", "4", "5"))


@pytest.mark.parametrize("channels_first", [True, False])
def test_8_bit_images_are_preprocessed_as_images(tmp_path: Path, channels_first: bool) -> None:
    x = IMAGES.transpose(0, 3, 1, 2) if channels_first else IMAGES
    examples = load_examples(npz(tmp_path, x=x), subject=a_subject())
    expected = [to_input(Image.fromarray(image), PREPROCESSING, "x") for image in IMAGES]
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, torch.stack(expected))
    assert examples.labels is None
    assert examples.thumbnails is not None
    assert examples.preprocessing.startswith("8-bit images; RGB; short side resized to 20 px")


@pytest.mark.parametrize("shape", [(6, 20, 24), (6, 1, 20, 24), (6, 20, 24, 1)])
def test_8_bit_grey_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    grey = IMAGES[..., 0].reshape(shape)
    examples = load_examples(npz(tmp_path, x=grey), subject=a_subject())
    assert isinstance(examples.inputs, torch.Tensor)
    expected = to_input(Image.fromarray(IMAGES[0, ..., 0]).convert("RGB"), PREPROCESSING, "x")
    assert torch.equal(examples.inputs[0], expected)


def test_8_bit_values_without_preprocessing_stay_numbers(tmp_path: Path) -> None:
    subject = a_subject(preprocessing=None)
    examples = load_examples(npz(tmp_path, x=IMAGES), subject=subject)
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, torch.from_numpy(IMAGES.astype(np.float32)))
    assert "0 to 255" in examples.preprocessing


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": FLOATS}, r"has no array x \(it has a\)"),
        ({"x": np.float32(3)}, r"x has shape \(\)"),
        ({"x": np.zeros((0, 4), np.float32)}, r"x has shape \(0, 4\)"),
        ({"x": np.zeros((4, 0), np.float32)}, r"x has shape \(4, 0\)"),
        ({"x": np.zeros((4, 2), np.int64)}, "x is int64; must be floating or uint8"),
        ({"x": np.zeros((4, 2), np.complex64)}, "x is complex64"),
        ({"x": np.array([["a"]])}, "x is <U1"),
        ({"x": FLOATS, "y": LABELS[:5]}, r"y has shape \(5,\); must be \(6,\)"),
        ({"x": FLOATS, "y": LABELS[:, None]}, r"y has shape \(6, 1\)"),
        ({"x": FLOATS, "y": LABELS.astype(float)}, "y is float64; labels must be integers"),
        ({"x": FLOATS, "y": LABELS - 1}, "label -1 in y is out of range"),
        ({"x": FLOATS, "y": LABELS + 1}, "label 3 of 2 is out of range"),
        ({"x": FLOATS, "y": np.full(6, 2**63, np.uint64)}, "label 9223372036854775808"),
        ({"x": FLOATS, "y": LABELS * 0}, "all examples are of one class"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_examples(npz(tmp_path, **arrays), subject=a_subject(3))
    assert "data.npz" in str(caught.value)


class Words(torch.nn.Module):
    """Three scores of whole numbers, of truths, and of numbers."""

    def forward(self, ids: Tensor, mask: Tensor, x: Tensor) -> Tensor:
        return (x * mask.sum(1, keepdim=True) + ids.sum(1, keepdim=True))[:, :3]


WORDS = Subject(
    *("words.onnx", Words().eval(), None, None, "0" * 64),
    named_inputs={
        "ids": NamedInput(torch.int32, (None, 4)),
        "mask": NamedInput(torch.bool, (None, None)),
        "x": NamedInput(torch.float32, None),
    },
)
NAMED: dict[str, Any] = {
    "ids": np.arange(24).reshape(6, 4),
    "mask": np.ones((6, 4), bool),
    "x": FLOATS,
}


def test_arrays_by_the_names_that_a_file_declares(tmp_path: Path) -> None:
    spec = npz(tmp_path, **NAMED, y=LABELS, more=LABELS)
    examples = load_examples(spec, subject=WORDS, limit=3)
    assert isinstance(examples.inputs, dict)
    rows = [int(name) for name in examples.ids]
    for name, dtype in (("ids", torch.int32), ("mask", torch.bool), ("x", torch.float32)):
        assert examples.inputs[name].dtype == dtype
        assert (examples.inputs[name].numpy() == NAMED[name][rows]).all()
    assert examples.labels is not None
    assert examples.labels.tolist() == LABELS[rows].tolist()
    assert examples.preprocessing == "none: taken as they are"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": None}, "has no array x (it has ids, mask, y)"),
        ({"ids": None, "mask": None}, "has no array ids, mask (it has x, y)"),
        ({"ids": NAMED["ids"] + 0.5}, "ids is float64; words.onnx takes int32"),
        ({"ids": NAMED["ids"] + 2**40}, "ids holds 1099511627776, which int32 cannot hold"),
        ({"mask": NAMED["ids"]}, "mask is int64; words.onnx takes bool"),
        ({"ids": NAMED["ids"][:, :3]}, "ids has shape (6, 3); words.onnx takes (n, 4)"),
        ({"mask": np.ones(6, bool)}, "mask has shape (6,); words.onnx takes (n, any)"),
        ({"x": np.zeros(())}, "x has shape (); words.onnx takes (n)"),
        ({"x": FLOATS[:5]}, "ids holds 6 examples, but x 5"),
        ({"x": FLOATS * np.nan}, "x[0] holds NaN or infinity (6 examples do)"),
        ({"y": LABELS[:5]}, "y has shape (5,); must be (6,), one label for each example"),
        ({"y": LABELS[:, None] * [1, 0]}, "where numbers are predicted give --task values:TOLER"),
        ({"y": LABELS / 2}, "y is float64; labels must be integers, the numbers of classes; where"),
    ],
)
def test_named_arrays_that_cannot_be_used(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    given = {**NAMED, "y": LABELS, **arrays}
    spec = npz(tmp_path, **{name: x for name, x in given.items() if x is not None})
    with pytest.raises(InputError) as caught:
        load_examples(spec, subject=WORDS)
    assert str(caught.value).startswith(f"{spec}: ")
    assert message in str(caught.value)


def test_images_for_a_file_with_named_inputs(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "cat" / "1.png")
    with pytest.raises(InputError, match=r"takes ids, mask, x; give FILE\.npz"):
        load_examples(str(tmp_path), subject=WORDS)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_nan_and_what_float32_cannot_hold_are_refused(tmp_path: Path, value: float) -> None:
    x = FLOATS.astype(np.float64)
    x[4, 2] = value
    with pytest.raises(InputError, match=r"x\[4\] holds NaN or infinity \(1 examples do\)"):
        load_examples(npz(tmp_path, x=x), subject=a_subject())


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    x = np.array([{"a": 1}, None], dtype=object)
    np.savez(tmp_path / "data.npz", x=x, allow_pickle=True)
    with pytest.raises(InputError, match=r"cannot be read as arrays .*allow_pickle=False"):
        load_examples(str(tmp_path / "data.npz"), subject=a_subject())


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_refused_or_harmless(tmp_path: Path, compressed: bool) -> None:
    spec = npz(tmp_path, compressed, x=FLOATS, y=LABELS)
    subject, whole = a_subject(), load_examples(spec, subject=a_subject())
    refused = 0
    for data in damaged(Path(spec).read_bytes()):
        Path(spec).write_bytes(data)
        try:
            examples = load_examples(spec, subject=subject)
        except InputError:
            refused += 1
            continue
        # The archive's checksums cover both arrays; without the name of y there are no labels.
        assert isinstance(examples.inputs, torch.Tensor)
        assert isinstance(whole.inputs, torch.Tensor)
        assert torch.equal(examples.inputs, whole.inputs)
    assert refused > 40


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, FLOATS)
    (tmp_path / "data.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"data\.npz: truncated or damaged"):
        load_examples(str(tmp_path / "data.npz"), subject=a_subject())
