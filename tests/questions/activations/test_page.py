"""Sentences, choice of points and numbers of the section on activations."""

from typing import Any
from xml.etree import ElementTree

import pytest
from bitcliff.records.explanation import Explanation
from bitcliff.report.explain import sections

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
    Cause,
    Histogram,
    Numbers,
    PointActivations,
    PolicyActivations,
)
from bitcliff.records import Record
from bitcliff.report.html import render_html
from bitcliff.verdict import judge

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
        "bin_width": 0.1,
        "first_bin": -1,
        "before": Histogram(counts=[10, 60, 20, 10], exactly_zero=55),
        "after": Histogram(counts=[5, 80, 15, 0], exactly_zero=80),
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
    empty = Histogram(counts=[0], exactly_zero=0)
    nothing: dict[str, Any] = dict.fromkeys(("cause", "sparsity_before", "sparsity_after"))
    nothing |= dict.fromkeys(("median", "worst", "typical"), NOTHING)
    nothing |= {"n": 0, "first_bin": 0, "before": empty, "after": empty, "causes": {}}
    return PointActivations(**(dict(point()) | nothing | {"harmed": stats.rate(0, 0)}))


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
    ],
)
def test_the_finding_names_place_cause_and_numbers(cause: Cause, words: str) -> None:
    found = policy_finding(under(point(), point(cause, name="stages.6.conv2")), "pictures")
    assert words in found.replace("\u00a0", " ")
    assert "stages.6.conv2" in found
    assert found.endswith("(9 of 10 pictures).")


def test_the_place_where_most_examples_are_harmed_comes_first() -> None:
    later = point("signal already lost upstream", 10, "later")
    found = policy_finding(
        under(point("outlier", 3, "few"), point("outlier", 8, "many"), later), ""
    )
    assert "at many" in found


def test_without_a_place_to_blame_it_says_so() -> None:
    assert "stay close" in policy_finding(under(point(), point()), "pictures")
    later = point("signal already lost upstream", 4, "fc")
    found = policy_finding(under(point(), later), "pictures")
    assert "no single place is to blame" in found
    assert "at fc they are a third of the signal or more in 4 of 10 pictures" in found


def test_a_peak_without_bound_is_words() -> None:
    numbers = NUMBERS.model_copy(update={"peak": None})
    found = policy_finding(under(point("outlier", typical=numbers)), "pictures")
    assert "without bound above the 99.9th percentile" in found


def test_the_zero_bin_is_dropped_and_the_rest_is_one() -> None:
    assert shares(point().before, -1) == [0.25, 0, 0.5, 0.25]
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


def test_the_section_has_a_figure_and_a_table_for_each_policy(record: Record) -> None:
    found = Activations(policies=[under(point("outlier")), under(point())])
    section = activations_section(record, found)
    figure, tables = section.data.figure, section.data.tables
    assert section.finding == figure.title == tables[0].finding
    assert "10 pictures" in figure.caption
    assert "layer: sparsity 60.0\u00a0% in float, 80.0\u00a0% quantized, outlier" in figure.words
    for drawn in (figure.wide, figure.narrow):
        ElementTree.fromstring(drawn)
    assert [table.lines[0].harmful for table in tables] == [True, False]
    assert tables[0].lines[0].cells[1] == "60.0\u00a0% → 80.0\u00a0%"
    assert tables[0].lines[0].examples == "9 of 10"


def test_the_same_record_gives_the_same_figure(record: Record) -> None:
    found = Activations(policies=[under(point("outlier"), point())])
    assert activations_section(record, found) == activations_section(record, found)


def test_nothing_measured_is_said(record: Record) -> None:
    section = activations_section(record, Activations(policies=[under(unmeasured())]))
    assert "nothing could be measured" in section.finding
    assert section.data.figure is None
    assert section.data.tables[0].lines[0].cause == "not measured"
    assert "nan" not in str(section.data.tables).lower()


def test_the_page_shows_it_and_escapes_names(record: Record) -> None:
    found = Activations(policies=[under(point("outlier", name="<b>$x$")), under(unmeasured())])
    explanation = Explanation(policies=["worst-5.5"], n_train=0, activations=found)
    explained = record.model_copy(update={"explanation": explanation})
    assert [section.key for section in sections(explained)] == ["activations"]
    page = render_html(explained, judge(explained, 5.0))
    assert "What does rounding do to the values?" in page
    assert "&lt;b&gt;$x$" in page
    assert "<b>$x$" not in page


def test_without_an_explanation_there_is_no_section(record: Record) -> None:
    assert sections(record) == []
    explanation = Explanation(policies=[], n_train=0)
    assert sections(record.model_copy(update={"explanation": explanation})) == []
