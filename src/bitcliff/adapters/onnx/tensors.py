"""The tensors that an ONNX file holds, read only as far as the file has the bytes for them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from bitcliff.adapters.onnx.file import weight_file
from bitcliff.adapters.optional import require
from bitcliff.errors import InputError

# By ONNX's number of the type.
TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
}
FLOATS = (1, 10, 11, 16)
"""Of these, float, float16 and double; and bfloat16, which is not computed with."""


def torch_type(number: int) -> torch.dtype:
    """The type that ONNX numbers so.

    Raises:
        InputError: PyTorch computes with no such type.
    """
    if number not in TYPES:
        names = require("onnx", "onnx", "FILE.onnx").TensorProto.DataType
        name = names.Name(number).lower() if number in names.values() else str(number)
        raise InputError(f"tensors of type {name} cannot be computed with here; export in float32")
    return TYPES[number]


def read_tensor(proto: Any, path: Path) -> Tensor:
    """A tensor of the file at `path`.

    Raises:
        InputError: its declared shape is not that of its data, or its type is not supported.
    """
    dtype = torch_type(proto.data_type)
    count = math.prod(proto.dims) if all(size >= 0 for size in proto.dims) else -1
    onnx = require("onnx", "onnx", str(path))
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        data = _external(proto, path, count * dtype.itemsize)
    elif proto.HasField("raw_data"):
        data = proto.raw_data
    else:  # in a list of numbers, of which the first axis cannot be declared longer than it is
        field = onnx.helper.tensor_dtype_to_field(proto.data_type)
        _check(proto, count, len(getattr(proto, field)), "numbers")
        return torch.from_numpy(onnx.numpy_helper.to_array(proto).copy())
    _check(proto, count * dtype.itemsize, len(data), "bytes")
    if not count:
        return torch.empty(tuple(proto.dims), dtype=dtype)
    kind = np.dtype(str(dtype).removeprefix("torch.")).newbyteorder("<")
    # What was read from a file of its own is nobody else's, and may be gigabytes.
    values = np.frombuffer(data, kind).astype(kind.newbyteorder("="), copy=isinstance(data, bytes))
    return torch.from_numpy(values.reshape(tuple(proto.dims)))


def _external(proto: Any, path: Path, size: int) -> UInt8[np.ndarray, " bytes"]:
    about = {entry.key: entry.value for entry in proto.external_data}
    file = weight_file(path, about.get("location", ""))
    try:
        offset = int(about.get("offset", 0))
        length = int(about.get("length", size))
    except ValueError as error:
        raise InputError(
            f"tensor {proto.name!r}: its offset or length in {file} is no number"
        ) from error
    _check(proto, size, length, "bytes")
    if offset < 0 or offset + length > file.stat().st_size:
        raise InputError(f"tensor {proto.name!r}: ends after the end of {file}; copy it again")
    return np.fromfile(file, np.uint8, length, offset=offset)


def _check(proto: Any, declared: int, held: int, unit: str) -> None:
    if declared != held:
        shape = ", ".join(map(str, proto.dims))
        raise InputError(f"tensor {proto.name!r} of shape ({shape}) holds {held} {unit} of it")
