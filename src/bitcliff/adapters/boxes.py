"""Boxes that people drew: COCO's JSON, and XML files as Pascal VOC has them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from bitcliff.adapters.images import image_size, placed
from bitcliff.adapters.json_files import read_json
from bitcliff.adapters.labels import in_pairs, map_labels
from bitcliff.adapters.outputs import example_output
from bitcliff.adapters.wording import listed, one_line, shortened
from bitcliff.errors import InputError
from bitcliff.tasks.detection import boxes_and_scores
from bitcliff.types.subject import Preprocessing, Subject

_LARGEST_XML = 10_000_000
# By which a side may lie outside its picture, pixels: annotators round.
_ROUNDED = 1.0
_MOST = 100
# A whole number that no side is, and that still is a float.
_HUGE = 10**9

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Annotated:
    """The boxes on one picture, and the width and height that they were drawn on, if told."""

    boxes: list["Drawn"]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Drawn:
    """One box: x1, y1, x2, y2 in pixels of its picture, its class's name, and where it stands."""

    corners: Corners
    name: str
    where: str


def box_targets(
    labels: Path,
    files: Sequence[Path],
    folder: Path,
    subject: Subject,
    preprocessing: Preprocessing,
    told: Mapping[str, int] | None,
) -> tuple[Tensor, str]:
    """(n, boxes, 5) as `Detection.told` takes them, in pixels of the model's input, and how class
    names were read.

    What the model's crop leaves nothing of is left out, as are crowds and what is marked difficult.

    Args:
        labels: a COCO JSON file, or a folder of XML files named as the images are.
        files: the images, all in `folder`. told: as `--label-map` has it.

    Raises:
        InputError: unreadable; an image without annotation; a box outside its picture; more than
            100 boxes on one; names that match no class.
    """
    read = _voc if labels.is_dir() else _coco
    drawn = read(labels, files, folder)
    names = list(dict.fromkeys(box.name for one in drawn for box in one.boxes))
    if not names:
        raise InputError(f"{labels}: has no box on any of the {len(files)} images")
    if subject.class_names is None and not told and len(names) > 1:
        pairs = in_pairs({name: number for number, name in enumerate(names)})
        raise InputError(
            f"{labels}: the model does not name its classes: say which output each is, as in "
            f"--label-map {pairs}"
        )

    def classes() -> int:
        shape = (1, *preprocessing.shape)
        return int(boxes_and_scores(example_output(subject, torch.zeros(shape)))[1].shape[2])

    mapped = map_labels(names, subject.class_names, classes, str(labels), told)
    rows = []
    for file, one in zip(files, drawn, strict=True):
        size, boxes = image_size(file), one.boxes
        if one.size not in (None, size):
            raise InputError(
                f"{labels}: {file.name} has {one.size} pixels there and {size} upright: the boxes "
                "are of another picture"
            )
        for box in boxes:
            _check(box, size)
        if len(boxes) > _MOST:
            raise InputError(f"{labels}: {file.name} has {len(boxes)} boxes; {_MOST} at most")
        found = torch.tensor([box.corners for box in boxes]).reshape(-1, 4)
        kind = torch.tensor([float(mapped.index[box.name]) for box in boxes])
        corners = placed(found, size, preprocessing)
        left = (corners[:, 2:] > corners[:, :2]).all(1)
        rows.append(torch.cat([corners, kind[:, None]], 1)[left])
    return pad_sequence(rows, batch_first=True, padding_value=-1), mapped.how


def _check(box: Drawn, size: tuple[int, int]) -> None:
    x1, y1, x2, y2 = box.corners
    fine = all(map(math.isfinite, box.corners)) and x1 < x2 and y1 < y2
    if not fine or min(x1, y1) < -_ROUNDED or x2 > size[0] + _ROUNDED or y2 > size[1] + _ROUNDED:
        raise InputError(
            f"{box.where}: the box {x1:g}, {y1:g} to {x2:g}, {y2:g} is empty or lies outside its "
            f"picture of {size[0]} x {size[1]} pixels"
        )


