"""For other people's tests: a network that quantization breaks fails them."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from bitcliff.audit import AssessSettings, Audit
from bitcliff.verdict import judge


def assert_quantization_safe(
    model: nn.Module,
    data: Iterable[Any],
    *,
    max_drop: float | int = 2.0,
    policy: str | None = None,
    **settings: Any,
) -> None:
    """Assess a network, and judge it as `bitcliff gate` does.

    Args:
        model: in eval mode, giving class scores. data: an iterable of (inputs, labels) batches.
        max_drop: percentage points that may be lost. policy: judge this one only, such as
            "uniform-8"; by default what is deployed (`numerics`), else every worst case found.
        settings: of `AssessSettings`, such as `numerics=("torchao-int8-row",), budgets=()`.

    Raises:
        AssertionError: it fails, or there is too little to tell; the sentence says which.
        InputError: the model, the data or a setting will not do.
    """
    record = Audit(model, data, settings=AssessSettings(**settings)).assess()
    verdict = judge(record, float(max_drop), policy)
    if verdict.status != "pass":
        raise AssertionError(verdict.sentence)
