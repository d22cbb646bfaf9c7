"""Float-only indicators: this network's values, and whether such numbers told anything."""

from collections.abc import Sequence

from bitcliff.questions.indicators.plot import Strip, strips_plot
from bitcliff.questions.indicators.record import (
    Indicator,
    Indicators,
    IndicatorsObserved,
    ReferenceNetwork,
    Separation,
)
from bitcliff.record import Record
from bitcliff.report.filters import significant
from bitcliff.report.formatting import NOTHING, clean, noun
from bitcliff.report.plot import Plot
from bitcliff.report.section import Section

# The title, and what is measured.
_WORDS = {
    "weight_kurtosis_max": (
        "Weight tails, worst layer",
        "kurtosis of a layer’s weights, the largest of all layers",
    ),
    "weight_kurtosis_median": (
        "Weight tails, usual layer",
        "the same, the median of the layers",
    ),
    "activation_kurtosis_max": (
        "Activation tails, worst point",
        "kurtosis of an input’s activations, median over inputs, the largest of all points",
    ),
    "activation_kurtosis_median": (
        "Activation tails, usual point",
        "the same, the median of the points",
    ),
    "range_ratio_max": (
        "Range ratio, worst point",
        "largest activation over the 99.9th percentile, median over inputs, the largest of all "
        "points",
    ),
    "margin_ratio": (
        "Margin over its spread",
        "median lead of the first class over the distance between the quartiles",
    ),
    "small_margins": ("Small margins", "share of inputs with less than a quarter of that lead"),
    "local_lipschitz": (
        "Steepness",
        "largest gradient of the lead in the input, at the input and at 4 inputs around it, over "
        "the median lead",
    ),
    "weight_sharpness": (
        "Sharpness in the weights",
        "rise of the loss with every filter moved at random by a tenth of its norm, mean of 10",
    ),
    "activation_sensitivity": (
        "Sharpness in the activations",
        "rise of the loss with noise at all points of a tenth of the values’ spread, mean of 5",
    ),
    "input_noise_gap": (
        "Corruption gap",
        "accuracy lost to Gaussian noise of half the inputs’ spread, mean of 5",
    ),
}


def indicators_section(record: Record, found: Indicators) -> Section:
    """The section of the report."""
    observed = record.observed_by("indicators", IndicatorsObserved)
    about = clean(observed.reference.about, 300) if observed else ""
    networks = observed.reference.networks if observed else []
    return Section(
        key="indicators",
        question="Could it have been told without quantizing?",
        finding=_finding(found),
        data={
            "found": found,
            "title": _title,
            "number": number_text,
            "meanings": {key: meaning for key, (_, meaning) in _WORDS.items()},
            "standing": _standing,
            "auroc": _auroc,
            "worth": _worth,
            "plot": _plot(found, networks),
            "notes": _notes(found, about, record),
            "networks": networks,
            "about": about,
        },
    )


def _finding(found: Indicators) -> str:
    good, n = [one for one in found.indicators if one.usable], found.n_networks
    if not found.same_family:
        told = f"{len(good)} of {len(found.indicators)} indicators told brittle networks there"
        return (
            f"Not known for this network: the {n} networks that the indicators were tried on are "
            f"of another kind. {told if good else 'None did better than chance there'}."
        )
    if not good:
        return (
            f"No: none of {len(found.indicators)} indicators did better than chance on {n} "
            "networks like this one."
        )
    telling = [one for one in good if one.beyond_others]
    return (
        f"On {n} networks like this one, {len(good)} of {len(found.indicators)} indicators told "
        f"the brittle ones; by {len(telling) or 'none'} of these this network looks brittle. "
        f"The best, {_title(good[0]).lower()}, is {number_text(good[0].value)} here, "
        f"{_standing(good[0])}; its AUROC is {_interval(good[0].separation)}."
    )


def _title(one: Indicator) -> str:
    return _WORDS[one.key][0] if one.key in _WORDS else clean(one.key)


def number_text(value: float | None) -> str:
    """Three digits: "1,240", "0.0329"."""
    if value is None or abs(value) < 100:
        return significant(value)
    return f"{value:,.0f}".replace("-", "−")


def _standing(one: Indicator) -> str:
    found = one.standing
    if found is None:
        return NOTHING
    return (
        f"above {found.above_brittle} of {found.n_brittle} brittle networks and "
        f"{found.above_others} of {found.n_others} others"
    )


def _auroc(one: Indicator) -> str:
    found = one.separation
    if found is None:
        return NOTHING
    text = _interval(found)
    held = one.separation_parity
    if held is not None and (held.n_brittle, held.n_others) != (found.n_brittle, found.n_others):
        text += f"; with parity alone {_interval(held)}"
    return text


def _interval(found: Separation | None) -> str:
    return "" if found is None else f"{found.auroc:.2f} ({found.low:.2f} to {found.high:.2f})"


def _worth(one: Indicator) -> str:
    """Whether the indicator told brittle networks from the others, in words."""
    found = one.separation
    if found is None:
        return "not tried on any network"
    if found.low <= 0.5 <= found.high:
        return "no better than chance: do not use"
    if not one.usable:
        return "not shown, with so many indicators tried"
    return f"tells: brittle ones have {'more' if found.auroc > 0.5 else 'less'}"


def _notes(found: Indicators, about: str, record: Record) -> list[str]:
    notes = [
        f"Measured in float on {found.n} {noun(record, found.n)}, nothing rounded. The reference: "
        f"{about}.",
        "Its brittle networks were all made in one way, together with a policy that breaks them. "
        "A network that breaks for another reason need not look like them. An indicator is a "
        "reason to look; only a run with rounding shows whether a network breaks.",
    ]
    if not found.same_family:
        notes.insert(
            1,
            "This network has another architecture or other data, so its values must not be held "
            "against the reference’s: they are given for the record.",
        )
    if found.same_network is not None:
        notes.insert(
            1,
            f"This network is {clean(found.same_network)} of the reference itself; it is compared "
            "with the others.",
        )
    return notes


def _plot(found: Indicators, networks: Sequence[ReferenceNetwork]) -> Plot:
    shown = [one for one in found.indicators if one.separation is not None]
    strips = [_strip(one, found.same_family, networks) for one in shown]
    n, good = found.n_networks, sum(one.usable for one in found.indicators)
    return strips_plot(
        strips,
        title=f"{good or 'None'} of {len(strips)} indicators set the brittle networks apart, "
        f"as far as {n} networks can show",
        caption=f"One mark a network, {n} networks of known outcome. Each line has its own scale, "
        "from the smallest to the largest value, logarithmic where these differ more than "
        "twentyfold; to the right the AUROC with its 95 % interval: 0.5 tells nothing, 0 and 1 "
        "tell all.",
    )


def _strip(one: Indicator, same_family: bool, networks: Sequence[ReferenceNetwork]) -> Strip:
    groups = {
        name: [v for peer in chosen if (v := peer.values[one.key]) is not None]
        for name, chosen in {
            "plain": [p for p in networks if p.made_to_be == "plain" and not p.brittle],
            "robust": [p for p in networks if p.made_to_be == "robust" and not p.brittle],
            "failed": [p for p in networks if p.made_to_be == "brittle" and not p.brittle],
            "brittle": [p for p in networks if p.brittle],
        }.items()
    }
    return Strip(
        title=_title(one),
        auroc=_interval(one.separation),
        groups=groups,
        subject=one.value if same_family else None,
    )
