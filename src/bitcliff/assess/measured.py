"""What measuring one policy yields, in a form that can be stored and taken up again."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from bitcliff.assess.evaluate import Scores, margins
from bitcliff.records import Effort, Outcome
from bitcliff.records.schema import Threat

Predictions = Sequence[int | None]
"""One prediction an example; None on a numeric failure."""


@dataclass(frozen=True)
class About:
    """What a policy is, before it is measured.

    Attributes:
        name: as in the record. description: in words.
        mean_bits: as asked for; total_bits: spent by every example, exactly, so that the mean spent
            may differ a little from the one asked for. None where activations stay in float.
        policy_freedom_log2: log2 of the number of allocations the policy could choose among.
        runtime: the name of the runtime that it was measured in; None: simulated here.
    """

    name: str
    description: str
    threat: Threat = "none"
    mean_bits: float | None = None
    total_bits: int | None = None
    policy_freedom_log2: float | None = None
    runtime: str | None = None

    @property
    def total(self) -> int:
        """The same total as a number: 0 where activations stay in float."""
        return self.total_bits or 0


@dataclass(frozen=True)
class Trial:
    """Examples run under a policy.

    Attributes:
        index: (m,) the examples, by their place in the data.
        bits: (m, L) their allocations; None where activations stay in float.
        scores: what the network said.
        method: how the bits came to be, in words.
        draws: for random policies, every draw's predictions; the others are those of the median.
        repeats: for searched policies, the predictions in each repeat with nudged inputs.
    """

    index: Int[Tensor, " m"]
    bits: Int[Tensor, "m points"] | None
    scores: Scores
    method: str = "measured once"
    draws: Sequence[Predictions] | None = None
    repeats: Sequence[Predictions] | None = None

    @property
    def shared_bits(self) -> list[int] | None:
        """The allocation that all examples have in common, if there is one."""
        if self.bits is None or not bool((self.bits == self.bits[0]).all()):
            return None
        return [int(width) for width in self.bits[0]]


class Measured(BaseModel):
    """A policy's outcomes, by the examples' places in the data.

    `strays` are calls that discovery had not seen; they make a run incomplete, also a resumed one.
    `broken` are the examples that gave NaN or infinity under any allocation that was tried.
    """

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
    broken: list[int]
    strays: list[str]
    runtime: str | None = None


def outcomes_of(trial: Trial, reference: Int[Tensor, " n"]) -> dict[int, Outcome]:
    """One outcome an example; `reference` is by place in the data."""
    scores = trial.scores
    found = margins(scores.logits, reference[trial.index]).tolist()
    predictions = predictions_of(scores)
    bits = None if trial.bits is None else trial.bits.tolist()
    return {
        place: Outcome(
            prediction=predictions[row],
            margin=None if scores.failed_at[row] else found[row],
            failed_at=scores.failed_at[row],
            bits=None if bits is None else bits[row],
            draws=None if trial.draws is None else [draw[row] for draw in trial.draws],
            repeats=None if trial.repeats is None else [again[row] for again in trial.repeats],
        )
        for row, place in enumerate(trial.index.tolist())
    }


def predictions_of(scores: Scores) -> list[int | None]:
    """Argmax of each example, None on a numeric failure."""
    return [
        None if failed else prediction
        for prediction, failed in zip(scores.predictions.tolist(), scores.failed_at, strict=True)
    ]
