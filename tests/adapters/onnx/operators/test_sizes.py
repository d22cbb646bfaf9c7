"""What graphs work out from the size of the batch, while they are traced for any batch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from bitcliff.adapters.onnx.build import build_network
from bitcliff.adapters.onnx.file import OnnxFile
from tests.adapters.onnx.networks import by_hand

node = helper.make_node

SHAPE = node("Shape", ["x"], ["shape"])  # of x: the batch, 4
BATCH = node("Gather", ["shape", "0"], ["batch"])
ROWS = node("Unsqueeze", ["batch", "[0]"], ["rows"])
BY_ROWS = node("Reshape", ["x", "to"], ["y"])


def to(*parts: str) -> onnx.NodeProto:
    return node("Concat", list(parts), ["to"], axis=0)


# From "x" to "y", by the names of constants below.
GRAPHS: dict[str, list[onnx.NodeProto]] = {
    "Concat": [SHAPE, BATCH, ROWS, to("rows", "[2]", "[2]"), BY_ROWS],
    "Mul": [SHAPE, BATCH, ROWS, node("Mul", ["rows", "[2]"], ["m"]), to("m", "[2]"), BY_ROWS],
    "Add": [SHAPE, BATCH, ROWS, node("Add", ["rows", "rows"], ["m"]), to("m", "[2]"), BY_ROWS],
    "Sub": [
        *(SHAPE, BATCH, ROWS, node("Add", ["rows", "[2]"], ["a"])),
        *(node("Sub", ["a", "[2]"], ["m"]), to("m", "[4]"), BY_ROWS),
    ],
    "Div": [
        *(SHAPE, node("ReduceProd", ["shape"], ["all"], keepdims=1)),
        *(node("Div", ["all", "[2]"], ["m"]), to("m", "[2]"), BY_ROWS),
    ],
    "Max": [SHAPE, BATCH, ROWS, node("Max", ["rows", "[0]"], ["m"]), to("m", "[4]"), BY_ROWS],
    "Slice": [SHAPE, node("Slice", ["shape", "[0]", "[1]"], ["m"]), to("m", "[2]", "[2]"), BY_ROWS],
    "Slice of a constant": [
        *(SHAPE, node("Slice", ["shape", "[1]", "[2]"], ["m"])),
        *(node("Slice", ["x", "[0]", "m", "[1]"], ["s"]), node("Identity", ["s"], ["y"])),
    ],
    "Reshape": [
        *(SHAPE, BATCH, node("Reshape", ["batch", "[1]"], ["r"])),
        *(node("Identity", ["r"], ["m"]), to("m", "[2]", "[2]"), BY_ROWS),
    ],
    "Squeeze": [
        *(SHAPE, BATCH, ROWS, node("Squeeze", ["rows", "[0]"], ["s"])),
        *(node("Unsqueeze", ["s", "[0]"], ["m"]), to("m", "[2]", "[2]"), BY_ROWS),
    ],
    "Where, as expand is exported": [
        *(SHAPE, BATCH, ROWS, to("rows", "[4]", "[4]"), node("Shape", ["to"], ["n"])),
        node("ConstantOfShape", ["n"], ["ones"], value=helper.make_tensor("v", 7, [1], [1])),
        *(node("Mul", ["ones", "-1"], ["minus"]), node("Equal", ["to", "minus"], ["left"])),
        node("Where", ["left", "ones", "to"], ["all"]),
        *(node("Unsqueeze", ["x", "[1]"], ["u"]), node("Expand", ["u", "all"], ["y"])),
    ],
    "Cast to a number": [
        *(SHAPE, node("Gather", ["shape", "1"], ["c"])),
        *(node("Cast", ["c"], ["f"], to=TensorProto.FLOAT), node("Div", ["x", "f"], ["y"])),
    ],
    "positions": [
        *(SHAPE, BATCH, node("Cast", ["batch"], ["c"], to=TensorProto.INT64)),
        *(node("Range", ["0", "c", "1"], ["r"]), node("Gather", ["shape", "1"], ["columns"])),
        *(node("Mul", ["r", "columns"], ["positions"]), node("Flatten", ["x"], ["f"], axis=0)),
        *(node("Reshape", ["f", "[-1]"], ["flat"]), node("Gather", ["flat", "positions"], ["g"])),
        node("Unsqueeze", ["g", "[1]"], ["y"]),
    ],
    "a tensor of sizes": [
        *(SHAPE, BATCH, node("Cast", ["batch"], ["c"], to=TensorProto.INT64)),
        *(node("Range", ["0", "c", "1"], ["r"]), node("Sub", ["batch", "r"], ["d"])),
        *(node("Cast", ["d"], ["f"], to=TensorProto.FLOAT), node("Unsqueeze", ["f", "[1]"], ["u"])),
        node("Mul", ["x", "u"], ["y"]),
    ],
}
CONSTANTS: dict[str, Any] = {str(n): np.array(n) for n in (-1, 0, 1)}
CONSTANTS |= {f"[{n}]": np.array([n]) for n in (-1, 0, 1, 2, 4)}


@pytest.mark.parametrize("name", GRAPHS)
def test_any_batch_is_as_without_tracing(name: str) -> None:
    used = {value for each in GRAPHS[name] for value in each.input} & CONSTANTS.keys()
    model = by_hand(GRAPHS[name], {value: CONSTANTS[value] for value in used})
    network = build_network(OnnxFile(Path("net.onnx"), model, "", 0))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    network(x)
    batch = torch.export.Dim("batch", min=1, max=2**31)
    shapes = (({0: batch},),)
    traced = torch.export.export(network, (x[:2],), dynamic_shapes=shapes, strict=False).module()
    for count in (1, 2, 5):
        assert torch.equal(traced(x[:count]), network(x[:count]))
