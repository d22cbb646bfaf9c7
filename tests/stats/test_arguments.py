"""What counts as a count."""

import numpy as np
import pytest

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_count, check_share


@pytest.mark.parametrize("value", [-1, 1.0, True, "3", None, float("nan")])
def test_what_is_no_count_is_named(value: object) -> None:
    with pytest.raises(InputError, match="lost: must be a whole number, at least 0"):
        check_count("lost", value)


def test_numpy_counts_become_ints() -> None:
    found = check_share(np.int64(3), np.uint8(5))
    assert found == (3, 5)
    assert all(type(value) is int for value in found)
