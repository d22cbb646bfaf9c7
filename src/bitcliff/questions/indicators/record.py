"""Float-only indicators: what was observed, and the figures on what they are worth."""

from collections.abc import Mapping
from typing import Literal

from bitcliff.record.part import Part, Share
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


class Value(Part):
    """Of an indicator, for the explained network; None: not measured, because of `reason`."""

    value: float | None
    reason: str = ""


class IndicatorsObserved(Part):
    """What the float network shows, and what networks of known outcome did.

    Attributes:
        n: examples the values were measured on. values: by the indicator's key.
        same_family: the network has the architecture and the data of the reference. Otherwise the
            reference does not speak of it.
        same_network: the name of the network of the reference that this one is, if it is one.
        drawn, drawn_parity: p-values by shuffles, by the indicator's key, on all networks of the
            reference and on those that held parity. Another version of a library may shuffle
            otherwise, so that these are not worked out anew.
    """

    n: Count
    same_family: bool
    same_network: str | None
    values: Mapping[str, Value]
    reference: IndicatorReference
    drawn: Mapping[str, Share]
    drawn_parity: Mapping[str, Share]


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
    p_holm: Share | None = None
    n_brittle: Count
    n_others: Count


class Standing(Part):
    """How many networks of the reference, other than the explained one, have a lower value."""

    above_brittle: Count
    n_brittle: Count
    above_others: Count
    n_others: Count


class Indicator(Part):
    """The figures of one number that needs no quantization.

    Attributes:
        value: of the explained network, in `unit`; None: not measured, because of `reason`.
        separation: on all networks of the reference; separation_parity: on those alone that held
            parity. None where one of the groups is empty.
        usable: it told brittle networks from others, corrected for all indicators tried.
        beyond_others: the value lies where only brittle networks of the reference lie, or still
            farther out.
        standing: None where the value is.
    """

    key: str
    unit: str
    value: float | None
    reason: str
    separation: Separation | None
    separation_parity: Separation | None
    usable: bool
    beyond_others: bool
    standing: Standing | None


class Indicators(Part):
    """Figures on whether brittleness could be told in float.

    Attributes:
        n, same_family, same_network: as observed. n_networks: of the reference.
        indicators: the best first: by AUROC, and of equal ones that in which the groups lie farther
            apart.
    """

    n: Count
    same_family: bool
    same_network: str | None
    n_networks: Count
    indicators: list[Indicator]
