"""Networks as ONNX files."""

from bitcliff.export.float_graph import float_onnx
from bitcliff.export.to_onnx import to_onnx

__all__ = ["float_onnx", "to_onnx"]
