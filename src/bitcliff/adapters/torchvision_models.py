"""`torchvision:NAME`: classification models of torchvision."""

from typing import Any

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import build_fitting
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError, nearest
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing, Subject


def load_torchvision(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """A torchvision model, with the user's weights or torchvision's own.

    Raises:
        InputError: no such model; its weights cannot be had; weights that do not fit.
    """
    spec = f"torchvision:{name}"
    models = require("torchvision.models", "vision", spec)
    known = models.list_models(module=models)
    if name not in known:
        raise InputError(f"{spec}: torchvision has no such model{nearest(name, known)}")
    default = models.get_model_weights(name).DEFAULT
    if options.initial == "random":
        module = _build(models, name, None, options.num_classes)
    elif weights is None:
        module = _pretrained(models, name, options)
    else:
        module = build_fitting(
            lambda classes: _build(models, name, weights, classes),
            _last_weight,
            weights,
            options,
            spec,
        )
    categories = default.meta.get("categories")
    outputs = module.state_dict()[_last_weight(module)].shape[0]
    names = tuple(categories) if categories and len(categories) == outputs else None
    preprocessing = override(_preprocessing(default, spec), options)
    return make_subject(spec, module, preprocessing, weights, class_names=names)


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


def _preprocessing(default: Any, spec: str) -> Preprocessing:
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
