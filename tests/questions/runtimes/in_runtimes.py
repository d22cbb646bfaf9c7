"""A record of 20 examples that were simulated on the way to a runtime, every flip set by hand."""

from collections.abc import Collection
from typing import Any

import numpy as np

from bitcliff.questions.runtimes.record import (
    KEY,
    OtherProcessor,
    RuntimeObserved,
    RuntimesObserved,
    Seconds,
    Simulated,
    SimulatedRung,
    Speed,
)
from bitcliff.questions.runtimes.statistics import KIND
from bitcliff.record import Condition, ExampleRow, Outcome, Record, with_answer
from tests.a_record import record_of_rows
from tests.report.example_record import Variant, example_record

N = 20
NAME, VERSION = "<b>ort", "ort 1"
ALONE = Condition(kind="runtime", description="8 bits", runtime=NAME, runtime_version=VERSION)
_SMALL = Variant(n=1, uniform=False, adversary=False, budgets=(7,))
BATCH = ALONE.model_copy(update={"batch_size": N})


def rung(name: Simulated, flipped: Collection[int], margin: float) -> SimulatedRung:
    """Class 1 for those that are flipped, class 0 for all others."""
    return SimulatedRung(name=name, words=f"what {name} changes", **_flipped(flipped, margin))


def elsewhere(flipped: Collection[int], **changes: Any) -> OtherProcessor:
    """The same; by default on processors whose sums are exact."""
    return OtherProcessor(**{"saturates": False, **_flipped(flipped, 1.0), **changes})


def _flipped(flipped: Collection[int], margin: float) -> dict[str, Any]:
    signs = np.array([-1.0 if place in flipped else 1.0 for place in range(N)])
    return {"prediction": (signs < 0).astype(np.int32), "margin": margin * signs}


def runtime(**changes: Any) -> RuntimeObserved:
    """Four flips at first, three with the weights as the runtime has them."""
    fields: dict[str, Any] = {
        "name": NAME,
        "version": VERSION,
        "description": "as it ships",
        "quantized": {"Conv": 20, "MatMul": 1},
        "in_float": {},
        "cpu_flags": [],
        "speed": Speed(
            batch_size=20,
            takes=7,
            quantized=Seconds(median=0.004, low=0.003, high=0.005),
            in_float=Seconds(median=0.002, low=0.001, high=0.003),
            simulation=Seconds(median=0.008, low=0.007, high=0.009),
        ),
        "rungs": [rung("simulation", range(4), 1.5), rung("weights", range(3), 1.25)],
        "left_out": ["folded: no trace"],
    }
    return RuntimeObserved(**(fields | changes))


def bare_record() -> Record:
    """Measured in the runtime, which flips nobody alone and one example in batches."""
    rows = [
        ExampleRow(
            id=str(place),
            label=0,
            float_prediction=0,
            float_margin=1.0,
            outcomes={
                ALONE.name: Outcome(prediction=0, margin=1.0),
                BATCH.name: Outcome(prediction=int(place == 5), margin=-1.1 if place == 5 else 1.1),
            },
        )
        for place in range(N)
    ]
    return record_of_rows(example_record(_SMALL).observed, rows, [ALONE, BATCH])


def observed(**changes: Any) -> RuntimesObserved:
    """Of the one runtime."""
    return RuntimesObserved(runtimes=[runtime(**changes)])


def record_in_runtimes(**changes: Any) -> Record:
    """With what was observed of the runtime."""
    return with_answer(bare_record(), KEY, observed(**changes), KIND)
