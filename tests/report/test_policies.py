"""The policies' table says what the record says."""

from bitcliff.report.policies import policy_groups
from bitcliff.verdict import judge
from tests.report.example_record import Variant, example_record


def rows(variant: Variant) -> dict[str, object]:
    record = example_record(variant)
    groups = policy_groups(record, judge(record, 2.0))
    return {row.name: row for group in groups for row in group.rows}


def test_every_policy_once_in_the_reports_order() -> None:
    record = example_record()
    groups = policy_groups(record, judge(record, 2.0))
    names = [row.name for group in groups for row in group.rows]
    assert sorted(names) == sorted(policy.name for policy in record.policies)
    assert [group.family.kind for group in groups] == [
        "weights-only",
        "uniform",
        "random",
        "random-static",
        "worst",
        "worst-evolutionary",
        "worst-static",
        "best",
    ]
    assert names[1:10] == [f"uniform-{bits}" for bits in range(2, 11)]


def test_cells_of_the_worst() -> None:
    record = example_record()
    groups = policy_groups(record, judge(record, 2.0))
    (row,) = (row for group in groups for row in group.rows if row.name == "worst-7")
    change = record.by_name["worst-7"].change
    assert row.share == "40.0\u00a0% (8/20)"
    assert row.share_interval == "19.1 to 63.9\u00a0%"  # Clopper-Pearson of 8 in 20
    assert (row.lost, row.gained, row.delta) == ("10", "0", "−50.0")
    assert row.p_value == "0.002"  # 2 / 2^10
    assert change is not None
    assert change.p_value == 2 / 2**10
    assert row.effort == "48,000 forward, 160 backward"
    assert row.status == "fail"
    assert row.threat == "allocation"


def test_a_policy_on_half_the_examples_stands_beside_float_on_that_half() -> None:
    record = example_record()
    half = [row for row in record.examples if "worst-static-7" in row.outcomes]
    right = sum(row.float_prediction == row.label for row in half)
    same = {name: row.same for name, row in rows(Variant()).items()}  # type: ignore[attr-defined]
    assert same["worst-static-7"] == f"float on the same: {right}/{len(half)}"
    assert (right, len(half)) == (9, 10)
    assert {name for name, text in same.items() if text} == {
        f"worst-static-{mean}" for mean in (7, 8, 9)
    }
    assert same["worst-7"] == ""


def test_flips_that_repeat() -> None:
    known = {name: row.repeated for name, row in rows(Variant()).items()}  # type: ignore[attr-defined]
    assert (known["worst-7"], known["uniform-7"], known["best-7"]) == ("9/10", "–", "–")
    unknown = rows(Variant(repeats=0)).values()
    assert {row.repeated for row in unknown} == {"–"}  # type: ignore[attr-defined]


def test_no_flip_comes_with_its_bound() -> None:
    record = example_record()
    groups = policy_groups(record, judge(record, 2.0))
    (row,) = (row for group in groups for row in group.rows if row.name == "uniform-7")
    # One-sided 95 %: 1 - 0.05^(1/20)
    assert row.flips == "0/20 (≤\u00a013.9\u00a0%)"
    assert row.status is None


def test_random_tells_its_range() -> None:
    record = example_record()
    groups = policy_groups(record, judge(record, 2.0))
    (row,) = (row for group in groups for row in group.rows if row.name == "random-7")
    policy = record.by_name["random-7"]
    assert policy.distribution is not None
    assert policy.distribution.accuracy is not None
    counts = [draw.k for draw in policy.distribution.accuracy]
    assert row.draws == f"{min(counts)} to {max(counts)} over 20 draws"


def test_without_labels_there_are_no_label_columns() -> None:
    for row in rows(Variant(labelled=False)).values():
        cells = (row.lost, row.gained, row.delta, row.p_value, row.worst_class)  # type: ignore[attr-defined]
        assert cells == ("–",) * 5


def test_numeric_failures_show() -> None:
    (failing,) = (
        row
        for row in rows(Variant(failures=True)).values()
        if row.any_failure  # type: ignore[attr-defined]
    )
    assert (failing.name, failing.failures) == ("worst-7", "3/20")  # type: ignore[attr-defined]
