"""The figure: what it shows is the record's, and the same record gives the same picture."""

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from bitcliff.record.conditions import Kind
from bitcliff.report.drawings import bit_strip, bit_words, data_uri, squares
from bitcliff.report.figure import draw_figure, figure_plot, figure_words, series_of
from bitcliff.stats import rate
from tests.report.example_record import Variant, example_record

VARIANTS = [
    Variant(),
    Variant(labelled=False),
    Variant(cliff=False),
    Variant(uniform=False, budgets=(5.5,)),
    Variant(adversary=False),
    Variant(failures=True),
    Variant(n=0),
]


def test_series_are_the_records_own() -> None:
    record = example_record()
    series = series_of(record)
    assert set(series) == {"uniform", "random", "worst", "worst-static", "best"}
    kinds: tuple[Kind, ...] = ("uniform", "worst", "worst-static", "best")
    for kind in kinds:
        for mean, value, low, high in zip(
            series[kind].means,
            series[kind].values,
            series[kind].lows,
            series[kind].highs,
            strict=True,
        ):
            accuracy = record.by_name[f"{kind}-{mean:g}"].accuracy
            assert accuracy is not None
            assert (value, low, high) == (accuracy.value, accuracy.low, accuracy.high)


def test_random_shows_median_and_extremes_of_the_draws() -> None:
    record = example_record()
    policy = record.by_name["random-7"]
    assert policy.distribution is not None
    assert policy.distribution.accuracy is not None
    draws = [draw.k / draw.n for draw in policy.distribution.accuracy]
    shown = series_of(record)["random"]
    assert shown.lows[0] == pytest.approx(min(draws))
    assert shown.highs[0] == pytest.approx(max(draws))
    assert min(draws) < max(draws)


def test_without_labels_agreement_is_shown() -> None:
    record = example_record(Variant(labelled=False))
    worst = record.by_name["worst-7"]
    assert series_of(record)["worst"].values[0] == worst.agreement.value == 0.5
    assert figure_words(record).startswith("Agreement with float against mean bits.")


@pytest.mark.parametrize("variant", VARIANTS)
def test_well_formed_and_the_same_each_time(variant: Variant) -> None:
    record = example_record(variant)
    drawn = figure_plot(record)
    assert drawn == figure_plot(record)
    for svg in (drawn.wide, drawn.narrow):
        ElementTree.fromstring(svg)
        assert "<script" not in svg
        assert not re.search(r"(?:href|src)=\"(?!#)", svg)
        assert "date" not in svg


def test_words_name_every_value() -> None:
    words = figure_words(example_record())
    assert "float: 90 %" in words
    assert "worst found: 40 % at 7 bits, 45 % at 8 bits, 45 % at 9 bits" in words


def test_strip_has_a_bar_a_point_and_marks_the_starved() -> None:
    svg = bit_strip([3, 10, 7, 8], highest=10)
    bars = ElementTree.fromstring(svg).findall("{http://www.w3.org/2000/svg}rect")
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights == pytest.approx([44 * bits / 10 for bits in (3, 10, 7, 8)], abs=0.05)
    colours = [bar.attrib["fill"] for bar in bars]
    assert [colour == colours[0] for colour in colours] == [True, False, False, False]
    assert "style" not in svg


def test_strip_in_words() -> None:
    assert bit_words([3, 10, 3], ["a", "b", "c"]) == (
        "3 points, 3 to 10 bits, 16 in total; fewest at a and 1 more"
    )
    assert bit_words([], []) == "no bits recorded"


def test_data_uri_carries_the_svg() -> None:
    address = data_uri("<svg/>")
    assert address.startswith("data:image/svg+xml;base64,")
    assert base64.b64decode(address.partition(",")[2]) == b"<svg/>"


def test_squares_count() -> None:
    drawn = squares(rate(8, 20))
    assert (len(drawn.squares), sum(square.on for square in drawn.squares)) == (20, 8)
    assert squares(rate(300, 400)).squares == ()
    assert squares(rate(300, 400)).share == 0.75
    assert squares(rate(0, 0)).squares == ()


def test_matplotlibs_own_figure_shows_the_series() -> None:
    record = example_record()
    (axes,) = draw_figure(record).axes
    drawn = {tuple(np.asarray(line.get_ydata(), float).tolist()) for line in axes.lines}
    for kind in ("uniform", "best"):
        assert tuple(series_of(record)[kind].values) in drawn
