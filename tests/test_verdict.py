"""Verdicts: each rule by itself, and a rule that holds for any interval."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitcliff.errors import InputError
from bitcliff.record import (
    Condition,
    ExampleRow,
    Outcome,
    PolicyResult,
    Record,
)
from bitcliff.record.conditions import Kind
from bitcliff.stats import paired_change, paired_difference, rate, score_change
from bitcliff.verdict import EXIT_CODES, judge
from tests.a_record import record_of_rows
from tests.report.example_record import Variant, example_record, graded

BASE = example_record(Variant(budgets=(7,)))


def changed(policy: PolicyResult, drop: float, low: float, high: float) -> PolicyResult:
    """The same policy with another drop, in percentage points."""
    assert policy.change is not None
    update = {"difference_pp": -drop, "low_pp": -high, "high_pp": -low}
    return policy.model_copy(update={"change": policy.change.model_copy(update=update)})


def record_with(policies: list[PolicyResult], record: Record = BASE, **figures: Any) -> Record:
    """With figures that no outcomes give: a verdict rests on them alone."""
    update = {"policies": policies, **figures}
    return replace(record, figures=record.figures.model_copy(update=update))


def named(name: str, record: Record = BASE) -> PolicyResult:
    return record.by_name[name]


@pytest.mark.parametrize(
    ("n", "lost", "gained", "says"),
    [
        (20, 0, 0, ": too few examples to tell; about 183 would do if the same shares"),
        (200, 2, 2, "would do if the same shares are lost and gained"),
        (20, 1, 0, "are allowed: too few examples to tell."),  # 5 points lost: more would not help
    ],
)
def test_how_many_examples_would_do(n: int, lost: int, gained: int, says: str) -> None:
    worst = named("worst-7").model_copy(update={"change": paired_change(n, lost, gained)})
    sentence = judge(record_with([worst]), 2.0).sentence
    assert says in sentence
    if found := re.search(r"about ([0-9,]+) would do", sentence):
        size = int(found[1].replace(",", ""))
        ends = [
            -100 * paired_difference(m, math.ceil(lost * m / n), gained * m // n)[1]
            for m in (size, size - 1)
        ]
        assert ends[0] <= 2 < ends[1]
    else:
        assert lost


@pytest.mark.parametrize(
    ("low", "high", "limit", "status"),
    [
        (-1.0, 2.0, 2.0, "pass"),  # the end of the interval on the limit is within it
        (-1.0, 2.01, 2.0, "inconclusive"),
        (2.0, 30.0, 2.0, "inconclusive"),
        (2.01, 30.0, 2.0, "fail"),
        (0.0, 0.0, 0.0, "pass"),
    ],
)
def test_interval_against_limit(low: float, high: float, limit: float, status: str) -> None:
    worst = changed(named("worst-7"), (low + high) / 2, low, high)
    verdict = judge(record_with([worst]), limit)
    assert verdict.status == status
    (judgement,) = verdict.judgements
    assert (judgement.policy, judgement.low, judgement.high) == ("worst-7", low, high)
    assert judgement.drop_pp == pytest.approx((low + high) / 2)


@given(
    ends=st.tuples(st.floats(-100, 100), st.floats(-100, 100)).map(sorted),
    limit=st.floats(0, 100),
)
def test_never_both_and_monotone_in_the_limit(ends: list[float], limit: float) -> None:
    worst = changed(named("worst-7"), sum(ends) / 2, *ends)
    status = judge(record_with([worst]), limit).status
    order = ["fail", "inconclusive", "pass"]
    looser = judge(record_with([worst]), limit + 1).status
    assert order.index(looser) >= order.index(status)
    assert (status == "pass") == (ends[1] <= limit)
    assert (status == "fail") == (ends[0] > limit)


def test_the_adversarial_ones_are_judged() -> None:
    verdict = judge(BASE, 2.0)
    assert [one.policy for one in verdict.judgements] == [
        "worst-7",
        "worst-static-7",
        "worst-evolutionary-7",
    ]
    assert verdict.status == "fail"


def test_without_an_adversary_all_but_the_best_are_judged() -> None:
    verdict = judge(example_record(Variant(adversary=False, budgets=(7,))), 2.0)
    names = [one.policy for one in verdict.judgements]
    assert names == [
        "weights-only",
        *(f"uniform-{bits}" for bits in range(2, 11)),
        "random-7",
        "random-static-7",
    ]


def test_a_bad_mix_of_formats_is_judged_and_a_good_one_is_not() -> None:
    kinds: tuple[Kind, ...] = ("random-mix", "worst-mix", "best-mix")
    told = [Condition(kind=kind, description="", mean_bits=6, options=["a", "b"]) for kind in kinds]
    mixes = [
        changed(named("worst-7"), 5.0, 4.0, 6.0).model_copy(
            update={"name": one.name, "threat": one.threat, "condition": one}
        )
        for one in told
    ]
    verdict = judge(record_with(mixes), 2.0)
    assert [one.policy for one in verdict.judgements] == ["worst-mix-6"]
    assert "(6 bits a value, a or b, worst-mix-6" in verdict.sentence
    # Without a search what was drawn is judged.
    assert [one.policy for one in judge(record_with(mixes[::2]), 2.0).judgements] == [
        "random-mix-6"
    ]


def test_the_best_case_is_never_signed_off_by_itself() -> None:
    best = named("best-7").model_copy(update={"threat": "allocation"})
    verdict = judge(record_with([changed(best, 0.0, 0.0, 0.0)]), 2.0)
    assert verdict.judgements == ()
    assert verdict.status == "inconclusive"
    assert "nothing to judge" in verdict.sentence


def test_one_policy_by_name() -> None:
    verdict = judge(BASE, 50.0, policy="uniform-7")
    assert [one.policy for one in verdict.judgements] == ["uniform-7"]
    assert verdict.status == "pass"


def test_unknown_policy() -> None:
    with pytest.raises(InputError) as error:
        judge(BASE, 2.0, policy="worst-8")
    text = str(error.value)
    assert "policy 'worst-8' is not in the record: did you mean 'worst-7'?" in text
    assert "weights-only, uniform-2" in text
    assert "\n" not in text


@pytest.mark.parametrize("limit", [-0.1, math.nan, math.inf, -math.inf])
def test_limits_that_are_none(limit: float) -> None:
    with pytest.raises(InputError, match=r"--max-drop must be 0 or more points, not "):
        judge(BASE, limit)


def test_one_failure_outweighs_everything() -> None:
    policies = [
        changed(named("worst-7"), 0.0, 0.0, 0.0),
        changed(named("worst-static-7"), 9.0, 3.0, 15.0),
    ]
    coverage = BASE.coverage.model_copy(update={"complete": False})
    verdict = judge(record_with(policies, coverage=coverage), 2.0)
    assert verdict.status == "fail"
    assert "worst-static-7" in verdict.sentence
    assert "Of the 2 cases judged, 1 fails" in verdict.sentence


def test_incomplete_coverage_keeps_a_pass_back() -> None:
    record = example_record(Variant(complete=False))
    record = record_with([changed(named("worst-7", record), 0.0, 0.0, 0.0)], record)
    verdict = judge(record, 2.0)
    assert [one.status for one in verdict.judgements] == ["pass"]
    assert verdict.status == "inconclusive"
    assert verdict.sentence.startswith("Inconclusive: 1 point of the network would be quantized")


def test_a_numeric_failure_keeps_a_pass_back() -> None:
    record = example_record(Variant(failures=True))
    record = record_with([changed(named("worst-7", record), 0.0, 0.0, 0.0)], record)
    verdict = judge(record, 2.0)
    assert verdict.status == "inconclusive"
    assert "under worst-7 the network gave NaN or infinity" in verdict.sentence
    assert "3 of 20 inputs" in verdict.judgements[0].sentence


def test_numeric_failures_elsewhere_do_not_matter() -> None:
    record = example_record(Variant(failures=True))
    record = record_with(
        [named("worst-7", record), changed(named("worst-8", record), 0.0, 0.0, 0.0)], record
    )
    assert judge(record, 2.0, policy="worst-8").status == "pass"


def test_numeric_failures_in_float_keep_a_pass_back() -> None:
    broken = BASE.float_.model_copy(update={"numeric_failures": rate(1, 20)})
    record = record_with([changed(named("worst-7"), 0.0, 0.0, 0.0)], float_=broken)
    verdict = judge(record, 2.0)
    assert verdict.status == "inconclusive"
    assert "even in float" in verdict.sentence


def test_nothing_measured() -> None:
    empty = example_record(Variant(n=0, budgets=(7,)))
    verdict = judge(empty, 2.0)
    assert verdict.status == "inconclusive"
    assert "nothing to judge" in verdict.sentence
    assert all(one.drop_pp is None for one in verdict.judgements)


def test_without_labels_flips_take_the_place_of_the_drop() -> None:
    record = example_record(Variant(labelled=False, budgets=(7,)))
    verdict = judge(record, 2.0, policy="worst-7")
    flips = named("worst-7", record).flips.all
    (judgement,) = verdict.judgements
    assert flips.k == 10
    assert judgement.drop_pp == pytest.approx(50.0)
    assert (judgement.low, judgement.high) == pytest.approx(
        (100 * (flips.low or 0), 100 * (flips.high or 0))
    )
    assert "50.0 % of the answers change" in verdict.sentence


def test_sentences_are_plain_and_have_no_minus_zero() -> None:
    same = changed(named("worst-7"), 0.0, -0.01, 0.01)
    sentence = judge(record_with([same]), 2.0).sentence
    assert sentence == (
        "Passes: with the bits placed as badly as the search could find (7 bits on average, "
        "3 to 10 each, worst-7), accuracy does not change (95 % interval 0.0 to 0.0), within the "
        "2 points allowed."
    )
    better = changed(named("worst-7"), -5.0, -9.0, -1.0)
    assert "accuracy rises by 5.0 percentage points (95 % interval −9.0 to −1.0)" in (
        judge(record_with([better]), 2.0).sentence
    )


def test_a_runtime_is_named_with_its_version() -> None:
    shipped = Condition(
        kind="runtime", description="", runtime="ort", runtime_version="ort 1.2", batch_size=1
    )
    outcomes = {"ort": Outcome(prediction=3, margin=-1.0)}
    rows = [
        ExampleRow(str(place), label=4, float_prediction=4, float_margin=1.0, outcomes=outcomes)
        for place in range(9)
    ]
    record = record_of_rows(BASE.observed, rows, [shipped])
    (judgement,) = judge(record, 2.0).judgements
    assert judgement.sentence.startswith("Fails: in ort (ort 1.2), accuracy drops by 100.0")


def test_where_a_runtime_is_deployed_it_alone_is_judged() -> None:
    shipped = Condition(
        kind="runtime", description="", runtime="ort", runtime_version="ort 1.2", batch_size=1
    )
    harmless = changed(named("uniform-8"), 0.0, 0.0, 0.0).model_copy(
        update={"name": "ort", "threat": "none", "condition": shipped}
    )
    record = record_with([named("worst-7"), harmless])
    assert [one.policy for one in judge(record, 2.0).judgements] == ["ort"]
    assert judge(record, 2.0).status == "pass"
    assert judge(record, 2.0, policy="worst-7").status == "fail"


def test_exit_codes() -> None:
    assert EXIT_CODES == {"pass": 0, "fail": 1, "inconclusive": 3}


def test_measured_on_half_is_said() -> None:
    (judgement,) = judge(BASE, 2.0, policy="worst-static-7").judgements
    assert "(7 bits on average, 3 to 10 each, worst-static-7, measured on 10 of 20 examples)" in (
        judgement.sentence
    )
    (judgement,) = judge(BASE, 2.0, policy="worst-7").judgements
    assert "measured on" not in judgement.sentence


def test_what_broke_on_the_way_keeps_a_pass_back() -> None:
    worst = changed(named("worst-7"), 0.0, -1.0, 1.0)
    assert judge(record_with([worst]), 2.0).status == "pass"
    broken = worst.model_copy(update={"broken": BASE.table.ids[:3]})
    verdict = judge(record_with([broken]), 2.0)
    assert verdict.status == "inconclusive"
    assert "gave NaN or infinity on 3 of 20 inputs" in verdict.sentence
    assert judge(record_with([changed(broken, 50.0, 40.0, 60.0)]), 2.0).status == "fail"


@pytest.mark.parametrize(
    ("limit", "status"), [(50.0, "pass"), (9.0, "inconclusive"), (0.1, "fail")]
)
def test_the_mean_score_is_judged_by_its_paired_interval(limit: float, status: str) -> None:
    record = graded("detection:0.5")
    judged = judge(record, limit, "worst-7", of_scores=True).judgements[0]
    in_float = np.linspace(0.4, 1.0, 60)
    apart = score_change(in_float, in_float - 0.1, 0.1)
    assert (apart.low, apart.high) != (None, None)
    assert judged.drop_pp == pytest.approx(10.0)
    assert judged.low == pytest.approx(-100 * float(apart.high or 0))
    assert judged.high == pytest.approx(-100 * float(apart.low or 0))
    assert judged.status == status
    # One that loses nothing does not pass for that: few examples tell little.
    assert judge(record, 0.1, "uniform-7", of_scores=True).status == "inconclusive"


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (graded("detection:0.5"), "the mean F1 of boxes drops by 10.0 points"),
        (graded("iou:0.02"), "the mean IoU drops by 10.0 points"),
        (graded("ctc"), "the mean symbol error rate rises by 10.0 points"),
        (graded("continuation:20", by_words=True), "the mean word error rate rises by 10.0 points"),
        (graded("py:own:task"), "the mean score drops by 10.0 points"),
    ],
)
def test_a_mean_score_is_told_in_the_words_of_its_task(record: Record, says: str) -> None:
    sentence = judge(record, 3.0, "worst-7", of_scores=True).sentence
    assert says in sentence
    assert sentence.endswith("3 points are allowed: too few examples to tell.")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (graded("iou:0.02"), "the share of examples with 98 % of positions or more as labelled"),
        (graded("positions"), "the share of examples with every position as labelled drops by"),
        (graded("ctc"), "the share of examples with the whole string as labelled drops by"),
        (graded("detection:0.5", labelled=False), "no longer have all boxes as in float (95 %"),
        (graded("embedding:0.99", labelled=False), "have a cosine of 0.99 or more as in float"),
        (graded("verification:0.6"), "accuracy drops by"),
    ],
)
def test_decisions_are_told_in_the_words_of_their_task(record: Record, says: str) -> None:
    assert says in judge(record, 2.0, "worst-7").sentence


def test_single_choices_have_no_score_to_judge() -> None:
    with pytest.raises(InputError, match=r"is one class, which has no score .*; give --max-drop$"):
        judge(BASE, 2.0, of_scores=True)
    with pytest.raises(InputError, match="--max-score-drop must be 0 or more points, not -1"):
        judge(graded("ctc"), -1.0, of_scores=True)
