"""What `bitcliff explain` says about layers: which points break the network, and which alone."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bitcliff.records.part import Part, Points, Share, check_interval
from bitcliff.types.rate import Count, Rate

Curve = Literal["before", "after", "single", "all-but"]
SIGNIFICANT = 0.05
"""Up to here a p-value tells a change from chance."""


class Change(Part):
    """Right answers under one set of quantized points and under another, on the same examples.

    Attributes:
        n: examples that both gave an answer for. lost, gained: right answers, from one to the
            other.
        pp, low, high: the change, percentage points, with its paired 95 % interval; None when n is
            0. p_value: exact McNemar.
    """

    n: Count
    lost: Count
    gained: Count
    pp: Points | None
    low: Points | None
    high: Points | None
    p_value: Share

    @model_validator(mode="after")
    def _holds_its_value(self) -> "Change":
        check_interval(self.low, self.pp, self.high)
        return self


class Step(Part):
    """What quantizing one point more costs, at one place of a curve.

    Attributes:
        point: index of the quantized point, from 0. share: of the whole loss.
        p_holm: the change's p-value, Holm-adjusted over all steps of all curves.
        inflects: large enough and significant.
    """

    curve: Curve
    point: Count
    change: Change
    share: float
    p_holm: Share
    inflects: bool


class Confirmation(Part):
    """What the inflection points do together, run by itself.

    Attributes:
        points: indices of the points, as named on the test split.
        only: right answers with only these quantized; cost: the change that makes.
        without: right answers with all but these quantized; regained: the change from all.
    """

    points: list[Count]
    only: Rate
    cost: Change
    without: Rate
    regained: Change


class LayerSweep(Part):
    """One policy on one split.

    Every rate is of right answers; without labels, of answers as in float. It speaks of the
    examples that float and the cell in question gave an answer for.

    Attributes:
        wanted, in_float: right answers and float predictions, packed (see `pack`).
        predictions: packed, by the points that are quantized: "1-3,7" counts them from 1, "" is
            none. Every rate and change here can be worked out from these.
        float_rate: in float. none, all: weights rounded and no point, or every point, quantized.
        before, after, single, all_but: for k = 1 to L; k itself is in "before k" and "after k".
        whole: the change from `none` to `all`.
        large_steps: those that carry a large share of the whole loss, significant or not.
        smallest_share: what counts as large. inflection: indices of the points that inflect.
        calls, macs: watched calls that ran, and their multiply-adds (0: not known); naive_calls,
            naive_macs: what 4 L whole passes would have taken.
    """

    policy: str
    split: Literal["test", "train"]
    n: Count
    wanted: str
    in_float: str
    predictions: dict[str, str]
    float_rate: Rate
    none: Rate
    all: Rate
    before: list[Rate]
    after: list[Rate]
    single: list[Rate]
    all_but: list[Rate]
    whole: Change
    large_steps: list[Step]
    smallest_share: Share
    inflection: list[Count]
    confirmation: Confirmation | None
    calls: Count
    naive_calls: Annotated[Count, Field(gt=0)]
    macs: Count
    naive_macs: Count


class Layers(Part):
    """All explained policies, in their order; test before train."""

    sweeps: list[LayerSweep]


def pack(predictions: Sequence[int | None]) -> str:
    """One number an example; "x" for none, which is a numeric failure."""
    return " ".join("x" if one is None else str(one) for one in predictions)


def unpack(packed: str) -> list[int | None]:
    """What `pack` was given.

    Raises:
        ValueError: something else than whole numbers and "x".
    """
    return [None if one == "x" else int(one) for one in packed.split()]


def range_text(indices: Iterable[int]) -> str:
    """Indices from 0 as ranges from 1: {0, 1, 2, 6} is "1-3,7"."""
    ranges: list[list[int]] = []
    for index in sorted(indices):
        if ranges and index == ranges[-1][1]:
            ranges[-1][1] = index + 1
        else:
            ranges.append([index + 1, index + 1])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
