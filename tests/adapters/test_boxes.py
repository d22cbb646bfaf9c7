"""Boxes as COCO and Pascal VOC write them, brought to what the model sees."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.adapters.preprocessing import Squashed
from bitcliff.errors import InputError
from bitcliff.points.find_task import judge_by
from bitcliff.points.forward import logits_of, take
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.subject import Preprocessing, Subject, in_parts

NAMES = ("cat", "dog", "cow")
# Of a picture of 80 x 40 pixels.
BOXES: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {
    "a.png": [("dog", (30, 4, 50, 24)), ("cow", (22, 10, 32, 40))],
    "b.png": [("cat", (40, 0, 60, 40))],
    "c.png": [],
}


class Brightest(nn.Module):
    """For each class one box: where its colour is (red, green, blue)."""

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.zeros(len(x), 12, 7)
        for row, image in zip(rows, x, strict=True):
            for kind, plane in enumerate(image):
                where = (plane > 0.5).nonzero()
                if len(where):
                    (y1, x1), (y2, x2) = where.amin(0).tolist(), (where.amax(0) + 1).tolist()
                    row[kind, :4] = torch.tensor([x1, y1, x2, y2])
                    row[kind, 4 + kind] = 1
        return rows


def detector(preprocessing: Preprocessing) -> Subject:
    module = Brightest().eval()
    judge_by(module, "detection:0.5")
    return Subject("py:a:detector", module, preprocessing, NAMES, "0" * 64)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Boxes drawn in their class's colour, and both kinds of annotation."""
    (tmp_path / "images").mkdir()
    (tmp_path / "xml").mkdir()
    for name, boxes in BOXES.items():
        image, xml = np.zeros((40, 80, 3), np.uint8), ""
        for kind, (x1, y1, x2, y2) in boxes:
            image[int(y1) : int(y2), int(x1) : int(x2), NAMES.index(kind)] = 255
            sides = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
            inner = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
            xml += f"<object><name>{kind}</name><bndbox>{inner}</bndbox></object>"
        Image.fromarray(image).save(tmp_path / "images" / name)
        (tmp_path / "xml" / name).with_suffix(".xml").write_text(f"<annotation>{xml}</annotation>")
    write_coco(tmp_path / "coco.json")
    return tmp_path


def write_coco(file: Path, **changed: Any) -> None:
    content: dict[str, Any] = {
        "images": [{"id": 5 + n, "file_name": f"x/{name}"} for n, name in enumerate(BOXES)],
        "categories": [{"id": 10 * n, "name": name} for n, name in enumerate(NAMES)],
        "annotations": [
            {
                "image_id": 5 + n,
                "category_id": 10 * NAMES.index(kind),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            for n, boxes in enumerate(BOXES.values())
            for kind, (x1, y1, x2, y2) in boxes
        ],
    }
    file.write_text(json.dumps(content | changed))


def shares(folder: Path, labels: str, preprocessing: Preprocessing) -> list[float]:
    """Of float's boxes, which are where the colours are in what the model is given."""
    subject = detector(preprocessing)
    options = DataOptions(labels=str(folder / labels))
    examples = load_examples(str(folder / "images"), subject=subject, options=options)
    task = task_of(subject.module)
    assert isinstance(task, AgainstFloat)
    assert task.labelled
    logits_of(subject.module, take(examples.inputs, torch.arange(len(examples))))
    return task.shares.tolist()


@pytest.mark.parametrize("labels", ["coco.json", "xml"])
@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(size=(40, 40)),
        Preprocessing(size=(60, 60), crop=0.75, interpolation="nearest"),
        Squashed(size=(80, 40), interpolation="nearest"),
    ],
    ids=["cropped", "resized", "squashed"],
)
def test_boxes_lie_where_the_model_sees_them(
    pictures: Path, labels: str, preprocessing: Preprocessing
) -> None:
    assert shares(pictures, labels, preprocessing) == [1, 1, 1]


