"""statsmodels' adjustment for many tests, as the reference for Bitcliff's own."""

import gc
from collections.abc import Sequence
from unittest import mock

from statsmodels.stats import multitest


def holm_by_statsmodels(p_values: Sequence[float]) -> list[float]:
    """The adjusted p-values, in order."""
    # It looks for garbage in the whole process every time: a third of a second where all is loaded.
    with mock.patch.object(gc, "collect"):
        adjusted: list[float] = multitest.multipletests(p_values, method="holm")[1].tolist()
    return adjusted
