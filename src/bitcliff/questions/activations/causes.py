"""Why a point is harmed, in words (design/009).

The rule looks at each example by itself, and takes the first that fits. What is left of the signal
is less the part that the values' mean brings, which no grid can lose:

1. unharmed: rounding here alone, and all rounding up to here, leave `HARMED_DB` or more, and less
   than `COLLAPSED` of the values become zero here. (The ratio alone does not tell: it speaks of
   power, and a few large values may hold all of that.)
2. Rounding here alone would do no harm, but what arrives is further from float than rounding takes
   it. Error amplified on the way here: no earlier point was within `AMPLIFIED_DB` of that, so the
   layers since made a small error large. Signal already lost upstream: any other.
3. offset range: `OFFSET` of the grid or more lies between zero and the values.
4. outlier: the largest value is `PEAK` times the 99.9th percentile or more.
5. long tail collapses to zero: `COLLAPSED` of the values or more become zero, and their kurtosis is
   `HEAVY` or more.
6. too few bits for the spread: none of these; the values fill their range, and the grid is coarse.

A point's cause is the commonest among its harmed examples, if they are `FEW` of all or more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from bitcliff.questions.activations.record import Cause

HARMED_DB = 10.0
"""Noise of a tenth of the signal's power, a third of its size."""

AMPLIFIED_DB = 6.0
"""Against the signal the error is twice as large as it was anywhere before."""

OFFSET = 0.5
"""Half of the levels stand where no value is: one bit or more is spent on nothing."""

PEAK = 4.0
"""Without one value in a thousand the range would be a quarter: they cost the others two bits."""

COLLAPSED = 0.5
"""Most of what was not zero is gone."""

HEAVY = 3.0
"""The Laplace distribution's; normal values have 0, and lose most of theirs at two bits too."""

FEW = 0.1
"""One example in ten: a policy that picks other points for each input spreads its damage."""

CAUSES: tuple[Cause, ...] = get_args(Cause)
UNHARMED: Cause = "unharmed"


def cause_of_each(numbers: Mapping[str, npt.NDArray[np.float64]]) -> list[Cause]:
    """The cause for each of n examples; (n,) `numbers` as in `record.Numbers`, NaN where not
    defined."""
    local, arriving, total = (
        numbers[name] - numbers["constant_db"] for name in ("local_db", "arriving_db", "total_db")
    )
    harmless_here = (local >= HARMED_DB) & ~(numbers["collapsed"] >= COLLAPSED)
    came_so = harmless_here & (arriving < local)
    grew = numbers["earlier_db"] - numbers["arriving_db"] >= AMPLIFIED_DB
    tests = [
        harmless_here & (total >= HARMED_DB),
        came_so & ~grew,
        came_so,
        numbers["offset"] >= OFFSET,
        numbers["peak"] >= PEAK,
        (numbers["collapsed"] >= COLLAPSED) & (numbers["kurtosis"] >= HEAVY),
    ]
    return [CAUSES[index] for index in np.select(tests, range(len(tests)), len(tests))]


def cause_of_point(causes: Sequence[Cause]) -> Cause | None:
    """The cause that stands for the point; None without examples."""
    if not causes:
        return None
    harmful = Counter(cause for cause in causes if cause != UNHARMED)
    if harmful.total() < FEW * len(causes):
        return UNHARMED
    return max(CAUSES, key=lambda cause: harmful[cause])
