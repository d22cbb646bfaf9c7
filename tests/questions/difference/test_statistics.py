"""Figures of a comparison of two, worked out by hand, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.difference import statistics
from bitcliff.questions.difference.record import KEY, Difference, PairObserved, SideObserved
from bitcliff.questions.difference.statistics import KIND, figures, problems
from bitcliff.record import pairs_of
from bitcliff.stats import mcnemar, paired_difference, rate
from tests.a_record import figures_in
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.difference.differing import (
    NATS,
    A,
    B,
    bare_record,
    compared,
    layer,
    loss,
    observed,
)


def test_decisions_are_of_the_examples_that_both_answer() -> None:
    alone, batch = figures_in(compared(), KEY, Difference).pairs
    # Of seven: 1, 2, 3 and 5 differ; 1 and 2 go wrong, 3 comes right, 5 is wrong in both.
    assert (alone.a, alone.b, alone.decisions) == (A, B, rate(4, 7))
    assert alone.change is not None
    assert (alone.change.n, alone.change.lost, alone.change.gained) == (7, 2, 1)
    difference, low, high = (100 * share for share in paired_difference(7, 2, 1))
    assert alone.change.difference_pp == pytest.approx(difference)
    assert (alone.change.low_pp, alone.change.high_pp) == pytest.approx((low, high))
    assert alone.change.p_value == mcnemar(2, 1)
    # A shares no scale, and stands beside the runtime in batches as it is.
    assert (batch.a, batch.b, batch.decisions) == (A, f"{B}-batch", rate(3, 8))


def test_divergence_and_margins_are_told_by_example() -> None:
    alone, _ = figures_in(compared(), KEY, Difference).pairs
    known = NATS[~np.isnan(NATS)]
    assert alone.divergence.n == 7
    assert alone.divergence.mean == pytest.approx(known.mean())
    assert (alone.divergence.median, alone.divergence.largest) == (0.25, 1.0)
    # The same answer: from 1 to 1.25; another: from 1 to -1.25, or back.
    assert (alone.margin_gap, alone.margin_gap_largest) == (0.25, 2.25)


def test_without_labels_nothing_is_right_or_wrong() -> None:
    alone, _ = figures_in(compared(labelled=False), KEY, Difference).pairs
    assert (alone.decisions, alone.change) == (rate(4, 7), None)


def test_the_first_layer_at_which_anything_is_other() -> None:
    found = figures_in(compared(), KEY, Difference)
    first, second = found.layers
    assert (found.first, first.parts, second.parts) == ("second", None, "rounding")
    assert (second.n, second.touched) == (7, rate(1, 7))
    assert second.rounded.other == pytest.approx(2 / 70)
    assert second.rounded.error == pytest.approx(7 * 7 / (7 * 4))
    assert (second.arriving.other, second.arriving.error) == (0, 0)
    assert (first.other_weights, second.other_weights) == (None, 0.25)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"arriving": np.array([1] + [0] * 6 + [-1], dtype=np.int32)}, "arriving"),
        ({"rounded": np.array([0] * 7 + [-1], dtype=np.int32)}, "weights"),
        (
            {"rounded": np.array([0] * 7 + [-1], dtype=np.int32), "other_weights": 0},
            None,
        ),
    ],
)
def test_what_parts_first_at_a_layer(changes: dict[str, Any], parts: str | None) -> None:
    layers = [observed().layers[0], layer("second", **changes)]  # type: ignore[index]
    found = figures(bare_record(), observed(layers=layers))
    assert found.layers[1].parts == parts
    assert found.first == (None if parts is None else "second")


def test_where_values_go_is_told_in_shares() -> None:
    ((found,),) = (side.losses for side in figures_in(compared(), KEY, Difference).sides)
    assert (found.error, found.saturated) == (0.04, 0.05)
    assert (found.underflowed, found.floored) == (0.25, 0.1)


def test_nothing_seen_is_no_number() -> None:
    empty = layer(
        "second",
        arriving=np.full(8, -1, dtype=np.int32),
        rounded=np.full(8, -1, dtype=np.int32),
        **{key: np.full(8, np.nan) for key in ("signal", "arriving_error", "rounded_error")},
        weights=0,
        other_weights=0,
    )
    nothing = loss(**dict.fromkeys(("values", "saturated", "nonzero", "underflowed"), 0))
    found = figures(
        bare_record(),
        observed(
            layers=[observed().layers[0], empty],  # type: ignore[index]
            sides=[SideObserved(name=A, losses=[nothing])],
        ),
    )
    assert found.layers[1].rounded.other is None
    assert found.layers[1].rounded.error is None
    assert found.sides[0].losses[0].saturated is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pairs": observed().pairs[:1]}, "of other conditions than those that the run compares"),
        ({"no_layers": "a runtime"}, "has layers, and a reason why there are none"),
        ({"layers": None}, "has layers, and a reason why there are none"),
        ({"layers": observed().layers[:1]}, "other points"),  # type: ignore[index]
        ({"sides": [SideObserved(name="other", losses=[])]}, "'other' is none of the two"),
        ({"sides": [SideObserved(name=A, losses=[loss(name="x")])]}, "'x' is no point"),
        ({"sides": [SideObserved(name=A, losses=[loss(saturated=101)])]}, "more values than"),
        ({"sides": [SideObserved(name=A, losses=[loss(floored=11)])]}, "more groups than"),
        (
            {"pairs": [PairObserved(a=A, b=B, divergence=NATS[:7]), observed().pairs[1]]},
            "has 7 divergences for 8 examples",
        ),
        (
            {"pairs": [PairObserved(a=A, b=B, divergence=0 * NATS - 1), observed().pairs[1]]},
            "a divergence goes with two answers",
        ),
        (
            {"layers": [observed().layers[0], layer("second", values=1)]},  # type: ignore[index]
            "counts that are none of 1 values",
        ),
        (
            {"layers": [observed().layers[0], layer("second", signal=np.zeros(8))]},  # type: ignore[index]
            "a sum where nothing was seen",
        ),
        (
            {"layers": [observed().layers[0], layer("second", other_weights=21)]},  # type: ignore[index]
            "21 other weights, of 20",
        ),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, Any], says: str) -> None:
    assert not list(problems(bare_record(), observed()))
    assert says in next(problems(bare_record(), observed(**changes)))


def test_it_is_read_as_it_was_written_and_no_figure_can_be_changed(tmp_path: Path) -> None:
    record = compared()
    check_round_trip(record, {KEY: KIND}, tmp_path)
    check_figures_are_guarded(record, KEY, {KEY: KIND}, tmp_path)


def test_damage_to_what_was_observed_is_refused_or_changes_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The same few intervals again and again.
    pairs = pairs_of(compared())
    monkeypatch.setattr(statistics, "pairs_of", lambda _record: pairs)
    check_observations_are_guarded(compared(), KEY, KIND)
