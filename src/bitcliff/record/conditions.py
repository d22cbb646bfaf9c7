"""What differs from float: a kind, its parameters, who threatens, and the name that people read."""

from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bitcliff.record.part import Part

Kind = Literal[
    "weights-only",
    "uniform",
    "random",
    "random-static",
    "co-trained",
    "worst",
    "worst-static",
    "worst-evolutionary",
    "best",
    "runtime",
    "numerics",
    "one-format",
    "random-mix",
    "worst-mix",
    "best-mix",
]
Threat = Literal["none", "allocation", "input", "company", "co-trained"]

# From the parameters to the name. Nothing ever goes the other way: ask the condition.
_NAMES: Mapping[Kind, str] = {
    "weights-only": "weights-only",
    "uniform": "uniform-{width}",
    "random": "random-{mean_bits:g}",
    "random-static": "random-static-{mean_bits:g}",
    "co-trained": "co-trained-{mean_bits:g}",
    "worst": "worst-{mean_bits:g}",
    "worst-static": "worst-static-{mean_bits:g}",
    "worst-evolutionary": "worst-evolutionary-{mean_bits:g}",
    "best": "best-{mean_bits:g}",
    "runtime": "{runtime}",
    "numerics": "{numerics}",
    "one-format": "{numerics}",
    "random-mix": "random-mix-{mean_bits:g}",
    "worst-mix": "worst-mix-{mean_bits:g}",
    "best-mix": "best-mix-{mean_bits:g}",
}
_THREATS: Mapping[Kind, Threat] = {
    "co-trained": "co-trained",
    "worst": "allocation",
    "worst-static": "allocation",
    "worst-evolutionary": "allocation",
    "worst-mix": "allocation",
}
SEARCHED: tuple[Kind, ...] = (
    "worst", "worst-static", "worst-evolutionary", "best", "worst-mix", "best-mix",
)  # fmt: skip
"""Kinds whose bits were looked for on the very examples that they are shown on, or their like."""


class Condition(Part):
    """What differs from float.

    Attributes:
        description: in words.
        width: of a uniform allocation: the bits at every point, or its floor where that is more.
        mean_bits: as asked for; total_bits: spent by every example, exactly, so that the mean spent
            may differ a little from the one asked for. None where activations stay in float.
        widths: bits that the policy could choose among at each point; None: it does not choose, or
            the record is older than this.
        policy_freedom_log2: log2 of the number of allocations the policy could choose among.
        numerics: the shipped format that weights and activations were rounded to. points_rounded:
            at how many points, the others being layers that it is not for, in float.
        options: of a mix, the formats that each layer may have, the cheapest first. cost_32nds:
            what every such plan costs, in 1/32 bit of a value at each point, exactly.
        runtime, runtime_version: the runtime that it was measured in; None: simulated. batch_size:
            of a runtime, or of a format whose scales a batch shares: examples at once.
    """

    kind: Kind
    description: str
    width: Annotated[int, Field(ge=2, le=16)] | None = None
    mean_bits: Annotated[float, Field(gt=0, le=64)] | None = None
    total_bits: Annotated[int, Field(ge=0)] | None = None
    widths: list[int] | None = None
    policy_freedom_log2: Annotated[float, Field(ge=0)] | None = None
    numerics: str | None = None
    points_rounded: Annotated[int, Field(ge=0)] | None = None
    options: list[str] | None = None
    cost_32nds: Annotated[int, Field(ge=0)] | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _has_its_parameters(self) -> "Condition":
        for _, needed, _, _ in Formatter().parse(_NAMES[self.kind]):
            if needed and getattr(self, needed) is None:
                raise ValueError(f"a condition of kind {self.kind} needs {needed}")
        return self

    @property
    def name(self) -> str:
        """The label for people, unlike that of every other condition of a run."""
        name = _NAMES[self.kind].format_map(dict(self))
        return f"{name}-batch" if (self.batch_size or 1) > 1 else name

    @property
    def threat(self) -> Threat:
        """Who would have to be at work for it to come about."""
        return _THREATS.get(self.kind, "none")

    @property
    def deployed(self) -> bool:
        """Whether it is what somebody runs, and not an exploration of what could be."""
        return self.kind in ("runtime", "numerics")

    @property
    def total(self) -> int:
        """`total_bits` as a number: 0 where activations stay in float."""
        return self.total_bits or 0
