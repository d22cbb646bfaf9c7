"""What is told of a graph's nodes."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters.runtimes.onnx_nodes import give_names, split_by_arithmetic


def model_of(*nodes: Any, **constants: Any) -> Any:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    tensors = [numpy_helper.from_array(np.array(v), name) for name, v in constants.items()]
    return helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], tensors))


def test_names_are_given_where_there_is_none_and_no_two_are_the_same() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], [out], name)
        for out, name in (("a", ""), ("b", "mine"), ("c", "mine"), ("y", ""))
    ]
    model = model_of(*nodes)
    give_names(model)
    names = [node.name for node in model.graph.node]
    assert names[1] == "mine"
    assert len({*names}) == 4
    assert all(names)


def test_what_runs_in_branches_is_in_float_and_what_moves_values_is_not_listed() -> None:
    inner = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "s"], ["r"]),
            helper.make_node("MatMul", ["r", "w"], ["o"]),
        ],
        "branch",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
        helper.make_node("Gather", ["w", "i"], ["t"], "table"),
        helper.make_node("Gather", ["m", "i"], ["p"], "pick"),
        helper.make_node("If", ["c"], ["y"], "if", then_branch=inner, else_branch=inner),
    ]
    prepared = model_of(*nodes, w=np.ones((2, 2), np.float32), s=np.array([1]), i=np.array(0))
    assert split_by_arithmetic(prepared, prepared) == ({}, {"MatMul": 3, "Gather": 1, "If": 1})
    done = model_of(*nodes[1:], w=np.ones((2, 2), np.float32))
    done.graph.node[0].input[0] = "w_quantized"
    found = split_by_arithmetic(prepared, done)
    assert found == ({"MatMul": 1, "Gather": 1}, {"MatMul": 2, "If": 1})
