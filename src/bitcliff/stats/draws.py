"""Which of several draws stands for all of them."""

import math
from collections.abc import Sequence

from bitcliff.errors import InputError


def median_index(values: Sequence[float | int]) -> int:
    """Index of the lower median: the first place that holds the ceil(n/2)-th smallest value.

    Raises:
        InputError: `values` is empty or holds a NaN.
    """
    if not values:
        raise InputError("values: is empty; a median needs at least one")
    if any(math.isnan(value) for value in values):
        raise InputError("values: holds a NaN, which has no rank")
    return list(values).index(sorted(values)[(len(values) - 1) // 2])
