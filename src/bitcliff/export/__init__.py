"""Networks as ONNX files."""

from bitcliff.export.float_graph import float_onnx
from bitcliff.export.quantized_graph import drop_observed, quantized_model
from bitcliff.export.to_onnx import named_inputs, serialized, to_onnx

__all__ = [
    "drop_observed",
    "float_onnx",
    "named_inputs",
    "quantized_model",
    "serialized",
    "to_onnx",
]
