"""From what a network gave to outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Int
from torch import Tensor

from bitcliff.audit.evaluator import Scores, Symbols, margins
from bitcliff.record import Outcomes
from bitcliff.record.arrays import Floats, classes
from bitcliff.record.figures import median_draw

Predictions = Sequence[int | None]
"""One prediction an example; None on a numeric failure."""


@dataclass(frozen=True)
class Given:
    """What outcomes keep of scores, a few numbers an example; fields as `Outcomes` and `Scores`
    have them."""

    predictions: Predictions
    margin: Floats
    failed_at: tuple[str | None, ...]
    score: Floats | None
    symbols: Symbols | None


@dataclass(frozen=True)
class Trial:
    """Examples run under a condition.

    Attributes:
        index: (m,) the examples, by their place in the data.
        bits: (m, L) their allocations; None where activations stay in float.
        scores: what the network gave, in full or what is kept of it.
        method: how the bits came to be, in words.
        draws: for random policies, every draw's predictions; the others are those of the median.
        repeats: for searched policies, the predictions in each repeat with nudged inputs.
        in_float: float's predictions in the same batches, where they are not those of the table.
        plan: instead of bits, the format at each point, the same for all examples.
    """

    index: Int[Tensor, " m"]
    bits: Int[Tensor, "m points"] | None
    scores: Scores | Given
    method: str = "measured once"
    draws: Sequence[Predictions] | None = None
    repeats: Sequence[Predictions] | None = None
    in_float: Predictions | None = None
    plan: list[str] | None = None


def outcomes_of(trial: Trial, reference: Int[Tensor, " n"]) -> Outcomes:
    """What became of the trial's examples; `reference` is by place in the data."""
    given, places = trial.scores, trial.index.numpy().astype(np.int32)
    if isinstance(given, Scores):
        given = given_by(given, reference[trial.index])
    everyone = len(places) == len(reference) and bool((places == np.arange(len(places))).all())
    bits = None if trial.bits is None else trial.bits.numpy().astype(np.uint8)
    if bits is not None and len(bits) and bool((bits == bits[0]).all()):
        bits = bits[:1]
    return Outcomes(
        places=None if everyone else places,
        prediction=classes(given.predictions),
        margin=given.margin,
        failed_at={row: point for row, point in enumerate(given.failed_at) if point is not None},
        bits=bits,
        draws=_table(trial.draws),
        repeats=_table(trial.repeats),
        in_float=None if trial.in_float is None else classes(trial.in_float),
        plan=trial.plan,
        score=given.score,
    )


def given_by(scores: Scores, reference: Int[Tensor, " m"]) -> Given:
    """Scores cut down to what is kept; `reference` is what margins are measured against."""
    found = margins(scores.logits, reference).where(scores.finite, float("nan"))
    return Given(
        predictions_of(scores), found.numpy(), scores.failed_at, graded(scores), scores.symbols
    )


def graded(scores: Scores) -> Floats | None:
    """How much of each outcome is as is wanted, where that is no single choice."""
    if scores.shares is None:
        return None
    return scores.shares.where(scores.finite, float("nan")).double().numpy()


def predictions_of(scores: Scores) -> list[int | None]:
    """Argmax of each example, None on a numeric failure."""
    return [
        None if failed else prediction
        for prediction, failed in zip(scores.predictions.tolist(), scores.failed_at, strict=True)
    ]


def median_of(draws: Sequence[Predictions], targets: Predictions) -> int:
    """Which of a random policy's draws stands for it."""
    return median_draw(np.stack([classes(each) for each in draws]), classes(targets))


def _table(runs: Sequence[Predictions] | None) -> npt.NDArray[np.int32] | None:
    return None if runs is None else np.stack([classes(run) for run in runs])
