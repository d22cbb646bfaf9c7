"""Formats whose programs need a GPU, written a second time: in numpy, from their source.

These share nothing with `quant/`: float32 is numpy's, small floats are ml_dtypes'. A preset that
is held against one of them is marked "formula", since it shows that we do what we say, not that
we say what the program does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bitcliff.adapters.optional import require

F32 = np.float32
Array = Any


def formula_rounds(name: str) -> Callable[[Tensor], Tensor]:
    """The second writing of a preset."""
    written = _FORMULAS[name]

    def rounds(x: Tensor) -> Tensor:
        with np.errstate(all="ignore"):
            return torch.from_numpy(written(x.float().numpy())).to(x.dtype)

    return rounds


def _e4m3(x: Array) -> Array:
    types = require("ml_dtypes", "numerics", "bitcliff numerics --check")
    return np.clip(x, F32(-448), F32(448)).astype(types.float8_e4m3fn).astype(F32)


def _largest(x: Array) -> Array:
    return np.abs(x).max(axis=-1, keepdims=True)


def _saturated(x: Array) -> Array:
    return np.clip(np.rint(x), F32(-128), F32(127))


def _vllm_int8(x: Array) -> Array:
    """cvt.rni.sat.s8 of x * (127 / absmax); the scale handed on is absmax / 127."""
    peak = _largest(x)
    inverse = np.where(peak == 0, F32(0), F32(127) / peak)
    return _saturated(x * inverse) * (peak / F32(127))


def _vllm_int8_azp(x: Array) -> Array:
    low, high = x.min(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)
    scale = (high - low) / F32(255)
    scale = np.where(scale == 0, F32(1), scale)
    zero = np.rint(F32(-128) - low / scale)
    codes = np.clip(np.rint(x * (F32(1) / scale)) + zero, F32(-128), F32(127))
    return (codes - zero) * scale


def _vllm_fp8(x: Array) -> Array:
    scale = np.maximum(_largest(x) / F32(448), F32(1) / F32(448 * 512))
    return _e4m3(x * (F32(1) / scale)) * scale


def _modelopt_fp8(x: Array) -> Array:
    peak = _largest(x)
    by = np.where(peak == 0, F32(1), F32(448) / peak)
    return _e4m3(x * by) * (F32(1) / by)


def _blocks(x: Array, size: int, rounds: Callable[[Array], Array]) -> Array:
    rows, length = x.shape
    padded = np.pad(x, ((0, 0), (0, -length % size)))
    done = rounds(padded.reshape(rows, -1, size))
    return done.reshape(rows, -1)[:, :length]


def _vllm_group(x: Array) -> Array:
    def rounds(block: Array) -> Array:
        scale = np.maximum(_largest(block), F32(1e-10)) / F32(448)
        return _e4m3(block / scale) * scale

    return _blocks(x, 128, rounds)


def _nbits(x: Array) -> Array:
    def rounds(block: Array) -> Array:
        scale = _largest(block) / F32(127)
        return np.rint(block / np.where(scale == 0, F32(1), scale)).clip(-128, 127) * scale

    return _blocks(x, 32, rounds)


def _xnnpack(x: Array) -> Array:
    """The zero point comes from the end of the range with the smaller error."""
    low = np.minimum(x.min(axis=-1, keepdims=True), F32(0))
    high = np.maximum(x.max(axis=-1, keepdims=True), F32(0))
    by = np.where(low == high, F32(1), F32(255) / (high - low))
    least, most = F32(-128), F32(127)
    error = (least + low * by) + (most + high * by)
    zero = np.rint(np.clip(np.where(error > 0, least - low * by, most - high * by), least, most))
    codes = np.clip(np.rint(x * by) + zero, least, most)
    return (codes - zero) * (F32(1) / by)


_FORMULAS: dict[str, Callable[[Array], Array]] = {
    "vllm-int8-token": _vllm_int8,
    "vllm-int8-token-azp": _vllm_int8_azp,
    "vllm-fp8-token": _vllm_fp8,
    "modelopt-fp8-token": _modelopt_fp8,
    "vllm-fp8-group128": _vllm_group,
    "ort-nbits-32": _nbits,
    "xnnpack-qd8": _xnnpack,
}
