"""A threshold that keeps a risk below a limit, except with a chance that is chosen beforehand."""

import math

import numpy as np
import numpy.typing as npt

from bitcliff.errors import InputError
from bitcliff.stats.arguments import check_confidence
from bitcliff.stats.intervals import upper_bound

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def examples_needed(alpha: float, delta: float) -> int:
    """How many examples must be seen without a single miss, to show that at most a share `alpha` is
    missed, but for a chance of `delta`: the least n with (1 - alpha)^n <= delta.

    Raises:
        InputError: one of them does not lie strictly between 0 and 1.
    """
    check_confidence(alpha)
    check_confidence(delta)
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def controlled_threshold(
    candidates: Values, scores: Values, lost: Flags, alpha: float, delta: float
) -> float:
    """The highest threshold under which at most a share `alpha` is lost and not flagged.

    An example is flagged whose score is not below the threshold. Candidates are tried from the one
    that flags most, and the last one is taken up to which every exact upper bound of the share
    (Clopper-Pearson, one-sided, at `delta`) is at most `alpha`. Then, with probability
    1 - `delta` over what is drawn for `scores` and `lost`, an example that is drawn like these is
    lost and not flagged with a chance of at most `alpha`: to go wrong, the first candidate whose
    true share is above `alpha` must be passed, and which one that is does not hang on the draw.

    Args:
        candidates: in any order; they must not hang on `scores` and `lost`. Infinity is "flag
            none". scores, lost: (n,) of examples that neither the scores nor the candidates were
            made from.

    Returns:
        Minus infinity, "flag all", where no candidate will do.

    Raises:
        InputError: not as many scores as losses, or a share not strictly between 0 and 1.

    Source: A. N. Angelopoulos et al., Learn then Test, Annals of Applied Statistics 19, 2025 (fixed
    sequence testing); S. Bates et al., Distribution-free, risk-controlling prediction sets, Journal
    of the ACM 68, 2021 (monotone risks).
    """
    check_confidence(alpha)
    check_confidence(delta)
    if scores.shape != lost.shape:
        raise InputError(f"scores, lost: {len(scores)} and {len(lost)}; must be as many")
    if len(scores) < examples_needed(alpha, delta):
        return -math.inf
    ordered, n = np.unique(candidates), len(scores)
    missed = np.searchsorted(np.sort(scores[lost]), ordered, side="left")
    best = -math.inf
    # Missed examples only become more from candidate to candidate: each number is bounded once.
    allowed = np.array([upper_bound(int(k), n, 1 - delta) <= alpha for k in np.unique(missed)])
    good = allowed[np.searchsorted(np.unique(missed), missed)]
    if good.any():
        best = float(ordered[np.flatnonzero(good)[-1]])
    return best
