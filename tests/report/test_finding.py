"""The finding's sentences against counts made from the examples by hand."""

import pytest

from bitcliff.record import ExampleRow, Record
from bitcliff.report.finding import find
from tests.a_record import with_conditions
from tests.report.example_record import Variant, example_record, graded


def right(record: Record, name: str) -> set[str]:
    return {
        row.id
        for row in record.examples
        if name in row.outcomes and row.outcomes[name].prediction == row.label
    }


def float_right(record: Record) -> set[str]:
    return {row.id for row in record.examples if row.float_prediction == row.label}


def test_the_cliff() -> None:
    record = example_record()
    finding = find(record)
    assert len(right(record, "uniform-7")) == 18
    assert len(right(record, "worst-7")) == 8
    assert finding.title == (
        "The same 7 bits a layer: 18 of 20 right when allocated evenly, "
        "8 of 20 when allocated badly (3 to 10 each)"
    )
    assert len(float_right(record) - right(record, "worst-7")) == 10
    assert finding.loss == (
        "With the same total of bits, allocated badly, 10 of 18 right answers are lost; "
        "allocated evenly, none."
    )
    assert finding.at_random is not None
    assert finding.at_random.name == "random-7"
    assert not finding.cheaper


def test_the_mean_of_the_largest_gap_is_chosen() -> None:
    record = example_record()
    gaps = {
        mean: len(right(record, f"uniform-{mean}")) - len(right(record, f"worst-{mean}"))
        for mean in (7, 8, 9)
    }
    assert find(record).mean == max(gaps, key=lambda mean: gaps[mean]) == 7


def test_of_equal_gaps_the_dearer_is_chosen() -> None:
    record = example_record(Variant(budgets=(6, 8, 9)))
    assert len(right(record, "worst-8")) == len(right(record, "worst-9")) == 9
    assert find(record).mean == 9


def test_no_cliff() -> None:
    finding = find(example_record(Variant(cliff=False)))
    assert finding.title == (
        "7 bits a layer: 18 of 20 right when allocated evenly, "
        "18 in the worst way found (3 to 10 each)"
    )
    assert finding.loss == (
        "With the same total of bits, allocated badly, none of 18 right answers is lost; "
        "allocated evenly, none."
    )


def test_no_labels() -> None:
    finding = find(example_record(Variant(labelled=False)))
    assert finding.title == (
        "The same 7 bits a layer: 20 of 20 answered as in float when allocated evenly, "
        "10 of 20 when allocated badly (3 to 10 each)"
    )
    assert "10 of 20 answers are changed; allocated evenly, none." in finding.loss


def test_no_even_policy_at_that_mean() -> None:
    record = example_record(Variant(budgets=(5.5,)))
    finding = find(record)
    assert finding.cheaper
    assert finding.even is not None
    assert finding.even.name == "uniform-5"
    assert finding.title == (
        "Allocated evenly, 5 bits a layer leave 11 of 20 right; "
        "allocated badly (3 to 10 each), 5.5 leave 8"
    )
    assert finding.loss == (
        "With 5.5 bits a layer, allocated badly, 10 of 18 right answers are lost; "
        "with an even 5, 7."
    )


def test_no_even_policy_at_all() -> None:
    finding = find(example_record(Variant(uniform=False, budgets=(7,))))
    assert finding.even is None
    assert (
        finding.title
        == "Allocated badly (3 to 10 each), 7 bits a layer leave 8 of 20 right; in float it is 18"
    )
    assert finding.loss == "Allocated badly, 10 of 18 right answers are lost."


def test_no_adversary() -> None:
    finding = find(example_record(Variant(adversary=False)))
    assert finding.worst is None
    assert (
        finding.title == "Allocated evenly, 7 bits a layer leave 18 of 20 right; in float it is 18"
    )
    assert finding.loss == "Allocated evenly, none of 18 right answers is lost."


def test_nothing_but_float() -> None:
    record = example_record(Variant(uniform=False, adversary=False))
    bare = with_conditions(record, lambda _one: False)
    assert find(bare).title == "In float, 18 of 20 are right; nothing to compare it with"
    assert find(bare).loss == "No quantized network was measured."
    empty = example_record(Variant(n=0))
    assert find(empty).title.startswith("In float, 0 of 0")


def test_numeric_failures_leave_both_sides() -> None:
    """Three inputs have no answer under worst-7, so they count for nobody."""
    record = example_record(Variant(failures=True, budgets=(7,)))
    finding = find(record)
    common = [row for row in record.examples if row.outcomes["worst-7"].prediction is not None]
    if finding.worst is not None and finding.worst.name == "worst-7":
        assert finding.float_rate.n == len(common) == 17
    assert finding.even_rate is not None
    assert finding.worst_rate is not None
    assert finding.even_rate.n == finding.worst_rate.n == finding.float_rate.n


def test_a_fixed_placement_is_the_second_choice_and_compared_on_its_own_half() -> None:
    record = with_conditions(
        example_record(),
        lambda one: one.threat != "allocation" or one.name == "worst-static-7",
    )
    finding = find(record)
    half: list[ExampleRow] = [r for r in record.examples if "worst-static-7" in r.outcomes]
    ids = {row.id for row in half}
    assert finding.even_rate is not None
    assert finding.worst_rate is not None
    assert (finding.even_rate.k, finding.even_rate.n) == (
        len(right(record, "uniform-7") & ids),
        len(half),
    )
    assert finding.worst_rate.k == len(right(record, "worst-static-7"))


@pytest.mark.parametrize(
    "variant",
    [
        Variant(),
        Variant(cliff=False),
        Variant(labelled=False),
        Variant(uniform=False),
        Variant(adversary=False),
        Variant(n=0),
        Variant(n=1),
        Variant(budgets=(4, 5.5)),
    ],
)
def test_sentences_are_whole(variant: Variant) -> None:
    finding = find(example_record(variant))
    assert finding.loss.endswith(".")
    assert not finding.title.endswith(".")
    assert "None" not in finding.title + finding.loss
    assert finding.title[0].isupper() or finding.title[0].isdigit()


def test_what_is_scored_is_told_in_the_words_of_its_task() -> None:
    found = find(graded("detection:0.5"))
    assert "with all boxes as labelled when allocated evenly" in found.title
    assert found.loss.endswith(
        " The mean F1 of boxes is 70.0\u00a0% in float, 70.0\u00a0% evenly, 60.0\u00a0% badly."
    )
    found = find(graded("ctc"))
    assert found.loss.endswith(
        "error rate is 30.0\u00a0% in float, 30.0\u00a0% evenly, 40.0\u00a0% badly."
    )
    found = find(graded("iou:0.02", labelled=False))
    assert "with 98 % of positions or more as in float when allocated evenly" in found.title
    assert found.loss.endswith(" The mean IoU is 70.0\u00a0% evenly, 60.0\u00a0% badly.")
