import functools
from typing import Any, Literal

import pytest

from bitcliff.questions.indicators.page import IndicatorsData, indicators_section, number_text
from bitcliff.questions.indicators.plot import Strip
from bitcliff.questions.indicators.record import (
    IndicatorReference,
    Indicators,
    IndicatorsObserved,
    ReferenceNetwork,
    Value,
)
from bitcliff.questions.indicators.statistics import ABOUT, KIND, draws, held_parity
from bitcliff.records import Record
from bitcliff.records.record import with_answer
from tests.report.example_record import example_record

KINDS: tuple[Literal["plain", "robust", "brittle"], ...] = ("plain", "robust", "brittle")


def networks(parity: bool = True) -> list[ReferenceNetwork]:
    """Five of each kind: brittle ones have a sharpness of 10 and more, the others 1 to 2; the other
    indicators are alike in all kinds."""
    return [
        ReferenceNetwork(
            name=f"{kind}-{seed}",
            made_to_be=kind,
            sha256=f"{seed}",
            n=100,
            float_right=92,
            own_right=None if kind == "plain" else 40 if kind == "brittle" else 91,
            brittle=kind == "brittle",
            parity=parity or kind != "brittle" or seed > 0,
            values=dict.fromkeys(ABOUT, 3.0 + (7 * seed + place) % 5)
            | {"weight_sharpness": (10.0 if kind == "brittle" else 1.0) + seed / 10 + place / 100},
        )
        for seed in range(5)
        for place, kind in enumerate(KINDS)
    ]


@functools.cache
def explained(
    sharpness: float | None = 1.234,
    same_family: bool = True,
    same_network: str | None = None,
    parity: bool = True,
    telling: bool = True,
) -> Record:
    known = networks(parity)
    if not telling:
        known = [one.model_copy(update={"values": dict.fromkeys(ABOUT, 2.0)}) for one in known]
    return answered(
        known,
        n=20,
        same_family=same_family,
        same_network=same_network,
        values={
            key: Value(
                value=sharpness if key == "weight_sharpness" else 4.5,
                reason="" if sharpness is not None else "of <b>this</b>",
            )
            for key in ABOUT
        },
    )


def answered(known: list[ReferenceNetwork], **observed: Any) -> Record:
    """The example record with an answer that rests on these networks."""
    reference = IndicatorReference(about="planted", architecture="0", data="digits", networks=known)
    drawn, held = draws(known), draws(held_parity(known))
    found = IndicatorsObserved(reference=reference, drawn=drawn, drawn_parity=held, **observed)
    return with_answer(example_record(), "indicators", found, KIND)


def shown(record: Record) -> tuple[str, IndicatorsData]:
    found = record.answer("indicators", Indicators)
    assert found is not None
    section = indicators_section(record, found)
    assert isinstance(section.data, IndicatorsData)
    return section.finding, section.data


def section_of(**changes: Any) -> tuple[str, IndicatorsData]:
    return shown(explained(**changes))


def test_a_network_like_the_others() -> None:
    finding, data = section_of()
    assert finding == (
        "On 15 networks like this one, 1 of 11 indicators told the brittle ones; by none of "
        "these this network looks brittle. The best, sharpness in the weights, is 1.23 here, above "
        "0 of 5 brittle networks and 6 of 10 others; its AUROC is 1.00 (0.72 to 1.00)."
    )
    assert [line.usable for line in data.lines] == [True] + [False] * 10
    assert data.lines[0].title == "Sharpness in the weights"
    assert data.lines[0].verdict == "tells: brittle ones have more"
    assert {line.verdict for line in data.lines[1:]} == {"no better than chance: do not use"}
    assert data.plot.title.startswith("1 of 11 indicators set the brittle networks apart")


def test_a_network_like_the_brittle_ones() -> None:
    finding, data = section_of(sharpness=1240.0)
    assert "by 1 of these this network looks brittle" in finding
    assert "1,240 here, above 5 of 5 brittle networks and 10 of 10 others" in finding
    assert "this network 1.24e+03" in data.plot.words


def test_the_network_itself_is_not_among_those_it_is_compared_with() -> None:
    finding, data = section_of(same_network="plain-4")
    assert "6 of 9 others" in finding
    assert any("is plain-4 of the reference itself" in note for note in data.notes)


def test_of_equal_indicators_the_wider_apart_comes_first() -> None:
    """The first is told apart as well, but brittle ones have little more of it."""
    known = [
        one.model_copy(
            update={"values": {**one.values, "weight_kurtosis_max": 3.1 if one.brittle else 3.0}}
        )
        for one in networks()
    ]
    values = {key: Value(value=4.5) for key in ABOUT}
    record = answered(known, n=20, same_family=True, same_network=None, values=values)
    finding, data = shown(record)
    assert "2 of 11 indicators" in finding
    assert "The best, sharpness in the weights" in finding
    titles = [line.title for line in data.lines[:2]]
    assert titles == ["Sharpness in the weights", "Weight tails, worst layer"]


def test_nothing_told() -> None:
    finding, data = section_of(telling=False)
    assert finding == (
        "No: none of 11 indicators did better than chance on 15 networks like this one."
    )
    assert data.plot.title.startswith("None of 11 indicators")


def test_another_kind_of_network_is_not_compared() -> None:
    finding, data = section_of(same_family=False, sharpness=1240.0)
    assert finding.startswith("Not known for this network: the 15 networks")
    assert {line.standing for line in data.lines} == {"not comparable"}
    assert "this network" not in data.plot.words
    assert any("another architecture or other data" in note for note in data.notes)


def test_what_was_not_measured_says_why() -> None:
    _, data = section_of(sharpness=None)
    assert (data.lines[0].value, data.lines[0].standing) == ("not measured", "–")
    assert data.lines[0].unit == "because of <b>this</b>"


def test_networks_without_parity_are_marked_and_the_area_is_given_without_them() -> None:
    _, data = section_of(parity=False)
    assert "with parity alone 1.00" in data.lines[0].auroc
    marked = {one.name: one.parity for one in data.networks}
    assert marked["brittle-0"] == "failed"
    assert marked["brittle-1"] == "held"
    assert marked["plain-0"] == "the base itself"
    _, all_held = section_of()
    assert "parity" not in all_held.lines[0].auroc


@pytest.mark.parametrize(
    ("values", "place"),
    [([1.0, 2.0, 3.0], 0.5), ([0.01, 1.0, 100.0], 0.5), ([-10.0, 0.0, 90.0], 0.1), ([2.0], 0.5)],
)
def test_a_line_is_logarithmic_where_values_are_far_apart(
    values: list[float], place: float
) -> None:
    strip = Strip("t", "", {"plain": values}, None)
    assert strip.place(sorted(values)[len(values) // 2]) == pytest.approx(place)


def test_numbers_have_three_digits() -> None:
    texts = [number_text(value) for value in (1240.4, 99.97, 0.032912, -0.5)]
    assert texts == ["1,240", "100", "0.0329", "−0.5"]
