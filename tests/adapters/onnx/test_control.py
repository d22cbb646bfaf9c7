"""`If` and `Loop`, as ONNX Runtime runs them, and inputs whose batch is not first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, ValueInfoProto, helper
from torch import Tensor

from bitcliff.adapters.onnx.batch_axis import Size, batch_axes
from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile
from bitcliff.adapters.onnx.network import OnnxNetwork
from bitcliff.adapters.runtimes.session import fed, open_session
from bitcliff.errors import InputError
from bitcliff.points import discover
from bitcliff.types.settings import Selection
from tests.adapters.onnx.networks import by_hand

node = helper.make_node
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name: str, kind: int = FLOAT, shape: Sequence[int | str] | None = None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def branch(nodes: list[onnx.NodeProto], *outputs: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [value(name) for name in outputs])


def matrix(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def choice(*before: onnx.NodeProto) -> onnx.ModelProto:
    """A product with one matrix where c, with another where not; both branches call it alike."""
    branches = [branch([node("MatMul", ["x", name], ["t"])], "t") for name in "ab"]
    made = node("If", ["c"], ["y"], "the choice", then_branch=branches[0], else_branch=branches[1])
    return by_hand([*before, made], {"a": matrix(0, 4, 3), "b": matrix(1, 4, 3)})


def built(model: onnx.ModelProto, fold: bool = True) -> OnnxNetwork:
    return build_network(OnnxFile(Path("net.onnx"), model, "", 0), fold)


def agrees(model: onnx.ModelProto, **inputs: Tensor) -> OnnxNetwork:
    """With ONNX Runtime, folded or not."""
    session = open_session(onnxruntime, model.SerializeToString())
    (theirs,) = session.run(["y"], fed(session, inputs))
    for fold in (False, True):
        network = built(model, fold)
        for _ in range(2):  # the second pass is not watched
            ours = network(*network.in_order(inputs))
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6)
    return network


X = torch.from_numpy(matrix(2, 5, 4))
ALL = Selection(include_stem=True)


@pytest.mark.parametrize("yes", [True, False])
def test_a_condition_that_is_constant_leaves_one_branch(yes: bool) -> None:
    constant = node("Constant", [], ["k"], value_float=float(yes))
    model = choice(constant, node("Cast", ["k"], ["c"], to=BOOL))
    network = agrees(model, x=X)
    assert not any(step.bodies for step in network.steps)
    assert [point.kind for point in discover(network, X, ALL).seen] == ["linear"]


@pytest.mark.parametrize("number", [8000, 16000])
def test_one_number_for_a_batch_may_choose(number: int) -> None:
    constant = node("Constant", [], ["k"], value_int=16000)
    model = choice(constant, node("Equal", ["rate", "k"], ["c"]))
    model.graph.input.append(value("rate", INT64, []))
    given = {"x": X, "rate": torch.full((5,), number)}
    network = agrees(model, **given)
    plan = discover(network, given, ALL)
    assert (len(plan), plan.missed) == (1, ())


def test_sizes_may_choose() -> None:
    """A batch of one has another branch, as exporters write `squeeze`."""
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Constant", [], ["k"], value_ints=[1]),
        node("Equal", ["s", "k"], ["c"]),
    ]
    for x in (X, X[:1]):
        agrees(choice(*nodes), x=x)


def test_what_hangs_on_the_data_is_refused_by_name() -> None:
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Constant", [], ["k"], value_float=0.0),
        node("Greater", ["m", "k"], ["c"]),
    ]
    with pytest.raises(
        InputError, match=r"node the choice \(If\): whether it runs its nodes hangs"
    ):
        built(choice(*nodes))


def test_an_operator_that_lacks_in_a_branch_is_named() -> None:
    model = choice(
        node("Constant", [], ["k"], value_float=1.0), node("Cast", ["k"], ["c"], to=BOOL)
    )
    for attribute in model.graph.node[-1].attribute:
        attribute.g.node[0].op_type = "NonMaxSuppression"
    with pytest.raises(InputError, match="operators that cannot be run in PyTorch here: NonMax"):
        built(model)


def loop(times: int, goes_on: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Multiplies by a matrix again and again; the sums of all times, and the last product."""
    body = helper.make_graph(
        [
            *goes_on,
            node("MatMul", ["h", "a"], ["more"]),
            node("Tanh", ["more"], ["next"]),
            node("ReduceSum", ["next", "axis"], ["sum"], keepdims=0),
        ],
        "body",
        [value("i", INT64, []), value("yes", BOOL, []), value("h")],
        [value("on", BOOL, []), value("next"), value("sum")],
    )
    nodes = [
        node("Constant", [], ["times"], value_int=times),
        node("Constant", [], ["axis"], value_ints=[1]),
        node("Loop", ["times", "", "x"], ["last", "sums"], "again", body=body),
        node("Transpose", ["sums"], ["turned"], perm=[1, 0]),
        node("Concat", ["last", "turned"], ["y"], axis=1),
    ]
    return by_hand(nodes, {"a": matrix(0, 4, 4)})


