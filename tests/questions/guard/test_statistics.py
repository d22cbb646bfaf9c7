"""The figures of a guard: by brute force, and what it guarantees by simulation."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bitcliff.questions.guard.record import CALIBRATE, FIT, REPORT, GuardObserved
from bitcliff.questions.guard.statistics import (
    ALL,
    GUARDS,
    MARGIN,
    SCORES,
    figures,
    flagged_by,
    lost,
    problems,
    rule_of,
    threshold_of,
)
from bitcliff.stats import rate
from tests.questions.guard.examples import ALPHA, DELTA, observed, population


def threshold_by_hand(found: GuardObserved, name: str, alpha: float) -> float:
    """One candidate after the other, by scipy's binomial."""
    scores, gone = rule_of(found, GUARDS[name]).scores, lost(found)
    part, best = found.part, -math.inf
    known = sorted({*scores[part == FIT].tolist()})
    for candidate in [*((a + b) / 2 for a, b in pairwise(known)), math.inf]:
        rows = [k for k in range(len(scores)) if part[k] == CALIBRATE]
        missed = sum(bool(gone[k]) and scores[k] < candidate for k in rows)
        if stats.binom.cdf(missed, len(rows), alpha) > DELTA:
            break
        best = candidate
    return best


@pytest.mark.parametrize("labelled", [True, False])
def test_costs_and_misses_are_counted_under_the_threshold_of_brute_force(labelled: bool) -> None:
    found = observed(labelled=labelled)
    made, gone = figures(found), lost(found)
    report = found.part == REPORT
    for rule in made.guards:
        scores = rule_of(found, GUARDS[rule.name]).scores
        for at in (rule.at, *rule.curve):
            threshold = threshold_by_hand(found, rule.name, at.alpha)
            flagged = scores >= threshold
            assert at.threshold == (threshold if math.isfinite(threshold) else None)
            assert at.cost == rate(int((flagged & report).sum()), 40)
            assert at.missed == rate(int((gone & ~flagged & report).sum()), 40)
            left = rate(int((gone & report).sum()), 40)
            assert left.value is not None
            assert at.missed_at_random.value == left.value * (1 - at.cost.k / 40)
        assert rule.at.alpha == ALPHA
        assert rule.caught.n == int((gone & report).sum())
        assert rule.fitted_to == "lost"
    assert {at.flags for rule in made.guards for at in rule.curve} >= {"some"}
    assert made.counts == [40, 40, 40]
    # One of forty flags was turned round.
    assert made.same_flags is not None
    assert (made.same_flags.k, made.same_flags.n) == (39, 40)


def test_a_loss_is_right_in_float_and_wrong_quantized_or_else_a_changed_decision() -> None:
    by_label, by_float = observed(), observed(labelled=False)
    changed = by_label.prediction != 1
    wrong_in_float = np.arange(120) % 10 == 9
    assert (lost(by_label) == (changed & ~wrong_in_float)).all()
    assert (lost(by_float) == changed).all()
    assert (changed & wrong_in_float).any()


def test_what_is_left_of_the_accuracy_is_counted_on_the_third_part() -> None:
    found = observed(signals="all")
    judged, report = figures(found).judged, found.part == REPORT
    assert found.labels is not None
    flagged = flagged_by(found, ALL)
    guarded = np.where(flagged, found.float_prediction, found.prediction) == found.labels
    quantized, in_float = found.prediction == found.labels, found.float_prediction == found.labels
    for made, right in zip(
        (judged.in_float, judged.quantized, judged.guarded),
        (in_float, quantized, guarded),
        strict=True,
    ):
        assert made == rate(int(right[report].sum()), 40)
    first, _, last = judged.changes
    assert (first.lost, first.gained) == (
        int((in_float & ~quantized)[report].sum()),
        int((~in_float & quantized)[report].sum()),
    )
    assert last.lost == figures(found).guards[-1].at.missed.k
    assert first.p_holm is not None
    assert first.p_holm >= first.p_value


def test_where_nothing_is_lost_the_margin_decides_and_none_is_flagged() -> None:
    made = figures(observed(lost=np.zeros(120, dtype=bool), exported=False))
    for rule in made.guards:
        assert rule.fitted_to == "nothing"
        assert rule.weights == [-1.0 if name == "margin" else 0.0 for name in rule.signals]
        assert (rule.at.flags, rule.at.cost.k, rule.at.missed.k) == ("none", 0, 0)
    assert made.telling[0].value is None
    assert made.same_flags is None
    assert max(one.cost for one in made.random) < 1


