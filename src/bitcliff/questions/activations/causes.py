"""Why a point is harmed, in words (design/009).

The rule looks at each example by itself, and takes the first that fits. What is left of the signal
is less the part that the values' mean brings, which no grid can lose:

1. unharmed: rounding here alone, and all rounding up to here, leave `HARMED_DB` or more, less than
   `COLLAPSED` of the values become zero here, and neither 4 nor 5 is the case. (The ratio alone
   does not tell: it speaks of power, and a few large values may hold all of that.)
2. Rounding here alone would do no harm, but what arrives is further from float than rounding takes
   it. Error amplified on the way here: no earlier point was within `AMPLIFIED_DB` of that, so the
   layers since made a small error large, and none before did harm that the ratio does not tell.
   Signal already lost upstream: any other.
3. offset range: `OFFSET` of the grid or more lies between zero and the values.
4. rows far larger than the rest, for example padding: rounding here alone leaves `FEW` of the
   tokens or more less than `HARMED_DB` of their own signal, and the largest is `PEAK` times the one
   that `FEW` lie below.
5. channels of unequal scale: the same of the channels.
6. outlier: the largest value is `PEAK` times the 99.9th percentile or more.
7. long tail collapses to zero: `COLLAPSED` of the values or more become zero, and their kurtosis is
   `HEAVY` or more.
8. too few bits for the spread: none of these; the values fill their range, and the grid is coarse.

A point's cause is the commonest among its harmed examples, if they are `FEW` of all or more. A
point that breaks the network by the layer analysis is never unharmed: few harmed examples do there,
and without any, little is lost here, but decisions hang on it.
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
DECIDES: Cause = "little is lost here, but decisions hang on it"


NumbersOfEach = Mapping[str, npt.NDArray[np.float64]]
"""(n,) each, as in `record.Numbers`, NaN where an example does not have it."""


def hidden_damage(numbers: NumbersOfEach) -> npt.NDArray[np.bool_]:
    """(n,) where rounding here does harm of which the signal's power tells nothing."""
    unseen: npt.NDArray[np.bool_] = numbers["local_db"] - numbers["constant_db"] >= HARMED_DB
    tokens, channels = _unequal(numbers)
    return unseen & (_collapse(numbers) | tokens | channels)


def cause_of_each(
    numbers: NumbersOfEach, hidden_before: npt.NDArray[np.bool_] | None = None
) -> list[Cause]:
    """The cause for each of n examples.

    Args:
        hidden_before: (n,) whether any point before has `hidden_damage`; None for nowhere.
    """
    local, arriving, total = (
        numbers[name] - numbers["constant_db"] for name in ("local_db", "arriving_db", "total_db")
    )
    unequal, collapse = _unequal(numbers), _collapse(numbers)
    harmless_here = (local >= HARMED_DB) & ~collapse & ~unequal[0] & ~unequal[1]
    came_so = harmless_here & (arriving < local)
    grew = numbers["earlier_db"] - numbers["arriving_db"] >= AMPLIFIED_DB
    grew &= hidden_before is None or ~hidden_before
    tests = [
        harmless_here & (total >= HARMED_DB),
        came_so & ~grew,
        came_so,
        numbers["offset"] >= OFFSET,
        *unequal,
        numbers["peak"] >= PEAK,
        collapse & (numbers["kurtosis"] >= HEAVY),
    ]
    return [CAUSES[index] for index in np.select(tests, range(len(tests)), len(tests))]


def _collapse(numbers: NumbersOfEach) -> npt.NDArray[np.bool_]:
    return np.greater_equal(numbers["collapsed"], COLLAPSED)


def _unequal(numbers: NumbersOfEach) -> list[npt.NDArray[np.bool_]]:
    """Of tokens, and of channels."""
    return [
        (numbers[f"{one}s_lost"] >= FEW) & (numbers[f"{one}_ratio"] >= PEAK)
        for one in ("token", "channel")
    ]


def cause_of_point(causes: Sequence[Cause], breaks: bool = False) -> Cause | None:
    """The cause that stands for the point; None without examples.

    Args:
        breaks: the network breaks here, by the layer analysis.
    """
    if not causes:
        return None
    harmful = Counter(cause for cause in causes if cause != UNHARMED)
    if not harmful or (harmful.total() < FEW * len(causes) and not breaks):
        return DECIDES if breaks else UNHARMED
    return max(CAUSES, key=lambda cause: harmful[cause])
