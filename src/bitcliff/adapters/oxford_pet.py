"""Oxford-IIIT Pet, in the layout of its archives: images/ and annotations/."""

import re
from dataclasses import replace
from pathlib import Path

from bitcliff.adapters.folders import image_files
from bitcliff.adapters.source import Source, needed_preprocessing
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject

# In the order of the annotations' class numbers; spelled as torchvision does.
PET_CLASSES = (
    "Abyssinian",
    "American Bulldog",
    "American Pit Bull Terrier",
    "Basset Hound",
    "Beagle",
    "Bengal",
    "Birman",
    "Bombay",
    "Boxer",
    "British Shorthair",
    "Chihuahua",
    "Egyptian Mau",
    "English Cocker Spaniel",
    "English Setter",
    "German Shorthaired",
    "Great Pyrenees",
    "Havanese",
    "Japanese Chin",
    "Keeshond",
    "Leonberger",
    "Maine Coon",
    "Miniature Pinscher",
    "Newfoundland",
    "Persian",
    "Pomeranian",
    "Pug",
    "Ragdoll",
    "Russian Blue",
    "Saint Bernard",
    "Samoyed",
    "Scottish Terrier",
    "Shiba Inu",
    "Siamese",
    "Sphynx",
    "Staffordshire Bull Terrier",
    "Wheaten Terrier",
    "Yorkshire Terrier",
)
_ANNOTATIONS = {"train": "trainval.txt", "test": "test.txt"}
# Image, class from 1, species, breed within the species.
_LINE = re.compile(r"([^\s/\\]+)\s+(\d{1,9})\s+\d+\s+\d+", re.ASCII)


def open_oxford_pet(spec: str, subject: Subject, options: DataOptions) -> Source:
    """37 breeds of cats and dogs; the splits are "train" (its trainval.txt) and "test".

    Not torchvision's reader, which says neither which file is missing nor which line is wrong.

    Args:
        spec: the folder with images and annotations, or the one that holds it as oxford-iiit-pet.

    Raises:
        InputError: a folder, an annotation file or an image is missing; a line is malformed.
    """
    if options.split not in _ANNOTATIONS:
        raise InputError(f"--split {options.split}: oxford-iiit-pet has the splits test and train")
    preprocessing = needed_preprocessing(subject, f"oxford-iiit-pet:{spec}")
    folder = _find(Path(spec))
    labels = _read(folder / "annotations" / _ANNOTATIONS[options.split])
    ids = tuple(f"{name}.jpg" for name in labels)
    files = [folder / "images" / name for name in ids]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{file}: no such image, but annotations/{_ANNOTATIONS[options.split]} names it; "
                "unpack images.tar.gz again"
            )
    source = image_files(ids, files, list(labels.values()), preprocessing)
    return replace(source, class_names=PET_CLASSES)


def _find(given: Path) -> Path:
    for folder in (given, given / "oxford-iiit-pet"):
        if (folder / "annotations").is_dir() and (folder / "images").is_dir():
            return folder
    raise InputError(
        f"oxford-iiit-pet:{given}: has no folders images and annotations; give the one where "
        "images.tar.gz and annotations.tar.gz were unpacked, or its parent"
    )


def _read(file: Path) -> dict[str, int]:
    """Image to label, from 0."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({one_line(error)}); unpack it again") from error
    labels: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise InputError(
                f"{file}, line {number}: not an image and three numbers, as Abyssinian_100 1 1 1"
            )
        name, label = found[1], int(found[2])
        if not 1 <= label <= len(PET_CLASSES):
            raise InputError(f"{file}, line {number}: class {label}; they go from 1 to 37")
        if name in labels:
            raise InputError(f"{file}, line {number}: {name} comes a second time")
        labels[name] = label - 1
    return labels
