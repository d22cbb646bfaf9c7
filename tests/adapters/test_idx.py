import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters import idx as idx_files
from bitcliff.adapters.idx import read_idx
from bitcliff.errors import InputError
from tests.adapters.subjects import a_subject, damaged

RNG = np.random.default_rng(0)


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def a_folder(root: Path, zipped: bool, n: int = 12) -> Path:
    """Files of Fashion-MNIST's layout and names."""
    for prefix, count in (("t10k", n), ("train", 2 * n)):
        images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            name = f"{prefix}-{kind}-ubyte" + ".gz" * zipped
            (root / name).write_bytes(gzip.compress(data) if zipped else data)
    return root


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("split", "n"), [("test", 12), ("train", 24)])
def test_the_real_layout_is_read_as_torchvision_reads_it(
    tmp_path: Path, zipped: bool, split: str, n: int
) -> None:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    spec = f"fashion-mnist:{a_folder(tmp_path, zipped)}"
    subject = a_subject(10, preprocessing=None)
    examples = load_examples(spec, subject=subject, options=DataOptions(split=split))
    prefix = {"test": "t10k", "train": "train"}[split]
    if zipped:
        for path in list(tmp_path.glob("*.gz")):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    images = read_image_file(str(tmp_path / f"{prefix}-images-idx3-ubyte"))
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs, images[:, None].float() / 255)
    labels = read_label_file(str(tmp_path / f"{prefix}-labels-idx1-ubyte"))
    assert examples.labels is not None
    assert torch.equal(examples.labels, labels)
    assert (len(examples), examples.ids[1]) == (n, f"{split}/1")
    assert examples.class_names is not None
    assert examples.class_names[9] == "Ankle boot"


def test_without_a_folder_it_is_debians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = a_subject(10, preprocessing=None)
    monkeypatch.setattr(idx_files, "DEBIAN_FOLDER", tmp_path / "none")
    with pytest.raises(InputError, match=r"install Debian's dataset-fashion-mnist, or give"):
        load_examples("fashion-mnist", subject=subject)
    monkeypatch.setattr(idx_files, "DEBIAN_FOLDER", a_folder(tmp_path, zipped=True))
    examples = load_examples("fashion-mnist", subject=subject)
    given = load_examples(f"fashion-mnist:{tmp_path}", subject=subject)
    assert (examples.name, examples.sha256) == ("fashion-mnist", given.sha256)


def test_a_model_of_images_gets_images(tmp_path: Path) -> None:
    spec = f"fashion-mnist:{a_folder(tmp_path, False)}"
    examples = load_examples(spec, subject=a_subject(10), limit=3)
    assert isinstance(examples.inputs, torch.Tensor)
    assert examples.inputs.shape == (3, 3, 16, 16)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    subject = a_subject(10, preprocessing=None)

    def refused(pattern: str, split: str = "test", where: Path = tmp_path) -> None:
        with pytest.raises(InputError, match=pattern):
            load_examples(
                f"fashion-mnist:{where}", subject=subject, options=DataOptions(split=split)
            )

    refused("no such folder", where=tmp_path / "none")
    refused(r"has no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte\.gz")
    a_folder(tmp_path, False)
    refused("--split validation: fashion-mnist has the splits test and train", "validation")
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(11, dtype=np.uint8)))
    refused("11 labels for the 12 images")
    labels.write_bytes(idx(np.arange(12, dtype=np.uint8)))
    refused("label 11; Fashion-MNIST's go from 0 to 9")
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((12, 28), dtype=np.uint8)))
    refused("not an IDX file of unsigned bytes with 3 dimensions")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "header is incomplete"),
        (b"\0\0\x08\x03\0\0\0\x02", "header is incomplete"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an IDX file"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "claims .* bytes"),
        (idx(np.zeros((2, 2, 2), dtype=np.uint8))[:-1], "fewer than the 8 values"),
        (idx(np.zeros((2, 2, 2), dtype=np.uint8)) + b"x", "more than the 8 values"),
    ],
)
def test_sizes_are_checked(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_idx(tmp_path / "a", 1 if b"\x0d" in data else 3)


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_is_refused_or_keeps_the_size(tmp_path: Path, zipped: bool) -> None:
    array = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    data, path = idx(array), tmp_path / ("a.gz" if zipped else "a")
    refused = 0
    for broken in damaged(gzip.compress(data) if zipped else data):
        path.write_bytes(broken)
        try:
            got = read_idx(path, 3)
        except InputError:
            refused += 1
            continue
        assert got.size == array.size
        if zipped:  # gzip has a checksum, so only its own header can differ
            assert np.array_equal(got, array)
    assert refused >= (60 if zipped else 26)
