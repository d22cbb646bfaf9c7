"""Hugging Face's feature extractors: from a sound to what a model of sound takes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from bitcliff.adapters.wording import one_line
from bitcliff.errors import InputError
from bitcliff.types.subject import DECODED, Hearing

# For models that take sounds of any length.
_MOST_SECONDS = 30
# Of filter banks as Kaldi has them, in seconds: the extractors of spectrograms have no others.
_FRAME, _HOP = 0.025, 0.01


def hearing_of(transformers: Any, folder: Path, module: nn.Module) -> Hearing:
    """By the folder's own preprocessor_config.json.

    A model that writes texts is also given what its generation configuration begins each with.

    Raises:
        InputError: there is none, or transformers cannot use it.
    """
    file = folder / "preprocessor_config.json"
    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        rate = int(extractor.sampling_rate)
    except Exception as error:
        raise InputError(f"{file}: transformers cannot use it ({one_line(error)})") from error
    begun = decoder_prompt(module)

    def features(samples: Float32[np.ndarray, " samples"]) -> dict[str, Tensor]:
        given = dict(extractor(samples, sampling_rate=rate, return_tensors="pt"))
        return given if begun is None else {**given, DECODED: begun}

    longest = _longest(extractor, rate)
    return Hearing(rate, _shortest(module), longest, features, type(extractor).__name__)


def _longest(extractor: Any, rate: int) -> int:
    """In samples, where the extractor makes one length of all."""
    samples = getattr(extractor, "n_samples", None)
    frames = getattr(extractor, "max_length", None)
    if isinstance(samples, int):
        return samples
    if isinstance(frames, int):
        return round(((frames - 1) * _HOP + _FRAME) * rate)
    return _MOST_SECONDS * rate


def _shortest(module: Any) -> int:
    """In samples, such that the convolutions at the beginning have one left."""
    needed = 1
    kernels = getattr(module.config, "conv_kernel", ())
    strides = getattr(module.config, "conv_stride", ())
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        needed = (needed - 1) * stride + kernel
    return int(needed)


def decoder_prompt(module: Any) -> Tensor | None:
    """(1, tokens): the first that its decoder is given, and those that are forced behind it; None:
    it has no decoder of its own."""
    if not getattr(module.config, "is_encoder_decoder", False):
        return None
    told = module.generation_config
    first = told.decoder_start_token_id
    if first is None:
        first = told.bos_token_id
    forced = getattr(told, "forced_decoder_ids", None) or []
    known = [token for _, token in forced]
    if None in known:  # a language that is to be found
        known = known[: known.index(None)]
    return torch.tensor([[first, *known]])
