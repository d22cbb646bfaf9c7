"""`timm:NAME`: models of timm."""

import contextlib
import math
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import build_fitting
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.preprocessing import Squashed, override
from bitcliff.adapters.weights import Weights
from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError, nearest
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing, Subject


def load_timm(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """A timm model, with the user's weights or timm's own.

    Raises:
        InputError: no such model; its weights cannot be had; weights that do not fit.
    """
    spec = f"timm:{name}"
    timm = require("timm", "vision", spec)
    if not timm.is_model(name):
        known = timm.list_models(pretrained=True) + timm.list_models()
        raise InputError(f"{spec}: timm has no such model{nearest(name, known)}")
    if options.initial == "random":
        module = _build(timm, name, options, options.num_classes)
    elif weights is None:
        module = _pretrained(timm, name, options)
    else:
        module = build_fitting(
            lambda classes: _build(timm, name, options, classes),
            lambda built: f"{_classifier(built)}.weight",
            weights,
            options,
            spec,
        )
    preprocessing = override(_preprocessing(timm, module, spec), options)
    names = _class_names(timm, module)
    return make_subject(spec, module, preprocessing, weights, class_names=names)


def _pretrained(timm: Any, name: str, options: ModelOptions) -> nn.Module:
    settings = _sized(timm, name, options)
    if options.num_classes is not None:
        if options.initial != "head":
            raise InputError("--num-classes needs --weights: timm's own have their own number")
        settings["num_classes"] = options.num_classes
    try:
        with quiet(), _no_waiting_without_network():
            module: nn.Module = timm.create_model(name, pretrained=True, **settings)
    except Exception as error:
        raise InputError(
            f"timm:{name}: its pretrained weights cannot be had here ({one_line(error)}); "
            "pass --weights FILE.safetensors"
        ) from error
    return module


def _build(timm: Any, name: str, options: ModelOptions, classes: int | None) -> nn.Module:
    try:
        with quiet():
            settings = _sized(timm, name, options)
            if classes is not None:
                settings["num_classes"] = classes
            module: nn.Module = timm.create_model(name, pretrained=False, **settings)
    except Exception as error:
        raise InputError(f"timm:{name}: cannot be built ({one_line(error)})") from error
    return module


def _sized(timm: Any, name: str, options: ModelOptions) -> dict[str, Any]:
    """Transformers with position embeddings must be given their image's size when built."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    fixed = config is not None and config.fixed_input_size
    return {"img_size": options.size} if fixed and options.size else {}


@contextlib.contextmanager
def _no_waiting_without_network() -> Iterator[None]:
    """Without a network, looks into the local cache only: the hub's client would retry for long."""
    hub: Any = require("huggingface_hub.constants", "vision", "timm's pretrained weights")
    before = hub.HF_HUB_OFFLINE
    host = urlsplit(hub.ENDPOINT).hostname or ""
    try:
        if not urllib.request.getproxies():
            socket.getaddrinfo(host, 443)
    except OSError:
        hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def _classifier(module: Any) -> str:
    name = module.pretrained_cfg.get("classifier") or "classifier"
    return name if isinstance(name, str) else str(name[0])


def _preprocessing(timm: Any, module: nn.Module, spec: str) -> Preprocessing:
    config = timm.data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    # timm rounds the resized side down; this crop makes rounding to the nearest give the same.
    crop = height / math.floor(height / config["crop_pct"])
    mode = config.get("crop_mode") or "center"
    note = (
        "" if mode in ("center", "squash") else f", its crop mode {mode} replaced by a centre crop"
    )
    kind = Squashed if mode == "squash" else Preprocessing
    return kind(
        size=(height, width),
        channels=channels,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        crop=crop,
        interpolation=config["interpolation"].replace("random", "bilinear"),
        source=f"timm's configuration of {spec.removeprefix('timm:')}{note}",
    )


def _class_names(timm: Any, module: Any) -> tuple[str, ...] | None:
    if module.num_classes != module.pretrained_cfg.get("num_classes"):
        return None
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(module.num_classes))
