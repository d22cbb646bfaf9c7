import functools
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from bitcliff.questions.indicators.page import indicators_section, number_text
from bitcliff.questions.indicators.plot import Strip
from bitcliff.questions.indicators.record import (
    IndicatorReference,
    Indicators,
    IndicatorsObserved,
    ReferenceNetwork,
    Value,
)
from bitcliff.questions.indicators.statistics import ABOUT, KIND, draws, held_parity
from bitcliff.record import Record
from bitcliff.record.record import with_answer
from bitcliff.report.plot import Plot
from tests.a_record import figures_in
from tests.questions.page_text import page_of, rows_of, text_of
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


@dataclass(frozen=True)
class Shown:
    """The section as its reader sees it; `lines`: the indicators' rows, `networks`: the others."""

    finding: str
    plot: Plot
    text: str
    lines: list[list[str]]
    networks: list[list[str]]


def shown(record: Record) -> Shown:
    found = figures_in(record, "indicators", Indicators)
    section = indicators_section(record, found)
    page = page_of(record, section)
    rows, n = rows_of(page), len(found.indicators)
    return Shown(section.finding, section.data["plot"], text_of(page), rows[:n], rows[n:])


def section_of(**changes: Any) -> Shown:
    return shown(explained(**changes))


def test_a_network_like_the_others() -> None:
    found = section_of()
    assert found.finding == (
        "On 15 networks like this one, 1 of 11 indicators told the brittle ones; by none of "
        "these this network looks brittle. The best, sharpness in the weights, is 1.23 here, above "
        "0 of 5 brittle networks and 6 of 10 others; its AUROC is 1.00 (0.72 to 1.00)."
    )
    assert found.lines[0] == [
        "Sharpness in the weights rise of the loss with every filter moved at random by a tenth of "
        "its norm, mean of 10",
        "1.23 nats",
        "above 0 of 5 brittle networks and 6 of 10 others",
        "1.00 (0.72 to 1.00)",
        "tells: brittle ones have more",
    ]
    assert {line[4] for line in found.lines[1:]} == {"no better than chance: do not use"}
    assert found.plot.title.startswith("1 of 11 indicators set the brittle networks apart")


def test_a_network_like_the_brittle_ones() -> None:
    found = section_of(sharpness=1240.0)
    assert "by 1 of these this network looks brittle" in found.finding
    assert "1,240 here, above 5 of 5 brittle networks and 10 of 10 others" in found.finding
    assert "this network 1.24e+03" in found.plot.words


def test_the_network_itself_is_not_among_those_it_is_compared_with() -> None:
    found = section_of(same_network="plain-4")
    assert "6 of 9 others" in found.finding
    assert "is plain-4 of the reference itself" in found.text


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
    found = shown(record)
    assert "2 of 11 indicators" in found.finding
    assert "The best, sharpness in the weights" in found.finding
    assert found.lines[0][0].startswith("Sharpness in the weights")
    assert found.lines[1][0].startswith("Weight tails, worst layer")


def test_nothing_told() -> None:
    found = section_of(telling=False)
    assert found.finding == (
        "No: none of 11 indicators did better than chance on 15 networks like this one."
    )
    assert found.plot.title.startswith("None of 11 indicators")


def test_another_kind_of_network_is_not_compared() -> None:
    found = section_of(same_family=False, sharpness=1240.0)
    assert found.finding.startswith("Not known for this network: the 15 networks")
    assert {line[2] for line in found.lines} == {"not comparable"}
    assert "this network" not in found.plot.words
    assert "another architecture or other data" in found.text


def test_what_was_not_measured_says_why() -> None:
    found = section_of(sharpness=None)
    assert found.lines[0][1:3] == ["not measured because of <b>this</b>", "–"]


def test_networks_without_parity_are_marked_and_the_area_is_given_without_them() -> None:
    found = section_of(parity=False)
    assert "with parity alone 1.00" in found.lines[0][3]
    marked = {one[0]: one[1:] for one in found.networks}
    assert marked["brittle-0"] == ["92 of 100", "40 of 100", "brittle", "failed"]
    assert marked["brittle-1"] == ["92 of 100", "40 of 100", "brittle", "held"]
    assert marked["plain-0"] == ["92 of 100", "–", "not brittle", "the base itself"]
    assert "parity" not in section_of().lines[0][3]


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
    texts = [number_text(value) for value in (1240.4, 99.97, 0.032912, -0.5, -1240.4)]
    assert texts == ["1,240", "100", "0.0329", "−0.5", "−1,240"]
