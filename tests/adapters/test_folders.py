from pathlib import Path

import pytest
import torch

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters.preprocessing import in_words
from bitcliff.errors import InputError
from tests.adapters.image_files import an_image, class_folders, save_image
from tests.adapters.subjects import PREPROCESSING, a_subject


def test_subfolders_are_classes(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"b": 2, "a": 1, "c": 2})
    save_image(root / "c" / "deeper" / "x.PNG")
    (root / "a" / "notes.txt").write_text("not an image")
    (root / ".cache").mkdir()
    examples = load_examples(str(root), subject=a_subject(3))
    assert examples.ids == ("a/0.jpg", "b/0.jpg", "b/1.jpg", "c/0.jpg", "c/1.jpg", "c/deeper/x.PNG")
    assert examples.labels is not None
    assert examples.labels.tolist() == [0, 1, 1, 2, 2, 2]
    assert examples.class_names == ("a", "b", "c")
    assert examples.labelling == "numbered in natural order: a=0,b=1,c=2"
    assert examples.thumbnails is not None


def test_agrees_with_torchvisions_image_folder(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    root = class_folders(tmp_path / "data", {"b": 2, "a": 3, "c": 1})
    theirs = [
        (Path(p).relative_to(root).as_posix(), label) for p, label in ImageFolder(root).samples
    ]
    examples = load_examples(str(root), subject=a_subject(3))
    assert examples.labels is not None
    assert list(zip(examples.ids, examples.labels.tolist(), strict=True)) == theirs


def test_folder_names_matched_to_class_names(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"dog": 1, "cat": 1})
    subject = a_subject(3, class_names=("horse", "dog", "cat"))
    examples = load_examples(str(root), subject=subject)
    assert examples.labels is not None
    assert examples.labels.tolist() == [2, 1]


def test_a_folder_of_images_is_unlabelled(tmp_path: Path) -> None:
    for number in range(4):
        save_image(tmp_path / f"{number}.png")
    (tmp_path / "empty").mkdir()
    examples = load_examples(str(tmp_path), subject=a_subject())
    assert (examples.labels, len(examples)) == (None, 4)


def test_only_what_is_kept_is_read(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"a": 5, "b": 5})
    subject = a_subject(2)
    kept = load_examples(str(root), subject=subject, limit=4, seed=1)
    for path in root.rglob("*.jpg"):
        if path.relative_to(root).as_posix() not in kept.ids:
            path.write_bytes(b"unreadable")
    again = load_examples(str(root), subject=subject, limit=4, seed=1)
    assert (again.ids, again.sha256, again.n_available) == (kept.ids, kept.sha256, 10)
    assert isinstance(again.inputs, torch.Tensor)
    assert again.labels is not None
    assert again.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("counts", "outputs", "message"),
    [
        ({}, 3, "holds no images"),
        ({"a": 0, "b": 0}, 3, "holds no images"),
        ({"0": 3}, 3, r"all examples are of one class \(0\)"),
        ({"0": 1, "1": 0}, 3, "all examples are of one class"),
        ({"0": 1, "3": 1}, 3, r"label 3 of 3/0\.jpg is out of range: py:a:subject has 3 outputs"),
        ({"a": 1, "b": 1}, 3, "2 classes .* match neither"),
    ],
)
def test_folders_that_cannot_be_used(
    tmp_path: Path, counts: dict[str, int], outputs: int, message: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    class_folders(root, counts)
    with pytest.raises(InputError, match=message) as caught:
        load_examples(str(root), subject=a_subject(outputs))
    assert str(caught.value).startswith(str(root))


def test_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"a": 1, "b": 1})
    save_image(root / "loose.png")
    with pytest.raises(InputError, match="1 images lie beside the class folders"):
        load_examples(str(root), subject=a_subject(2))


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"a": 2, "b": 2})
    data = (root / "b" / "1.jpg").read_bytes()
    (root / "b" / "1.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"b/1\.jpg: unreadable or truncated image"):
        load_examples(str(root), subject=a_subject(2))


def test_a_model_without_image_settings_is_asked_to_give_some(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", an_image())
    with pytest.raises(InputError, match="give --image-size"):
        load_examples(str(tmp_path), subject=a_subject(preprocessing=None))


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", dict.fromkeys(["r0", "r180", "r270", "r90"], 1))
    examples = load_examples(str(root), subject=a_subject(4))
    assert examples.class_names == ("r0", "r90", "r180", "r270")
    assert examples.labels is not None
    by_name = dict(zip(examples.ids, examples.labels.tolist(), strict=True))
    assert by_name == {"r0/0.jpg": 0, "r90/0.jpg": 1, "r180/0.jpg": 2, "r270/0.jpg": 3}
    assert examples.labelling == "numbered in natural order: r0=0,r90=1,r180=2,r270=3"


def test_numbers_for_names_are_asked_for_in_one_line(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", dict.fromkeys(["0", "90", "180", "270"], 1))
    asked = "--label-map 0=0,90=1,180=2,270=3"
    with pytest.raises(InputError, match=f"out of range: .* has 4 outputs.*{asked}"):
        load_examples(str(root), subject=a_subject(4))
    options = DataOptions.model_validate({"label_map": "0=0,90=3,180=2,270=1"})
    examples = load_examples(str(root), subject=a_subject(4), options=options)
    assert examples.labels is not None
    assert examples.class_names == ("0", "270", "180", "90")
    by_name = dict(zip(examples.ids, examples.labels.tolist(), strict=True))
    assert by_name == {"0/0.jpg": 0, "90/0.jpg": 3, "180/0.jpg": 2, "270/0.jpg": 1}
    assert examples.labelling == "mapped to outputs by --label-map"
    assert examples.preprocessing == in_words(PREPROCESSING)
    wrong = DataOptions.model_validate({"label_map": "0=0,90=3,180=2,270=7"})
    with pytest.raises(InputError, match=r"label 7 of 270/0.jpg \(by --label-map\) .* to 3$"):
        load_examples(str(root), subject=a_subject(4), options=wrong)


@pytest.mark.parametrize("model_takes_images", [True, False])
def test_a_folder_of_sounds_is_not_called_one_of_images(
    tmp_path: Path, model_takes_images: bool
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.wav").write_bytes(b"RIFF")
    subject = a_subject() if model_takes_images else a_subject(preprocessing=None)
    with pytest.raises(InputError, match=r"takes no sound files; .*hf:DIR, .*FILE\.npz"):
        load_examples(str(tmp_path), subject=subject)


def test_labels_of_one_class_may_be_left_out(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", {"a": 3})
    options = DataOptions(label_map={"a": 1})
    with pytest.raises(InputError, match=r"all examples are of one class .*leave the labels out"):
        load_examples(str(root), subject=a_subject(3), options=options)
    assert load_examples(str(root / "a"), subject=a_subject(3)).labels is None
