from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile, read_onnx
from bitcliff.adapters.onnx.network import OnnxNetwork
from bitcliff.errors import InputError
from bitcliff.points import discover
from tests.adapters.onnx.networks import by_hand, export, images, perceptron, small

node = helper.make_node


def built(model: onnx.ModelProto, fold: bool = True) -> OnnxNetwork:
    return build_network(OnnxFile(Path("net.onnx"), model, "", 0), fold)


def refusal(model: onnx.ModelProto) -> str:
    with pytest.raises(InputError) as caught:
        built(model)(torch.zeros(2, 4))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_layers_are_pytorchs_own_under_names_from_the_file() -> None:
    model = perceptron()
    network = built(model)
    assert [type(network.get_submodule(n)).__name__ for n in ("first", "relu", "second")] == [
        "Linear",
        "Call",
        "Linear",
    ]
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    hidden = np.maximum(x @ weights["first.weight"].T + weights["first.bias"], 0)
    found = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, hidden @ weights["second"], rtol=1e-5, atol=1e-6)
    assert {name for name, _ in network.named_parameters()} == {
        "first.weight",
        "first.bias",
        "second.weight",
    }


@pytest.mark.parametrize("dynamo", [False, True])
def test_points_are_those_of_the_network_that_was_exported(tmp_path: Path, dynamo: bool) -> None:
    model = small()
    network = build_network(read_onnx(Path(export(model, tmp_path / "net.onnx", dynamo=dynamo))))
    own, found = (discover(m, images(3)).points for m in (model, network))
    assert [(p.name, p.kind, p.macs, p.shape) for p in own] == [
        (p.name, p.kind, p.macs, p.shape) for p in found
    ]


def test_what_is_constant_is_worked_out_once() -> None:
    nodes = [
        node("Constant", [], ["two"], value_ints=[2, 2]),
        node("Constant", [], ["rows"], value_ints=[-1]),
        node("Concat", ["rows", "two"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["y"]),
    ]
    assert [step.title for step in built(by_hand(nodes)).steps] == ["node 3 (Reshape)"]
    assert len(built(by_hand(nodes), fold=False).steps) == 2
    for fold in (True, False):
        assert built(by_hand(nodes), fold)(torch.zeros(3, 4)).shape == (3, 2, 2)


def test_all_operators_that_lack_are_named_at_once() -> None:
    nodes = [node("LSTM", ["x"], ["a"]), node("Frobnicate", ["a"], ["b"], domain="com.acme")]
    nodes += [node("Relu", ["b"], ["c"]), node("If", ["c"], ["y"])]
    assert refusal(by_hand(nodes)) == (
        "net.onnx: has operators that cannot be run in PyTorch here: "
        "com.acme.Frobnicate; nor does ONNX Runtime know com.acme"
    )


@pytest.mark.parametrize(
    "operator",
    ["QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv"],
)
def test_what_is_quantized_already_is_refused(operator: str) -> None:
    text = refusal(by_hand([node(operator, ["x"], ["y"])]))
    assert text.startswith(f"net.onnx: already quantized: 1 {operator}; give the network in float")


def test_graphs_that_cannot_run() -> None:
    loop = [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])]
    loop.append(node("Relu", ["b"], ["y"]))
    assert "its input 'b' is made by no node before it" in refusal(by_hand(loop))
    twice = [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])]
    assert "its output 'y' is made twice" in refusal(by_hand(twice))
    assert "does not depend on its input" in refusal(by_hand([node("Relu", ["x"], ["z"])]))
    assert "is of opset 6" in refusal(by_hand([node("Relu", ["x"], ["y"])], opset=6))
    many = [node("Relu", ["x"], [f"v{n}"]) for n in range(50_001)]
    assert "has 50001 nodes" in refusal(by_hand(many))
    model = by_hand([node("Relu", ["x"], ["y"])])
    model.functions.add(name="Relu", domain="own")
    assert "has functions of its own" in refusal(model)
    model = by_hand([node("Relu", ["x"], ["y"])])
    model.graph.sparse_initializer.add()
    assert "has sparse weights" in refusal(model)
    graph = by_hand([]).graph
    assert "neither numbers nor a tensor" in refusal(by_hand([node("Relu", ["x"], ["y"], g=graph)]))


def test_what_fails_while_running_is_named() -> None:
    three = {"w": np.zeros((3, 3), np.float32)}
    product = [node("MatMul", ["x", "w"], ["y"], "project")]
    assert "node project (MatMul) failed (RuntimeError" in refusal(by_hand(product, three))
    drop = [
        node("Constant", [], ["r"], value_float=0.5),
        node("Constant", [], ["t"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        node("Dropout", ["x", "r", "t"], ["y"]),
    ]
    assert "drops values at random; export the network in eval mode" in refusal(by_hand(drop))
    assert "unexpected keyword" in refusal(by_hand([node("Elu", ["x"], ["y"], colour=3)]))


def test_names_never_clash() -> None:
    names = [
        "forward",
        "a.b",
        "/a/b/Relu",
        "a",
        "a.b.c",
        "",
        "a.b",
        "x" * 5000,
        ".".join("abc" * 99),
    ]
    values = ["x", *(f"v{index}" for index in range(len(names) - 1))]
    nodes = [
        node("Relu", [first], [second], name)
        for name, first, second in zip(names, values, [*values[1:], "y"], strict=True)
    ]
    network = built(by_hand(nodes))
    paths = [step.path for step in network.steps]
    assert len(set(paths)) == len(names)
    assert max(map(len, paths)) < 200
    assert torch.equal(network(torch.ones(2, 4)), torch.ones(2, 4))


@pytest.mark.parametrize(("rows", "batches"), [(2, [1, 2, 5]), (1, [1, 2, 5])])
def test_a_fixed_batch_in_a_reshape_is_opened(rows: int, batches: list[int]) -> None:
    nodes = [node("Reshape", ["x", "shape"], ["y"])]
    shape = {"shape": np.array([rows, 2, 2])}
    network = built(by_hand(nodes, shape, shape=(rows, 4)))
    for batch in batches:
        x = torch.arange(4.0 * batch).reshape(batch, 4)
        assert torch.equal(network(x), x.reshape(batch, 2, 2))


def test_a_fixed_batch_elsewhere_is_named() -> None:
    token = {"token": np.zeros((2, 4), np.float32)}
    network = built(by_hand([node("Add", ["x", "token"], ["y"])], token, shape=(2, 4)))
    with pytest.raises(InputError, match="its export fixed the batch at 2; export it with a dyn"):
        network(torch.zeros(3, 4))


def test_what_feeds_other_outputs_alone_is_left_out() -> None:
    """Points there could not change an answer, and operators that lack there do no harm."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(4, 4)).astype(np.float32) for name in "abc"}
    live = [
        node("MatMul", ["x", "a"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "b"], ["y"]),
    ]
    dead = [node("MatMul", ["r", "c"], ["d"]), node("LSTM", ["d"], ["z"])]
    model = by_hand([*live[:2], *dead, live[2]], weights)
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    network, alone = built(model), built(by_hand(live, weights))
    x = torch.randn(5, 4)
    assert torch.equal(network(x), alone(x))
    assert [p.site for p in discover(network, x).seen] == [p.site for p in discover(alone, x).seen]
    # A node is told by its place in the file.
    assert "node 4 (Relu)" in [step.title for step in built(_in_front(model)).steps]


def _in_front(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with nodes before the others that nothing needs."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([node("Abs", ["x"], [f"unused{i}"]) for i in range(3)] + nodes)
    return model
