"""Examples at risk as a person wants to see them: what float found in a picture, and what was found
under the worst case, boxes or maps of classes."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points.forward import take
from bitcliff.record import Measured
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.detection import Detection
from bitcliff.tasks.positions import Positions
from bitcliff.types.subject import channel_axis

Pixels = UInt8[np.ndarray, "height width 3"]

_BLUE, _ORANGE = (31, 111, 235), (217, 84, 26)
_SIDE, _GAP = 128, 4
# Corners up to here are shares of the sides, and not pixels.
_SHARES = 2.0
_BOXES = "Boxes that float finds are blue, those under the worst case orange."
_MAPS = "Left are the classes of float's pixels, right those under the worst case."
# Of classes, the first of which is most often the background, which stays as it is.
_COLOURS = ((217, 84, 26), (31, 111, 235), (26, 160, 90), (150, 80, 200), (220, 170, 20))


def compared(
    prepared: Prepared, done: Sequence[Measured], shown: Sequence[int]
) -> tuple[dict[str, str], str]:
    """Pictures of these examples by id, as data URIs, and what is to be seen in them.

    Only of images and of boxes or maps, and of what an allocation of bits changes or, where none
    does, a format in which nobody depends on who else is there.
    """
    task, inputs = task_of(prepared.subject.module), prepared.evaluator.inputs
    if not isinstance(task, AgainstFloat) or not isinstance(task.kind, Detection | Positions):
        return {}, ""
    preprocessing = prepared.subject.preprocessing
    axis = None if isinstance(inputs, Mapping) else channel_axis(inputs.shape, preprocessing)
    worst = {place: found for place in shown if (found := _worst(place, done)) is not None}
    if axis is None or not worst:
        return {}, ""
    index = torch.tensor(list(worst))
    try:
        before = _outcomes(prepared, task, index)
        after = [
            _outcomes(prepared, task, index[[row]], found)[0]
            for row, found in enumerate(worst.values())
        ]
    except InputError:  # what came out is of no such kind any more
        return {}, ""
    images = take(prepared.evaluator.inputs, index)
    assert isinstance(images, Tensor)  # noqa: S101  (they have an axis of channels)
    draw = _with_boxes if isinstance(task.kind, Detection) else _with_maps
    pictures = dict[str, str]()
    for row, place in enumerate(worst):
        own = images[row].movedim(axis - 1, -1)
        image = _pixels(own, bgr=bool(preprocessing and preprocessing.bgr))
        drawn = draw(image, before[row], after[row], image.shape[0] / own.shape[0])
        pictures[prepared.examples.ids[place]] = _address(drawn)
    return pictures, _BOXES if isinstance(task.kind, Detection) else _MAPS


def _worst(place: int, done: Sequence[Measured]) -> list[int] | str | None:
    """Of the allocations that change what is decided, the one by the widest margin; where there is
    none, of the formats, by its name."""
    found = [
        (outcome.margin, outcome.bits if allocated else one.condition.numerics)
        for one in done
        if (allocated := one.condition.threat == "allocation") or _is_drawn(one)
        if one.outcomes.row_of(place) is not None
        if (outcome := one.outcomes.at(place)).prediction is not None
        if outcome.margin is not None and outcome.margin < 0
    ]
    lost = [one for one in found if isinstance(one[1], list)] or found
    return min(lost, key=lambda one: one[0])[1] if lost else None


def _is_drawn(one: Measured) -> bool:
    """Whether it is a format whose outcomes of an example are the same whoever else is there."""
    return one.condition.kind == "numerics" and one.condition.batch_size in (None, 1)


def _outcomes(
    prepared: Prepared,
    task: AgainstFloat,
    index: Int[Tensor, " m"],
    under: list[int] | str | None = None,
) -> list[Tensor]:
    """What is decided of each, as the kind of task has it: with these bits or in the format of this
    name, else in float."""
    evaluator, found = prepared.evaluator, list[Tensor]()
    for rows in torch.arange(len(index)).split(evaluator.batch_size):
        if under is None:
            evaluator.float_scores(index[rows])
        elif isinstance(under, str):
            shipped = prepared.settings.format_of(under)
            alone = None if shipped.isolated else 1
            evaluator.format_scores(index[rows], (shipped,) * len(prepared.points), alone)
        else:
            evaluator.scores(index[rows], torch.tensor([under] * len(rows)))
        found.extend(task.outcomes[: len(rows)])
    return found


def _pixels(image: Float[Tensor, "height width channels"], *, bgr: bool) -> Pixels:
    """As the model is given it, stretched to black and white."""
    values = image.numpy(force=True).astype(np.float64)[..., :: -1 if bgr else 1]
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low if high > low else 1.0) * 255
    pixels = np.rint(np.broadcast_to(scaled, (*values.shape[:2], 3))).astype(np.uint8)
    return _resized(pixels, _SIDE / max(pixels.shape[:2]))


def _resized(pixels: Pixels, factor: float) -> Pixels:
    """By the nearest pixel."""
    places = [
        np.minimum((np.arange(max(1, round(size * factor))) + 0.5) / factor, size - 1).astype(int)
        for size in pixels.shape[:2]
    ]
    taken: Pixels = pixels[places[0]][:, places[1]]
    return taken


def _with_boxes(
    image: Pixels, before: Float[Tensor, "most 6"], after: Float[Tensor, "most 6"], scale: float
) -> Pixels:
    drawn, corners = image.copy(), torch.cat([before[:, :4], after[:, :4]])
    across = torch.tensor([scale] * 4)
    if float(corners.max()) <= _SHARES:
        across = torch.tensor([*image.shape[1::-1]] * 2)
    for boxes, colour, width in ((before, _BLUE, 3), (after, _ORANGE, 2)):
        for box in boxes[boxes[:, 5] >= 0]:
            _frame(drawn, (box[:4] * across).tolist(), colour, width)
    return drawn


def _frame(image: Pixels, box: Sequence[float], colour: tuple[int, int, int], width: int) -> None:
    height, across = image.shape[:2]
    x1, x2 = (min(max(round(x), 0), across - 1) for x in (box[0], box[2]))
    y1, y2 = (min(max(round(y), 0), height - 1) for y in (box[1], box[3]))
    for start in range(width):
        top, left = min(y1 + start, y2), min(x1 + start, x2)
        bottom, right = max(y2 - start, y1), max(x2 - start, x1)
        image[[top, bottom], x1 : x2 + 1] = colour
        image[y1 : y2 + 1, [left, right]] = colour


def _with_maps(
    image: Pixels, before: Int[Tensor, " positions"], after: Int[Tensor, " positions"], scale: float
) -> Pixels:
    """Side by side; the image's proportions tell how many rows a map has."""
    height, width = image.shape[:2]
    rows = max(1, round((len(before) * height / width) ** 0.5))
    sides = []
    for classes in (before, after):
        if len(classes) % rows:
            sides.append(image)
            continue
        where = np.linspace(0, rows, height, endpoint=False).astype(int)
        across = np.linspace(0, len(classes) // rows, width, endpoint=False).astype(int)
        shown = classes.numpy(force=True).reshape(rows, -1)[where][:, across]
        colours = np.array(_COLOURS)[(shown - 1) % len(_COLOURS)]
        tinted = image // 2 + (colours // 2).astype(np.uint8)
        sides.append(np.where(shown[..., None] > 0, tinted, image))
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    return np.concatenate([sides[0], gap, sides[1]], 1)


def _address(pixels: Pixels) -> str:
    """A PNG, held in the address itself; no library of images is needed for one."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    return (
        "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()
    )
