"""The policies' table: every policy once, and each cell what the record says."""

import re

import pytest

from bitcliff.report.html import Sections, render_html
from bitcliff.report.policies import policy_groups
from bitcliff.verdict import judge
from tests.report.example_record import Variant, example_record


def cells(variant: Variant, name: str, table: int = 0) -> list[str]:
    """The texts of a policy's row in the main table, or in the one with the remaining columns."""
    record = example_record(variant)
    page = render_html(record, judge(record, 2.0), Sections())
    rows = [
        [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    ]
    mine = [row for row in rows if row and row[0][:1] == [name]]
    return [" ".join(cell) for cell in mine[table]]


def test_every_policy_once_in_the_reports_order() -> None:
    record = example_record()
    groups = policy_groups(record)
    names = [policy.name for _, policies in groups for policy in policies]
    assert sorted(names) == sorted(policy.name for policy in record.policies)
    assert [family.kind for family, _ in groups] == [
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
    change = record.by_name["worst-7"].change
    assert change is not None
    assert change.p_value == 2 / 2**10
    name, mean, share, _, lost, gained, delta, p_holm, verdict = cells(Variant(), "worst-7")
    assert name == "worst-7 fails"
    assert mean == "7"
    assert share.startswith("40.0 % (8/20) 19.1 to 63.9 %")  # Clopper-Pearson of 8 in 20
    assert (lost, gained) == ("10", "0")
    assert delta.startswith("−50.0 ")
    assert p_holm == f"{change.p_holm:.3f}"
    assert verdict == "fails"
    more = cells(Variant(), "worst-7", table=1)
    assert more[1] == "allocation"
    assert more[5:7] == ["9/10", "0.002"]
    assert more[-1] == "48,000 forward, 160 backward"


def test_a_policy_on_half_the_examples_stands_beside_float_on_that_half() -> None:
    record = example_record()
    half = [row for row in record.examples if "worst-static-7" in row.outcomes]
    right = sum(row.float_prediction == row.label for row in half)
    assert (right, len(half)) == (9, 10)
    assert f"float on the same: {right}/{len(half)}" in cells(Variant(), "worst-static-7")[2]
    assert "float on the same" not in cells(Variant(), "worst-7")[2]


@pytest.mark.parametrize("name", ["uniform-7", "best-7"])
def test_flips_that_do_not_repeat_are_a_dash(name: str) -> None:
    assert cells(Variant(), name, table=1)[5] == "–"


def test_no_flip_comes_with_its_bound() -> None:
    # One-sided 95 %: 1 - 0.05^(1/20)
    assert cells(Variant(), "uniform-7", table=1)[4] == "0/20 (≤ 13.9 %)"
    assert cells(Variant(), "uniform-7")[-1] == ""


def test_random_tells_its_range() -> None:
    distribution = example_record().by_name["random-7"].distribution
    assert distribution is not None
    assert distribution.accuracy is not None
    counts = [draw.k for draw in distribution.accuracy]
    assert cells(Variant(), "random-7")[2].endswith(f"{min(counts)} to {max(counts)} over 20 draws")


def test_without_labels_there_are_no_label_columns() -> None:
    assert len(cells(Variant(labelled=False), "worst-7")) == 6
    assert len(cells(Variant(), "worst-7")) == 9


def test_numeric_failures_show() -> None:
    assert "NaN 3/20" in cells(Variant(failures=True), "worst-7")[0]
    assert "NaN" not in cells(Variant(failures=True), "worst-8")[0]
