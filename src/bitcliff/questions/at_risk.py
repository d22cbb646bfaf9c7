"""Which examples quantization loses, and which ones they are compared with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitcliff.record.arrays import NONE
from bitcliff.record.outcomes import Outcomes, Table

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Under:
    """All n examples under one policy, by their places in the data.

    Those at risk are, with labels, of those right in float the ones that are wrong under the
    policy, and `safe` the ones that are not: what is wrong already cannot be lost, and would only
    blur the comparison. Without labels they are the ones whose prediction changes, and all others.

    Attributes:
        prediction, margin: under the policy, -1 and NaN on a numeric failure.
        whole: there is a prediction in float and under the policy.
    """

    prediction: npt.NDArray[np.int32]
    margin: Values
    whole: Mask
    risk: Mask
    safe: Mask


def under(table: Table, found: Outcomes) -> Under:
    """What became of every example of a table under what was measured on all of them."""
    now, margin = found.spread(len(table)), np.full(len(table), np.nan)
    margin[found.index] = found.margin
    before = table.prediction.copy()
    before[found.index] = table.before(found)
    whole = (before != NONE) & (now != NONE)
    # Without labels what float predicts is wanted, and all are right in float.
    wanted = before if table.labels is None else table.labels
    able, changed = whole & (before == wanted), now != before
    return Under(now, margin, whole, able & changed, able & ~changed)
