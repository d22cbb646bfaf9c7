"""What is assessed, and on what: a model with its preprocessing, and examples held in memory."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Inputs = Tensor | Mapping[str, Tensor]
"""A batch as the model takes it: a tensor (batch, *rest), or keyword tensors (batch, *rest)."""


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input.

    Attributes:
        size: height and width of the input, pixels.
        channels: 3 for RGB, 1 for grey.
        scale: factor on the 0..255 pixel values, applied first.
        mean, std: one number per channel, on the scaled values: (x * scale - mean) / std.
        crop: share of the resized image that the centre crop keeps, in (0, 1].
        interpolation: "bilinear", "bicubic" or "nearest".
        source: where these settings came from, in words, for the record.
    """

    size: tuple[int, int]
    channels: int = 3
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    crop: float = 1.0
    interpolation: str = "bilinear"
    source: str = "default"


@dataclass(frozen=True)
class NamedInput:
    """An input that a network's file declares.

    Attributes:
        dtype: of its values. shape: batch first, None for a size that is left open; None: any.
    """

    dtype: torch.dtype
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Subject:
    """A model under assessment: in eval mode, its parameters frozen.

    Attributes:
        name: as the user gave it, e.g. "timm:resnet18".
        module: called as module(tensor) or module(**tensors); gives logits (batch, classes), as a
            tensor or as an object with a `logits` attribute.
        preprocessing: None where inputs are taken as they are (arrays, tokens).
        class_names: in output order, if known.
        weights_sha256: of the weights' file, or of the state dict where there is no file.
        runs_user_code: the model came from `py:`, so the user's own code ran.
        black_box: only its outputs are to be had: no points, no gradient, no weights.
        tokenizer: for text models from a Hugging Face folder: texts to keyword tensors.
        named_inputs: for files that take several arrays, or whole numbers: what they declare, by
            the keywords that the module is called with.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None
    weights_sha256: str
    runs_user_code: bool = False
    black_box: bool = False
    tokenizer: Callable[[list[str]], Mapping[str, Tensor]] | None = None
    named_inputs: Mapping[str, NamedInput] | None = None


@dataclass(frozen=True)
class Examples:
    """The examples an assessment runs on, already preprocessed and subsampled.

    Attributes:
        name: the data as the user gave it.
        inputs: n examples along dim 0.
        labels: (n,) int64 in [0, classes), or None where there are none.
        ids: n distinct names, for the record and the report.
        n_available: how many examples the source holds, before subsampling.
        sha256: over the inputs and labels used, in order.
        class_names: as the data names its classes, if it does.
        preprocessing: what was done to each example, in words, for the record.
        thumbnails: n small images as data URIs ("data:image/jpeg;base64,..."), or None.
    """

    name: str
    inputs: Inputs
    labels: Tensor | None
    ids: tuple[str, ...]
    n_available: int
    sha256: str
    class_names: tuple[str, ...] | None = None
    preprocessing: str = "none: taken as they are"
    thumbnails: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def examples_sha256(inputs: Inputs, labels: Tensor | None) -> str:
    """SHA-256 of examples as the model takes them, in order, and of their labels."""
    digest = hashlib.sha256()
    tensors = {"inputs": inputs} if isinstance(inputs, Tensor) else dict(inputs)
    digest.update(tensors_sha256(tensors).encode())
    if labels is not None:
        digest.update(tensors_sha256({"labels": labels}).encode())
    return digest.hexdigest()
