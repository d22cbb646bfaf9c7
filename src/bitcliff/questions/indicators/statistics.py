"""Whether float-only indicators told brittle networks from others; where this network stands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from bitcliff.questions.indicators.record import (
    Indicator,
    Indicators,
    IndicatorsObserved,
    ReferenceNetwork,
    Separation,
    Standing,
)
from bitcliff.record import AnswerKind, Record
from bitcliff.record.problems import twice
from bitcliff.stats import auroc, rank_test, resamples, with_holm

_SURE = 0.05
# Beyond this no indicator lies, and sums and ratios of them stay finite.
_LARGEST = 1e100


@dataclass(frozen=True)
class About:
    """An indicator: its unit, and why it may be missing."""

    unit: str
    missing: str


_KURTOSIS = "excess: a normal distribution’s is 0"
_ALIKE = "its values are all the same"
_NO_NUMBERS = "the inputs are not numbers, or the network has no gradient"
ABOUT: Mapping[str, About] = {
    "weight_kurtosis_max": About(_KURTOSIS, _ALIKE),
    "weight_kurtosis_median": About(_KURTOSIS, _ALIKE),
    "activation_kurtosis_max": About(_KURTOSIS, _ALIKE),
    "activation_kurtosis_median": About(_KURTOSIS, _ALIKE),
    "range_ratio_max": About("ratio", "its values are nearly all zero"),
    "margin_ratio": About("ratio", "all margins are the same"),
    "small_margins": About("% of examples", ""),
    "local_lipschitz": About("usual margins a unit of input", _NO_NUMBERS),
    "weight_sharpness": About("nats", "the scores are not finite once weights are moved"),
    "activation_sensitivity": About("nats", "the scores are not finite under noise"),
    "input_noise_gap": About("points", "it needs labels, and inputs that are numbers"),
}

Networks = Sequence[ReferenceNetwork]
Groups = tuple[list[float], list[float]]
"""An indicator's values of the brittle networks, and of the others."""


def figures(_record: Record, observed: IndicatorsObserved) -> Indicators:
    """How well each indicator told brittle networks, and where this one's value stands."""
    networks = observed.reference.networks
    alone = separations(networks, observed.drawn)
    held = separations(held_parity(networks), observed.drawn_parity)
    others = [one for one in networks if one.name != observed.same_network]
    groups = {key: groups_of(key, others) for key in ABOUT}
    found = [_indicator(key, observed, alone[key], held[key], groups[key]) for key in ABOUT]
    return Indicators(
        n=observed.n,
        same_family=observed.same_family,
        same_network=observed.same_network,
        n_networks=len(networks),
        indicators=sorted(found, key=lambda one: _worth(one, groups[one.key]), reverse=True),
    )


def separations(networks: Networks, drawn: Mapping[str, float]) -> dict[str, Separation | None]:
    """How well each indicator tells the brittle ones, corrected for how many there are.

    Args:
        drawn: the p-values that `draws` gave for these networks.
    """
    found = [_separation(groups_of(key, networks), drawn.get(key)) for key in ABOUT]
    return dict(zip(ABOUT, with_holm(found), strict=True))


def draws(networks: Networks) -> dict[str, float]:
    """The p-values by shuffles, by key, for those indicators whose test needs them."""
    return {key: rank_test(*_arrays(groups_of(key, networks))) for key in drawn_keys(networks)}


def drawn_keys(networks: Networks) -> list[str]:
    """The indicators whose p-value is one by shuffles."""
    groups = {key: groups_of(key, networks) for key in ABOUT}
    return [key for key, pair in groups.items() if all(pair) and resamples(*_arrays(pair))]


def held_parity(networks: Networks) -> list[ReferenceNetwork]:
    """Those that are as good in float as the network they began as."""
    return [one for one in networks if one.parity]


def groups_of(key: str, networks: Networks) -> Groups:
    """What is known of an indicator, brittle networks first."""
    known = [(one.brittle, one.values[key]) for one in networks]
    brittle = [value for kind, value in known if kind and value is not None]
    return brittle, [value for kind, value in known if not kind and value is not None]


def _arrays(groups: Groups) -> "tuple[np.ndarray, np.ndarray]":
    return np.array(groups[0], dtype=np.float64), np.array(groups[1], dtype=np.float64)


