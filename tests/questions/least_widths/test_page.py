"""The finding in words, in the terminal and on the page."""

from collections.abc import Sequence

import pytest

from bitcliff.questions.least_widths.page import least_widths_line, least_widths_section
from bitcliff.questions.least_widths.record import AtMean, Cut, LeastWidths
from bitcliff.record import Record
from bitcliff.record.record import Answer
from bitcliff.stats import rate
from tests.questions.least_widths.cut import answered, figures_of, scheduled


@pytest.fixture(scope="module")
def record() -> Record:
    return answered(scheduled())


def at(mean: float, *lost: int, safe: int | None, even: bool = True) -> AtMean:
    cuts = [
        Cut(least=3 + k, lost=rate(one, 20), only_even=False, searched=20, passes=400)
        for k, one in enumerate(lost)
    ]
    if even:
        cuts[-1] = cuts[-1].model_copy(update={"only_even": True})
    return AtMean(mean_bits=mean, cuts=cuts, safe=safe)


def line(record: Record, means: Sequence[AtMean]) -> str:
    found = LeastWidths(means=[*means])
    answers = {"least_widths": Answer(found, found)}
    return least_widths_line(Record(record.observed, record.figures, answers))


def test_safe_from_a_width_up_with_counts_and_intervals(record: Record) -> None:
    assert line(record, [at(7, 20, 20, 17, 0, 0, safe=6)]) == (
        "Least width: Safe from 6 bits up, as far as was found, at a mean of 7 bits: 0 of 20 "
        "answers are changed (0.0 to 16.8\u00a0%); with 5 or more, 17 of 20 (62.1 to 96.8\u00a0%). "
        "Too few examples to be sure that at most 2 % are changed."
    )


def test_what_else_is_told_in_one_line(record: Record) -> None:
    """The mean that loses most, and of others where they are safe."""
    means = [at(4, 2, 1, safe=None), at(5.5, 1, 0, 0, safe=4, even=False), at(4.5, 0, 0, safe=3)]
    assert line(record, means) == (
        "Least width: No least width is safe at a mean of 4 bits: with 4 bits or more at every "
        "layer (the even allocation only), 1 of 20 answers are changed (0.1 to 24.9\u00a0%). At "
        "other means, safe from: 5.5: 4 bits; 4.5: 3 bits."
    )
    assert line(record, [at(4.5, 0, 0, safe=3)]).endswith(
        "with all options, 0 of 20 answers are changed (0.0 to 16.8\u00a0%). Too few examples to "
        "be sure that at most 2 % are changed."
    )


def test_enough_examples_need_no_warning(record: Record) -> None:
    cut = Cut(least=3, lost=rate(0, 200), only_even=False, searched=200, passes=400)
    assert line(record, [AtMean(mean_bits=4.5, cuts=[cut], safe=3)]).endswith("1.8\u00a0%).")


def test_nothing_is_told_of_nothing(record: Record) -> None:
    assert not line(record, [])


def test_the_page_has_a_row_for_each_width_and_a_plot_that_states_the_finding(
    record: Record,
) -> None:
    found = figures_of(record)
    section = least_widths_section(record, found)
    assert len(section.data["rows"]) == sum(len(one.cuts) for one in found.means)
    title = section.data["plot"].title
    assert title.removesuffix(".") in section.finding
    last = found.means[-1].cuts[-1]
    assert f"{last.lost.k}/{last.lost.n}" in section.data["rows"][-1][2]
    assert f"{last.lost.n - last.lost.k} with at least 4" in section.data["plot"].words
    assert f"percent of {last.lost.n}" in section.data["plot"].caption
