"""A measured policy as tests need it: what it is, with whatever else a test is about."""

from typing import Any

from bitcliff.assess.measured import Measured
from bitcliff.records import Effort


def a_measured(**changes: Any) -> Measured:
    """`worst-4` on two points, with nothing measured yet."""
    fields: dict[str, Any] = {
        "name": "worst-4",
        "threat": "policy-only",
        "description": "",
        "mean_bits": 4.0,
        "total_bits": 8,
        "policy_freedom_log2": 1.0,
        "allocation": None,
        "effort": Effort(forward_passes=1, backward_passes=0, method="by hand"),
        "outcomes": {},
        "broken": [],
        "strays": [],
    }
    return Measured(**(fields | changes))
