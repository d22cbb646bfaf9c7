"""Sentences, choice of points and numbers of the section on activations."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bitcliff import stats
from bitcliff.questions.activations.page import (
    SHOWN,
    activations_section,
    policy_finding,
    shown_points,
)
from bitcliff.questions.activations.plot import shares
from bitcliff.questions.activations.record import (
    Activations,
    ActivationsObserved,
    Cause,
    Histogram,
    Numbers,
    PointActivations,
    PointObserved,
    PolicyActivations,
    PolicyObserved,
)
from bitcliff.record import Record
from bitcliff.record.record import Answer
from bitcliff.report.section import Section
from tests.questions.page_text import page_of, rows_of, text_of
from tests.report.example_record import example_record


@pytest.fixture(scope="module")
def record() -> Record:
    """Any; only its examples are called something."""
    return example_record()


NUMBERS = Numbers(
    bits=4.5,
    local_db=6.0,
    arriving_db=0.0,
    earlier_db=20.0,
    total_db=-3.0,
    collapsed=0.76,
    kurtosis=41.0,
    peak=12.0,
    offset=0.9,
    constant_db=1.0,
    channels_lost=0.2,
    channel_ratio=50.0,
    tokens_lost=0.3,
    token_ratio=60.0,
)
NOTHING = Numbers(**dict.fromkeys(Numbers.model_fields))


def point(
    cause: Cause = "unharmed", k: int = 9, name: str = "layer", **other: Any
) -> PointActivations:
    """A point at which `k` of 10 examples have the cause, the others none."""
    harmed = 0 if cause == "unharmed" else k
    given: dict[str, Any] = {
        "name": name,
        "n": 10,
        "sparsity_before": 0.6,
        "sparsity_after": 0.8,
        "cause": cause,
        "causes": {"unharmed": 10} if cause == "unharmed" else {"unharmed": 10 - k, cause: k},
        "harmed": stats.rate(harmed, 10),
        "median": NUMBERS,
        "worst": NUMBERS,
        "typical": NUMBERS,
    }
    return PointActivations(**(given | other))


def unmeasured() -> PointActivations:
    nothing: dict[str, Any] = dict.fromkeys(("cause", "sparsity_before", "sparsity_after"))
    nothing |= dict.fromkeys(("median", "worst", "typical"), NOTHING) | {"n": 0, "causes": {}}
    return PointActivations(**(dict(point()) | nothing | {"harmed": stats.rate(0, 0)}))


BEFORE = Histogram(counts=[10, 60, 20, 10], exactly_zero=55)
AFTER = Histogram(counts=[5, 80, 15, 0], exactly_zero=80)


def answered(record: Record, found: Activations) -> Record:
    """The record with these figures; every point has the same histograms."""
    observed = ActivationsObserved(
        policies=[
            PolicyObserved(
                policy=policy.policy,
                points=[
                    PointObserved(
                        name=point.name,
                        bin_width=0.1,
                        first_bin=-1,
                        before=BEFORE,
                        after=AFTER,
                        columns=np.ones((10, point.n), dtype=np.float32),
                    )
                    for point in policy.points
                ],
            )
            for policy in found.policies
        ]
    )
    return replace(record, answers={"activations": Answer(observed, found)})


def section_of(record: Record, *policies: PolicyActivations) -> Section:
    found = Activations(policies=list(policies))
    return activations_section(answered(record, found), found)


def under(*points: PointActivations) -> PolicyActivations:
    return PolicyActivations(policy="worst-5.5", points=list(points))


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("long tail collapses to zero", "76.0 % of the values become zero: a long tail collapses"),
        ("outlier", "the largest value is 12.0 times the 99.9th percentile"),
        ("offset range", "90.0 % of the range lies between zero and the values"),
        ("error amplified on the way here", "is 100 % of the signal, and was 10 % at most before"),
        ("too few bits for the spread", "4.5 bits are too few"),
        ("channels of unequal scale", "50.0 times one in ten, and 20.0 % of the channels lose"),
        (
            "rows far larger than the rest, for example padding",
            "60.0 times one in ten, and 30.0 % of the rows lose",
        ),
    ],
)
def test_the_finding_names_point_cause_and_numbers(cause: Cause, words: str) -> None:
    found = policy_finding(under(point(), point(cause, name="stages.6.conv2")), "images")
    assert words in found.replace("\u00a0", " ")
    assert "stages.6.conv2" in found
    assert found.endswith("(9 of 10 images).")


def test_the_point_where_most_examples_are_harmed_comes_first() -> None:
    later = point("signal already lost upstream", 10, "later")
    found = policy_finding(
        under(point("outlier", 3, "few"), point("outlier", 8, "many"), later), ""
    )
    assert "at many" in found


def test_without_a_point_to_blame_it_says_so() -> None:
    assert "stay close" in policy_finding(under(point(), point()), "images")
    later = point("signal already lost upstream", 4, "fc")
    found = policy_finding(under(point(), later), "images")
    assert "no single point is to blame" in found
    assert "at fc they are a third of the signal or more in 4 of 10 images" in found


def test_a_peak_without_bound_is_words() -> None:
    numbers = NUMBERS.model_copy(update={"peak": None})
    found = policy_finding(under(point("outlier", typical=numbers)), "images")
    assert "without bound above the 99.9th percentile" in found


def test_the_zero_bin_is_dropped_and_the_rest_is_one() -> None:
    assert shares(BEFORE, -1) == [0.25, 0, 0.5, 0.25]
    assert shares(Histogram(counts=[7, 0], exactly_zero=7), 0) == [0, 0]


def test_few_points_are_all_drawn_in_order() -> None:
    points = [point(), unmeasured(), point("outlier")]
    assert shown_points(points, ()) == [0, 2]


def test_of_many_the_inflection_points_and_the_most_damaged_are_drawn() -> None:
    points = [point("outlier", 2 + place % 8) for place in range(40)]
    found = shown_points(points, (0, 8))
    assert len(found) == SHOWN
    assert found == sorted(found)
    assert {0, 8} <= set(found)
    assert {place for place in range(40) if place % 8 >= 5} <= set(found)
    assert 1 not in found


def test_the_section_has_a_plot_and_a_table_for_each_policy(record: Record) -> None:
    section = section_of(record, under(point("outlier")), under(point()))
    plot, page = section.data["plot"], page_of(record, section)
    text, rows = text_of(page), rows_of(page)
    assert section.finding == plot.title
    assert "10 images" in plot.caption
    assert "layer: sparsity 60.0\u00a0% in float, 80.0\u00a0% quantized, outlier" in plot.words
    for drawn in (plot.wide, plot.narrow):
        ElementTree.fromstring(drawn)
    # Above its table is the finding of every policy but the first, which is the section's own.
    assert "Every point under worst-5.5 Under worst-5.5 the values at every point stay" in text
    assert text.count("10 images, each measured by itself") == 2
    both = ["60.0\u00a0% → 80.0\u00a0%", "76.0\u00a0%", "41.0 (41.0)", "12.0 (12.0)"]
    both += ["90.0\u00a0%", "20.0\u00a0%", "30.0\u00a0%", "6.0 (6.0)", "0.0 (0.0)", "−3.0 (−3.0)"]
    assert rows == [
        ["1", "layer", "outlier", "9 of 10", "4.5", *both],
        ["1", "layer", "unharmed", "10 of 10", "4.5", *both],
    ]
    assert page.count('class="starved"') == 1


def test_the_same_record_gives_the_same_plot(record: Record) -> None:
    policy = under(point("outlier"), point())
    assert section_of(record, policy) == section_of(record, policy)


def test_nothing_measured_is_said(record: Record) -> None:
    section = section_of(record, under(unmeasured()))
    assert "nothing could be measured" in section.finding
    assert section.data["plot"] is None
    (row,) = rows_of(page_of(record, section))
    assert row[2:7] == ["not measured", "0 of 0", "–", "– → –", "–"]
    assert "nan" not in str(row).lower()


def test_names_are_kept_as_they_are_and_points_drawn_that_are_asked_for(record: Record) -> None:
    points = [point("outlier", 9) for _ in range(SHOWN)] + [point(name="<b>$x$")]
    found = Activations(policies=[under(*points)])
    without = activations_section(answered(record, found), found)
    asked = activations_section(answered(record, found), found, anyway=[SHOWN])
    assert "<b>$x$" not in without.data["plot"].words
    assert "<b>$x$" in asked.data["plot"].words
    # The template escapes it; in the drawing it is text of a drawing.
    page = page_of(record, asked)
    assert rows_of(page)[-1][1] == "<b>$x$"
    assert "<b>" not in page
