"""What planted networks tell, by hand and by scipy; what is stored, damaged; older answers."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bitcliff.questions.indicators.record import (
    IndicatorReference,
    IndicatorsObserved,
    ReferenceNetwork,
    Value,
)
from bitcliff.questions.indicators.statistics import (
    ABOUT,
    KIND,
    draws,
    figures,
    older,
    problems,
    separations,
)
from bitcliff.record import Record
from bitcliff.record.record import with_answer
from bitcliff.record.store import valid
from tests.questions.damage import (
    check_figures_are_guarded,
    check_observations_are_guarded,
    check_round_trip,
)
from tests.report.example_record import example_record


def reference_network(name: str, brittle: bool, **values: float | None) -> ReferenceNetwork:
    return ReferenceNetwork(
        name=name,
        made_to_be="brittle" if brittle else "plain",
        sha256="0" * 64,
        n=100,
        float_right=90,
        own_right=40 if brittle else 90,
        brittle=brittle,
        parity=True,
        values={**dict.fromkeys(ABOUT, 1.0), **values},
    )


def test_a_planted_indicator_tells_and_a_useless_one_does_not() -> None:
    networks = [
        reference_network(f"{place}", place < 5, weight_sharpness=-place, small_margins=place % 3)
        for place in range(15)
    ]
    found = separations(networks, draws(networks))
    sharp, small = found["weight_sharpness"], found["small_margins"]
    assert sharp is not None
    assert small is not None
    assert (sharp.auroc, sharp.high, sharp.n_brittle, sharp.n_others) == (1, 1, 5, 10)
    assert sharp.p_holm == pytest.approx(sharp.p_value * len(ABOUT))
    assert sharp.p_holm is not None
    assert sharp.p_holm < 0.05
    assert small.low < 0.5 < small.high
    assert small.p_holm == 1


def test_what_was_not_measured_is_left_out() -> None:
    networks = [
        reference_network(
            f"{place}", place < 3, input_noise_gap=None if place == 0 else 1.0 + place
        )
        for place in range(9)
    ]
    found = separations(networks, draws(networks))["input_noise_gap"]
    assert found is not None
    assert (found.n_brittle, found.n_others, found.auroc) == (2, 6, 0)
    only_brittle = separations([one for one in networks if one.brittle], {})
    assert set(only_brittle.values()) == {None}


def networks_of(count: int = 20) -> list[ReferenceNetwork]:
    """A third is brittle, and the sharper the more so; small margins hold ties, and are drawn."""
    return [
        reference_network(
            f"{place}",
            place < count // 3,
            weight_sharpness=100.0 / (1 + place),
            small_margins=(7 * place) % 5 / 2,
            input_noise_gap=None,
        ).model_copy(update={"parity": place != 1})
        for place in range(count)
    ]


def observed_of(networks: list[ReferenceNetwork], **changes: Any) -> IndicatorsObserved:
    given: dict[str, Any] = {
        "n": 20,
        "same_family": True,
        "same_network": "1",
        "values": {key: Value(value=12.5) for key in ABOUT}
        | {"local_lipschitz": Value(value=None, reason="no gradient")},
        "reference": IndicatorReference(
            about="planted", architecture="0", data="digits", networks=networks
        ),
        "drawn": draws(networks),
        "drawn_parity": draws([one for one in networks if one.parity]),
    }
    return IndicatorsObserved(**(given | changes))


@pytest.fixture(scope="module")
def record() -> Record:
    return example_record()


def test_what_is_drawn_is_stored_and_used() -> None:
    networks = networks_of()
    drawn = draws(networks)
    assert drawn.keys() == {"small_margins"}
    ranks = stats.rankdata([one.values["small_margins"] for one in networks])
    sums = np.array([sum(chosen) for chosen in combinations(ranks, 6)])
    far = np.abs(sums - 6 * ranks.mean())
    exact = (far >= abs(ranks[:6].sum() - 6 * ranks.mean())).mean()
    # Five standard deviations of a share of 9,999 draws.
    assert drawn["small_margins"] == pytest.approx(exact, abs=0.025)
    found = separations(networks, {"small_margins": 0.125})
    assert found["small_margins"] is not None
    assert found["small_margins"].p_value == 0.125


def test_where_a_value_stands_is_counted_without_the_network_itself(record: Record) -> None:
    found = figures(record, observed_of(networks_of()))
    best, second = found.indicators[:2]
    assert (best.key, best.usable) == ("weight_sharpness", True)
    # Brittle: 100, 50 (itself), 33, 25, 20, 17; others: 14.3, 12.5, and smaller.
    assert best.standing is not None
    assert best.standing.model_dump() == {
        "above_brittle": 0, "n_brittle": 5, "above_others": 12, "n_others": 14,
    }  # fmt: skip
    assert not best.beyond_others
    assert not second.usable
    assert found.indicators[-1].separation is None
    lipschitz = next(one for one in found.indicators if one.key == "local_lipschitz")
    assert (lipschitz.value, lipschitz.standing, lipschitz.reason) == (None, None, "no gradient")
    values = {key: Value(value=14.5) for key in ABOUT}
    beyond = figures(record, observed_of(networks_of(), values=values)).indicators[0]
    assert beyond.beyond_others


def test_those_that_held_parity_are_judged_alone(record: Record) -> None:
    best = figures(record, observed_of(networks_of())).indicators[0]
    assert best.separation is not None
    assert best.separation_parity is not None
    assert (best.separation.n_brittle, best.separation_parity.n_brittle) == (6, 5)


def test_it_is_read_as_it_was_written(record: Record, tmp_path: Path) -> None:
    answered = with_answer(record, "indicators", observed_of(networks_of()), KIND)
    check_round_trip(answered, {"indicators": KIND}, tmp_path)
    check_figures_are_guarded(answered, "indicators", {"indicators": KIND}, tmp_path)


def test_damage_to_what_was_observed_is_noticed(record: Record) -> None:
    answered = with_answer(record, "indicators", observed_of(networks_of(6)), KIND)
    check_observations_are_guarded(answered, "indicators", KIND)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"n": 21}, "measured on 21 of 20"),
        ({"same_network": "plain"}, "'plain' is no network"),
        ({"values": {}}, "this network has 0 values"),
        ({"values": {key: Value(value=1e200) for key in ABOUT}}, "a value beyond 1e+100"),
        ({"drawn": {}}, "not a p-value for each"),
        ({"drawn_parity": {}}, "not a p-value for each"),
        ({"drawn": {"small_margins": 0.0}}, "not a p-value for each"),
    ],
)
def test_what_contradicts_itself_is_told(
    record: Record, changes: dict[str, Any], problem: str
) -> None:
    assert list(problems(record, observed_of(networks_of()))) == []
    assert problem in " ".join(problems(record, observed_of(networks_of(), **changes)))


def test_a_reference_that_contradicts_itself_is_told(record: Record) -> None:
    networks = networks_of()
    twice = observed_of([*networks, networks[0]])
    assert "network of the reference '0' stands 2 times" in " ".join(problems(record, twice))
    too_right = networks[0].model_copy(update={"own_right": 101})
    found = " ".join(problems(record, observed_of([too_right, *networks[1:]])))
    assert "'0' has more right than its 100" in found


def answer_of_1x(networks: list[ReferenceNetwork]) -> dict[str, Any]:
    """As schema 1.2 wrote it."""
    separation = {
        "auroc": 0.6, "low": 0.3, "high": 0.8, "p_value": 0.25, "p_holm": 1.0, "n_brittle": 6,
        "n_others": 14,
    }  # fmt: skip
    rows = [
        {
            "key": key, "unit": "nats", "value": None if key == "margin_ratio" else 2.5,
            "reason": "all alike" if key == "margin_ratio" else "", "separation": separation,
            "separation_parity": separation | {"p_value": 0.75},
        }
        for key in ABOUT
    ]  # fmt: skip
    return {
        "n": 20,
        "same_family": True,
        "same_network": "1",
        "indicators": rows,
        "reference": {
            "about": "planted", "architecture": "0", "data": "digits",
            "networks": [one.model_dump() for one in networks],
        },
    }  # fmt: skip


def test_an_answer_of_schema_1_is_taken_up(record: Record) -> None:
    fields = older(record, answer_of_1x(networks_of()))
    found = valid(IndicatorsObserved, fields, "a record")
    assert list(problems(record, found)) == []
    assert found.drawn == {"small_margins": 0.25}
    assert found.drawn_parity == {"small_margins": 0.75}
    assert found.values["margin_ratio"] == Value(value=None, reason="all alike")
    assert figures(record, found).n_networks == 20


def test_an_answer_of_schema_1_with_other_indicators_is_left_out(record: Record) -> None:
    answer = answer_of_1x(networks_of())
    assert older(record, answer | {"indicators": answer["indicators"][1:]}) is None
