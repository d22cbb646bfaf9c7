"""Arrays in a JSON file: their type and shape in clear, their bytes compressed.

`{"dtype": "int32", "shape": [2, 3], "zlib": "..."}`: the bytes are little-endian, in C order,
compressed with zlib and written in base64. A run of 50,000 examples stays a file one can send.
"""

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

Array = npt.NDArray[Any]

_KINDS = {"int32": "<i4", "uint8": "|u1", "float32": "<f4", "float64": "<f8"}
# Of one array, in bytes: beyond every run that can be measured, and no danger to a reader.
_LARGEST = 1 << 33


def pack(values: Array) -> dict[str, Any]:
    """The array as JSON holds it; see the file's first lines."""
    kind = values.dtype.name
    data = np.ascontiguousarray(values, dtype=_KINDS[kind]).tobytes()
    text = base64.b64encode(zlib.compress(data)).decode("ascii")
    return {"dtype": kind, "shape": list(values.shape), "zlib": text}


def unpack(packed: object) -> Array:
    """What `pack` was given, read-only.

    Raises:
        ValueError: something else, a damaged one, or more bytes than its shape tells.
    """
    if not isinstance(packed, dict) or packed.keys() != {"dtype", "shape", "zlib"}:
        raise ValueError("should be a packed array, with dtype, shape and zlib")
    kind, shape, text = _KINDS.get(str(packed["dtype"])), packed["shape"], packed["zlib"]
    if kind is None or not isinstance(text, str) or not _is_shape(shape):
        raise ValueError(f"a packed array of {packed['dtype']!r} {shape!r}, which is none")
    size = math.prod(shape) * np.dtype(kind).itemsize
    if size > _LARGEST:
        raise ValueError(f"a packed array of shape {shape} is too large")
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError("a packed array whose bytes are damaged") from error
    if len(data) != size or not reader.eof or reader.unused_data:
        raise ValueError(f"a packed array of shape {shape} whose bytes are not as many")
    found = np.frombuffer(data, dtype=kind).reshape(shape)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)


def _of(kind: str, ndim: int) -> Any:
    """The type of a field that holds such an array; given as one, or packed."""

    def take(value: object) -> Array:
        found = value if isinstance(value, np.ndarray) else unpack(value)
        if found.dtype.name != kind or found.ndim != ndim:
            raise ValueError(
                f"should be {ndim}-dimensional {kind}, not {found.ndim}-dimensional {found.dtype}"
            )
        found = found.view()
        found.flags.writeable = False
        return found

    return (
        PlainValidator(take),
        PlainSerializer(pack),
        WithJsonSchema({"type": "object", "description": f"packed {kind}, {ndim} dimensions"}),
    )


Ints = Annotated[npt.NDArray[np.int32], *_of("int32", 1)]
Ints2 = Annotated[npt.NDArray[np.int32], *_of("int32", 2)]
Small2 = Annotated[npt.NDArray[np.uint8], *_of("uint8", 2)]
Floats = Annotated[npt.NDArray[np.float64], *_of("float64", 1)]
Floats2 = Annotated[npt.NDArray[np.float32], *_of("float32", 2)]

NONE = -1
"""What an array of classes holds where there is none: a numeric failure."""


def classes(predictions: Sequence[int | None]) -> npt.NDArray[np.int32]:
    """Predictions as an array, a numeric failure (None) as -1."""
    return np.array([NONE if one is None else one for one in predictions], dtype=np.int32)
