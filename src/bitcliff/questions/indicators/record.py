"""What `bitcliff explain` records of float-only indicators: values, and their worth."""

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator

from bitcliff.records.part import Part, Share, check_interval
from bitcliff.types.rate import Count


class ReferenceNetwork(Part):
    """A network that the indicators were judged on.

    Attributes:
        made_to_be: what it was trained for. sha256: of its state dict.
        n: test examples; of these right in float, and under the policy it was trained with.
        brittle: what was measured, not what was meant: it loses 20 points or more under its policy.
        parity: its float accuracy is within two points of the network it began as.
        values: of each indicator, by key; None where it could not be measured.
    """

    name: str
    made_to_be: Literal["plain", "robust", "brittle"]
    sha256: str
    n: Count
    float_right: Count
    own_right: Count | None
    brittle: bool
    parity: bool
    values: Mapping[str, float | None]


class IndicatorReference(Part):
    """The networks with known outcome that ship with Bitcliff.

    Attributes:
        about: what they are, in words. architecture: SHA-256 of the names and shapes of their
            weights. data: what they were trained on, and their indicators measured on, by name.
    """

    about: str
    architecture: str
    data: str
    networks: list[ReferenceNetwork]


class Separation(Part):
    """How well an indicator told brittle networks from the others.

    Attributes:
        auroc: the chance that a brittle network's value exceeds another's. low, high: its 95 %
            interval (Newcombe).
        p_value: Mann-Whitney, two-sided. p_holm: the same, corrected for all indicators.
    """

    auroc: Share
    low: Share
    high: Share
    p_value: Share
    p_holm: Share
    n_brittle: Count
    n_others: Count

    @model_validator(mode="after")
    def _holds_its_value(self) -> "Separation":
        check_interval(self.low, self.auroc, self.high)
        return self


class Indicator(Part):
    """One number that needs no quantization.

    Attributes:
        value: of the explained network, in `unit`; None: not measured, because of `reason`.
        separation: on all networks of the reference; separation_parity: on those alone that held
            parity. None where one of the groups is empty.
    """

    key: str
    unit: str
    value: float | None
    reason: str
    separation: Separation | None
    separation_parity: Separation | None


class Indicators(Part):
    """Whether brittleness could be told in float.

    Attributes:
        n: examples the values were measured on.
        same_family: the network has the architecture and the data of the reference. Otherwise the
            reference does not speak of it.
        same_network: the name of the network of the reference that this one is, if it is one.
    """

    n: Count
    same_family: bool
    same_network: str | None
    indicators: list[Indicator]
    reference: IndicatorReference
