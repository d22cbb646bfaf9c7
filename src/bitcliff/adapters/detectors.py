"""Object detectors brought to one output, as `tasks/detection.py` reads it.

What is done here comes behind the network: nothing of it is quantized, and no candidate is dropped,
so that a batch has rows of one length whatever is in its images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.optional import require
from bitcliff.errors import InputError
from bitcliff.tasks.detection import corners


def join_queries(module: nn.Module) -> None:
    """Let a detector of transformers give (batch, candidates, 4 + classes), boxes in pixels.

    Those whose logits have a column beyond the classes, for no object, end in a softmax; the others
    in a sigmoid for each class.
    """
    classes = module.config.num_labels  # type: ignore[union-attr]

    def join(model: nn.Module, args: Any, kwargs: Any, output: Any) -> Tensor:
        logits, boxes = getattr(output, "logits", None), getattr(output, "pred_boxes", None)
        if logits is None or boxes is None:
            raise InputError(f"{type(model).__name__} gives no logits and pred_boxes to read")
        # No `sigmoid` that could be taken for a layer of the network.
        scores = torch.special.expit(logits)
        if logits.shape[-1] > classes:
            scores = logits.softmax(-1)[..., :classes]
        height, width = (args[0] if args else kwargs["pixel_values"]).shape[-2:]
        return _joined(corners(boxes) * boxes.new_tensor([width, height, width, height]), scores)

    module.register_forward_hook(join, with_kwargs=True)


def _joined(
    boxes: Float[Tensor, "batch candidates 4"], scores: Float[Tensor, "batch candidates classes"]
) -> Float[Tensor, "batch more columns"]:
    """Candidates without a score are added where there are few, since the longer axis is theirs."""
    found = torch.cat([boxes, scores], 2)
    lacking = found.shape[2] - found.shape[1]
    return F.pad(found, (0, 0, 0, lacking)) if lacking > 0 else found


def keep_candidates(module: nn.Module) -> None:
    """Let a one-stage detector of torchvision give (batch, candidates, 4 + classes) of a batch.

    Its own way takes images one by one and ends in a choice among candidates, so that neither point
    nor file could be of any number of images. Boxes are in pixels of the images as they came.
    """
    module.forward = MethodType(_candidates, module)


def _candidates(module: Any, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
    """As its own forward, until candidates are chosen among."""
    steps, given = module.transform, images.shape[-2:]
    size = _resized(given, steps)
    mean, std = (
        images.new_tensor(one)[:, None, None] for one in (steps.image_mean, steps.image_std)
    )
    x = F.interpolate((images - mean) / std, size=size, mode="bilinear", align_corners=False)
    rest = [-side % steps.size_divisible for side in size]
    x = F.pad(x, (0, rest[1], 0, rest[0]))
    features = module.backbone(x)
    features = [features] if isinstance(features, Tensor) else [*features.values()]
    heads = module.head(features)
    images_module = require("torchvision.models.detection.image_list", "vision", "detectors")
    anchors = module.anchor_generator(images_module.ImageList(x, [size]), features)[0]
    boxes = _decoded(module.box_coder, heads["bbox_regression"], anchors)
    scale = [own / side for own, side in zip(given, size, strict=True)]
    placed = torch.stack(
        [boxes[..., start::2].clamp(0, size[1 - start]) * scale[1 - start] for start in (0, 1)], -1
    )
    return _joined(placed.flatten(2), _SCORES[type(module).__name__](heads))


def _resized(given: Sequence[int], steps: Any) -> tuple[int, int]:
    """Height and width that the network sees, before they are filled up."""
    if steps.fixed_size is not None:
        width, height = steps.fixed_size
        return height, width
    scale = min(steps.min_size[-1] / min(given), steps.max_size / max(given))
    return math.floor(given[0] * scale), math.floor(given[1] * scale)


def _decoded(
    coder: Any, offsets: Float[Tensor, "batch candidates 4"], anchors: Float[Tensor, "candidates 4"]
) -> Float[Tensor, "batch candidates 4"]:
    decode = getattr(coder, "decode_single", None) or coder.decode
    rows = decode(offsets.flatten(0, 1), anchors.repeat(len(offsets), 1))
    found: Tensor = rows.reshape(offsets.shape)
    return found


def _softmax(heads: Mapping[str, Tensor]) -> Tensor:
    """The first class is the background."""
    return heads["cls_logits"].softmax(-1)[..., 1:]


def _sigmoid(heads: Mapping[str, Tensor]) -> Tensor:
    return torch.sigmoid(heads["cls_logits"])


def _centred(heads: Mapping[str, Tensor]) -> Tensor:
    return (_sigmoid(heads) * torch.sigmoid(heads["bbox_ctrness"])).sqrt()


_SCORES: dict[str, Callable[[Mapping[str, Tensor]], Tensor]] = {
    "SSD": _softmax,
    "RetinaNet": _sigmoid,
    "FCOS": _centred,
}
ONE_STAGE = tuple(_SCORES)
"""Classes of torchvision."""
