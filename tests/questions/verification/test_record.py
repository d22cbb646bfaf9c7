"""A verification that contradicts its record is refused where it is read."""

from typing import Any

import pytest

from bitcliff.errors import InputError
from bitcliff.questions.verification.record import Verification, VerifiedPoint, VerifiedPolicy
from bitcliff.records import Record, check_record
from bitcliff.stats import rate
from tests.report.example_record import example_record


def verified(**changes: Any) -> Record:
    """An example's record with its first worst case verified."""
    record = example_record()
    policy = next(one for one in record.policies if one.name.startswith("worst"))
    n = sum(policy.name in row.outcomes for row in record.examples)
    points = [
        VerifiedPoint(name=point.name, values=9, rounded_alike=9, equal=7, same_level=8)
        for point in record.subject.points
        if point.quantized
    ]
    fields: dict[str, Any] = {
        "policy": policy.name,
        "decisions": rate(n, n),
        "allocations": None,
        "largest_difference": 0.1,
        "compared": 1,
        "rows": 4,
        "float64_rows": 0,
        "points": points,
    }
    found = Verification(
        runtime="onnxruntime 1.0",
        export_seconds=1.0,
        seconds_ours=0.1,
        seconds_runtime=0.1,
        policies=[VerifiedPolicy(**(fields | changes))],
    )
    return record.model_copy(update={"verification": found})


def test_a_whole_one_is_taken() -> None:
    record = verified()
    check_record(record)
    assert record.verification is not None
    assert record.verification.agrees
    assert record.verification.policies[0].first_difference is not None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"decisions": rate(1, 1)}, "speaks of 1 examples"),
        ({"points": []}, "is of other points"),
        ({"policy": "worst-99"}, "speaks of"),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_record(verified(**changes))
