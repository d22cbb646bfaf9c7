"""Logistic regression for few numbers: small, held back, and the same on every machine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from bitcliff.errors import InputError

Values = npt.NDArray[np.float64]

# Newton's method doubles the digits that are right with each step.
_STEPS = 30


@dataclass(frozen=True)
class Linear:
    """A score: the sum of weights times values that are brought to one scale.

    Attributes:
        centre, spread: (p,) mean and standard deviation of each column it was fitted to.
        weights: (p,) of the columns on that scale.
    """

    centre: Values
    spread: Values
    weights: Values

    def scores(self, columns: Values) -> Values:
        """(n,) of (n, p) values."""
        return np.asarray(((columns - self.centre) / self.spread * self.weights).sum(1))


def standard(columns: Values) -> tuple[Values, Values]:
    """(p,) means and standard deviations; of a column without spread the latter is 1."""
    spread = columns.std(0)
    # Of equal values the mean may miss them in its last digit, and leave a spread of that size.
    steady = spread <= 1e-12 * np.abs(columns).max(0, initial=0.0)
    return columns.mean(0), np.where(steady, 1.0, spread)


def logistic(columns: Values, positive: npt.NDArray[np.bool_], penalty: float = 1.0) -> Linear:
    """The weights that tell positives from negatives, higher scores for the former.

    The least of -sum log p(seen) + penalty/2 * |weights|^2 over columns on one scale; the intercept
    is not held back. The penalty also keeps the weights finite where the groups are told apart
    perfectly.

    Args:
        columns: (n, p) finite. positive: (n,), of both kinds.

    Raises:
        InputError: not as many rows as signs, a value that is not finite, or signs of one kind.
    """
    if len(columns) != len(positive) or not np.isfinite(columns).all():
        raise InputError("logistic regression needs finite values, a row for each sign")
    if positive.all() or not positive.any():
        raise InputError("logistic regression needs examples of both kinds")
    centre, spread = standard(columns)
    x = np.column_stack([(columns - centre) / spread, np.ones(len(columns))])
    held = np.diag([penalty] * columns.shape[1] + [0.0])
    share = positive.mean()
    found = np.zeros(x.shape[1])
    found[-1] = np.log(share / (1 - share))
    for _ in range(_STEPS):
        found = _step(x, positive.astype(np.float64), found, held)
    return Linear(centre, spread, found[:-1])


def _step(x: Values, y: Values, at: Values, held: Values) -> Values:
    """One of Newton's, halved until the loss does not rise."""
    p = special.expit(x @ at)
    slope = x.T @ (p - y) + held @ at
    curvature = (x * (p * (1 - p))[:, None]).T @ x + held
    move = np.linalg.solve(curvature + 1e-12 * np.eye(len(at)), slope)
    before = _loss(x, y, at, held)
    for _ in range(_STEPS):
        if _loss(x, y, at - move, held) <= before:
            return np.asarray(at - move)
        move = move / 2
    return at


def _loss(x: Values, y: Values, at: Values, held: Values) -> float:
    z = x @ at
    return float((np.logaddexp(0, z) - y * z).sum() + at @ held @ at / 2)
