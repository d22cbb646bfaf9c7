"""What each ONNX operator does, as a plain function of tensors in PyTorch.

Inputs come by position, None where left out; attributes by keyword, under ONNX's names. A function
that names `opset` or `outputs` also gets the file's version and the number of its results.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bitcliff.adapters.onnx.operators.elementwise import ELEMENTWISE
from bitcliff.adapters.onnx.operators.layers import LAYERS
from bitcliff.adapters.onnx.operators.norms import NORMS
from bitcliff.adapters.onnx.operators.pools import POOLS
from bitcliff.adapters.onnx.operators.products import PRODUCTS
from bitcliff.adapters.onnx.operators.recurrent import RECURRENT
from bitcliff.adapters.onnx.operators.reductions import REDUCTIONS
from bitcliff.adapters.onnx.operators.selection import SELECTION
from bitcliff.adapters.onnx.operators.shapes import SHAPES

Operator = Callable[..., Any]

OPERATORS: Mapping[str, Operator] = {
    **ELEMENTWISE,
    **LAYERS,
    **NORMS,
    **POOLS,
    **PRODUCTS,
    **RECURRENT,
    **REDUCTIONS,
    **SELECTION,
    **SHAPES,
}
