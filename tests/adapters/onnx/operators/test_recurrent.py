"""LSTM, GRU and RNN of any variant against ONNX Runtime."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile
from bitcliff.adapters.onnx.network import OnnxNetwork
from bitcliff.adapters.onnx.operators.recurrent import GATES, recurrent
from bitcliff.errors import InputError
from bitcliff.points import discover

STEPS, BATCH, INPUTS, HIDDEN = 5, 4, 3, 6


def weights(kind: str, directions: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    gates = GATES[kind]
    shapes = {
        "w": (directions, gates * HIDDEN, INPUTS),
        "r": (directions, gates * HIDDEN, HIDDEN),
        "b": (directions, 2 * gates * HIDDEN),
        "h": (directions, BATCH, HIDDEN),
        "c": (directions, BATCH, HIDDEN),
        "p": (directions, 3 * HIDDEN),
    }
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {**found, "lengths": np.array([5, 0, 2, 3], np.int32)}


def one_node(kind: str, names: list[str], **attributes: Any) -> onnx.ModelProto:
    """x (steps, batch, inputs) to all the node's outputs; `names`: its inputs after the first."""
    outputs = ["y", "last_h", "last_c"][: 3 if kind == "LSTM" else 2]
    while names and not names[-1]:
        names = names[:-1]
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    made = helper.make_node(kind, ["x", *names], outputs, hidden_size=HIDDEN, **attributes)
    graph = helper.make_graph(
        [made], "one node",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, "n", INPUTS])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [
            numpy_helper.from_array(value, name)
            for name, value in weights(kind, directions).items()
            if name in names
        ],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def built(model: onnx.ModelProto, fold: bool = True) -> OnnxNetwork:
    return build_network(OnnxFile(Path("net.onnx"), model, "", 0), fold)


def both(model: onnx.ModelProto, fold: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each output, of the network and of ONNX Runtime."""
    x = np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    theirs = session.run(None, {"x": x})
    with torch.no_grad():
        *_, (_, ours) = built(model, fold).values(torch.from_numpy(x))
    return [(a.numpy(), b) for a, b in zip(ours, theirs, strict=True)]


VARIANTS = [
    variant
    for variant in product(GATES, ("forward", "reverse", "bidirectional"), range(2), range(2))
    if variant[0] != "RNN" or variant[2:] != (1, 1)
]


@pytest.mark.parametrize(("kind", "direction", "whole", "special"), VARIANTS)
def test_every_variant_is_onnx_runtimes(
    kind: str, direction: str, whole: int, special: int
) -> None:
    """`whole`: with lengths and first states. `special`: peepholes, or resetting after."""
    optional = {"LSTM": ["lengths", "h", "c"], "GRU": ["lengths", "h"], "RNN": ["", "h"]}[kind]
    names = ["w", "r", "b", *(optional if whole else [""] * len(optional))]
    told: dict[str, Any] = {"direction": direction}
    if special and kind == "LSTM":
        names.append("p")
    elif special and kind == "GRU":
        told["linear_before_reset"] = 1
    elif special:
        told["activations"] = ["Relu"] * (1 + (direction == "bidirectional"))
    model = one_node(kind, names, **told)
    for fold in (True, False):
        for ours, theirs in both(model, fold):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


def test_a_network_without_biases_is_onnx_runtimes() -> None:
    for kind in GATES:
        for ours, theirs in both(one_node(kind, ["w", "r"]), True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"clip": 1.0}, "clip"),
        ({"input_forget": 1}, "input_forget"),
        ({"activations": ["Sigmoid", "HardSigmoid", "Tanh"]}, "HardSigmoid"),
        ({"activations": ["Sigmoid"]}, "number of activations"),
    ],
)
def test_what_is_not_supported_is_named(told: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"^node 0 \(LSTM\): its {named} is not supported"):
        built(one_node("LSTM", ["w", "r"], **told))(torch.zeros(STEPS, BATCH, INPUTS))


def test_a_state_of_another_batch_is_refused_not_broadcast() -> None:
    model = one_node("GRU", ["w", "r", "b", "", "h"])
    with pytest.raises(InputError, match=r"a state of shape \(1, 4, 6\), and it takes \(1, 2, 6\)"):
        built(model)(torch.zeros(STEPS, 2, INPUTS))


@pytest.mark.parametrize("kind", GATES)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    given = {name: torch.from_numpy(value).double() for name, value in weights(kind, 2).items()}
    x = torch.randn(3, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: recurrent(kind, x, given["w"], given["r"], given["b"], direction="bidirectional"),
        (x,),
    )


def batch_first(kind: str, **told: Any) -> OnnxNetwork:
    """x (batch, steps * inputs) to all its states in a row: (batch, steps * hidden)."""
    model = one_node(kind, ["w", "r", "b"], **told)
    (inner,) = model.graph.node
    inner.input[0], inner.output[0] = "in", "out"
    shapes = {"a": [0, STEPS, INPUTS], "z": [0, -1]}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(shape), name) for name, shape in shapes.items()
    )
    before = [
        helper.make_node("Reshape", ["x", "a"], ["cut"]),
        helper.make_node("Transpose", ["cut"], ["in"], perm=[1, 0, 2]),
    ]
    after = [
        helper.make_node("Transpose", ["out"], ["turned"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["turned", "z"], ["y"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*before, inner, *after])
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", STEPS * INPUTS])
    )
    return built(model)


def test_each_product_is_a_point_with_a_name() -> None:
    network, x = batch_first("GRU"), torch.randn(6, STEPS * INPUTS)
    plan = discover(network, x)
    assert not plan.missed
    steps = ["", *(f"@{step}" for step in range(2, STEPS + 1))]
    products = [f"GRU.{name}{step}" for step in steps for name in ("hidden", "candidate")]
    assert [point.name for point in plan.seen] == ["GRU.inputs", *products]
    # Of all steps at once, with the batch second.
    assert (plan.seen[0].shape, plan.seen[0].layout.axis) == ((STEPS, INPUTS), 1)
    both_ways = discover(batch_first("LSTM", direction="bidirectional"), x)
    sites = {point.site.partition("@")[0] for point in both_ways.seen}
    assert sites == {
        f"LSTM.{name}{end}" for name in ("inputs", "hidden") for end in ("", "_reverse")
    }
