"""How well one number tells two groups apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence
from bitcliff.stats.groups import Values, ranks_of

_HALVINGS = 60


@dataclass(frozen=True)
class Auroc:
    """Area under the ROC curve: 0.5 tells nothing, 0 and 1 tell all.

    Attributes:
        value: the chance that a positive's number exceeds a negative's, ties counted half.
        low, high: its interval.
    """

    value: float
    low: float
    high: float


def auroc(
    positives: Sequence[float] | Values,
    negatives: Sequence[float] | Values,
    confidence: float = 0.95,
) -> Auroc:
    """AUROC with Newcombe's score interval; `rank_test` is the test that goes with it.

    For few numbers: the interval takes its variance at the limit it tests, not at what was seen. So
    it keeps a width at perfect separation, where a bootstrap's, DeLong's and Hanley and McNeil's
    shrink to a point.

    Raises:
        InputError: a group is empty or holds a value that is not finite, or `confidence` is not
            between 0 and 1.

    Source: R. G. Newcombe, Statistics in Medicine 25, 2006, pages 559-573 (method 5); variance by
    J. A. Hanley and B. J. McNeil, Radiology 143, 1982.
    """
    check_confidence(confidence)
    above, below = _group("positives", positives), _group("negatives", negatives)
    m, n = len(above), len(below)
    ranks = ranks_of(np.concatenate([above, below]))[:m]
    value = float((ranks.sum() - m * (m + 1) / 2) / (m * n))
    z = float(special.ndtri((1 + confidence) / 2))
    return Auroc(
        value=value,
        low=_lower_limit(value, m, n, z),
        high=1 - _lower_limit(1 - value, m, n, z),
    )


def _group(name: str, numbers: Sequence[float] | Values) -> Values:
    values = np.array(numbers, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise InputError(f"{name}: must hold finite values, at least one")
    return values


def _lower_limit(value: float, m: int, n: int, z: float) -> float:
    """The smallest AUROC whose score test does not reject the one seen."""
    if value == 0:
        return 0.0

    # At 1 itself the variance is nothing, and the limit found would be that one.
    low, high = 0.0, min(value, 1 - 1e-9)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rejected = value - middle > z * math.sqrt(_variance(middle, m, n))
        low, high = (middle, high) if rejected else (low, middle)
    return low


def _variance(truth: float, m: int, n: int) -> float:
    """Of an AUROC between exponential groups, both taken to be of their mean size."""
    both = (m + n) / 2 - 1
    curve = (1 - truth) / (2 - truth) + truth / (1 + truth)
    return truth * (1 - truth) * (1 + both * curve) / (m * n)
