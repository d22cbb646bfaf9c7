"""The rounding in the graph, run by ONNX Runtime, is `fake_quantize` to the last bit."""

from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper
from torch import Tensor, nn

from bitcliff.export import to_onnx
from bitcliff.export.rounding import round_literally
from bitcliff.quant import Scheme, fake_quantize
from tests.quant.rows_to_round import far_rows, ordinary_rows

SCHEMES = ["onnx", "paper", "percentile(99.9)", "percentile(60)"]
LENGTH = 64
Run = Callable[[Tensor, Tensor], Tensor]


class _Rounding(nn.Module):
    def __init__(self, scheme: str) -> None:
        super().__init__()
        self.scheme = Scheme.parse(scheme)

    def forward(self, *tensors: Tensor) -> Tensor:
        return round_literally(tensors[0], tensors[1], self.scheme)


@cache
def in_runtime(scheme: str, length: int = LENGTH, dtype: torch.dtype = torch.float32) -> Run:
    """The traced rounding of rows of one length."""
    given = {"rows": torch.ones(2, length, dtype=dtype), "bits": torch.full((2,), 8)}
    file = to_onnx(_Rounding(scheme), given)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(rows: Tensor, bits: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"rows": rows.numpy(), "bits": bits.numpy()})[0])

    return run


def assert_same(x: Tensor, bits: Tensor, run: Run, scheme: str) -> None:
    ours, theirs = fake_quantize(x, bits, scheme), run(x, bits)
    # Equal floats are equal bit for bit but for the sign of zero, which ONNX Runtime's Where loses.
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    assert bool(same.all()), (x[~same.all(1)], bits[~same.all(1)])


def rare_rows() -> Tensor:
    """Constant, empty of values, and not finite."""
    rows = np.ones((6, LENGTH), dtype=np.float32)
    rows[1], rows[2] = 0, -2e-39
    rows[3:, 0] = np.nan, np.inf, -np.inf
    return torch.from_numpy(rows)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_kind_of_row_at_every_width(scheme: str) -> None:
    run = in_runtime(scheme)
    some = [*ordinary_rows(1, LENGTH).values(), *far_rows(2, LENGTH).values()]
    x = torch.cat([torch.from_numpy(np.stack(some)), rare_rows()])
    for width in range(2, 17):
        assert_same(x, torch.full((len(x),), width), run, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_row(scheme: str, data: st.DataObject) -> None:
    numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
    x = torch.from_numpy(data.draw(arrays.arrays(np.float32, (3, LENGTH), elements=numbers)))
    bits = torch.tensor(data.draw(st.lists(st.integers(2, 16), min_size=3, max_size=3)))
    assert_same(x, bits, in_runtime(scheme), scheme)


@pytest.mark.parametrize("scheme", ["onnx", "paper", "percentile(99.9)"])
def test_float64_is_worked_in_float64(scheme: str) -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.stack([rng.normal(size=LENGTH), 1e9 + 1e-3 * rng.random(LENGTH)]))
    assert_same(x, torch.tensor([5, 9]), in_runtime(scheme, dtype=torch.float64), scheme)


def test_eight_bits_of_the_onnx_preset_are_the_runtimes_own_operator() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [LENGTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [LENGTH])
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "own", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    own = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for seed in range(20):
        for row in ordinary_rows(seed, LENGTH).values():
            found = in_runtime("onnx")(torch.from_numpy(row)[None], torch.tensor([8]))[0]
            np.testing.assert_array_equal(found.numpy(), own.run(None, {"x": row})[0])


def test_bad_widths_do_not_pass_for_good_ones() -> None:
    run, x = in_runtime("onnx"), torch.randn(1, LENGTH)
    assert bool(run(x, torch.tensor([1])).isnan().all())
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.InvalidArgument):
        run(x, torch.tensor([17]))
