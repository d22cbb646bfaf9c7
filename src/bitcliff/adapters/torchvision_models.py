"""`torchvision:NAME`: models of torchvision that classify, detect or segment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.detectors import keep_candidates
from bitcliff.adapters.fitting import build_fitting
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.preprocessing import Squashed, override
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError, nearest
from bitcliff.points.find_task import judge_by
from bitcliff.points.outputs import give_only
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing, Subject


def load_torchvision(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """A torchvision model, with the user's weights or torchvision's own.

    Raises:
        InputError: no such model; its weights cannot be had; weights that do not fit.
    """
    spec = f"torchvision:{name}"
    models = require("torchvision.models", "vision", spec)
    family = _family(models, name, spec)
    default = models.get_model_weights(name).DEFAULT
    if options.initial == "random":
        module = family.build(models, name, None, options.num_classes)
    elif weights is None:
        module = _pretrained(models, name, options)
    else:
        module = build_fitting(
            lambda classes: family.build(models, name, weights, classes),
            family.classifier,
            weights,
            options,
            spec,
        )
    preprocessing = override(family.preprocessing(default, module, spec), options)
    names = family.class_names(default, module)
    family.prepare(module)
    return make_subject(spec, module, preprocessing, weights, class_names=names)


@dataclass(frozen=True)
class _Family:
    """Models of one task.

    Attributes:
        prepare: lets a built one give the output that its task reads.
        classifier: the name of the parameter whose first dimension is the number of classes; of
            one that is nowhere, that number must be told.
    """

    build: Callable[[Any, str, Weights | None, int | None], nn.Module]
    classifier: Callable[[nn.Module], str]
    preprocessing: Callable[[Any, nn.Module, str], Preprocessing]
    prepare: Callable[[nn.Module], None] = lambda _module: None

    def class_names(self, default: Any, module: nn.Module) -> tuple[str, ...] | None:
        """torchvision's own, where there are as many classes."""
        categories, weight = default.meta.get("categories"), self.classifier(module)
        outputs = module.state_dict()[weight].shape[0] if weight else 0
        return tuple(categories) if categories and len(categories) == outputs else None


def _family(models: Any, name: str, spec: str) -> _Family:
    """What a model is made for.

    Raises:
        InputError: torchvision has no such model, or it is a detector of two stages.
    """
    found = {
        one: family
        for where, family in (
            (models, _CLASSIFIERS),
            (models.detection, _DETECTORS),
            (models.segmentation, _SEGMENTERS),
        )
        for one in models.list_models(module=where)
    }
    if name not in found:
        raise InputError(f"{spec}: torchvision has no such model{nearest(name, found)}")
    if "rcnn" in name:
        raise InputError(
            f"{spec}: its second stage looks at as many boxes as the first proposes in an image, "
            "and has no points that hold for every image; detectors of one stage can be assessed: "
            "retinanet_..., fcos_..., ssd..."
        )
    return found[name]


def _pretrained(models: Any, name: str, options: ModelOptions) -> nn.Module:
    if options.num_classes is not None:
        raise InputError("--num-classes needs --weights: torchvision's own have their own number")
    try:
        with quiet():
            module: nn.Module = models.get_model(name, weights="DEFAULT")
    except Exception as error:
        raise InputError(
            f"torchvision:{name}: its pretrained weights cannot be had here ({one_line(error)}); "
            "pass --weights FILE.safetensors"
        ) from error
    return module


def _build(models: Any, name: str, weights: Weights | None, classes: int | None) -> nn.Module:
    settings: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        # Their pretrained files come without the auxiliary heads, which eval mode never runs.
        keys = weights.tensors if weights is not None else ()
        settings["aux_logits"] = any(key.lower().startswith("aux") for key in keys)
        settings["init_weights"] = False
    try:
        with quiet():
            module: nn.Module = models.get_model(name, weights=None, **settings)
    except Exception as error:
        raise InputError(f"torchvision:{name}: cannot be built ({one_line(error)})") from error
    return module


def _last_weight(module: nn.Module) -> str:
    """All of torchvision's classifiers come last."""
    return [name for name, _ in module.named_parameters() if name.endswith("weight")][-1]


def _preprocessing(default: Any, _module: nn.Module, spec: str) -> Preprocessing:
    steps = default.transforms()
    size, resized = steps.crop_size[0], steps.resize_size[0]
    return Preprocessing(
        size=(size, size),
        mean=tuple(steps.mean),
        std=tuple(steps.std),
        crop=size / resized,
        interpolation=steps.interpolation.value,
        source=f"torchvision's {type(default).__name__}.{default.name} ({spec})",
    )


def _dense(models: Any, name: str, weights: Weights | None, classes: int | None) -> nn.Module:
    """A detector or segmenter; without more, its backbone's weights would be fetched."""
    settings: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if weights is not None and any(key.startswith("aux_classifier") for key in weights.tensors):
        settings["aux_loss"] = True
    try:
        with quiet():
            module: nn.Module = models.get_model(
                name, weights=None, weights_backbone=None, **settings
            )
    except Exception as error:
        raise InputError(f"torchvision:{name}: cannot be built ({one_line(error)})") from error
    return module


def _squashed_map(default: Any, _module: nn.Module, spec: str) -> Preprocessing:
    """Whole images, all of one size, where torchvision's own keep their proportions."""
    steps = default.transforms()
    (side,) = steps.resize_size
    return Squashed(
        size=(side, side),
        mean=tuple(steps.mean),
        std=tuple(steps.std),
        interpolation=steps.interpolation.value,
        source=f"torchvision's {type(default).__name__}.{default.name} ({spec}), made square",
    )


def _squashed_boxes(default: Any, module: nn.Module, spec: str) -> Preprocessing:
    """Whole images of the size that the detector makes of them, which it normalises itself."""
    steps: Any = module.transform
    side = steps.fixed_size[0] if steps.fixed_size else steps.min_size[-1]
    source = f"torchvision's {type(default).__name__}.{default.name} ({spec}), made square"
    return Squashed(size=(side, side), source=source)


def _detects(module: nn.Module) -> None:
    keep_candidates(module)
    judge_by(module, "detection")


def _segments(module: nn.Module) -> None:
    give_only(module, "out")  # and no auxiliary head
    judge_by(module, "positions:0.01")


_CLASSIFIERS = _Family(_build, _last_weight, _preprocessing)
_SEGMENTERS = _Family(_dense, _last_weight, _squashed_map, _segments)
# Their heads have a row for each class of each anchor.
_DETECTORS = _Family(_dense, lambda _module: "", _squashed_boxes, _detects)
