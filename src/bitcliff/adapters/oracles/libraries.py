"""The programs that ship formats, each asked to round and give back what it has."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.adapters.optional import require

Oracle = Callable[[Tensor], Tensor]
"""Rounds (rows, length) and gives it back in the same type."""

_CHECK = "bitcliff numerics --check"


def torchao_rounds(name: str) -> Oracle:
    """torchao's own tensor classes, for every preset that names it as its oracle."""
    require("torchao", "torchao", _CHECK)
    if name.startswith("mx"):
        return _mx(name)
    workflows = "torchao.quantization.quantize_.workflows"
    # The package imports it under another name, so that an import statement does not find it.
    intx = _module(f"{workflows}.intx.intx_unpacked_to_int8_tensor")
    float8 = _module(f"{workflows}.float8.float8_tensor").Float8Tensor
    int8 = _module(f"{workflows}.int8.int8_tensor").Int8Tensor
    granularity = _module("torchao.quantization.granularity")
    nvfp4 = _module("torchao.prototype.mx_formats.nvfp4_tensor")

    def two_levels(x: Tensor) -> Tensor:
        whole = nvfp4.per_tensor_amax_to_scale(x.abs().amax())
        done: Tensor = nvfp4.NVFP4Tensor.to_nvfp4(x, per_tensor_scale=whole).dequantize()
        return done

    rounds: dict[str, Oracle] = {
        "torchao-fp8-row": lambda x: float8.from_hp(
            x, granularity=granularity.PerRow()
        ).dequantize(),
        "torchao-fp8-tensor": lambda x: float8.from_hp(
            x, granularity=granularity.PerTensor()
        ).dequantize(),
        "torchao-int8-row": lambda x: int8.from_hp(
            x, granularity=granularity.PerRow()
        ).dequantize(),
        "torchao-8da4w": intx._apply_int8_act_asym_per_token_quant_dequant,
        "torchao-8da4w weights": lambda x: intx.IntxUnpackedToInt8Tensor.from_hp(
            x,
            (1, 32),
            getattr(torch, "int4"),  # noqa: B009  (torch's types lack it)
        ).dequantize(),
        "nvfp4": two_levels,
        "nvfp4-one-level": lambda x: nvfp4.NVFP4Tensor.to_nvfp4(x).dequantize(),
    }
    return rounds[name]


def _module(name: str) -> Any:
    return require(name, "numerics", _CHECK)


def _mx(name: str) -> Oracle:
    mx = _module("torchao.prototype.mx_formats.mx_tensor").MXTensor
    modes = _module("torchao.prototype.mx_formats.config").ScaleCalculationMode
    elements = {
        "mxfp8": torch.float8_e4m3fn,
        "mxfp8-e5m2": torch.float8_e5m2,
        "mxfp6-e3m2": "fp6_e3m2",
        "mxfp6-e2m3": "fp6_e2m3",
        "mxfp4": torch.float4_e2m1fn_x2,
    }
    family, _, rule = name.rpartition("-")
    return lambda x: mx.to_mx(x, elements[family], 32, modes[rule.upper()]).dequantize(x.dtype)


def compressed_tensors_rounds(_name: str) -> Oracle:
    """compressed-tensors' dynamic scale for each token.

    It is given a third axis: strategy TOKEN takes the first two for tokens' and on a matrix gives
    all tokens one scale.
    """
    require("compressed_tensors", "numerics", _CHECK)
    quantization = _module("compressed_tensors.quantization")
    forward = _module("compressed_tensors.quantization.lifecycle.forward")
    helpers = _module("compressed_tensors.quantization.utils.helpers")
    asked = quantization.QuantizationArgs(
        num_bits=8, strategy="token", symmetric=True, dynamic=True
    )

    def rounds(x: Tensor) -> Tensor:
        scale, zero = helpers.compute_dynamic_scales_and_zp(x[None], asked, None)
        done: Tensor = forward.fake_quantize(x[None], scale, zero, asked)
        return done[0]

    return rounds


def gguf_rounds(_name: str) -> Oracle:
    """The gguf package's Q8_0, which llama.cpp's reference is held against too."""
    gguf = require("gguf", "numerics", _CHECK)
    kind = gguf.GGMLQuantizationType.Q8_0

    def rounds(x: Tensor) -> Tensor:
        with np.errstate(all="ignore"):
            packed = gguf.quants.quantize(x.float().numpy(), kind)
            return torch.from_numpy(gguf.quants.dequantize(packed, kind)).to(x.dtype)

    return rounds


def onnxruntime_rounds(_name: str) -> Oracle:
    """DynamicQuantizeLinear and DequantizeLinear, not fused."""
    session = _dynamic_quantize_linear()
    return lambda x: torch.from_numpy(session.run(None, {"x": x.float().numpy()})[0]).to(x.dtype)


@cache
def _dynamic_quantize_linear() -> Any:
    onnx, runtime = (require(name, "onnx", _CHECK) for name in ("onnx", "onnxruntime"))
    make = onnx.helper
    nodes = [
        make.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    ends = [make.make_tensor_value_info(name, 1, [None, None]) for name in "xy"]
    graph = make.make_graph(nodes, "round", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def ml_dtypes_rounds(_name: str) -> Oracle:
    """A cast to e4m3, clamped first, as a cache with scale 1 stores it."""
    types = require("ml_dtypes", "numerics", _CHECK)

    def rounds(x: Float[Tensor, "rows length"]) -> Tensor:
        clamped = np.clip(x.float().numpy(), -448, 448)
        return torch.from_numpy(clamped.astype(types.float8_e4m3fn).astype(np.float32)).to(x.dtype)

    return rounds
