"""A rate that was changed by hand is refused where it is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from bitcliff.stats import rate
from bitcliff.types.rate import Rate


@pytest.mark.parametrize("n", [0, 1, 7, 20, 1000])
def test_what_statistics_gives_is_accepted(n: int) -> None:
    for k in {0, n // 2, n}:
        assert Rate.model_validate(rate(k, n).model_dump()) == rate(k, n)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"k": 999}, "k is 999, should lie in 0 to n"),
        ({"k": -1}, "greater than or equal to 0"),
        ({"value": 0.4}, "should be k / n"),
        ({"low": 0.9}, "in that order"),
        ({"low": None}, "go with n above 0"),
        ({"k": 0, "n": 0}, "null with n = 0"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Rate.model_validate(rate(3, 6).model_dump() | changes)
