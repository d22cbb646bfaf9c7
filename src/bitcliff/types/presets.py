"""Shipped formats by name: formula, where it was read, what it was held against."""

from typing import Any

from pydantic import model_validator

from bitcliff.errors import InputError, nearest
from bitcliff.types.numerics import Numerics
from bitcliff.types.value import Value

_EPSILON = 2.0**-23
"""Of float32: what torchao lets no int8 scale go below."""


class Format(Value):
    """What a runtime makes of a network's numbers: activations, weights and a cache of attention's
    keys and values, each in a format.

    Raises:
        ValueError: it would round nothing.
    """

    activations: Numerics | None = None
    """Of what layers are given. None: it stays in float."""
    weights: Numerics | None = None
    """None: weights stay in float. Tokens and blocks run along the axis that is summed over."""
    cache: Numerics | None = None
    """What attention's keys and values are rounded to just where it takes them, as they are read
    from a cache: a token is one position's vector in one head, and blocks lie along it. None: they
    stay in float."""
    everywhere: bool = False
    """Whether every layer with constant weights is rounded; otherwise linear layers alone are, the
    only ones that most runtimes with such formats take. Products of two activations stay in
    float."""
    read_in: str = ""
    """The project's file that has the formula."""
    oracle: str = ""
    """What `bitcliff numerics --check` holds it against; "formula": a second writing of the
    formula, for want of a program that runs without a GPU."""

    @model_validator(mode="after")
    def _rounds_something(self) -> "Format":
        if not self._parts:
            raise ValueError("give activations, weights, cache or several of them")
        if self.weights is not None and self.weights.group == "channel":
            raise ValueError(
                "weights: a scale for each output channel is group token, a row along the axis "
                "that is summed over"
            )
        if self.everywhere and any(
            numerics is not None and numerics.group in ("token", "block")
            for numerics in (self.activations, self.weights)
        ):
            raise ValueError(
                "everywhere: a convolution sums over places too, so that its tokens and blocks "
                "cannot each have a scale"
            )
        return self

    @property
    def of_values(self) -> tuple[Numerics, ...]:
        """What is rounded of each example anew, other than weights."""
        return tuple(one for one in (self.activations, self.cache) if one is not None)

    @property
    def isolated(self) -> bool:
        """Whether an example's result depends on that example alone, by construction."""
        return all(one.isolated for one in self.of_values)

    @property
    def alone(self) -> "Format":
        """The same of an example that is alone in its batch, for batches of any size.

        A scale of a tensor is then that of the example; one in two levels stays as it is.
        """
        shared = {
            name: one.model_copy(update={"group": "example"})
            for name, one in (("activations", self.activations), ("cache", self.cache))
            if one is not None and one.group == "batch"
        }
        return self.model_copy(update=shared) if shared else self

    @property
    def formula(self) -> str:
        """In one line, for people."""
        told = [f"{what} {part.formula}" for what, part in self._parts if what != "cache"]
        where = "all layers with weights" if self.everywhere else "linear layers"
        layers = [f"{where}, {'; '.join(told)}"] if told else []
        held = [f"keys and values of attention, {self.cache.formula}"] if self.cache else []
        return "; ".join([*layers, *held])

    @property
    def _parts(self) -> list[tuple[str, Numerics]]:
        parts = (
            ("activations", self.activations), ("weights", self.weights), ("cache", self.cache),
        )  # fmt: skip
        return [(name, one) for name, one in parts if one is not None]


def _int8(group: str, scale: str, **more: Any) -> Numerics:
    return Numerics.model_validate({"element": "int8", "group": group, "scale": scale, **more})


def _float(element: str, group: str, scale: str, **more: Any) -> Numerics:
    return Numerics.model_validate({"element": element, "group": group, "scale": scale, **more})


def _mx(element: str, scale: str) -> Numerics:
    return _float(element, "block", scale, block=32, stored="e8m0", ragged="refuse")


_AO = "torchao"
_VLLM_INT8 = "vllm csrc/quantization/w8a8/int8/scaled_quant.cu"
_AO_FP8 = "torchao quantization/quantize_/workflows/float8/float8_tensor.py"
_AO_MX = "torchao prototype/mx_formats/mx_tensor.py"

_ORT_UINT8 = Numerics(element="uint8", group="batch", scale="minmax-zero")
_INT8_TENSOR = _int8("batch", "amax", divisor=127.0)
_INT8_CHANNEL = _int8("token", "amax", divisor=127.0)
_AO_ROW = _int8("token", "amax", divisor=127.5, floor=_EPSILON, order="reciprocal", stored="input")
_AO_NARROW: dict[str, Any] = {
    "floor": "least-normal", "order": "reciprocal", "stored": "input", "arithmetic": "input",
}  # fmt: skip
_AO_INT4 = Numerics(
    element="int4", group="block", scale="amax", block=32, divisor=7.5, ragged="refuse",
    **_AO_NARROW,
)  # fmt: skip
_FP8_ROW = _float("e4m3", "token", "amax", divisor=448.0, empty="nan", stored="input")
_FP8_TENSOR = _float("e4m3", "batch", "amax", divisor=448.0, empty="nan", stored="input")
_VLLM_FP8 = _float(
    "e4m3", "token", "amax", divisor=448.0, floor=1 / (448 * 512), order="reciprocal"
)
_MODELOPT = _float("e4m3", "token", "amax", divisor=448.0, order="inverted-ratio")
_GROUP128 = _float("e4m3", "block", "amax", block=128, divisor=448.0, floor=1e-10 / 448)
_NVFP4 = _float("e2m1", "block", "two-level", block=16, stored="e4m3", ragged="refuse")
_NVFP4_ONE = _float(
    "e2m1", "block", "amax", block=16, divisor=6.0, floor=2.0**-6, order="reciprocal",
    stored="e4m3", ragged="refuse",
)  # fmt: skip
_Q8_0 = _int8(
    "block", "amax", block=32, divisor=127.0, order="reciprocal", rounding="away", stored="float16"
)
_NBITS = _int8("block", "amax", block=32, divisor=127.0)


