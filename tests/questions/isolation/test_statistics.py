"""The figures of batch-mates, counted by hand, and what is refused."""

from typing import Any

import pytest

from bitcliff.questions.isolation.record import Victim
from bitcliff.questions.isolation.statistics import figures, problems, situations
from tests.questions.isolation.victims import HOSTILE, attack, observed, victims


def test_figures_count_what_became_of_each_victim() -> None:
    rows = {row.name: row for row in situations(victims())}
    data, search, both = (rows[n] for n in ("from the data", "random search", "any of these"))
    assert data.change is not None
    assert search.change is not None
    assert both.change is not None
    assert (data.flips.k, data.change.lost, data.change.gained) == (2, 1, 1)
    assert (data.change.p_value, data.change.p_holm) == (1.0, 1.0)
    assert (search.flips.k, search.change.lost, search.change.gained) == (2, 2, 0)
    # Four tests: McNemar's of two against none is 0.5, times four, at most one.
    assert (search.change.p_value, search.change.p_holm, search.runs) == (0.5, 1.0, 65)
    assert (both.flips.k, both.change.lost, both.change.gained) == (3, 2, 1)
    assert search.lost_right is not None
    # The third was not right alone, so it had nothing to lose.
    assert (search.lost_right.k, search.lost_right.n) == (2, 3)
    assert search.change.difference_pp == -50
    assert (rows["at random"].flips.k, rows["at random"].flips.n) == (4, 8)
    assert rows["float, at random"].flips.k == rows["float, worst companion"].flips.k == 0
    stays = rows["flips that stay in full batches"].flips
    assert (stays.k, stays.n) == (6, 15)
    assert rows["flips that stay, places swapped"].flips.k == 3


def test_figures_of_all_victims() -> None:
    found = figures(observed())
    assert found.accuracy_alone is not None
    assert found.as_float_alone is not None
    assert found.ours_changed is not None
    assert (found.accuracy_alone.k, found.as_float_alone.k, found.ours_changed.k) == (3, 3, 0)
    assert (found.accuracy_alone.n, found.ours_changed.n) == (4, 12)
    # Margins fall by 2.5, 1 and 2.1.
    assert found.flipped == [HOSTILE, "c", "b"]


def test_without_labels_only_flips_are_told() -> None:
    row = situations(victims(labelled=False))[0]
    assert (row.flips.k, row.change, row.lost_right) == (2, None, None)
    assert figures(observed(labelled=False)).accuracy_alone is None


def changed(**changes: Any) -> list[Victim]:
    """The last victim is another."""
    return [*victims()[:3], victims()[3].model_copy(update=changes)]


BASELINE, CHECKED = victims()[3].baseline, victims()[3].checked


@pytest.mark.parametrize(
    ("some", "says"),
    [
        (changed(id="b"), "victim 'b' stands 2 times"),
        (changed(label=None), "has a label, or none, against labelled"),
        (changed(label=1000), "has class 1000 of 1000"),
        (changed(attacks={}), "was attacked otherwise than the first"),
        (
            changed(baseline=BASELINE.model_copy(update={"random": []})),
            "has 0 random batches for 2 draws",
        ),
        (changed(checked=CHECKED.model_copy(update={"full": []})), "not checked in full batches"),
        (
            changed(attacks={**victims()[3].attacks, "from the data": attack(0, None)}),
            "is flipped or not under 'from the data', against its prediction",
        ),
        (
            changed(attacks={**victims()[3].attacks, "from the data": attack(0, 21)}),
            "is flipped more often than run under 'from the data'",
        ),
    ],
)
def test_a_contradiction_is_told(some: list[Victim], says: str) -> None:
    assert not list(problems(observed()))
    assert says in next(problems(observed(some)))
