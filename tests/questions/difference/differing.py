"""A record of eight examples in a format and in a runtime, all of it set by hand."""

from typing import Any

import numpy as np

from bitcliff.questions.difference.record import (
    KEY,
    DifferenceObserved,
    LayerObserved,
    LossObserved,
    PairObserved,
    SideObserved,
)
from bitcliff.questions.difference.statistics import KIND
from bitcliff.record import Condition, ExampleRow, Outcome, Record, with_answer
from tests.a_record import record_of_rows
from tests.report.example_record import Variant, example_record

A, B = "mxfp8-floor", "<b>ort"
IN_A = Condition(kind="numerics", description="8 bits", numerics=A, points_rounded=1)
IN_B = Condition(kind="runtime", description="8 bits", runtime=B, runtime_version="1", batch_size=1)
BATCH = IN_B.model_copy(update={"batch_size": 4})
POINTS = ("first", "second")
# Of each example under A, under B, and under B in batches: None is a numeric failure.
OUTCOMES = [
    (0, 0, 0), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (1, 2, 2), (0, None, 0), (0, 0, 0),
]  # fmt: skip
MARGINS = (1.0, 1.25, 1.5)
NATS = np.array([0, 0.5, 0.75, 1, 0, 0.25, np.nan, 0.125])


def bare_record(labelled: bool = True) -> Record:
    """The label is 0; float is right about all but the last, as it is run usually."""
    rows = [
        ExampleRow(
            id=f"<i>{place}",
            label=0 if labelled else None,
            float_prediction=int(place == 7),
            float_margin=1.0 if place < 7 else -1.0,
            outcomes={
                condition.name: Outcome(
                    prediction=prediction,
                    margin=None if prediction is None else size if prediction == 0 else -size,
                    failed_at="output" if prediction is None else None,
                )
                for condition, prediction, size in zip(
                    (IN_A, IN_B, BATCH), predictions, MARGINS, strict=True
                )
            },
        )
        for place, predictions in enumerate(OUTCOMES)
    ]
    like = example_record(Variant(n=1, uniform=False, adversary=False, budgets=(7,))).observed
    quantized = [point for point in like.subject.points if point.quantized][: len(POINTS)]
    points = [
        point.model_copy(update={"name": name})
        for point, name in zip(quantized, POINTS, strict=True)
    ]
    return record_of_rows(
        like,
        rows,
        [IN_A, IN_B, BATCH],
        subject=like.subject.model_copy(update={"points": points}),
        settings=like.settings.changed(
            budgets=(),
            numerics=(A,),
            compared=(A, B),
            margin="label" if labelled else "prediction",
        ),
    )


def layer(name: str, **changes: Any) -> LayerObserved:
    """The last example is not finite; of the others one has two of ten values rounded otherwise."""
    seen = np.array([1.0] * 7 + [np.nan])
    fields: dict[str, Any] = {
        "name": name,
        "values": 10,
        "arriving": np.array([0] * 7 + [-1], dtype=np.int32),
        "rounded": np.array([2] + [0] * 6 + [-1], dtype=np.int32),
        "signal": 4 * seen,
        "arriving_error": 0 * seen,
        "rounded_error": 7 * seen,
        "weights": 20,
        "other_weights": 5,
    }
    return LayerObserved(**(fields | changes))


def observed(**changes: Any) -> DifferenceObserved:
    """Two pairs, two layers, and where the values of A go at the second."""
    fields: dict[str, Any] = {
        "pairs": [
            PairObserved(a=A, b=B, divergence=NATS),
            PairObserved(a=A, b=f"{B}-batch", divergence=np.abs(np.nan_to_num(NATS))),
        ],
        "layers": [layer("first", rounded=layer("").arriving, weights=0, other_weights=0)],
        "sides": [SideObserved(name=A, losses=[loss()])],
    }
    fields["layers"].append(layer("second"))
    return DifferenceObserved(**(fields | changes))


def loss(**changes: Any) -> LossObserved:
    """Of 100 values a quarter of those that are not zero become so."""
    fields: dict[str, Any] = {
        "name": "second", "values": 100, "saturated": 5, "nonzero": 80, "underflowed": 20,
        "groups": 10, "floored": 1, "signal": 50.0, "error": 2.0,
    }  # fmt: skip
    return LossObserved(**(fields | changes))


def compared(labelled: bool = True, **changes: Any) -> Record:
    """With what was seen beside the outcomes."""
    return with_answer(bare_record(labelled), KEY, observed(**changes), KIND)
