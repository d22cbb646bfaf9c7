"""The cells of the curves, and sets of points named by ranges."""

import pytest

from bitcliff.questions.layers.cells import curves, range_text


def test_the_curves_of_three_points() -> None:
    ways = curves(3)
    assert [sorted(cell) for cell in ways.before] == [[0], [0, 1], [0, 1, 2]]
    assert [sorted(cell) for cell in ways.after] == [[0, 1, 2], [1, 2], [2]]
    assert [sorted(cell) for cell in ways.single] == [[0], [1], [2]]
    assert [sorted(cell) for cell in ways.all_but] == [[1, 2], [0, 2], [0, 1]]
    assert len(ways.distinct) == 8


@pytest.mark.parametrize(("points", "cells"), [(1, 2), (2, 4), (3, 8), (4, 12), (20, 76)])
def test_duplicates_are_merged(points: int, cells: int) -> None:
    assert len(curves(points).distinct) == len(set(curves(points).distinct)) == cells


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
