"""One score an example: on which side of a threshold it lies."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.types.subject import Inputs

# Of a probability, and of a log-odds.
_HALF, _EVEN = 0.5, 0.0


@dataclass(frozen=True)
class Threshold:
    """The network gives one number, (batch,) or (batch, 1): a probability, log-odds, or a value.

    Attributes:
        at: above it the decision is yes. None: not chosen yet, and taken for 0.5.
    """

    at: float | None = None

    @property
    def name(self) -> str:
        """As `--task` takes it."""
        return "threshold" if self.at is None else f"threshold:{self.at:g}"

    @property
    def words(self) -> str:
        """What a decision is, for people."""
        return f"one score, and whether it lies above {self._at:g}"

    @property
    def decisions(self) -> tuple[str, ...]:
        """In the order of the scores."""
        return f"at most {self._at:g}", f"above {self._at:g}"

    @property
    def _at(self) -> float:
        return _HALF if self.at is None else self.at

    def chosen(self, output: Float[Tensor, " n"]) -> "Threshold":
        """With a threshold: 0.5 where all scores are probabilities, else 0, as of log-odds.

        Args:
            output: what the network gives in float for all examples.
        """
        if self.at is not None:
            return self
        whole = output[torch.isfinite(output)]
        probable = bool(((whole >= 0) & (whole <= 1)).all())
        return replace(self, at=_HALF if probable else _EVEN)

    def scores(self, output: Tensor, inputs: Inputs) -> Float[Tensor, "batch 2"]:
        """The threshold and the score, so that the larger is the decision.

        Raises:
            InputError: it is not one number an example.
        """
        return self._beside(output, self._at)

    def scores_before(self, given: Tensor, inputs: Inputs) -> Float[Tensor, "batch 2"]:
        """The same of log-odds."""
        at = self._at
        odds = math.inf * (at - _HALF) if not 0 < at < 1 else math.log(at / (1 - at))
        return self._beside(given, odds)

    def _beside(self, output: Tensor, at: float) -> Float[Tensor, "batch 2"]:
        # By its shape alone: an export must not fix the size of the batch.
        one_each = output.ndim and all(size == 1 for size in output.shape[1:])
        if not one_each or not output.is_floating_point():
            raise InputError(
                f"the model must give one score an example, but gave shape {tuple(output.shape)}"
            )
        score = output.flatten(1)[:, 0] if output.ndim > 1 else output
        return torch.stack([torch.full_like(score, at), score], 1)
