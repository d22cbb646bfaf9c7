"""Arrays packed into JSON come back to the bit, and damaged ones are refused."""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from bitcliff.record.arrays import classes, pack, unpack

KINDS = ("int32", "uint8", "float32", "float64")


@pytest.mark.parametrize("kind", KINDS)
@given(shape=arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9))
def test_comes_back_to_the_bit(kind: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(sum(shape)).bytes(int(np.prod(shape)) * np.dtype(kind).itemsize)
    made = np.frombuffer(values, dtype=kind).reshape(shape)
    found = unpack(json.loads(json.dumps(pack(made))))
    assert found.dtype == made.dtype
    assert found.shape == made.shape
    assert found.tobytes() == made.tobytes()


def test_bytes_are_little_endian_whatever_the_machine() -> None:
    text = pack(np.array([1, 258], dtype=np.int32))["zlib"]
    assert zlib.decompress(base64.b64decode(text)) == b"\x01\0\0\0\x02\x01\0\0"


def _packed(**changes: Any) -> dict[str, Any]:
    return pack(np.arange(6, dtype=np.int32).reshape(2, 3)) | changes


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1, 2], "should be a packed array"),
        ({"dtype": "int32"}, "should be a packed array"),
        (_packed(dtype="object"), "which is none"),
        (_packed(shape=[2, -3]), "which is none"),
        (_packed(shape=[2, True]), "which is none"),
        (_packed(shape=[2, 2]), "whose bytes are not as many"),
        (_packed(shape=[2, 4]), "whose bytes are not as many"),
        (_packed(shape=[1 << 40]), "is too large"),
        (_packed(zlib="not base64!"), "whose bytes are damaged"),
        (_packed(zlib=base64.b64encode(b"not zlib").decode()), "whose bytes are damaged"),
        (_packed(zlib=_packed()["zlib"][:-8] + "AAAAAAA="), "whose bytes are"),
    ],
)
def test_what_is_none_is_refused(given: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unpack(given)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    with pytest.raises(ValueError, match="whose bytes are not as many"):
        unpack({"dtype": "uint8", "shape": [10], "zlib": bomb})


def test_a_failure_is_minus_one() -> None:
    assert classes([3, None, 0]).tolist() == [3, -1, 0]
