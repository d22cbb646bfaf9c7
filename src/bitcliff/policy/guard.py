"""Which inputs are run again in float: a rule on what a quantized pass shows of itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

# A sum that is as large but for rounding is as large: other kernels add in another order.
ALIKE = 5e-7
# Of a lead in logits, and of an entropy in nats: less is as good as none.
_LEAST = 1e-3

Signals = Mapping[str, Float[Tensor, " batch"]]
"""By its name (`audit.signals`), one number for each example."""


@dataclass(frozen=True)
class Guard:
    """A weighted sum of signals, each brought to one scale, against a threshold.

    Attributes:
        signals: names. centre, spread, weights: of each. threshold: from where on an example is
            flagged; minus infinity flags all, plus infinity none but those that have no finite
            score.
    """

    signals: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    threshold: float

    def suspicion(self, signals: Signals) -> Float64[Tensor, " batch"]:
        """The sum: the higher, the more likely the decision is another than float's.

        It has a gradient wherever the signals have one.
        """
        rows = zip(self.signals, self.centre, self.spread, self.weights, strict=True)
        parts = [(signals[name].double() - c) / s * w for name, c, s, w in rows]
        return torch.stack(parts).sum(0)

    def flagged(
        self, scores: Float[Tensor, "batch classes"], signals: Signals
    ) -> Bool[Tensor, " batch"]:
        """Which examples are to be run again in float.

        Args:
            scores: of the quantized pass; an example whose scores are not all finite is flagged.
                signals: of the same pass.
        """
        # Whether a number is not below another: a NaN is not.
        below = self.suspicion(signals) < self.threshold - ALIKE
        return ~(below & ((scores - scores) == 0).all(1))


def score_signals(scores: Float[Tensor, "batch decisions"]) -> dict[str, Float64[Tensor, " batch"]]:
    """What the scores show: the `margin` of the first decision over the second, and the `entropy`
    of their softmax in nats; of both the logarithm, a thousandth added. With a gradient.

    Near a tie a decision hangs on little, and far from one on nothing: on a plain scale the surest
    examples, which do not matter, would weigh most.

    Args:
        scores: logits, finite; behind a last softmax or sigmoid as `to_logits` gives them.
    """
    wide = scores.double()
    first = wide.topk(2, dim=1).values
    logs = wide.log_softmax(1)
    # Of a chance of zero the logarithm may be minus infinity, and adds nothing.
    entropy = -(logs.exp() * logs.clamp(min=-1e4)).sum(1)
    lead = first[:, 0] - first[:, 1]
    return {
        "margin": (lead + _LEAST).log(),
        "entropy": (entropy.clamp(min=0) + _LEAST).log(),
    }
