"""Where a policy's gradient comes from: four ways through a choice that has no derivative.

The choice is always at exactly the budget. With V (batch, L, O) the policy's values:

    straight-through  the best choice; its gradient is taken for V's (paper section 3.4), with every
                      option's rounding tried: <g, Q_o(x) - x>
    scale             the same, but only the chosen option is rounded: an option's error is taken
                      to grow with its step (Esser et al. 2020, section 2.1). Cheaper
    marginals         the best choice; its gradient is taken for that of the marginals of
                      p(allocation) ~ exp(sum of V / T) over all allocations of the budget, so that
                      one point's gain is another's loss
    sampled           a draw from that p; REINFORCE (Williams 1992) with the mean cost of the other
                      examples as the baseline. Needs no derivative of the network, and is unbiased
                      where an example's cost is its own: not with batch statistics
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from bitcliff.budget import gibbs_samples, marginals, solve

Estimator = Literal["straight-through", "scale", "marginals", "sampled"]

# Stands for "cannot be" in log-sums; minus infinity would have no gradient.
_NEVER = -1e30


@dataclass(frozen=True)
class Choice:
    """One option at each point, one-hot, and what leads a gradient back to the values.

    Attributes:
        one_hot: (batch, L, O); carries a gradient to the values, but for "sampled".
        score: (batch,) log-probability of the draw up to a constant, for "sampled".
    """

    one_hot: Float[Tensor, "batch points options"]
    score: Float[Tensor, " batch"] | None = None

    def surrogate(self, costs: Float[Tensor, " batch"]) -> Float[Tensor, ""] | float:
        """Add this to the mean cost: its gradient in the values is that of the expected cost."""
        if self.score is None:
            return 0.0
        fixed = costs.detach()
        others = (fixed.sum() - fixed) / max(1, len(fixed) - 1)
        return ((fixed - others) * self.score).mean()


def choose(
    values: Float[Tensor, "batch points options"],
    options: Sequence[int],
    total: int,
    estimator: Estimator = "straight-through",
    temperature: float = 0.1,
) -> Choice:
    """Allocations at exactly `total` bits, differentiable in the values in the way asked for.

    Args:
        values: finite, in any unit. options: the widths, ascending. temperature: T, in that unit.

    Raises:
        InputError, NumericError, InfeasibleBudget: as `bitcliff.budget.solve`.
    """
    fixed = values.detach().cpu()
    if estimator == "sampled":
        # From torch's own generator, which a training step has seeded.
        rng = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
        drawn = gibbs_samples(1, fixed, options, total, rng, temperature)[0]
        one_hot = _one_hot(drawn, values)
        expected = marginals(fixed, options, total, temperature).to(values)
        return Choice(one_hot, (values * (one_hot - expected)).sum((1, 2)) / temperature)
    best = _one_hot(solve(fixed, options, total), values)
    soft = values
    if estimator == "marginals":
        soft = soft_marginals(values, options, total, temperature)
    one_hot = _InPlaceOf.apply(soft, best)
    return Choice(one_hot)


def soft_marginals(
    values: Float[Tensor, "batch points options"],
    options: Sequence[int],
    total: int,
    temperature: float | int,
) -> Float[Tensor, "batch points options"]:
    """`bitcliff.budget.marginals`, differentiable: the gradient of log Z, which has one itself."""
    with torch.enable_grad():
        energies = (values / temperature).double()
        if not energies.requires_grad:
            energies.requires_grad_(True)
        log_z = _log_partition(energies, options, total)
        (found,) = torch.autograd.grad(log_z.sum(), energies, create_graph=True)
    return found.to(values.dtype)


def _log_partition(
    energies: Float[Tensor, "batch points options"], options: Sequence[int], total: int
) -> Float[Tensor, " batch"]:
    steps = [width - options[0] for width in options]
    batch, points, _ = energies.shape
    spare = total - points * options[0]
    # Column c: the log-sum over all ways in which the points so far use c spare bits.
    table = energies.new_full((batch, spare + 1), _NEVER)
    table[:, 0] = 0.0
    for point in range(points):
        padded = F.pad(table, (steps[-1], 0), value=_NEVER)
        starts = [steps[-1] - step for step in steps]
        ways = torch.stack([padded[:, start : start + spare + 1] for start in starts], 2)
        table = (ways + energies[:, point, None]).logsumexp(2)
    return table[:, spare]


def _one_hot(
    chosen: Tensor, values: Float[Tensor, "batch points options"]
) -> Float[Tensor, "batch points options"]:
    return torch.zeros_like(values).scatter_(2, chosen[:, :, None].to(values.device), 1.0)


class _InPlaceOf(torch.autograd.Function):
    """Forward the second, back the first: `(M - V).detach() + V`, but M exact."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, soft: Tensor, hard: Tensor) -> Tensor:
        return hard

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None
