"""ONNX files: read with care, and turned into PyTorch networks whose points can be found."""