def test_a_loop_runs_as_often_as_it_says() -> None:
    always = [node("Identity", ["yes"], ["on"])]
    network = agrees(loop(3, always), x=X)
    names = [point.name for point in discover(network, X, ALL).seen]
    assert names == ["MatMul", "MatMul@2", "MatMul@3"]
    first_two = [
        node("Constant", [], ["one"], value_int=1),
        node("Less", ["i", "one"], ["on"]),
    ]
    assert agrees(loop(7, first_two), x=X)(X).shape == (5, 4 + 2)


def test_a_loop_that_hangs_on_the_data_is_refused_by_name() -> None:
    until = [
        node("ReduceMax", ["h"], ["m"], keepdims=0),
        node("Constant", [], ["zero"], value_float=0.0),
        node("Greater", ["m", "zero"], ["on"]),
    ]
    with pytest.raises(
        InputError, match=r"node again \(Loop\): whether it runs its nodes hangs on"
    ):
        built(loop(3, until))


@pytest.mark.parametrize(
    ("declared", "axes"),
    [
        ({"x": ("n", 4), "state": (2, "n", 8)}, {"state": 1}),
        ({"x": (None, None), "state": (2, None, 8), "rate": ()}, {"state": 1}),
        ({"x": ("n", "steps"), "state": (2, "m", 8)}, {"state": 1}),
        ({"x": ("n", 4), "mask": ("n", "steps")}, {}),
        ({"x": ("n", 4), "y": (2, "p", "q")}, {}),
        ({"x": ("n", 4), "y": ("m", 4)}, {}),
        ({"rate": (), "x": (1, 4), "state": (2, 1, 8)}, {"state": 1}),
        ({"x": (1, 4), "y": (1, 1, 8)}, {}),
        ({"x": (2, 4), "y": (3, 2, 8)}, {}),
        ({"rate": ()}, {}),
    ],
)
def test_where_the_batch_lies(declared: dict[str, Sequence[Size]], axes: dict[str, int]) -> None:
    assert batch_axes(declared) == axes


def test_a_state_has_the_examples_first_here_and_its_own_axis_in_the_file() -> None:
    nodes = [
        node("Constant", [], ["k"], value_int=1),
        node("Gather", ["state", "k"], ["h"], axis=0),
        node("MatMul", ["h", "a"], ["t"]),
        node("Add", ["x", "t"], ["y"]),
    ]
    model = by_hand(nodes, {"a": matrix(0, 3, 4)}, shape=("n", 4))
    model.graph.input.append(value("state", FLOAT, [2, "n", 3]))
    state = torch.from_numpy(matrix(3, 5, 2, 3))
    network = agrees(model, x=X, state=state)
    expected = X + state[:, 1] @ torch.from_numpy(matrix(0, 3, 4))
    assert torch.allclose(network(X, state), expected, atol=1e-6)
