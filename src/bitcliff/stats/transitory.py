"""The paper's transitory points: what float gets right and quantization loses."""

from collections.abc import Sequence

from bitcliff.errors import InputError
from bitcliff.stats.intervals import rate
from bitcliff.types.rate import Rate


def transitory(
    right_in_float: Sequence[bool], right_quantized: Sequence[bool]
) -> tuple[Rate, Rate]:
    """Examples right in float and wrong quantized, out of those right in float and out of all.

    Args:
        right_in_float: for a pair of networks, right in both of them.
        right_quantized: for a pair, of the brittle one.

    Raises:
        InputError: not equally many of both.

    Source: section 4.1 of the paper, which leaves open what its shares are out of.
    """
    if len(right_in_float) != len(right_quantized):
        raise InputError(
            f"right_quantized: must be for the same {len(right_in_float)} examples, "
            f"got {len(right_quantized)}"
        )
    moved = sum(f and not q for f, q in zip(right_in_float, right_quantized, strict=True))
    return rate(moved, sum(right_in_float)), rate(moved, len(right_in_float))
