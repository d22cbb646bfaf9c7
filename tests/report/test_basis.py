"""Which examples a policy speaks of, against counts made by hand."""

from bitcliff.report.basis import float_on_same, is_partial, partial_notes, same_text
from tests.report.example_record import Variant, example_record


def test_float_on_the_same_examples() -> None:
    record = example_record()
    policies = record.by_name
    # Every second of 20 images, and float is wrong on the last two of the 20.
    same = float_on_same(record, policies["worst-static-7"])
    assert same is not None
    assert (same.k, same.n) == (9, 10)
    assert is_partial(record, policies["worst-static-7"])
    assert not is_partial(record, policies["worst-7"])
    assert same_text(record, policies["worst-7"]) == ""


def test_the_drop_is_float_on_the_same_minus_quantized() -> None:
    record = example_record(Variant(failures=True))
    for policy in record.policies:
        same = float_on_same(record, policy)
        assert same is not None
        assert policy.accuracy is not None
        assert policy.change is not None
        assert policy.change.difference_pp is not None
        assert same.n == policy.accuracy.n
        drop = 100 * (policy.accuracy.k - same.k) / same.n
        assert abs(policy.change.difference_pp - drop) < 1e-9


def test_numeric_failures_count_for_nobody() -> None:
    assert partial_notes(example_record(Variant(failures=True))) == [
        "worst-7: measured on 17 of 20 images; float has 15 of these 17 right.",
        "worst-static: measured on 10 of 20 images; float has 9 of these 10 right.",
    ]


def test_without_labels() -> None:
    record = example_record(Variant(labelled=False))
    assert all(float_on_same(record, policy) is None for policy in record.policies)
    assert partial_notes(record) == ["worst-static: measured on 10 of 20 images."]


def test_nothing_to_say_where_all_are_measured_alike() -> None:
    assert partial_notes(example_record(Variant(adversary=False))) == []
    assert partial_notes(example_record(Variant(n=0))) == []