def _preset(
    activations: Numerics, weights: Numerics | None, read_in: str, oracle: str, **more: Any
) -> Format:
    return Format(activations=activations, weights=weights, read_in=read_in, oracle=oracle, **more)


PRESETS: dict[str, Format] = {
    "ort-uint8": _preset(
        _ORT_UINT8, _INT8_TENSOR, "ONNX DynamicQuantizeLinear", "onnxruntime", everywhere=True
    ),
    "vllm-int8-token": _preset(
        _int8("token", "amax", divisor=127.0, order="ratio"), _INT8_CHANNEL, _VLLM_INT8, "formula"
    ),
    "vllm-int8-token-azp": _preset(
        _int8("token", "minmax", order="reciprocal", zero_point="unclamped"),
        _INT8_CHANNEL,
        _VLLM_INT8,
        "formula",
    ),
    "torchao-int8-row": _preset(
        _AO_ROW, _AO_ROW, "torchao quantization/quantize_/workflows/int8/int8_tensor.py", _AO
    ),
    "ct-int8-token": _preset(
        _int8("token", "amax", divisor=127.5, arithmetic="input", stored="input"),
        None,
        "compressed-tensors quantization/utils/helpers.py",
        "compressed-tensors",
    ),
    "torchao-8da4w": _preset(
        _int8("token", "minmax-zero", zero_point="rounded-ratio", **_AO_NARROW),
        _AO_INT4,
        "torchao quantization/quantize_/workflows/intx/intx_unpacked_to_int8_tensor.py",
        _AO,
    ),
    "xnnpack-qd8": _preset(
        _int8("token", "minmax-zero", order="inverted-ratio", zero_point="two-ended"),
        _INT8_CHANNEL,
        "XNNPACK src/xnnpack/quantization.h",
        "formula",
    ),
    "vllm-fp8-token": _preset(
        _VLLM_FP8, _FP8_ROW, "vllm csrc/quantization/fp8/common.cu", "formula"
    ),
    "torchao-fp8-row": _preset(_FP8_ROW, _FP8_ROW, _AO_FP8, _AO),
    "torchao-fp8-tensor": _preset(_FP8_TENSOR, _FP8_TENSOR, _AO_FP8, _AO),
    "modelopt-fp8-token": _preset(
        _MODELOPT, _MODELOPT, "modelopt torch/quantization/tensor_quant.py", "formula"
    ),
    "vllm-fp8-group128": _preset(
        _GROUP128, _GROUP128, "vllm csrc/quantization/fp8/per_token_group_quant.cu", "formula"
    ),
    **{
        f"mx{family}-{rule}": _preset(_mx(element, rule), _mx(element, rule), _AO_MX, _AO)
        for family, element in (
            ("fp8", "e4m3"),
            ("fp8-e5m2", "e5m2"),
            ("fp6-e3m2", "e3m2"),
            ("fp6-e2m3", "e2m3"),
            ("fp4", "e2m1"),
        )
        for rule in ("floor", "rceil", "even", "ceil")
    },
    "nvfp4": _preset(_NVFP4, _NVFP4, "torchao prototype/mx_formats/nvfp4_tensor.py", _AO),
    "nvfp4-one-level": _preset(
        _NVFP4_ONE, _NVFP4_ONE, "torchao prototype/mx_formats/nvfp4_tensor.py", _AO
    ),
    "ort-nbits-32": _preset(_NBITS, None, "onnxruntime MatMulNBits, accuracy level 4", "formula"),
    "gguf-q8_0": _preset(_Q8_0, _Q8_0, "llama.cpp ggml/src/ggml-quants.c", "gguf"),
    "kv-cache-fp8": Format(
        cache=_float("e4m3", "token", "one"),
        read_in="vllm documentation, quantized KV cache",
        oracle="ml_dtypes",
    ),
}


def preset(name: str, told: str = "") -> Format:
    """The preset of that name.

    Args:
        told: how the user asked for it, where that is not the bare name.

    Raises:
        InputError: there is none; the nearest are named.
    """
    if name not in PRESETS:
        file = ", or give a FILE.yaml" if told else ""
        known = nearest(name, PRESETS) or f"; `bitcliff numerics` lists what is{file}"
        raise InputError(f"{told or repr(name)} is not known{known}")
    return PRESETS[name]
