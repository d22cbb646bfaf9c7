"""Which examples a policy speaks of, against counts made by hand."""

import pytest

from bitcliff.record import Condition, ExampleRow, Outcome, Record
from bitcliff.report.basis import (
    batches_note,
    chance,
    float_on_same,
    is_partial,
    output_note,
    partial_notes,
    same_text,
    warnings,
)
from bitcliff.verdict import judge
from tests.a_record import record_of_rows, with_subject
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


def answering(pairs: list[tuple[int, int]]) -> Record:
    """Labels, and what float predicts of them; in a runtime all is as in float."""
    condition = Condition(kind="runtime", description="", runtime="a-runtime", batch_size=1)
    rows = [
        ExampleRow(str(place), label, found, 1.0 if label == found else -1.0,
                   {"a-runtime": Outcome(found, 1.0 if label == found else -1.0)})
        for place, (label, found) in enumerate(pairs)
    ]  # fmt: skip
    observed = example_record().observed
    against_labels = observed.settings.changed(margin="label")
    observed = observed.model_copy(update={"settings": against_labels})
    return record_of_rows(observed, rows, [condition])


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        # Of ten classes 12 of 100: what features instead of classes gave.
        (
            [(n % 10, n % 10 if n < 12 else (n + 1) % 10) for n in range(100)],
            "12.0\u00a0% (12/100)",
        ),
        # Always the same answer, right on 80 of 100, which any other constant network may be.
        ([(int(n >= 80), 0) for n in range(100)], "80.0\u00a0% (80/100)"),
        ([(n % 10, (n + (n >= 30)) % 10) for n in range(100)], ""),
        ([(0, 0), (1, 1), (2, 2)], ""),  # all right: nothing speaks against it
        ([(3, 3)] * 9 + [(3, 4)], ""),  # one label tells nothing
    ],
)
def test_float_that_does_as_well_as_chance_is_warned_of(
    pairs: list[tuple[int, int]], told: str
) -> None:
    found = warnings(answering(pairs))
    assert len(found) == bool(told)
    assert all(f"only {told} of the examples" in text and "interval" in text for text in found)


def test_chance_is_that_of_shuffled_answers_or_of_the_labels() -> None:
    assert chance(answering([(0, 0), (0, 0), (0, 0), (1, 0)])) == 0.75
    assert chance(answering([(0, 5), (1, 6)])) == 0.5
    assert chance(example_record(Variant(labelled=False))) is None


def test_float_that_depends_on_its_batch_is_warned_of_and_does_not_pass() -> None:
    alone, batch = (
        Condition(kind="runtime", description="", runtime="a-runtime", batch_size=size)
        for size in (1, 8)
    )
    rows = [
        ExampleRow(str(n), n % 2, 0, 1.0 if n % 2 == 0 else -1.0, {
            alone.name: Outcome(0, 1.0 if n % 2 == 0 else -1.0),
            batch.name: Outcome(n % 2, 1.0, in_float=n % 2),
        })
        for n in range(400)
    ]  # fmt: skip
    record = record_of_rows(example_record().observed, rows, [alone, batch])
    # The batch changes 200 answers, and does so in float: nothing is lost to the runtime.
    assert [one.flips.all.k for one in record.policies] == [0, 0]
    assert "-batch, 8 examples shared a batch;" in batches_note(record)
    assert batches_note(example_record()) == ""
    assert record.float_otherwise == (8, 200)
    assert record.at_risk == []
    told = next(one for one in warnings(record) if "in batches of 8 it answers 200 of 400" in one)
    assert told.endswith(
        "what is measured in such batches is compared with float in the same batches."
    )
    verdict = judge(record, 2.0)
    assert verdict.status == "inconclusive"
    assert "even in float the answer depends on the batch" in verdict.sentence


def test_of_several_outputs_the_judged_one_is_named() -> None:
    record = example_record()
    assert output_note(record) == ""
    several = with_subject(record, output="logits", other_outputs=["features (batch, 32)"])
    assert output_note(several) == "Judged is the output logits, and not features (batch, 32)."
