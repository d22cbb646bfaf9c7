"""Each cause planted in a network by hand, and named; none named where nothing is wrong."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.questions.activations.causes import (
    CAUSES,
    DECIDES,
    cause_of_each,
    cause_of_point,
    hidden_damage,
)
from bitcliff.questions.activations.record import Cause, PointActivations
from bitcliff.record import Record
from tests.questions.activations.cases import (
    TwoPoints,
    context_of,
    long_tail,
    normal,
    offset,
    one_outlier,
    points_of,
    shuffled,
)

ALONE = [[1.0]]
DIFFERENCE = [[1.0, -1.0]]


def explained(
    record: Record, pictures: Tensor, bits: list[int], mix: list[list[float]], scheme: str = "onnx"
) -> list[PointActivations]:
    table = torch.tensor([bits]).expand(len(pictures), -1)
    context = context_of(TwoPoints(mix), pictures, {"p": table}, record, scheme=scheme)
    return points_of(context)


@pytest.mark.parametrize(
    ("values", "bits", "cause"),
    [
        (normal(), 8, "unharmed"),
        (normal(), 5, "unharmed"),
        (normal(), 2, "too few bits for the spread"),
        (normal().clamp(min=0), 2, "too few bits for the spread"),
        (long_tail(), 3, "long tail collapses to zero"),
        (long_tail(), 4, "long tail collapses to zero"),
        (long_tail(), 12, "unharmed"),
        (one_outlier(), 4, "outlier"),
        (1000 * one_outlier(), 4, "outlier"),
        (one_outlier(), 14, "unharmed"),
        (offset(), 4, "offset range"),
        (-offset(), 4, "offset range"),
        (offset(), 16, "unharmed"),
    ],
)
def test_a_planted_cause_is_named(values: Tensor, bits: int, cause: str, record: Record) -> None:
    middle, _ = explained(record, shuffled(values), [bits, 16], ALONE)
    assert middle.cause == cause
    assert middle.causes == {cause: 6}
    assert middle.harmed.k == (0 if cause == "unharmed" else 6)


def test_a_range_from_minimum_to_maximum_wastes_nothing(record: Record) -> None:
    middle, _ = explained(record, shuffled(offset()), [4, 16], ALONE, scheme="paper")
    assert middle.cause == "unharmed"
    middle, _ = explained(record, shuffled(offset()), [2, 16], ALONE, scheme="paper")
    assert middle.cause == "too few bits for the spread"


def test_what_was_lost_before_is_not_blamed_on_a_later_point(record: Record) -> None:
    _, head = explained(record, shuffled(normal()), [2, 10], ALONE)
    assert head.cause == "signal already lost upstream"
    assert head.median.local_db is not None
    assert head.median.local_db > 40
    assert head.median.arriving_db == pytest.approx(head.median.total_db, abs=0.2)


def test_a_difference_of_near_equals_amplifies(record: Record) -> None:
    large, small = shuffled(normal()), 0.02 * shuffled(normal()).flip(-1)
    middle, head = explained(record, torch.cat([large, large + small], 1), [6, 10], DIFFERENCE)
    assert middle.cause == "unharmed"
    assert head.cause == "error amplified on the way here"
    assert head.median.earlier_db == pytest.approx(middle.median.total_db)


def test_a_shipped_network_at_eight_bits_is_unharmed(record: Record) -> None:
    subject = load_model("base-digits")
    options = DataOptions(split="test")
    examples = load_examples("digits", subject=subject, limit=24, seed=0, options=options)
    context = context_of(subject, examples, {"uniform-8": torch.full((24, 20), 8)}, record)
    points = points_of(context)
    assert len(points) == 20
    assert {(point.cause, point.harmed.k) for point in points} == {("unharmed", 0)}


def numbers(**given: float) -> dict[str, np.ndarray]:
    harmless = {
        "local_db": 30.0,
        "arriving_db": 30.0,
        "earlier_db": 30.0,
        "total_db": 27.0,
        "collapsed": 0.0,
        "kurtosis": 0.0,
        "peak": 1.0,
        "offset": 0.0,
        "constant_db": 0.0,
        "channels_lost": 0.0,
        "channel_ratio": 1.0,
        "tokens_lost": 0.0,
        "token_ratio": 1.0,
    }
    return {name: np.array([value]) for name, value in (harmless | given).items()}


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({}, "unharmed"),
        ({"total_db": 10.0}, "unharmed"),
        ({"local_db": 9.9}, "too few bits for the spread"),
        ({"local_db": 20.0, "constant_db": 10.1}, "too few bits for the spread"),
        ({"collapsed": 0.5}, "too few bits for the spread"),
        ({"collapsed": 0.5, "kurtosis": 3.0}, "long tail collapses to zero"),
        ({"local_db": 5.0, "peak": 4.0}, "outlier"),
        ({"local_db": 5.0, "peak": float("inf"), "collapsed": float("nan")}, "outlier"),
        ({"local_db": 5.0, "peak": 4.0, "offset": 0.5}, "offset range"),
        # Two small errors that only together are too much: the larger one is named.
        ({"local_db": 11.0, "arriving_db": 13.0, "total_db": 9.0}, "too few bits for the spread"),
        (
            {"local_db": 13.0, "arriving_db": 11.0, "earlier_db": 12.0, "total_db": 9.0},
            "signal already lost upstream",
        ),
        (
            {"arriving_db": 5.0, "earlier_db": 11.0, "total_db": 5.0},
            "error amplified on the way here",
        ),
        (
            {"arriving_db": 5.0, "earlier_db": float("nan"), "total_db": 5.0},
            "signal already lost upstream",
        ),
        # Power tells nothing of the small ones.
        (
            {"tokens_lost": 0.1, "token_ratio": 4.0},
            "rows far larger than the rest, for example padding",
        ),
        ({"channels_lost": 0.1, "channel_ratio": 4.0, "peak": 9.0}, "channels of unequal scale"),
        ({"channels_lost": 0.09, "channel_ratio": 90.0}, "unharmed"),
        (
            {"channels_lost": 1.0, "channel_ratio": 3.9, "local_db": 5.0},
            "too few bits for the spread",
        ),
        ({"channels_lost": float("nan"), "channel_ratio": float("nan")}, "unharmed"),
        # Its own rounding harms too, whatever arrives.
        (
            {"local_db": 6.0, "arriving_db": 2.0, "total_db": 1.0, "peak": 9.0},
            "outlier",
        ),
    ],
)
def test_the_rule_at_its_edges(given: dict[str, float], cause: str) -> None:
    assert cause_of_each(numbers(**given)) == [cause]


def test_a_point_has_the_commonest_cause_of_its_harmed_examples() -> None:
    assert cause_of_point([]) is None
    one: list[Cause] = ["outlier"]
    well: list[Cause] = ["unharmed"] * 9
    assert cause_of_point(well + well + one) == "unharmed"
    assert cause_of_point(well + one) == "outlier"
    assert cause_of_point(["outlier", "offset range", "outlier", "unharmed"]) == "outlier"
    assert CAUSES[0] == "unharmed"


def test_where_the_network_breaks_no_point_is_unharmed() -> None:
    one: list[Cause] = ["outlier"]
    well: list[Cause] = ["unharmed"] * 19
    assert cause_of_point(well + one, breaks=True) == "outlier"
    assert cause_of_point(well, breaks=True) == DECIDES
    assert cause_of_point([], breaks=True) is None


def test_what_was_lost_unseen_is_not_blamed_on_the_layers_since() -> None:
    arrived = {"arriving_db": 5.0, "earlier_db": 11.0, "total_db": 5.0}
    for given in ({"collapsed": 0.5}, {"tokens_lost": 0.5, "token_ratio": 9.0}):
        hidden = hidden_damage(numbers(**given))
        assert cause_of_each(numbers(**arrived), hidden) == ["signal already lost upstream"]
    seen = hidden_damage(numbers(local_db=9.0, collapsed=0.5))
    assert cause_of_each(numbers(**arrived), seen) == ["error amplified on the way here"]
