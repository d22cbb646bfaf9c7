"""Figures of a measurement, by hand and by scipy."""

import pytest
from scipy.stats import beta

from bitcliff.questions.provocation.record import CONTROL, GRADIENTS, RANDOM, SEARCH
from bitcliff.questions.provocation.statistics import can_fail, figures, judged, problems
from tests.questions.provocation.provoked import HOSTILE, observed


def test_the_figures_are_those_of_the_attempts() -> None:
    found = figures(observed())
    assert [parent.id for parent in can_fail(observed())] == [HOSTILE, "b", "c"]
    counts = [(one.k, one.n) for one in (found.right, found.led, found.failing, found.provoked)]
    assert counts == [(5, 6), (4, 6), (1, 4), (2, 3)]
    assert found.provoked.low == pytest.approx(beta.ppf(0.025, 2, 2))
    assert found.provoked.high == pytest.approx(beta.ppf(0.975, 3, 1))
    # Float leads there by 2.5 and by 0.75, at random included.
    assert found.most_led == [HOSTILE, "b"]
    (within,) = found.sets
    rows = {row.method: row for row in within.methods}
    assert {name: row.found.k for name, row in rows.items()} == {
        GRADIENTS: 1,
        SEARCH: 2,
        RANDOM: 1,
        CONTROL: 0,
    }
    assert rows[SEARCH].times == 2
    assert rows[RANDOM].times is None
    assert rows[SEARCH].median_passes == 40
    assert rows[GRADIENTS].not_confirmed == 1
    assert rows[GRADIENTS].passes == 146
    stays = rows[SEARCH].stays
    assert stays is not None
    assert (stays.k, stays.n) == (1, 2)
    # Against chance the gradients lose one and gain one, the search loses one.
    by_gradient, by_search = rows[GRADIENTS].change, rows[SEARCH].change
    assert by_gradient is not None
    assert by_search is not None
    assert (by_gradient.lost, by_gradient.gained, by_gradient.p_holm) == (1, 1, 1.0)
    assert (by_search.lost, by_search.gained) == (1, 0)
    assert rows[RANDOM].change is None
    assert rows[CONTROL].change is None


def test_the_gate_goes_by_the_whole_interval() -> None:
    found = figures(observed())
    assert judged(found.provoked, 5.0) == "fail"
    assert judged(found.provoked, 50.0) == "inconclusive"
    assert judged(found.provoked, 100.0) == "pass"


def test_what_contradicts_itself_is_told() -> None:
    right = observed()
    assert list(problems(right)) == []

    def told(**changes: object) -> str:
        return "; ".join(problems(right.model_copy(update=changes)))

    assert "n_examples is 6, but there are 7 examples" in told(
        parents=[*right.parents, right.parents[1].model_copy(update={"id": "g"})]
    )
    assert "delta is 0.6, but 0.5 was asked for" in told(delta=0.6)
    searched = right.searched[0]
    for method, wrong, says in (
        (GRADIENTS, {"passes": 101}, "spent more than 100 passes"),
        (SEARCH, {"lost": True}, "has a failure that is not confirmed"),
        (CONTROL, None, "has 2 attempts, but 3 examples can fail"),
    ):
        attempts = list(searched.attempts[method])
        if wrong is None:
            del attempts[0]
        else:
            attempts[0] = attempts[0].model_copy(update=wrong)
        changed = searched.model_copy(update={"attempts": {**searched.attempts, method: attempts}})
        assert says in told(searched=[changed])