def test_where_no_threshold_will_do_all_is_flagged() -> None:
    found = observed(lost=np.ones(120, dtype=bool), labelled=False, exported=False)
    # The others look surer than any that the guard was fitted to.
    surer = np.where(found.part == FIT, 0.0, 100.0)
    shown = {name: values + surer for name, values in found.signals.items()}
    made = figures(found.model_copy(update={"signals": shown}))
    assert {(rule.at.flags, rule.at.cost.k, rule.at.missed.k) for rule in made.guards} == {
        ("all", 40, 0)
    }


def test_a_numeric_failure_is_always_flagged() -> None:
    calm = observed(lost=np.zeros(120, dtype=bool), exported=False)
    prediction = calm.prediction.copy()
    prediction[2] = -1
    broken = calm.model_copy(update={"prediction": prediction})
    assert lost(broken)[2]
    for name in GUARDS:
        assert flagged_by(broken, name).tolist() == [k == 2 for k in range(120)]


def exceeded(name: str, draws: int, n: int = 240) -> int:
    """In how many random draws of a large population, shared out anew, more of it than the limit
    is lost and not flagged."""
    shows, gone = population(20_000, seed=7)
    columns = np.column_stack([shows[one] for one in GUARDS[name]])
    like, over = observed(n, exported=False, labelled=False), 0
    for draw in range(draws):
        rows = np.random.default_rng([3, draw]).integers(0, len(gone), n)
        found = like.model_copy(
            update={
                "signals": {one: values[rows] for one, values in shows.items()},
                "prediction": np.where(gone[rows], 3, 1).astype(np.int32),
            }
        )
        rule = rule_of(found, GUARDS[name])
        threshold = threshold_of(found, rule, ALPHA)
        missed = gone & (rule.linear.scores(columns) < threshold)
        over += bool(missed.mean() > ALPHA)
    return over


@pytest.mark.parametrize("name", [ALL, MARGIN])
def test_the_guarantee_holds_over_random_draws(name: str) -> None:
    draws = 250
    over = exceeded(name, draws)
    low = rate(over, draws, 0.999).low
    assert low is not None
    assert low <= DELTA
    assert over > 0  # or nothing could be seen


@pytest.mark.slow
@pytest.mark.parametrize("name", [ALL, SCORES, MARGIN])
def test_so_it_does_over_many(name: str) -> None:
    draws = 4000
    high = rate(exceeded(name, draws), draws).high
    assert high is not None
    assert high <= DELTA + 0.005


def changed(**fields: Any) -> GuardObserved:
    return observed().model_copy(update=fields)


GOOD = observed()
assert GOOD.exported is not None
assert GOOD.labels is not None


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (changed(ids=["a"] * 120), "example id 'a' stands 120 times"),
        (changed(labels=None), "labelled goes with labels"),
        (changed(part=GOOD.part[1:]), "part is of 119 examples, not of 120"),
        (changed(part=GOOD.part * 0), "there are 120 examples to fit to, and 0 to report on"),
        (changed(part=GOOD.part + 1), "part is not 0, 1 or 2 everywhere"),
        (changed(prediction=GOOD.prediction * 0 - 2), "predictions are not among classes"),
        (changed(labels=GOOD.labels * 0 - 1), "labels are not among classes"),
        (changed(signals={}), "the signals are []"),
        (
            changed(signals={**GOOD.signals, "range": np.full(120, np.nan)}),
            "signal 'range' is not finite everywhere",
        ),
        (changed(usual_peaks=np.ones(3)), "usual_peaks are not one number of 0 or more"),
        (
            changed(settings=GOOD.settings.changed(alpha=0.001)),
            "there are 40 examples to calibrate on, and 1609 are needed",
        ),
        (changed(settings=GOOD.settings.changed(against="auto")), "against auto says not what"),
        (changed(settings=GOOD.settings.changed(seed=99)), "and 99 in settings"),
        (
            changed(exported=GOOD.exported.model_copy(update={"needs_float": GOOD.part})),
            "was not run on the examples reported on",
        ),
    ],
)
def test_a_contradiction_is_told(found: GuardObserved, says: str) -> None:
    assert not list(problems(GOOD))
    assert any(says in problem for problem in problems(found))
