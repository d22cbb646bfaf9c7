"""What measuring one policy yields, in a form that can be stored and taken up again."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from bitcliff.assess.evaluate import Scores, margins
from bitcliff.records import Effort, Outcome
from bitcliff.records.schema import Threat


class Measured(BaseModel):
    """A policy's outcomes, by the examples' places in the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    threat: Threat
    description: str
    mean_bits: float | None
    total_bits: int | None
    policy_freedom_log2: float | None
    allocation: list[int] | None
    effort: Effort
    outcomes: dict[int, Outcome]


def outcomes_of(
    scores: Scores,
    reference: Int[Tensor, " m"],
    index: Int[Tensor, " m"],
    bits: Int[Tensor, "m points"] | None = None,
    draws: Sequence[Sequence[int | None]] | None = None,
) -> dict[int, Outcome]:
    """One outcome an example; `draws` holds every draw's predictions, (draws, m)."""
    found: Float[Tensor, " m"] = margins(scores.logits, reference)
    predictions = predictions_of(scores)
    return {
        place: Outcome(
            prediction=predictions[row],
            margin=None if scores.failed_at[row] else float(found[row]),
            failed_at=scores.failed_at[row],
            bits=None if bits is None else bits[row].tolist(),
            draws=None if draws is None else [draw[row] for draw in draws],
        )
        for row, place in enumerate(index.tolist())
    }


def predictions_of(scores: Scores) -> list[int | None]:
    """Argmax of each example, None on a numeric failure."""
    return [
        None if failed else prediction
        for prediction, failed in zip(scores.predictions.tolist(), scores.failed_at, strict=True)
    ]
