"""Operators as products, against sums and attention written out and this machine's own."""

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.runtimes import integer_sums
from bitcliff.adapters.runtimes.as_products import FORMS
from bitcliff.errors import InputError
from tests.adapters.runtimes.sums import (
    Array,
    both,
    check,
    dynamic,
    exactly,
    in_pairs,
    model_of,
    weights,
)

K, N = 9, 4
X = np.random.default_rng(0).integers(120, 256, (5, K), np.uint8)
BIAS = np.random.default_rng(1).normal(size=N).astype(np.float32)
OURS = {"domain": "com.microsoft"}
CONSTANTS: dict[str, Any] = {"w": weights(0, K, N), "sx": np.float32(0.3), "zx": np.uint8(11),
             "sw": np.linspace(0.01, 0.03, N, dtype=np.float32),
             "zw": np.full(N, 3, np.int8), "b": BIAS}  # fmt: skip


def offset(x: Array, zero: int) -> Array:
    """What zero points take off the sums."""
    w = CONSTANTS["w"].astype(int)
    moved: Array = -zero * w.sum(0) - 3 * (x.astype(int).sum(-1, keepdims=True) - K * zero)
    return moved


def test_products_to_floats() -> None:
    node = helper.make_node(
        "MatMulIntegerToFloat", ["x", "w", "sx", "sw", "zx", "zw", "b"], ["y"], **OURS
    )
    expected = [
        (sums(X, CONSTANTS["w"]) + offset(X, 11)) * (CONSTANTS["sx"] * CONSTANTS["sw"]) + BIAS
        for sums in (exactly, in_pairs)
    ]
    check(model_of(node, **CONSTANTS), torch.from_numpy(X), expected, within=1e-4)


def test_products_that_round_by_themselves() -> None:
    x = (X / 200).astype(np.float32) - 0.5
    rounded, scale, zero = dynamic(x)
    node = helper.make_node("DynamicQuantizeMatMul", ["x", "w", "sw", "zw", "b"], ["y"], **OURS)
    expected = [
        (sums(rounded, CONSTANTS["w"]) + offset(rounded, zero)) * (scale * CONSTANTS["sw"]) + BIAS
        for sums in (exactly, in_pairs)
    ]
    used = {name: CONSTANTS[name] for name in ("w", "sw", "zw", "b")}
    model = model_of(node, given=TensorProto.FLOAT, **used)
    check(model, torch.from_numpy(x), expected, within=1e-4)


def test_a_gemm_to_floats() -> None:
    bias = np.array([9000, -9000, 5, 0], np.int32)
    node = helper.make_node("QGemm", ["x", "sx", "zx", "w", "sw", "zw", "c"], ["y"], **OURS)
    constants = {**CONSTANTS, "c": bias, "sw": np.float32(0.02), "zw": np.int8(3)}
    del constants["b"]
    expected = [
        (sums(X, CONSTANTS["w"]) + offset(X, 11) + bias) * np.float32(0.3 * 0.02)
        for sums in (exactly, in_pairs)
    ]
    check(model_of(node, **constants), torch.from_numpy(X), expected, within=1e-4)


@pytest.mark.parametrize("scaled", [True, False], ids=["to 8 bits", "to floats"])
@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_what_is_fused_with_scales_around_it(operator: str, scaled: bool) -> None:
    """As files say it that are quantized with operators for the scales (QDQ)."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["xs"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["ws"]),
        helper.make_node(operator, ["xs", "ws"], ["ys" if scaled else "y"]),
    ]
    constants: dict[str, Any] = {"w": CONSTANTS["w"], "sx": np.float32(0.3), "zx": np.uint8(11),
                 "sw": np.float32(0.02), "zw": np.int8(0)}  # fmt: skip
    offset = -11 * constants["w"].astype(int).sum(0)
    sums = [one(X, constants["w"]) + offset for one in (exactly, in_pairs)]
    expected = [np.asarray(one * np.float32(0.3 * 0.02), np.float32) for one in sums]
    kind = TensorProto.FLOAT
    if scaled:
        to = np.float32(np.abs(expected[0]).max() / 120)
        constants |= {"sy": to, "zy": np.uint8(128)}
        nodes.append(helper.make_node("QuantizeLinear", ["ys", "sy", "zy"], ["y"]))
        expected = [(np.round(one / to) + 128).clip(0, 255) for one in expected]
        kind = TensorProto.UINT8
    model = model_of(*nodes, kind=kind, **constants)
    check(model, torch.from_numpy(X), expected, within=0 if scaled else 1e-4)


def test_a_file_that_cannot_be_written_fused_is_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("it cannot be written")

    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["xs"]),
        helper.make_node("DequantizeLinear", ["w", "sx", "zw"], ["ws"]),
        helper.make_node("MatMul", ["xs", "ws"], ["y"], name="head"),
    ]
    used: dict[str, Any] = {name: CONSTANTS[name] for name in ("w", "sx", "zx")}
    monkeypatch.setattr(integer_sums, "_fused", refuse)
    sums = both(model_of(*nodes, zw=np.int8(0), **used))
    assert sums.exact()(torch.from_numpy(X)).shape == (5, N)
    with pytest.raises(InputError, match="and not MatMul head"):
        sums.saturating()


HEADS, WIDTH = 2, 8


def attended(projected: Array, mask: Array | None) -> Array:
    """Attention written out: (batch, tokens, 3 * WIDTH) to (batch, tokens, WIDTH)."""
    n, tokens, _ = projected.shape
    q, k, v = (
        one.reshape(n, tokens, HEADS, -1).transpose(0, 2, 1, 3)
        for one in np.split(projected, 3, -1)
    )
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS)
    if mask is not None:
        scores = np.where(mask[:, None, None] > 0, scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    found: Array = (shares / shares.sum(-1, keepdims=True)) @ v
    return found.transpose(0, 2, 1, 3).reshape(n, tokens, WIDTH)


@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked: bool) -> None:
    random = np.random.default_rng(2)
    x = random.integers(100, 256, (3, 5, WIDTH), np.uint8)
    mask = (np.arange(5) < np.array([[4], [5], [2]])).astype(np.int32) if masked else None
    constants: dict[str, Any] = {"w": weights(3, WIDTH, 3 * WIDTH),
                 "sx": np.float32(0.01), "zx": np.uint8(11),
                 "sw": np.float32(0.004), "zw": np.int8(0),
                 "b": random.normal(size=3 * WIDTH).astype(np.float32)}  # fmt: skip
    if mask is not None:
        constants["mask"] = mask
    names = ["x", "w", "b", "sx", "sw", "mask" if masked else "", "zx", "zw"]
    node = helper.make_node("QAttention", names, ["y"], num_heads=HEADS, **OURS)
    offset = -11 * constants["w"].astype(int).sum(0)
    expected = [
        attended((sums(x, constants["w"]) + offset) * 0.01 * 0.004 + constants["b"], mask)
        for sums in (exactly, in_pairs)
    ]
    model = model_of(node, **constants)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape))
    check(model, torch.from_numpy(x), expected, within=1e-4)


def test_what_cannot_be_written_so_is_told() -> None:
    node = helper.make_node(
        "QGemm", ["x", "sx", "zx", "w", "sx", "zx"], ["y"], name="head", alpha=0.5, **OURS
    )
    with pytest.raises(InputError, match="QGemm head is not added pair by pair here: it is"):
        both(model_of(node, **CONSTANTS)).saturating()
    assert FORMS.keys() >= {"MatMulInteger", "QLinearMatMul", "QLinearConv"}