def _separation(groups: Groups, drawn: float | None) -> Separation | None:
    if not all(groups):
        return None
    area = auroc(*groups)
    return Separation(
        auroc=area.value,
        low=area.low,
        high=area.high,
        p_value=rank_test(*_arrays(groups)) if drawn is None else drawn,
        n_brittle=len(groups[0]),
        n_others=len(groups[1]),
    )


def _indicator(
    key: str,
    observed: IndicatorsObserved,
    alone: Separation | None,
    held: Separation | None,
    groups: Groups,
) -> Indicator:
    """`groups`: of the reference, but for the explained network itself."""
    one = observed.values[key]
    told = alone is not None and alone.p_holm is not None and alone.p_holm < _SURE
    return Indicator(
        key=key,
        unit=ABOUT[key].unit,
        value=one.value,
        reason=one.reason,
        separation=alone,
        separation_parity=held,
        usable=told,
        beyond_others=_beyond(one.value, alone, groups[1]),
        standing=None if one.value is None else _standing(one.value, groups),
    )


def _beyond(value: float | None, found: Separation | None, others: list[float]) -> bool:
    if found is None or value is None or not others:
        return False
    return value > max(others) if found.auroc > 0.5 else value < min(others)


def _standing(value: float, groups: Groups) -> Standing:
    below = [sum(other < value for other in group) for group in groups]
    return Standing(
        above_brittle=below[0],
        n_brittle=len(groups[0]),
        above_others=below[1],
        n_others=len(groups[1]),
    )


def _worth(one: Indicator, groups: Groups) -> tuple[float, float]:
    """How far its AUROC is from chance, and how many times (as a logarithm) the usual value of one
    group is that of the other."""
    if one.separation is None:
        return -1.0, 0.0
    usual = [median(group) for group in groups if group]
    positive = min(usual, default=0) > 0
    apart = abs(math.log(usual[0]) - math.log(usual[-1])) if positive else 0.0
    return abs(one.separation.auroc - 0.5), apart


def problems(record: Record, observed: IndicatorsObserved) -> Iterator[str]:
    """What contradicts the record, or itself."""
    networks = observed.reference.networks
    if observed.n > len(record.table):
        yield f"measured on {observed.n} of {len(record.table)} examples"
    yield from twice((one.name for one in networks), "network of the reference")
    if observed.same_network not in (None, *(one.name for one in networks)):
        yield f"{observed.same_network!r} is no network of the reference"
    sets = {"this network": {key: one.value for key, one in observed.values.items()}}
    wrong = list(_values(sets | {repr(one.name): one.values for one in networks}))
    yield from wrong
    for network in networks:
        if max(network.float_right, network.own_right or 0) > network.n:
            yield f"{network.name!r} has more right than its {network.n}"
    if wrong:
        return
    for drawn, chosen in (
        (observed.drawn, networks),
        (observed.drawn_parity, held_parity(networks)),
    ):
        if set(drawn) != set(drawn_keys(chosen)) or not all(0 < p <= 1 for p in drawn.values()):
            yield "not a p-value for each indicator whose test shuffles"


def _values(sets: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    for name, values in sets.items():
        if values.keys() != ABOUT.keys():
            yield f"{name} has {len(values)} values, which are not the {len(ABOUT)} indicators"
        elif any(value is not None and abs(value) > _LARGEST for value in values.values()):
            yield f"{name} has a value beyond {_LARGEST:g}"


def older(_record: Record, answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The observations in an answer of schema 1.x."""
    rows, reference = answer["indicators"], answer["reference"]
    if {row["key"] for row in rows} != ABOUT.keys():
        return None
    networks = [ReferenceNetwork.model_validate(one) for one in reference["networks"]]
    p_values = {
        field: {row["key"]: row[field]["p_value"] for row in rows if row[field] is not None}
        for field in ("separation", "separation_parity")
    }
    return {
        **{key: answer[key] for key in ("n", "same_family", "same_network")},
        "values": {row["key"]: {"value": row["value"], "reason": row["reason"]} for row in rows},
        "reference": reference,
        "drawn": {key: p_values["separation"][key] for key in drawn_keys(networks)},
        "drawn_parity": {
            key: p_values["separation_parity"][key] for key in drawn_keys(held_parity(networks))
        },
    }


KIND = AnswerKind(IndicatorsObserved, figures, problems, older)
