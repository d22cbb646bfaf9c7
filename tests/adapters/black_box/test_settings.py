import math
from typing import Any

import pytest

from bitcliff.adapters.black_box import BlackBoxSettings
from bitcliff.errors import InputError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 1}, "num_classes 1: must be at least 2"),
        ({"timeout": 0.0}, "timeout 0.0: must be above 0 seconds"),
        ({"timeout": math.inf}, "timeout inf"),
        ({"timeout": math.nan}, "timeout nan"),
        ({"retries": -1}, "retries -1: must be 0 or more"),
        ({"batch": 0}, "batch 0: must be at least 1"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BlackBoxSettings(**changes)
