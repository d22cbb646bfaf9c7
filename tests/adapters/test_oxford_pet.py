import shutil
from pathlib import Path

import pytest
import torch
from torchvision.datasets import OxfordIIITPet

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters.images import open_image, to_input
from bitcliff.adapters.oxford_pet import PET_CLASSES
from bitcliff.errors import InputError
from bitcliff.types.subject import Examples
from tests.adapters.image_files import an_image, save_image
from tests.adapters.subjects import PREPROCESSING, a_subject

# As the data set writes them: cats with a capital, dogs without; not sorted by class.
_CATS = {"Abyssinian", "Bengal", "Birman", "Bombay", "British Shorthair", "Egyptian Mau"}
_CATS |= {"Maine Coon", "Persian", "Ragdoll", "Russian Blue", "Siamese", "Sphynx"}


def lines(first: int, step: int = 1) -> list[str]:
    """One annotation of each class, or of each step-th, numbered from `first`."""
    found = []
    for label, name in reversed(list(enumerate(PET_CLASSES, start=1))[::step]):
        cat = name in _CATS
        written = (name if cat else name.lower()).replace(" ", "_")
        found.append(f"{written}_{first + label} {label} {1 if cat else 2} 1")
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two small splits in the data set's own layout; its folder."""
    root = tmp_path / "oxford-iiit-pet"
    (root / "annotations").mkdir(parents=True)
    for file, rows in (("trainval", lines(100)), ("test", lines(200, step=3))):
        (root / "annotations" / f"{file}.txt").write_text("\n".join(rows) + "\n")
        for row in rows:
            seed = sum(row.encode())
            save_image(root / "images" / f"{row.split()[0]}.jpg", an_image(seed=seed))
    (root / "images" / "Abyssinian_101.mat").touch()  # lies among the real images too
    return root


def load(where: Path, split: str = "test", limit: int | None = None) -> Examples:
    return load_examples(
        f"oxford-iiit-pet:{where}",
        subject=a_subject(37),
        limit=limit,
        options=DataOptions(split=split),
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_is_read_as_torchvision_reads_it(tree: Path, split: str) -> None:
    reference = OxfordIIITPet(tree.parent, {"train": "trainval", "test": "test"}[split])
    examples = load(tree, split)
    assert examples.ids == tuple(path.name for path in reference._images)
    assert examples.labels is not None
    assert examples.labels.tolist() == reference._labels == [label for _, label in reference]
    assert examples.n_available == len(reference) == {"train": 37, "test": 13}[split]
    # torchvision names the classes that a split has; ours are always all 37.
    assert reference.classes == [PET_CLASSES[label] for label in sorted(set(reference._labels))]
    assert examples.class_names == PET_CLASSES


def test_images_are_preprocessed_for_the_model(tree: Path) -> None:
    examples = load(tree)
    assert isinstance(examples.inputs, torch.Tensor)
    file = tree / "images" / examples.ids[5]
    expected = to_input(open_image(file, "it"), PREPROCESSING, "it")
    assert torch.equal(examples.inputs[5], expected)
    assert examples.thumbnails is not None


def test_its_parent_is_as_good(tree: Path) -> None:
    assert load(tree.parent).sha256 == load(tree).sha256


def test_only_what_is_kept_is_read(tree: Path) -> None:
    kept = load(tree, limit=3)
    for path in (tree / "images").glob("*.jpg"):
        if path.name not in kept.ids:
            path.write_bytes(b"unreadable")
    assert load(tree, limit=3).sha256 == kept.sha256
    with pytest.raises(InputError, match=r"\.jpg: unreadable or truncated image"):
        load(tree)


def refused(pattern: str, where: Path, split: str = "test") -> None:
    with pytest.raises(InputError, match=pattern) as caught:
        load(where, split)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tree: Path, tmp_path: Path) -> None:
    refused("--split trainval: oxford-iiit-pet has the splits test and train", tree, "trainval")
    refused("none: has no folders images and annotations; give the one", tmp_path / "none")
    (tree / "images" / "Abyssinian_201.jpg").unlink()
    refused(r"Abyssinian_201\.jpg: no such image, but annotations/test\.txt names it", tree)
    assert len(load(tree, "train")) == 37
    (tree / "annotations" / "trainval.txt").unlink()
    refused(r"trainval\.txt: cannot be read \(FileNotFoundError", tree, "train")
    shutil.rmtree(tree / "images")
    refused("has no folders images and annotations", tree.parent)


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("Abyssinian_201 1 1", "line 2: not an image and three numbers"),
        ("Abyssinian_201 one 1 1", "line 2: not an image and three numbers"),
        ("", "line 2: not an image and three numbers"),
        ("../images/pug_226 26 2 1", "line 2: not an image and three numbers"),
        ("Abyssinian_201 0 1 1", "line 2: class 0; they go from 1 to 37"),
        ("Abyssinian_201 38 1 1", "line 2: class 38; they go from 1 to 37"),
        ("yorkshire_terrier_237 37 2 1", "line 2: yorkshire_terrier_237 comes a second time"),
    ],
)
def test_a_wrong_line_is_named(tree: Path, line: str, pattern: str) -> None:
    file = tree / "annotations" / "test.txt"
    first, _, *rest = file.read_text().splitlines()
    file.write_text("\n".join([first, line, *rest]))
    refused(r"annotations/test\.txt, " + pattern, tree)


def test_a_file_that_is_not_text(tree: Path) -> None:
    (tree / "annotations" / "test.txt").write_bytes(b"\xff\xfe\0")
    refused(r"test\.txt: cannot be read \(UnicodeDecodeError", tree)
    (tree / "annotations" / "test.txt").write_bytes(b"")
    refused("holds no examples", tree)


def test_models_that_do_not_fit(tree: Path) -> None:
    with pytest.raises(InputError, match="has 37 classes, but py:a:subject has 3 outputs"):
        load_examples(f"oxford-iiit-pet:{tree}", subject=a_subject(3))
    with pytest.raises(InputError, match=r"oxford-iiit-pet:.*give --image-size"):
        load_examples(f"oxford-iiit-pet:{tree}", subject=a_subject(37, preprocessing=None))