def _coco(file: Path, files: Sequence[Path], folder: Path) -> list[Annotated]:
    content = read_json(file)
    images, categories, annotations = (
        _objects(content, part, file) for part in ("images", "categories", "annotations")
    )
    names = {_id(one, "id", file): str(one.get("name")) for one in categories}
    listed_as = {str(one.get("file_name")): one for one in images}
    of_image = {_id(one, "id", file): list[Drawn]() for one in images}
    if len(listed_as) < len(images) or len(of_image) < len(images):
        raise InputError(f"{file}: two of its images have one file_name or one id")
    own = [_key(image, folder, listed_as, file) for image in files]
    if lacking := [image.name for image, key in zip(files, own, strict=True) if key is None]:
        raise InputError(
            f"{file}: {len(lacking)} of {len(files)} images are not among its file names: "
            f"{listed(lacking)}"
        )
    for number, one in enumerate(annotations):
        where = f"{file}, annotations[{number}]"
        if one.get("iscrowd"):
            continue
        if _id(one, "category_id", file) not in names:
            raise InputError(f"{where}: category_id {one.get('category_id')} is of no category")
        if _id(one, "image_id", file) not in of_image:
            raise InputError(f"{where}: image_id {one.get('image_id')} is of no image")
        box = one.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            raise InputError(f"{where}: bbox must be [x, y, width, height]")
        x, y, width, height = map(float, box)
        found = Drawn((x, y, x + width, y + height), names[one["category_id"]], where)
        of_image[one["image_id"]].append(found)
    found_images = [listed_as[str(key)] for key in own]
    return [Annotated(of_image[one["id"]], _told_size(one)) for one in found_images]


def _told_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _key(image: Path, folder: Path, known: Mapping[str, Any], file: Path) -> str | None:
    """Its name in the annotations: below the folder, or else by as much of its path as tells."""
    below = image.relative_to(folder).as_posix()
    if below in known:
        return below
    ways = [name for name in known if Path(name).name == image.name]
    if len(ways) > 1:
        ways = [way for way in ways if way.endswith(f"/{below}")]
        if len(ways) != 1:
            raise InputError(f"{file}: several of its file names may be {below}; name them alike")
    return ways[0] if ways else None


def _id(one: Mapping[str, Any], key: str, file: Path) -> int | str:
    found = one.get(key)
    if not isinstance(found, int | str):
        raise InputError(f"{file}: {key} must be a number, not {shortened(repr(found))}")
    return found


def _objects(content: Any, part: str, file: Path) -> list[dict[str, Any]]:
    found = content.get(part) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(
            f"{file}: has no list of {part}; COCO's JSON has images, annotations and categories"
        )
    return found


def _is_number(x: Any) -> bool:
    return isinstance(x, float) or (type(x) is int and abs(x) < _HUGE)


def _voc(labels: Path, files: Sequence[Path], folder: Path) -> list[Annotated]:
    own = [_beside(labels, file.relative_to(folder).with_suffix(".xml")) for file in files]
    if len(set(own)) < len(own):
        raise InputError(f"{labels}: one file there is of several images; lay both out alike")
    return [_read_xml(one, file) for one, file in zip(own, files, strict=True)]


def _beside(labels: Path, laid_out: Path) -> Path:
    """The file that belongs to an image: laid out as that is, or else all in one folder."""
    mirrored = labels / laid_out
    return mirrored if mirrored.is_file() else labels / laid_out.name


def _read_xml(file: Path, image: Path) -> Annotated:
    if not file.is_file():
        raise InputError(f"{file}: no such file, for {image.name}; give one for each image")
    if file.stat().st_size > _LARGEST_XML:
        raise InputError(f"{file}: larger than 10 MB, which no annotation of one image is")
    try:
        root = ElementTree.parse(file).getroot()  # noqa: S314  (expat limits what entities expand to)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{file}: not readable as XML ({one_line(error)})") from error
    found = []
    for number, one in enumerate(root.iter("object"), start=1):
        where = f"{file}, object {number}"
        if (one.findtext("difficult") or "0").strip() not in ("", "0"):
            continue
        name = (one.findtext("name") or "").strip()
        if not name:
            raise InputError(f"{where}: has no name")
        sides = [one.findtext(f"bndbox/{side}") or "" for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = map(float, sides)
        except ValueError as error:
            raise InputError(
                f"{where}: bndbox must have the numbers xmin, ymin, xmax and ymax, not "
                f"{shortened(', '.join(sides))}"
            ) from error
        # Both ends are pixels of the object, counted from 1.
        found.append(Drawn((x1 - 1, y1 - 1, x2, y2), name, where))
    sides = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    told = all(side.isdecimal() and int(side) for side in sides)
    return Annotated(found, (int(sides[0]), int(sides[1])) if told else None)
