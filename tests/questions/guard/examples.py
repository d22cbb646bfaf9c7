"""Examples as a guard's measurement observes them, made up, and the record made of them."""

import numpy as np
import numpy.typing as npt

from bitcliff.questions.guard.record import (
    CALIBRATE,
    FIT,
    REPORT,
    Exported,
    GuardObserved,
    GuardRecord,
    Timed,
)
from bitcliff.questions.guard.statistics import SIGNALS, exportable, flagged_by
from bitcliff.questions.guard.store import GUARD
from bitcliff.types.guard import GuardSettings
from tests.report.example_record import HOSTILE as HOSTILE_NAMES
from tests.report.example_record import N_POINTS, Variant, example_record

HOSTILE = " ".join(HOSTILE_NAMES)
ALPHA, DELTA = 0.1, 0.2


def population(
    n: int, seed: int = 0
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]:
    """Signals, and which examples are lost: the nearer to a tie and the larger the error."""
    rng = np.random.default_rng(seed)
    signals = {name: rng.normal(size=n) for name in SIGNALS}
    signals["entropy"] = -signals["margin"] + 0.5 * signals["entropy"]
    chance = 1 / (1 + np.exp(2 + 2 * signals["margin"] - signals["error"]))
    return signals, rng.random(n) < chance


def observed(
    n: int = 120,
    labelled: bool = True,
    exported: bool = True,
    signals: str = "margin",
    lost: npt.NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> GuardObserved:
    """Every third example is for each part. Float says 1, the label is 1 but for every tenth."""
    shows, gone = population(n, seed)
    gone = gone if lost is None else lost
    labels = np.where(np.arange(n) % 10 == 9, 2, 1).astype(np.int32)
    like = example_record(
        Variant(n=1, uniform=False, adversary=False, budgets=(7,), hostile=True, labelled=labelled)
    )
    settings = GuardSettings.model_validate(
        {
            "bits": 5,
            "alpha": ALPHA,
            "delta": DELTA,
            "against": "label" if labelled else "float",
            "signals": signals,
            "seed": like.provenance.seed,
        }
    )
    found = GuardObserved(
        provenance=like.provenance,
        subject=like.subject.model_copy(update={"n_examples": n}),
        settings=settings,
        numerics=HOSTILE,
        formula=HOSTILE,
        isolated=False,
        ids=[HOSTILE, *map(str, range(1, n))],
        labels=labels if labelled else None,
        part=np.array([FIT, CALIBRATE, REPORT] * n, dtype=np.int32)[:n],
        float_prediction=np.ones(n, dtype=np.int32),
        prediction=np.where(gone, 3, 1).astype(np.int32),
        signals=shows,
        usual_peaks=np.ones(N_POINTS),
        seconds=Timed(in_float=0.03, quantized=0.01, with_signals=0.011),
    )
    if not exported:
        return found
    report = found.part == REPORT
    flags = flagged_by(found, exportable(found.settings))[report].astype(np.int32)
    flags[:1] = 1 - flags[:1]
    file = Exported(
        sha256="0" * 64,
        runtime=HOSTILE,
        needs_float=flags,
        prediction=found.prediction[report],
    )
    return found.model_copy(update={"exported": file})


def record(**more: object) -> GuardRecord:
    return GUARD.of(observed(**more))  # type: ignore[arg-type]
