"""Two runs on the same examples, against counts by hand and other libraries' tests."""

import numpy as np
import pytest
from scipy.stats import binomtest

from bitcliff.errors import InputError
from bitcliff.record import Record, Table, record_of
from bitcliff.record.across import Across, compare_runs, examples_that_match
from tests.a_record import renamed
from tests.multitest import holm_by_statsmodels

N, FLOAT = 40, "float"


def with_table(record: Record, **changes: object) -> Record:
    table = record.table.model_copy(update=changes)
    return record_of(record.observed.model_copy(update={"examples": table}))


def with_data(record: Record, sha256: str) -> Record:
    source = record.provenance.model_copy(update={"data_sha256": sha256})
    return record_of(record.observed.model_copy(update={"provenance": source}))


def with_wrong(record: Record, name: str, places: list[int]) -> Record:
    """The same run, decided wrongly at these places under one condition."""
    measured = []
    for one in record.observed.conditions:
        if one.name == name:
            labels = record.table.targets
            prediction = one.outcomes.prediction.copy()
            prediction[places] = (labels[places] + 1) % 10
            margin = one.outcomes.margin.copy()
            against_label = record.settings.margin == "label"
            reference = labels if against_label else record.table.prediction
            other = prediction[places] != reference[places]
            margin[places] = np.where(other, -1.0, 1.0)
            changes = {"prediction": prediction, "margin": margin}
            outcomes = one.outcomes.model_copy(update=changes)
            one = one.model_copy(update={"outcomes": outcomes})
        measured.append(one)
    return record_of(record.observed.model_copy(update={"conditions": measured}))


def named(found: list[Across], name: str) -> Across:
    return next(one for one in found if one.name == name)


def test_a_run_against_itself_has_not_changed(record: Record) -> None:
    found = compare_runs(record, record)
    assert [one.name for one in found] == [FLOAT, *(policy.name for policy in record.policies)]
    for one in found:
        assert one.direction == 0
        assert one.lost == ()
        assert one.p_holm == 1.0
        assert not one.pair.differ.any()


def test_planted_losses_are_counted_named_and_tested(record: Record) -> None:
    right = np.flatnonzero(record.outcomes["uniform-8"].prediction == record.table.targets)
    hurt = right[:12].tolist()
    after = with_wrong(record, "uniform-8", hurt)
    found = compare_runs(record, after)
    one = named(found, "uniform-8")
    assert one.lost == tuple(record.table.ids[place] for place in hurt)
    assert one.points is not None
    assert one.points[0] == pytest.approx(-100 * 12 / N)
    assert one.points[1] < one.points[0] < one.points[2] < 0
    # The exact paired test is binomial over the pairs that differ; all conditions are one family.
    p_values = [1.0 if one.change is None else one.change.p_value for one in found]
    assert p_values[found.index(one)] == pytest.approx(binomtest(0, 12).pvalue)
    adjusted = holm_by_statsmodels(p_values)
    assert [one.p_holm for one in found] == pytest.approx(list(adjusted))
    assert [one.name for one in found if one.direction] == ["uniform-8"]
    assert one.direction == -1
    assert named(compare_runs(after, record), "uniform-8").direction == 1


def test_what_was_measured_on_one_half_is_compared_on_that_half(record: Record) -> None:
    one = named(compare_runs(record, record), "worst-static-2.5")
    assert int(one.pair.both.sum()) == N // 2
    assert one.failures == (0, 0)


def test_without_labels_decisions_are_compared(record: Record) -> None:
    before = with_table(record, labels=None)
    subject = record.subject.model_copy(update={"labelled": False})
    before = record_of(before.observed.model_copy(update={"subject": subject}))
    after = with_wrong(before, "uniform-8", [3, 5])
    one = named(compare_runs(before, after), "uniform-8")
    assert (one.change, one.p_holm, one.direction) == (None, None, 0)
    assert one.lost == (before.table.ids[3], before.table.ids[5])


def test_scores_are_compared_where_an_outcome_is_no_single_choice(record: Record) -> None:
    before = with_table(record, score=np.ones(N))
    after = with_table(record, score=np.r_[np.zeros(10), np.ones(N - 10)])
    one = named(compare_runs(before, after), FLOAT)
    assert one.points is not None
    assert one.points[0] == pytest.approx(-25)
    assert one.direction == -1


def test_an_effort_that_is_not_alike_is_told(record: Record) -> None:
    first = record.observed.conditions[0]
    effort = first.effort.model_copy(update={"method": "twice as hard"})
    measured = [first.model_copy(update={"effort": effort}), *record.observed.conditions[1:]]
    after = record_of(record.observed.model_copy(update={"conditions": measured}))
    methods = [one.methods for one in compare_runs(record, after) if one.methods]
    assert methods == [(first.effort.method, "twice as hard")]


def test_other_examples_are_refused_with_how_many_match(record: Record) -> None:
    other = renamed(record, "digit-1400", "digit-0")
    with pytest.raises(InputError, match="of 40 and 40, 39 match by name and label"):
        compare_runs(record, other)
    labels = record.table.targets.copy()
    labels[:4] = (labels[:4] + 1) % 10
    with pytest.raises(InputError, match="of 40 and 40, 36 match"):
        compare_runs(record, with_table(record, labels=labels))
    turned = with_table(record, ids=record.table.ids[::-1], labels=record.table.targets[::-1])
    with pytest.raises(InputError, match="in another order, though all 40 match"):
        compare_runs(record, turned)


def test_other_data_under_the_same_names_need_a_word(record: Record) -> None:
    other = with_data(record, "2" * 64)
    with pytest.raises(InputError, match=r"all 40 names and labels match, but what .* --by-name"):
        compare_runs(record, other)
    assert compare_runs(record, other, by_name=True)[0].name == FLOAT


def test_matches_are_counted_whatever_the_order(record: Record) -> None:
    table = record.table
    half = Table(
        ids=table.ids[::-2],
        labels=None if table.labels is None else table.labels[::-2].copy(),
        prediction=table.prediction[::-2].copy(),
        margin=table.margin[::-2].copy(),
    )
    assert examples_that_match(table, half) == len(half) == N // 2
