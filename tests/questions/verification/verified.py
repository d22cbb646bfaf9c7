"""A record of six examples whose worst case was verified; what the runtime predicts, by hand."""

from typing import Any

import numpy as np

from bitcliff.questions.verification.record import (
    KEY,
    Differing,
    PolicyObserved,
    VerificationObserved,
    VerifiedPoint,
)
from bitcliff.questions.verification.statistics import KIND
from bitcliff.record import Condition, ExampleRow, Outcome, Record, with_answer
from tests.a_record import record_of_rows
from tests.report.example_record import Variant, example_record

WORST = Condition(kind="worst", description="searched", mean_bits=5, total_bits=10)
BITS = np.array([[3, 7], [7, 3]] * 3, dtype=np.uint8)
POINTS = ("first", "second")


def bare_record(labelled: bool = True) -> Record:
    """Float predicts the label 0 of all but the last; simulated, three of six are flipped to 1."""
    predictions = [0, 0, 1, 1, 1, 2]
    rows = [
        ExampleRow(
            id=f"picture {place}",
            label=0 if labelled else None,
            float_prediction=2 if place == 5 else 0,
            float_margin=1.0,
            outcomes={
                WORST.name: Outcome(
                    prediction=prediction,
                    margin=-1.0 if prediction == 1 else 1.0,
                    bits=BITS[place].tolist(),
                )
            },
        )
        for place, prediction in enumerate(predictions)
    ]
    like = example_record(Variant(n=1, uniform=False, adversary=False, budgets=(7,))).observed
    quantized = [point for point in like.subject.points if point.quantized][: len(POINTS)]
    named = [
        point.model_copy(update={"name": name})
        for point, name in zip(quantized, POINTS, strict=True)
    ]
    subject = like.subject.model_copy(update={"points": named})
    return record_of_rows(like, rows, [WORST], subject=subject)


def policy(**changes: Any) -> PolicyObserved:
    """The runtime predicts the label of picture 3, which the simulation does not."""
    fields: dict[str, Any] = {
        "policy": WORST.name,
        "prediction": np.array([0, 0, 1, 0, 1, 2], dtype=np.int32),
        "margin": np.array([1.0, 1.25, -1.0, 0.5, np.nan, 1.0]),
        "bits": BITS,
        "compared": 2,
        "rows": 4,
        "float64_rows": 1,
        "points": [
            VerifiedPoint(name="first", values=9, rounded_alike=9, equal=9, same_level=9),
            VerifiedPoint(name="second", values=10, rounded_alike=10, equal=7, same_level=8),
        ],
        "differing": [
            Differing(
                id="picture 3", ours=1, margin=0.125, first_point="second", nudges=4, changed=3
            )
        ],
    }
    return PolicyObserved(**(fields | changes))


def observed(**changes: Any) -> VerificationObserved:
    """Of the one policy."""
    return VerificationObserved(
        runtime="onnxruntime 1.0",
        export_seconds=1.0,
        seconds_ours=0.1,
        seconds_runtime=0.05,
        policies=[policy(**changes)],
    )


def verified(labelled: bool = True, **changes: Any) -> Record:
    """The record with the verification."""
    return with_answer(bare_record(labelled), KEY, observed(**changes), KIND)
