"""Figures from what was found, and a stored answer that is damaged."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.least_widths.record import KEY, CutObserved, LeastWidthsObserved
from bitcliff.questions.least_widths.statistics import KIND, Walk, figures, problems
from bitcliff.record import Effort, Record
from tests.contract import recompute
from tests.contract.recompute import approximately
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.least_widths.cut import answered, figures_of, scheduled


@pytest.fixture(scope="module")
def record() -> Record:
    return answered(scheduled(labelled=True))


def observed(record: Record) -> LeastWidthsObserved:
    found = record.observed_by(KEY, LeastWidthsObserved)
    assert found is not None
    return found


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int32)


def test_the_curve_follows_from_the_outcomes(record: Record) -> None:
    """Worked out row by row: an example is lost with a least width if what was last found for it,
    among bits that keep to it or with more options, breaks it."""
    for at in figures_of(record).means:
        rows = [row for row in record.examples if row.float_prediction == row.label]
        place_of = {name: place for place, name in enumerate(record.table.ids)}
        worst = f"worst-{at.mean_bits:g}"
        now = {place_of[row.id]: row.outcomes[worst].prediction == row.label for row in rows}
        counts = [sum(not right for right in now.values())]
        for seen in (one for one in observed(record).cuts if one.mean_bits == at.mean_bits):
            found = zip(seen.places.tolist(), seen.prediction.tolist(), strict=True)
            now |= {place: place_right(record, place, told) for place, told in found}
            counts.append(sum(not right for right in now.values()))
        assert [cut.lost.k for cut in at.cuts] == counts
        for cut in at.cuts:
            assert cut.lost.model_dump() == approximately(recompute.rate(cut.lost.k, len(rows)))
        safe = [cut.least for cut in at.cuts if 100 * cut.lost.k <= 2 * cut.lost.n]
        assert at.safe == (safe[0] if safe else None)


def place_right(record: Record, place: int, prediction: int) -> bool:
    return record.examples[place].label == prediction


def test_an_example_whose_search_fails_counts_nowhere() -> None:
    walk = Walk(ints(0, 1, 2), ints(1, 0, 2), np.full((3, 2), 2, np.uint8), np.zeros(3, bool))
    assert walk.to_search(3).tolist() == [0, 1]
    cut = CutObserved(
        mean_bits=4.0,
        least=3,
        freedom_log2=1.0,
        places=ints(0, 1),
        prediction=ints(-1, 2),
        bits=np.array([[3, 5], [3, 5]], np.uint8),
        effort=Effort(forward_passes=2, backward_passes=0, method=""),
    )
    after = walk.after(cut)
    assert after.counted.tolist() == [False, True, True]
    assert after.lost.tolist() == [False, True, False]
    # What was found keeps to 3 already; below 4 it must be looked for again.
    assert after.to_search(3).tolist() == []
    assert after.to_search(4).tolist() == [1]


def test_a_limit_says_what_is_safe(record: Record) -> None:
    asked = record.settings.changed(max_drop=100.0)
    lenient = replace(record, observed=record.observed.model_copy(update={"settings": asked}))
    assert [at.safe for at in figures(lenient, observed(record)).means] == [2, 2]


def test_it_is_read_as_it_was_written(record: Record, tmp_path: Path) -> None:
    check_round_trip(record, {KEY: KIND}, tmp_path)


def test_no_figure_can_be_changed_unnoticed(record: Record, tmp_path: Path) -> None:
    check_figures_are_guarded(record, KEY, {KEY: KIND}, tmp_path)


def test_no_observation_can_be_changed_unnoticed(record: Record) -> None:
    check_observations_are_guarded(record, KEY, KIND)


def wrong_cuts(record: Record) -> Iterator[tuple[str, list[CutObserved]]]:
    first, second, third = observed(record).cuts
    yield "about means", [first.model_copy(update={"mean_bits": 3.0}), second, third]
    yield "about means", [second, third, first]
    yield "together", [first, *observed(record).cuts[1:], first.model_copy(update={"least": 4})]
    yield "from the second on", [first, third]
    yield "lost before", [first, second.model_copy(update={"places": second.places[1:]}), third]
    wide = second.bits.copy()
    wide[0] = [2, 5, 5]
    yield "are not of", [first, second.model_copy(update={"bits": wide}), third]
    wide[0] = [5, 5, 5]
    yield "add up", [first, second.model_copy(update={"bits": wide}), third]


def test_what_contradicts_the_record_is_named(record: Record) -> None:
    assert not list(problems(record, observed(record)))
    for words, cuts in wrong_cuts(record):
        told = list(problems(record, LeastWidthsObserved(cuts=cuts)))
        assert told, words
        assert words in told[0]
