"""A file in one piece, as runtimes are given it."""

from pathlib import Path
from typing import Any

from bitcliff.adapters.onnx.file import check_one_piece
from bitcliff.adapters.optional import require
from bitcliff.points.outputs import Moved


def in_one_piece(path: Path) -> Any:
    """The `onnx.ModelProto` with all its weights; `read_onnx` has checked where they lie.

    Raises:
        InputError: more than ONNX can hold in one piece.
    """
    model = check_one_piece(path)
    onnx = require("onnx", "onnx", str(path))
    onnx.load_external_data_for_model(model, str(path.parent))
    return model


def put_examples_first(graph: Any, moved: Moved, output: str | None = None) -> None:
    """Let a graph's output have its examples first, by a node behind what gives it.

    Args:
        output: its name, which stays; None: the first.
    """
    given = next(one for one in graph.output if output in (None, one.name))
    inside = f"{given.name}, examples elsewhere"
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == given.name:
                    names[place] = inside
    onnx = require("onnx", "onnx", "an output that has its examples elsewhere")
    order = [moved.axis, *(axis for axis in range(moved.ndim) if axis != moved.axis)]
    graph.node.append(onnx.helper.make_node("Transpose", [inside], [given.name], perm=order))
    given.type.tensor_type.ClearField("shape")  # exporters declare it wrongly here, as ddddocr's do
