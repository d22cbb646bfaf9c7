"""Transitory points, counted by hand and over every table."""

import itertools

import pytest

from bitcliff.errors import InputError
from bitcliff.stats import transitory


def test_by_hand() -> None:
    of_right, of_all = transitory(
        [True, True, True, False, False], [True, False, False, False, True]
    )
    assert (of_right.k, of_right.n) == (2, 3)
    assert (of_all.k, of_all.n) == (2, 5)


def test_every_pair_of_answers() -> None:
    for before, after in itertools.product(itertools.product([False, True], repeat=3), repeat=2):
        of_right, of_all = transitory(before, after)
        lost = {place for place in range(3) if before[place]} - {p for p in range(3) if after[p]}
        assert of_right.k == of_all.k == len(lost)
        assert (of_right.n, of_all.n) == (sum(before), 3)


def test_nothing_right_has_no_share() -> None:
    of_right, of_all = transitory([False], [True])
    assert of_right.value is None
    assert of_all.value == 0


def test_other_examples_are_refused() -> None:
    with pytest.raises(InputError, match="the same 2 examples, got 1"):
        transitory([True, False], [True])
