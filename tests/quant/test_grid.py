"""The onnx preset at 8 bits is ONNX Runtime's own DynamicQuantizeLinear on a batch of one."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

from bitcliff.quant import Scheme, fake_quantize
from bitcliff.quant.grid import make_grid
from bitcliff.quant.rows import row_range
from tests.quant.rows_to_round import ordinary_rows

Array = npt.NDArray[np.float32]
Runtime = Callable[[Array], tuple[npt.NDArray[np.uint8], np.float32, np.uint8]]

EIGHT = torch.tensor([8])


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])
    graph = helper.make_graph(
        [node],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [
            helper.make_tensor_value_info("q", TensorProto.UINT8, None),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)

    def run(x: Array) -> tuple[npt.NDArray[np.uint8], np.float32, np.uint8]:
        q, scale, zero = session.run(None, {"x": x})
        return q, np.float32(scale), np.uint8(zero)

    return run


def assert_same(x: Array, runtime: Runtime) -> None:
    q, scale, zero = runtime(x)
    found = fake_quantize(torch.from_numpy(x)[None], 8, "onnx")[0].numpy()
    integers = q.astype(np.float32) - np.float32(zero)
    if not x.any():
        assert not found.any()
        return
    rows = torch.from_numpy(x.reshape(1, -1))
    grid = make_grid(*row_range(rows, Scheme("onnx")), EIGHT, Scheme("onnx"))
    assert grid.scale.item() == scale
    assert -grid.bottom.item() == zero
    assert np.array_equal(np.round(found / scale) + zero, q.astype(np.float32))
    assert np.array_equal(found, integers * scale)


@pytest.mark.parametrize("seed", range(40))
def test_rows_as_networks_make_them(seed: int, runtime: Runtime) -> None:
    for row in ordinary_rows(seed, size=30 * (seed + 1)).values():
        assert_same(row, runtime)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (8, 9, 9), (2, 3, 4, 5), (64, 28, 28)])
def test_many_random_arrays(shape: tuple[int, ...], runtime: Runtime) -> None:
    rng = np.random.default_rng(len(shape))
    for _ in range(150 if np.prod(shape) < 1000 else 30):
        centre, spread = rng.normal(0, 3), np.exp(rng.normal(0, 3))
        assert_same((centre + spread * rng.standard_normal(shape)).astype(np.float32), runtime)


@settings(max_examples=150, deadline=None)
@given(
    x=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=6),
        elements=st.floats(-(2.0**66), 2.0**66, width=32, allow_subnormal=False).filter(
            lambda value: value == 0 or abs(value) > 1e-20
        ),
    )
)
def test_whatever_hypothesis_thinks_of(x: Array, runtime: Runtime) -> None:
    assert_same(x, runtime)


def test_every_half_way_value(runtime: Runtime) -> None:
    # A scale of exactly 1, so that k + 0.5 is a tie in both.
    for low in range(0, 256, 15):
        row = np.concatenate([[-low, 255 - low], np.arange(-low, 255 - low) + 0.5])
        assert_same(row.astype(np.float32), runtime)


@pytest.mark.parametrize("scheme", ["paper", "percentile(95)"])
def test_the_zero_point_is_clamped_by_onnx_alone(scheme: str) -> None:
    low, high = torch.tensor([3.0]), torch.tensor([5.0])
    free = make_grid(low, high, torch.tensor([4]), Scheme.parse(scheme))
    assert -free.bottom.item() == round(-3 / (2 / 15))
    held = make_grid(torch.zeros(1), high, torch.tensor([4]), Scheme("onnx"))
    assert held.bottom.item() == 0
    assert held.top.item() == 15
