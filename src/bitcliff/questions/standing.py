"""Whether what is still lost is surely within the limit."""

from typing import Literal

from bitcliff.types.change import PairedChange

Standing = Literal["pass", "fail", "inconclusive"]
"""Pass: all of the loss's interval is within the limit; fail: all of it is beyond."""


def standing_of(loss: PairedChange, limit: float) -> Standing:
    """Of a change from float, against the percentage points that may be lost.

    Of no example nothing is known.
    """
    low = -100.0 if loss.low_pp is None else loss.low_pp
    high = 100.0 if loss.high_pp is None else loss.high_pp
    if -low <= limit:
        return "pass"
    return "fail" if -high > limit else "inconclusive"
