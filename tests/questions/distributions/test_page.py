"""What the report says of inputs drawn otherwise."""

import pytest

from bitcliff.questions.distributions.page import distributions_section
from bitcliff.questions.distributions.record import KEY, Distributions
from bitcliff.questions.distributions.statistics import KIND
from bitcliff.record import Record, with_answer
from bitcliff.report.section import Section
from tests.a_record import figures_in
from tests.questions.distributions.test_statistics import brightest, observed, second_set
from tests.questions.inputs.planted import steady_run, with_policy
from tests.questions.page_text import page_of, rows_under, text_of


@pytest.fixture(scope="module")
def answered() -> Record:
    found = observed(80, second=second_set(40, 1))
    record = with_policy(steady_run()[0], brightest(found, 25))
    return with_answer(record, KEY, found, KIND)


def section(of: Record) -> Section:
    return distributions_section(of, figures_in(of, KEY, Distributions))


def test_a_slice_a_curve_and_a_shift_are_told_with_their_intervals(answered: Record) -> None:
    found, told = figures_in(answered, KEY, Distributions), section(answered).finding
    row = found.policies[0]
    assert row.slice is not None
    cut = f"{row.slice.conditions[0].value:.3g}"
    inside, outside = row.slice.inside, row.slice.outside
    start = f"Under planted one slice breaks more than the rest, brightness at least {cut}: "
    assert told.startswith(f"{start}{inside.k}/{inside.n} (")
    assert f" lost there, {outside.k}/{outside.n} (" in told
    assert "under planted is 31.2 points as the inputs are drawn, and at worst 62.5 (" in told
    assert "On elsewhere the drop under planted changes by " in told
    assert told.endswith("which may be chance.")


def test_the_tables_hold_what_the_figures_do(answered: Record) -> None:
    found, page = figures_in(answered, KEY, Distributions), page_of(answered, section(answered))
    row = found.policies[0]
    assert row.slice is not None
    assert row.slice.second is not None
    slices = rows_under(page, "caption-slices")
    assert [one[1] for one in slices] == ["class", "slice"][-len(slices) :]
    assert slices[-1][-1].startswith(f"{row.slice.second.k}/{row.slice.second.n} (")
    (shift,) = rows_under(page, "caption-shift")
    assert shift[1].endswith("n = 80)")
    assert shift[2].endswith("n = 40)")
    curves = rows_under(page, "caption-curves")
    sizes = [float(one[1]) for one in curves]
    assert sizes == [1, 1.25, 1.67, 2, 2.5, 3.33, 5, 6.67, 10, 20]
    assert {len(one) for one in curves} == {6}
    assert "Fisher’s exact test, Holm over all slices" in text_of(page)


def test_without_a_second_set_and_with_few_examples_less_is_shown() -> None:
    record = with_policy(steady_run(n=12, labelled=False)[0], range(4))
    of = with_answer(record, KEY, observed(12), KIND)
    page = page_of(of, section(of))
    assert section(of).finding.startswith("For a worst slice there are too few examples")
    assert "There are no labels, so lost is each decision that the policy changes." in text_of(page)
    assert {len(one) for one in rows_under(page, "caption-curves")} == {4}
    assert "caption-slices" not in page
    assert "caption-shift" not in page
