"""What a refusal advises is done here, as a user would, and must work."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters import load_model
from bitcliff.adapters.onnx.advice import instead
from bitcliff.cli import main
from bitcliff.errors import InputError
from tests.adapters.onnx.networks import by_hand, save

node = helper.make_node
CLASSES = 3


def weight(name: str, *shape: int) -> onnx.TensorProto:
    rng = np.random.default_rng(len(name))
    return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)


def branching(path: Path) -> str:
    """A MatMul, then one of two others."""
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "uv"]
    branches = [
        helper.make_graph([node("MatMul", ["h", f"w{out.name}"], [out.name])], "b", [], [out],
                          [weight(f"w{out.name}", 8, CLASSES)])
        for out in made
    ]  # fmt: skip
    nodes = [
        node("MatMul", ["x", "first"], ["h"]),
        node("ReduceSum", ["h"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    model = by_hand(nodes, {"zero": np.zeros((), np.float32)}, shape=("n", 6))
    model.graph.initializer.append(weight("first", 6, 8))
    return save(model, path)


def with_function(path: Path) -> str:
    body = [node("MatMul", ["i", "m"], ["t"]), node("Relu", ["t"], ["o"])]
    function = helper.make_function(
        "mine", "Block", ["i", "m"], ["o"], body, [helper.make_opsetid("", 18)]
    )
    nodes = [node("Block", ["x", "a"], ["h"], domain="mine"), node("MatMul", ["h", "b"], ["y"])]
    model = by_hand(nodes, shape=("n", 6))
    model.graph.initializer.extend([weight("a", 6, 8), weight("b", 8, CLASSES)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    return save(model, path)


def lacking(path: Path) -> str:
    """An operator that only ONNX Runtime has here."""
    nodes = [
        node("MatMul", ["x", "first"], ["h"]),
        node("MeanVarianceNormalization", ["h"], ["n"], axes=[1]),
        node("MatMul", ["n", "last"], ["y"]),
    ]
    model = by_hand(nodes, shape=("n", 6))
    model.graph.initializer.extend([weight("first", 6, 8), weight("last", 8, CLASSES)])
    return save(model, path)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lacking, (6,)),
        (branching, (6,)),
        (with_function, (6,)),
    ],
)
def test_advice_is_followed(
    make: Callable[[Path], str], shape: tuple[int, ...], tmp_path: Path
) -> None:
    spec = make(tmp_path / "net.onnx")
    with pytest.raises(InputError) as caught:
        load_model(spec)
    _, advised, options = str(caught.value).partition("; assess it with ")
    assert advised, caught.value
    x = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    named = ["--data", str(tmp_path / "x.npz"), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as left:
        main(["assess", spec, *named, *shlex.split(options)])
    assert left.value.code == 0
    assert (tmp_path / "run" / "record.json").is_file()


def trees(path: Path) -> str:
    """A decision of one node, as scikit-learn's forests are exported."""
    one = node(
        "TreeEnsembleClassifier", ["x"], ["y", "scores"], domain="ai.onnx.ml",
        nodes_treeids=[0] * 3, nodes_nodeids=[0, 1, 2], nodes_featureids=[0] * 3,
        nodes_values=[0.0] * 3, nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0], class_treeids=[0, 0],
        class_nodeids=[1, 2], class_ids=[0, 1], class_weights=[1.0, 1.0], classlabels_int64s=[0, 1],
    )  # fmt: skip
    model = by_hand([one], shape=("n", 4))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return save(model, path)


def with_state(path: Path) -> str:
    """A stream: nothing tells where its state has the batch."""
    model = onnx.load(branching(path))
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, 8])
    model.graph.input.append(state)
    return save(model, path)


def strange(path: Path) -> str:
    """An operator of a library that nobody here has."""
    nodes = [node("Frobnicate", ["x"], ["a"], domain="com.acme"), node("MatMul", ["a", "w"], ["y"])]
    model = by_hand(nodes)
    model.graph.initializer.append(weight("w", 4, CLASSES))
    return save(model, path)


def strange_after(path: Path, *before: onnx.NodeProto) -> str:
    model = by_hand([*before, node("NonMaxSuppression", ["h", "h"], ["y"])], shape=("n", 3))
    model.graph.initializer.append(weight("table", 5, CLASSES))
    return save(model, path)


def looks_up_sizes(path: Path) -> str:
    return strange_after(path, node("Shape", ["x"], ["s"]), node("Gather", ["s", "s"], ["h"]))


def looks_up_words(path: Path) -> str:
    cast = node("Cast", ["x"], ["i"], to=TensorProto.INT64)
    return strange_after(path, cast, node("Gather", ["table", "i"], ["h"]))


def test_a_table_of_words_is_quantized_and_one_of_sizes_is_not(tmp_path: Path) -> None:
    for make, found in ((looks_up_words, True), (looks_up_sizes, False)):
        told = instead(onnx.load(make(tmp_path / "net.onnx")))
        assert told.startswith("nor is there a layer") != found


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (strange, "com.acme.Frobnicate; nor does ONNX Runtime know com.acme"),
        (trees, "; nor is there a layer outside them, such as Conv or MatMul, that a runtime"),
        (looks_up_sizes, "; nor is there a layer outside them"),
        (with_state, "--black-box: its input state does not begin with the batch"),
    ],
)
def test_what_would_not_work_is_not_advised(
    make: Callable[[Path], str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        load_model(make(tmp_path / "net.onnx"))
    assert why in str(caught.value)
    assert "assess it with" not in str(caught.value)
