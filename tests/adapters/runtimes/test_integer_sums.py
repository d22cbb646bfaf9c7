"""Products added exactly and pair by pair, against sums written out and this machine's own."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.runtimes.integer_sums import integer_sums, saturating_nodes
from bitcliff.adapters.runtimes.saturating_graph import saturating_file
from bitcliff.adapters.runtimes.session import open_session, run_session
from bitcliff.errors import InputError
from tests.adapters.runtimes.sums import SATURATES, Array, both, check, in_pairs, model_of, weights


def product(weight: Array, **zero_points: Any) -> Any:
    names = [name if name in zero_points else "" for name in ("zx", "zw")]
    node = helper.make_node("MatMulInteger", ["x", "w", *names], ["y"])
    return model_of(node, kind=TensorProto.INT32, w=weight, **zero_points)


@pytest.mark.parametrize("rows", [(1,), (5,), (2, 3)])
@pytest.mark.parametrize(("k", "n"), [(2, 1), (7, 3), (64, 17), (131, 40)])
@pytest.mark.parametrize("zero_points", [{}, {"zx": np.uint8(77), "zw": np.int8(-3)}])
def test_products_are_added_exactly_and_pair_by_pair(
    rows: tuple[int, ...], k: int, n: int, zero_points: dict[str, Any]
) -> None:
    random = np.random.default_rng(k)
    x = random.integers(100, 256, (*rows, k), np.uint8)
    w = random.integers(60, 128, (k, n)).astype(np.int8)
    w[random.random((k, n)) < 0.3] *= -1
    w[0, 0], w[1, 0] = 127, 127
    x[..., :2] = 255
    zx, zw = (int(zero_points.get(name, 0)) for name in ("zx", "zw"))
    exact = x.astype(int) @ w.astype(int)
    offset = -zx * w.astype(int).sum(0) - zw * (x.astype(int).sum(-1, keepdims=True) - k * zx)
    expected = [sums + offset for sums in (exact, in_pairs(x, w))]
    assert (expected[0] != expected[1]).any()
    model = product(w, **zero_points)
    given, found = torch.from_numpy(x), both(model)
    runs = [run(given).numpy() for run in (found.exact(), found.saturating())]
    assert np.array_equal(runs[0], expected[0])
    assert np.array_equal(runs[1], expected[1])
    here = run_session(open_session(onnxruntime, model.SerializeToString()))(given)
    assert np.array_equal(here.numpy(), expected[SATURATES])


@pytest.mark.parametrize("zero_points", [{}, {"zx": np.uint8(77), "zw": np.int8(-3)}])
@pytest.mark.parametrize("rows", [(5,), (1, 5), (3, 5), (2, 3, 5), (2, 1, 5)])
def test_products_by_a_stack_of_matrices(
    rows: tuple[int, ...], zero_points: dict[str, Any]
) -> None:
    """As of experts: each has its matrix, and rows of its own or those of all."""
    random = np.random.default_rng(len(rows))
    x = random.integers(150, 256, (*rows, 11), np.uint8)
    w = weights(0, 3, 11, 4)
    zx, zw = (int(zero_points.get(name, 0)) for name in ("zx", "zw"))
    one_by_one = np.broadcast_to(x, np.broadcast_shapes(x.shape, (3, 1, 1)))
    paired = [in_pairs(one_by_one[..., at, :, :], matrix) for at, matrix in enumerate(w)]
    offset = -zx * w.astype(int).sum(1, keepdims=True) - zw * (
        x.astype(int).sum(-1, keepdims=True) - 11 * zx
    )
    expected = [x.astype(int) @ w.astype(int) + offset, np.stack(paired, -3) + offset]
    check(product(w, **zero_points), torch.from_numpy(x), expected)


@pytest.mark.parametrize("each", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize(("k", "n"), [(7, 3), (64, 17)])
@pytest.mark.parametrize("operator", ["QLinearMatMul", "QGemm"])
def test_products_that_are_scaled_to_8_bits_are_this_machines_to_the_bit(
    k: int, n: int, each: bool, operator: str
) -> None:
    """Those of a file that is quantized already, and by sums written out."""
    random = np.random.default_rng(k)
    x = random.integers(150, 256, (40, k), np.uint8)
    w = random.integers(60, 128, (k, n)).astype(np.int8)
    w[random.random((k, n)) < 0.4] *= -1
    scale = random.uniform(0.5, 2, n).astype(np.float32) if each else np.float32(0.7)
    spread = np.abs(x.astype(int) @ w.astype(int)).max() / 100
    constants: dict[str, Any] = {"w": w, "sx": np.float32(0.3), "sw": scale,
                 "sy": np.float32(0.3 * spread),
                 "zx": np.uint8(11), "zy": np.uint8(128),
                 "zw": np.zeros(n, np.int8) if each else np.int8(0)}  # fmt: skip
    names, bias = ["x", "sx", "zx", "w", "sw", "zw"], np.zeros(n, np.int32)
    if operator == "QLinearMatMul":
        node = helper.make_node(operator, [*names, "sy", "zy"], ["y"])
    else:
        bias = random.integers(-9000, 9000, n).astype(np.int32)
        constants |= {"w": w.T.copy(), "b": bias}
        inputs = [*names, "b", "sy", "zy"]
        node = helper.make_node(operator, inputs, ["y"], transB=1, domain="com.microsoft")
    model = model_of(node, kind=TensorProto.UINT8, **constants)
    runs = both(model)
    given = torch.from_numpy(x)
    exact, saturating = (run(given).numpy() for run in (runs.exact(), runs.saturating()))
    by = (constants["sx"] * scale) / constants["sy"]
    offset = bias - 11 * w.astype(int).sum(0)
    for found, sums in ((exact, x.astype(int) @ w.astype(int)), (saturating, in_pairs(x, w))):
        wide = (sums + offset).astype(np.float32) * by
        expected = (np.round(wide) + 128).clip(0, 255)
        assert np.array_equal(found, expected)
    assert (exact != saturating).any()
    here = run_session(open_session(onnxruntime, model.SerializeToString()))(given)
    assert np.array_equal(here.numpy(), (exact, saturating)[SATURATES])


def patches(x: Array, shape: tuple[int, ...], pads: int, stride: int, apart: int) -> Array:
    """(n, height, width, places of the kernel times channels), of what is padded with 11."""
    height, width = shape
    x = np.pad(x, [(0, 0), (0, 0), (pads, pads), (pads, pads)], constant_values=11)
    x = x.transpose(0, 2, 3, 1)
    ends = [x.shape[axis + 1] - apart * (size - 1) for axis, size in enumerate(shape)]
    cut = [
        x[:, i * apart : i * apart + ends[0] : stride, j * apart : j * apart + ends[1] : stride]
        for i in range(height)
        for j in range(width)
    ]
    return np.concatenate(cut, -1)


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    "plain": ((8, 8, 3, 3), 1, {}),
    "pointwise": ((16, 7, 1, 1), 1, {}),
    "odd, strided": ((5, 3, 3, 2), 1, {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "dilated": ((6, 4, 3, 3), 1, {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "grouped": ((6, 3, 3, 3), 2, {"pads": [1, 1, 1, 1]}),
}  # fmt: skip


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_8_bits_are_this_machines_to_the_bit(name: str, biased: bool) -> None:
    shape, groups, attributes = CONVOLUTIONS[name]
    random = np.random.default_rng(len(name))
    x = random.integers(150, 256, (3, shape[1] * groups, 9, 8), np.uint8)
    w = random.integers(60, 128, shape).astype(np.int8)
    w[random.random(shape) < 0.4] *= -1
    scale = random.uniform(0.5, 2, shape[0]).astype(np.float32)
    to = np.float32(0.3 * shape[1] * shape[2] * shape[3] * 255)
    constants: dict[str, Any] = {"w": w, "sx": np.float32(0.3), "sw": scale, "sy": to,
                 "zx": np.uint8(11),
                 "zy": np.uint8(128), "zw": np.zeros(shape[0], np.int8)}  # fmt: skip
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"]
    bias = random.integers(-9000, 9000, shape[0]).astype(np.int32)
    if biased:
        constants["b"] = bias
        names.append("b")
    node = helper.make_node("QLinearConv", names, ["y"], group=groups, **attributes)
    model = model_of(node, kind=TensorProto.UINT8, **constants)
    runs, given = both(model), torch.from_numpy(x)
    saturating = runs.saturating()(given).numpy()
    sums = []
    for of, mine in zip(np.split(w, groups), np.split(x, groups, 1), strict=True):
        all_pads = attributes.get("pads", [0])[0]
        steps = (attributes.get(key, [1])[0] for key in ("strides", "dilations"))
        rows = patches(mine, shape[2:], all_pads, *steps)
        matrix = of.transpose(2, 3, 1, 0).reshape(-1, len(of))
        sums.append(in_pairs(rows, matrix) - 11 * matrix.astype(int).sum(0))
    whole = np.concatenate(sums, -1) + biased * bias
    wide = whole.astype(np.float32) * (constants["sx"] * scale / to)
    expected = (np.round(wide) + 128).clip(0, 255).transpose(0, 3, 1, 2)
    assert np.array_equal(saturating, expected)
    exact = runs.exact()(given).numpy()
    assert (exact != saturating).any()
    here = run_session(open_session(onnxruntime, model.SerializeToString()))(given).numpy()
    assert np.array_equal(here, (exact, saturating)[SATURATES])


def test_a_depthwise_convolution_saturates_on_no_processor() -> None:
    """Nor is it said to."""
    w = np.full((4, 1, 3, 3), 127, np.int8)
    constants: dict[str, Any] = {"w": w, "s": np.float32(1), "sy": np.float32(4000),
                 "zx": np.uint8(0), "zy": np.uint8(0), "zw": np.int8(0)}  # fmt: skip
    names = ["x", "s", "zx", "w", "s", "zw", "sy", "zy"]
    node = helper.make_node("QLinearConv", names, ["y"], group=4)
    model = model_of(node, kind=TensorProto.UINT8, **constants)
    assert integer_sums(onnxruntime, model, b"") is None
    x = torch.full((1, 4, 5, 5), 255, dtype=torch.uint8)
    found = run_session(open_session(onnxruntime, model.SerializeToString()))(x)
    assert found.unique().tolist() == [round(9 * 255 * 127 / 4000)]


def test_without_two_products_that_overflow_all_sums_are_one() -> None:
    """Any single weight may be large."""
    w = np.array([[127, -64], [-127, 65]], np.int8)
    x = torch.tensor([[255, 255]], dtype=torch.uint8)
    found = both(product(w))
    assert found.exact()(x).tolist() == found.saturating()(x).tolist() == [[0, 255]]
    assert integer_sums(onnxruntime, product(w // 2), b"") is None


@pytest.mark.parametrize(
    ("operator", "weight", "may"),
    [
        ("MatMulInteger", np.array([[65]], np.int8), True),
        ("MatMulInteger", np.array([[-128]], np.int8), True),
        ("MatMulInteger", np.array([[64]], np.int8), False),
        ("MatMulInteger", np.array([[255]], np.uint8), False),
        ("ConvInteger", np.array([[[127]]], np.int8), False),
    ],
)
def test_two_products_that_overflow_16_bits(operator: str, weight: Any, may: bool) -> None:
    largest = 2 * 255 * int(np.abs(weight.astype(int)).max())
    if operator == "MatMulInteger" and weight.dtype == np.int8:
        assert (largest > 32767) is may
    model = model_of(helper.make_node(operator, ["x", "w"], ["y"]), w=weight)
    assert bool([*saturating_nodes(model, Path("net.onnx"))]) is may


def test_what_is_not_added_pair_by_pair_is_told_and_has_exact_sums(tmp_path: Path) -> None:
    stack = np.full((2, 4, 3), 127, np.int8)
    x = torch.full((2, 1, 4), 255, dtype=torch.uint8)
    found = both(product(stack))
    assert found.exact()(x).unique().tolist() == [4 * 127 * 255]
    with pytest.raises(InputError, match=r"MatMulInteger y is not added .*, for its zero points"):
        both(product(stack, zw=np.zeros((2, 1, 3), np.int8))).saturating()
    scaled = ["x", "s", "zx", "w", "s", "zw", "s", "zx"]
    scaled_stack = [*scaled[:3], "stack", *scaled[4:]]
    nodes = [
        helper.make_node("QLinearConv", scaled, ["y"], name="conv", domain="com.microsoft"),
        helper.make_node("QLinearMatMul", scaled, ["other"], name="fine"),
        helper.make_node("QLinearMatMul", scaled_stack, ["third"], name="experts"),
    ]
    one, weight = np.float32(1), {"w": stack[0], "stack": stack}
    zeros: dict[str, Any] = {"zx": np.uint8(0), "zw": np.int8(0)}
    model = model_of(*nodes, kind=TensorProto.UINT8, s=one, **zeros, **weight)
    nodes_found = [*saturating_nodes(model, Path("net.onnx"))]
    with pytest.raises(InputError, match=r"here, and not QLinearConv conv, QLinearMatMul experts$"):
        saturating_file(model, nodes_found)
    file = tmp_path / "net.onnx"
    onnx.save(product(stack[0]), file, save_as_external_data=True, location="w", size_threshold=0)
    outside = integer_sums(onnxruntime, onnx.load(file, load_external_data=False), file)
    assert outside is not None
    assert outside.exact()(x[0]).unique().tolist() == [4 * 127 * 255]
    with pytest.raises(InputError, match="only files that hold their own weights are added"):
        outside.saturating()


def test_products_in_a_branch_are_not_added_pair_by_pair() -> None:
    node = helper.make_node("MatMulInteger", ["x", "w"], ["inner"])
    value = helper.make_tensor_value_info("inner", TensorProto.INT32, None)
    branch = helper.make_graph([node], "branch", [], [value])
    choice = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    weight = np.full((4, 3), 127, np.int8)
    model = model_of(choice, kind=TensorProto.INT32, w=weight, yes=np.array(True))
    with pytest.raises(InputError, match="products in branches or functions are not added"):
        both(model).saturating()
