"""Predictions packed into text, and sets of layers named by ranges."""

import pytest

from bitcliff.questions.layers.record import pack, range_text, unpack


@pytest.mark.parametrize("told", [[], [3], [None], [0, 12, None, 999, None]])
def test_packed_predictions_come_back(told: list[int | None]) -> None:
    assert unpack(pack(told)) == told


def test_a_packed_text_is_one_number_an_example() -> None:
    assert pack([3, None, 10]) == "3 x 10"


@pytest.mark.parametrize("packed", ["3 y", "1.5", "3,4"])
def test_anything_else_is_refused(packed: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        unpack(packed)


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ((), ""),
        ((0,), "1"),
        ((2, 0, 1, 6), "1-3,7"),
        ((0, 2, 4), "1,3,5"),
        (range(20), "1-20"),
        ((0, 1, 18, 19), "1-2,19-20"),
    ],
)
def test_ranges_count_from_one(indices: tuple[int, ...], text: str) -> None:
    assert range_text(indices) == text