def test_another_box_is_not_found(pictures: Path) -> None:
    xml = (pictures / "xml" / "b.xml").read_text().replace("<xmax>60", "<xmax>80")
    (pictures / "xml" / "b.xml").write_text(xml.replace("<xmin>41", "<xmin>61"))
    assert shares(pictures, "xml", Squashed(size=(40, 80))) == [1, 0, 1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": []}, r"3 of 3 images are not among its file names: a\.png, b\.png"),
        ({"images": 1}, "has no list of images; COCO's JSON has"),
        ({"categories": []}, r"annotations\[0\]: category_id 10 is of no category"),
        ({"annotations": []}, "has no box on any of the 3 images"),
        (
            {"annotations": [{"image_id": 5, "category_id": 0, "bbox": [70, 0, 20, 9]}]},
            r"\[0\]: the box 70, 0 to 90, 9 is empty or lies outside its picture of 80 x",
        ),
        (
            {"annotations": [{"image_id": 5, "category_id": 0, "bbox": [7, 0, 2]}]},
            r"annotations\[0\]: bbox must be \[x, y, width, height\]",
        ),
        (
            {"annotations": [{"image_id": 5, "category_id": 0, "bbox": [7, 0, 2, 10**400]}]},
            r"annotations\[0\]: bbox must be \[x, y, width, height\]",
        ),
        (
            {"annotations": [{"image_id": 99, "category_id": 0, "bbox": [7, 0, 2, 2]}]},
            r"annotations\[0\]: image_id 99 is of no image",
        ),
        ({"annotations": [{"category_id": []}]}, r"category_id must be a number, not \[\]"),
        ({"images": [{"id": n, "file_name": "a.png"} for n in (5, 6)]}, "two of its images have"),
        (
            {
                "images": [
                    {"id": 5 + n, "file_name": name, "width": 40, "height": 80}
                    for n, name in enumerate(BOXES)
                ]
            },
            r"a\.png has \(40, 80\) pixels there and \(80, 40\) upright",
        ),
        (
            {"categories": [{"id": 10 * n, "name": f"{n}?"} for n in range(3)]},
            r"not among|numbered|match neither",
        ),
    ],
)
def test_annotations_that_will_not_do(pictures: Path, changed: dict[str, Any], said: str) -> None:
    write_coco(pictures / "bad.json", **changed)
    if changed.get("categories"):
        # As many names as outputs are numbered; a name less is refused.
        changed["categories"][0]["name"] = "1?"
        write_coco(pictures / "bad.json", **changed)
    with pytest.raises(InputError, match=said) as caught:
        shares(pictures, "bad.json", Preprocessing(size=(40, 40)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotation>", "not readable as XML"),
        ("<a><object><bndbox/></object></a>", "object 1: has no name"),
        ("<a><object><name>cat</name></object></a>", "object 1: bndbox must have the numbers"),
        (
            "<a><object><name>cat</name><bndbox><xmin>41</xmin><ymin>1</ymin><xmax>90</xmax>"
            "<ymax>9</ymax></bndbox></object></a>",
            "object 1: the box 40, 0 to 90, 9 is empty or lies outside its picture of 80 x",
        ),
        (None, "no such file, for b.png"),
    ],
)
def test_xml_that_will_not_do(pictures: Path, text: str | None, said: str) -> None:
    file = pictures / "xml" / "b.xml"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(InputError, match=said):
        shares(pictures, "xml", Preprocessing(size=(40, 40)))


def test_a_model_without_names_is_told_which_output_each_class_is(pictures: Path) -> None:
    subject = replace(detector(Preprocessing(size=(40, 40))), class_names=None)
    options = DataOptions(labels=str(pictures / "coco.json"))
    with pytest.raises(InputError, match=r"does not name its classes: .* --label-map dog=0,cow=1"):
        load_examples(str(pictures / "images"), subject=subject, options=options)
    told = {name: number for number, name in enumerate(NAMES)}
    options = options.model_copy(update={"label_map": told})
    assert len(load_examples(str(pictures / "images"), subject=subject, options=options)) == 3


def test_images_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """Each has the box of its own annotation, however these are laid out."""
    for kind in ("cat", "dog"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        image = np.zeros((40, 40, 3), np.uint8)
        image[10:30, 10:30, NAMES.index(kind)] = 255
        Image.fromarray(image).save(tmp_path / "images" / kind / "1.png")
    kinds = list(enumerate(("cat", "dog")))
    boxes = [{"image_id": n, "category_id": n, "bbox": [10, 10, 20, 20]} for n, _ in kinds]
    for ahead in ("", "train/"):
        names = [{"id": n, "file_name": f"{ahead}{kind}/1.png"} for n, kind in kinds]
        (tmp_path / "coco.json").write_text(json.dumps({
            "images": names, "annotations": boxes,
            "categories": [{"id": n, "name": kind} for n, kind in kinds],
        }))  # fmt: skip
        assert shares(tmp_path, "coco.json", Preprocessing(size=(40, 40))) == [1, 1]
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "1.xml").write_text("<annotation/>")
    with pytest.raises(InputError, match="one file there is of several images"):
        shares(tmp_path, "xml", Preprocessing(size=(40, 40)))


def test_maps_in_a_folder_of_their_own(pictures: Path) -> None:
    module = nn.Conv2d(3, 3, 1, bias=False).eval()
    module.weight.data = torch.eye(3)[:, :, None, None] - 0.1
    judge_by(module, "iou")
    subject = Subject("py:a:segmenter", module, Squashed(size=(40, 80)), None, "0" * 64)
    (pictures / "maps").mkdir()
    options = DataOptions(labels=str(pictures / "maps"))
    with pytest.raises(InputError, match=r"has no maps named a \(\.png"):
        load_examples(str(pictures / "images"), subject=subject, options=options)
    for name in BOXES:
        Image.fromarray(np.zeros((80, 40), np.uint8)).save(pictures / "maps" / name)
    with pytest.raises(InputError, match=r"a\.png: 40 x 80 pixels are no map of an image"):
        load_examples(str(pictures / "images"), subject=subject, options=options)
    for name in BOXES:
        colours = np.asarray(Image.open(pictures / "images" / name))
        Image.fromarray(colours.argmax(2).astype(np.uint8)).save(pictures / "maps" / name)
    examples = load_examples(str(pictures / "images"), subject=subject, options=options)
    task = task_of(module)
    assert isinstance(task, AgainstFloat)
    logits_of(module, next(in_parts(examples.inputs)))
    assert task.shares.tolist() == [1, 1, 1]
