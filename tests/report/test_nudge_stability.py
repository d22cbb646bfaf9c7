"""Flips under a nudged input: counted right, and said honestly."""

import pytest

from bitcliff.record import ExampleRow, Outcome, PolicyResult, Record
from bitcliff.report.nudge_stability import (
    any_repeated,
    count_stays,
    nudged_right,
    nudged_sentence,
    repeats_sentence,
    repeats_short,
)
from bitcliff.stats import rate
from tests.report.example_record import Variant, example_record


def worst(record: Record) -> PolicyResult:
    return record.by_name["worst-7"]


@pytest.mark.parametrize(
    ("before", "prediction", "repeats", "expected"),
    [
        (1, 2, [2, 2, 2], (3, 3)),
        (1, 2, [2, 1, 2], (2, 3)),
        (1, 2, [3, 4, 2], (3, 3)),  # another wrong answer is a flip as well
        (1, 2, [None, 2, 2], (2, 3)),  # NaN shows no flip
        (1, 1, [2, 2, 2], None),  # no flip was found
        (1, None, [2, 2, 2], None),
        (None, 2, [2, 2, 2], None),
        (1, 2, None, None),
        (1, 2, [], None),
    ],
)
def test_count(
    before: int | None,
    prediction: int | None,
    repeats: list[int | None] | None,
    expected: tuple[int, int] | None,
) -> None:
    outcome = Outcome(prediction=prediction, margin=-1.0, repeats=repeats)
    row = ExampleRow(
        id="a", label=1, float_prediction=before, float_margin=1.0, outcomes={"worst-7": outcome}
    )
    assert count_stays(row, outcome) == expected


def test_the_records_rate_follows_from_its_examples() -> None:
    record = example_record(Variant(fragile=4))
    policy = worst(record)
    counts = [count_stays(row, row.outcomes["worst-7"]) for row in record.examples]
    stays = [stay == of for stay, of in filter(None, counts)]
    assert policy.repeated is not None
    assert (policy.repeated.k, policy.repeated.n) == (sum(stays), len(stays)) == (6, 10)


@pytest.mark.parametrize(
    ("stay", "found", "start", "end"),
    [
        (19, 19, "19 of the 19 flips found under worst-7 stay in all 3 repeats with the image",
         "nudged by one part in a million: they do not hang on one machine’s rounding."),
        (17, 19, "17 of the 19 flips",
         ": these do not hang on one machine’s rounding; the others may not show elsewhere."),
        (18, 19, "18 of the 19 flips",
         ": these do not hang on one machine’s rounding; the other may not show elsewhere."),
        (5, 19, "Only 5 of the 19 flips found under worst-7 stay",
         ": the others hang on the last digits and may not show elsewhere."),
        (1, 2, "Only 1 of the 2 flips found under worst-7 stays",
         ": the other hangs on the last digits and may not show elsewhere."),
        (0, 19, "None of the 19 flips",
         ": they hang on the last digits and may not show elsewhere."),
        (0, 1, "None of the 1 flip found",
         ": it hangs on the last digits and may not show elsewhere."),
        (1, 1, "1 of the 1 flip found", ": it does not hang on one machine’s rounding."),
    ],
)  # fmt: skip
def test_many_and_few_are_told_apart(stay: int, found: int, start: str, end: str) -> None:
    record = example_record()
    policy = worst(record).model_copy(update={"repeated": rate(stay, found)})
    sentence = repeats_sentence(record, policy)
    assert sentence.startswith(start)
    assert sentence.endswith(end)
    short = repeats_short(record, policy)
    assert sentence.startswith(short[:-1])
    assert short.endswith("nudged by one part in a million.")


def test_nothing_is_said_where_nothing_is_known() -> None:
    record = example_record(Variant(repeats=0))
    policy = worst(record)
    none_found = policy.model_copy(update={"repeated": rate(0, 0)})
    for one in (None, policy, none_found):
        assert repeats_short(record, one) == repeats_sentence(record, one) == ""
    assert not any_repeated(record)
    assert any_repeated(example_record())


def test_how_often_is_counted_from_the_examples() -> None:
    once = example_record(Variant(repeats=1))
    assert " stay in the repeat with " in repeats_short(once, worst(once))
    many = example_record(Variant(repeats=5))
    assert " stay in all 5 repeats with " in repeats_short(many, worst(many))


def test_what_is_right_under_the_nudge_is_counted_from_the_examples() -> None:
    record = example_record(Variant(fragile=4))
    policy = worst(record)
    by_hand = [
        sum((row.outcomes["worst-7"].repeats or [])[number] == row.label for row in record.examples)
        for number in range(3)
    ]
    assert nudged_right(record, policy) == by_hand
    text = nudged_sentence(record, policy)
    assert policy.accuracy is not None
    assert f"of 20 are right instead of {policy.accuracy.k}." in text
    assert nudged_sentence(example_record(Variant(labelled=False)), policy) != text
    assert nudged_sentence(record, None) == ""
