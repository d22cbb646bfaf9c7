"""What changed decisions give, by hand, and what of a file is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitcliff.questions.lengths.record import FLOAT, KEY, LengthCell, Lengths, LengthsObserved
from bitcliff.questions.lengths.statistics import KIND, figures, problems
from bitcliff.record import Explained, Record, record_of, with_answer
from bitcliff.stats import rate
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.questions.runtimes.in_runtimes import N, bare_record

POLICY = bare_record().policies[0].name
OWN = np.arange(1, N + 1, dtype=np.int32)


def cell(
    length: int | None, n: int, beside: bool = False, **flipped: tuple[int, ...]
) -> LengthCell:
    """Class 0, but class 1 for those that are flipped, and a failure for those below zero."""
    prediction = {}
    for who, name in (("float", FLOAT), ("policy", POLICY)):
        found = np.zeros(n, np.int32)
        for place in flipped.get(who, ()):
            found[abs(place)] = 1 if place >= 0 else -1
        prediction[name] = found
    return LengthCell(length=length, beside_longer=beside, prediction=prediction)


def observed(**changes: Any) -> LengthsObserved:
    fields: dict[str, Any] = {
        "padding": "zeros <b> behind",
        "unit": "tokens",
        "own": OWN,
        "companions": 3,
        "cells": [
            cell(None, N, policy=(0,)),
            cell(4, 4, float=(1,), policy=(0, 1, 2, -3)),
            cell(N, N, policy=(0, 5)),
            cell(N, N, beside=True, float=(7,), policy=(0, 5, 7, 8)),
        ],
        "refused": ["float at 40 tokens: too <i> long"],
    }
    return LengthsObserved(**(fields | changes))


def record() -> Record:
    """Of which one policy is explained; all labels are class 0."""
    explained = Explained(policies=[POLICY], n_train=0)
    bare = bare_record()
    return record_of(bare.observed.model_copy(update={"explained": explained}))


def answered(**changes: Any) -> Record:
    return with_answer(record(), KEY, observed(**changes), KIND)


def test_changes_are_counted_and_floats_own_are_told_apart() -> None:
    found = figures(record(), observed())
    assert (found.shortest, found.longest) == (1, N)
    assert found.right_unpadded == {FLOAT: rate(N, N), POLICY: rate(N - 1, N)}
    four, whole, beside = found.at
    assert (four.fitting, four.padded) == (4, 3)
    assert (whole.fitting, whole.padded) == (N, N - 1)
    assert four.decided[FLOAT].changed == rate(1, 4)
    assert four.decided[FLOAT].beyond_float is None
    # One fails, and one float changes too.
    assert four.decided[POLICY].changed == rate(2, 3)
    assert four.decided[POLICY].beyond_float == rate(1, 2)
    assert four.decided[POLICY].right == rate(0, 4)
    assert whole.decided[POLICY].beyond_float == rate(1, N)
    # Company is compared with the same length alone.
    assert beside.decided[POLICY].changed == rate(2, N)
    assert beside.decided[POLICY].beyond_float == rate(1, N - 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"own": None}, "has either lengths or a reason"),
        ({"own": None, "reason": "images"}, "has cells, and no lengths"),
        ({"reason": "images"}, "has either lengths or a reason"),
        ({"own": OWN[1:]}, "has 19 lengths for 20 examples"),
        ({"own": OWN * 0}, "or one below 1"),
        ({"cells": []}, "cells are not without padding first"),
        ({"cells": [cell(None, N), cell(N, N), cell(4, 4)]}, "cells are not without padding"),
        ({"cells": [cell(None, N), cell(N, N, True)]}, "not measured by itself"),
        ({"cells": [LengthCell(length=None, prediction={})]}, "was not measured in float"),
        ({"cells": [cell(None, N), LengthCell(length=4, prediction={})]}, "length 4: not of"),
        ({"cells": [cell(None, N), cell(4, 5)]}, "has 5 predictions for 4 examples"),
    ],
)
def test_a_contradiction_is_told(changes: dict[str, Any], says: str) -> None:
    assert not list(problems(record(), observed()))
    assert says in next(problems(record(), observed(**changes)))


def test_it_is_about_what_is_explained() -> None:
    bare = bare_record()
    assert "some are not explained" in next(problems(bare, observed()))


def test_a_policy_that_could_not_be_measured_at_a_length_is_left_out_there() -> None:
    only_float = LengthCell(length=4, prediction={FLOAT: np.zeros(4, np.int32)})
    changes = {"cells": [cell(None, N), only_float, cell(N, N)]}
    assert not list(problems(record(), observed(**changes)))
    assert list(figures(record(), observed(**changes)).at[0].decided) == [FLOAT]


def test_it_is_read_as_it_was_written_and_no_figure_can_be_changed(tmp_path: Path) -> None:
    check_round_trip(answered(), {KEY: KIND}, tmp_path)
    check_figures_are_guarded(answered(), KEY, {KEY: KIND}, tmp_path)


def test_damage_to_what_was_observed_is_refused_or_changes_no_figure() -> None:
    check_observations_are_guarded(answered(), KEY, KIND)


def test_without_labels_nothing_is_right_or_wrong() -> None:
    labelled = record()
    table = labelled.table.model_copy(update={"labels": None})
    bare = record_of(labelled.observed.model_copy(update={"examples": table}))
    found = figures(bare, observed())
    assert isinstance(found, Lengths)
    assert found.right_unpadded == {FLOAT: None, POLICY: None}
